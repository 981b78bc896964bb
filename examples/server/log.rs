//! The audit log and the usage of apps: the newest events in memory, or all of them in the
//! database.
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(clippy::unused_async, unused_variables, reason = "only a database is async")
)]

use std::sync::Arc;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::time::Duration;

use grantor::audit::{AppUsage, AuditQuery, AuditSink, EventId, MemoryAudit};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use grantor::audit::{AuditQueue, AuditStore as _, StoredEvent};
use grantor::ids::ClientId;
#[cfg(feature = "postgres")]
use grantor::store::PostgresStore;
#[cfg(feature = "sqlite")]
use grantor::store::SqliteStore;
use grantor::store::{Page, Store, StoreError};
use grantor::{Upkeep, UserDirectory};
use serde_json::Value;

/// The time that events are kept.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const KEPT: Duration = Duration::from_hours(400 * 24);
/// The time that an administrator's request waits for queued events.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const PATIENCE: Duration = Duration::from_secs(2);

/// The destination of audit events, which can be read back.
#[derive(Clone, Debug)]
pub(crate) enum Log {
    Memory(Arc<MemoryAudit>),
    #[cfg(feature = "sqlite")]
    Sqlite(AuditQueue, SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(AuditQueue, PostgresStore),
}

/// Runs the same call on either database.
macro_rules! in_database {
    ($own:expr, $memory:pat => $otherwise:expr, ($queue:ident, $store:ident) => $call:expr) => {
        match $own {
            Log::Memory($memory) => $otherwise,
            #[cfg(feature = "sqlite")]
            Log::Sqlite($queue, $store) => $call,
            #[cfg(feature = "postgres")]
            Log::Postgres($queue, $store) => $call,
        }
    };
}

impl Log {
    /// Returns the sink for every event.
    pub(crate) fn sink(&self) -> Arc<dyn AuditSink> {
        in_database!(self, log => Arc::clone(log) as _, (queue, _store) => Arc::new(queue.clone()))
    }

    /// Lets `upkeep` write queued events and remove old ones.
    pub(crate) fn kept_by<S, U>(&self, upkeep: Upkeep<S, U>) -> Upkeep<S, U>
    where
        S: Store + 'static,
        U: UserDirectory + 'static,
    {
        in_database!(self, _ => upkeep, (queue, store) => {
            upkeep.audit(queue, store.clone()).prune_events(store.clone(), KEPT)
        })
    }

    /// Checks whether events wait to be written.
    pub(crate) fn has_queued(&self) -> bool {
        in_database!(self, _ => false, (queue, _store) => queue.pending() > 0)
    }

    /// Returns a page of the events that match `query`, newest first, and the cursor of the next
    /// page.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub(crate) async fn find(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<(Vec<Value>, Option<EventId>), StoreError> {
        in_database!(self, log => {
            let found = log.find(&query.clone().limit(page.limit));
            Ok((found.iter().filter_map(|event| serde_json::to_value(event).ok()).collect(), None))
        }, (queue, store) => {
            flush(queue).await;
            let found = store.find_events(query, page).await?;
            Ok((found.items.iter().map(event).collect(), found.next))
        })
    }

    /// Returns the usage of an app: `of_process`, or from the database since its first event.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub(crate) async fn usage(
        &self,
        client_id: &ClientId,
        of_process: AppUsage,
    ) -> Result<AppUsage, StoreError> {
        in_database!(self, _ => Ok(of_process), (queue, store) => {
            flush(queue).await;
            store.usage_of(client_id).await
        })
    }
}

/// Waits until the queued events are written, with a timeout in case the database is slow.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn flush(queue: &AuditQueue) {
    drop(tokio::time::timeout(PATIENCE, queue.flush()).await);
}

/// Returns an event as it was serialized.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn event(stored: &StoredEvent) -> Value {
    serde_json::from_str(&stored.json).unwrap_or(Value::Null)
}
