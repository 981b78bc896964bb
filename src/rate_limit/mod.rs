//! Two budgets for each app: how much it may ask for, and how often it may fail.
//!
//! * **Volume** is charged to an app once it has proved who it is, a public one by a code or refresh
//!   token of its own, so that nobody can spend another's budget. The quota is the app's own, or
//!   else the server's.
//! * **Failures** are charged to a client id *and* the source of the request, so that guessing ends
//!   soon and a stranger cannot lock out an app that asks from elsewhere. An IPv6 source counts as
//!   its /64 network. Where the host does not tell the source, this budget does not exist: it would
//!   let any stranger lock out any app.
//!
//! Whoever has spent a budget gets 429 with `Retry-After`. The budgets are those of this process.

mod monotonic;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota};

use monotonic::Monotonic;

use crate::app::{CustomApp, RateQuota};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Source};

/// The budgets that hold for every app that has none of its own.
///
/// The default: 6,000 requests a minute and 1,000 at once; 10 failures a minute and 10 at once.
///
/// ```
/// use grantor::app::RateQuota;
/// use grantor::rate_limit::RateLimits;
///
/// let limits = RateLimits::default().with_volume(RateQuota::new(600, 100));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    volume: Option<RateQuota>,
    failures: Option<RateQuota>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { volume: Some(RateQuota::new(6_000, 1_000)), failures: Some(RateQuota::new(10, 10)) }
    }
}

impl RateLimits {
    /// No limits, except for an app that has a quota of its own.
    #[must_use]
    pub const fn none() -> Self {
        Self { volume: None, failures: None }
    }

    /// The same limits, with this many requests for an app that has no quota of its own. A 0 in the
    /// quota is taken as 1.
    #[must_use]
    pub const fn with_volume(mut self, quota: RateQuota) -> Self {
        self.volume = Some(quota);
        self
    }

    /// The same limits, with this many failures for a client id and source. A 0 in the quota is
    /// taken as 1.
    #[must_use]
    pub const fn with_failures(mut self, quota: RateQuota) -> Self {
        self.failures = Some(quota);
        self
    }
}

/// A budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: retry after {seconds} s")]
#[non_exhaustive]
pub struct RetryAfter {
    /// After how many seconds a request can be admitted: `Retry-After` of RFC 9110 section 10.2.3.
    /// At least 1.
    pub seconds: u64,
}

/// The budgets of every app in this process.
pub(crate) struct RateLimiter {
    limits: RateLimits,
    time: Monotonic,
    volume: RwLock<HashMap<ClientId, Volume, foldhash::fast::RandomState>>,
    failures: Option<FailureLimiter>,
    /// No failure budget is spent from this instant on: nearly always the past.
    spent_until: AtomicU64,
    hasher: RandomState,
}

struct Volume {
    quota: RateQuota,
    limiter: governor::RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Nanos>>,
}

type FailureLimiter =
    governor::RateLimiter<Attempt, FailureTimes, Monotonic, NoOpMiddleware<Nanos>>;

