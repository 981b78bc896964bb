//! [`DeviceStore`] in memory.

use std::collections::{BTreeSet, HashMap};

use super::listing::FirstOf;
use super::table::{Row, SWEEP, Table};
use super::{MemoryStore, read, write};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing, Page,
    Pruned, RequestWipe, SeeDevice, StoreError, WipeRequest, WipeStep,
};

impl Row for Device {
    fn inert_at(&self) -> UnixTime {
        self.keep_until
    }
}

/// The devices, by their keys and by the grants under which they were last seen.
#[derive(Default)]
pub(super) struct Devices {
    rows: Table<DeviceKey, Device>,
    of_grants: HashMap<GrantId, BTreeSet<DeviceKey>>,
}

impl Devices {
    fn see(&mut self, sighting: &DeviceSighting) -> SeeDevice {
        self.prune(sighting.now, SWEEP);
        let key = &sighting.key;
        if let Some(device) = self.rows.find_mut(key) {
            let before = device.grant_id;
            let answer = device.see(sighting);
            if answer == SeeDevice::ToBeWiped {
                return answer;
            }
            if before != sighting.grant_id {
                self.forget(before, key);
            }
        } else {
            self.rows.place(key.clone()).put(Device::first(sighting));
        }
        self.of_grants.entry(sighting.grant_id).or_default().insert(key.clone());
        SeeDevice::Seen
    }

    fn of_grant(&self, grant_id: &GrantId) -> Option<&Device> {
        let keys = self.of_grants.get(grant_id)?;
        let devices = keys.iter().filter_map(|key| self.rows.find(key));
        let rank = |device: &Device| (device.wipe.is_pending(), device.last_seen);
        devices.reduce(|best, next| if rank(next) > rank(best) { next } else { best })
    }

    fn forget(&mut self, grant_id: GrantId, key: &DeviceKey) {
        if let Some(keys) = self.of_grants.get_mut(&grant_id) {
            keys.remove(key);
            if keys.is_empty() {
                self.of_grants.remove(&grant_id);
            }
        }
    }

    fn prune(&mut self, now: UnixTime, limit: usize) -> Pruned {
        let mut removed = 0;
        while removed < limit
            && let Some(device) = self.rows.pop_inert(now)
        {
            self.forget(device.grant_id, &device.key);
            removed += 1;
        }
        Pruned { removed, more: self.rows.has_inert(now) }
    }
}

impl DeviceStore for MemoryStore {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        Ok(write(&self.devices).see(sighting))
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        Ok(read(&self.devices).rows.find(key).cloned())
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        Ok(read(&self.devices).of_grant(grant_id).cloned())
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        let mut first = FirstOf::new(page);
        for (key, device) in read(&self.devices).rows.rows() {
            if filter.admits(device) && first.wants(key) {
                first.put(key.clone(), device.clone());
            }
        }
        Ok(first.into_listing())
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        // Held until the cutoff is in force: no reader sees the order without it.
        let mut devices = write(&self.devices);
        let Some(device) = devices.rows.find_mut(&request.key) else {
            return Ok(RequestWipe::Unknown);
        };
        let is_new = device.order_wipe(request);
        let revoked = self.cut_off(&request.revocation());
        Ok(if is_new { RequestWipe::Requested(revoked) } else { RequestWipe::Pending(revoked) })
    }

    async fn advance_wipe(
        &self,
        key: &DeviceKey,
        step: WipeStep,
        keep_until: UnixTime,
        now: UnixTime,
    ) -> Result<AdvanceWipe, StoreError> {
        let mut devices = write(&self.devices);
        let device = devices.rows.find_mut(key);
        Ok(device.map_or(AdvanceWipe::Refused, |it| it.advance_wipe(step, keep_until, now)))
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        if let Some(device) = write(&self.devices).rows.find_mut(key) {
            device.policy_seen = Some(version.to_owned());
        }
        Ok(())
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        Ok(write(&self.devices).prune(now, limit))
    }
}
