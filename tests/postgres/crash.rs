//! A server and clients that are killed in the middle of writes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::audit::{AuditQueue, AuditSink as _, AuditStore as _};
use grantor::ids::{ClientId, GrantId};
use grantor::protocol::GrantType;
use grantor::random::OsRandom;
use grantor::store::{GrantStore as _, PostgresStore};
use sqlx::Row as _;

use super::chance::Chance;
use super::child::Child;
use super::cluster::{Cluster, database, new_store, own_cluster, pool, runtime};
use super::sandbox::wait_until;
use super::world::{World, event};
use super::writers::{Answered, CLIENT, Ledger, WRITERS, check, known, write};

const KILLS: usize = 50;
/// The most answers that a kill waits for.
const MOST: u64 = 600;
/// The longest pause between the last of them and the kill.
const PAUSE: Duration = Duration::from_millis(5);

/// Lets clients write, kills the server under them, and returns the answers that they got.
fn kill_server(
    world: &World,
    cluster: &Cluster,
    store: &PostgresStore,
    chance: &mut Chance,
) -> Ledger {
    let (ledger, goes_on) = (Arc::new(Mutex::new(Ledger::default())), AtomicBool::new(true));
    let goes_on = Arc::new(goes_on);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (ledger, goes_on) = (Arc::clone(&ledger), Arc::clone(&goes_on));
            let say = move |line: &str| ledger.lock().unwrap().enter(line);
            let goes_on = move || goes_on.load(Ordering::SeqCst);
            world.runtime().spawn(write(store.clone(), world.app.id.clone(), goes_on, say))
        })
        .collect();
    let enough = chance.below(MOST);
    wait_until("enough is answered", || ledger.lock().unwrap().answers >= enough);
    chance.sleep_below(PAUSE);
    cluster.kill();
    // Writers that wait for a connection get one from the same pool once the server is back.
    goes_on.store(false, Ordering::SeqCst);
    cluster.start();
    for writer in writers {
        // A writer may fail. A wrong answer is a panic.
        let _ = world.runtime().block_on(writer).unwrap();
    }
    Arc::try_unwrap(ledger).ok().unwrap().into_inner().unwrap()
}

/// Asks until a request succeeds. Each broken connection fails one request.
pub(crate) fn recover(world: &World, store: &PostgresStore) {
    world.runtime().block_on(async {
        for _ in 0..100 {
            if store.find_grant(&GrantId::from_bytes([0; 16])).await.is_ok() {
                return;
            }
        }
        panic!("the pool does not recover");
    });
}

/// Checks the answers for all grants, some at a time.
pub(crate) fn check_all(world: &World, store: &PostgresStore, ledger: &Ledger) {
    let all: Vec<_> = ledger.grants.iter().map(|(id, answered)| (*id, *answered)).collect();
    for some in all.chunks(WRITERS) {
        let checks = some.iter().map(|(id, answered)| {
            let (store, client_id) = (store.clone(), world.app.id.clone());
            let (id, answered) = (*id, *answered);
            world.runtime().spawn(async move { check(&store, &client_id, id, answered).await })
        });
        for check in checks.collect::<Vec<_>>() {
            world.runtime().block_on(check).unwrap().unwrap();
        }
    }
}

/// Checks that grants that were revoked after one crash still are after all crashes.
fn check_dead(world: &World, store: &PostgresStore, dead: &[(GrantId, Answered)]) {
    for (id, answered) in dead {
        let facts = known(&world.app.id, *id);
        let row = world.runtime().block_on(store.find_grant(id)).unwrap().unwrap();
        assert_eq!((row.grant_id, &row.subject), (facts.grant_id, &facts.subject));
        assert!(row.generation >= answered.generation, "{id}");
        assert!(world.runtime().block_on(store.is_revoked(&row.facts())).unwrap(), "{id}");
    }
}

