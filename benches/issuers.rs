//! The start of a process with many issuers, and the memory of each.
//!
//! Run `cargo bench --bench issuers --features sqlite,postgres`. Each store has 1,000 issuers, or
//! `-- --issuers N`: in memory, in a SQLite file, and in a PostgreSQL that this bench starts or that
//! `GRANTOR_TEST_DATABASE_URL` names. `-- memory`, `-- sqlite` or `-- postgres` selects one.
//!
//! * *first start* has new issuers, and *next start* known ones. Both open their views, start all
//!   servers at once, so that the pool asks for their roots side by side, and add them to `Issuers`.
//! * *idle* is the memory of the process for each issuer after the first, *used* the same after each has issued a
//!   token. The goals are 2 s and 64 KiB.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench stops at the first failure")]
#![expect(clippy::indexing_slicing, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

#[path = "../tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cluster;
#[path = "../tests/sandbox/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod sandbox;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, Issuers};
use grantor::jwt::{Algorithm, KeyRing};
use grantor::store::{AnyStore, PostgresStore, SqliteSettings, SqliteStore};
use grantor::users::MemoryUsers;
use grantor::{AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, ServerSecret, SigningKey};
use http::Request;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const ISSUERS: usize = 1_000;
const ROOT: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

type Tenants = Issuers<AnyStore, Arc<MemoryUsers>, NoHooks>;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let count = arguments
        .iter()
        .position(|it| it == "--issuers")
        .map_or(ISSUERS, |index| arguments[index + 1].parse().unwrap());
    let store = match arguments.first().map(String::as_str) {
        None | Some("--issuers") => return one_after_the_other(count),
        Some(store) => store,
    };
    let runtime = Runtime::new().unwrap();
    match store {
        "memory" => report(&runtime, store, count, || MemoryStore::new().into()),
        "sqlite" => {
            let folder = sandbox::Folder::on_disk();
            let file = folder.file("issuers.db");
            report(&runtime, store, count, || {
                runtime.block_on(SqliteStore::open(&file, SqliteSettings::new())).unwrap().into()
            });
        }
        "postgres" => {
            let Some(database) = cluster::database() else { return eprintln!("postgres: skipped") };
            let prefix = cluster::new_prefix();
            report(&runtime, store, count, || {
                let pool = cluster::pool(&runtime, database.options(), 10);
                let store = PostgresStore::with_prefix(pool, prefix.clone());
                runtime.block_on(store.migrate()).unwrap();
                store.into()
            });
        }
        _ => panic!("no such store: {store}"),
    }
}

/// Measures each store in a process of its own, because memory that one has freed would serve the next.
fn one_after_the_other(count: usize) {
    println!("{count} issuers    first start  next start      idle      used");
    for store in ["memory", "sqlite", "postgres"] {
        let mut bench = Command::new(std::env::current_exe().unwrap());
        let status = bench.args([store, "--issuers", &count.to_string()]).status().unwrap();
        assert!(status.success(), "{store}: {status}");
    }
}

fn report(runtime: &Runtime, name: &str, count: usize, open: impl Fn() -> AnyStore) {
    let store = open();
    // One issuer is there before, with everything that the process keeps for ever.
    let few = start(runtime, &store, 1);
    let before = resident();
    let (many, first) = time(|| start(runtime, &store, count));
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / (count - 1) as f64 / 1_024.0;
    let idle = each(resident());
    runtime.block_on(use_all(&many));
    let used = each(resident());
    drop((few, many));
    runtime.block_on(store.close());
    let (_, next) = time(|| start(runtime, &open(), count));
    println!(
        "  {name:<12} {:>9.0} ms {:>8.0} ms {idle:>5.1} KiB {used:>5.1} KiB",
        first.as_secs_f64() * 1_000.0,
        next.as_secs_f64() * 1_000.0,
    );
}

fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (run(), began.elapsed())
}

fn start(runtime: &Runtime, first: &AnyStore, count: usize) -> Tenants {
    let issuer = |n: usize| Issuer::new(format!("https://id.example.com/tenant-{n}")).unwrap();
    let names: Vec<_> = (0..count).map(issuer).collect();
    let (keys, users) = (key_ring(), Arc::new(MemoryUsers::default()));
    runtime.block_on(async {
        let tenants = Tenants::new();
        let stores = first.for_issuers(&names).await.unwrap();
        let mut starts = JoinSet::new();
        for (issuer, store) in names.into_iter().zip(stores) {
            let secret = ServerSecret::new(ROOT).unwrap();
            let server = AuthorizationServer::builder(
                issuer,
                secret,
                keys.clone(),
                store,
                Arc::clone(&users),
            );
            starts.spawn(server.start());
        }
        for server in starts.join_all().await {
            let server = Arc::new(server.unwrap());
            tenants.insert(HttpEndpoints::without_interaction(server)).unwrap();
        }
        tenants
    })
}

fn key_ring() -> KeyRing {
    SigningKey::generate(Algorithm::ES256).unwrap().into()
}

/// Registers an app at each issuer, and gets a token over HTTP.
async fn use_all(tenants: &Tenants) {
    for endpoints in tenants.all() {
        let draft = AppDraft::confidential("Bench").flow(Flow::ClientCredentials);
        let admin = endpoints.server().admin("bench");
        let app = admin.register(draft.build().unwrap()).await.unwrap();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            app.client_id,
            app.client_secret.unwrap().expose_secret()
        );
        let path = endpoints.server().issuer().as_str().strip_prefix("https://id.example.com");
        let request = Request::post(format!("{}/oauth/token", path.unwrap()))
            .header("host", "id.example.com")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .unwrap();
        let answer = tenants.handle(request).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

/// Returns the memory of the process in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
