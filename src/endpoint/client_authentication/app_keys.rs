//! The keys of apps at their `jwks_uri` (RFC 7591 section 2).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::ACCEPT;

use crate::app::{AppOrigin, ClientAuthentication, CustomApp, JwksUri};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::Rejection;
use crate::fetch::DynFetch;
use crate::jwt::VerifyingKeys;
use crate::observe::panics::caught_in;
use crate::store::Store;

/// The age at which keys are fetched again before they are used.
const REFRESH_AFTER: Duration = Duration::from_hours(1);
/// The age at which keys are no longer used, although each fetch since has failed.
const MAX_AGE: Duration = Duration::from_hours(24);
/// The shortest time between the starts of two fetches.
const PAUSE: Duration = Duration::from_mins(1);
/// The same while there are no keys, and after a request that was dropped during its fetch.
const SHORT_PAUSE: Duration = Duration::from_secs(10);
/// The largest key set, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The number of URLs whose keys are kept.
const MAX_SETS: usize = 1_000;

/// The reason to ask for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To verify an assertion.
    Use,
    /// An assertion has an unknown key.
    Newer,
}

/// The key sets that were fetched, by their URLs.
pub(crate) struct AppKeys {
    fetch: Arc<dyn DynFetch>,
    sets: Mutex<HashMap<JwksUri, Arc<async_lock::Mutex<KeySet>>>>,
}

/// The keys at one URL. Its lock is held during a fetch: there is one at a time, and the others wait for it.
struct KeySet {
    keys: Option<Arc<VerifyingKeys>>,
    /// When they were asked for.
    read_at: UnixTime,
    /// The start of the last fetch.
    began: Option<UnixTime>,
    /// The time from there until the next may begin.
    pause: Duration,
}

impl AppKeys {
    pub(crate) fn new(fetch: Arc<dyn DynFetch>) -> Self {
        Self { fetch, sets: Mutex::default() }
    }

    /// Returns the keys at `uri`. They are fetched if there are none or they are old, and for [`Need::Newer`], at most
    /// once a minute. If that fails, earlier keys are used until they are a day old.
    pub(super) async fn at(
        &self,
        uri: &JwksUri,
        need: Need,
        now: UnixTime,
    ) -> Option<Arc<VerifyingKeys>> {
        let set = self.set(uri);
        let mut set = set.lock().await;
        if set.is_due(need, now) {
            // The fetch of a request that is dropped ends, and another may begin soon.
            (set.began, set.pause) = (Some(now), SHORT_PAUSE);
            if let Some(keys) = self.get(uri).await {
                (set.keys, set.read_at) = (Some(Arc::new(keys)), now);
            }
            set.pause = if set.keys.is_some() { PAUSE } else { SHORT_PAUSE };
        }
        set.keys.clone().filter(|_| age(set.read_at, now) <= MAX_AGE)
    }

    fn set(&self, uri: &JwksUri) -> Arc<async_lock::Mutex<KeySet>> {
        let mut sets = lock(&self.sets);
        if sets.len() >= MAX_SETS && !sets.contains_key(uri) {
            // Those in use stay, so that one URL never has two.
            let mut surplus = MAX_SETS / 8;
            sets.retain(|_, set| {
                let goes = surplus > 0 && Arc::strong_count(set) == 1;
                surplus -= usize::from(goes);
                !goes
            });
        }
        Arc::clone(sets.entry(uri.clone()).or_default())
    }

    async fn get(&self, uri: &JwksUri) -> Option<VerifyingKeys> {
        let request = http::Request::get(uri.as_str())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Vec::new())
            .ok()?;
        // A panic of the host's client counts as a failure.
        let answer = caught_in(self.fetch.fetch_boxed(request, MAX_BYTES)).await.ok()?.ok()?;
        let body = Some(answer.body()).filter(|body| body.len() <= MAX_BYTES)?;
        let text = std::str::from_utf8(body).ok().filter(|_| answer.status() == StatusCode::OK)?;
        VerifyingKeys::from_jwk_set(text).ok()
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        lock(&self.sets).len()
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Returns the keys at the URL of an app that has them there. No fetch is made for a disabled app, and none to a
    /// host that documents may not name.
    pub(super) async fn fetched_keys(
        &self,
        app: Option<&CustomApp>,
        need: Need,
        now: UnixTime,
    ) -> Result<Option<Arc<VerifyingKeys>>, Rejection> {
        let Some(app) = app.filter(|app| app.is_enabled()) else { return Ok(None) };
        let ClientAuthentication::PrivateKeyJwtUri(uri) = app.settings().authentication() else {
            return Ok(None);
        };
        let documents = self.documents.as_ref().filter(|_| app.origin() == AppOrigin::Document);
        let is_allowed = documents.is_none_or(|it| it.allows_keys_of(app.settings()));
        let keys = self.app_keys.as_ref().filter(|_| is_allowed);
        let keys = keys.ok_or(Rejection::ClientKeysUnavailable)?;
        // Boxed, so that other apps pay nothing for the state of a fetch.
        let found = Box::pin(keys.at(uri, need, now)).await;
        found.map(Some).ok_or(Rejection::ClientKeysUnavailable)
    }
}

impl KeySet {
    fn is_due(&self, need: Need, now: UnixTime) -> bool {
        let is_wanted =
            need == Need::Newer || self.keys.is_none() || age(self.read_at, now) >= REFRESH_AFTER;
        is_wanted && self.began.is_none_or(|began| age(began, now) >= self.pause)
    }
}

impl Default for KeySet {
    fn default() -> Self {
        Self { keys: None, read_at: UnixTime::EPOCH, began: None, pause: SHORT_PAUSE }
    }
}

/// Returns the distance of two instants in either direction: after the clock was set back, nothing is fresh.
fn age(at: UnixTime, now: UnixTime) -> Duration {
    Duration::from_millis(now.millis_since(at).unsigned_abs())
}

/// Locks. No code panics while it holds a lock, so a poisoned one guards intact data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "app_keys_tests.rs"]
mod tests;
