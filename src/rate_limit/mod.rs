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
//! * **A source** also has a budget of apps that it registers, if the server lets apps register themselves.
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
pub(crate) mod monotonic;
mod pace;
pub(crate) mod repeats;

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use apps::AppBudgets;
use budgets::Budgets;
pub(crate) use device_grant::DeviceGrantBudgets;
use gcra::SpentUntil;
use monotonic::Monotonic;

use crate::app::{CustomApp, RateQuota};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Source};

/// The quotas of the server's budgets.
///
/// | budget | default |
/// | --- | --- |
/// | requests of an app without a quota of its own | 6,000 a minute, 1,000 at once |
/// | uses of a grant of a public app | 120 a minute, 300 at once |
/// | failures of a client id and source | 10 a minute, 10 at once |
/// | failures of a source | 120 a minute, 120 at once |
/// | reads of the policy document with the access tokens of a grant | 120 a minute, 300 at once |
/// | requests of a source about wipes, with a token that proves nothing | 2 a minute, 10 at once |
/// | questions of a device about its wipe | 2 a minute, 10 at once |
/// | reports of a device about its wipe | 2 a minute, 10 at once |
/// | requests of a source for device codes, by public apps | 20 a minute, 60 at once |
/// | wrong user codes of a user | 5 a minute, 10 at once |
/// | wrong user codes of a source | 60 a minute, 120 at once |
/// | wrong user codes of all | 300 a minute, 300 at once |
/// | client metadata documents that a source asks for and that are not fresh | 60 a minute, 120 at once |
/// | apps that register themselves from a source | 30 a minute, 60 at once |
/// | audit events of unauthenticated callers | 600 a minute, 1,000 at once |
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
    grants: Option<RateQuota>,
    failures: Option<RateQuota>,
    source_failures: Option<RateQuota>,
    source_wipes: Option<RateQuota>,
    device_wipes: Option<RateQuota>,
    device_requests: Option<RateQuota>,
    user_codes: Option<RateQuota>,
    source_user_codes: Option<RateQuota>,
    all_user_codes: Option<RateQuota>,
    source_documents: Option<RateQuota>,
    source_registrations: Option<RateQuota>,
    stranger_events: Option<RateQuota>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::none()
            .with_volume(RateQuota::new(6_000, 1_000))
            .with_grants(RateQuota::new(120, 300))
            .with_failures(RateQuota::new(10, 10))
            .with_source_failures(RateQuota::new(120, 120))
            .with_source_wipes(RateQuota::new(2, 10))
            .with_device_wipes(RateQuota::new(2, 10))
            .with_device_requests(RateQuota::new(20, 60))
            .with_user_codes(RateQuota::new(5, 10))
            .with_source_user_codes(RateQuota::new(60, 120))
            .with_all_user_codes(RateQuota::new(300, 300))
            .with_source_documents(RateQuota::new(60, 120))
            .with_source_registrations(RateQuota::new(30, 60))
            .with_stranger_events(RateQuota::new(600, 1_000))
    }
}

