//! One fetch under way for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_lock::OnceCell;

/// Fetches under way, by key. Callers that ask at once share one, and its result.
pub(crate) struct Flights<K, T>(Mutex<HashMap<K, Flight<T>>>);

type Flight<T> = Arc<OnceCell<T>>;

impl<K: Hash + Eq + Clone + Send + Sync, T: Clone + Send + Sync> Flights<K, T> {
    /// Checks whether a fetch for `key` is under way.
    pub(crate) fn has(&self, key: &K) -> bool {
        self.flights().contains_key(key)
    }

    /// Runs `work`, unless work for `key` is under way, and then shares its result.
    ///
    /// An error is the caller's own: the next that waits runs its work. So does the next if the caller is dropped: a
    /// stranger who hangs up keeps no other from the result.
    pub(crate) async fn share<E: Send>(
        &self,
        key: &K,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let seat = self.board(key);
        seat.flight.get_or_try_init(|| work).await.cloned()
    }

    fn board<'a>(&'a self, key: &'a K) -> Seat<'a, K, T> {
        let flight = Arc::clone(self.flights().entry(key.clone()).or_default());
        Seat { flights: self, key, flight }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.flights().len()
    }
}

impl<K, T> Flights<K, T> {
    /// No code panics while it holds the lock, so a poisoned one guards intact data.
    fn flights(&self) -> MutexGuard<'_, HashMap<K, Flight<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A caller that waits for a fetch. The last to leave ends it, and so does its result.
struct Seat<'a, K: Hash + Eq, T> {
    flights: &'a Flights<K, T>,
    key: &'a K,
    flight: Flight<T>,
}

impl<K: Hash + Eq, T> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.flights();
        let is_own = flights.get(self.key).is_some_and(|it| Arc::ptr_eq(it, &self.flight));
        // Seats are taken under this lock: two holders are the map and this seat.
        if is_own && (self.flight.is_initialized() || Arc::strong_count(&self.flight) == 2) {
            flights.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// L18: callers for one key share one piece of work and its result, and nothing of it stays behind.
    #[tokio::test]
    async fn callers_share_the_work_and_its_result() {
        let flights = Arc::new(Flights::<u8, u8>::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for _ in 0..58 {
            let (flights, runs) = (Arc::clone(&flights), Arc::clone(&runs));
            tasks.push(tokio::spawn(async move {
                let work = async {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(7)
                };
                flights.share(&1, work).await
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(7));
        }
        assert_eq!((runs.load(Ordering::SeqCst), flights.len()), (1, 0));
    }

    /// L18: an error, and a caller that gives up, leave the work to the next.
    #[tokio::test]
    async fn an_error_or_a_dropped_caller_leaves_the_work_to_the_next() {
        let flights = Flights::<u8, u8>::default();
        let mut hangs = Box::pin(flights.share(&1, async {
            std::future::pending::<()>().await;
            Ok::<_, &str>(1)
        }));
        assert!(poll_once(&mut hangs).is_none());
        let mut refused = Box::pin(flights.share(&1, async { Err("spent") }));
        let mut waits = Box::pin(flights.share(&1, async { Ok::<_, &str>(2) }));
        assert!(poll_once(&mut refused).is_none() && poll_once(&mut waits).is_none());
        assert!(flights.has(&1) && !flights.has(&2));
        drop(hangs);
        assert_eq!(refused.await, Err("spent"));
        assert_eq!(waits.await, Ok(2));
        assert_eq!(flights.len(), 0);
    }

    /// Polls a future once.
    fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
