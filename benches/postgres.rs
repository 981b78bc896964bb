//! Rotations and whole refresh requests per second through the store, beside `pgbench` with the
//! same statement and the same number of connections, on a server that this bench starts.
//!
//! Run `cargo bench --bench postgres --features postgres`. Without PostgreSQL it prints a note.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench stops at the first failure")]
#![expect(clippy::indexing_slicing, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
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

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grantor::endpoint::FormRequest;
use grantor::ids::{ClientId, GrantId};
use grantor::secret::Digest;
use grantor::store::{CodeRedemption, Grant, GrantStore as _, PostgresStore, Rotate, Rotation};
use serde_json::Value;
use sqlx::{PgPool, Row as _};

const CONNECTIONS: u32 = 8;
/// Concurrent requests, each for its own family. A server has more of them than connections.
const REQUESTS: u32 = 8 * CONNECTIONS;
const ROUNDS: usize = 5;
const SECONDS: u64 = 4;

fn main() {
    let Some(cluster) = cluster::durable_cluster() else { return };
    let runtime = cluster::runtime();
    let pool = cluster::pool(&runtime, cluster.options(), CONNECTIONS);
    let store = cluster::new_store(&runtime, &pool);
    let world = Arc::new(world::World::new(runtime, store.clone()));
    let runtime = cluster::runtime();
    let own_pool = cluster::pool(&runtime, cluster.options(), CONNECTIONS);
    let knowing = cluster::new_store(&runtime, &own_pool).with_known_grants(1_000);
    let knowing = Arc::new(world::World::new(runtime, knowing));
    let mut known: Vec<_> = (0..REQUESTS).map(|_| token(&knowing)).collect();
    let families: Vec<_> = (0..REQUESTS).map(|_| family(&world)).collect();
    let mut tokens: Vec<_> = (0..REQUESTS).map(|_| token(&world)).collect();
    world.runtime().block_on(rotate_once(&store, &families[0], 1));
    let statement = world.runtime().block_on(statement(&pool));
    let mut generation = 2;
    let mut rounds = [const { Vec::new() }; 7];
    for _ in 0..ROUNDS {
        let (rotations, reached) = world.runtime().block_on(rotate(&store, &families, generation));
        generation = reached;
        let floor = pgbench(&cluster, &world, &statement);
        let refreshes;
        (refreshes, tokens) = world.runtime().block_on(refresh(&world, tokens));
        let spared;
        (spared, known) = knowing.runtime().block_on(refresh(&knowing, known));
        let [of_rotations, of_refreshes, of_spared] =
            [rotations, refreshes, spared].map(|rate| rate / floor);
        let round = [rotations, refreshes, spared, floor, of_rotations, of_refreshes, of_spared];
        for (all, value) in rounds.iter_mut().zip(round) {
            all.push(value);
        }
    }
    let [rotations, refreshes, spared, floor, of_rotations, of_refreshes, of_spared] =
        rounds.map(median);
    println!(
        "per second, {CONNECTIONS} connections, {REQUESTS} concurrent requests, synchronous commit"
    );
    println!("  the statement, by pgbench {floor:>8.0}");
    println!(
        "  rotations by the store    {rotations:>8.0}  {of_rotations:.2} of it, at least 0.80"
    );
    println!(
        "  whole refresh requests    {refreshes:>8.0}  {of_refreshes:.2} of it, at least 0.70"
    );
    println!("  the same of known grants  {spared:>8.0}  {of_spared:.2} of it");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Creates a family with its refresh token at generation 1.
fn family(world: &world::World) -> Grant {
    let grant = world::grant(&world.app.id, "ann");
    redeemed(world, &grant);
    grant
}

fn redeemed(world: &world::World, grant: &Grant) {
    let redemption = CodeRedemption {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        confirmation: None,
        binds: true,
        device: None,
        polling: None,
        claim: 1,
        now: world::now(),
    };
    let store = world.server.store();
    world.runtime().block_on(async {
        store.insert_grant(grant.clone()).await.unwrap();
        store.redeem_code(&redemption).await.unwrap();
    });
}

async fn rotate_once(store: &PostgresStore, grant: &Grant, generation: u32) {
    let rotation = Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 30_000,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        confirmation: None,
        binds: true,
        claim: 7,
        now: world::now(),
    };
    let answer = store.rotate(&rotation).await.unwrap();
    assert!(matches!(answer, Rotate::Rotated | Rotate::Ahead), "{answer:?}");
}

