//! A store whose apps are cached in the memory of this process.

mod devices;
mod flights;
mod grants;
mod known;
mod pending;
#[cfg(test)]
mod tests;
mod trusted_issuers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use self::flights::{Flights, Polls};
use self::known::Known;
use super::{
    AppQuery, AppRegistry, AppsVersion, DeleteApp, InsertApp, Listing, Page, Revoked, StoreError,
    UpdateApp,
};
use crate::app::CustomApp;
use crate::clock::{Clock, SystemClock, UnixTime};
use crate::ids::ClientId;

/// A store `S` whose apps are cached, so that a token costs no read of its app.
///
/// An entry is valid while [`AppRegistry::apps_version`] returns the same number. The cache asks for the
/// number again before the last answer is older than the *bound*. A change by another process is thus seen
/// within the bound, and a change through this store at once. Statements of the store that look at the app
/// (redemption, rotation, claim) refuse a disabled or deleted app at once.
///
/// * There is no task and no timer. The first caller after half of the bound also asks for the number;
///   other callers meanwhile use the cached entries.
/// * After a revocation through this value the next caller asks, too: what is dated after the revocation must
///   not rest on an app from before it.
/// * Concurrent callers for one uncached app share one call to the store.
/// * An app that [describes itself](crate::app::AppOrigin::is_self_described) changes without the number, so that
///   strangers empty no cache. It is read again after each answer of the store, twice within the bound while there is
///   traffic.
/// * Ids without an app are cached apart, 1,024 of them and no longer than the bound, so that unknown
///   ids displace no app.
/// * If the store does not return the number within the bound, every look-up fails with [`StoreError`].
///
/// ```
/// use std::time::Duration;
/// use grantor::store::{CachedApps, MemoryStore};
///
/// let store = CachedApps::new(MemoryStore::new()).bound(Duration::from_millis(500));
/// # let _ = store;
/// ```
pub struct CachedApps<S> {
    store: S,
    clock: Arc<dyn Clock>,
    bound: Duration,
    known: Known,
    polls: Polls,
    flights: Flights,
    /// After the latest revocation through this value.
    own: AtomicI64,
}

impl<S> CachedApps<S> {
    /// Caches the apps of `store`: 10,000 of them, each for five minutes at most, with a bound of one
    /// second.
    pub fn new(store: S) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock::new()),
            bound: Duration::from_secs(1),
            known: Known::new(10_000, Duration::from_mins(5)),
            polls: Polls::default(),
            flights: Flights::default(),
            own: AtomicI64::new(0),
        }
    }

    /// Sets the time within which a change by another process is seen.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Sets how many apps are cached, at least 8. Unused entries make room first.
    #[must_use]
    pub fn capacity(mut self, apps: usize) -> Self {
        self.known.capacity = apps.max(8);
        self
    }

    /// Sets the age at which an entry is read again in any case: the bound for changes that were made
    /// past the store without counting them.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.known.max_age = age;
        self
    }

    /// Takes the time from `clock` instead of the system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Returns the store behind the cache.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the entry of an app, if it is valid within the bound.
    fn look_up(&self, client_id: &ClientId, began: UnixTime) -> Kept {
        match self.known.find(client_id, began, self.bound) {
            Some(app) => Kept::Known(Some(app)),
            None if self.known.is_absent(client_id, began, self.bound) => Kept::Known(None),
            None => Kept::Nothing,
        }
    }

    /// Learns of a revocation through this value. Cached apps are older, so the next look-up polls: what is
    /// dated after the revocation must not rest on an app from before it.
    fn saw_revocation(&self, revoked: Revoked) -> Revoked {
        let after = revoked.at.plus(Duration::from_millis(1));
        self.own.fetch_max(after.as_millis(), Ordering::AcqRel);
        self.known.expire(self.polls.count());
        revoked
    }

    /// Forgets an app at the end of a change, answered or dropped.
    fn forget_after(&self, client_id: &ClientId) -> Forget<'_, S> {
        Forget { cache: self, client_id: client_id.clone() }
    }
}

/// The failure of a call that several requests share.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.cause())]
struct Shared(Arc<StoreError>);

