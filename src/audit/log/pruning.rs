//! Removing old events, from time to time.

use std::time::Duration;

use super::AuditStore;
use crate::clock::UnixTime;
use crate::store::{Pruning, StoreError};

/// Removes events older than `keep` from `store`, at once and then at every interval, until it is
/// dropped: to be spawned, in one process or in all. Usage stays.
///
/// `sleep` and `failed` as with [`prune_regularly`](crate::store::prune_regularly).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use grantor::audit::{prune_events_regularly, MemoryAuditStore};
/// use grantor::store::Pruning;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let log = Arc::new(MemoryAuditStore::new());
/// let year = Duration::from_secs(365 * 86_400);
/// let failed = |error: &_| eprintln!("nothing was pruned: {error}");
/// let pruning = prune_events_regularly(log, year, Pruning::new(), tokio::time::sleep, failed);
/// let pruning = tokio::spawn(pruning);
/// # pruning.abort();
/// # });
/// ```
pub async fn prune_events_regularly<S, W>(
    store: S,
    keep: Duration,
    pruning: Pruning,
    sleep: impl Fn(Duration) -> W + Send,
    failed: impl FnMut(&StoreError) + Send,
) where
    S: AuditStore,
    W: Future<Output = ()> + Send,
{
    let prune = |now: UnixTime, limit| store.prune_events(now.minus(keep), limit);
    pruning.repeat(prune, sleep, failed).await;
}
