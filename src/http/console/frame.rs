//! The frame of every page: navigation, breadcrumbs, title, tabs and the status line.

use super::access::{Administrator, ConsoleRole};
use super::own_form;
use super::texts::app_form::DECLARED;
use super::texts::{devices, frame as text, issuer_form, issuers};
use super::visit::Visit;
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::store::{IssuerRecord, Store};
use crate::users::UserDirectory;

/// A page beside *Apps* in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Apps,
    Issuers,
    Devices,
    Audit,
    Playground,
    Server,
}

impl Place {
    /// The places that exist, in the order of the navigation: name, path below the console.
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Apps, text::APPS, "/apps"),
        (Self::Issuers, text::ISSUERS, "/issuers"),
        (Self::Devices, text::DEVICES, "/devices"),
        (Self::Audit, text::AUDIT, "/audit"),
        (Self::Playground, text::PLAYGROUND, "/playground"),
        (Self::Server, text::SERVER, "/server"),
    ];
}

/// A page of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Settings,
    Scopes,
    Security,
    Credentials,
    Impersonation,
    Preview,
    Users,
    Devices,
    Usage,
    Activity,
    Danger,
}

impl Tab {
    /// The tabs that exist, in their order: name, last segment of the path.
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Overview, text::OVERVIEW, ""),
        (Self::Settings, text::SETTINGS, "settings"),
        (Self::Scopes, text::SCOPES, "scopes"),
        (Self::Security, text::SECURITY, "security"),
        (Self::Credentials, text::CREDENTIALS, "credentials"),
        (Self::Impersonation, text::IMPERSONATION, "impersonation"),
        (Self::Preview, text::PREVIEW, "preview"),
        (Self::Users, text::USERS, "users"),
        (Self::Devices, text::DEVICES, "devices"),
        (Self::Usage, text::USAGE, "usage"),
        (Self::Activity, text::ACTIVITY, "activity"),
        (Self::Danger, text::DANGER, "danger"),
    ];

    /// Checks whether the tab has a form of settings.
    const fn edits_settings(self) -> bool {
        match self {
            Self::Settings | Self::Scopes | Self::Security | Self::Impersonation => true,
            Self::Overview
            | Self::Credentials
            | Self::Preview
            | Self::Users
            | Self::Devices
            | Self::Usage
            | Self::Activity
            | Self::Danger => false,
        }
    }

    /// Returns the last segment of the tab's path.
    pub(super) fn path(self) -> &'static str {
        Self::ALL.iter().find(|(tab, ..)| *tab == self).map_or("", |(.., path)| path)
    }
}

/// A page of one trusted issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IssuerTab {
    Overview,
    Settings,
    Check,
    Danger,
}

impl IssuerTab {
    /// The tabs that exist, in their order: name, last segment of the path.
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Overview, text::OVERVIEW, ""),
        (Self::Settings, text::SETTINGS, "settings"),
        (Self::Check, text::CHECK, "check"),
        (Self::Danger, text::DANGER, "danger"),
    ];

    /// Returns the last segment of the tab's path.
    pub(super) fn path(self) -> &'static str {
        Self::ALL.iter().find(|(tab, ..)| *tab == self).map_or("", |(.., path)| path)
    }
}

/// The beginning of the name of a revocation that also wiped. Its numbers follow.
const WIPED: &str = "wiped-";

/// A change that the next page reports. The link names it, so that no text of a link is ever shown, and proves that
/// it was made in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    AccessEnded,
    Created,
    Deleted,
    Disabled,
    Enabled,
    Ended,
    EvidenceRevoked,
    IssuerAdded,
    IssuerRemoved,
    PlaygroundReady,
    Regenerated,
    Revoked,
    RevokedEverything,
    Rotated,
    Saved,
    SavedWithoutKeys,
    Unchanged,
    WipeAbandoned,
    WipeOrdered,
    WipeWithdrawn,
}

