//! Databases with a default isolation other than READ COMMITTED.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use grantor::store::{
    GrantStore as _, PostgresStore, Revocation, RevocationReason, RevocationTarget, TablePrefix,
};
use sqlx::postgres::PgPoolOptions;

use super::cluster::{PATIENCE, database, new_prefix, new_store, patient, pool, runtime};
use super::world::now;

/// If a caller drops a call, at any await, its connection does not return to the pool inside a
/// transaction, which would swallow the next write of the host.
#[test]
fn a_call_that_is_dropped_leaves_no_transaction_behind() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let (name, hosts) = ("dropped calls", pool(&runtime, database.options(), 1));
    let options = database.options().application_name(name);
    let options = patient(options).options([("default_transaction_isolation", "serializable")]);
    let pool = {
        let _inside = runtime.enter();
        let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(PATIENCE);
        pool.connect_lazy_with(options)
    };
    let store = new_store(&runtime, &pool);
    let (target, why) = (RevocationTarget::Everything, RevocationReason::Administrator);
    let revocation = Revocation { target, at: now(), why, until: now() };
    let busy = "SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'";
    runtime.block_on(async {
        // Conflicts tell the store that it has to set the level. A busy machine may run one call after
        // the other, without a conflict.
        let committed = "SELECT 1 FROM pg_stat_activity \
                         WHERE application_name = $1 AND query LIKE 'COMMIT%'";
        let conflict = async {
            while sqlx::query(committed).bind(name).fetch_all(&hosts).await.unwrap().is_empty() {
                let revoking: Vec<_> = (0..64)
                    .map(|_| {
                        let (store, revocation) = (store.clone(), revocation.clone());
                        tokio::spawn(async move { store.revoke(&revocation).await.unwrap() })
                    })
                    .collect();
                for task in revoking {
                    task.await.unwrap();
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, conflict).await;
        assert!(waited.is_ok(), "the level is not set");
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
            // PostgreSQL may have statements yet to read. A longer pause would change no result.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let waits = async {
                while !sqlx::query(busy).bind(name).fetch_all(&hosts).await.unwrap().is_empty() {}
            };
            let waited = tokio::time::timeout(PATIENCE, waits).await;
            assert!(waited.is_ok(), "a transaction is open after {polls} polls");
        }
    });
}

/// Several processes that start at once all create the tables.
#[test]
fn migrations_may_run_at_once_and_again() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    for _ in 0..5 {
        let prefix = new_prefix();
        let pools: Vec<_> = (0..4).map(|_| pool(&runtime, database.options(), 2)).collect();
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
