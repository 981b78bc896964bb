//! A device: how far its wipe is, and two acts that must not be confused: the end of its access, and its wipe.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Crumb, Done, Frame};
use super::super::path;
use super::super::problem::Problem;
use super::super::texts::{self, devices as text};
use super::super::times::{When, day_in_words};
use super::super::visit::Visit;
use super::super::wipe_state::{Part, WipeState};
use super::devices::AppOfDevices;
use super::revoke_access::RevokeAccess;
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::{Device, DeviceKey, RevocationTarget, Store, Wipe};
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/device.html")]
struct DevicePage<'a> {
    frame: Frame<'a>,
    app: String,
    app_url: String,
    user: String,
    user_url: String,
    id: String,
    first_seen: When,
    last_seen: (String, String),
    rules: &'static str,
    wipe: Option<WipeState>,
    may_act: bool,
    revoke: String,
    act: Act,
}

/// The act that concerns the wipe.
enum Act {
    /// The page that orders it.
    Order(String),
    /// The form that withdraws the order.
    Withdraw(String),
    /// The page that gives the order up.
    Abandon(String),
    /// There is none, for a reason.
    None(&'static str),
}

#[derive(Template)]
#[template(path = "console/device_wipe.html")]
struct WipePage<'a> {
    frame: Frame<'a>,
    name: String,
    device: Device,
    app: String,
    action: String,
    cancel: String,
    typed: &'a str,
    is_wrong: bool,
}

#[derive(Template)]
#[template(path = "console/device_abandon.html")]
struct AbandonPage<'a> {
    frame: Frame<'a>,
    name: String,
    device: Device,
    app: String,
    wipe: Option<WipeState>,
    action: String,
    cancel: String,
}

/// Returns the name of a device for people, or its id.
fn name_of(device: &Device) -> String {
    device.name.clone().unwrap_or_else(|| device.key.device_id.to_string())
}

