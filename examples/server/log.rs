//! What happened, and what apps did: the newest events in memory, or all of them in the database.
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(clippy::unused_async, unused_variables, reason = "a database is asked with patience")
)]

use std::sync::Arc;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::time::Duration;

use grantor::audit::{AppUsage, AuditQuery, AuditSink, EventId, MemoryAudit};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use grantor::audit::{AuditQueue, AuditStore as _, StoredEvent, prune_events_regularly};
use grantor::ids::ClientId;
#[cfg(feature = "postgres")]
use grantor::store::PostgresStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use grantor::store::Pruning;
#[cfg(feature = "sqlite")]
use grantor::store::{Page, SqliteStore, StoreError};
use serde_json::Value;

/// For how long events are kept.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const KEPT: Duration = Duration::from_secs(400 * 86_400);
/// For how long an administrator waits for what is being written.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const PATIENCE: Duration = Duration::from_secs(2);

/// Where events go, and where they are read.
#[derive(Clone, Debug)]
pub(crate) enum Log {
    Memory(Arc<MemoryAudit>),
    #[cfg(feature = "sqlite")]
    Sqlite(AuditQueue, SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(AuditQueue, PostgresStore),
}

/// The same with whichever database it is.
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

/// Says why something in the background has to wait.
pub(crate) fn failed(error: &StoreError) {
    let error: &(dyn std::error::Error + 'static) = error;
    tracing::error!(error, "the store failed in the background");
}

impl Log {
    /// Takes every event.
    pub(crate) fn sink(&self) -> Arc<dyn AuditSink> {
        in_database!(self, log => Arc::clone(log) as _, (queue, _store) => Arc::new(queue.clone()))
    }

    /// Writes what comes, and removes what is old. Ends after [`close`](Self::close), when all is
    /// written.
    pub(crate) async fn run(self) {
        in_database!(self, _ => {}, (queue, store) => {
            let sleep = tokio::time::sleep;
            let writing = queue.run(store.clone(), sleep, failed);
            let pruning = prune_events_regularly(store, KEPT, Pruning::new(), sleep, failed);
            tokio::select! {
                () = writing => {}
                () = pruning => {}
            }
        });
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        in_database!(self, _ => {}, (queue, _store) => queue.close());
    }

    /// A page of the events that `query` asks for, newest first, and where the next one begins.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
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

    /// What an app did: `of_process`, or ever.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot tell.
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

/// Has what has just happened written; not for ever, should the database be slow.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn flush(queue: &AuditQueue) {
    drop(tokio::time::timeout(PATIENCE, queue.flush()).await);
}

/// An event as it was serialized.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn event(stored: &StoredEvent) -> Value {
    serde_json::from_str(&stored.json).unwrap_or(Value::Null)
}