impl Done {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::AccessEnded, "access-ended", text::ACCESS_ENDED),
        (Self::Created, "created", text::CREATED),
        (Self::Deleted, "deleted", text::DELETED),
        (Self::Disabled, "disabled", text::APP_DISABLED),
        (Self::Enabled, "enabled", text::ENABLED),
        (Self::Ended, "ended", text::ENDED),
        (Self::EvidenceRevoked, "evidence-revoked", issuers::REVOKED),
        (Self::IssuerAdded, "issuer-added", issuer_form::ADDED),
        (Self::IssuerRemoved, "issuer-removed", issuers::REMOVED),
        (Self::PlaygroundReady, "playground-ready", text::PLAYGROUND_READY),
        (Self::Regenerated, "regenerated", text::REGENERATED),
        (Self::Revoked, "revoked", text::REVOKED),
        (Self::RevokedEverything, "revoked-everything", text::REVOKED_EVERYTHING),
        (Self::Rotated, "rotated", text::ROTATED),
        (Self::Saved, "saved", text::SAVED),
        (Self::SavedWithoutKeys, "saved-without-keys", text::SAVED_WITHOUT_KEYS),
        (Self::Unchanged, "unchanged", text::UNCHANGED),
        (Self::WipeAbandoned, "wipe-abandoned", devices::ABANDONED),
        (Self::WipeOrdered, "wipe-ordered", devices::ORDERED),
        (Self::WipeWithdrawn, "wipe-withdrawn", devices::WITHDRAWN),
    ];

    /// Returns the value of the link's field `done`.
    pub(super) fn field(self, who: &Administrator) -> String {
        let name =
            Self::ALL.iter().find(|(done, ..)| *done == self).map_or("", |(_, name, _)| name);
        format!("{name}.{}", who.done_token(name))
    }

    /// Returns the sentence of a link that the console gave to `who` in this session.
    fn said(field: &str, who: &Administrator) -> Option<String> {
        let (name, proof) = field.split_once('.')?;
        let text = match Self::ALL.iter().find(|(_, own, _)| *own == name) {
            Some((.., text)) => (*text).to_owned(),
            None => devices::revoked_and_wiped(wiped_numbers(name)?),
        };
        let is_own = !who.names_no_session() && own_form::is_equal(proof, &who.done_token(name));
        is_own.then_some(text)
    }
}

/// Returns the value of the link's field `done` for a revocation that also wiped.
pub(super) fn wiped_field(numbers: [usize; 3], who: &Administrator) -> String {
    let [ordered, pending, kept] = numbers;
    let name = format!("{WIPED}{ordered}-{pending}-{kept}");
    format!("{name}.{}", who.done_token(&name))
}

/// Reads the name in [`wiped_field`].
fn wiped_numbers(name: &str) -> Option<[usize; 3]> {
    let mut numbers = name.strip_prefix(WIPED)?.split('-').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?])
}

/// A link with its name.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) is_current: bool,
}

/// A breadcrumb. The name may be one that a user of the host chose.
pub(super) struct Crumb {
    pub(super) name: String,
    pub(super) url: String,
}

impl Crumb {
    /// Returns the breadcrumb of the server.
    pub(super) fn server<S: Store, U: UserDirectory, H: Hooks>(visit: &Visit<'_, S, U, H>) -> Self {
        Self { name: text::SERVER.to_owned(), url: visit.link("/server") }
    }

    /// Returns the breadcrumb of the list of devices.
    pub(super) fn devices<S: Store, U: UserDirectory, H: Hooks>(
        visit: &Visit<'_, S, U, H>,
    ) -> Self {
        Self { name: text::DEVICES.to_owned(), url: visit.link("/devices") }
    }

    /// Returns the breadcrumb of the list of trusted issuers.
    pub(super) fn issuers<S: Store, U: UserDirectory, H: Hooks>(
        visit: &Visit<'_, S, U, H>,
    ) -> Self {
        Self { name: text::ISSUERS.to_owned(), url: visit.link("/issuers") }
    }

    /// Returns the breadcrumb of the list of apps.
    pub(super) fn apps<S: Store, U: UserDirectory, H: Hooks>(visit: &Visit<'_, S, U, H>) -> Self {
        Self { name: text::APPS.to_owned(), url: visit.link("/apps") }
    }
}

/// The frame of a page.
pub(super) struct Frame<'a> {
    pub(super) brand: &'a str,
    pub(super) logo: Option<String>,
    pub(super) style: String,
    pub(super) brand_style: String,
    pub(super) script: String,
    pub(super) home: String,
    pub(super) places: Vec<Link>,
    pub(super) tabs: Vec<Link>,
    /// The name of the list of tabs.
    pub(super) tabs_name: &'static str,
    pub(super) crumbs: Vec<Crumb>,
    /// May be a name that a user of the host chose.
    pub(super) title: String,
    pub(super) subtitle: Option<String>,
    pub(super) state: Option<&'static str>,
    pub(super) status: Option<String>,
    /// On pages that edit an app of the configuration.
    pub(super) warning: Option<&'static str>,
    pub(super) administrator: &'a str,
    pub(super) role: &'static str,
    /// The hidden field of each form.
    pub(super) token: String,
}

