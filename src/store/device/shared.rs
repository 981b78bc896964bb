//! The devices of a server behind a pointer, so that a server without them neither names nor asks them.

use std::fmt;
use std::pin::Pin;

use super::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, RequestWipe,
    SeeDevice, WipeAdvance, WipeRequest,
};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::{Listing, Page, Pruned, StoreError};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`DeviceStore`] with boxed futures.
pub(crate) trait SharedDevices: Send + Sync {
    fn see_device<'a>(&'a self, sighting: &'a DeviceSighting) -> Boxed<'a, SeeDevice>;
    fn find_device<'a>(&'a self, key: &'a DeviceKey) -> Boxed<'a, Option<Device>>;
    fn find_device_of<'a>(&'a self, grant_id: &'a GrantId) -> Boxed<'a, Option<Device>>;
    fn list_devices<'a>(
        &'a self,
        filter: &'a DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Boxed<'a, Listing<Device, DeviceKey>>;
    fn request_wipe<'a>(&'a self, request: &'a WipeRequest) -> Boxed<'a, RequestWipe>;
    fn advance_wipe<'a>(&'a self, advance: &'a WipeAdvance) -> Boxed<'a, AdvanceWipe>;
    fn note_policy<'a>(&'a self, key: &'a DeviceKey, version: &'a str) -> Boxed<'a, ()>;
    fn prune_devices(&self, now: UnixTime, limit: usize) -> Boxed<'_, Pruned>;
}

impl<T: DeviceStore> SharedDevices for T {
    fn see_device<'a>(&'a self, sighting: &'a DeviceSighting) -> Boxed<'a, SeeDevice> {
        Box::pin(DeviceStore::see_device(self, sighting))
    }

    fn find_device<'a>(&'a self, key: &'a DeviceKey) -> Boxed<'a, Option<Device>> {
        Box::pin(DeviceStore::find_device(self, key))
    }

    fn find_device_of<'a>(&'a self, grant_id: &'a GrantId) -> Boxed<'a, Option<Device>> {
        Box::pin(DeviceStore::find_device_of(self, grant_id))
    }

    fn list_devices<'a>(
        &'a self,
        filter: &'a DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Boxed<'a, Listing<Device, DeviceKey>> {
        Box::pin(DeviceStore::list_devices(self, filter, page))
    }

    fn request_wipe<'a>(&'a self, request: &'a WipeRequest) -> Boxed<'a, RequestWipe> {
        Box::pin(DeviceStore::request_wipe(self, request))
    }

    fn advance_wipe<'a>(&'a self, advance: &'a WipeAdvance) -> Boxed<'a, AdvanceWipe> {
        Box::pin(DeviceStore::advance_wipe(self, advance))
    }

    fn note_policy<'a>(&'a self, key: &'a DeviceKey, version: &'a str) -> Boxed<'a, ()> {
        Box::pin(DeviceStore::note_policy(self, key, version))
    }

    fn prune_devices(&self, now: UnixTime, limit: usize) -> Boxed<'_, Pruned> {
        Box::pin(DeviceStore::prune_devices(self, now, limit))
    }
}

impl fmt::Debug for dyn SharedDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Devices")
    }
}
