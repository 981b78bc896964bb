//! Pending records in a database.

use grantor::secret::Digest;
use grantor::store::{GrantStore as _, Keep, PendingRecord, PendingStore as _, PostgresStore};
use sqlx::{Executor as _, Row as _};

use super::cluster::{database, new_prefix, pool, runtime, schema_of_addition};
use super::world::now;

/// Tables without pending records get theirs, and a program that knows none goes on.
#[test]
fn tables_of_the_addition_before_get_pending_records_and_programs_without_them_go_on() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let prefix = new_prefix();
    let created = format!("CREATE TABLE IF NOT EXISTS {prefix}pending");
    let before = schema_of_addition(&prefix, &created, 2);
    runtime.block_on(async {
        pool.execute(sqlx::AssertSqlSafe(before)).await.unwrap();
        let store = PostgresStore::with_prefix(pool.clone(), prefix.clone());
        let cause = store.check().await.unwrap_err().to_string();
        assert!(cause.contains("earlier version"), "{cause}");
        for round in 0..2 {
            store.migrate().await.unwrap();
            store.check().await.unwrap();
            let expires_at = now().plus(std::time::Duration::from_mins(1));
            let key = Digest::from_bytes([round; 32]);
            let record = PendingRecord { key, sealed: vec![round], expires_at };
            assert_eq!(store.keep(&record, now()).await.unwrap(), Keep::Kept);
            assert_eq!(store.find_kept(&key, now()).await.unwrap(), Some(vec![round]));
        }
        let asked = format!("SELECT schema_version, revision, additions FROM {prefix}clock");
        let asked = sqlx::query(sqlx::AssertSqlSafe(asked)).fetch_one(&pool).await.unwrap();
        let asked: [i32; 3] = [0, 1, 2].map(|column| asked.get(column));
        assert_eq!(asked[..2], [2, 3], "a program of addition 2 may start");
        assert!(asked[2] > 2, "{asked:?}");
        assert!(store.instant(now()).await.is_ok());
    });
}
