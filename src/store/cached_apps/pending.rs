//! Pending records are not cached: every call goes to the store.

use super::CachedApps;
use crate::clock::UnixTime;
use crate::secret::Digest;
use crate::store::{Keep, PendingRecord, PendingStore, Pruned, StoreError};

impl<S: PendingStore> PendingStore for CachedApps<S> {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        self.store.keep(record, now).await
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.find_kept(key, now).await
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.store.prune_kept(now, limit).await
    }
}