/// How many apps are remembered. Strangers cannot add to them.
const MAX_APPS: usize = 100_000;
/// How many pairs of client id and source with failures are remembered.
const MAX_FAILING: usize = 65_536;

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let time = Monotonic::default();
        let failures = limits.failures.map(|quota| {
            FailureLimiter::new(governor_quota(quota), FailureTimes::default(), time.clone())
        });
        Self {
            limits,
            time,
            volume: RwLock::default(),
            failures,
            spent_until: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Refuses if the failure budget of `client_id`, as it is claimed, and `source` is spent.
    /// Charges nothing.
    pub(crate) fn before(
        &self,
        client_id: &str,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let (Some(limiter), Some(source)) = (&self.failures, source) else { return Ok(()) };
        let now = self.time.tell(now);
        if now.as_u64() >= self.spent_until.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = self.failure_key(client_id, source);
        let look = Attempt { key, now: now.as_u64(), charge: false };
        limiter.check_key(&look).map_err(|spent| retry_after(&spent, now))
    }

    /// Charges a failure to `client_id`, as it is claimed, and `source`.
    pub(crate) fn charge_failure(&self, client_id: &str, source: Option<&Source>, now: UnixTime) {
        let (Some(limiter), Some(source)) = (&self.failures, source) else { return };
        let now = self.time.tell(now).as_u64();
        let charge = Attempt { key: self.failure_key(client_id, source), now, charge: true };
        let _ = limiter.check_key(&charge);
        if let Err(spent) = limiter.check_key(&Attempt { charge: false, ..charge }) {
            self.spent_until.fetch_max(spent.earliest_possible().as_u64(), Ordering::Relaxed);
        }
    }

    /// Charges a request to `app`, which has authenticated. Refuses if its budget is spent.
    pub(crate) fn charge_volume(&self, app: &CustomApp, now: UnixTime) -> Result<(), RetryAfter> {
        let Some(quota) = app.settings().rate_quota().or(self.limits.volume) else { return Ok(()) };
        let now = self.time.tell(now);
        let apps = self.volume.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(volume) = apps.get(app.client_id())
            && volume.quota == quota
        {
            return volume.charge(now);
        }
        drop(apps);
        let mut apps = self.volume.write().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= MAX_APPS {
            apps.clear();
        }
        let new = || Volume {
            quota,
            limiter: governor::RateLimiter::direct_with_clock(
                governor_quota(quota),
                self.time.clone(),
            ),
        };
        let volume = apps.entry(app.client_id().clone()).or_insert_with(new);
        if volume.quota != quota {
            *volume = new();
        }
        volume.charge(now)
    }

    /// The hash is keyed, so that nobody can aim at another's key.
    fn failure_key(&self, client_id: &str, source: &Source) -> u64 {
        let address = source.as_str().parse().map(|address: IpAddr| address.to_canonical());
        match address {
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                self.hasher.hash_one((client_id, [a, b, c, d]))
            }
            Ok(IpAddr::V4(address)) => self.hasher.hash_one((client_id, address.octets())),
            Err(_) => self.hasher.hash_one((client_id, source.as_str())),
        }
    }
}

impl Volume {
    fn charge(&self, now: Nanos) -> Result<(), RetryAfter> {
        self.limiter.check().map_err(|spent| retry_after(&spent, now))
    }
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn governor_quota(quota: RateQuota) -> Quota {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(at_least_one(quota.per_minute())).allow_burst(at_least_one(quota.burst()))
}

fn retry_after(spent: &NotUntil<Nanos>, now: Nanos) -> RetryAfter {
    let wait = spent.wait_time_from(now);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    RetryAfter { seconds: seconds.max(1) }
}

/// A look at a failure budget, or a charge to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Attempt {
    key: u64,
    /// Nanoseconds passed.
    now: u64,
    charge: bool,
}

/// When each failure budget will be whole again.
#[derive(Default)]
struct FailureTimes(Mutex<HashMap<u64, Nanos>>);

impl StateStore for FailureTimes {
    type Key = Attempt;

    fn measure_and_replace<T, F, E>(&self, attempt: &Attempt, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, whole_at) = decide(times.get(&attempt.key).copied())?;
        if attempt.charge {
            if times.len() >= MAX_FAILING {
                make_room(&mut times, Nanos::new(attempt.now));
            }
            times.insert(attempt.key, whole_at);
        }
        Ok(outcome)
    }
}

/// Forgets the budgets that are whole, and then those that are nearest to it until half of the room
/// is free: a flood of new names cannot wash out one that is spent.
fn make_room(times: &mut HashMap<u64, Nanos>, now: Nanos) {
    times.retain(|_, whole_at| *whole_at > now);
    if let Some(excess) = times.len().checked_sub(MAX_FAILING / 2) {
        let mut sorted: Vec<Nanos> = times.values().copied().collect();
        sorted.sort_unstable();
        if let Some(nearest) = excess.checked_sub(1).and_then(|last| sorted.get(last)) {
            times.retain(|_, whole_at| *whole_at > *nearest);
        }
    }
}

#[cfg(test)]
mod tests;
