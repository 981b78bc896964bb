//! [`DeviceStore`] on the store that was chosen.

use super::{AnyStore, on_any};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing, Page,
    Pruned, RequestWipe, SeeDevice, StoreError, WipeAdvance, WipeRequest,
};

impl DeviceStore for AnyStore {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        on_any!(self.see_device(sighting).await)
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        on_any!(self.find_device(key).await)
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        on_any!(self.find_device_of(grant_id).await)
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        on_any!(self.list_devices(filter, page).await)
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        on_any!(self.request_wipe(request).await)
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        on_any!(self.advance_wipe(advance).await)
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        on_any!(self.note_policy(key, version).await)
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        on_any!(self.prune_devices(now, limit).await)
    }
}
