//! One request in flight for each URL.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The URLs that are fetched at present. As many as there are callers.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashMap<Box<str>, Place>>);

type Place = Arc<async_lock::Mutex<()>>;

impl InFlight {
    /// Runs `work` while no other work for `url` runs. A caller that waits may be dropped.
    pub(super) async fn alone<T>(&self, url: &str, work: impl Future<Output = T>) -> T {
        let seat = self.seat(url);
        let _turn = seat.place.lock().await;
        work.await
    }

    fn seat<'a>(&'a self, url: &'a str) -> Seat<'a> {
        let place = Arc::clone(self.places().entry(url.into()).or_default());
        Seat { in_flight: self, url, place }
    }

    /// No code panics while it holds the lock, so a poisoned one guards intact data.
    fn places(&self) -> MutexGuard<'_, HashMap<Box<str>, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits or works. The last to leave removes the place.
struct Seat<'a> {
    in_flight: &'a InFlight,
    url: &'a str,
    place: Place,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut places = self.in_flight.places();
        // Seats are taken under this lock: two holders are the map and this seat.
        if Arc::strong_count(&self.place) == 2 {
            places.remove(self.url);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Z40: requests for one URL follow each other, those for others run beside them, and nothing stays
    /// behind, whether a caller ends, waits or is dropped.
    #[tokio::test]
    async fn one_request_for_a_url_runs_at_a_time() {
        let in_flight = Arc::new(InFlight::default());
        let running = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for number in 0..40 {
            let (in_flight, running) = (Arc::clone(&in_flight), Arc::clone(&running));
            tasks.push(tokio::spawn(async move {
                let work = async {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                // Every fourth is dropped after a few polls, which may be while it waits or works.
                let alone = in_flight.alone("https://a.example", work);
                if number % 4 == 0 { drop(alone) } else { alone.await }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(in_flight.places().len(), 0);

        let hangs = in_flight.alone("https://a.example", std::future::pending::<()>());
        let mut hangs = Box::pin(hangs);
        assert!(poll_once(&mut hangs).is_none());
        let mut waits = Box::pin(in_flight.alone("https://a.example", async {}));
        assert!(poll_once(&mut waits).is_none());
        in_flight.alone("https://b.example", async {}).await;
        assert_eq!(in_flight.places().len(), 1);
        drop(hangs);
        waits.await;
        assert_eq!(in_flight.places().len(), 0);
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
