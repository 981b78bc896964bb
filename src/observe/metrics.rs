//! Counters and latencies of the HTTP layer, for a metrics exporter to read.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::observe::Step;
use crate::protocol::paths::ServerEndpoint;

/// How a request ended, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestOutcome {
    /// The client got what it asked for, a redirect or a page.
    Success,
    /// The request was at fault.
    Refused,
    /// A limit was exceeded.
    Limited,
    /// This server, or something it needs, was at fault.
    Failed,
}

impl RequestOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Refused, Self::Limited, Self::Failed];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }

    /// The outcome of an answer with this status.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Limited,
            500.. => Self::Failed,
            400.. => Self::Refused,
            _ => Self::Success,
        }
    }
}

/// Upper bounds of the buckets of a latency, in microseconds; one more bucket holds the rest.
pub const LATENCY_BOUNDS_MICROS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// A latency as it was read: how many observations fell into each bucket, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How many fell into each bucket of [`LATENCY_BOUNDS_MICROS`], not cumulated; the last holds
    /// what took longer.
    pub buckets: [u64; LATENCY_BOUNDS_MICROS.len() + 1],
    /// The sum of all, in microseconds.
    pub sum_micros: u64,
}

impl Latency {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

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

    fn read(&self) -> Latency {
        Latency {
            buckets: std::array::from_fn(|at| {
                self.buckets.get(at).map_or(0, |bucket| bucket.load(Ordering::Relaxed))
            }),
            sum_micros: self.sum_nanos.load(Ordering::Relaxed) / 1_000,
        }
    }
}

/// What the HTTP layer has answered since it was made, by endpoint and outcome, with the time that
/// it took, and the time that token requests spent at each step.
///
/// Reading is cheap and takes no lock.
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

    /// How many requests `endpoint` answered with `outcome`.
    #[must_use]
    pub fn requests(&self, endpoint: ServerEndpoint, outcome: RequestOutcome) -> u64 {
        let counters = self.requests.get(endpoint as usize);
        let counter = counters.and_then(|them| them.get(outcome as usize));
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// How long requests took at `endpoint`, from the whole request to the whole answer.
    #[must_use]
    pub fn latency(&self, endpoint: ServerEndpoint) -> Latency {
        self.latency.get(endpoint as usize).map(Histogram::read).unwrap_or_default()
    }

    /// How long requests with client authentication spent at `step`.
    #[must_use]
    pub fn step_latency(&self, step: Step) -> Latency {
        self.steps.get(step as usize).map(Histogram::read).unwrap_or_default()
    }

    /// Everything in the text format that Prometheus scrapes.
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
        for endpoint in ServerEndpoint::ALL {
            let label = format!("endpoint=\"{}\"", endpoint.as_str());
            write_histogram(&mut text, "grantor_request_seconds", &label, &self.latency(endpoint));
        }
        text.push_str("# TYPE grantor_step_seconds histogram\n");
        for step in Step::ALL {
            let label = format!("step=\"{}\"", step.as_str());
            write_histogram(&mut text, "grantor_step_seconds", &label, &self.step_latency(step));
        }
        text
    }
}

fn write_histogram(text: &mut String, name: &str, label: &str, latency: &Latency) {
    let mut sum = 0;
    for (at, count) in latency.buckets.iter().enumerate() {
        sum += count;
        _ = match LATENCY_BOUNDS_MICROS.get(at) {
            Some(bound) => {
                let seconds = Duration::from_micros(*bound).as_secs_f64();
                writeln!(text, "{name}_bucket{{{label},le=\"{seconds}\"}} {sum}")
            }
            None => writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {sum}"),
        };
    }
    let seconds = Duration::from_micros(latency.sum_micros).as_secs_f64();
    _ = writeln!(text, "{name}_sum{{{label}}} {seconds}\n{name}_count{{{label}}} {sum}");
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
        let latency = metrics.latency(ServerEndpoint::Token);
        assert_eq!((latency.count(), latency.sum_micros), (4, 2_000_101));
        assert_eq!((latency.buckets[0], latency.buckets[1], latency.buckets[14]), (2, 1, 1));
        let text = metrics.to_text();
        for line in [
            "grantor_requests_total{endpoint=\"token\",outcome=\"success\"} 3",
            "grantor_request_seconds_bucket{endpoint=\"token\",le=\"0.0001\"} 3",
            "grantor_request_seconds_bucket{endpoint=\"token\",le=\"+Inf\"} 4",
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
