//! Statements that wait, over a pool that a host made without the limits of the store.

use grantor::store::{
    GrantStore as _, PostgresStore, Revocation, RevocationReason, RevocationTarget, StoreError,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor as _};

use super::cluster::{PATIENCE, database, new_prefix, runtime};
use super::world::now;

async fn revoke(store: &PostgresStore) -> Result<(), StoreError> {
    let (target, why) = (RevocationTarget::Everything, RevocationReason::Administrator);
    store.revoke(&Revocation { target, at: now(), why, until: now() }).await.map(drop)
}

/// Z31: a statement that waits for a lock, and one that takes too long, end by themselves on a pool without
/// limits. The connection is good for the next one.
#[test]
fn a_statement_that_waits_ends_by_itself_on_a_plain_pool() {
    let Some(database) = database() else { return };
    runtime().block_on(async {
        // Of two limits of the same length, the one on statements ends first.
        let for_locks = database.options().options([("statement_timeout", "120s")]);
        for (options, limit) in [(for_locks, "lock"), (database.options(), "statement")] {
            let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
            let store = PostgresStore::with_prefix(pool.clone(), new_prefix());
            let store = store.with_timeout(PATIENCE);
            store.migrate().await.unwrap();
            let prefix = store.prefix();
            let mut locks = vec![
                format!("SELECT 1 FROM {prefix}clock FOR UPDATE"),
                format!("LOCK TABLE {prefix}revocations IN ACCESS EXCLUSIVE MODE"),
            ];
            if limit == "statement" {
                locks.truncate(1);
            }
            for lock in locks {
                let mut holder = pool.begin().await.unwrap();
                holder.execute(AssertSqlSafe(lock)).await.unwrap();
                let text = revoke(&store).await.unwrap_err().to_string();
                assert!(text.contains(&format!("due to {limit} timeout")), "{text}");
                holder.rollback().await.unwrap();
                revoke(&store).await.unwrap();
            }
        }
    });
}
