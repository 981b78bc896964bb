//! The keys of apps at their `jwks_uri` (RFC 7591 section 2).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::app::{AppOrigin, ClientAuthentication, CustomApp, JwksUri};
use crate::clock::UnixTime;
use crate::endpoint::client_documents::Description;
use crate::endpoint::context::Context;
use crate::endpoint::fetches::{self, Class, Flights, Kept, MAX_AGE, Need, PAUSE, age};
use crate::error::{EndpointError, Rejection};
use crate::fetch::DynFetch;
use crate::ids::Source;
use crate::jwt::VerifyingKeys;
use crate::observe::panics::caught_in;
use crate::store::Store;

/// The age at which keys are fetched again before they are used.
const REFRESH_AFTER: Duration = Duration::from_hours(1);
/// The shortest time between the starts of two fetches while there are no keys.
const SHORT_PAUSE: Duration = Duration::from_secs(10);
/// The largest key set, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The number of URLs of registered apps whose keys are kept, and of apps that describe themselves.
const MAX_SETS: usize = 1_000;

/// The keys by which an app signs.
pub(super) enum FoundKeys<'a> {
    /// The row has them.
    InRow(&'a VerifyingKeys),
    /// The row has those of the document.
    OfDocument(&'a VerifyingKeys),
    /// The document has others than the row.
    InDocument(Arc<Description>),
    /// Its `jwks_uri` has them.
    AtUri(Arc<VerifyingKeys>, JwksUri),
}

impl FoundKeys<'_> {
    /// Returns whether the app may have published newer ones.
    pub(super) const fn may_be_newer(&self) -> bool {
        !matches!(self, Self::InRow(_))
    }

    /// Returns the keys, if there are any.
    pub(super) fn keys(&self) -> Option<&VerifyingKeys> {
        match self {
            Self::InRow(keys) | Self::OfDocument(keys) => Some(keys),
            Self::AtUri(keys, _) => Some(keys),
            Self::InDocument(description) => keys_in(description.settings.authentication()),
        }
    }
}

/// The key sets that were fetched, by their URLs. Those of apps that describe themselves make no room of the others.
pub(crate) struct AppKeys {
    fetch: Arc<dyn DynFetch>,
    sets: Mutex<Kept<JwksUri, KeySet>>,
    flights: Flights<JwksUri, Option<Arc<VerifyingKeys>>>,
}

/// The keys at one URL.
#[derive(Default)]
struct KeySet {
    keys: Option<Keys>,
    /// The start of the last fetch.
    began: Option<UnixTime>,
}

#[derive(Clone)]
struct Keys {
    keys: Arc<VerifyingKeys>,
    /// When they were asked for.
    read_at: UnixTime,
}

impl AppKeys {
    pub(crate) fn new(fetch: Arc<dyn DynFetch>) -> Self {
        let sets = Mutex::new(Kept::new(MAX_SETS));
        Self { fetch, sets, flights: Flights::default() }
    }

    /// Returns the keys at `uri`. They are fetched if there are none or they are old, and for [`Need::Newer`], at most
    /// once a minute. If that fails or `admit` refuses it, earlier keys are used until they are a day old.
    ///
    /// One fetch is under way at a time. Callers wait for it only if they cannot do without.
    pub(super) async fn at<P: Send>(
        &self,
        uri: &JwksUri,
        need: Need,
        class: Class,
        now: UnixTime,
        admit: impl FnOnce() -> Result<P, EndpointError> + Send,
    ) -> Result<Option<Arc<VerifyingKeys>>, EndpointError> {
        let (known, is_due) = self.look(uri, need, now);
        let waits = need == Need::Newer || known.is_none();
        if !is_due || (!waits && self.flights.has(uri)) {
            return Ok(known);
        }
        let work = async {
            // The flight before may have ended meanwhile.
            let (known, is_due) = self.look(uri, need, now);
            if !is_due {
                return Ok(known);
            }
            let _place = admit()?;
            let fetched = self.get(uri).await;
            let mut sets = self.sets();
            let set = sets.entry(uri.clone(), class);
            set.began = Some(now);
            if let Some(keys) = fetched {
                set.keys = Some(Keys { keys: Arc::new(keys), read_at: now });
            }
            Ok(set.usable(now))
        };
        match self.flights.share(uri, work).await {
            Err(_) if known.is_some() => Ok(known),
            shared => shared,
        }
    }

    /// Notes that keys at `uri` have verified an assertion: a set in use stays.
    pub(super) fn note_use(&self, uri: &JwksUri, class: Class) {
        self.sets().touch(uri, class);
    }

    /// Returns the usable keys at `uri`, and whether a fetch is due.
    fn look(&self, uri: &JwksUri, need: Need, now: UnixTime) -> (Option<Arc<VerifyingKeys>>, bool) {
        let sets = self.sets();
        sets.get(uri).map_or((None, true), |set| (set.usable(now), set.is_due(need, now)))
    }

    async fn get(&self, uri: &JwksUri) -> Option<VerifyingKeys> {
        let accept = "application/jwk-set+json, application/json";
        let request = fetches::request(uri.as_str(), accept)?;
        // A panic of the host's client counts as a failure.
        let answer = caught_in(self.fetch.fetch_boxed(request, MAX_BYTES)).await.ok()?.ok()?;
        let body = Some(answer.body()).filter(|body| body.len() <= MAX_BYTES)?;
        let text = std::str::from_utf8(body).ok().filter(|_| answer.status() == StatusCode::OK)?;
        let keys = VerifyingKeys::from_jwk_set(text).ok();
        // A set without a usable key, too, ends the keys of before.
        keys.or_else(|| is_jwk_set(text).then(|| VerifyingKeys::of_server(Vec::new())))
    }