impl<S: AppRegistry> CachedApps<S> {
    /// Ensures that the latest poll is at most the bound before `began`. It polls after half of the
    /// bound.
    async fn poll(&self, began: UnixTime) -> Result<(), StoreError> {
        let is_known_within = |bound| self.known.age(began).is_some_and(|age| age <= bound);
        if is_known_within(self.bound / 2) {
            return Ok(());
        }
        let without = is_known_within(self.bound);
        let Some(poll) = self.polls.board(began, self.bound, without) else { return Ok(()) };
        // The poll before may have ended meanwhile.
        if is_known_within(self.bound / 2) {
            return Ok(());
        }
        let landing = poll.landing.get_or_init(|| async {
            let version = self.store.apps_version().await.map_err(Arc::new)?;
            self.known.learn(poll.number, poll.began, version);
            Ok(())
        });
        match landing.await {
            // The entries are still within the bound. The next caller tries again.
            Err(_) if without => Ok(()),
            Err(error) => Err(StoreError::new(Shared(Arc::clone(error)))),
            Ok(()) => Ok(()),
        }
    }

    /// Reads the app from the store, or shares the call of another request.
    async fn read(
        &self,
        client_id: &ClientId,
        began: UnixTime,
    ) -> Result<Option<Arc<CustomApp>>, StoreError> {
        // Taken before the call: the answer is no older.
        let mark = self.known.mark();
        let aboard = self.flights.board(client_id, mark, began, self.bound);
        let landing = aboard.flight.landing.get_or_init(|| async {
            // The poll before may have ended meanwhile.
            if let Kept::Known(app) = self.look_up(client_id, began) {
                return Ok(app);
            }
            let found = self.store.find_app(client_id).await.map_err(Arc::new)?;
            aboard.if_on_course(|| self.known.keep(client_id, mark, began, found.clone()));
            Ok(found)
        });
        landing.await.clone().map_err(|error| StoreError::new(Shared(error)))
    }
}

impl<S: AppRegistry> AppRegistry for CachedApps<S> {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        let began = self.clock.now();
        // No poll is due yet: one lock, one clone.
        if let Some(app) = self.known.find(client_id, began, self.bound / 2) {
            return Ok(Some(app));
        }
        self.poll(began).await?;
        match self.look_up(client_id, began) {
            Kept::Known(app) => Ok(app),
            Kept::Nothing => self.read(client_id, began).await,
        }
    }

    async fn read_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.store.read_app(client_id).await
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        let _forget = self.forget_after(app.client_id());
        self.store.insert_app(app).await
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        let _forget = self.forget_after(app.client_id());
        self.store.update_app(app, expected_version).await
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        let _forget = self.forget_after(client_id);
        self.store.delete_app(client_id, expected_version).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.store.list_apps(query, page).await
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        self.store.count_self_registered_apps(most).await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.poll(self.clock.now()).await
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        let (number, began) = (self.polls.count(), self.clock.now());
        let version = self.store.apps_version().await?;
        // The caller has to find the apps as of this version, so earlier entries become stale. If a later call
        // was answered first, the next look-up asks again.
        if !self.known.learn(number, began, version) {
            self.known.expire(self.polls.count());
        }
        Ok(version)
    }
}

/// A look-up in the cache.
enum Kept {
    /// The app, or its absence.
    Known(Option<Arc<CustomApp>>),
    Nothing,
}

/// Forgets an app on drop: a change whose answer was lost may have been made.
struct Forget<'a, S> {
    cache: &'a CachedApps<S>,
    client_id: ClientId,
}

impl<S> Drop for Forget<'_, S> {
    fn drop(&mut self) {
        let known = &self.cache.known;
        // A read that began before the change may still return the old app. It is not cached.
        self.cache.flights.divert(&self.client_id, || known.forget(&self.client_id));
    }
}

impl<S: fmt::Debug> fmt::Debug for CachedApps<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedApps")
            .field("store", &self.store)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

/// Returns the distance of two instants in either direction: after a clock jumped back by more than a
/// bound, nothing is fresh.
fn apart(one: UnixTime, other: UnixTime) -> Duration {
    Duration::from_millis(one.millis_since(other).unsigned_abs())
}
