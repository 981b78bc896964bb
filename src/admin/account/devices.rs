//! The devices of a user, and the orders to wipe them.

use std::collections::BTreeMap;

use super::{Account, AdminError};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId};
use crate::store::{
    Device, DeviceFilter, DeviceKey, Page, RevocationReason, Revoked, Store, Wipe, WipeStep,
};

/// The installations of apps on the phones of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedDevices {
    /// The devices in the order of their apps and ids.
    pub devices: Vec<AuthorizedDevice>,
    /// Whether the user has more devices than were read.
    pub more: bool,
}

/// An installation of an app on a phone of a user. Escape every text: apps and administrators wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedDevice {
    /// The app.
    pub client_id: ClientId,
    /// The name of the app, or its client id if it is deleted.
    pub app_name: String,
    /// The identifier of the installation.
    pub device_id: DeviceId,
    /// The name for people, if the app told one.
    pub name: Option<String>,
    /// When it was first seen.
    pub first_seen: UnixTime,
    /// When it was last seen, to the day.
    pub last_seen: UnixTime,
    /// How far the wipe of its data is.
    pub wipe: Wipe,
    /// Whether the user may order its wipe: its app has remote wipe, and none is pending.
    pub may_wipe: bool,
    /// Whether the user may withdraw the order: the user gave it, and the device has not asked.
    pub may_withdraw: bool,
}

impl<S: Store> Account<'_, S> {
    /// The greatest number of devices that [`devices`](Self::devices) reads.
    pub const MAX_DEVICES: usize = 1_000;

    /// Checks whether the server has [devices](crate::ServerBuilder::devices).
    #[must_use]
    pub fn has_devices(&self) -> bool {
        self.parts.devices.is_some()
    }

    /// Lists the user's installations of apps on phones. Reads up to [`MAX_DEVICES`](Self::MAX_DEVICES).
    ///
    /// # Errors
    ///
    /// [`AdminError::NoDevices`], and [`AdminError::Store`] if a read fails.
    pub async fn devices(&self) -> Result<AuthorizedDevices, AdminError> {
        let stored = self.parts.stored_devices()?;
        let filter = DeviceFilter::all().of_subject(self.subject.clone());
        let mut apps = BTreeMap::new();
        let mut devices = Vec::new();
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next.clone()
            && devices.len() < Self::MAX_DEVICES
        {
            let listing = stored.list_devices(&filter, page.clone()).await?;
            for device in listing.items {
                devices.push(self.named_device(device, &mut apps).await?);
            }
            next = listing.next.map(|last| page.after(last));
        }
        Ok(AuthorizedDevices { devices, more: next.is_some() })
    }

    /// Finds an installation of the user.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoDevices`], and [`AdminError::Store`] if a read fails.
    pub async fn device(
        &self,
        client_id: &ClientId,
        device_id: &DeviceId,
    ) -> Result<Option<AuthorizedDevice>, AdminError> {
        let key = self.device_key(client_id, device_id);
        match self.parts.stored_devices()?.find_device(&key).await? {
            Some(device) => Ok(Some(self.named_device(device, &mut BTreeMap::new()).await?)),
            None => Ok(None),
        }
    }

    /// Orders the wipe of a device of the user, and ends its access in the same step, as
    /// [`Admin::order_wipe`](crate::admin::Admin::order_wipe) does.
    ///
    /// # Errors
    ///
    /// As [`Admin::order_wipe`](crate::admin::Admin::order_wipe). A device of another user does not exist.
    pub async fn order_wipe(
        &self,
        client_id: &ClientId,
        device_id: &DeviceId,
    ) -> Result<Revoked, AdminError> {
        let key = self.device_key(client_id, device_id);
        let (by, why) = (self.subject.as_str(), RevocationReason::ConsentWithdrawn);
        let result = self.parts.order_wipe(&key, by, why).await;
        self.record(Action::OrderWipe { device: key.device_id }, Some(client_id), &result);
        result
    }

    /// Withdraws an order that the user gave, as [`Admin::withdraw_wipe`](crate::admin::Admin::withdraw_wipe)
    /// does. Only an administrator withdraws the order of an administrator.
    ///
    /// # Errors
    ///
    /// As [`Admin::withdraw_wipe`](crate::admin::Admin::withdraw_wipe), and
    /// [`AdminError::WipeNotWithdrawable`] if an administrator gave the order.
    pub async fn withdraw_wipe(
        &self,
        client_id: &ClientId,
        device_id: &DeviceId,
    ) -> Result<(), AdminError> {
        let key = self.device_key(client_id, device_id);
        let result = self.withdraw_own(&key).await;
        self.record(Action::WithdrawWipe { device: key.device_id }, Some(client_id), &result);
        result
    }

    async fn withdraw_own(&self, key: &DeviceKey) -> Result<(), AdminError> {
        let device = self.parts.stored_devices()?.find_device(key).await?;
        let device = device.filter(|device| self.may_withdraw(&device.wipe));
        self.parts.end_order(device, WipeStep::Withdraw).await
    }

    fn may_withdraw(&self, wipe: &Wipe) -> bool {
        matches!(wipe, Wipe::Requested { order } if order.by == self.subject.as_str())
    }

    fn device_key(&self, client_id: &ClientId, device_id: &DeviceId) -> DeviceKey {
        DeviceKey {
            client_id: client_id.clone(),
            subject: self.subject.clone(),
            device_id: device_id.clone(),
        }
    }

    /// Adds to `device` what its app says. `apps` has the names of the apps that were looked up, and whether
    /// they have remote wipe.
    async fn named_device(
        &self,
        device: Device,
        apps: &mut BTreeMap<ClientId, (String, bool)>,
    ) -> Result<AuthorizedDevice, AdminError> {
        let client_id = device.key.client_id;
        if !apps.contains_key(&client_id) {
            let app = self.parts.store.find_app(&client_id).await?;
            let known = app.map_or_else(
                || (client_id.to_string(), false),
                |app| {
                    let settings = app.settings();
                    (settings.name().to_owned(), settings.mobile_security().remote_wipe)
                },
            );
            apps.insert(client_id.clone(), known);
        }
        let (app_name, has_remote_wipe) = apps.get(&client_id).cloned().unwrap_or_default();
        Ok(AuthorizedDevice {
            client_id,
            app_name,
            device_id: device.key.device_id,
            name: device.name,
            first_seen: device.first_seen,
            last_seen: device.last_seen,
            may_wipe: has_remote_wipe && device.wipe == Wipe::None,
            may_withdraw: self.may_withdraw(&device.wipe),
            wipe: device.wipe,
        })
    }
}