    /// No code panics while it holds the lock, so a poisoned one guards intact data.
    fn sets(&self) -> MutexGuard<'_, Kept<JwksUri, KeySet>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Returns the keys by which an app signs. Those of a document follow it, and those at a URL are fetched. No fetch is
    /// made for a disabled app, and none to a host that apps which describe themselves may not name.
    pub(super) async fn keys_of<'a>(
        &self,
        app: Option<&'a CustomApp>,
        need: Need,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Option<FoundKeys<'a>>, EndpointError> {
        let Some(app) = app else { return Ok(None) };
        let authentication = app.settings().authentication();
        let keys = keys_in(authentication);
        if let Some(keys) = keys
            && (app.origin() != AppOrigin::Document || !app.is_enabled())
        {
            return Ok(Some(FoundKeys::InRow(keys)));
        }
        let is_at_uri = matches!(authentication, ClientAuthentication::PrivateKeyJwtUri(_));
        if !app.is_enabled() || (keys.is_none() && !is_at_uri) {
            return Ok(None);
        }
        // Boxed, so that other apps pay nothing for the state of a fetch.
        Box::pin(self.fetched_keys(app, need, source, now)).await.map(Some)
    }

    async fn fetched_keys<'a>(
        &self,
        app: &'a CustomApp,
        need: Need,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<FoundKeys<'a>, EndpointError> {
        let described = self.followed(app, need, source, now).await?;
        let settings = described.as_ref().map_or(app.settings(), |it| &it.settings);
        if let ClientAuthentication::PrivateKeyJwtUri(uri) = settings.authentication() {
            let keys = self.keys_at(app, uri, need, source, now).await?;
            return Ok(FoundKeys::AtUri(keys, uri.clone()));
        }
        let has_keys = keys_in(settings.authentication()).is_some();
        let found = match described {
            Some(described) => has_keys.then_some(FoundKeys::InDocument(described)),
            None => keys_in(app.settings().authentication()).map(FoundKeys::OfDocument),
        };
        // A document that has no keys any more has to be agreed to first.
        Ok(found.ok_or(Rejection::ClientKeysUnavailable)?)
    }

    async fn keys_at(
        &self,
        app: &CustomApp,
        uri: &JwksUri,
        need: Need,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Arc<VerifyingKeys>, EndpointError> {
        let is_stranger = app.origin().is_self_described();
        let host = uri.host().unwrap_or_default();
        let documents = self.documents.as_ref().filter(|_| is_stranger);
        let is_allowed = documents.is_none_or(|documents| documents.allows_keys_at(uri));
        let keys = self.app_keys.as_ref().filter(|_| is_allowed);
        let keys = keys.ok_or(Rejection::ClientKeysUnavailable)?;
        let admit = || {
            // The URLs of registered apps are few. Strangers may still ask in their names.
            if is_stranger {
                self.admit_fetch(&host, source, now).map(Some)
            } else {
                self.charge_fetch(source, now).map(|()| None)
            }
        };
        let found = keys.at(uri, need, class_of(app), now, admit).await?;
        Ok(found.ok_or(Rejection::ClientKeysUnavailable)?)
    }

    /// Returns the keys of a trusted issuer at `uri`, if there are any at hand. Strangers may ask in its name, so each
    /// fetch has a budget.
    pub(crate) async fn keys_of_issuer(
        &self,
        uri: &JwksUri,
        need: Need,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Option<Arc<VerifyingKeys>>, EndpointError> {
        let Some(keys) = &self.app_keys else { return Ok(None) };
        let admit = || self.charge_fetch(source, now);
        let found = keys.at(uri, need, Class::Vouched, now, admit).await?;
        keys.note_use(uri, Class::Vouched);
        Ok(found)
    }

    /// Notes that keys of an app have verified an assertion.
    pub(super) fn note_key_use(&self, app: &CustomApp, found: &FoundKeys<'_>) {
        if let (Some(keys), FoundKeys::AtUri(_, uri)) = (&self.app_keys, found) {
            keys.note_use(uri, class_of(app));
        }
    }
}

/// Returns the keys that the settings have themselves.
fn keys_in(authentication: &ClientAuthentication) -> Option<&VerifyingKeys> {
    if let ClientAuthentication::PrivateKeyJwt(keys) = authentication { Some(keys) } else { None }
}

/// Checks whether `json` has the form of a JWK Set (RFC 7517 section 5).
fn is_jwk_set(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Set {
        #[expect(dead_code, reason = "only its form matters")]
        keys: Vec<IgnoredAny>,
    }
    serde_json::from_str::<Set>(json).is_ok()
}

/// Returns the class of the keys of an app.
fn class_of(app: &CustomApp) -> Class {
    if app.origin().is_self_described() { Class::Stranger } else { Class::Vouched }
}

impl KeySet {
    fn usable(&self, now: UnixTime) -> Option<Arc<VerifyingKeys>> {
        let usable = self.keys.as_ref().filter(|keys| age(keys.read_at, now) <= MAX_AGE);
        usable.map(|keys| Arc::clone(&keys.keys))
    }

    fn is_due(&self, need: Need, now: UnixTime) -> bool {
        let is_old =
            || self.keys.as_ref().is_none_or(|keys| age(keys.read_at, now) >= REFRESH_AFTER);
        let pause = if self.keys.is_some() { PAUSE } else { SHORT_PAUSE };
        (need == Need::Newer || is_old()) && self.began.is_none_or(|began| age(began, now) >= pause)
    }
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "app_keys_tests.rs"]
mod tests;
