//! Regular removal of old events.

use std::time::Duration;

use super::AuditStore;
use crate::clock::UnixTime;
use crate::store::{Pruning, StoreError};

/// Removes events older than `keep` now and then at every interval, until the future is dropped.
/// Usage stays. Spawn it in one process or in all of them.
///
/// `sleep` and `failed` are the same as in [`prune_regularly`](crate::store::prune_regularly).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use grantor::audit::prune_events_regularly;
/// use grantor::store::MemoryStore;
/// use grantor::store::Pruning;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let log = Arc::new(MemoryStore::new());
/// let year = Duration::from_secs(365 * 86_400);
/// let failed = |error: &_| eprintln!("pruning failed: {error}");
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
