//! Databases whose default is not READ COMMITTED.

use std::sync::Arc;

use grantor::store::conformance::Kit;
use grantor::store::{PostgresStore, TablePrefix};
use sqlx::postgres::PgPoolOptions;

use super::cluster::{database, new_store, rounds, runtime};
use super::kit::Tokio;

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
            .with_rounds(rounds(100).div_ceil(10))
            .run();
        assert!(report.is_passed(), "{level}: {report}");
    }
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
