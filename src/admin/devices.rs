//! The devices of apps, and the orders to wipe them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Admin, AdminError, AdminParts, last_expiry};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, Listing, Page, RequestWipe, RevocationReason,
    RevocationTarget, Revoked, SharedDevices, Store, Wipe, WipeAdvance, WipeRequest, WipeStep,
};

/// How long an order to wipe is kept at least: a phone that was offline for a year is still wiped.
const ORDER_KEPT: Duration = Duration::from_hours(730 * 24);

/// The answer of [`Admin::revoke_and_wipe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevokedAndWiped {
    /// The revocation.
    pub revoked: Revoked,
    /// The number of devices whose wipe this call ordered.
    pub ordered: usize,
    /// The number of devices whose wipe was pending before.
    pub pending: usize,
    /// The number of devices that keep their data, because their app has no remote wipe or is deleted.
    pub kept: usize,
}

/// The orders of one call.
#[derive(Default)]
struct Wipes {
    ordered: usize,
    pending: usize,
    kept: usize,
    /// The apps that were looked up.
    has_remote_wipe: BTreeMap<ClientId, bool>,
}

impl<'a, S: Store> AdminParts<'a, S> {
    /// Returns the devices.
    pub(super) fn stored_devices(&self) -> Result<&'a dyn SharedDevices, AdminError> {
        self.devices.ok_or(AdminError::NoDevices)
    }

    /// Checks whether the app has remote wipe. A deleted one has none.
    async fn has_remote_wipe(&self, client_id: &ClientId) -> Result<bool, AdminError> {
        let app = self.store.read_app(client_id).await?;
        Ok(app.is_some_and(|app| app.settings().mobile_security().remote_wipe))
    }

    /// Orders the wipe of a device, if its app has remote wipe.
    pub(super) async fn order_wipe(
        &self,
        key: &DeviceKey,
        by: &str,
        why: RevocationReason,
    ) -> Result<Revoked, AdminError> {
        let devices = self.stored_devices()?;
        if !self.has_remote_wipe(&key.client_id).await? {
            return Err(AdminError::NoRemoteWipe);
        }
        match request_wipe(devices, key, by, why, self.clock.now()).await? {
            RequestWipe::Requested(revoked)
            | RequestWipe::Pending(revoked)
            | RequestWipe::Wiped(revoked) => Ok(revoked),
            RequestWipe::Unknown => Err(AdminError::UnknownDevice),
        }
    }

    /// Ends the order that `device` was read with.
    pub(super) async fn end_order(
        &self,
        device: Option<Device>,
        step: WipeStep,
    ) -> Result<(), AdminError> {
        let (devices, now) = (self.stored_devices()?, self.clock.now());
        let device = device.ok_or(AdminError::WipeNotWithdrawable)?;
        let ordered_at = device.wipe.order().ok_or(AdminError::WipeNotWithdrawable)?.at;
        let advance = WipeAdvance { key: device.key, step, ordered_at, keep_until: now, now };
        match devices.advance_wipe(&advance).await? {
            AdvanceWipe::Advanced => Ok(()),
            AdvanceWipe::Unchanged | AdvanceWipe::Refused => Err(AdminError::WipeNotWithdrawable),
        }
    }
}

async fn request_wipe(
    devices: &dyn SharedDevices,
    key: &DeviceKey,
    by: &str,
    why: RevocationReason,
    now: UnixTime,
) -> Result<RequestWipe, AdminError> {
    let request = WipeRequest {
        key: key.clone(),
        by: Some(by.to_owned()),
        why,
        until: last_expiry(now),
        keep_until: now.plus(ORDER_KEPT),
        now,
    };
    Ok(devices.request_wipe(&request).await?)
}