/// Rotates every family as fast as possible. Returns the total rate and a generation beyond all of
/// them.
async fn rotate(store: &PostgresStore, families: &[Grant], from: u32) -> (f64, u32) {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(SECONDS);
    let tasks: Vec<_> = families
        .iter()
        .map(|grant| {
            let (store, grant) = (store.clone(), grant.clone());
            tokio::spawn(async move {
                let mut generation = from;
                while Instant::now() < end {
                    rotate_once(&store, &grant, generation).await;
                    generation += 1;
                }
                generation
            })
        })
        .collect();
    let (mut total, mut reached) = (0, from);
    for task in tasks {
        let generation = task.await.unwrap();
        total += generation - from;
        reached = reached.max(generation);
    }
    (f64::from(total) / begun.elapsed().as_secs_f64(), reached)
}

/// Returns a refresh token of a new family.
fn token(world: &world::World) -> String {
    let (code, verifier) = world.code();
    let answer = world.redeem(&code, &verifier).unwrap();
    answer["refresh_token"].as_str().unwrap().to_owned()
}

/// Refreshes with every client as fast as possible, in process, from the form to the JSON. Returns
/// the total rate and the current tokens.
async fn refresh(world: &Arc<world::World>, tokens: Vec<String>) -> (f64, Vec<String>) {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(SECONDS);
    let tasks: Vec<_> = tokens
        .into_iter()
        .map(|mut token| {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                let mut count = 0_u32;
                while Instant::now() < end {
                    let body = format!(
                        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={token}",
                        world.app.id, world.app.secret.as_deref().unwrap()
                    );
                    let answer = world.server.token(&FormRequest::new(&body)).await.unwrap();
                    let answer: Value = serde_json::from_str(&answer.to_json()).unwrap();
                    answer["refresh_token"].as_str().unwrap().clone_into(&mut token);
                    count += 1;
                }
                (count, token)
            })
        })
        .collect();
    let (mut total, mut tokens) = (0, Vec::new());
    for task in tasks {
        let (count, token) = task.await.unwrap();
        total += count;
        tokens.push(token);
    }
    (f64::from(total) / begun.elapsed().as_secs_f64(), tokens)
}

/// Returns the text of the statement from the database.
async fn statement(pool: &PgPool) -> String {
    let sql = "SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%$10%' \
         AND statement LIKE '%$4 >= g.generation%'";
    // The pool may return another connection than the one that prepared it.
    for _ in 0..1_000 {
        let row = sqlx::query(sql).persistent(false).fetch_optional(pool).await.unwrap();
        if let Some(row) = row {
            return row.get(0);
        }
    }
    panic!("the statement is not found");
}

/// Returns the rate of `pgbench`. Each of its clients rotates its own family.
fn pgbench(cluster: &cluster::Cluster, world: &world::World, statement: &str) -> f64 {
    let salt = Digest::from_bytes([7; 32]);
    let client: &ClientId = &world.app.id;
    let number: u64 = u64::from_ne_bytes(world::random_bytes());
    for index in 0..CONNECTIONS {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id[12..].copy_from_slice(&index.to_be_bytes());
        let mut grant = world::grant(client, "ann");
        grant.grant_id = GrantId::from_bytes(id);
        grant.salt_digest = salt;
        redeemed(world, &grant);
    }
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let id = format!(
        "decode('{}' || lpad(to_hex(CAST(:client_id AS bigint)), 16, '0'), 'hex')",
        hex(&number.to_be_bytes())
    );
    let mut sql = statement.to_owned();
    // From the last, since $1 begins $10.
    for (parameter, value) in [
        ("$13", "true".to_owned()),
        ("$12", "CAST(40000 AS bigint)".to_owned()),
        ("$11", "true".to_owned()),
        ("$10", "CAST(NULL AS bytea)".to_owned()),
        ("$9", "'g:none'".to_owned()),
        ("$8", "CAST(NULL AS bigint)".to_owned()),
        ("$7", "CAST(-10000 AS bigint)".to_owned()),
        ("$6", format!("CAST({} AS bigint)", world::now().as_millis())),
        ("$5", "CAST(7 AS bigint)".to_owned()),
        ("$4", "CAST(:generation AS bigint)".to_owned()),
        ("$3", format!("CAST('\\x{}' AS bytea)", hex(salt.as_bytes()))),
        ("$2", format!("CAST('{client}' AS text)")),
        ("$1", id),
    ] {
        sql = sql.replace(parameter, &value);
    }
    let script = format!("\\set generation :generation + 1\n{sql};\n");
    let file = cluster.file("script.sql");
    fs::write(&file, script).unwrap();
    let output = cluster
        .program("pgbench")
        .args(["-n", "-M", "prepared", "-j", "2", "-D", "generation=0", "-p", "5432"])
        .args(["-c", &CONNECTIONS.to_string(), "-T", &SECONDS.to_string()])
        .args(["-U", cluster::USER, "-h"])
        .arg(cluster.folder())
        .arg("-f")
        .args([file.as_path(), Path::new("postgres")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).unwrap();
    let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap_or_else(|| {
        panic!("pgbench gives no rate: {output}");
    });
    rate.split(' ').next().unwrap().parse().unwrap()
}
