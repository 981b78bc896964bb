//! The text of the metrics, read as a scraper reads it, and the same numbers through the facade.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::audit::{Action, Actor, AuditEvent, AuditQueue, AuditSink, AuditWriter};
use grantor::clock::UnixTime;
use grantor::http::HttpEndpoints;
use grantor::ids::Issuer;
use grantor::observe::{MetricsText, Outcome, REFUSAL_REASONS, RequestOutcome};
use grantor::protocol::{GrantType, ServerEndpoint};
use grantor::random::OsRandom;
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::users::MemoryUsers;
use pollster::block_on;

use super::Http;
use crate::support::{ISSUER, ROOT, basic, body_of, machine_app, new_key};

/// The samples of a text, by name and labels, and the names of its families with their types.
struct Scraped {
    samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

impl Scraped {
    /// Reads the Prometheus text format, version 0.0.4. Panics if a family has two heads or none, if its
    /// lines are not together, if a series occurs twice, or if a histogram is inconsistent.
    fn read(text: &str) -> Self {
        assert!(text.is_empty() || text.ends_with('\n'));
        let mut scraped = Self { samples: BTreeMap::new(), types: BTreeMap::new() };
        let mut helps = BTreeSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(!help.is_empty() && helps.insert(name.to_owned()), "{line}");
                name.clone_into(&mut current);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, current, "TYPE follows HELP");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(scraped.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let family = match &*scraped.types[&current] {
                    "histogram" => ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|end| name.strip_suffix(end))
                        .unwrap(),
                    "counter" => {
                        assert!(name.ends_with("_total"), "{line}");
                        name
                    }
                    _ => name,
                };
                assert_eq!(family, current, "the lines of a family are together");
                check_labels(&series[name.len()..]);
                let before = scraped.samples.insert(series.to_owned(), value.parse().unwrap());
                assert!(before.is_none(), "twice: {line}");
            }
        }
        assert_eq!(helps, scraped.types.keys().cloned().collect());
        scraped.check_histograms();
        scraped
    }

    fn check_histograms(&self) {
        let (mut bound, mut count) = (f64::INFINITY, 0.0);
        let mut buckets = 0;
        // In the order of bounds, not of text.
        let mut all: Vec<_> =
            self.samples.iter().filter(|(it, _)| it.contains("_bucket{")).collect();
        let le = |series: &str| -> f64 {
            series.split_once("le=\"").unwrap().1.trim_end_matches("\"}").parse().unwrap()
        };
        let own = |series: &str| series.split_once("le=\"").unwrap().0.to_owned();
        all.sort_by(|(a, _), (b, _)| (own(a), le(a)).partial_cmp(&(own(b), le(b))).unwrap());
        for (series, value) in all {
            if bound.is_infinite() {
                count = 0.0;
            }
            assert!(*value >= count, "{series}");
            (bound, count) = (le(series), *value);
            if bound.is_infinite() {
                let total = own(series).replace("_bucket{", "_count{");
                let total = format!("{}}}", total.trim_end_matches(','));
                assert_eq!(self.samples[&total].to_bits(), count.to_bits(), "{total}");
            }
            buckets += 1;
        }
        assert_eq!(buckets % 15, 0);
    }

    fn of(&self, series: &str) -> u64 {
        let value = self.samples.get(series).copied().unwrap_or_else(|| panic!("no {series}"));
        format!("{value}").parse().unwrap()
    }
}

fn check_labels(labels: &str) {
    if labels.is_empty() {
        return;
    }
    let inside = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    let mut names = BTreeSet::new();
    for label in inside.split("\",") {
        let (name, value) = label.split_once("=\"").unwrap();
        assert!(name.bytes().all(|it| it == b'_' || it.is_ascii_lowercase()), "{labels}");
        let value = value.trim_end_matches('"');
        assert!(!value.contains(['"', '\\', '\n']), "{labels}");
        assert!(names.insert(name), "{labels}");
    }
}

/// Sends a request of every kind of answer.
fn send_requests(http: &Http) {
    let app = http.world.register(machine_app());
    let header = basic(app.id.as_str(), app.secret.as_deref().unwrap());
    let authorized: &[(&str, &str)] = &[("authorization", &header)];
    let form = "grant_type=client_credentials";
    for _ in 0..3 {
        assert_eq!(http.post("/oauth/token", authorized, form).status, 200);
    }
    let wrong = basic(app.id.as_str(), "wrong");
    assert_eq!(http.post("/oauth/token", &[("authorization", &wrong)], form).status, 401);
    let form = "grant_type=refresh_token&refresh_token=unknown";
    assert_eq!(http.post("/oauth/token", authorized, form).status, 400);
    assert_eq!(http.post("/oauth/token", authorized, "grant_type=password").status, 400);
    assert_eq!(http.post("/oauth/token", &[("content-type", "text/plain")], "x").status, 400);
    // A success over HTTP that is a refusal of the token.
    let form = body_of(&app, &[("token", "unknown")]);
    assert_eq!(http.post("/oauth/introspect", &[], &form).status, 200);
    assert_eq!(http.get("/oauth/authorize?client_id=unlisted").status, 400);
}

