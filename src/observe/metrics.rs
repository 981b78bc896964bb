//! Request counters and latency histograms of the HTTP layer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::facade::Facade;
use super::histogram::Histogram;
use super::observation::Measured;
use super::reasons::{REFUSAL_REASONS, RefusalReason};
use super::text::MetricsText;
use crate::ids::Issuer;
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;
use crate::protocol::paths::ServerEndpoint;

/// The outcome of a request, as [`Metrics`] counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestOutcome {
    /// The response is a success, a redirect or a page.
    Success,
    /// The request was at fault.
    Refused,
    /// A rate limit was exceeded.
    Limited,
    /// This server, or a service that it depends on, was at fault.
    Failed,
}

impl RequestOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Refused, Self::Limited, Self::Failed];

    /// Returns the stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }

    /// Derives the outcome from an HTTP status.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Limited,
            500.. => Self::Failed,
            400.. => Self::Refused,
            _ => Self::Success,
        }
    }
}

/// The values of the label `grant_type`: every grant type, and `None` for a request that was refused before
/// its grant type was known.
pub(super) const TOKEN_GRANTS: [Option<GrantType>; GrantType::ALL.len() + 1] = [
    Some(GrantType::AuthorizationCode),
    Some(GrantType::RefreshToken),
    Some(GrantType::JwtBearer),
    Some(GrantType::ClientCredentials),
    Some(GrantType::DeviceCode),
    Some(GrantType::TokenExchange),
    None,
];

pub(super) const fn grant_label(grant_type: Option<GrantType>) -> &'static str {
    match grant_type {
        Some(grant_type) => grant_type.as_str(),
        None => "unknown",
    }
}

/// Returns the place of a grant type in [`TOKEN_GRANTS`].
pub(super) const fn grant_place(grant_type: Option<GrantType>) -> usize {
    match grant_type {
        Some(grant_type) => grant_type as usize,
        None => GrantType::ALL.len(),
    }
}

