//! The limits that the database puts on statements, over pools that a host made without the store.

use grantor::store::{
    AppRegistry as _, GrantStore as _, PostgresStore, Revocation, RevocationReason,
    RevocationTarget,
};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::cluster::{database, new_prefix, runtime};
use super::world::now;

/// A pool as a host makes it that has not read this crate's documentation.
async fn plain(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
}

/// Runs `text` for each revocation that the store writes.
async fn on_revocation(pool: &PgPool, store: &PostgresStore, text: &str) {
    let prefix = store.prefix();
    let script = format!(
        "CREATE FUNCTION {prefix}noted() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN {text}; RETURN NEW; END $$; \
         CREATE TRIGGER noted BEFORE INSERT ON {prefix}revocations FOR EACH ROW \
             EXECUTE FUNCTION {prefix}noted()"
    );
    pool.execute(AssertSqlSafe(script)).await.unwrap();
}

/// Returns the lock timeout, the statement timeout and the isolation level of a statement of the store.
async fn limits(pool: &PgPool, store: &PostgresStore) -> [String; 3] {
    let prefix = store.prefix();
    let table = format!("CREATE TABLE {prefix}noted (a text, b text, c text)");
    pool.execute(AssertSqlSafe(table)).await.unwrap();
    let settings = ["lock_timeout", "statement_timeout", "transaction_isolation"];
    let settings = settings.map(|name| format!("current_setting('{name}')")).join(", ");
    let note = format!("INSERT INTO {prefix}noted SELECT {settings}");
    on_revocation(pool, store, &note).await;
    let (target, why) = (RevocationTarget::Everything, RevocationReason::Administrator);
    store.revoke(&Revocation { target, at: now(), why, until: now() }).await.unwrap();
    let read = AssertSqlSafe(format!("SELECT a, b, c FROM {prefix}noted"));
    let row = pool.fetch_one(read).await.unwrap();
    [0, 1, 2].map(|at| row.get(at))
}

/// Z31: every statement has limits on every pool. The host's own limits are kept, and its own
/// statements get none.
#[test]
fn statements_have_limits_on_every_pool() {
    let Some(database) = database() else { return };
    runtime().block_on(async {
        let limited = [("lock_timeout", "2s"), ("statement_timeout", "3s")];
        let partly = [("statement_timeout", "3s")];
        let level = [("default_transaction_isolation", "serializable")];
        let plainly = database.options();
        let read_committed = |lock: &str, statement: &str| {
            [lock.to_owned(), statement.to_owned(), "read committed".to_owned()]
        };
        let cases = [
            (plainly.clone(), read_committed("5s", "5s")),
            (plainly.clone().options(level), read_committed("5s", "5s")),
            (plainly.clone().options(limited), read_committed("2s", "3s")),
            (plainly.clone().options(partly), read_committed("5s", "3s")),
            (PostgresStore::connect_options(plainly), read_committed("5s", "5s")),
        ];
        for (options, expected) in cases {
            let pool = plain(options).await;
            let own = async || {
                let row = pool.fetch_one("SHOW lock_timeout").await.unwrap();
                row.get::<String, _>(0)
            };
            let before = own().await;
            let first = PostgresStore::with_prefix(pool.clone(), new_prefix());
            first.migrate().await.unwrap();
            // Another process, which finds the tables made.
            let second = PostgresStore::with_prefix(pool.clone(), first.prefix().clone());
            second.refresh().await.unwrap();
            assert_eq!(limits(&pool, &second).await, expected);
            let unnamed = PostgresStore::with_prefix(pool.clone(), new_prefix());
            let unnamed = unnamed.without_named_statements();
            unnamed.migrate().await.unwrap();
            assert_eq!(limits(&pool, &unnamed).await, expected, "without names");
            assert_eq!(own().await, before);
        }
    });
}