impl RateLimits {
    /// No limits, except for an app with a quota of its own. Every refusal has an audit event.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            volume: None,
            grants: None,
            failures: None,
            source_failures: None,
            source_wipes: None,
            device_wipes: None,
            device_requests: None,
            user_codes: None,
            source_user_codes: None,
            all_user_codes: None,
            source_documents: None,
            source_registrations: None,
            stranger_events: None,
        }
    }

    /// Sets the quota of requests for an app without one of its own. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_volume(mut self, quota: RateQuota) -> Self {
        self.volume = Some(quota);
        self
    }

    /// Sets the quota of uses of one grant of a public app. A page that refreshes one token from many
    /// scripts at once uses it as often. Reads of the policy document, with the access tokens of a grant of
    /// any app, count apart and have the same quota. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_grants(mut self, quota: RateQuota) -> Self {
        self.grants = Some(quota);
        self
    }

    /// Sets the quota of failures for a client id and source. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_failures(mut self, quota: RateQuota) -> Self {
        self.failures = Some(quota);
        self
    }

    /// Sets the quota of failures for a source, over all endpoints and client ids. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_failures(mut self, quota: RateQuota) -> Self {
        self.source_failures = Some(quota);
        self
    }

    /// Sets the quota of requests about wipes for a source, with tokens that prove nothing: 10 in 300 seconds
    /// by default. Requests with a genuine token, live or dead, cost the source nothing. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_wipes(mut self, quota: RateQuota) -> Self {
        self.source_wipes = Some(quota);
        self
    }

    /// Sets the quota of questions about the wipe of one device, and that of its reports, from all sources. A
    /// device counts by the grant of its token. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_device_wipes(mut self, quota: RateQuota) -> Self {
        self.device_wipes = Some(quota);
        self
    }

    /// Sets the quota of requests for device codes from a source, by public apps. Requests of one public app from
    /// all sources have the quota of the app, or else of [`with_volume`](Self::with_volume), in a budget of their own,
    /// so that strangers who know a client id spend nothing of the app's tokens. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_device_requests(mut self, quota: RateQuota) -> Self {
        self.device_requests = Some(quota);
        self
    }

    /// Sets the quota of wrong user codes of one user, at the page of the device grant. Beyond it no code is looked
    /// up. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_user_codes(mut self, quota: RateQuota) -> Self {
        self.user_codes = Some(quota);
        self
    }

    /// Sets the quota of wrong user codes of all users at one source. Beyond it no code from there is looked up, so it
    /// should be several times the quota of a user. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_user_codes(mut self, quota: RateQuota) -> Self {
        self.source_user_codes = Some(quota);
        self
    }

    /// Sets the quota of wrong user codes of all users and sources together. A code has 34 bits, so at 300 a minute
    /// and 1,000 pending codes a guess is right once in two months. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_all_user_codes(mut self, quota: RateQuota) -> Self {
        self.all_user_codes = Some(quota);
        self
    }

    /// Sets the quota of client metadata documents that a source asks for and that are not fresh, so that they are
    /// fetched. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_documents(mut self, quota: RateQuota) -> Self {
        self.source_documents = Some(quota);
        self
    }

    /// Sets the quota of apps that register themselves from one source. A public app that a source registers again
    /// with the same metadata costs nothing. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_registrations(mut self, quota: RateQuota) -> Self {
        self.source_registrations = Some(quota);
        self
    }

    /// Sets the quota of audit events of unauthenticated callers, over all sources. Beyond it, events are
    /// only counted, and one event a minute for each kind states the count, without source or app. A 0 in it
    /// counts as 1.
    ///
    /// This also switches on that equal refusals from one source become one event with a count.
    #[must_use]
    pub const fn with_stranger_events(mut self, quota: RateQuota) -> Self {
        self.stranger_events = Some(quota);
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

    /// Charges a registration to its source. Refuses if its budget is spent. Returns the key, to give it back.
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

/// A source as budgets know it: an IPv6 address is its /64 network.
#[derive(Hash)]
pub(crate) enum SourceKey<'a> {
    V4([u8; 4]),
    V6([u16; 4]),
    Name(&'a str),
}

impl<'a> SourceKey<'a> {
    pub(crate) fn of(source: &'a Source) -> Self {
        let address = source.as_str().parse().map(|address: IpAddr| address.to_canonical());
        match address {
            Ok(IpAddr::V4(address)) => Self::V4(address.octets()),
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
            Err(_) => Self::Name(source.as_str()),
        }
    }

    /// Returns bytes that differ for different keys.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::V4(octets) => [&[4], &octets[..]].concat(),
            Self::V6(segments) => {
                let segments = segments.iter().flat_map(|segment| segment.to_be_bytes());
                std::iter::once(6).chain(segments).collect()
            }
            Self::Name(name) => [&[0], name.as_bytes()].concat(),
        }
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