impl Frame<'_> {
    pub(super) fn with_crumb(mut self, crumb: Crumb) -> Self {
        self.crumbs.push(crumb);
        self
    }

    /// Warns that the configuration replaces edits of an app that it declares.
    pub(super) fn of_edit(mut self, app: &CustomApp) -> Self {
        self.warning = app.origin().is_declared().then_some(DECLARED);
        self
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Returns the frame of a page with this title.
    pub(super) fn frame(&self, title: impl Into<String>) -> Frame<'_> {
        let place = |(_, name, path): (Place, &'static str, &str)| {
            let url = self.link(path);
            let here = self.parts.uri.path();
            let is_current = self.site.mount.below(here).is_some_and(|below| {
                below.strip_prefix(path).is_some_and(|it| it.is_empty() || it.starts_with('/'))
                    || (path == "/apps" && below.starts_with("/new-app"))
                    || (path == "/issuers" && below.starts_with("/new-issuer"))
            });
            Link { name, url, is_current }
        };
        let is_on = |(place, ..): &(Place, &str, &str)| match place {
            Place::Playground => self.site.playground.is_some(),
            Place::Issuers => self.admin().has_trusted_issuers(),
            Place::Devices => self.admin().has_devices(),
            Place::Apps | Place::Audit | Place::Server => true,
        };
        let query = self.query().unwrap_or_default();
        let asset = |name: &str| self.link(&format!("/assets/{name}"));
        Frame {
            brand: self.site.brand.name(),
            logo: self.site.assets.logo().map(asset),
            style: asset(self.site.assets.style()),
            brand_style: asset(self.site.assets.brand_style()),
            script: asset(self.site.assets.script()),
            home: self.link("/apps"),
            places: Place::ALL.iter().copied().filter(is_on).map(place).collect(),
            tabs: Vec::new(),
            tabs_name: text::TABS,
            crumbs: Vec::new(),
            title: title.into(),
            subtitle: None,
            state: None,
            status: Done::said(query.one("done"), self.who),
            warning: None,
            administrator: self.who.name(),
            role: match self.who.role() {
                ConsoleRole::View => text::MAY_VIEW,
                ConsoleRole::Edit => text::MAY_EDIT,
                ConsoleRole::Security => text::MAY_SECURE,
            },
            token: self.who.form_token(),
        }
    }

    /// Returns the frame of a page of an app.
    pub(super) fn app_frame(&self, app: &CustomApp, here: Tab) -> Frame<'_> {
        let tab = |(tab, name, path): (Tab, &'static str, &str)| Link {
            name,
            url: self.app_link(app.client_id(), path),
            is_current: tab == here,
        };
        let mut frame = self.frame(app.settings().name()).with_crumb(Crumb::apps(self));
        let has_devices = self.admin().has_devices();
        let is_on = |(tab, ..): &(Tab, &str, &str)| *tab != Tab::Devices || has_devices;
        frame.tabs = Tab::ALL.iter().copied().filter(is_on).map(tab).collect();
        frame.subtitle = Some(app.client_id().as_str().to_owned());
        frame.state = (!app.is_enabled()).then_some(text::DISABLED);
        if here.edits_settings() { frame.of_edit(app) } else { frame }
    }

    /// Returns the frame of a page of a trusted issuer.
    pub(super) fn issuer_frame(&self, record: &IssuerRecord, here: IssuerTab) -> Frame<'_> {
        let issuer = record.settings.issuer();
        let tab = |(tab, name, path): (IssuerTab, &'static str, &str)| Link {
            name,
            url: self.issuer_link(issuer, path),
            is_current: tab == here,
        };
        let mut frame = self.frame(record.settings.name()).with_crumb(Crumb::issuers(self));
        frame.tabs = IssuerTab::ALL.iter().copied().map(tab).collect();
        frame.tabs_name = text::ISSUER_TABS;
        frame.subtitle = Some(issuer.as_str().to_owned());
        frame.state = record.settings.has_expired(self.now()).then_some(text::EXPIRED);
        frame
    }
}
