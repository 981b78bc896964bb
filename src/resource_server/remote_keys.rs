//! The keys of an authorization server in another process.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_lock::Mutex;

use super::server_documents::{self, DiscoveryError, ServerDocument};
use super::{BearerVerifier, Challenge, Refusal};
use crate::clock::{Clock as _, SystemClock, UnixTime};
use crate::fetch::{DynFetch, Fetch, FetchError};
use crate::ids::Issuer;
use crate::jwt::{AccessTokenError, VerifyingKeys};
#[cfg(feature = "tracing")]
use crate::observe::panics::caught;
use crate::observe::panics::caught_in;
use crate::rate_limit::monotonic::Monotonic;

/// The age of the keys at which they are no longer used.
pub(super) const MAX_AGE: Duration = Duration::from_hours(1);
/// The age at which `refresh_keys` fetches them again.
const REFRESH_AFTER: Duration = Duration::from_mins(5);
/// The shortest time between the starts of two fetches.
const PAUSE: Duration = Duration::from_mins(1);
/// The same while no token is accepted, and after a fetch that failed because the callers that waited for
/// it were dropped: a client that disconnects must not keep the keys from being fetched.
const SHORT_PAUSE: Duration = Duration::from_secs(10);
/// The number of requests that wait for a fetch.
const MAX_WAITING: usize = 64;

type Fetching = Pin<Box<dyn Future<Output = Result<VerifyingKeys, DiscoveryError>> + Send>>;

/// The place from which a verifier gets its keys.
pub(super) struct RemoteKeys {
    issuer: Issuer,
    fetch: Arc<dyn DynFetch>,
    /// The start of the last successful fetch, in milliseconds by the verifier's clock.
    read_at: AtomicI64,
    /// The number of fetches that have ended.
    ended: AtomicU64,
    waiting: AtomicUsize,
    time: Monotonic,
    fetches: Mutex<Fetches>,
}

#[derive(Default)]
struct Fetches {
    /// The fetch under way. It outlives the callers that poll it: the next one goes on with it.
    under_way: Option<UnderWay>,
    last: Last,
}

struct UnderWay {
    asked_at: UnixTime,
    fetching: Fetching,
    /// Whether a caller that waited for it was dropped.
    was_abandoned: bool,
}

/// The fetch that began last.
#[derive(Default)]
struct Last {
    /// By the monotonic time of the keys.
    began: Duration,
    failed: bool,
    was_abandoned: bool,
}

/// The reason to fetch the keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// A token has an unknown key.
    UnknownKey,
    /// The keys are too old for any token.
    Stale,
    /// A short time has passed.
    Regularly,
}

impl Last {
    /// Returns the time from its start until the next may begin.
    const fn pause(&self, due: Due) -> Duration {
        match due {
            Due::Stale => SHORT_PAUSE,
            Due::UnknownKey | Due::Regularly if self.failed && self.was_abandoned => SHORT_PAUSE,
            Due::Regularly if !self.failed => REFRESH_AFTER,
            Due::UnknownKey | Due::Regularly => PAUSE,
        }
    }
}

impl RemoteKeys {
    /// Fetches the keys for the first time.
    async fn first(
        issuer: Issuer,
        fetch: Arc<dyn DynFetch>,
    ) -> Result<(Self, VerifyingKeys), DiscoveryError> {
        let asked_at = SystemClock::new().now();
        let keys = server_documents::keys(&issuer, &*fetch).await?;
        let time = Monotonic::default();
        let began = elapsed(&time, asked_at);
        let last = Last { began, ..Last::default() };
        let remote = Self {
            issuer,
            fetch,
            read_at: AtomicI64::new(asked_at.as_millis()),
            ended: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            time,
            fetches: Mutex::new(Fetches { under_way: None, last }),
        };
        Ok((remote, keys))
    }

    /// Counts the age of the keys from `now`, by another clock than before.
    pub(super) fn date(&mut self, now: UnixTime) {
        *self.read_at.get_mut() = now.as_millis();
        self.fetches.get_mut().last.began = elapsed(&self.time, now);
    }

    /// Checks the age of the keys, in both directions: it means nothing after the clock was set back.
    pub(super) fn check_age(&self, now: UnixTime) -> Result<(), Refusal> {
        let read_at = UnixTime::from_millis(self.read_at.load(Ordering::Acquire));
        let age = now.millis_since(read_at).unsigned_abs();
        if u128::from(age) > MAX_AGE.as_millis() { Err(Refusal::KeysStale) } else { Ok(()) }
    }

