//! Outages under a running store: a database that is read only for a while, more requests than
//! connections, a clock that is set back.

use std::time::Duration;

use grantor::clock::UnixTime;
use grantor::store::{
    Grant, GrantRefusal, GrantStore as _, InsertGrant, PostgresStore, RedeemCode, Revocation,
    RevocationReason, RevocationTarget, Rotate, StoreError,
};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgPool, Postgres};

use super::cluster::{PATIENCE, database, new_store, own_cluster, pool, runtime};
use super::races::{redemption, rotation};
use super::sandbox::wait_until;
use super::world::{World, grant, now};

const ROUNDS: usize = 10;
/// Requests at once in each round, on two connections.
const REQUESTS: usize = 600;

/// Inserts a family at generation 1, and returns it as stored.
async fn family(store: &PostgresStore, world: &World) -> Grant {
    let grant = decided(store, world).await;
    let redeemed = store.redeem_code(&redemption(&grant, now())).await.unwrap();
    assert_eq!(redeemed, RedeemCode::Redeemed);
    grant
}

async fn decided(store: &PostgresStore, world: &World) -> Grant {
    let grant = authorized(grant(&world.app.id, "ann"), store.instant(now()).await.unwrap());
    let answer = store.insert_grant(grant.clone()).await.unwrap();
    let InsertGrant::Inserted { authorized_at } = answer else { panic!("{answer:?}") };
    authorized(grant, authorized_at)
}

fn authorized(mut grant: Grant, at: UnixTime) -> Grant {
    grant.authorized_at = at;
    grant
}

fn revocation(target: RevocationTarget) -> Revocation {
    let until = now().plus(Duration::from_hours(24));
    Revocation { target, at: now(), why: RevocationReason::Administrator, until }
}

/// Makes the database read only, or writable again, as an operator or a managed service does.
async fn set_read_only(hosts: &PgPool, on: &str) {
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
    hosts.execute(sqlx::AssertSqlSafe(set)).await.unwrap();
    hosts.execute("SELECT pg_reload_conf()").await.unwrap();
}

/// T13: a read-only database issues nothing and spends nothing. Afterwards the same store goes on.
#[test]
fn a_database_that_is_read_only_for_a_while_gives_nothing_then() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let (own, hosts) = (pool(&runtime, cluster.options(), 4), pool(&runtime, cluster.options(), 1));
    let store = new_store(&runtime, &own);
    let world = World::new(runtime, store.clone());
    let (code, verifier) = world.code();
    let until = |wanted: bool| {
        world.runtime().block_on(async {
            // Each connection reads the setting by itself, and they take turns.
            let mut agreed = 0;
            let changes = async {
                while agreed < 4 * own.size() {
                    agreed = if store.check().await.is_ok() == wanted { agreed + 1 } else { 0 };
                }
            };
            tokio::time::timeout(PATIENCE, changes).await.unwrap();
        });
    };
    for _ in 0..3 {
        let (grant, pending) = world
            .runtime()
            .block_on(async { (family(&store, &world).await, decided(&store, &world).await) });
        world.runtime().block_on(set_read_only(&hosts, "on"));
        until(false);
        assert_eq!(world.redeem(&code, &verifier).unwrap_err(), "server_error");
        world.runtime().block_on(async {
            assert!(store.rotate(&rotation(&grant, 1, now())).await.is_err());
            assert!(store.redeem_code(&redemption(&pending, now())).await.is_err());
            let ending = revocation(RevocationTarget::Grant(grant.grant_id));
            assert!(store.revoke(&ending).await.is_err(), "no revocation is promised");
            let row = store.find_grant(&grant.grant_id).await.unwrap().unwrap();
            assert_eq!((row.generation, row.revoked), (1, None));
            assert!(!store.is_revoked(&row.facts()).await.unwrap());
        });
        world.runtime().block_on(set_read_only(&hosts, "off"));
        until(true);
        world.runtime().block_on(async {
            let rotated = store.rotate(&rotation(&grant, 1, now())).await.unwrap();
            assert_eq!(rotated, Rotate::Rotated);
            let redeemed = store.redeem_code(&redemption(&pending, now())).await.unwrap();
            assert_eq!(redeemed, RedeemCode::Redeemed);
        });
    }
    world.redeem(&code, &verifier).unwrap();
}