/// Z41: a scrape tells answers by grant type and refusals by reason.
#[test]
fn metrics_tell_the_grant_type_and_the_reason_of_a_refusal() {
    let http = Http::new();
    send_requests(&http);
    let metrics = http.endpoints.metrics();
    let scraped = Scraped::read(&metrics.to_text());
    for (series, count) in [
        ("grantor_requests_total{endpoint=\"token\",outcome=\"success\"}", 3),
        ("grantor_requests_total{endpoint=\"token\",outcome=\"refused\"}", 4),
        ("grantor_token_requests_total{grant_type=\"client_credentials\",outcome=\"success\"}", 3),
        ("grantor_token_requests_total{grant_type=\"client_credentials\",outcome=\"refused\"}", 1),
        ("grantor_token_requests_total{grant_type=\"refresh_token\",outcome=\"refused\"}", 1),
        ("grantor_token_requests_total{grant_type=\"unknown\",outcome=\"refused\"}", 2),
        ("grantor_token_requests_total{grant_type=\"authorization_code\",outcome=\"success\"}", 0),
        ("grantor_refusals_total{endpoint=\"token\",reason=\"wrong_secret\"}", 1),
        ("grantor_refusals_total{endpoint=\"token\",reason=\"refresh_not_allowed\"}", 1),
        ("grantor_refusals_total{endpoint=\"token\",reason=\"unsupported_grant_type\"}", 1),
        ("grantor_refusals_total{endpoint=\"token\",reason=\"invalid_http_request\"}", 1),
        ("grantor_refusals_total{endpoint=\"introspection\",reason=\"unknown_token\"}", 1),
        ("grantor_requests_total{endpoint=\"introspection\",outcome=\"success\"}", 1),
        ("grantor_refusals_total{endpoint=\"authorization\",reason=\"unknown_client\"}", 1),
        ("grantor_request_seconds_count{endpoint=\"token\"}", 7),
    ] {
        assert_eq!(scraped.of(series), count, "{series}");
    }
    let refusals = scraped.samples.keys().filter(|it| it.starts_with("grantor_refusals_total"));
    assert_eq!(refusals.count(), 6);
    assert!(scraped.samples.keys().all(|it| !it.contains("issuer")));
    assert_eq!(metrics.refusals(ServerEndpoint::Token, "wrong_secret"), 1);
    assert_eq!(metrics.refusals(ServerEndpoint::Token, "no such reason"), 0);
    let refresh = Some(GrantType::RefreshToken);
    assert_eq!(metrics.token_requests(refresh, RequestOutcome::Refused), 1);
}

/// Z37: the texts of several servers are one text, in which a label tells them apart.
#[test]
fn the_metrics_of_several_servers_make_one_text() {
    let first = Http::labelled();
    send_requests(&first);
    let issuer = Issuer::new("https://other.example.com/b").unwrap();
    let (store, users) = (MemoryStore::new(), MemoryUsers::default());
    let secret = ServerSecret::new(ROOT).unwrap();
    let other = AuthorizationServer::builder(issuer.clone(), secret, new_key(), store, users);
    let other = Arc::new(other.build());
    let other = HttpEndpoints::without_interaction(other).with_issuer_label(true);
    let request = || http::Request::get("/b/oauth/jwks").body("").unwrap();
    assert_eq!(block_on(other.handle(request())).unwrap().status(), 200);

    let text = MetricsText::new().with_server(first.endpoints.metrics());
    let text = text.with_server(other.metrics());
    let scraped = Scraped::read(&text.to_string());
    let series = |issuer: &str, endpoint: &str| {
        format!(
            "grantor_requests_total{{issuer=\"{issuer}\",endpoint=\"{endpoint}\",outcome=\"success\"}}"
        )
    };
    assert_eq!(scraped.of(&series(ISSUER, "token")), 3);
    assert_eq!(scraped.of(&series(issuer.as_str(), "token")), 0);
    assert_eq!(scraped.of(&series(issuer.as_str(), "jwk_set")), 1);
    assert!(scraped.samples.keys().all(|it| it.contains("{issuer=\"https://")));

    // With one label, for example two listeners of one server, they are added up.
    let text = text.with_server(first.endpoints.metrics());
    let scraped = Scraped::read(&text.to_string());
    assert_eq!(scraped.of(&series(ISSUER, "token")), 6);
    assert_eq!(scraped.of(&series(issuer.as_str(), "jwk_set")), 1);
}

