//! The audit log and the usage of apps in a database.

#[cfg(feature = "test-kit")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-kit")))]
pub mod conformance;
mod event;
mod memory;
mod pruning;
mod queue;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

use std::sync::Arc;

pub use event::{EventId, NewEvent, StoredEvent};
pub use memory::MemoryAuditStore;
pub use pruning::prune_events_regularly;
pub use queue::AuditQueue;

use crate::audit::AuditQuery;
use crate::audit::usage::AppUsage;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::{CachedApps, Listing, Page, Pruned, StoreError};

/// Keeps the audit log and what it adds up to.
pub trait AuditStore: Send + Sync {
    /// Appends events, and counts the usage that they are.
    ///
    /// # Contract
    ///
    /// * An event and what it counts are stored in one step: no reader, and no crash, parts them.
    /// * An event whose id is in the log changes nothing, neither the log nor the usage: the same call
    ///   again is safe, also while the first is still at work.
    /// * Usage is counted as [`Usage`](crate::audit::usage::Usage) does. An app that was deleted loses its
    ///   usage with the event that says so; what is appended after that counts anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when some of it may not have been stored. The same call again settles it.
    fn append(&self, events: &[NewEvent]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Finds the events that `query` asks for, newest first, in the order of their ids. The limit of
    /// the query does not count here: the page has one.
    ///
    /// # Contract
    ///
    /// * Who pages on sees each event once that was there when the first page was read, and was not
    ///   removed meanwhile. Events that are appended meanwhile may be seen or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
    fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> impl Future<Output = Result<Listing<StoredEvent, EventId>, StoreError>> + Send;

    /// What an app did, by all events that were ever appended; all zero if nothing was counted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
    fn usage_of(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<AppUsage, StoreError>> + Send;

    /// Removes a bounded batch of old events.
    ///
    /// # Contract
    ///
    /// * Removes at most `limit` events, the oldest first, all of them before `before`. Usage stays.
    /// * [`Pruned::more`] tells whether the same call would remove more.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when some of the batch may not have been removed.
    fn prune_events(
        &self,
        before: UnixTime,
        limit: usize,
    ) -> impl Future<Output = Result<Pruned, StoreError>> + Send;
}

macro_rules! delegate {
    ($(#[$doc:meta])* $type:ty, $own:ident => $store:expr) => {
        $(#[$doc])*
        impl<T: AuditStore> AuditStore for $type {
            async fn append(&$own, events: &[NewEvent]) -> Result<(), StoreError> {
                T::append($store, events).await
            }

            async fn find_events(
                &$own,
                query: &AuditQuery,
                page: Page<EventId>,
            ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
                T::find_events($store, query, page).await
            }

            async fn usage_of(&$own, client_id: &ClientId) -> Result<AppUsage, StoreError> {
                T::usage_of($store, client_id).await
            }

            async fn prune_events(
                &$own,
                before: UnixTime,
                limit: usize,
            ) -> Result<Pruned, StoreError> {
                T::prune_events($store, before, limit).await
            }
        }
    };
}

delegate!(Arc<T>, self => self);
delegate! {
    /// Of its store.
    CachedApps<T>, self => self.store()
}
