//! The audit log and the usage of apps, in the store.

use std::time::Duration;

use grantor::audit::{AppUsage, AuditQuery, AuditQueue, AuditStore as _, EventId};
use grantor::ids::ClientId;
use grantor::store::{AnyStore, Page, StoreError};
use serde_json::Value;

/// The time that events are kept.
pub(crate) const KEPT: Duration = Duration::from_hours(400 * 24);
/// The time that an administrator's request waits for queued events.
const PATIENCE: Duration = Duration::from_secs(2);

/// The queue before the log, and the log, which can be read back.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// The sink of every event.
    pub(crate) queue: AuditQueue,
    pub(crate) store: AnyStore,
}

impl Log {
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
        self.flush().await;
        let found = self.store.find_events(query, page).await?;
        let event = |json: &str| serde_json::from_str(json).unwrap_or(Value::Null);
        Ok((found.items.iter().map(|stored| event(&stored.json)).collect(), found.next))
    }

    /// Returns the usage of an app since its first event.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub(crate) async fn usage(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
        self.flush().await;
        self.store.usage_of(client_id).await
    }

    /// Waits until the queued events are written, with a timeout in case the database is slow.
    async fn flush(&self) {
        drop(tokio::time::timeout(PATIENCE, self.queue.flush()).await);
    }
}
