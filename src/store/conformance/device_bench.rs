//! The words of the checks of devices.

use super::bench::{Bench, Cast, GRANT_LIFE, HOUR, at};
use super::{Check, Runner, Violation};
use crate::store::{
    AdvanceWipe, CodeRedemption, Device, DeviceKey, DeviceSighting, DeviceStore, Grant,
    RequestWipe, RevocationReason, SeeDevice, Store, WipeAdvance, WipeRequest, WipeStep,
};

pub(super) const DAY: i64 = 24 * HOUR;
/// The steps of a wipe.
pub(super) const STEPS: [WipeStep; 4] =
    [WipeStep::Notify, WipeStep::Finish, WipeStep::Withdraw, WipeStep::Abandon];
/// How long these checks keep a device.
pub(super) const KEPT: i64 = 90 * DAY;
/// How long these checks keep a device that is to be wiped.
pub(super) const KEPT_TO_BE_WIPED: i64 = 365 * DAY;

impl Cast {
    /// Returns the name of the device in the store.
    pub(super) fn key(&self) -> DeviceKey {
        DeviceKey {
            client_id: self.client_id.clone(),
            subject: self.subject.clone(),
            device_id: self.device.clone(),
        }
    }

    /// Returns a grant that gets its device when its code is redeemed.
    pub(super) fn grant_without_device(&self) -> Check<Grant> {
        Ok(Grant { device: None, ..self.grant()? })
    }
}

/// Returns the sighting of `key` under `grant`.
pub(super) fn sighting(key: &DeviceKey, grant: &Grant, millis: i64) -> DeviceSighting {
    DeviceSighting {
        key: key.clone(),
        name: None,
        grant_id: grant.grant_id,
        salt_digest: grant.salt_digest,
        authorized_at: grant.authorized_at,
        keep_until: at(millis + KEPT),
        now: at(millis),
    }
}

/// Returns the order of an administrator to wipe `key`.
pub(super) fn order(key: &DeviceKey, millis: i64) -> WipeRequest {
    WipeRequest {
        key: key.clone(),
        by: Some("administrator".to_owned()),
        why: RevocationReason::Administrator,
        until: at(millis + GRANT_LIFE),
        keep_until: at(millis + KEPT_TO_BE_WIPED),
        now: at(millis),
    }
}

/// Returns a step of the order that was given at `ordered`.
pub(super) fn advance(key: &DeviceKey, step: WipeStep, ordered: i64, millis: i64) -> WipeAdvance {
    WipeAdvance {
        key: key.clone(),
        step,
        ordered_at: at(ordered),
        keep_until: at(millis + KEPT),
        now: at(millis),
    }
}

/// Returns the code of `grant`, presented with a device.
pub(super) fn code_on(key: &DeviceKey, grant: &Grant, millis: i64) -> CodeRedemption {
    CodeRedemption { device: Some(key.device_id.clone()), ..super::bench::code(grant, millis) }
}

impl<S: Store + DeviceStore, R: Runner> Bench<'_, S, R> {
    pub(super) fn see(&self, sighting: &DeviceSighting) -> Check<SeeDevice> {
        self.wait(self.store.see_device(sighting))
    }

    pub(super) fn device(&self, key: &DeviceKey) -> Check<Option<Device>> {
        self.wait(self.store.find_device(key))
    }

    pub(super) fn device_row(&self, key: &DeviceKey) -> Check<Device> {
        self.device(key)?.ok_or_else(|| Violation::new("a device that was seen is not found"))
    }

    pub(super) fn is_pending(&self, key: &DeviceKey) -> Check<bool> {
        Ok(self.device(key)?.is_some_and(|device| device.wipe.is_pending()))
    }

    pub(super) fn wipe(&self, request: &WipeRequest) -> Check<RequestWipe> {
        self.wait(self.store.request_wipe(request))
    }

    /// Takes a step of the order that was given at 0.
    pub(super) fn advance(
        &self,
        key: &DeviceKey,
        step: WipeStep,
        millis: i64,
    ) -> Check<AdvanceWipe> {
        self.wait(self.store.advance_wipe(&advance(key, step, 0, millis)))
    }

    /// Returns the device of `cast`, seen under a grant that has no row.
    pub(super) fn seen(&self, cast: &Cast) -> Check<DeviceKey> {
        let key = cast.key();
        match self.see(&sighting(&key, &cast.grant()?, 0))? {
            SeeDevice::Seen => Ok(key),
            SeeDevice::ToBeWiped => Err(Violation::new("a new device is to be wiped")),
        }
    }

    /// Orders the wipe of a device that has no pending one.
    pub(super) fn ordered(&self, key: &DeviceKey, millis: i64) -> Check {
        match self.wipe(&order(key, millis))? {
            RequestWipe::Requested(_) => Ok(()),
            other @ (RequestWipe::Pending(_) | RequestWipe::Wiped(_) | RequestWipe::Unknown) => {
                Err(Violation::new(format!("{other:?} for the first order of a known device")))
            }
        }
    }
}
