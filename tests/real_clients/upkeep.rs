//! The upkeep of the example server, on a real runtime.

#[cfg(feature = "sqlite")]
use serde_json::Value;

use crate::support::{Http, Server};
#[cfg(feature = "sqlite")]
use crate::support::{Seed, basic};

/// Z32: when the server is ready, so are the revocations.
#[test]
fn the_jobs_have_run_when_the_server_is_ready() {
    let server = Server::start();
    let ready = Http::new().get(&server.url("/ready"));
    assert_eq!(ready.status, 200, "{ready:?}");
    let jobs: Vec<_> = ready.body.lines().filter_map(|line| line.split_once(": ")).collect();
    let names: Vec<_> = jobs.iter().map(|(job, _)| *job).collect();
    assert_eq!(names, ["revocations", "prune", "prune_events", "repeats", "audit"]);
    assert!(jobs[0].1.starts_with("last success 20"), "{ready:?}");
}

/// Z32: a server that is stopped writes its last events, and the next one goes on with its keys.
#[cfg(feature = "sqlite")]
#[test]
fn a_stopped_server_leaves_its_events_and_keys_to_the_next() {
    let (folder, seed, http) = (crate::sandbox::Folder::on_disk(), Seed::read(), Http::new());
    let store = format!("sqlite:{}", folder.file("store.db").display());
    let start = || Server::with(&["--no-limits", "--store", &store]);
    let token = |server: &Server| {
        let secret = seed.client_secret("demo-admin").unwrap();
        let headers = [("authorization", &*basic("demo-admin", secret))];
        let form = [("grant_type", "client_credentials")];
        http.post(&server.url("/oauth/token"), &headers, &form).text("access_token")
    };
    let mut first = start();
    let keys = http.get(&first.url("/oauth/jwks")).body;
    for _ in 0..3 {
        token(&first);
    }
    first.terminate();
    assert!(first.wait().success(), "{}", first.output());
    let second = start();
    assert_eq!(http.get(&second.url("/oauth/jwks")).body, keys);
    let bearer = format!("Bearer {}", token(&second));
    let url = second.url("/admin/audit?limit=200");
    let log = http.request(http::Method::GET, &url, &[("authorization", &bearer)]);
    let log: Value = log.json();
    let events = log["events"].as_array().unwrap().iter();
    assert_eq!(events.filter(|event| event["action"] == "issue_token").count(), 4, "{log}");
    let ready = http.get(&second.url("/ready"));
    assert_eq!(ready.status, 200, "{ready:?}");
    assert!(ready.body.starts_with("keys: last success"), "{ready:?}");
    assert!(ready.body.contains("\naudit: last success"), "{ready:?}");
}
