//! The cost of a request with few and with many live grants, and the size of a grant.
//!
//! Run `cargo bench --bench size --features postgres` for the store in memory and for a PostgreSQL
//! that this bench starts. `-- memory` or `-- postgres` selects one. `-- --grants 1000000` replaces
//! the default of 5,000,000, which takes about 2 GB of memory and 3 GB of disk.
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
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;
#[path = "../tests/postgres/world.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod world;

use std::time::{Duration, Instant};

use grantor::clock::UnixTime;
use grantor::endpoint::FormRequest;
use grantor::ids::{ClientId, GrantId};
use grantor::secret::Digest;
use grantor::store::{
    Grant, GrantStore as _, PostgresStore, Revocation, RevocationReason, RevocationTarget, Store,
};
use grantor::{MemoryStore, Scope, Subject};
use sqlx::{PgPool, Row as _};

use self::cluster::Cluster;
use self::support::{Answer, body_of};
use self::world::{World, now, random_bytes, result};

const FEW: usize = 10_000;
const MANY: usize = 5_000_000;
/// The families under test. They are made among the others, so they lie anywhere in the tables.
const FAMILIES: usize = 2_000;
const REFRESHES: usize = 10_000;
const REVOCATIONS: usize = 500;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let many = arguments
        .iter()
        .position(|it| it == "--grants")
        .map_or(MANY, |index| arguments[index + 1].parse().unwrap());
    let wants = |name: &str| match arguments.first().map(String::as_str) {
        None | Some("--grants") => true,
        Some(only) => only == name,
    };
    if wants("memory") {
        report("memory", many, |grants| Some(measure(&InMemory::new(), grants)));
    }
    if wants("postgres") {
        report("postgres", many, |grants| {
            Some(measure(&InPostgres::new(cluster::durable_cluster()?), grants))
        });
    }
}

/// A store with a server over it that can be filled quickly.
trait Filled {
    type Store: Store + 'static;

    fn world(&self) -> &World<Self::Store>;
    /// Adds grants with a live refresh token.
    fn add(&self, grants: usize);
    /// Returns the size of the store in bytes.
    fn bytes(&self) -> u64;
    /// Runs the regular maintenance of a database.
    fn tidy(&self) {}
}

/// Medians in microseconds, and bytes per grant, new and after all operations.
struct Measured {
    refresh: f64,
    reuse: f64,
    revocation: f64,
    bytes: f64,
    bytes_rotated: f64,
}

fn report(store: &str, many: usize, measure: impl Fn(usize) -> Option<Measured>) {
    let (Some(few), Some(many_grants)) = (measure(FEW), measure(many)) else {
        return eprintln!("{store}: skipped");
    };
    println!("{store:<20} {FEW:>12} {many:>12}  ratio");
    let lines = [
        ("refresh, us", few.refresh, many_grants.refresh),
        ("reuse, us", few.reuse, many_grants.reuse),
        ("revocation, us", few.revocation, many_grants.revocation),
    ];
    for (name, few, many) in lines {
        println!("  {name:<18} {few:>12.1} {many:>12.1}  {:.2}", many / few);
    }
    for (name, few, many) in [
        ("bytes per live grant", few.bytes, many_grants.bytes),
        ("  once rotated", few.bytes_rotated, many_grants.bytes_rotated),
    ] {
        println!("  {name:<18} {few:>12.0} {many:>12.0}");
    }
}

fn measure<F: Filled>(store: &F, grants: usize) -> Measured {
    let world = store.world();
    let empty = store.bytes();
    let mut families = Vec::new();
    for _ in 0..20 {
        store.add((grants - FAMILIES) / 20);
        families.extend((0..FAMILIES / 20).map(|_| family(world)));
    }
    store.tidy();
    let bytes = || (store.bytes() - empty) as f64 / grants as f64;
    let bytes_new = bytes();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let refresh = median((0..REFRESHES).map(|_| {
        let family = &mut families[random.below(FAMILIES)];
        let (taken, answer) = timed(|| refresh_at(world, family));
        result(answer).unwrap()["refresh_token"].as_str().unwrap().clone_into(family);
        taken
    }));
    let bytes_rotated = bytes();
    let reuse = median(families.iter().take(REVOCATIONS).map(|token| {
        // Only the immediate predecessor counts as a retry.
        let next = world.refresh(token).unwrap()["refresh_token"].as_str().unwrap().to_owned();
        world.refresh(&next).unwrap();
        let (taken, answer) = timed(|| refresh_at(world, token));
        assert_eq!(result(answer).unwrap_err(), "invalid_grant");
        taken
    }));
    let revocation = median((0..REVOCATIONS).map(|number| {
        let revocation = Revocation {
            target: RevocationTarget::Subject(Subject::new(format!("user {number}")).unwrap()),
            at: now(),
            why: RevocationReason::Administrator,
            until: now().plus(Duration::from_hours(24)),
        };
        let (taken, answer) =
            timed(|| world.runtime().block_on(world.server.store().revoke(&revocation)));
        answer.unwrap();
        taken
    }));
    Measured { refresh, reuse, revocation, bytes: bytes_new, bytes_rotated }
}