/// Returns the name of the app of a device, or its id if it is deleted.
fn name_of_app(app: Option<&CustomApp>, key: &DeviceKey) -> String {
    app.map_or_else(|| key.client_id.to_string(), |app| app.settings().name().to_owned())
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows a device.
    pub(in super::super) async fn device(&self, segments: &[&str]) -> Result<Page, Problem> {
        let device = self.found_device(segments).await?;
        let key = &device.key;
        let app = self.admin().find(&key.client_id).await?;
        let obeys = app.as_ref().is_some_and(|app| app.settings().mobile_security().remote_wipe);
        let page = self.device_link(key);
        let act = match &device.wipe {
            Wipe::Requested { .. } => Act::Withdraw(format!("{page}/withdraw")),
            Wipe::Notified { .. } => Act::Abandon(format!("{page}/abandon")),
            Wipe::Done { .. } => Act::None(text::WIPE_AGAIN),
            Wipe::None if obeys => Act::Order(format!("{page}/wipe")),
            Wipe::None => Act::None(text::WIPE_IMPOSSIBLE),
        };
        let rules =
            app.as_ref().map_or(text::NO_RULES, |app| AppOfDevices::of(app).rules_of(&device));
        self.page(&DevicePage {
            frame: self.device_frame(&device, name_of(&device), false),
            app: name_of_app(app.as_deref(), key),
            app_url: self.app_link(&key.client_id, ""),
            user: key.subject.to_string(),
            user_url: self.link(&format!("/users/{}", path::segment_of(key.subject.as_str()))),
            id: key.device_id.to_string(),
            first_seen: When::new(device.first_seen, self.now()),
            last_seen: day_in_words(device.last_seen),
            rules,
            wipe: WipeState::new(&device.wipe, &text::STATES, self.now()),
            may_act: self.may(ConsoleRole::Security),
            revoke: format!("{page}/revoke"),
            act,
        })
    }

    /// Shows the page of an act on a device, or acts.
    pub(in super::super) async fn device_act(
        &self,
        is_post: bool,
        segments: &[&str],
        act: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        match (is_post, act) {
            (false, "revoke") => self.confirm_device_revocation(segments).await,
            (true, "revoke") => self.revoke_device(segments).await,
            (false, "wipe") => self.wipe_form(StatusCode::OK, segments, None).await,
            (true, "wipe") => self.wipe(segments, form).await,
            (true, "withdraw") => self.withdraw_wipe(segments).await,
            (false, "abandon") => self.confirm_abandonment(segments).await,
            (true, "abandon") => self.abandon_wipe(segments).await,
            _ => Err(Problem::NotFound),
        }
    }

    /// Shows what the revocation of a device would end.
    async fn confirm_device_revocation(&self, segments: &[&str]) -> Result<Page, Problem> {
        let device = self.found_device(segments).await?;
        let name = name_of(&device);
        let [title, happens, undo, button] = text::ONE_DEVICE;
        let page = self.device_link(&device.key);
        self.page(&RevokeAccess {
            frame: self.device_frame(&device, title.to_owned(), true),
            user: device.key.subject.as_str(),
            device: Some(&name),
            happens,
            undo,
            button,
            ends: vec![text::ENDS.to_owned()],
            action: format!("{page}/revoke"),
            cancel: page,
            field: None,
            may_wipe: false,
        })
    }

    /// Revokes the access of a device. Its data stays.
    async fn revoke_device(&self, segments: &[&str]) -> Result<Page, Problem> {
        let key = self.found_device(segments).await?.key;
        let page = self.device_link(&key);
        let DeviceKey { client_id, subject, device_id } = key;
        self.admin().revoke(RevocationTarget::Device(client_id, subject, device_id)).await?;
        Ok(self.see(&page, Done::AccessEnded))
    }

    /// Orders the wipe, if the word was typed.
    async fn wipe(&self, segments: &[&str], form: &Fields) -> Result<Page, Problem> {
        let typed = form.one("word").trim();
        if !typed.eq_ignore_ascii_case(text::WORD) {
            return self.wipe_form(StatusCode::UNPROCESSABLE_ENTITY, segments, Some(typed)).await;
        }
        let key = path::device(segments).ok_or(Problem::NotFound)?;
        self.admin().order_wipe(&key).await?;
        Ok(self.see(&self.device_link(&key), Done::WipeOrdered))
    }

    /// Withdraws the order.
    async fn withdraw_wipe(&self, segments: &[&str]) -> Result<Page, Problem> {
        let key = path::device(segments).ok_or(Problem::NotFound)?;
        self.admin().withdraw_wipe(&key).await?;
        Ok(self.see(&self.device_link(&key), Done::WipeWithdrawn))
    }

    /// Shows what is left if an order is given up.
    async fn confirm_abandonment(&self, segments: &[&str]) -> Result<Page, Problem> {
        let device = self.found_device(segments).await?;
        if !device.wipe.is_pending() {
            return Err(Problem::WipeNotWithdrawable);
        }
        let app = self.admin().find(&device.key.client_id).await?;
        let page = self.device_link(&device.key);
        self.page(&AbandonPage {
            frame: self.device_frame(&device, text::ABANDON.to_owned(), true),
            name: name_of(&device),
            app: name_of_app(app.as_deref(), &device.key),
            wipe: WipeState::new(&device.wipe, &text::STATES, self.now()),
            action: format!("{page}/abandon"),
            cancel: page,
            device,
        })
    }

    /// Gives the order up.
    async fn abandon_wipe(&self, segments: &[&str]) -> Result<Page, Problem> {
        let key = path::device(segments).ok_or(Problem::NotFound)?;
        self.admin().abandon_wipe(&key).await?;
        Ok(self.see(&self.device_link(&key), Done::WipeAbandoned))
    }

    /// Shows what a wipe does.
    async fn wipe_form(
        &self,
        status: StatusCode,
        segments: &[&str],
        typed: Option<&str>,
    ) -> Result<Page, Problem> {
        let device = self.found_device(segments).await?;
        let app = self.admin().find(&device.key.client_id).await?.ok_or(Problem::NoRemoteWipe)?;
        if !app.settings().mobile_security().remote_wipe {
            return Err(Problem::NoRemoteWipe);
        }
        let page = self.device_link(&device.key);
        let form = WipePage {
            frame: self.device_frame(&device, text::WIPE_PAGE.to_owned(), true),
            name: name_of(&device),
            app: app.settings().name().to_owned(),
            action: format!("{page}/wipe"),
            cancel: page,
            typed: typed.unwrap_or_default(),
            is_wrong: typed.is_some(),
            device,
        };
        self.page_with(status, &form)
    }

    async fn found_device(&self, segments: &[&str]) -> Result<Device, Problem> {
        let key = path::device(segments).ok_or(Problem::NotFound)?;
        self.admin().device(&key).await?.ok_or(Problem::DeviceGone)
    }

    fn device_link(&self, key: &DeviceKey) -> String {
        self.link(&format!("/devices/{}", path::device_segments(key)))
    }

    /// Returns the frame of a device's page, or of a page below it.
    fn device_frame(&self, device: &Device, title: String, is_below: bool) -> Frame<'_> {
        let frame = self.frame(title).with_crumb(Crumb::devices(self));
        if !is_below {
            return frame;
        }
        frame.with_crumb(Crumb { name: name_of(device), url: self.device_link(&device.key) })
    }
}