/// Counters that take no lock.
#[derive(Debug)]
struct Counters<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl<const N: usize> Counters<N> {
    fn count(&self, at: usize) {
        if let Some(counter) = self.0.get(at) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn get(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

/// Counters of the HTTP layer: answers by endpoint and outcome, token requests by grant type, refusals by
/// reason, latency by endpoint and, if the host wants it, the time that requests spend at each step.
///
/// Counting and reading take no lock. [`MetricsText`] puts the metrics of several servers together.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The label of the text.
    issuer: Option<Issuer>,
    requests: [Counters<{ RequestOutcome::ALL.len() }>; ServerEndpoint::ALL.len()],
    token_requests: [Counters<{ RequestOutcome::ALL.len() }>; TOKEN_GRANTS.len()],
    /// The largest array is apart, so that endpoints stay cheap to move.
    refusals: Box<[Counters<{ REFUSAL_REASONS.len() }>; ServerEndpoint::ALL.len()]>,
    latency: [Histogram; ServerEndpoint::ALL.len()],
    /// Absent unless the host wants them.
    steps: Option<Box<[Histogram; Step::ALL.len()]>>,
    facade: Facade,
}

impl Metrics {
    /// Creates metrics with the label `issuer`, or without one. `steps` says whether they count the time at each step.
    pub(crate) fn new(issuer: Option<Issuer>, steps: bool) -> Self {
        let facade = Facade::new(issuer.as_ref(), steps);
        Self { facade, issuer, steps: steps.then(Box::default), ..Self::default() }
    }

    /// Checks whether the time at each step is counted.
    pub(crate) const fn times_steps(&self) -> bool {
        self.steps.is_some()
    }

    /// Counts an answered request.
    pub(crate) fn count(
        &self,
        endpoint: ServerEndpoint,
        outcome: RequestOutcome,
        measured: &Measured,
    ) {
        if let Some(counters) = self.requests.get(endpoint as usize) {
            counters.count(outcome as usize);
        }
        if endpoint == ServerEndpoint::Token
            && let Some(counters) = self.token_requests.get(grant_place(measured.grant_type))
        {
            counters.count(outcome as usize);
        }
        if let Some(reason) = measured.refusal
            && let Some(counters) = self.refusals.get(endpoint as usize)
        {
            counters.count(reason.place());
        }
        if let Some(latency) = self.latency.get(endpoint as usize) {
            latency.observe(measured.took);
        }
        if let Some(steps) = &self.steps {
            for (step, took) in measured.steps() {
                if let Some(histogram) = steps.get(step as usize) {
                    histogram.observe(took);
                }
            }
        }
        self.facade.count(endpoint, outcome, measured);
    }

    /// Returns the label, if there is one.
    pub(crate) const fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// Returns the number of requests at `endpoint` with this outcome.
    #[must_use]
    pub fn requests(&self, endpoint: ServerEndpoint, outcome: RequestOutcome) -> u64 {
        self.requests.get(endpoint as usize).map_or(0, |counters| counters.get(outcome as usize))
    }

    /// Returns the number of token requests with this grant type and outcome. `None` stands for requests
    /// that were refused before their grant type was known.
    #[must_use]
    pub fn token_requests(&self, grant_type: Option<GrantType>, outcome: RequestOutcome) -> u64 {
        let counters = self.token_requests.get(grant_place(grant_type));
        counters.map_or(0, |counters| counters.get(outcome as usize))
    }

    /// Returns the number of requests at `endpoint` that were refused for `reason`, one of
    /// [`REFUSAL_REASONS`]; zero for any other name.
    ///
    /// Their answer may be a success over HTTP: a redirect to the app, or the introspection of a token
    /// that is not active.
    #[must_use]
    pub fn refusals(&self, endpoint: ServerEndpoint, reason: &str) -> u64 {
        RefusalReason::named(reason).map_or(0, |reason| self.refusals_for(endpoint, reason))
    }

    pub(super) fn refusals_for(&self, endpoint: ServerEndpoint, reason: RefusalReason) -> u64 {
        self.refusals.get(endpoint as usize).map_or(0, |counters| counters.get(reason.place()))
    }

    pub(super) fn latency(&self, endpoint: ServerEndpoint) -> Option<&Histogram> {
        self.latency.get(endpoint as usize)
    }

    pub(super) fn step(&self, step: Step) -> Option<&Histogram> {
        self.steps.as_ref()?.get(step as usize)
    }

    /// Renders all counters and histograms as [`MetricsText`] does.
    #[must_use]
    pub fn to_text(&self) -> String {
        MetricsText::new().with_server(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn measured(micros: u64) -> Measured {
        Measured { took: Duration::from_micros(micros), ..Measured::default() }
    }

    #[test]
    fn requests_are_counted_by_endpoint_and_outcome_with_their_latency() {
        let metrics = Metrics::new(None, true);
        for micros in [50, 51, 2_000_000] {
            metrics.count(ServerEndpoint::Token, RequestOutcome::Success, &measured(micros));
        }
        let mut refused = measured(0);
        refused.steps[Step::Mint as usize] = Duration::from_micros(700);
        refused.refusal = RefusalReason::named("wrong_secret");
        refused.grant_type = Some(GrantType::RefreshToken);
        metrics.count(ServerEndpoint::Token, RequestOutcome::of_status(401), &refused);

        assert_eq!(metrics.requests(ServerEndpoint::Token, RequestOutcome::Success), 3);
        assert_eq!(metrics.requests(ServerEndpoint::Token, RequestOutcome::Refused), 1);
        assert_eq!(metrics.token_requests(None, RequestOutcome::Success), 3);
        let refresh = Some(GrantType::RefreshToken);
        assert_eq!(metrics.token_requests(refresh, RequestOutcome::Refused), 1);
        assert_eq!(metrics.refusals(ServerEndpoint::Token, "wrong_secret"), 1);
        assert_eq!(metrics.refusals(ServerEndpoint::Revocation, "wrong_secret"), 0);
        let text = metrics.to_text();
        for line in [
            "grantor_requests_total{endpoint=\"token\",outcome=\"success\"} 3",
            "grantor_token_requests_total{grant_type=\"refresh_token\",outcome=\"refused\"} 1",
            "grantor_token_requests_total{grant_type=\"unknown\",outcome=\"success\"} 3",
            "grantor_refusals_total{endpoint=\"token\",reason=\"wrong_secret\"} 1",
            "grantor_request_seconds_bucket{endpoint=\"token\",le=\"0.00005\"} 2",
            "grantor_request_seconds_bucket{endpoint=\"token\",le=\"0.0001\"} 3",
            "grantor_request_seconds_bucket{endpoint=\"token\",le=\"1\"} 3",
            "grantor_request_seconds_bucket{endpoint=\"token\",le=\"+Inf\"} 4",
            "grantor_request_seconds_sum{endpoint=\"token\"} 2.000101",
            "grantor_request_seconds_count{endpoint=\"token\"} 4",
            "grantor_step_seconds_count{step=\"mint\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("grantor_refusals_total{").count(), 1, "{text}");
    }

    #[test]
    fn the_text_has_the_times_of_steps_only_if_a_server_counts_them() {
        let (plain, timed) = (Metrics::default(), Metrics::new(None, true));
        assert!(!plain.to_text().contains("grantor_step_seconds"));
        let both = MetricsText::new().with_server(&plain).with_server(&timed).to_string();
        assert_eq!(both.matches("# TYPE grantor_step_seconds").count(), 1);
        assert_eq!(both.matches("grantor_step_seconds_count").count(), Step::ALL.len());
    }

    #[test]
    fn every_grant_type_has_its_place() {
        for (place, grant_type) in TOKEN_GRANTS.into_iter().enumerate() {
            assert_eq!(grant_place(grant_type), place);
        }
        assert!(GrantType::ALL.iter().all(|it| TOKEN_GRANTS.contains(&Some(*it))));
    }

    #[test]
    fn an_outcome_follows_from_the_status() {
        for (status, outcome) in [
            (200, RequestOutcome::Success),
            (303, RequestOutcome::Success),
            (400, RequestOutcome::Refused),
            (429, RequestOutcome::Limited),
            (503, RequestOutcome::Failed),
        ] {
            assert_eq!(RequestOutcome::of_status(status), outcome);
        }
    }
}