/// T13: with many requests on few connections some wait, some fail, and none wins twice. Then the pool
/// recovers.
#[test]
fn a_pool_that_is_exhausted_under_load_gives_nothing_twice() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let hosts = pool(&runtime, database.options(), 2);
    let first = new_store(&runtime, &hosts);
    let own = {
        let _inside = runtime.enter();
        PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_millis(60))
            .test_before_acquire(false)
            .connect_lazy_with(PostgresStore::connect_options(database.options()))
    };
    let small = PostgresStore::with_prefix(own.clone(), first.prefix().clone())
        .with_timeout(Duration::from_millis(80));
    let world = World::new(runtime, first.clone());
    let (mut failed, mut won, mut lost) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let (pending, ahead) = world
            .runtime()
            .block_on(async { (decided(&first, &world).await, family(&first, &world).await) });
        let ask = |number: usize| {
            let (store, pending, family) = (small.clone(), pending.clone(), ahead.clone());
            world.runtime().spawn(async move {
                if number.is_multiple_of(2) {
                    let answer = store.redeem_code(&redemption(&pending, now())).await;
                    (0, answer.map(|it| it == RedeemCode::Redeemed))
                } else {
                    let answer = store.rotate(&rotation(&family, 1, now())).await;
                    (1, answer.map(|it| it == Rotate::Rotated))
                }
            })
        };
        let mut winners = [0, 0];
        let mut count = |answer: (usize, Result<bool, StoreError>)| match answer {
            (what, Ok(true)) => winners[what] += 1,
            (_, Ok(false)) => lost += 1,
            (_, Err(_)) => failed += 1,
        };
        let held = world.runtime().block_on(async { [taken(&own).await, taken(&own).await] });
        let mut requests: Vec<_> = (0..REQUESTS / 2).map(ask).collect();
        // While both connections are taken, a request fails. From then on the others race for them.
        count(world.runtime().block_on(requests.swap_remove(0)).unwrap());
        world.runtime().block_on(async { drop(held) });
        requests.extend((REQUESTS / 2..REQUESTS).map(ask));
        for request in requests {
            count(world.runtime().block_on(request).unwrap());
        }
        // Connections of dropped requests come back, or others take their place. Then a request is
        // answered, and it wins if none has before.
        for number in 0..2 {
            let mut answer = world.runtime().block_on(ask(number)).unwrap();
            wait_until("the pool has recovered", || {
                let is_answered = answer.1.is_ok();
                if !is_answered {
                    answer = world.runtime().block_on(ask(number)).unwrap();
                }
                is_answered
            });
            count(answer);
        }
        // The answer to the winner may be lost.
        assert!(winners[0] <= 1 && winners[1] <= 1, "{winners:?}");
        won += winners[0] + winners[1];
        world.runtime().block_on(async {
            let row = first.find_grant(&pending.grant_id).await.unwrap().unwrap();
            assert_eq!(row.generation, 1);
            let row = first.find_grant(&ahead.grant_id).await.unwrap().unwrap();
            assert_eq!(row.generation, 2);
        });
    }
    eprintln!("on two connections {won} requests won, {lost} lost, {failed} failed");
    assert!(failed >= ROUNDS, "the pool was not exhausted");
    assert!(won > 0, "no request won");
}

/// Takes a connection out of a pool that gives up early.
async fn taken(pool: &PgPool) -> PoolConnection<Postgres> {
    loop {
        if let Ok(connection) = pool.acquire().await {
            return connection;
        }
    }
}

