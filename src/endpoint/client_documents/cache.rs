//! The documents in memory, and the fetches under way.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_lock::{OnceCell, Semaphore};

use super::ClientDocuments;
use crate::app::{AppSettings, MetadataDocument};
use crate::clock::UnixTime;
use crate::error::Rejection;
use crate::ids::ClientId;

/// A document that was fetched, as settings within the template.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) settings: AppSettings,
    pub(super) document: MetadataDocument,
}

/// The result of a fetch, which all waiters share.
pub(super) type Fetched = Result<Arc<Description>, Rejection>;

type Flight = Arc<OnceCell<Fetched>>;

/// Descriptions by client id, at most as many as the capacity. Failures are not kept.
pub(super) struct Cache {
    capacity: usize,
    known: Mutex<HashMap<ClientId, Arc<Description>>>,
    flights: Mutex<HashMap<ClientId, Flight>>,
    fetches: Semaphore,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: Mutex::default(),
            flights: Mutex::default(),
            fetches: Semaphore::new(ClientDocuments::MAX_FETCHES),
        }
    }

    /// Returns the description of an app, if it is fresh at `now` and was fetched after `seen_at`, when another process
    /// has last seen the document.
    pub(super) fn fresh(
        &self,
        client_id: &ClientId,
        seen_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Option<Arc<Description>> {
        let known = lock(&self.known).get(client_id).cloned();
        known.filter(|known| {
            is_fresh(&known.document, now)
                && seen_at.is_none_or(|seen_at| known.document.fetched_at() > seen_at)
        })
    }

    /// Forgets an app, whose document is gone.
    pub(super) fn forget(&self, client_id: &ClientId) {
        lock(&self.known).remove(client_id);
    }

    /// Returns a description that is fetched now, or [`fresh`](Self::fresh). It runs `fetch` unless one for this app is
    /// under way, and then shares its result. If too many are under way, it fails with `busy`.
    pub(super) async fn fetched(
        &self,
        client_id: &ClientId,
        seen_at: Option<UnixTime>,
        now: UnixTime,
        busy: Rejection,
        fetch: impl Future<Output = Fetched>,
    ) -> Fetched {
        let seat = self.board(client_id);
        let fetched = seat.flight.get_or_init(|| async {
            // The flight before may have ended meanwhile.
            if let Some(known) = self.fresh(client_id, seen_at, now) {
                return Ok(known);
            }
            let Some(_permit) = self.fetches.try_acquire() else { return Err(busy) };
            let fetched = fetch.await;
            if let Ok(description) = &fetched {
                self.keep(client_id, Arc::clone(description));
            }
            fetched
        });
        fetched.await.clone()
    }

    fn keep(&self, client_id: &ClientId, description: Arc<Description>) {
        let mut known = lock(&self.known);
        if known.len() >= self.capacity && !known.contains_key(client_id) {
            // Those that end first make room: an eighth, so that this happens rarely.
            let mut ends: Vec<_> = known.values().map(|it| it.document.fresh_until()).collect();
            ends.sort_unstable();
            if let Some(end) = ends.get(self.capacity / 8).copied() {
                known.retain(|_, kept| kept.document.fresh_until() > end);
            }
        }
        known.insert(client_id.clone(), description);
    }

    fn board<'a>(&'a self, client_id: &'a ClientId) -> Seat<'a> {
        let flight = Arc::clone(lock(&self.flights).entry(client_id.clone()).or_default());
        Seat { cache: self, client_id, flight }
    }

    #[cfg(test)]
    fn counts(&self) -> (usize, usize) {
        (lock(&self.known).len(), lock(&self.flights).len())
    }
}

/// Checks whether a document needs no fetch. After a clock was set back, a time in the future means nothing.
pub(super) fn is_fresh(document: &MetadataDocument, now: UnixTime) -> bool {
    document.fetched_at() <= now && now < document.fresh_until()
}

/// A caller that waits for a fetch. The last to leave ends it, and so does its result.
struct Seat<'a> {
    cache: &'a Cache,
    client_id: &'a ClientId,
    flight: Flight,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = lock(&self.cache.flights);
        let is_own = flights.get(self.client_id).is_some_and(|it| Arc::ptr_eq(it, &self.flight));
        // Seats are taken under this lock: two holders are the map and this seat.
        if is_own && (self.flight.is_initialized() || Arc::strong_count(&self.flight) == 2) {
            flights.remove(self.client_id);
        }
    }
}

/// Locks. No code panics while it holds a lock, so a poisoned one guards intact data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