/// Z41: a scrape tells how many audit events wait and were dropped, and how their writing goes.
#[tokio::test(start_paused = true)]
async fn metrics_tell_the_depth_of_the_audit_queue() {
    let queue = AuditQueue::with_capacity(&OsRandom::new(), 2).unwrap();
    let spare = AuditQueue::new(&OsRandom::new()).unwrap();
    let event = AuditEvent::new(
        UnixTime::EPOCH,
        Actor::Server,
        Action::DropEvents { dropped: 1 },
        Outcome::Success,
    );
    for _ in 0..5 {
        queue.record(&event);
    }
    spare.record(&event);
    let scrape = |issuer| {
        let text = MetricsText::new().with_audit_queue(issuer, &queue);
        Scraped::read(&text.with_audit_queue(None, &spare).to_string())
    };
    let together = scrape(None);
    assert_eq!(together.of("grantor_audit_queue_events"), 3);
    assert_eq!(together.of("grantor_audit_dropped_events_total"), 3);
    assert_eq!(together.of("grantor_audit_writers{state=\"absent\"}"), 2);
    assert_eq!(together.of("grantor_audit_writers{state=\"running\"}"), 0);
    let issuer = Issuer::new(ISSUER).unwrap();
    let apart = scrape(Some(&issuer));
    let label = format!("{{issuer=\"{ISSUER}\"}}");
    assert_eq!(apart.of(&format!("grantor_audit_queue_events{label}")), 2);
    assert_eq!(apart.of("grantor_audit_queue_events"), 1);

    queue.close();
    queue.run(Arc::new(MemoryStore::new()), tokio::time::sleep, |_| ()).await;
    let written = scrape(Some(&issuer));
    assert_eq!(written.of(&format!("grantor_audit_queue_events{label}")), 0);
    assert_eq!(written.of(&format!("grantor_audit_dropped_events_total{label}")), 3);
    for state in AuditWriter::ALL {
        let label = format!("{{issuer=\"{ISSUER}\",state=\"{}\"}}", state.as_str());
        let closed = u64::from(state == AuditWriter::Closed);
        assert_eq!(written.of(&format!("grantor_audit_writers{label}")), closed);
    }
}

