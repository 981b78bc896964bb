//! Devices are not cached: every call goes to the store.

use super::CachedApps;
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing, Page,
    Pruned, RequestWipe, SeeDevice, StoreError, WipeAdvance, WipeRequest,
};

impl<S: DeviceStore> DeviceStore for CachedApps<S> {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        self.store.see_device(sighting).await
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        self.store.find_device(key).await
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        self.store.find_device_of(grant_id).await
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        self.store.list_devices(filter, page).await
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        let answer = self.store.request_wipe(request).await?;
        if let RequestWipe::Requested(revoked)
        | RequestWipe::Pending(revoked)
        | RequestWipe::Wiped(revoked) = answer
        {
            self.saw_revocation(revoked);
        }
        Ok(answer)
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        self.store.advance_wipe(advance).await
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        self.store.note_policy(key, version).await
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.store.prune_devices(now, limit).await
    }
}
