//! The documents in memory, and the fetches under way.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::{AppSettings, MetadataDocument};
use crate::clock::UnixTime;
use crate::endpoint::fetches::{Class, Flights, Kept};
use crate::error::{EndpointError, Rejection};
use crate::ids::ClientId;

/// A document that was fetched, as settings within the template.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) settings: AppSettings,
    pub(super) document: MetadataDocument,
}

/// The result of a fetch, which all waiters share.
pub(super) type Fetched = Result<Arc<Description>, Rejection>;

/// The memory of a process about the document of an app.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The newest description.
    pub(super) description: Option<Arc<Description>>,
    /// The last fetch, if it has failed.
    pub(super) failure: Option<Failure>,
}

/// A fetch that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) at: UnixTime,
    /// Whether the document is gone.
    pub(super) is_gone: bool,
}

/// Descriptions by client id. Those of apps without a row make no room of those that have one.
pub(super) struct Cache {
    known: Mutex<Kept<ClientId, Memory>>,
    flights: Flights<ClientId, Fetched>,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { known: Mutex::new(Kept::new(capacity)), flights: Flights::default() }
    }

    /// Returns the description of an app, if it is fresh at `now` and was fetched after `seen_at`, when another process
    /// has last seen the document.
    pub(super) fn fresh(
        &self,
        client_id: &ClientId,
        class: Class,
        seen_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Option<Arc<Description>> {
        let mut known = self.known();
        let memory = known.get(client_id)?;
        if memory.failure.is_some_and(|failure| failure.is_gone) {
            return None;
        }
        let description = memory.description.clone().filter(|description| {
            is_fresh(&description.document, now)
                && seen_at.is_none_or(|seen_at| description.document.fetched_at() > seen_at)
        })?;
        known.touch(client_id, class);
        Some(description)
    }

    /// Returns the memory of an app with a row.
    pub(super) fn memory(&self, client_id: &ClientId) -> Memory {
        let mut known = self.known();
        known.touch(client_id, Class::Vouched);
        known.get(client_id).cloned().unwrap_or_default()
    }

    /// Checks whether the document of an app is being fetched.
    pub(super) fn is_fetching(&self, client_id: &ClientId) -> bool {
        self.flights.has(client_id)
    }

    /// Notes that a fetch has failed. For an app without a row nothing is kept.
    pub(super) fn note_failure(&self, client_id: &ClientId, class: Class, failure: Failure) {
        let mut known = self.known();
        match class {
            Class::Vouched => known.entry(client_id.clone(), class).failure = Some(failure),
            Class::Stranger if failure.is_gone => known.remove(client_id),
            Class::Stranger => {}
        }
    }

    /// Returns a description that is fetched now, or [`fresh`](Self::fresh). It runs `fetch` unless one for this app is
    /// under way, and then shares its result. An error of `fetch` that is not its result is the caller's own.
    pub(super) async fn fetched(
        &self,
        client_id: &ClientId,
        class: Class,
        seen_at: Option<UnixTime>,
        now: UnixTime,
        fetch: impl Future<Output = Result<Fetched, EndpointError>> + Send,
    ) -> Result<Fetched, EndpointError> {
        let work = async {
            // The flight before may have ended meanwhile.
            if let Some(known) = self.fresh(client_id, class, seen_at, now) {
                return Ok(Ok(known));
            }
            let fetched = fetch.await?;
            if let Ok(description) = &fetched {
                let description = Some(Arc::clone(description));
                *self.known().entry(client_id.clone(), class) =
                    Memory { description, failure: None };
            }
            Ok(fetched)
        };
        self.flights.share(client_id, work).await
    }

    /// No code panics while it holds the lock, so a poisoned one guards intact data.
    fn known(&self) -> MutexGuard<'_, Kept<ClientId, Memory>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn counts(&self) -> (usize, usize) {
        (self.known().len(), self.flights.len())
    }
}

/// Checks whether a document needs no fetch. After a clock was set back, a time in the future means nothing.
pub(super) fn is_fresh(document: &MetadataDocument, now: UnixTime) -> bool {
    document.fetched_at() <= now && now < document.fresh_until()
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
