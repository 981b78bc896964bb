//! The contract of the storage of devices.

use std::sync::Arc;

use super::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, RequestWipe, SeeDevice,
    WipeAdvance, WipeRequest,
};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::{Listing, Page, Pruned, StoreError};

/// Storage of the devices of one issuer, for hosts that wipe phones. It belongs in the database of the
/// [`GrantStore`](crate::store::GrantStore): an order and the end of access are one step. Every method but
/// `list_devices` reads and writes the primary.
pub trait DeviceStore: Send + Sync {
    /// Records that a device is about to get access. The server calls it before the claim.
    ///
    /// # Contract
    ///
    /// * As [`Device::see`] if the device has a row, else as [`Device::first`], in one atomic step.
    /// * If the device is seen, the same step removes those that
    ///   [crowd the user's devices](Device::crowded_out). Sightings that overlap may exceed the number until
    ///   the next one.
    /// * The answer is not older than the call: it sees every order that was answered before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the sighting may or may not be stored. The server then issues nothing.
    fn see_device(
        &self,
        sighting: &DeviceSighting,
    ) -> impl Future<Output = Result<SeeDevice, StoreError>> + Send;

    /// Finds a device as it is now.
    ///
    /// # Contract
    ///
    /// The answer is not older than the call.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn find_device(
        &self,
        key: &DeviceKey,
    ) -> impl Future<Output = Result<Option<Device>, StoreError>> + Send;

    /// Finds the device that was last seen under a grant, also after the row of the grant is gone.
    ///
    /// # Contract
    ///
    /// As [`find_device`](Self::find_device). The server sees one device under a grant, because a grant keeps its
    /// device and a dead code is no sighting. If requests with one live code named several, one that is to be
    /// wiped goes first, then the one that was seen last.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn find_device_of(
        &self,
        grant_id: &GrantId,
    ) -> impl Future<Output = Result<Option<Device>, StoreError>> + Send;

    /// Lists devices in the order of their keys. May read a replica.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> impl Future<Output = Result<Listing<Device, DeviceKey>, StoreError>> + Send;

    /// Orders the wipe of a device, and ends its access in the same step.
    ///
    /// # Contract
    ///
    /// * As [`Device::order_wipe`] and as [`GrantStore::revoke`](crate::store::GrantStore::revoke) with
    ///   [`RevocationTarget::Device`](crate::store::RevocationTarget::Device), in one atomic step: at no instant
    ///   is the device ordered to wipe and alive, or dead without the order.
    /// * No redemption or rotation that overlaps the call leaves a survivor.
    /// * Idempotent: while an order is pending, the answer is [`RequestWipe::Pending`], and the row is kept for as
    ///   long as the later order says.
    /// * An order leaves the wipe of a device as it is if the device has reported and was not seen since:
    ///   [`RequestWipe::Wiped`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the order may or may not be in force. Repeating the call settles it.
    fn request_wipe(
        &self,
        request: &WipeRequest,
    ) -> impl Future<Output = Result<RequestWipe, StoreError>> + Send;

    /// Takes a step of a wipe.
    ///
    /// # Contract
    ///
    /// As [`Device::advance_wipe`], in one atomic step: of any number of calls with one step exactly one
    /// answers [`AdvanceWipe::Advanced`], and of a withdrawal and a notification that race only one does. A
    /// step of another order than the pending one changes nothing. A withdrawal revives no grant.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the step may or may not have been taken. Repeating the call settles it.
    fn advance_wipe(
        &self,
        advance: &WipeAdvance,
    ) -> impl Future<Output = Result<AdvanceWipe, StoreError>> + Send;

    /// Notes the version of the policy document that a device has read: 1 to 64 bytes of ASCII.
    ///
    /// # Contract
    ///
    /// Nothing changes if the store knows no such device.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it may or may not be noted.
    fn note_policy(
        &self,
        key: &DeviceKey,
        version: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes a bounded batch of devices.
    ///
    /// # Contract
    ///
    /// * Removes at most `limit` rows whose [`keep_until`](Device::keep_until) is at or before `now`, and
    ///   nothing else. It may remove those of other issuers in the same database, too.
    /// * [`Pruned::more`] tells whether the same call would remove more.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some of the batch may not have been removed.
    fn prune_devices(
        &self,
        now: UnixTime,
        limit: usize,
    ) -> impl Future<Output = Result<Pruned, StoreError>> + Send;
}

impl<T: DeviceStore> DeviceStore for Arc<T> {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        T::see_device(self, sighting).await
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        T::find_device(self, key).await
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        T::find_device_of(self, grant_id).await
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        T::list_devices(self, filter, page).await
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        T::request_wipe(self, request).await
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        T::advance_wipe(self, advance).await
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        T::note_policy(self, key, version).await
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        T::prune_devices(self, now, limit).await
    }
}
