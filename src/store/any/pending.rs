//! [`PendingStore`] on the store that was chosen.

use super::{AnyStore, on_any};
use crate::clock::UnixTime;
use crate::secret::Digest;
use crate::store::{Keep, PendingRecord, PendingStore, Pruned, StoreError};

impl PendingStore for AnyStore {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        on_any!(self.keep(record, now).await)
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        on_any!(self.find_kept(key, now).await)
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        on_any!(self.prune_kept(now, limit).await)
    }
}
