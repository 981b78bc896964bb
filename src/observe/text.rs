//! Metrics as text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::families::{
    DROPPED_EVENTS, Family, QUEUED_EVENTS, REFUSALS, REQUEST_SECONDS, REQUESTS, STEP_SECONDS,
    TOKEN_REQUESTS, WRITERS,
};
use super::histogram::{BOUNDS_MICROS, Histogram, HistogramSum};
use super::metrics::{Metrics, RequestOutcome, TOKEN_GRANTS, grant_label};
use super::reasons::RefusalReason;
use crate::ids::Issuer;
use crate::observe::Step;
use crate::protocol::paths::ServerEndpoint;

/// The metrics of one or several servers and audit queues, in the Prometheus text format (version 0.0.4).
///
/// Each metric has one `# HELP` and one `# TYPE` line, also if several servers are added. Servers with
/// the same label are added up: two [`HttpEndpoints`] of one server, or several servers without labels.
/// `grantor_refusals_total` has only the reasons that have occurred.
///
/// ```
/// # use std::sync::Arc;
/// # use grantor::AuthorizationServer;
/// # use grantor::http::HttpEndpoints;
/// # use grantor::ids::Issuer;
/// # use grantor::jwt::{Algorithm, SigningKey};
/// # use grantor::random::OsRandom;
/// # use grantor::server_secret::ServerSecret;
/// # use grantor::store::MemoryStore;
/// # use grantor::users::MemoryUsers;
/// use grantor::audit::AuditQueue;
/// use grantor::observe::MetricsText;
///
/// # let endpoints = |issuer: &str| {
/// #     let issuer = Issuer::new(issuer)?;
/// #     let secret = ServerSecret::generate(&OsRandom::new())?;
/// #     let key = SigningKey::generate(Algorithm::ES256)?;
/// #     let (store, users) = (MemoryStore::new(), MemoryUsers::default());
/// #     let server = AuthorizationServer::builder(issuer, secret, key, store, users).build();
/// #     Ok::<_, Box<dyn std::error::Error>>(HttpEndpoints::without_interaction(Arc::new(server)))
/// # };
/// let queue = AuditQueue::new(&OsRandom::new())?;
/// let first = endpoints("https://a.example.com")?.with_issuer_label(true);
/// let second = endpoints("https://b.example.com")?.with_issuer_label(true);
///
/// // The answer to a scrape, with the content type `MetricsText::CONTENT_TYPE`.
/// let text = MetricsText::new()
///     .with_server(first.metrics())
///     .with_server(second.metrics())
///     .with_audit_queue(None, &queue)
///     .to_string();
/// assert_eq!(text.matches("# HELP grantor_requests_total ").count(), 1);
/// assert!(text.contains("issuer=\"https://b.example.com\",endpoint=\"token\""));
/// assert!(text.contains("grantor_audit_queue_events 0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`HttpEndpoints`]: crate::http::HttpEndpoints
#[derive(Clone, Debug, Default)]
#[must_use = "the text is made by `to_string`"]
pub struct MetricsText<'a> {
    servers: BTreeMap<Option<&'a Issuer>, Vec<&'a Metrics>>,
    queues: BTreeMap<Option<&'a Issuer>, QueueLevels>,
}

/// The state of audit queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueLevels {
    pub(crate) queued: u64,
    pub(crate) dropped: u64,
    /// The number of writers by the name of their state.
    pub(crate) writers: BTreeMap<&'static str, u64>,
}

impl<'a> MetricsText<'a> {
    /// The value of the header `Content-Type` for the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Creates an empty text.
    pub const fn new() -> Self {
        Self { servers: BTreeMap::new(), queues: BTreeMap::new() }
    }

    /// Adds the metrics of a server. They have the label `issuer` if
    /// [`with_issuer_label`](crate::http::HttpEndpoints::with_issuer_label) says so.
    pub fn with_server(mut self, metrics: &'a Metrics) -> Self {
        self.servers.entry(metrics.issuer()).or_default().push(metrics);
        self
    }

    /// Returns the levels of the audit queues with this label.
    pub(crate) fn queue_levels(&mut self, issuer: Option<&'a Issuer>) -> &mut QueueLevels {
        self.queues.entry(issuer).or_default()
    }

