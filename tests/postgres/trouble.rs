//! A database that does not answer, or refuses to write. The store gives nothing then, and goes on
//! afterwards.

use std::time::Duration;

use grantor::ids::Subject;
use grantor::store::{Grant, GrantRefusal, GrantStore as _, PostgresStore, RedeemCode, Rotate};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgPool};
use tokio::task::JoinHandle;

use super::cluster::{PATIENCE, database, new_store, pool, runtime};
use super::races::{redemption, rotation};
use super::world::{World, grant, now};

/// Inserts a family at generation 1.
async fn family(store: &PostgresStore, client_id: &grantor::ids::ClientId) -> Grant {
    let grant = grant(client_id, "ann");
    store.insert_grant(grant.clone()).await.unwrap();
    let redemption = redemption(&grant, now());
    assert_eq!(store.redeem_code(&redemption).await.unwrap(), RedeemCode::Redeemed);
    grant
}

/// Returns the condition that selects the row of a grant.
fn is(grant: &Grant) -> String {
    let id = grant
        .grant_id
        .as_bytes()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("grant_id = '\\x{id}'")
}

/// Waits until a statement of the connections with this application name waits for a lock, while `waiting` runs
/// it.
pub(crate) async fn until_it_waits<T>(hosts: &PgPool, name: &str, waiting: &JoinHandle<T>) {
    let waits = "SELECT 1 FROM pg_stat_activity \
                 WHERE application_name = $1 AND wait_event_type = 'Lock'";
    while sqlx::query(waits).bind(name).fetch_all(hosts).await.unwrap().is_empty() {
        assert!(!waiting.is_finished(), "the statement does not wait");
    }
}

/// R21: a statement that waits too long is an error without an effect, and the client can ask again.
#[test]
fn a_row_that_others_hold_is_waited_for_no_longer_than_the_timeout() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let (own, hosts) =
        (pool(&runtime, database.options(), 2), pool(&runtime, database.options(), 1));
    let store = new_store(&runtime, &own);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let store = world.server.store().store();
    let impatient = store.clone().with_timeout(Duration::from_millis(300));
    world.runtime().block_on(async {
        let grant = family(store, &world.app.id).await;
        let mut host = hosts.begin().await.unwrap();
        let lock = format!("SELECT 1 FROM {prefix}grants WHERE {} FOR UPDATE", is(&grant));
        host.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
        let waiting = rotation(&grant, 1, now());
        let answer = tokio::time::timeout(PATIENCE, impatient.rotate(&waiting)).await;
        assert!(answer.unwrap().is_err());
        let row = store.find_grant(&grant.grant_id).await.unwrap().unwrap();
        assert_eq!(row.generation, 1);
        host.commit().await.unwrap();
        // PostgreSQL may have run the waiting statement by now, as if its answer had been lost.
        let again = store.rotate(&rotation(&grant, 1, now())).await.unwrap();
        assert!(matches!(again, Rotate::Rotated | Rotate::Retried { .. }), "{again:?}");
    });
}

/// The store runs a statement again that a deadlock ended. A host that locks in another order causes
/// one.
#[test]
fn a_deadlock_is_not_answered() {
    let Some(database) = database() else { return };
    let (runtime, name) = (runtime(), "deadlock");
    let own = pool(&runtime, database.options().application_name(name), 2);
    let hosts = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &own);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store);
    let store = world.server.store().store().clone();
    world.runtime().block_on(async {
        let grant = family(&store, &world.app.id).await;
        for generation in 1..3 {
            store.rotate(&rotation(&grant, generation, now())).await.unwrap();
        }
        let mut host = hosts.begin().await.unwrap();
        let clock = format!("UPDATE {prefix}clock SET at = at");
        host.execute(sqlx::AssertSqlSafe(clock)).await.unwrap();
        let reuse = {
            let (store, grant) = (store.clone(), grant.clone());
            tokio::spawn(async move { store.rotate(&rotation(&grant, 1, now())).await })
        };
        until_it_waits(&hosts, name, &reuse).await;
        let row = format!("UPDATE {prefix}grants SET scope = scope WHERE {}", is(&grant));
        // PostgreSQL ends one of the two statements. The one of the store is answered in any case.
        match host.execute(sqlx::AssertSqlSafe(row)).await {
            Ok(_) => host.commit().await.unwrap(),
            Err(_) => host.rollback().await.unwrap(),
        }
        assert_eq!(reuse.await.unwrap().unwrap(), Rotate::Reused);
        let refused = Rotate::Refused(GrantRefusal::Revoked);
        assert_eq!(store.rotate(&rotation(&grant, 3, now())).await.unwrap(), refused);
    });
}

/// T13: without a connection the store gives nothing and spends nothing.
#[test]
fn a_pool_that_has_no_connection_left_gives_nothing() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let own = pool(&runtime, database.options(), 1);
    // Long enough for a busy machine to answer once there is a connection.
    let store = new_store(&runtime, &own).with_timeout(Duration::from_secs(2));
    let world = World::new(runtime, store);
    let (code, verifier) = world.code();
    let held = world.runtime().block_on(own.acquire()).unwrap();
    assert_eq!(world.redeem(&code, &verifier).unwrap_err(), "server_error");
    world.runtime().block_on(async { drop(held) });
    assert!(world.redeem(&code, &verifier).is_ok());
}

/// T13: `check` detects a standby or a read-only database, which gives nothing.
#[test]
fn a_database_that_can_only_be_read_gives_nothing() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let own = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &own);
    let prefix = store.prefix().clone();
    let options = database.options().options([("default_transaction_read_only", "on")]);
    let read_only: PgPool = {
        let _inside = runtime.enter();
        PgPoolOptions::new().connect_lazy_with(options)
    };
    let world = World::new(runtime, store);
    let standby = PostgresStore::with_prefix(read_only, prefix);
    world.runtime().block_on(async {
        let store = world.server.store().store();
        store.check().await.unwrap();
        assert!(standby.check().await.is_err());
        let grant = family(store, &world.app.id).await;
        assert!(standby.rotate(&rotation(&grant, 1, now())).await.is_err());
        assert!(standby.insert_grant(super::world::grant(&grant.client_id, "ann")).await.is_err());
        let answer = store.rotate(&rotation(&grant, 1, now())).await.unwrap();
        assert_eq!(answer, Rotate::Rotated);
    });
}

/// Several processes may prune at once. Each row is removed once.
#[test]
fn processes_that_prune_at_once_share_the_work() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let own = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &own);
    let world = World::new(runtime, store.clone());
    world.runtime().block_on(async {
        for number in 0..200 {
            let mut grant = grant(&world.app.id, "ann");
            grant.subject = Subject::new(format!("user {number}")).unwrap();
            store.insert_grant(grant).await.unwrap();
        }
        let later = now().plus(Duration::from_hours(25));
        let pruning: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut removed = 0;
                    loop {
                        let pruned = store.prune(later, 7).await.unwrap();
                        removed += pruned.removed;
                        if !pruned.more {
                            return removed;
                        }
                    }
                })
            })
            .collect();
        let mut removed = 0;
        for task in pruning {
            removed += task.await.unwrap();
        }
        assert_eq!(removed, 200);
    });
}
