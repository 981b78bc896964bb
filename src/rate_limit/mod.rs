//! Two budgets for each app: for its requests, and for its failures.
//!
//! * **Volume** is charged to an app after it has authenticated, a public app by a code or refresh
//!   token of its own, so that no caller can spend the budget of another app. The quota is the app's
//!   own, or else the server's.
//! * **Failures** are charged to a client id *and* the source of the request. So guessing ends soon, and
//!   a stranger cannot lock out an app that calls from elsewhere. An IPv6 source counts as its /64
//!   network. If the host does not tell the source, there is no such budget: any stranger could lock
//!   out any app.
//!
//! A caller that has spent a budget gets 429 with `Retry-After`. Each process has budgets of its own.

mod gcra;
mod monotonic;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use gcra::{Budget, Rate, SpentUntil};
use monotonic::Monotonic;

use crate::app::{CustomApp, RateQuota};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Source};

/// The budgets of every app without a quota of its own.
///
/// Default: 6,000 requests a minute and 1,000 at once, 10 failures a minute and 10 at once.
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
    /// No limits, except for an app with a quota of its own.
    #[must_use]
    pub const fn none() -> Self {
        Self { volume: None, failures: None }
    }

    /// Sets the quota of requests for an app without one of its own. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_volume(mut self, quota: RateQuota) -> Self {
        self.volume = Some(quota);
        self
    }

    /// Sets the quota of failures for a client id and source. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_failures(mut self, quota: RateQuota) -> Self {
        self.failures = Some(quota);
        self
    }
}

/// A budget is spent.
#[doc(alias = "Retry-After")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: retry after {seconds} s")]
#[non_exhaustive]
pub struct RetryAfter {
    /// Seconds until a request can be admitted, at least 1: `Retry-After` of RFC 9110 section 10.2.3.
    pub seconds: u64,
}

/// The budgets of every app in this process.
pub(crate) struct RateLimiter {
    limits: RateLimits,
    time: Monotonic,
    volume: RwLock<HashMap<ClientId, Volume, foldhash::fast::RandomState>>,
    failures: Option<Failures>,
    /// No failure budget is spent from this instant on. It is nearly always in the past.
    spent_until: AtomicU64,
    hasher: RandomState,
}

struct Volume {
    quota: RateQuota,
    budget: Budget,
}

/// The failure budgets, by the hash of client id and source.
struct Failures {
    rate: Rate,
    full_at: Mutex<HashMap<u64, u64>>,
}

/// The largest number of apps with a budget. Strangers cannot add to them.
const MAX_APPS: usize = 100_000;
/// The largest number of pairs of client id and source with a failure budget.
const MAX_FAILING: usize = 65_536;

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let failures = |quota| Failures { rate: Rate::new(quota), full_at: Mutex::default() };
        Self {
            limits,
            time: Monotonic::default(),
            volume: RwLock::default(),
            failures: limits.failures.map(failures),
            spent_until: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Refuses if the failure budget of the claimed `client_id` and `source` is spent. Charges nothing.
    pub(crate) fn before(
        &self,
        client_id: &str,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let (Some(failures), Some(source)) = (&self.failures, source) else { return Ok(()) };
        let now = self.time.tell(now);
        if now >= self.spent_until.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = self.failure_key(client_id, source);
        failures.check(key, now).map_err(|spent| retry_after(spent, now))
    }

    /// Charges a failure to the claimed `client_id` and `source`.
    pub(crate) fn charge_failure(&self, client_id: &str, source: Option<&Source>, now: UnixTime) {
        let (Some(failures), Some(source)) = (&self.failures, source) else { return };
        let now = self.time.tell(now);
        if let Err(SpentUntil(instant)) = failures.charge(self.failure_key(client_id, source), now)
        {
            self.spent_until.fetch_max(instant, Ordering::Relaxed);
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
            return volume.budget.charge(now).map_err(|spent| retry_after(spent, now));
        }
        drop(apps);
        let mut apps = self.volume.write().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= MAX_APPS {
            apps.clear();
        }
        let new = || Volume { quota, budget: Budget::new(Rate::new(quota)) };
        let volume = apps.entry(app.client_id().clone()).or_insert_with(new);
        if volume.quota != quota {
            *volume = new();
        }
        volume.budget.charge(now).map_err(|spent| retry_after(spent, now))
    }

    /// Returns a keyed hash, so that a caller cannot aim at the key of another.
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

impl Failures {
    fn check(&self, key: u64, now: u64) -> Result<(), SpentUntil> {
        let all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = all.get(&key).copied().unwrap_or_default();
        self.rate.charge(full_at, now).map(|_| ())
    }

    /// Charges a failure, unless the budget is spent already. Returns an error if it is spent now.
    fn charge(&self, key: u64, now: u64) -> Result<(), SpentUntil> {
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = all.get(&key).copied().unwrap_or_default();
        let charged = self.rate.charge(full_at, now)?;
        if all.len() >= MAX_FAILING {
            make_room(&mut all, now);
        }
        all.insert(key, charged);
        self.rate.charge(charged, now).map(|_| ())
    }
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn retry_after(SpentUntil(instant): SpentUntil, now: u64) -> RetryAfter {
    RetryAfter { seconds: instant.saturating_sub(now).div_ceil(1_000_000_000).max(1) }
}

/// Removes the full budgets, and then those nearest to it until half of the room is free. So a flood of
/// new names cannot wash out a spent budget.
fn make_room(all: &mut HashMap<u64, u64>, now: u64) {
    all.retain(|_, full_at| *full_at > now);
    if let Some(excess) = all.len().checked_sub(MAX_FAILING / 2) {
        let mut sorted: Vec<u64> = all.values().copied().collect();
        sorted.sort_unstable();
        if let Some(nearest) = excess.checked_sub(1).and_then(|last| sorted.get(last)) {
            all.retain(|_, full_at| *full_at > *nearest);
        }
    }
}

#[cfg(test)]
mod tests;
