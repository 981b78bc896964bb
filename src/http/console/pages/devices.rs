//! The devices of all apps, and of one app.

use std::collections::BTreeMap;

use askama::Template;
use url::form_urlencoded::Serializer;

use super::super::fields::Fields;
use super::super::frame::{Frame, Link, Tab};
use super::super::path;
use super::super::problem::Problem;
use super::super::texts::{self, devices as text};
use super::super::times::day_in_words;
use super::super::visit::Visit;
use super::super::wipe_state::{Part, WipeState};
use crate::app::{CustomApp, MobileSecurity};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{ClientId, Subject};
use crate::store::{self, Device, DeviceFilter, DeviceKey, Listing, Store};
use crate::users::UserDirectory;

/// The number of devices on a page.
const PER_PAGE: usize = 50;
/// The number of apps that the page of all apps looks up. A page has devices of few apps, because it is in the
/// order of the apps.
const MOST_APPS: usize = 2;
const PENDING: &str = "pending";
const STATES: [(&str, &str); 2] = [("", text::ALL), (PENDING, text::PENDING)];

#[derive(Template)]
#[template(path = "console/devices.html")]
struct Devices<'a> {
    frame: Frame<'a>,
    action: String,
    /// The filter by app, unless the page is one of an app.
    app: Option<&'a str>,
    user: &'a str,
    state: &'static str,
    states: Vec<Link>,
    is_narrowed: bool,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

struct Row {
    name: Option<String>,
    id: String,
    url: String,
    /// The name of the app and its link, on the page of all apps.
    app: Option<(String, String)>,
    user: String,
    user_url: String,
    last_seen: (String, String),
    rules: &'static str,
    wipe: Option<WipeState>,
}

/// The filters of a query. The app is fixed on the page of an app.
struct Asked<'a> {
    app: &'a str,
    user: &'a str,
    state: &'static str,
    after: Option<DeviceKey>,
}

impl<'a> Asked<'a> {
    fn of(query: &'a Fields) -> Self {
        Self {
            app: query.one("app").trim(),
            user: query.one("user").trim(),
            state: if query.one("state") == PENDING { PENDING } else { "" },
            after: path::device(&query.one("after").split('/').collect::<Vec<_>>()),
        }
    }

    /// Returns the filter of the store, or `None` if an app or a user cannot exist.
    fn filter(&self, fixed: Option<&ClientId>) -> Option<DeviceFilter> {
        let mut filter = DeviceFilter::all();
        if let Some(app) = fixed {
            filter = filter.of_app(app.clone());
        } else if !self.app.is_empty() {
            filter = filter.of_app(ClientId::new(self.app).ok()?);
        }
        if !self.user.is_empty() {
            filter = filter.of_subject(Subject::new(self.user).ok()?);
        }
        Some(if self.state.is_empty() { filter } else { filter.to_be_wiped() })
    }

    /// Returns the link to this page in another state, from the device `after` on.
    fn link(&self, page: &str, state: &str, after: Option<&DeviceKey>) -> String {
        let after = after.map(path::device_segments).unwrap_or_default();
        let mut query = Serializer::new(String::new());
        let pairs = [("app", self.app), ("user", self.user), ("state", state), ("after", &after)];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
    }
}

/// The part of an app that its devices show.
pub(super) struct AppOfDevices {
    name: String,
    /// The version of its rules, if it has rules.
    rules: Option<String>,
}

impl AppOfDevices {
    pub(super) fn of(app: &CustomApp) -> Self {
        let settings = app.settings();
        let rules: &MobileSecurity = settings.mobile_security();
        Self {
            name: settings.name().to_owned(),
            rules: rules.has_rules().then(|| rules.document().version().to_owned()),
        }
    }

