//! The devices of the user, and their wipe.

use askama::Template;
use http::StatusCode;

use super::super::problem::Problem;
use super::super::texts::account as text;
use super::super::times::day_in_words;
use super::super::visit::render;
use super::super::wipe_state::WipeState;
use super::super::{path, texts};
use super::visit::{AccountVisit, Frame};
use crate::admin::AuthorizedDevice;
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{ClientId, DeviceId};
use crate::store::Store;
use crate::users::UserDirectory;

/// The devices on the page of the user.
pub(super) struct Devices {
    pub(super) rows: Vec<Row>,
    pub(super) is_more: bool,
}

/// A device.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) last_seen: (String, String),
    pub(super) wipe: Option<WipeState>,
    /// The page that orders its wipe.
    pub(super) order: Option<String>,
    /// The form that withdraws the order.
    pub(super) withdraw: Option<String>,
}

#[derive(Template)]
#[template(path = "account/wipe.html")]
struct WipePage<'a> {
    frame: Frame<'a>,
    name: String,
    app: String,
    last_seen: (String, String),
    action: String,
    cancel: String,
}

/// Returns the name for people, or the id if the app told none.
fn name_of(device: &AuthorizedDevice) -> String {
    device.name.clone().unwrap_or_else(|| device.device_id.to_string())
}

impl<S: Store, U: UserDirectory, H: Hooks> AccountVisit<'_, S, U, H> {
    /// Returns the devices, if the server has devices.
    pub(super) async fn devices(&self) -> Result<Option<Devices>, Problem> {
        let account = self.account();
        if !account.has_devices() {
            return Ok(None);
        }
        let (listed, now) = (account.devices().await?, self.server.now());
        let rows = listed.devices.iter().map(|device| self.device_row(device, now)).collect();
        Ok(Some(Devices { rows, is_more: listed.more }))
    }

    fn device_row(&self, device: &AuthorizedDevice, now: UnixTime) -> Row {
        let is_own = device.wipe.order().is_none_or(|it| it.by == self.login.subject().as_str());
        let sentences = if is_own { &text::OWN_WIPE } else { &text::WIPE_BY_ADMINISTRATOR };
        let link = |act| self.device_link(&device.client_id, &device.device_id, act);
        Row {
            name: name_of(device),
            app: device.app_name.clone(),
            last_seen: day_in_words(device.last_seen),
            wipe: WipeState::new(&device.wipe, sentences, now),
            order: device.may_wipe.then(|| link("wipe")),
            withdraw: device.may_withdraw.then(|| link("withdraw")),
        }
    }

    /// Shows what a wipe does.
    pub(super) async fn confirm_wipe(&self, app: &str, device: &str) -> Result<Page, Problem> {
        let (client_id, device_id) = named(app, device)?;
        let found = self.account().device(&client_id, &device_id).await?;
        let device = found.ok_or(Problem::DeviceGone)?;
        if !device.may_wipe {
            return Err(Problem::NoRemoteWipe);
        }
        let page = WipePage {
            frame: self.frame(text::WIPE_TITLE),
            name: name_of(&device),
            last_seen: day_in_words(device.last_seen),
            app: device.app_name,
            action: self.device_link(&client_id, &device_id, "wipe"),
            cancel: self.link(""),
        };
        render(StatusCode::OK, &page)
    }

    /// Orders the wipe of a device. A second order of the same device is one more success.
    pub(super) async fn wipe(&self, app: &str, device: &str) -> Result<Page, Problem> {
        let (client_id, device_id) = named(app, device)?;
        self.account().order_wipe(&client_id, &device_id).await?;
        Ok(self.to(&self.link("")))
    }

    /// Withdraws an order of the user.
    pub(super) async fn withdraw(&self, app: &str, device: &str) -> Result<Page, Problem> {
        let (client_id, device_id) = named(app, device)?;
        self.account().withdraw_wipe(&client_id, &device_id).await?;
        Ok(self.to(&self.link("")))
    }

    fn device_link(&self, client_id: &ClientId, device_id: &DeviceId, act: &str) -> String {
        let device = path::segment_of(device_id.as_str());
        self.link(&format!("/devices/{}/{device}/{act}", path::segment(client_id)))
    }
}

/// Reads the device that two segments of the path name.
fn named(app: &str, device: &str) -> Result<(ClientId, DeviceId), Problem> {
    path::client_id(app).zip(path::device_id(device)).ok_or(Problem::NotFound)
}
