//! [`DeviceStore`] in memory.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::listing::FirstOf;
use super::table::{Row, SWEEP, Table};
use super::{MemoryStore, read, write};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Subject};
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing, Page,
    Pruned, RequestWipe, SeeDevice, StoreError, WipeAdvance, WipeRequest,
};

impl Row for Device {
    type Queued = UnixTime;

    fn inert_at(&self) -> UnixTime {
        self.keep_until
    }
}

/// The devices, by their keys, by the grants under which they were last seen, and by app and user.
#[derive(Default)]
pub(super) struct Devices {
    rows: Table<DeviceKey, Device>,
    of_grants: HashMap<GrantId, BTreeSet<DeviceKey>>,
    of_users: HashMap<(ClientId, Subject), BTreeSet<DeviceId>>,
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
                take_from(&mut self.of_grants, &before, key);
            }
        } else {
            self.rows.place(key.clone()).put(Device::first(sighting));
            self.of_users.entry(user(key)).or_default().insert(key.device_id.clone());
        }
        self.of_grants.entry(sighting.grant_id).or_default().insert(key.clone());
        for key in Device::crowded_out(key, self.of_user(key)) {
            if let Some(device) = self.rows.remove(&key) {
                self.forget(&device);
            }
        }
        SeeDevice::Seen
    }

    /// Returns the devices of the app and user of `key`.
    fn of_user(&self, key: &DeviceKey) -> impl Iterator<Item = &Device> {
        let ids = self.of_users.get(&user(key)).into_iter().flatten();
        ids.filter_map(|id| self.rows.find(&DeviceKey { device_id: id.clone(), ..key.clone() }))
    }

    fn of_grant(&self, grant_id: &GrantId) -> Option<&Device> {
        let keys = self.of_grants.get(grant_id)?;
        let devices = keys.iter().filter_map(|key| self.rows.find(key));
        let rank = |device: &Device| (device.wipe.is_pending(), device.last_seen);
        devices.reduce(|best, next| if rank(next) > rank(best) { next } else { best })
    }

    /// Removes a device that has no row any more from the indexes.
    fn forget(&mut self, Device { key, grant_id, .. }: &Device) {
        take_from(&mut self.of_grants, grant_id, key);
        take_from(&mut self.of_users, &user(key), &key.device_id);
    }

    fn prune(&mut self, now: UnixTime, limit: usize) -> Pruned {
        let mut removed = 0;
        while removed < limit
            && let Some(device) = self.rows.pop_inert(now)
        {
            self.forget(&device);
            removed += 1;
        }
        Pruned { removed, more: self.rows.has_inert(now) }
    }
}

fn user(key: &DeviceKey) -> (ClientId, Subject) {
    (key.client_id.clone(), key.subject.clone())
}

/// Removes `item` from the set at `place`, and the set with its last item.
fn take_from<K: Eq + Hash, T: Ord>(sets: &mut HashMap<K, BTreeSet<T>>, place: &K, item: &T) {
    if let Some(set) = sets.get_mut(place) {
        set.remove(item);
        if set.is_empty() {
            sets.remove(place);
        }
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
        let answer = device.order_wipe(request);
        Ok(answer(self.cut_off(&request.revocation())))
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        let mut devices = write(&self.devices);
        let device = devices.rows.find_mut(&advance.key);
        Ok(device.map_or(AdvanceWipe::Refused, |it| it.advance_wipe(advance)))
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
