//! The budgets of apps, of sources, and of the grants of public apps.
//!
//! * **An app** has a budget of requests. It is charged after the app has authenticated, so that no caller
//!   can spend the budget of another app. The quota is the app's own, or else the server's.
//! * **A grant** of a public app has a budget of its own: a code or refresh token that is sent again and
//!   again spends it, and not that of the app's other users. The assertion that alone authenticates an app
//!   counts as a grant.
//! * **A source** has a budget of failures, over all endpoints, and one more for each client id that it
//!   names. An IPv6 source counts as its /64 network. If the host does not tell the source, there are no
//!   such budgets: any stranger could lock out any app.
//!
//! * **A device** has a budget of questions about its wipe, and one of reports. A refresh token, live or dead,
//!   authenticates them. A request whose token proves nothing is charged to its source instead.
//!
//! * **A source** also has a budget of client metadata documents that are not known yet, if the server fetches any.
//! * **A source** also has a budget of registrations, their updates and deletions, if the server lets apps register
//!   themselves.
//!
//! A caller that has spent a budget gets 429 with `Retry-After`. Each process has budgets of its own.
//!
//! # What failures refuse
//!
//! A request that proves a good credential is never refused because of failures: neither a generated
//! secret nor a key or handle can be guessed, so the server compares first and charges a wrong one. Only an
//! imported secret may be short. There the server reserves a failure *before* the comparison, gives it back
//! after a match, and compares nothing while the budget is spent. So a stranger at the same address can
//! lock out an app with an imported secret, until the secret is rotated.
//!
//! # Reservations
//!
//! Every charge is one atomic step, so concurrent requests together get no more than the budget. A request
//! that is dropped before its end keeps its charges, so a guesser gains nothing by hanging up. Every budget
//! refills with time, so nothing is lost for good.
//!
//! # Audit events
//!
//! Of equal refusals from one source, the first five in a minute are recorded one by one, and the first 20
//! if the caller has authenticated. The others become one event with their
//! [`count`](crate::audit::AuditEvent::count). See [`RateLimits::with_stranger_events`].

mod apps;
mod budgets;
mod device_grant;
mod gcra;
mod limits;
pub(crate) mod monotonic;
mod pace;
pub(crate) mod repeats;
mod source_key;

use std::hash::{BuildHasher as _, RandomState};

use apps::AppBudgets;
use budgets::Budgets;
pub(crate) use device_grant::DeviceGrantBudgets;
use gcra::SpentUntil;
pub use limits::RateLimits;
use monotonic::Monotonic;
pub(crate) use source_key::SourceKey;

use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::{ClientId, Source};

/// A budget is spent.
#[doc(alias = "Retry-After")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: retry after {seconds} s")]
#[non_exhaustive]
pub struct RetryAfter {
    /// Seconds until a request can be admitted, at least 1: `Retry-After` of RFC 9110 section 10.2.3.
    pub seconds: u64,
}

/// The budgets of this process.
pub(crate) struct RateLimiter {
    limits: RateLimits,
    time: Monotonic,
    volume: AppBudgets,
    grants: Option<Budgets>,
    failures: Option<Budgets>,
    source_failures: Option<Budgets>,
    /// Boxed, because most servers have no devices.
    source_wipes: Option<Box<Budgets>>,
    device_wipes: Option<Box<Budgets>>,
    source_documents: Option<Box<Budgets>>,
    source_registrations: Option<Box<Budgets>>,
    hasher: RandomState,
}

/// A request of a phone about its wipe. Each kind has a budget of its own.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum WipeKind {
    /// Whether it has to wipe its data.
    Question,
    /// That its data is gone.
    Report,
}

