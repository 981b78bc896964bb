//! The task that removes inert rows.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{GrantStore, Pruned, StoreError};
use crate::clock::{Clock, SystemClock, UnixTime};
use crate::observe::panics::{caught, caught_in};

/// The first wait after a failure of the store. It doubles each time, up to the interval.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The interval and the batch size of the task.
///
/// ```
/// use std::time::Duration;
/// use grantor::store::Pruning;
///
/// let pruning = Pruning::new().interval(Duration::from_mins(1)).batch(200);
/// # let _ = pruning;
/// ```
#[derive(Clone)]
#[must_use = "these settings do nothing until a task takes them"]
pub struct Pruning {
    interval: Duration,
    batch: usize,
    clock: Arc<dyn Clock>,
}

impl Pruning {
    /// Prunes every five minutes, 1,000 rows per call, until no inert row is left.
    pub fn new() -> Self {
        Self { interval: Duration::from_mins(5), batch: 1_000, clock: Arc::new(SystemClock::new()) }
    }

    /// Sets the time between two rounds.
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Sets the number of rows per call, at least one.
    pub fn batch(self, rows: usize) -> Self {
        Self { batch: rows.max(1), ..self }
    }

    /// Takes the time from `clock` instead of the system.
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    pub(crate) const fn interval_and_batch(&self) -> (Duration, usize) {
        (self.interval, self.batch)
    }

    /// Calls `prune` with the time and the size of a batch, round after round, without end.
    pub(crate) async fn repeat<P, W>(
        self,
        prune: impl Fn(UnixTime, usize) -> P + Send,
        sleep: impl Fn(Duration) -> W + Send,
        mut failed: impl FnMut(&StoreError) + Send,
    ) where
        P: Future<Output = Result<Pruned, StoreError>> + Send,
        W: Future<Output = ()> + Send,
    {
        let mut backoff = FIRST_WAIT;
        loop {
            let pruned = caught_in(prune(self.clock.now(), self.batch)).await;
            let wait = match pruned.unwrap_or_else(|panicked| Err(StoreError::new(panicked))) {
                // A store that is always ready at once must not occupy a thread.
                Ok(Pruned { more: true, removed }) if removed > 0 => {
                    backoff = FIRST_WAIT;
                    yield_now().await;
                    continue;
                }
                Ok(_) => {
                    backoff = FIRST_WAIT;
                    self.interval
                }
                Err(error) => {
                    let _ = caught(|| failed(&error));
                    let wait = backoff.min(self.interval);
                    backoff = backoff.saturating_mul(2).min(self.interval.max(FIRST_WAIT));
                    wait
                }
            };
            sleep(wait).await;
        }
    }
}

impl Default for Pruning {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pruning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pruning")
            .field("interval", &self.interval)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// Removes inert rows from `store`, at once and then at every interval, until it is dropped. Spawn it in
/// one process or in all.
///
/// `sleep` waits, as `tokio::time::sleep` does. If the store fails or panics, `failed` gets the error, and
/// the next call comes after 1 s, 2 s and so on up to the interval. A panic of `failed` changes nothing.
///
/// ```
/// use std::sync::Arc;
/// use grantor::store::{prune_regularly, MemoryStore, Pruning};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let store = Arc::new(MemoryStore::new());
/// let failed = |error: &_| eprintln!("nothing was pruned: {error}");
/// let pruning = prune_regularly(store, Pruning::new(), tokio::time::sleep, failed);
/// let pruning = tokio::spawn(pruning);
/// # pruning.abort();
/// # });
/// ```
pub async fn prune_regularly<S, W>(
    store: S,
    pruning: Pruning,
    sleep: impl Fn(Duration) -> W + Send,
    failed: impl FnMut(&StoreError) + Send,
) where
    S: GrantStore,
    W: Future<Output = ()> + Send,
{
    pruning.repeat(|now, limit| store.prune(now, limit), sleep, failed).await;
}

/// Yields to other tasks once.
pub(crate) async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use super::*;

    /// The numbers of `docs/limits.md`: 1,000 rows at a time, every 300 s.
    #[test]
    fn the_defaults_are_a_thousand_rows_and_300_seconds() {
        let (limits, waits) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let prune = |_, limit| {
            limits.lock().unwrap().push(limit);
            std::future::ready(Ok(Pruned { removed: 0, more: false }))
        };
        let sleep = |wait| {
            waits.lock().unwrap().push(wait);
            std::future::pending()
        };
        let task = pin!(Pruning::new().repeat(prune, sleep, |_| ()));
        assert!(task.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(*limits.lock().unwrap(), [1_000]);
        assert_eq!(*waits.lock().unwrap(), [Duration::from_mins(5)]);
    }
}