/// Z41: every reason of the table is a label, and every label but the last three is a reason.
#[test]
fn every_reason_of_a_rejection_has_its_label() {
    use grantor::error::Rejection;
    let rejections = crate::wire_errors::TABLE.iter().map(|(rejection, ..)| rejection);
    let is_veto = |it: &&Rejection| matches!(it, Rejection::Vetoed(_));
    let reasons: BTreeSet<_> =
        rejections.filter(|it| !is_veto(it)).map(Rejection::reason).collect();
    let (labels, others) = REFUSAL_REASONS.split_at(REFUSAL_REASONS.len() - 3);
    assert!(labels.is_sorted());
    assert_eq!(labels.iter().copied().collect::<BTreeSet<_>>(), reasons);
    assert_eq!(others, ["vetoed", "invalid_http_request", "other"]);
}

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit, with_local_recorder,
    };

    use super::*;
    use crate::audit_log::{Fault, FaultyLog};

    /// A recorder that keeps what it is told, under the names of the text.
    #[derive(Default)]
    struct Kept {
        counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
        gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
        histograms: Mutex<BTreeMap<String, Arc<Durations>>>,
        described: Mutex<Vec<(String, Option<Unit>, String)>>,
    }

    #[derive(Default)]
    struct Durations(Mutex<Vec<f64>>);

    impl HistogramFn for Durations {
        fn record(&self, value: f64) {
            self.0.lock().unwrap().push(value);
        }
    }

    fn series(key: &Key) -> String {
        let labels: Vec<_> =
            key.labels().map(|it| format!("{}=\"{}\"", it.key(), it.value())).collect();
        if labels.is_empty() {
            return key.name().to_owned();
        }
        format!("{}{{{}}}", key.name(), labels.join(","))
    }

    impl Kept {
        fn describe(&self, name: &KeyName, unit: Option<Unit>, help: SharedString) {
            let described = (name.as_str().to_owned(), unit, help.into_owned());
            self.described.lock().unwrap().push(described);
        }

        /// The depth of the queues, as bits of a number.
        fn depth(&self) -> Arc<AtomicU64> {
            let mut gauges = self.gauges.lock().unwrap();
            Arc::clone(gauges.entry("grantor_audit_queue_events".to_owned()).or_default())
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe(&name, unit, help);
        }

        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe(&name, unit, help);
        }

        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe(&name, unit, help);
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let mut counters = self.counters.lock().unwrap();
            Counter::from_arc(Arc::clone(counters.entry(series(key)).or_default()))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            let mut gauges = self.gauges.lock().unwrap();
            Gauge::from_arc(Arc::clone(gauges.entry(series(key)).or_default()))
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            let mut histograms = self.histograms.lock().unwrap();
            Histogram::from_arc(Arc::clone(histograms.entry(series(key)).or_default()))
        }
    }

    /// Z41: the `metrics` facade has the numbers of the text, under the same names and labels.
    #[test]
    fn the_facade_has_the_numbers_of_the_text() {
        for labelled in [false, true] {
            let Http { world, endpoints } = if labelled { Http::labelled() } else { Http::new() };
            let http = Http { world, endpoints: endpoints.with_step_times(true) };
            let kept = Kept::default();
            with_local_recorder(&kept, || send_requests(&http));
            let scraped = Scraped::read(&http.endpoints.metrics().to_text());
            let counters = kept.counters.lock().unwrap();
            let histograms = kept.histograms.lock().unwrap();
            for (series, value) in &scraped.samples {
                if let Some(name) = series.split('{').next().unwrap().strip_suffix("_count") {
                    let labels = &series[series.find('{').unwrap()..];
                    let own = histograms.get(&format!("{name}{labels}"));
                    let count = own.map_or(0, |it| it.0.lock().unwrap().len());
                    assert_eq!(scraped.of(series), count as u64, "{series}");
                } else if series.contains("_total{") {
                    let own = counters.get(series).map_or(0, |it| it.load(Ordering::Relaxed));
                    assert_eq!(scraped.of(series), own, "{series}: {value}");
                }
            }
            assert!(counters.keys().all(|it| scraped.samples.contains_key(it)));
            assert!(counters.len() > 12 && histograms.len() > 6);
            let described = kept.described.lock().unwrap();
            for (name, kind) in &scraped.types {
                let told: Vec<_> = described.iter().filter(|(it, ..)| it == name).collect();
                let [(_, unit, _)] = &told[..] else { panic!("{name}: {told:?}") };
                assert_eq!(*unit == Some(Unit::Seconds), kind == "histogram", "{name}");
            }
        }
    }

    /// Z41: the writer of a queue reports its depth and the dropped events; several queues add up.
    #[tokio::test(start_paused = true)]
    async fn the_facade_has_the_depth_of_the_queues() {
        let kept = Kept::default();
        let event =
            AuditEvent::new(UnixTime::EPOCH, Actor::Server, Action::Introspect, Outcome::Success);
        let queues = [5, 2].map(|capacity| {
            let queue = AuditQueue::with_capacity(&OsRandom::new(), capacity).unwrap();
            for _ in 0..7 {
                queue.record(&event);
            }
            queue.close();
            queue
        });
        let dropped = || {
            let counters = kept.counters.lock().unwrap();
            counters["grantor_audit_dropped_events_total"].load(Ordering::Relaxed)
        };
        let _recording = metrics::set_default_local_recorder(&kept);
        for queue in &queues {
            let left = queue.pending() + 1; // with the event that tells of the drops
            let seen = Arc::new(Mutex::new(Vec::new()));
            let (told, depth) = (Arc::clone(&seen), kept.depth());
            queue
                .run(FaultyLog::with([Fault::Before]), tokio::time::sleep, move |_| {
                    told.lock().unwrap().push(f64::from_bits(depth.load(Ordering::Relaxed)));
                })
                .await;
            // While the store failed, its events were still queued.
            assert_eq!(format!("{:?}", seen.lock().unwrap()), format!("[{left}.0]"));
        }
        assert_eq!(dropped(), 2 + 5);
        assert_eq!(kept.depth().load(Ordering::Relaxed), 0_f64.to_bits());
    }

    /// A recorder that panics at each call.
    struct Broken;

    impl Recorder for Broken {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            panic!("no counter")
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            panic!("no gauge")
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            panic!("no histogram")
        }
    }

    #[test]
    fn a_recorder_that_panics_ends_no_request() {
        let http = Http::new();
        with_local_recorder(&Broken, || send_requests(&http));
        let metrics = http.endpoints.metrics();
        assert_eq!(metrics.requests(ServerEndpoint::Token, RequestOutcome::Success), 3);
    }
}
