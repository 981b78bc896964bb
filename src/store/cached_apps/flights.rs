//! Store calls in flight, shared by all callers that wait for the same answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_lock::OnceCell;

use super::apart;
use super::known::Mark;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::StoreError;

/// An answer that all waiters share. If the caller that runs the call is dropped, the next one runs it.
type Landing<T> = OnceCell<Result<T, Arc<StoreError>>>;

/// A call for the version of the apps.
pub(super) struct Poll {
    /// The number of this poll. A later poll has the newer answer.
    pub(super) number: u64,
    pub(super) began: UnixTime,
    pub(super) landing: Landing<()>,
}

/// The latest poll.
#[derive(Default)]
pub(super) struct Polls {
    latest: Mutex<Option<Arc<Poll>>>,
    count: AtomicU64,
}

impl Polls {
    /// Returns the poll in flight, if it began at most `bound` away from `began`, or else a new one.
    ///
    /// Returns `None` if one is in flight and the caller can do `without`.
    pub(super) fn board(
        &self,
        began: UnixTime,
        bound: Duration,
        without: bool,
    ) -> Option<Arc<Poll>> {
        let mut latest = lock(&self.latest);
        if let Some(poll) = &*latest
            && !poll.landing.is_initialized()
            && apart(began, poll.began) <= bound
        {
            // No other holder: its caller was dropped.
            let abandoned = Arc::strong_count(poll) == 1;
            return (abandoned || !without).then(|| Arc::clone(poll));
        }
        let poll = Arc::new(Poll { number: self.count(), began, landing: OnceCell::new() });
        *latest = Some(Arc::clone(&poll));
        Some(poll)
    }

    /// Returns the number of a new poll.
    pub(super) fn count(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// A call for one app.
pub(super) struct Flight {
    /// The state of the apps that was known before the call.
    mark: Mark,
    began: UnixTime,
    pub(super) landing: Landing<Option<Arc<CustomApp>>>,
    /// The number of waiters. It changes under the lock of the flights only.
    seats: AtomicUsize,
}

/// The calls for apps in flight, one per app.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<ClientId, Arc<Flight>>>);

impl Flights {
    /// Returns the flight for `client_id`, if it began at most `bound` away from `began` and knew `mark`, or else a new
    /// one.
    pub(super) fn board<'a>(
        &'a self,
        client_id: &'a ClientId,
        mark: Mark,
        began: UnixTime,
        bound: Duration,
    ) -> Aboard<'a> {
        let mut flights = lock(&self.0);
        let under_way = flights.get(client_id).filter(|flight| {
            !flight.landing.is_initialized()
                && flight.mark == mark
                && apart(began, flight.began) <= bound
        });
        let flight = if let Some(flight) = under_way {
            Arc::clone(flight)
        } else {
            let (landing, seats) = (OnceCell::new(), AtomicUsize::new(0));
            let flight = Arc::new(Flight { mark, began, landing, seats });
            flights.insert(client_id.clone(), Arc::clone(&flight));
            flight
        };
        flight.seats.fetch_add(1, Ordering::Relaxed);
        Aboard { flights: self, client_id, flight }
    }

    /// Detaches the flight for `client_id`, and runs `step` before another may begin.
    pub(super) fn divert(&self, client_id: &ClientId, step: impl FnOnce()) {
        let mut flights = lock(&self.0);
        flights.remove(client_id);
        step();
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.0).len()
    }
}

/// A seat on a flight. The last to leave ends it.
pub(super) struct Aboard<'a> {
    flights: &'a Flights,
    client_id: &'a ClientId,
    pub(super) flight: Arc<Flight>,
}

impl Aboard<'_> {
    /// Runs `step` unless the flight was detached or another has replaced it.
    pub(super) fn if_on_course(&self, step: impl FnOnce()) {
        let flights = lock(&self.flights.0);
        if self.is_on_course(&flights) {
            step();
        }
    }

    fn is_on_course(&self, flights: &HashMap<ClientId, Arc<Flight>>) -> bool {
        flights.get(self.client_id).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
    }
}

impl Drop for Aboard<'_> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights.0);
        let was_last = self.flight.seats.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && self.is_on_course(&flights) {
            flights.remove(self.client_id);
        }
    }
}

/// Locks. No code panics while it holds a lock, so a poisoned one guards intact data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