    /// Fetches the keys if that is due, or waits for the fetch under way. Returns true if the last fetch
    /// succeeded. It may have ended just before this call, after the check that led to it.
    async fn refresh(&self, verifier: &BearerVerifier, due: Due) -> Result<bool, DiscoveryError> {
        let Some(_seat) = Seat::take(&self.waiting) else { return Ok(false) };
        let ended = self.ended.load(Ordering::Acquire);
        let mut fetches = self.fetches.lock().await;
        if self.ended.load(Ordering::Acquire) == ended {
            self.go_on(verifier, &mut fetches, due).await?;
        }
        Ok(!fetches.last.failed)
    }

    /// Goes on with the fetch under way, or begins one if that is due, to its end.
    async fn go_on(
        &self,
        verifier: &BearerVerifier,
        fetches: &mut Fetches,
        due: Due,
    ) -> Result<(), DiscoveryError> {
        let now = verifier.clock.now();
        let time = elapsed(&self.time, now);
        let since = time.saturating_sub(fetches.last.began);
        // An answer that was on its way for so long may be outdated.
        if since >= PAUSE && fetches.under_way.take().is_some() {
            fetches.last.failed = true;
        }
        let under_way = match &mut fetches.under_way {
            Some(under_way) => {
                under_way.was_abandoned = true;
                under_way
            }
            None if since < fetches.last.pause(due) => return Ok(()),
            none => {
                fetches.last = Last { began: time, ..Last::default() };
                none.insert(self.begin(now))
            }
        };
        let result = under_way.fetching.as_mut().await;
        let (asked_at, was_abandoned) = (under_way.asked_at, under_way.was_abandoned);
        fetches.under_way = None;
        fetches.last.failed = result.is_err();
        fetches.last.was_abandoned = was_abandoned;
        let result = result.map(|keys| {
            verifier.replace_keys(keys);
            self.read_at.store(asked_at.as_millis(), Ordering::Release);
        });
        self.ended.fetch_add(1, Ordering::AcqRel);
        result
    }

    fn begin(&self, now: UnixTime) -> UnderWay {
        let (issuer, fetch) = (self.issuer.clone(), Arc::clone(&self.fetch));
        // A panic of the host's client would otherwise repeat at each poll.
        let fetching = async move {
            let keys = caught_in(server_documents::keys(&issuer, &*fetch)).await;
            keys.unwrap_or_else(|panicked| {
                let (document, error) = (ServerDocument::Metadata, FetchError::new(panicked));
                Err(DiscoveryError::Fetch { document, error })
            })
        };
        UnderWay { asked_at: now, fetching: Box::pin(fetching), was_abandoned: false }
    }
}

fn elapsed(time: &Monotonic, now: UnixTime) -> Duration {
    Duration::from_nanos(time.tell(now))
}

/// A place among the callers that wait.
struct Seat<'a>(&'a AtomicUsize);

impl<'a> Seat<'a> {
    fn take(taken: &'a AtomicUsize) -> Option<Self> {
        let seat = Self(taken);
        // A seat that is dropped gives its place back.
        (taken.fetch_add(1, Ordering::AcqRel) < MAX_WAITING).then_some(seat)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.issuer)
            .field("read_at", &self.read_at)
            .finish_non_exhaustive()
    }
}

