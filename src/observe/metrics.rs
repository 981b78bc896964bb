//! Request counters and latency histograms of the HTTP layer.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::observe::Step;
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

/// The upper bounds of the histogram buckets, in microseconds. One more bucket is unbounded.
const LATENCY_BOUNDS_MICROS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; LATENCY_BOUNDS_MICROS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = LATENCY_BOUNDS_MICROS.partition_point(|bound| bound * 1_000 < nanos);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn write(&self, text: &mut String, name: &str, label: &str) {
        let mut count = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            _ = match LATENCY_BOUNDS_MICROS.get(at) {
                Some(bound) => {
                    let seconds = Duration::from_micros(*bound).as_secs_f64();
                    writeln!(text, "{name}_bucket{{{label},le=\"{seconds}\"}} {count}")
                }
                None => writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {count}"),
            };
        }
        let micros = self.sum_nanos.load(Ordering::Relaxed) / 1_000;
        let seconds = Duration::from_micros(micros).as_secs_f64();
        _ = writeln!(text, "{name}_sum{{{label}}} {seconds}\n{name}_count{{{label}}} {count}");
    }
}

/// Counters of the HTTP layer: requests by endpoint and outcome, request latency by endpoint, and
/// the time that authenticated requests spend at each step.
///
/// Reads are cheap and take no lock.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [[AtomicU64; RequestOutcome::ALL.len()]; ServerEndpoint::ALL.len()],
    latency: [Histogram; ServerEndpoint::ALL.len()],
    steps: [Histogram; Step::ALL.len()],
}

impl Metrics {
    pub(crate) fn count(&self, endpoint: ServerEndpoint, outcome: RequestOutcome, took: Duration) {
        let counters = self.requests.get(endpoint as usize);
        if let Some(counter) = counters.and_then(|them| them.get(outcome as usize)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(latency) = self.latency.get(endpoint as usize) {
            latency.observe(took);
        }
    }

    pub(crate) fn count_step(&self, step: Step, took: Duration) {
        if let Some(histogram) = self.steps.get(step as usize) {
            histogram.observe(took);
        }
    }

    /// Returns the number of requests at `endpoint` with this outcome.
    #[must_use]
    pub fn requests(&self, endpoint: ServerEndpoint, outcome: RequestOutcome) -> u64 {
        let counters = self.requests.get(endpoint as usize);
        let counter = counters.and_then(|them| them.get(outcome as usize));
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Renders all counters and histograms in the Prometheus text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("# TYPE grantor_requests_total counter\n");
        for endpoint in ServerEndpoint::ALL {
            for outcome in RequestOutcome::ALL {
                let labels =
                    format!("endpoint=\"{}\",outcome=\"{}\"", endpoint.as_str(), outcome.as_str());
                let count = self.requests(endpoint, outcome);
                _ = writeln!(text, "grantor_requests_total{{{labels}}} {count}");
            }
        }
        text.push_str("# TYPE grantor_request_seconds histogram\n");
        for (endpoint, latency) in ServerEndpoint::ALL.into_iter().zip(&self.latency) {
            let label = format!("endpoint=\"{}\"", endpoint.as_str());
            latency.write(&mut text, "grantor_request_seconds", &label);
        }
        text.push_str("# TYPE grantor_step_seconds histogram\n");
        for (step, latency) in Step::ALL.into_iter().zip(&self.steps) {
            let label = format!("step=\"{}\"", step.as_str());
            latency.write(&mut text, "grantor_step_seconds", &label);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_outcome_with_their_latency() {
        let metrics = Metrics::default();
        for micros in [50, 51, 2_000_000] {
            let took = Duration::from_micros(micros);
            metrics.count(ServerEndpoint::Token, RequestOutcome::Success, took);
        }
        metrics.count(ServerEndpoint::Token, RequestOutcome::of_status(401), Duration::ZERO);
        metrics.count_step(Step::Mint, Duration::from_micros(700));

        assert_eq!(metrics.requests(ServerEndpoint::Token, RequestOutcome::Success), 3);
        assert_eq!(metrics.requests(ServerEndpoint::Token, RequestOutcome::Refused), 1);
        let text = metrics.to_text();
        for line in [
            "grantor_requests_total{endpoint=\"token\",outcome=\"success\"} 3",
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
