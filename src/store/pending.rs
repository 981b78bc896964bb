//! Records that are found by a short name before there is a grant.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::{Pruned, StoreError};
use crate::clock::UnixTime;
use crate::secret::Digest;

/// A record to keep until it expires.
///
/// `Debug` does not show the sealed bytes.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct PendingRecord {
    /// The keyed digest of the name, such as of a user code. Its key differs by use and issuer.
    pub key: Digest,
    /// The encrypted content, at most [`MAX_SEALED`](Self::MAX_SEALED) bytes.
    pub sealed: Vec<u8>,
    /// From this instant on the record is not found, and its key is free.
    pub expires_at: UnixTime,
}

impl PendingRecord {
    /// The greatest length of the sealed bytes.
    pub const MAX_SEALED: usize = 16 * 1024;
}

impl fmt::Debug for PendingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRecord")
            .field("key", &self.key)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The answer of [`PendingStore::keep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// This call, and no other, stored the record.
    Kept,
    /// A record with this key has not expired. Nothing was stored.
    Taken,
}

/// Storage of one issuer for requests that wait for a user, by a short name: the user codes of the
/// [device grant](crate::guide::device_grant). Every method reads and writes the primary.
pub trait PendingStore: Send + Sync {
    /// Stores a record, unless its key is taken.
    ///
    /// # Contract
    ///
    /// * Of any number of calls with one key exactly one answers [`Keep::Kept`], until the record expires at
    ///   [`expires_at`](PendingRecord::expires_at), judged by the `now` of each call.
    /// * Then the key is free, whether or not the record was pruned.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the record may or may not be stored.
    fn keep(
        &self,
        record: &PendingRecord,
        now: UnixTime,
    ) -> impl Future<Output = Result<Keep, StoreError>> + Send;

    /// Finds the sealed bytes under a key, unless they have expired.
    ///
    /// # Contract
    ///
    /// The answer is not older than the call: it shows every record that was kept before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn find_kept(
        &self,
        key: &Digest,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// Removes a bounded batch of expired records.
    ///
    /// # Contract
    ///
    /// * Removes at most `limit` records that have expired at `now`, and nothing else. It may remove those of
    ///   other issuers in the same database, too.
    /// * [`Pruned::more`] tells whether the same call would remove more.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some of the batch may not have been removed.
    fn prune_kept(
        &self,
        now: UnixTime,
        limit: usize,
    ) -> impl Future<Output = Result<Pruned, StoreError>> + Send;
}

impl<T: PendingStore> PendingStore for Arc<T> {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        T::keep(self, record, now).await
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        T::find_kept(self, key, now).await
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        T::prune_kept(self, now, limit).await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`PendingStore`] with boxed futures, so that a server without it does not name its type.
pub(crate) trait SharedPending: Send + Sync {
    fn keep<'a>(&'a self, record: &'a PendingRecord, now: UnixTime) -> Boxed<'a, Keep>;
    fn find_kept<'a>(&'a self, key: &'a Digest, now: UnixTime) -> Boxed<'a, Option<Vec<u8>>>;
    fn prune_kept(&self, now: UnixTime, limit: usize) -> Boxed<'_, Pruned>;
}

impl<T: PendingStore> SharedPending for T {
    fn keep<'a>(&'a self, record: &'a PendingRecord, now: UnixTime) -> Boxed<'a, Keep> {
        Box::pin(PendingStore::keep(self, record, now))
    }

    fn find_kept<'a>(&'a self, key: &'a Digest, now: UnixTime) -> Boxed<'a, Option<Vec<u8>>> {
        Box::pin(PendingStore::find_kept(self, key, now))
    }

    fn prune_kept(&self, now: UnixTime, limit: usize) -> Boxed<'_, Pruned> {
        Box::pin(PendingStore::prune_kept(self, now, limit))
    }
}
