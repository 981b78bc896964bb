//! Operations that depend on the number of rows: pages and searches of 10,000 apps, appends to a large audit log and
//! its pruning.
//!
//! Run `cargo bench --bench growth --features sqlite,postgres -- [apps | audit] [ROWS]`. The folder of SQLite's file
//! is on the disk of this build. Without PostgreSQL it prints a note and goes on.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::indexing_slicing, reason = "a bench stops at the first failure")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

#[path = "../tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cluster;
#[path = "../tests/sandbox/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod sandbox;

use std::sync::Arc;
use std::time::{Duration, Instant};

use grantor::AuthorizationServer;
use grantor::app::{AppDraft, CustomApp, Flow};
use grantor::audit::{Action, Actor, AuditEvent, AuditQuery, AuditStore, EventId, NewEvent};
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, Issuer, Subject};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::observe::Outcome;
use grantor::protocol::{GrantType, RedirectUri};
use grantor::random::OsRandom;
use grantor::server_secret::ServerSecret;
use grantor::store::{
    AppQuery, AppRegistry, InsertApp, MemoryStore, Page, SqliteSettings, SqliteStore, Store,
};
use grantor::users::MemoryUsers;
use sqlx::Executor as _;
use tokio::task::JoinSet;

const ROUNDS: usize = 21;
/// The events of an append, as many as the queue writes at once.
const BATCH: usize = 256;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(store: &str, what: &str, value: f64, unit: &str) {
    println!("{store:<9} {what:<34} {value:>10.3} {unit}");
}

/// Registers an app like a server does.
async fn register<S: Store + 'static>(store: &Arc<S>) -> CustomApp {
    let server = AuthorizationServer::builder(
        Issuer::new("https://as.example.com").unwrap(),
        ServerSecret::generate(&OsRandom::new()).unwrap(),
        SigningKey::generate(Algorithm::EdDSA).unwrap(),
        Arc::clone(store),
        MemoryUsers::default(),
    )
    .build();
    let draft = AppDraft::confidential("Zero")
        .description("An app of the department for growth, which reads and files its reports.")
        .flow(Flow::AuthorizationCode)
        .flow(Flow::ClientCredentials)
        .redirect_uri(RedirectUri::parse("https://app.example.com/back").unwrap());
    let id = server.admin("bench").register(draft.build().unwrap()).await.unwrap().client_id;
    CustomApp::clone(&*store.find_app(&id).await.unwrap().unwrap())
}

/// Fills the store with copies of an app under other names.
async fn fill<S: Store + 'static>(store: &Arc<S>, apps: usize) {
    let first = serde_json::to_value(register(store).await).unwrap();
    let mut tasks = JoinSet::new();
    for part in 0..64 {
        let (store, first) = (Arc::clone(store), first.clone());
        tasks.spawn(async move {
            for number in (part..apps - 1).step_by(64) {
                let mut app = first.clone();
                // In no order, as generated ids.
                let id = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let id = ClientId::new(format!("app-{id:016x}")).unwrap();
                app["client_id"] = id.as_str().into();
                app["settings"]["name"] = format!("App number {number}").into();
                let app = serde_json::from_value(app).unwrap();
                assert_eq!(store.insert_app(app).await.unwrap(), InsertApp::Inserted);
            }
        });
    }
    tasks.join_all().await;
}

/// Measures pages of 25 apps.
async fn pages<S: AppRegistry>(name: &str, store: &S) {
    let first = Page::first(25);
    let all = AppQuery::all();
    let text = |text: &str| AppQuery::all().containing(text);
    let mut page = Page::first(5_000);
    page = Page::first(25).after(store.list_apps(&all, page).await.unwrap().next.unwrap());
    let cases = [
        ("first page", all.clone(), first.clone(), 25),
        ("page 200", all.clone(), page.clone(), 25),
        ("search that finds all", text("REPORTS"), first.clone(), 25),
        ("its page 200", text("REPORTS"), page.clone(), 25),
        ("search that finds one", text("zero"), first.clone(), 1),
        ("search that finds none", text("no such app"), first.clone(), 0),
        ("disabled, none", all.clone().enabled(false), first.clone(), 0),
        ("of a flow, none", all.clone().with_flow(Flow::JwtBearer), first, 0),
    ];
    for (what, query, page, expected) in cases {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let (mut page, mut found, mut pages) = (page.clone(), 0, 0);
            let begun = Instant::now();
            // As a caller that wants a full page: stores may answer with a part of it.
            loop {
                let listing = store.list_apps(&query, page.clone()).await.unwrap();
                (found, pages) = (found + listing.items.len(), pages + 1);
                match listing.next {
                    Some(next) if found < 25 => page = page.after(next),
                    _ => break,
                }
            }
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            assert_eq!(found, expected, "{what}, {pages} pages");
        }
        print(name, what, median(times), "ms");
    }
}

