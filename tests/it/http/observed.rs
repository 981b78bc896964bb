//! Metrics and observations of requests.

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
