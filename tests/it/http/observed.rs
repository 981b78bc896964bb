//! Metrics and observations of requests.

#[cfg(feature = "tracing")]
use std::sync::Arc;
#[cfg(feature = "tracing")]
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use grantor::observe::RequestOutcome;
use grantor::protocol::ServerEndpoint;

use super::Http;
use crate::support::{basic, machine_app};

#[test]
fn requests_are_counted_by_outcome_and_timed_by_step() {
    let http = Http::new();
    let app = http.world.register(machine_app());
    let header = basic(app.id.as_str(), app.secret.as_deref().unwrap());
    let form = "grant_type=client_credentials";
    for _ in 0..3 {
        assert_eq!(http.post("/oauth/token", &[("authorization", &header)], form).status, 200);
    }
    http.post("/oauth/token", &[("authorization", "Basic eDp5")], form);
    http.get("/oauth/token");
    let metrics = http.endpoints.metrics();
    let counted = |outcome| metrics.requests(ServerEndpoint::Token, outcome);
    assert_eq!(counted(RequestOutcome::Success), 3);
    assert_eq!(counted(RequestOutcome::Refused), 2);
    assert_eq!(counted(RequestOutcome::Failed), 0);
    let text = metrics.to_text();
    for count in [
        "grantor_request_seconds_count{endpoint=\"token\"} 5",
        "grantor_step_seconds_count{step=\"mint\"} 3",
        "grantor_step_seconds_count{step=\"client\"} 4",
    ] {
        assert!(text.lines().any(|line| line == count), "{count}\n{text}");
    }
    assert!(!text.contains(app.id.as_str()) && !text.contains(app.secret.as_deref().unwrap()));
}

/// Writes no line, because its disk is full, and panics about it. It counts the lines.
#[cfg(feature = "tracing")]
struct FullDisk(Arc<AtomicUsize>);

#[cfg(feature = "tracing")]
impl tracing::Subscriber for FullDisk {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Relaxed);
        panic!("no space left on device");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Z27: a subscriber that panics because it cannot write ends no request.
#[cfg(feature = "tracing")]
#[test]
fn a_log_line_that_panics_ends_no_request() {
    let audit = grantor::audit::TracingAudit::new();
    let http = Http::of(crate::support::World::with(|builder| builder.audit(audit)));
    let app = http.world.register(machine_app());
    let header = basic(app.id.as_str(), app.secret.as_deref().unwrap());
    let form = "grant_type=client_credentials";
    let ask = || {
        assert_eq!(http.post("/oauth/token", &[("authorization", &header)], form).status, 200);
        assert_eq!(http.post("/oauth/token", &[], form).status, 401);
        assert_eq!(http.get("/oauth/authorize").status, 400);
    };
    let lines = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::with_default(FullDisk(Arc::clone(&lines)), || {
        // The first thread at a line may be one without a subscriber, and switches it off for all threads.
        ask();
        tracing::callsite::rebuild_interest_cache();
        lines.store(0, Relaxed);
        (0..3).for_each(|_| ask());
    });
    // Of each request the audit event, and the line of its end.
    assert_eq!(lines.load(Relaxed), 3 * 3 * 2);
}