/// Devices: listing and wipe.
///
/// A revocation ends access, and the data stays on the phone. A wipe also removes the data. No revocation orders a
/// wipe, except [`revoke_and_wipe`](Self::revoke_and_wipe).
impl<S: Store> Admin<'_, S> {
    /// Checks whether the server has [devices](crate::ServerBuilder::devices).
    #[must_use]
    pub fn has_devices(&self) -> bool {
        self.parts.devices.is_some()
    }

    /// Lists devices in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoDevices`], and [`AdminError::Store`] if the read fails.
    pub async fn devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, AdminError> {
        Ok(self.parts.stored_devices()?.list_devices(filter, page).await?)
    }

    /// Finds a device.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoDevices`], and [`AdminError::Store`] if the read fails.
    pub async fn device(&self, key: &DeviceKey) -> Result<Option<Device>, AdminError> {
        Ok(self.parts.stored_devices()?.find_device(key).await?)
    }

    /// Orders the wipe of a device, and ends its access in the same step. When it returns, no token of the device is
    /// active. The data is gone once the phone has asked and reported: until then it stays on a phone that
    /// is offline. The order is kept for two years.
    ///
    /// While an order is pending, another one leaves it as it was, and succeeds. On a device that has reported and
    /// has not logged in since, it only ends access: nothing is left to wipe.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoDevices`]; [`AdminError::NoRemoteWipe`] unless the app has
    /// [`remote_wipe`](crate::app::MobileSecurity::remote_wipe); [`AdminError::UnknownDevice`]; and
    /// [`AdminError::Store`]: repeat the call.
    pub async fn order_wipe(&self, key: &DeviceKey) -> Result<Revoked, AdminError> {
        let result = self.parts.order_wipe(key, &self.name, RevocationReason::Administrator).await;
        self.record_order(key, &result);
        result
    }

    /// Withdraws the order to wipe a device, which keeps its data. Its access stays revoked: the user has to log
    /// in again.
    ///
    /// # Errors
    ///
    /// [`AdminError::WipeNotWithdrawable`] once the device has asked, or if no order is pending;
    /// [`AdminError::NoDevices`]; and [`AdminError::Store`]: repeat the call.
    pub async fn withdraw_wipe(&self, key: &DeviceKey) -> Result<(), AdminError> {
        let result = self.end_order(key, WipeStep::Withdraw).await;
        let action = Action::WithdrawWipe { device: key.device_id.clone() };
        self.record_device(action, key, &result);
        result
    }

    /// Gives up the order to wipe a device that will never report, also after it was told: it is lost for good or
    /// broken, or was reset without a report. The id may log in again. Its access of before stays revoked, and its
    /// data may still be on the phone.
    ///
    /// # Errors
    ///
    /// [`AdminError::WipeNotWithdrawable`] if no order is pending; [`AdminError::NoDevices`]; and
    /// [`AdminError::Store`]: repeat the call.
    pub async fn abandon_wipe(&self, key: &DeviceKey) -> Result<(), AdminError> {
        let result = self.end_order(key, WipeStep::Abandon).await;
        let action = Action::AbandonWipe { device: key.device_id.clone() };
        self.record_device(action, key, &result);
        result
    }

    async fn end_order(&self, key: &DeviceKey, step: WipeStep) -> Result<(), AdminError> {
        let device = self.parts.stored_devices()?.find_device(key).await?;
        self.parts.end_order(device, step).await
    }

    /// Orders the wipe of every known device of `target`, then [revokes](Self::revoke) the target. The devices of
    /// an app without remote wipe only lose access. `target` is an app, a user, both, a device, or everything.
    ///
    /// It is one step of the store a device, in pages of 200: some seconds for some thousand devices. A device that
    /// the store learns of during the call may lose access without being wiped. A call that was interrupted has
    /// ordered some of the wipes: repeat it.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoDevices`]; [`AdminError::NoDevicesOfTarget`] for another target; and [`AdminError::Store`].
    pub async fn revoke_and_wipe(
        &self,
        target: RevocationTarget,
    ) -> Result<RevokedAndWiped, AdminError> {
        // First the orders: a phone whose access has ended asks whether it is to be wiped.
        let mut wipes = Wipes::default();
        if let Err(error) = self.order_wipes(&target, &mut wipes).await {
            let result = Err(error);
            self.record_revocation(target, &result);
            return result;
        }
        let revoked = self.revoke(target).await?;
        let Wipes { ordered, pending, kept, .. } = wipes;
        Ok(RevokedAndWiped { revoked, ordered, pending, kept })
    }

    async fn order_wipes(
        &self,
        target: &RevocationTarget,
        wipes: &mut Wipes,
    ) -> Result<(), AdminError> {
        let devices = self.parts.stored_devices()?;
        let filter = match target {
            RevocationTarget::Everything => DeviceFilter::all(),
            RevocationTarget::App(app) => DeviceFilter::all().of_app(app.clone()),
            RevocationTarget::Subject(user) => DeviceFilter::all().of_subject(user.clone()),
            RevocationTarget::AppAndSubject(app, user) => {
                DeviceFilter::all().of_app(app.clone()).of_subject(user.clone())
            }
            RevocationTarget::Device(app, user, device) => {
                let (client_id, subject) = (app.clone(), user.clone());
                let key = DeviceKey { client_id, subject, device_id: device.clone() };
                return match devices.find_device(&key).await? {
                    Some(device) => self.wipe_listed(devices, device, wipes).await,
                    None => Ok(()),
                };
            }
            RevocationTarget::NamedDevice(_)
            | RevocationTarget::Session(_)
            | RevocationTarget::EvidenceIssuer(_)
            | RevocationTarget::Grant(_) => return Err(AdminError::NoDevicesOfTarget),
        };
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next {
            let listing = devices.list_devices(&filter, page.clone()).await?;
            for device in listing.items {
                self.wipe_listed(devices, device, wipes).await?;
            }
            next = listing.next.map(|last| page.after(last));
        }
        Ok(())
    }

    async fn wipe_listed(
        &self,
        devices: &dyn SharedDevices,
        device: Device,
        wipes: &mut Wipes,
    ) -> Result<(), AdminError> {
        let key = device.key;
        if matches!(device.wipe, Wipe::Done { .. }) {
            // Its data is gone, and it has not logged in since.
            return Ok(());
        }
        let known = wipes.has_remote_wipe.get(&key.client_id).copied();
        let has_remote_wipe = match known {
            Some(known) => known,
            None => self.parts.has_remote_wipe(&key.client_id).await?,
        };
        wipes.has_remote_wipe.insert(key.client_id.clone(), has_remote_wipe);
        if !has_remote_wipe {
            wipes.kept += 1;
            return Ok(());
        }
        let (why, now) = (RevocationReason::Administrator, self.parts.clock.now());
        let result = request_wipe(devices, &key, &self.name, why, now).await;
        match &result {
            Ok(RequestWipe::Requested(_)) => wipes.ordered += 1,
            Ok(RequestWipe::Pending(_)) => {
                wipes.pending += 1;
                return Ok(());
            }
            // It was removed, or has reported, after it was listed.
            Ok(RequestWipe::Unknown | RequestWipe::Wiped(_)) => return Ok(()),
            Err(_) => {}
        }
        self.record_order(&key, &result);
        result.map(drop)
    }

    fn record_order<T>(&self, key: &DeviceKey, result: &Result<T, AdminError>) {
        self.record_device(Action::OrderWipe { device: key.device_id.clone() }, key, result);
    }

    fn record_device<T>(&self, action: Action, key: &DeviceKey, result: &Result<T, AdminError>) {
        let event = self.event(action, result);
        self.parts.record(&event.with_app(&key.client_id).with_subject(&key.subject));
    }
}