/// Returns events like those of a busy server, eight in a millisecond.
fn events(from: usize, apps: &[ClientId]) -> Vec<NewEvent> {
    (from..from + BATCH)
        .map(|number| {
            let millis = 1_790_000_000_000 + i64::try_from(number / 8).unwrap();
            let at = UnixTime::from_millis(millis);
            let app = &apps[number % apps.len()];
            let user = Subject::new(format!("user-{}", number % 100_003)).unwrap();
            let action = Action::IssueToken { grant_type: Some(GrantType::RefreshToken) };
            let event = AuditEvent::new(at, Actor::App(app.clone()), action, Outcome::Success);
            let event = event.with_app(app).with_subject(&user);
            NewEvent { id: EventId::generate(at, &OsRandom::new()).unwrap(), event }
        })
        .collect()
}

/// Measures appends of 256 events, and then pruning.
async fn log<S: AuditStore>(name: &str, store: &S, rows: usize) {
    let apps: Vec<_> = (0..200).map(|n| ClientId::new(format!("app-{n:018}")).unwrap()).collect();
    let mut number = 0;
    for tenth in 1..=10 {
        let mut busy = Duration::ZERO;
        let (mut appended, mut longest) = (0, Duration::ZERO);
        while number < rows * tenth / 10 {
            let events = events(number, &apps);
            let begun = Instant::now();
            store.append(&events).await.unwrap();
            longest = longest.max(begun.elapsed());
            busy += begun.elapsed();
            (number, appended) = (number + BATCH, appended + BATCH);
        }
        let rate = f64::from(u32::try_from(appended).unwrap()) / busy.as_secs_f64();
        print(name, &format!("appends until {number}"), rate, "events/s");
        print(name, "longest of them", longest.as_secs_f64() * 1e3, "ms");
    }
    let before = UnixTime::from_millis(1_790_000_000_000 + i64::try_from(rows / 16).unwrap());
    for limit in [125, 1_000] {
        let (mut times, mut each) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let pruned = store.prune_events(before, limit).await.unwrap();
            let time = begun.elapsed().as_secs_f64();
            times.push(time * 1e3);
            each.push(time * 1e6 / f64::from(u32::try_from(pruned.removed.max(1)).unwrap()));
        }
        print(name, &format!("pruning {limit}"), median(times), "ms");
        print(name, "  for each event", median(each), "us");
    }
    let listing = store.find_events(&AuditQuery::all(), Page::first(50)).await.unwrap();
    assert_eq!(listing.items.len(), 50);
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let is_asked = |what: &str| arguments.first().is_none_or(|asked| asked == what);
    let rows = arguments.get(1).and_then(|it| it.parse().ok());
    let runtime = cluster::runtime();
    let folder = sandbox::Folder::on_disk();
    let cluster = cluster::own_cluster();
    if is_asked("apps") {
        let apps = rows.unwrap_or(10_000);
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            fill(&store, apps).await;
            pages("memory", &*store).await;
            let file = folder.file("apps.db");
            let store = SqliteStore::open(file, SqliteSettings::new()).await.unwrap();
            let store = Arc::new(store);
            fill(&store, apps).await;
            pages("sqlite", &*store).await;
        });
        if let Some(cluster) = &cluster {
            let pool = cluster::pool(&runtime, cluster.options(), 8);
            let store = Arc::new(cluster::new_store(&runtime, &pool));
            runtime.block_on(async {
                fill(&store, apps).await;
                pages("postgres*", &*store).await;
                pool.execute("VACUUM ANALYZE").await.unwrap();
                pages("postgres", &*store).await;
            });
            println!("*: before the first VACUUM");
        }
    }
    if is_asked("audit") {
        let events = rows.unwrap_or(1_000_000);
        runtime.block_on(async {
            let file = folder.file("audit.db");
            let store = SqliteStore::open(file, SqliteSettings::new()).await.unwrap();
            log("sqlite", &store, events).await;
        });
        if let Some(cluster) = &cluster {
            let pool = cluster::pool(&runtime, cluster.options(), 8);
            let store = cluster::new_store(&runtime, &pool);
            runtime.block_on(log("postgres", &store, events));
        }
    }
}
