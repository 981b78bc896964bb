//! A store of devices that records its calls, and fails on request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use grantor::clock::UnixTime;
use grantor::ids::GrantId;
use grantor::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing,
    MemoryStore, Page, Pruned, RequestWipe, SeeDevice, StoreError, WipeAdvance, WipeRequest,
};

pub(super) struct Counting {
    inner: Arc<MemoryStore>,
    calls: Mutex<Vec<&'static str>>,
    is_away: AtomicBool,
}

impl Counting {
    pub(super) fn new(inner: Arc<MemoryStore>) -> Self {
        Self { inner, calls: Mutex::default(), is_away: AtomicBool::new(false) }
    }

    /// Returns the calls since the last time, and forgets them.
    pub(super) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Fails every call, or none any more.
    pub(super) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn note(&self, call: &'static str) -> Result<&MemoryStore, StoreError> {
        self.calls.lock().unwrap().push(call);
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::new(crate::faulty_store::PLANTED));
        }
        Ok(&self.inner)
    }
}

impl DeviceStore for Counting {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        self.note("see_device")?.see_device(sighting).await
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        self.note("find_device")?.find_device(key).await
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        self.note("find_device_of")?.find_device_of(grant_id).await
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        self.note("list_devices")?.list_devices(filter, page).await
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        self.note("request_wipe")?.request_wipe(request).await
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        self.note("advance_wipe")?.advance_wipe(advance).await
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        self.note("note_policy")?.note_policy(key, version).await
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.note("prune_devices")?.prune_devices(now, limit).await
    }
}
