//! The devices of a store with a fault.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use grantor::clock::UnixTime;
use grantor::ids::{GrantId, Subject};
use grantor::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, GrantStore as _,
    Listing, Page, Pruned, RequestWipe, Revoked, SeeDevice, StoreError, Wipe, WipeAdvance,
    WipeRequest,
};

use super::{
    AlteredStore, ForgetsInstallations, KeepsEveryDevice, OrdersAfterTheRevocation,
    PrunesDevicesEarly, ReadsThenWritesDevices, RevokesAfterTheOrder, SeesWhatIsToBeWiped,
    SharesDevicesAmongUsers, TakesStepsOfOtherOrders, yield_once,
};

impl AlteredStore {
    fn devices(&self) -> MutexGuard<'_, BTreeMap<DeviceKey, Device>> {
        self.devices.lock().unwrap()
    }

    /// Returns the key of the row that the store has for `key`.
    fn place(&self, key: &DeviceKey) -> DeviceKey {
        if self.is(SharesDevicesAmongUsers) {
            return DeviceKey { subject: Subject::new("anyone").unwrap(), ..key.clone() };
        }
        key.clone()
    }

    /// Returns the row that the store has for `key`.
    fn found(&self, key: &DeviceKey) -> Option<Device> {
        let device = self.devices().get(&self.place(key)).cloned()?;
        Some(Device { key: key.clone(), ..device })
    }

    /// Writes the order into the row of the device, if there is one, and returns the answer.
    fn order(
        &self,
        devices: &mut BTreeMap<DeviceKey, Device>,
        request: &WipeRequest,
    ) -> Option<fn(Revoked) -> RequestWipe> {
        let device = devices.get_mut(&self.place(&request.key))?;
        let kept = device.keep_until;
        let answer = device.order_wipe(request);
        if self.is(PrunesDevicesEarly) {
            device.keep_until = kept;
        }
        Some(answer)
    }

    async fn end_access(&self, request: &WipeRequest) -> Result<Revoked, StoreError> {
        self.sound.revoke(&request.revocation()).await
    }
}

impl DeviceStore for AlteredStore {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        let see = async {
            let mut devices = self.devices();
            let place = self.place(&sighting.key);
            let device = devices.entry(place.clone()).or_insert_with(|| Device::first(sighting));
            if self.is(SeesWhatIsToBeWiped) {
                device.wipe = Wipe::None;
            }
            let installed_at = device.installed_at;
            if device.see(sighting) == SeeDevice::ToBeWiped {
                return SeeDevice::ToBeWiped;
            }
            if self.is(ForgetsInstallations) {
                device.installed_at = installed_at;
            }
            if !self.is(KeepsEveryDevice) {
                for gone in Device::crowded_out(&place, devices.values()) {
                    devices.remove(&gone);
                }
            }
            SeeDevice::Seen
        };
        Ok(self.step(see).await)
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        Ok(self.step(async { self.found(key) }).await)
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        let find = async {
            let devices = self.devices();
            let of_grant = devices.values().filter(|device| device.grant_id == *grant_id);
            of_grant.max_by_key(|it| (it.wipe.is_pending(), it.last_seen)).cloned()
        };
        Ok(self.step(find).await)
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        let list = async {
            let devices = self.devices();
            let is_later =
                |device: &&Device| page.after.as_ref().is_none_or(|after| device.key > *after);
            let wanted = devices.values().filter(|device| filter.admits(device));
            let wanted = wanted.filter(is_later).cloned().collect();
            Listing::first_of(wanted, page.limit, |last: &Device| last.key.clone())
        };
        Ok(self.step(list).await)
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        if self.is(OrdersAfterTheRevocation) {
            if self.found(&request.key).is_none() {
                return Ok(RequestWipe::Unknown);
            }
            let revoked = self.end_access(request).await?;
            yield_once().await;
            std::thread::yield_now();
            let answer = self.order(&mut self.devices(), request);
            return Ok(answer.map_or(RequestWipe::Unknown, |answer| answer(revoked)));
        }
        if self.is(RevokesAfterTheOrder) {
            let answer = self.order(&mut self.devices(), request);
            let Some(answer) = answer else { return Ok(RequestWipe::Unknown) };
            yield_once().await;
            std::thread::yield_now();
            return Ok(answer(self.end_access(request).await?));
        }
        let order = async {
            // Each reader of the devices waits, and no await does.
            let mut devices = self.devices();
            let Some(answer) = self.order(&mut devices, request) else {
                return RequestWipe::Unknown;
            };
            answer(self.sound.lock().enter(request.revocation()))
        };
        Ok(self.step(order).await)
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        let key = &advance.key;
        if self.is(ReadsThenWritesDevices) {
            let Some(mut device) = self.found(key) else { return Ok(AdvanceWipe::Refused) };
            let answer = device.advance_wipe(advance);
            std::thread::yield_now();
            self.devices().insert(key.clone(), device);
            return Ok(answer);
        }
        let step = async {
            let mut devices = self.devices();
            let Some(device) = devices.get_mut(&self.place(key)) else {
                return AdvanceWipe::Refused;
            };
            let mut advance = advance.clone();
            if let Some(order) = device.wipe.order().filter(|_| self.is(TakesStepsOfOtherOrders)) {
                advance.ordered_at = order.at;
            }
            device.advance_wipe(&advance)
        };
        Ok(self.step(step).await)
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        let note = async {
            if let Some(device) = self.devices().get_mut(&self.place(key)) {
                device.policy_seen = Some(version.to_owned());
            }
        };
        self.step(note).await;
        Ok(())
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let prune = async {
            let (mut removed, mut more) = (0, false);
            self.devices().retain(|_, device| {
                let is_due = device.keep_until <= now;
                let is_removed = is_due && removed < limit;
                removed += usize::from(is_removed);
                more |= is_due && !is_removed;
                !is_removed
            });
            Pruned { removed, more }
        };
        Ok(self.step(prune).await)
    }
}