    /// Says whether a device has read the present rules.
    pub(super) fn rules_of(&self, device: &Device) -> &'static str {
        match (&self.rules, &device.policy_seen) {
            (None, _) => text::NO_RULES,
            (Some(present), Some(seen)) if present == seen => text::UP_TO_DATE,
            (Some(_), Some(_)) => text::OLD_RULES,
            (Some(_), None) => text::RULES_UNREAD,
        }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the devices of all apps.
    pub(in super::super) async fn devices(&self) -> Result<Page, Problem> {
        let query = self.query()?;
        let asked = Asked::of(&query);
        let found = self.find_devices(&asked, None).await?;
        let mut apps: BTreeMap<&ClientId, AppOfDevices> = BTreeMap::new();
        for device in &found.items {
            let client_id = &device.key.client_id;
            if apps.len() == MOST_APPS {
                break;
            }
            if !apps.contains_key(client_id)
                && let Some(app) = self.admin().find(client_id).await?
            {
                apps.insert(client_id, AppOfDevices::of(&app));
            }
        }
        let row = |device: &Device| {
            let client_id = &device.key.client_id;
            let app = apps.get(client_id);
            let name = app.map_or(client_id.as_str(), |app| &app.name);
            let url = self.app_link(client_id, Tab::Devices.path());
            self.device_row(device, app, Some((name.to_owned(), url)))
        };
        let rows = found.items.iter().map(row).collect();
        let frame = self.frame(text::TITLE);
        self.devices_page(frame, self.link("/devices"), &asked, Some(asked.app), rows, found.next)
    }

    /// Shows the devices of an app.
    pub(in super::super) async fn devices_of_app(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let query = self.query()?;
        let asked = Asked { app: "", ..Asked::of(&query) };
        let found = self.find_devices(&asked, Some(app.client_id())).await?;
        let known = AppOfDevices::of(&app);
        let row = |device: &Device| self.device_row(device, Some(&known), None);
        let rows = found.items.iter().map(row).collect();
        let page = self.app_link(app.client_id(), Tab::Devices.path());
        let frame = self.app_frame(&app, Tab::Devices);
        self.devices_page(frame, page, &asked, None, rows, found.next)
    }

    async fn find_devices(
        &self,
        asked: &Asked<'_>,
        fixed: Option<&ClientId>,
    ) -> Result<Listing<Device, DeviceKey>, Problem> {
        let Some(filter) = asked.filter(fixed) else { return Ok(Listing::new(Vec::new(), None)) };
        let mut page = store::Page::first(PER_PAGE);
        page.after.clone_from(&asked.after);
        Ok(self.admin().devices(&filter, page).await?)
    }

    fn device_row(
        &self,
        device: &Device,
        app: Option<&AppOfDevices>,
        named: Option<(String, String)>,
    ) -> Row {
        let key = &device.key;
        let read = if device.policy_seen.is_some() { text::RULES_READ } else { text::RULES_UNREAD };
        Row {
            name: device.name.clone(),
            id: key.device_id.to_string(),
            url: self.link(&format!("/devices/{}", path::device_segments(key))),
            app: named,
            user: key.subject.to_string(),
            user_url: self.link(&format!("/users/{}", path::segment_of(key.subject.as_str()))),
            last_seen: day_in_words(device.last_seen),
            rules: app.map_or(read, |app| app.rules_of(device)),
            wipe: WipeState::new(&device.wipe, &text::STATES, self.now()),
        }
    }

    fn devices_page<'a>(
        &self,
        frame: Frame<'a>,
        action: String,
        asked: &Asked<'a>,
        app: Option<&'a str>,
        rows: Vec<Row>,
        next: Option<DeviceKey>,
    ) -> Result<Page, Problem> {
        let state = |(value, name): (&'static str, &'static str)| Link {
            name,
            url: asked.link(&action, value, None),
            is_current: value == asked.state,
        };
        self.page(&Devices {
            frame,
            app,
            user: asked.user,
            state: asked.state,
            states: STATES.into_iter().map(state).collect(),
            is_narrowed: [asked.app, asked.user, asked.state].iter().any(|it| !it.is_empty()),
            rows,
            first: asked.after.is_some().then(|| asked.link(&action, asked.state, None)),
            next: next.map(|last| asked.link(&action, asked.state, Some(&last))),
            action,
        })
    }
}
