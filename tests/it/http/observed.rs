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
    let Http { world, endpoints } = Http::new();
    assert!(!endpoints.metrics().to_text().contains("grantor_step_seconds"), "off by default");
    let http = Http { world, endpoints: endpoints.with_step_times(true) };
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

/// The lines of a log.
#[cfg(feature = "tracing")]
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(feature = "tracing")]
impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that a token request and two refused ones log.
#[cfg(feature = "tracing")]
fn logged(http: &Http) -> String {
    let app = http.world.register(machine_app());
    let header = basic(app.id.as_str(), app.secret.as_deref().unwrap());
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let form = "grant_type=client_credentials";
        assert_eq!(http.post("/oauth/token", &[("authorization", &header)], form).status, 200);
        let form = "grant_type=client_credentials&scope=unknown.scope";
        assert_eq!(http.post("/oauth/token", &[("authorization", &header)], form).status, 400);
        assert_eq!(http.post("/oauth/token", &[("content-type", "text/plain")], "x").status, 400);
    });
    let lines = lines.0.lock().unwrap();
    String::from_utf8(lines.clone()).unwrap()
}

/// Z41: the span of a request has its grant type and the reason of a refusal, as the metrics have.
#[cfg(feature = "tracing")]
#[test]
fn a_span_has_the_grant_type_and_the_reason() {
    let log = logged(&Http::new());
    let lines: Vec<_> = log.lines().filter(|line| line.contains("answered")).collect();
    let [success, refused, unread] = &lines[..] else { panic!("{log}") };
    assert!(success.contains("grant_type=\"client_credentials\""), "{success}");
    assert!(success.contains("outcome=\"success\"") && !success.contains("reason="), "{success}");
    assert!(refused.contains("grant_type=\"client_credentials\""), "{refused}");
    assert!(refused.contains("reason=\"scope_exceeds_app\""), "{refused}");
    assert!(unread.contains("outcome=\"refused\" reason=\"invalid_http_request\""), "{unread}");
}

/// Z37: spans and audit events name the issuer if the host says so, and else do not.
#[cfg(feature = "tracing")]
#[test]
fn spans_and_events_name_the_issuer_only_on_demand() {
    use grantor::audit::TracingAudit;
    use grantor::ids::Issuer;

    use crate::support::{ISSUER, World};

    let label = format!("issuer=\"{ISSUER}\"");
    let plain = Http::of(World::with(|builder| builder.audit(TracingAudit::new())));
    let log = logged(&plain);
    assert!(log.contains("grantor::audit") && !log.contains("issuer="), "{log}");

    let issuer = Issuer::new(ISSUER).unwrap();
    let audit = TracingAudit::new().with_issuer(issuer);
    let Http { world, endpoints } = Http::of(World::with(|builder| builder.audit(audit)));
    let log = logged(&Http { world, endpoints: endpoints.with_issuer_label(true) });
    for line in log.lines() {
        // An audit event is inside the span, and names the issuer itself.
        let times = if line.contains("grantor::audit") { 2 } else { 1 };
        assert_eq!(line.matches(&label).count(), times, "{line}");
    }
    assert!(log.lines().count() >= 5, "{log}");
}