/// A reserved failure: the keys that were charged.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a reserved failure is given back if there was none"]
pub(crate) struct ReservedFailure {
    of_app: Option<u64>,
    of_source: Option<u64>,
}

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self {
            limits,
            time: Monotonic::default(),
            volume: AppBudgets::new(limits.volume),
            grants: limits.grants.map(Budgets::new),
            failures: limits.failures.map(Budgets::new),
            source_failures: limits.source_failures.map(Budgets::new),
            source_wipes: limits.source_wipes.map(Budgets::new).map(Box::new),
            device_wipes: limits.device_wipes.map(Budgets::new).map(Box::new),
            source_documents: limits.source_documents.map(Budgets::new).map(Box::new),
            source_registrations: limits.source_registrations.map(Budgets::new).map(Box::new),
            hasher: RandomState::new(),
        }
    }

    /// Returns the quotas.
    pub(crate) const fn limits(&self) -> RateLimits {
        self.limits
    }

    /// Charges a failure to `source` and, if there is a `client_id`, to the claimed client id and source.
    /// Refuses if either budget is spent, and then charges neither.
    pub(crate) fn reserve_failure(
        &self,
        client_id: Option<&str>,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<ReservedFailure, RetryAfter> {
        let mut reserved = ReservedFailure::default();
        let Some(source) = source.map(SourceKey::of) else { return Ok(reserved) };
        let now = self.time.tell(now);
        // The source first: once it is spent, more client ids add nothing to the table.
        if let Some(failures) = &self.source_failures {
            let key = self.hasher.hash_one(&source);
            failures.charge(key, now).map_err(|spent| retry_after(spent, now))?;
            reserved.of_source = Some(key);
        }
        if let (Some(failures), Some(client_id)) = (&self.failures, client_id) {
            let key = self.hasher.hash_one((client_id, &source));
            if let Err(spent) = failures.charge(key, now) {
                self.give_back_failure(reserved);
                return Err(retry_after(spent, now));
            }
            reserved.of_app = Some(key);
        }
        Ok(reserved)
    }

    /// Undoes a reservation: there was no failure.
    pub(crate) fn give_back_failure(&self, reserved: ReservedFailure) {
        if let (Some(failures), Some(key)) = (&self.failures, reserved.of_app) {
            failures.give_back(key);
        }
        if let (Some(failures), Some(key)) = (&self.source_failures, reserved.of_source) {
            failures.give_back(key);
        }
    }

    /// Charges a use to a grant of a public app, by a name that the server gave the grant. Refuses if its
    /// budget is spent.
    pub(crate) fn charge_grant(&self, grant: &[u8], now: UnixTime) -> Result<(), RetryAfter> {
        let Some(grants) = &self.grants else { return Ok(()) };
        let now = self.time.tell(now);
        let charged = grants.charge(self.hasher.hash_one(grant), now);
        charged.map_err(|spent| retry_after(spent, now))
    }

    /// Charges a request about a wipe, whose token proves nothing, to its source. Refuses if its budget is spent.
    pub(crate) fn charge_source_wipe(
        &self,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let (Some(wipes), Some(source)) = (&self.source_wipes, source) else { return Ok(()) };
        let now = self.time.tell(now);
        let charged = wipes.charge(self.hasher.hash_one(SourceKey::of(source)), now);
        charged.map_err(|spent| retry_after(spent, now))
    }

    /// Charges a request about its wipe to a device, by the grant that its token proves. Refuses if the budget of
    /// this kind is spent.
    pub(crate) fn charge_device_wipe(
        &self,
        kind: WipeKind,
        grant: &[u8],
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let Some(wipes) = &self.device_wipes else { return Ok(()) };
        let now = self.time.tell(now);
        let charged = wipes.charge(self.hasher.hash_one((kind, grant)), now);
        charged.map_err(|spent| retry_after(spent, now))
    }

    /// Charges a document that has to be fetched to the source of the request. Refuses if its budget is spent.
    pub(crate) fn charge_document(
        &self,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let (Some(documents), Some(source)) = (&self.source_documents, source) else {
            return Ok(());
        };
        let now = self.time.tell(now);
        let charged = documents.charge(self.hasher.hash_one(SourceKey::of(source)), now);
        charged.map_err(|spent| retry_after(spent, now))
    }

    /// Charges a registration, or a change of one, to its source. Refuses if its budget is spent. Returns the key, to give it back.
    pub(crate) fn charge_registration(
        &self,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Option<u64>, RetryAfter> {
        let (Some(registrations), Some(source)) = (&self.source_registrations, source) else {
            return Ok(None);
        };
        let now = self.time.tell(now);
        let key = self.hasher.hash_one(SourceKey::of(source));
        registrations.charge(key, now).map_err(|spent| retry_after(spent, now))?;
        Ok(Some(key))
    }

    /// Undoes the charge of a registration: the app was registered before.
    pub(crate) fn give_back_registration(&self, charged: Option<u64>) {
        if let (Some(registrations), Some(key)) = (&self.source_registrations, charged) {
            registrations.give_back(key);
        }
    }

    /// Charges a request to `app`, which has authenticated. Refuses if its budget is spent.
    pub(crate) fn charge_volume(&self, app: &CustomApp, now: UnixTime) -> Result<(), RetryAfter> {
        let now = self.time.tell(now);
        self.volume.charge(app, now).map_err(|spent| retry_after(spent, now))
    }

    /// Gives a charged request back to the app `client_id`.
    pub(crate) fn give_back_volume(&self, client_id: &ClientId) {
        self.volume.give_back(client_id);
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

#[cfg(test)]
mod tests;
