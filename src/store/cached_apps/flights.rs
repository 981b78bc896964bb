//! Questions that are under way, so that many who ask the same ask once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_lock::OnceCell;

use super::apart;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::StoreError;

/// What is answered to everybody aboard. Who asks and is dropped leaves the question to the next.
type Landing<T> = OnceCell<Result<T, Arc<StoreError>>>;

/// A question for the number of the apps.
pub(super) struct Poll {
    /// Counts the polls: a later one knows better.
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
    /// The poll under way, if it began at most `bound` away from `began`, or else a new one.
    ///
    /// `None` where one is under way and whoever asks can do `without`.
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
            // Nobody else aboard: whoever asked was dropped.
            let abandoned = Arc::strong_count(poll) == 1;
            return (abandoned || !without).then(|| Arc::clone(poll));
        }
        let poll = Arc::new(Poll { number: self.count(), began, landing: OnceCell::new() });
        *latest = Some(Arc::clone(&poll));
        Some(poll)
    }

    /// The number of a new poll.
    pub(super) fn count(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// A question for one app.
pub(super) struct Flight {
    /// The state of the apps that was known before.
    epoch: u64,
    began: UnixTime,
    pub(super) landing: Landing<Option<Arc<CustomApp>>>,
    /// How many are aboard: changed under the lock of the flights only.
    seats: AtomicUsize,
}

/// The questions for apps that are under way, one for each app.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<ClientId, Arc<Flight>>>);

impl Flights {
    /// The flight to `client_id`, if it began at most `bound` away from `began` and knew of `epoch`,
    /// or else a new one.
    pub(super) fn board<'a>(
        &'a self,
        client_id: &'a ClientId,
        epoch: u64,
        began: UnixTime,
        bound: Duration,
    ) -> Aboard<'a> {
        let mut flights = lock(&self.0);
        let under_way = flights.get(client_id).filter(|flight| {
            !flight.landing.is_initialized()
                && flight.epoch == epoch
                && apart(began, flight.began) <= bound
        });
        let flight = if let Some(flight) = under_way {
            Arc::clone(flight)
        } else {
            let (landing, seats) = (OnceCell::new(), AtomicUsize::new(0));
            let flight = Arc::new(Flight { epoch, began, landing, seats });
            flights.insert(client_id.clone(), Arc::clone(&flight));
            flight
        };
        flight.seats.fetch_add(1, Ordering::Relaxed);
        Aboard { flights: self, client_id, flight }
    }

    /// Takes the flight to `client_id` off its course, and does `step` before another may begin.
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
    /// Does `step` unless the flight was diverted or another has taken its place.
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

/// No code panics while it holds a lock, so what a poisoned one guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