/// The clock of the database was set back by an hour after a revocation.
#[test]
fn a_clock_that_was_set_back_revives_nothing_that_was_revoked() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let own = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &own);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store.clone());
    world.runtime().block_on(async {
        let hour = Duration::from_hours(1);
        let void = family(&store, &world).await;
        let subject = RevocationTarget::Subject(void.subject.clone());
        let first = store.revoke(&revocation(subject.clone())).await.unwrap();
        // Moves all of it an hour ahead, as if the clock had been set back since.
        let later = i64::try_from(hour.as_millis()).unwrap();
        for table in ["clock", "revocations"] {
            let shift = format!("UPDATE {prefix}{table} SET at = at + {later}");
            own.execute(sqlx::AssertSqlSafe(shift)).await.unwrap();
        }
        let first = first.at.plus(hour);
        assert!(store.is_revoked(&void.facts()).await.unwrap());

        // New instants follow the last revocation, not the clock.
        let before = family(&store, &world).await;
        assert!(before.authorized_at > first, "a decision is dated before an earlier revocation");
        assert!(!store.is_revoked(&before.facts()).await.unwrap());
        let second = store.revoke(&revocation(subject.clone())).await.unwrap();
        assert!(second.at > first && second.at >= before.authorized_at);
        assert!(store.is_revoked(&before.facts()).await.unwrap());
        let refused = Rotate::Refused(GrantRefusal::Revoked);
        for grant in [&void, &before] {
            assert_eq!(store.rotate(&rotation(grant, 1, now())).await.unwrap(), refused);
        }
        let after = family(&store, &world).await;
        assert!(after.authorized_at > second.at);
        assert_eq!(store.rotate(&rotation(&after, 1, now())).await.unwrap(), Rotate::Rotated);

        // The documented limit: a cutoff spares a decision from the time that comes twice, if there was
        // no revocation since. A revocation of the grant itself still reaches it.
        let spared = family(&store, &world).await;
        let at = spared.authorized_at.plus(hour).as_millis();
        let id = format!("{:032x}", u128::from_be_bytes(*spared.grant_id.as_bytes()));
        let shift =
            format!("UPDATE {prefix}grants SET authorized_at = {at} WHERE grant_id = '\\x{id}'");
        own.execute(sqlx::AssertSqlSafe(shift)).await.unwrap();
        let spared = authorized(spared, UnixTime::from_millis(at));
        store.revoke(&revocation(subject)).await.unwrap();
        assert!(!store.is_revoked(&spared.facts()).await.unwrap());
        let own_end = RevocationTarget::Grant(spared.grant_id);
        store.revoke(&revocation(own_end)).await.unwrap();
        assert!(store.is_revoked(&spared.facts()).await.unwrap());
        assert_eq!(store.rotate(&rotation(&spared, 1, now())).await.unwrap(), refused);
    });
}

/// Another node, with a clock 400 ms ahead, has dated a decision before the revocation.
#[test]
fn a_revocation_reaches_what_a_node_with_a_fast_clock_has_authorized() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let own = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &own).with_clock_skew(Duration::from_millis(500));
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store.clone());
    world.runtime().block_on(async {
        let before = family(&store, &world).await;
        let at = before.authorized_at.plus(Duration::from_millis(400));
        let id = format!("{:032x}", u128::from_be_bytes(*before.grant_id.as_bytes()));
        let ahead = format!(
            "UPDATE {prefix}grants SET authorized_at = {} WHERE grant_id = '\\x{id}'",
            at.as_millis()
        );
        own.execute(sqlx::AssertSqlSafe(ahead)).await.unwrap();
        let before = authorized(before, at);
        let subject = RevocationTarget::Subject(before.subject.clone());
        let revoked = store.revoke(&revocation(subject)).await.unwrap();
        assert!(revoked.at >= at);
        assert!(store.is_revoked(&before.facts()).await.unwrap());
        let refused = Rotate::Refused(GrantRefusal::Revoked);
        assert_eq!(store.rotate(&rotation(&before, 1, now())).await.unwrap(), refused);

        // A later decision lives, although the clock has not reached the cutoff yet.
        let after = family(&store, &world).await;
        assert!(after.authorized_at > revoked.at);
        assert!(!store.is_revoked(&after.facts()).await.unwrap());
        assert_eq!(store.rotate(&rotation(&after, 1, now())).await.unwrap(), Rotate::Rotated);
    });
}