/// Returns a refresh token of a new family.
fn family<S: Store + 'static>(world: &World<S>) -> String {
    let (code, verifier) = world.code();
    world.redeem(&code, &verifier).unwrap()["refresh_token"].as_str().unwrap().to_owned()
}

/// Refreshes without the HTTP layer.
fn refresh_at<S: Store + 'static>(world: &World<S>, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let body = body_of(&world.app, &form);
    Answer::from(world.runtime().block_on(world.server.token(&FormRequest::new(&body))))
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let answer = work();
    (begun.elapsed(), answer)
}

fn median(durations: impl Iterator<Item = Duration>) -> f64 {
    let mut all: Vec<_> = durations.collect();
    all.sort_unstable();
    all[all.len() / 2].as_nanos() as f64 / 1_000.0
}

/// A xorshift generator with the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// Creates a live grant for the app's whole scope, with a user name of 36 characters.
fn live_grant(client_id: &ClientId) -> Grant {
    let id = GrantId::from_bytes(random_bytes());
    let subject = Subject::new(format!("{id}-{}", &id.to_string()[..13])).unwrap();
    let scope = Scope::parse("a b").unwrap();
    let mut grant = Grant::new(id, client_id.clone(), subject, scope);
    let now = now();
    grant.binding = Digest::from_bytes(random_bytes());
    grant.salt_digest = Digest::from_bytes(random_bytes());
    grant.auth_time = Some(UnixTime::from_seconds(now.as_seconds()));
    grant.authorized_at = now;
    grant.code_expires_at = now.plus(Duration::from_mins(1));
    grant.expires_at = now.plus(Duration::from_hours(60 * 24));
    grant.generation = 1;
    grant.rotated_at = now;
    grant.claim = u64::from_ne_bytes(random_bytes());
    grant
}

struct InMemory(World<MemoryStore>);

impl InMemory {
    fn new() -> Self {
        Self(World::new(cluster::runtime(), MemoryStore::new()))
    }
}

impl Filled for InMemory {
    type Store = MemoryStore;

    fn world(&self) -> &World<MemoryStore> {
        &self.0
    }

    fn add(&self, grants: usize) {
        let store = self.0.server.store();
        self.0.runtime().block_on(async {
            for _ in 0..grants {
                store.insert_grant(live_grant(&self.0.app.id)).await.unwrap();
            }
        });
    }

    /// Returns the memory that the system gave to this process.
    fn bytes(&self) -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4_096
    }
}

struct InPostgres {
    world: World<PostgresStore>,
    pool: PgPool,
    template: GrantId,
    // The last field, so that every connection is closed before it is dropped.
    _cluster: Cluster,
}

impl InPostgres {
    fn new(cluster: Cluster) -> Self {
        let runtime = cluster::runtime();
        let pool = cluster::pool(&runtime, cluster.options(), 2);
        let store = cluster::new_store(&runtime, &pool);
        // Without the time limits of the store.
        let pool = runtime
            .block_on(PgPool::connect_with(PostgresStore::connect_options(cluster.options())))
            .unwrap();
        let world = World::new(runtime, store);
        let grant = live_grant(&world.app.id);
        let template = grant.grant_id;
        world.runtime().block_on(world.server.store().insert_grant(grant)).unwrap();
        Self { world, pool, template, _cluster: cluster }
    }

    fn prefix(&self) -> String {
        self.world.server.store().store().prefix().to_string()
    }

    fn execute(&self, sql: impl sqlx::SqlSafeStr) {
        self.world.runtime().block_on(sqlx::query(sql).execute(&self.pool)).unwrap();
    }
}

impl Filled for InPostgres {
    type Store = PostgresStore;

    fn world(&self) -> &World<PostgresStore> {
        &self.world
    }

    /// Copies a grant that the store has written, in one statement.
    fn add(&self, grants: usize) {
        let prefix = self.prefix();
        let sql = format!(
            "INSERT INTO {prefix}grants (grant_id, client_id, subject, scope, auth_time, binding, \
             salt_digest, authorized_at, code_expires_at, expires_at, generation, rotated_at, \
             claim, retries, mismatches) \
             SELECT decode(md5(random()::text || n), 'hex'), client_id, gen_random_uuid()::text, \
             scope, auth_time, decode(md5(random()::text) || md5(random()::text), 'hex'), \
             decode(md5(random()::text) || md5(random()::text), 'hex'), authorized_at + n, \
             code_expires_at + n, expires_at + n, 1, rotated_at + n, claim - n, 0, 0 \
             FROM {prefix}grants, generate_series(1, $1) AS n WHERE grant_id = $2"
        );
        let filled = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(i64::try_from(grants).unwrap())
            .bind(self.template.as_bytes().to_vec())
            .execute(&self.pool);
        self.world.runtime().block_on(filled).unwrap();
    }

    /// Includes all indexes.
    fn bytes(&self) -> u64 {
        let sql = format!("SELECT pg_total_relation_size('{}grants')", self.prefix());
        let row = self
            .world
            .runtime()
            .block_on(sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool))
            .unwrap();
        row.get::<i64, _>(0).try_into().unwrap()
    }

    fn tidy(&self) {
        let vacuum = format!("VACUUM ANALYZE {}grants", self.prefix());
        self.execute(sqlx::AssertSqlSafe(vacuum));
        self.execute("CHECKPOINT");
    }
}
