//! Databases whose default is not READ COMMITTED.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use grantor::store::conformance::Kit;
use grantor::store::{
    GrantStore as _, PostgresStore, Revocation, RevocationReason, RevocationTarget, TablePrefix,
};
use sqlx::postgres::PgPoolOptions;

use super::cluster::{database, new_store, rounds, runtime};
use super::kit::Tokio;
use super::world::now;

/// Its losers are refused with 40001 until the store sets the level itself, and no answer differs.
#[test]
fn a_stricter_default_of_the_database_changes_no_answer() {
    let Some(database) = database() else { return };
    for level in ["repeatable\\ read", "serializable"] {
        let runtime = Arc::new(runtime());
        let options = database.options().options([("default_transaction_isolation", level)]);
        let pool = {
            let _inside = runtime.enter();
            PgPoolOptions::new().max_connections(20).connect_lazy_with(options)
        };
        let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
        let report = Kit::new(move || new_store(&runtime, &pool))
            .with_runner(runner)
            .with_rounds(rounds(super::KIT_ROUNDS))
            .run();
        assert!(report.is_passed(), "{level}: {report}");
    }
}

/// Wherever a call is given up, its connection does not go back into the pool inside a transaction,
/// where the next write of the host would never be committed.
#[test]
fn a_call_that_is_dropped_leaves_no_transaction_behind() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let name = "dropped calls";
    let options = database.options().application_name(name);
    let options = options.options([("default_transaction_isolation", "serializable")]);
    let pool = {
        let _inside = runtime.enter();
        PgPoolOptions::new().max_connections(8).connect_lazy_with(options)
    };
    let store = new_store(&runtime, &pool);
    let (target, why) = (RevocationTarget::Everything, RevocationReason::Administrator);
    let revocation = Revocation { target, at: now(), why, until: now() };
    let open = "SELECT 1 FROM pg_stat_activity \
                WHERE application_name = $1 AND state LIKE 'idle in transaction%'";
    runtime.block_on(async {
        // From their conflicts the store learns that it has to set the level.
        let revoking: Vec<_> = (0..64)
            .map(|_| {
                let (store, revocation) = (store.clone(), revocation.clone());
                tokio::spawn(async move { store.revoke(&revocation).await.unwrap() })
            })
            .collect();
        for task in revoking {
            task.await.unwrap();
        }
        let committed = "SELECT 1 FROM pg_stat_activity \
                         WHERE application_name = $1 AND query LIKE 'COMMIT%'";
        let found = sqlx::query(committed).bind(name).fetch_all(&pool).await.unwrap();
        assert!(!found.is_empty(), "the level is not set");
        for polls in 1..=30 {
            let mut left = polls;
            {
                let mut call = pin!(store.revoke(&revocation));
                poll_fn(|context| {
                    left -= 1;
                    match call.as_mut().poll(context) {
                        Poll::Ready(answer) => {
                            answer.unwrap();
                            Poll::Ready(())
                        }
                        Poll::Pending if left == 0 => Poll::Ready(()),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let found = sqlx::query(open).bind(name).fetch_all(&pool).await.unwrap();
            assert!(found.is_empty(), "dropped after {polls} polls");
        }
    });
}

/// Several processes that start at once all make the tables.
#[test]
fn migrations_may_run_at_once_and_again() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    for _ in 0..5 {
        let prefix = super::cluster::new_prefix();
        let pools: Vec<_> =
            (0..4).map(|_| super::cluster::pool(&runtime, database.options(), 2)).collect();
        let migrate = |pool: &sqlx::PgPool, prefix: &TablePrefix| {
            let store = PostgresStore::with_prefix(pool.clone(), prefix.clone());
            runtime.spawn(async move { store.migrate().await })
        };
        let at_once: Vec<_> = pools.iter().map(|pool| migrate(pool, &prefix)).collect();
        for migration in at_once {
            runtime.block_on(migration).unwrap().unwrap();
        }
        runtime.block_on(migrate(&pools[0], &prefix)).unwrap().unwrap();
    }
}