    fn write_servers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, REQUESTS)?;
        for (issuer, servers) in &self.servers {
            for endpoint in ServerEndpoint::ALL {
                for outcome in RequestOutcome::ALL {
                    let labels = [("endpoint", endpoint.as_str()), ("outcome", outcome.as_str())];
                    let count = sum(servers, |it| it.requests(endpoint, outcome));
                    sample(f, REQUESTS.name, *issuer, &labels, count)?;
                }
            }
        }
        head(f, TOKEN_REQUESTS)?;
        for (issuer, servers) in &self.servers {
            for grant_type in TOKEN_GRANTS {
                for outcome in RequestOutcome::ALL {
                    let labels =
                        [("grant_type", grant_label(grant_type)), ("outcome", outcome.as_str())];
                    let count = sum(servers, |it| it.token_requests(grant_type, outcome));
                    sample(f, TOKEN_REQUESTS.name, *issuer, &labels, count)?;
                }
            }
        }
        head(f, REFUSALS)?;
        for (issuer, servers) in &self.servers {
            for endpoint in ServerEndpoint::ALL {
                for reason in RefusalReason::all() {
                    let count = sum(servers, |it| it.refusals_for(endpoint, reason));
                    if count > 0 {
                        let labels = [("endpoint", endpoint.as_str()), ("reason", reason.as_str())];
                        sample(f, REFUSALS.name, *issuer, &labels, count)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, REQUEST_SECONDS)?;
        for (issuer, servers) in &self.servers {
            for endpoint in ServerEndpoint::ALL {
                let all = servers.iter().filter_map(|it| it.latency(endpoint));
                let label = ("endpoint", endpoint.as_str());
                histogram(f, REQUEST_SECONDS.name, *issuer, label, all)?;
            }
        }
        let times_steps = |servers: &[&Metrics]| servers.iter().any(|it| it.times_steps());
        let of_steps = || self.servers.iter().filter(|(_, servers)| times_steps(servers));
        if of_steps().next().is_some() {
            head(f, STEP_SECONDS)?;
        }
        for (issuer, servers) in of_steps() {
            for step in Step::ALL {
                let all = servers.iter().filter_map(|it| it.step(step));
                histogram(f, STEP_SECONDS.name, *issuer, ("step", step.as_str()), all)?;
            }
        }
        Ok(())
    }

    fn write_queues(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, QUEUED_EVENTS)?;
        for (issuer, levels) in &self.queues {
            sample(f, QUEUED_EVENTS.name, *issuer, &[], levels.queued)?;
        }
        head(f, DROPPED_EVENTS)?;
        for (issuer, levels) in &self.queues {
            sample(f, DROPPED_EVENTS.name, *issuer, &[], levels.dropped)?;
        }
        head(f, WRITERS)?;
        for (issuer, levels) in &self.queues {
            for (state, count) in &levels.writers {
                sample(f, WRITERS.name, *issuer, &[("state", state)], *count)?;
            }
        }
        Ok(())
    }
}

impl Display for MetricsText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.servers.is_empty() {
            self.write_servers(f)?;
            self.write_times(f)?;
        }
        if !self.queues.is_empty() {
            self.write_queues(f)?;
        }
        Ok(())
    }
}

fn sum(servers: &[&Metrics], count: impl Fn(&Metrics) -> u64) -> u64 {
    servers.iter().map(|metrics| count(metrics)).sum()
}

fn head(f: &mut Formatter<'_>, family: Family) -> fmt::Result {
    let Family { name, kind, help } = family;
    writeln!(f, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str())
}

/// Writes one line. No label needs an escape: an issuer is a URL, and the others are names of this crate.
fn sample(
    f: &mut Formatter<'_>,
    name: impl Display,
    issuer: Option<&Issuer>,
    labels: &[(&str, &str)],
    value: impl Display,
) -> fmt::Result {
    write!(f, "{name}")?;
    let issuer = issuer.map(|issuer| ("issuer", issuer.as_str()));
    let mut before = '{';
    for (label, value) in issuer.iter().chain(labels) {
        write!(f, "{before}{label}=\"{value}\"")?;
        before = ',';
    }
    let end = if before == ',' { "}" } else { "" };
    writeln!(f, "{end} {value}")
}

fn histogram<'a>(
    f: &mut Formatter<'_>,
    name: &str,
    issuer: Option<&Issuer>,
    label: (&str, &str),
    histograms: impl Iterator<Item = &'a Histogram>,
) -> fmt::Result {
    let mut sum = HistogramSum::default();
    histograms.for_each(|histogram| sum.add(histogram));
    let mut count = 0;
    for (at, bucket) in sum.buckets.iter().enumerate() {
        count += bucket;
        let bound = match BOUNDS_MICROS.get(at) {
            Some(micros) => Duration::from_micros(*micros).as_secs_f64().to_string(),
            None => "+Inf".to_owned(),
        };
        let labels = [label, ("le", &*bound)];
        sample(f, format_args!("{name}_bucket"), issuer, &labels, count)?;
    }
    sample(f, format_args!("{name}_sum"), issuer, &[label], sum.seconds())?;
    sample(f, format_args!("{name}_count"), issuer, &[label], count)
}