/// G13, G15, J19, R21, T13: a code, refresh token or assertion whose use was answered before a crash of
/// the server is spent after it, and an answered revocation holds. A request without an answer is done
/// or not done. The same pool goes on.
#[test]
fn what_was_answered_survives_a_crash_and_the_pool_recovers() {
    let Some(cluster) = own_cluster() else { return };
    let mut chance = Chance::new("what_was_answered_survives_a_crash_and_the_pool_recovers");
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 8);
    let store = new_store(&runtime, &pool).with_timeout(Duration::from_secs(20));
    let world = World::new(runtime, store.clone());
    let (mut dead, mut answers) = (Vec::new(), 0);
    for _ in 0..KILLS {
        let ledger = kill_server(&world, &cluster, &store, &mut chance);
        for _ in 0..pool.size() {
            recover(&world, &store);
        }
        check_all(&world, &store, &ledger);
        answers += ledger.grants.values().map(|it| it.generation + 1).sum::<u32>();
        dead.extend(ledger.grants);
    }
    check_dead(&world, &store, &dead);
    let revoked = dead.iter().filter(|(_, it)| it.was_revoked).count();
    assert!(revoked > KILLS, "only {revoked} grants were revoked");
    eprintln!(
        "{} grants, {answers} codes and refresh tokens, {revoked} revocations answered among \
         {KILLS} crashes of the server, none lost",
        dead.len()
    );
}

/// G13, R21, T13: everything that a client was answered before it was killed is in the database. Its
/// open requests are done or not done.
#[test]
fn what_a_client_was_answered_before_it_was_killed_is_there() {
    let Some(database) = database() else { return };
    let mut chance = Chance::new("what_a_client_was_answered_before_it_was_killed_is_there");
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store.clone());
    let mut total = 0;
    for _ in 0..KILLS {
        let test = "writers::child_that_writes_until_it_is_killed";
        let mut client = Child::start(test, &database.options(), &prefix, &world.app.id);
        let mut ledger = Ledger::default();
        for _ in 0..=chance.below(MOST) {
            ledger.enter(&client.answer());
        }
        chance.sleep_below(PAUSE);
        client.kill();
        while let Some(line) = client.hear() {
            ledger.enter(&line);
        }
        drop(client);
        // PostgreSQL goes on with its open statements for a while.
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        let left = || {
            let row = sqlx::query(count).bind(CLIENT).fetch_one(&pool);
            world.runtime().block_on(row).unwrap().get::<i64, _>(0)
        };
        while left() > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        check_all(&world, &store, &ledger);
        total += ledger.grants.len();
    }
    assert!(total > KILLS, "the clients wrote {total} grants: too few to show anything");
    eprintln!("{total} grants answered to {KILLS} clients that were killed, none lost");
}

/// The server is killed while events are written, and comes back: no event is lost, and none counts
/// twice, although the outcome of the last commit was unknown.
#[test]
fn a_database_that_is_killed_gets_every_event_once() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 4);
    let store = new_store(&runtime, &pool);
    let failures = Arc::new(AtomicUsize::new(0));
    let audit = AuditQueue::new(&OsRandom::new()).unwrap();
    let count = Arc::clone(&failures);
    let written = runtime.spawn(audit.run(store.clone(), tokio::time::sleep, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let record = |events: usize| {
        for _ in 0..events {
            audit.record(&event("app", "ann").event);
        }
    };
    record(5_000);
    std::thread::sleep(Duration::from_millis(30));
    cluster.kill();
    record(1_000);
    wait_until("a write has failed", || failures.load(Ordering::Relaxed) > 0);
    cluster.start();
    record(500);
    audit.close();
    runtime.block_on(written).unwrap();
    let app = ClientId::new("app").unwrap();
    let usage = store.usage_of(&app);
    assert_eq!(runtime.block_on(usage).unwrap().issued[&GrantType::JwtBearer], 6_500);
    let rows = format!("SELECT count(*) FROM {}audit", store.prefix());
    let rows = runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_one(&pool)).unwrap();
    assert_eq!(rows.get::<i64, _>(0), 6_500);
}
