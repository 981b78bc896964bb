//! The audit log and the usage of apps in a database.

#[cfg(feature = "test-kit")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-kit")))]
pub mod conformance;
mod event;
mod pruning;
mod queue;
mod queue_metrics;
mod rows;

use std::sync::Arc;

pub use event::{EventId, NewEvent, StoredEvent};
pub use pruning::prune_events_regularly;
pub use queue::{AuditQueue, AuditWriter};

use crate::audit::AuditQuery;
use crate::audit::usage::{AppUsage, UsageHistory};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::{CachedApps, Listing, Page, Pruned, StoreError};

/// A durable audit log with usage counters.
pub trait AuditStore: Send + Sync {
    /// Appends events and counts their usage.
    ///
    /// # Contract
    ///
    /// * An event and its usage are stored in one atomic step, for readers and across crashes.
    /// * An event whose id is already in the log changes neither the log nor the usage. The same
    ///   call can be repeated, even while the first is still running.
    /// * Usage is counted by the rules of [`AppUsage`], each event as often as its
    ///   [`count`](crate::audit::AuditEvent::count) says. The event that records the deletion of an
    ///   app drops its usage, also by day; events appended later count from zero.
    /// * The day of an event is that of its instant, in UTC.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some events may not have been stored. Repeating the call is safe.
    fn append(&self, events: &[NewEvent]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Finds the events that match `query`, newest first by id. The page sets the limit; the
    /// query's own limit is ignored.
    ///
    /// # Contract
    ///
    /// * A caller that reads all pages sees each event exactly once that was present at the first
    ///   page and was not removed since. It may or may not see events appended since.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> impl Future<Output = Result<Listing<StoredEvent, EventId>, StoreError>> + Send;

    /// Returns the usage of an app over all events ever appended, zero if nothing was counted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    fn usage_of(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<AppUsage, StoreError>> + Send;

    /// Returns the usage of each of these apps, in their order: for a page that lists apps.
    ///
    /// The default calls [`usage_of`](Self::usage_of) for each.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if a read fails.
    fn usage_of_each(
        &self,
        client_ids: &[ClientId],
    ) -> impl Future<Output = Result<Vec<AppUsage>, StoreError>> + Send {
        async move {
            let mut usages = Vec::with_capacity(client_ids.len());
            for client_id in client_ids {
                usages.push(self.usage_of(client_id).await?);
            }
            Ok(usages)
        }
    }

    /// Returns the usage of an app over all events, and on each day from that of `from` to that of `to`: for a
    /// page that shows both.
    ///
    /// # Contract
    ///
    /// * The total is that of [`usage_of`](Self::usage_of).
    /// * A day counts the events of this day, by the same rules. Days without any are absent. Of more than
    ///   [`MAX_DAYS`](UsageHistory::MAX_DAYS) days, the last are read.
    /// * A day is there until [`prune_events`](Self::prune_events) removes it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    fn usage_history(
        &self,
        client_id: &ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> impl Future<Output = Result<UsageHistory, StoreError>> + Send;

    /// Removes a bounded batch of old events, and of the daily usage that is as old.
    ///
    /// # Contract
    ///
    /// * Removes at most `limit` rows: events older than `before`, the oldest first, then the usage of days that
    ///   have ended by `before`. The usage over all time stays.
    /// * [`Pruned::removed`] counts both. [`Pruned::more`] is true if the same call would remove more.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some of the batch may not have been removed.
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

            async fn usage_of_each(
                &$own,
                client_ids: &[ClientId],
            ) -> Result<Vec<AppUsage>, StoreError> {
                T::usage_of_each($store, client_ids).await
            }

            async fn usage_history(
                &$own,
                client_id: &ClientId,
                from: UnixTime,
                to: UnixTime,
            ) -> Result<UsageHistory, StoreError> {
                T::usage_history($store, client_id, from, to).await
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
    /// Delegates to the wrapped store.
    CachedApps<T>, self => self.store()
}