impl BearerVerifier {
    /// Creates a verifier of tokens from the authorization server `issuer` in another process: it fetches
    /// the server's metadata (RFC 8414) and the keys at their `jwks_uri`. Other settings are as for
    /// [`new`](Self::new).
    ///
    /// The metadata must state exactly this issuer. They are at
    /// `/.well-known/oauth-authorization-server`, which comes before the path of the issuer.
    ///
    /// # How the keys change
    ///
    /// | event | effect |
    /// | --- | --- |
    /// | token with an unknown `kid`, or with an `alg` for which there is no key | one fetch, for which the request waits, if the last one began over a minute ago |
    /// | many such requests at once | they share the fetch; from the 65th that would wait, they are refused at once |
    /// | [`refresh_keys`](Self::refresh_keys) | a fetch if the last one began five minutes ago, or failed a minute ago |
    /// | fetch fails or does not end | the keys stay in use until they are an hour old |
    /// | keys over an hour old | tokens are refused with status 503, and requests wait for a fetch, if the last one began over ten seconds ago |
    /// | key no longer published | its tokens are refused, also cached ones, from the next fetch on: after five minutes at most if `refresh_keys` is called, and after an hour at most if not, or if fetches fail |
    ///
    /// Requests wait in `BearerLayer`, in the extractors for axum, and in
    /// [`check_with`](Self::check_with) and [`authorize_with`](Self::authorize_with). After a call of
    /// [`check`](Self::check) or [`authorize`](Self::authorize), call
    /// [`refresh_after`](Self::refresh_after). A token with a known key waits for nothing.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] if the server is not reachable, or its documents are not usable. Try again later.
    ///
    /// ```
    /// use grantor::Issuer;
    /// use grantor::fetch::Fetch;
    /// use grantor::ids::Resource;
    /// use grantor::resource_server::BearerVerifier;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "fetch")] {
    /// let fetcher = grantor::fetch::Fetcher::new()?;
    /// let verifier = BearerVerifier::discover(Issuer::new("https://as.example.com")?, fetcher)
    ///     .await?
    ///     .with_resource(Resource::new("https://api.example.com")?);
    /// # let _ = verifier;
    /// # }
    /// # Ok(()) }
    /// ```
    pub async fn discover(
        issuer: Issuer,
        fetch: impl Fetch + 'static,
    ) -> Result<Self, DiscoveryError> {
        let (remote, keys) = RemoteKeys::first(issuer.clone(), Arc::new(fetch)).await?;
        let mut verifier = Self::new(issuer, keys);
        verifier.remote = Some(remote);
        Ok(verifier)
    }

    /// Fetches the keys of a [discovered](Self::discover) issuer again, if the last fetch began five minutes
    /// ago, or failed a minute ago. Call it every few seconds, in a task of its own: it waits for the fetch.
    ///
    /// For another verifier it is a no-op.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] if this call's fetch failed. The present keys stay in use until they are an hour
    /// old.
    pub async fn refresh_keys(&self) -> Result<(), DiscoveryError> {
        match &self.remote {
            Some(remote) => remote.refresh(self, Due::Regularly).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Fetches the keys of a [discovered](Self::discover) issuer again, if they are the reason of
    /// `challenge`: an unknown key, or keys that are too old. Returns true if the request should be checked
    /// again, because the keys may be others than before.
    ///
    /// The layer and the extractors do so themselves.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use grantor::jwt::AccessTokenClaims;
    /// # use grantor::resource_server::{BearerVerifier, Challenge};
    /// # async fn check(
    /// #     verifier: &BearerVerifier, header: Option<&str>,
    /// # ) -> Result<Arc<AccessTokenClaims>, Challenge> {
    /// match verifier.check(header) {
    ///     Err(challenge) if verifier.refresh_after(&challenge).await => verifier.check(header),
    ///     checked => checked,
    /// }
    /// # }
    /// ```
    pub async fn refresh_after(&self, challenge: &Challenge) -> bool {
        let Some(remote) = &self.remote else { return false };
        let due = if matches!(challenge.refusal(), Refusal::KeysStale) {
            Due::Stale
        } else if let Refusal::Token(AccessTokenError::UnknownKey | AccessTokenError::Algorithm) =
            challenge.refusal()
        {
            Due::UnknownKey
        } else {
            return false;
        };
        let read = remote.refresh(self, due).await;
        #[cfg(feature = "tracing")]
        if let Err(error) = &read {
            // A log that cannot be written does not end the request.
            let _ = caught(|| {
                tracing::warn!("the keys of the issuer were not fetched: {error}");
            });
        }
        read.unwrap_or(false)
    }

    /// Checks whether [`refresh_after`](Self::refresh_after) may have an effect.
    #[cfg(feature = "tower")]
    pub(super) const fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Calls `check`, and again if it failed for want of a key and the keys may be others now.
    pub(super) async fn check_again<T>(
        &self,
        check: impl Fn() -> Result<T, Challenge>,
    ) -> Result<T, Challenge> {
        match check() {
            Err(challenge) if self.refresh_after(&challenge).await => check(),
            checked => checked,
        }
    }
}

#[cfg(test)]
#[path = "remote_keys_tests.rs"]
mod tests;
