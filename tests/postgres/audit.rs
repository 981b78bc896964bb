//! The audit log and usage in the database.

use std::sync::Arc;

use grantor::audit::conformance::AuditKit;
use grantor::audit::{AuditQuery, AuditQueue, AuditSink as _, AuditStore as _};
use grantor::ids::{ClientId, Subject};
use grantor::protocol::GrantType;
use grantor::random::OsRandom;
use grantor::store::{Page, PostgresStore};
use sqlx::{Executor as _, Row as _};

use super::cluster::{database, new_prefix, new_store, pool, rounds, runtime};
use super::kit::Tokio;
use super::world::{event, now};

#[test]
fn the_store_keeps_the_audit_log() {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, database.options(), 20);
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let report = AuditKit::new(move || new_store(&runtime, &pool))
        .with_runner(runner)
        .with_rounds(rounds(50))
        .run();
    assert!(report.is_passed(), "{report}");
}

/// A stricter default isolation refuses conflicts that READ COMMITTED waits for. No answer differs.
#[test]
fn the_store_keeps_the_audit_log_at_any_isolation() {
    let Some(database) = database() else { return };
    for level in ["repeatable read", "serializable"] {
        let runtime = Arc::new(runtime());
        let options = database.options().options([("default_transaction_isolation", level)]);
        let pool = pool(&runtime, options, 20);
        let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
        let report = AuditKit::new(move || new_store(&runtime, &pool))
            .with_runner(runner)
            .with_rounds(10)
            .run();
        assert!(report.is_passed(), "{level}: {report}");
    }
}

/// Several migrations at once bring the tables of the first version to the present one and keep their
/// rows. Until then the store reports the version.
#[test]
fn a_database_of_the_first_version_gets_the_tables_of_the_log() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 8);
    let prefix = new_prefix();
    let schema = PostgresStore::schema_sql(&prefix);
    let (first, _) =
        schema.split_once(&format!("CREATE TABLE IF NOT EXISTS {prefix}audit")).unwrap();
    runtime.block_on(async {
        pool.execute(sqlx::AssertSqlSafe(first)).await.unwrap();
        let older = format!("UPDATE {prefix}clock SET schema_version = 1, at = 77");
        pool.execute(sqlx::AssertSqlSafe(older)).await.unwrap();
        let store = PostgresStore::with_prefix(pool.clone(), prefix.clone());
        let error = store.check().await.unwrap_err();
        let cause = error.to_string();
        assert!(cause.contains("earlier version"), "{cause}");

        let migrations: Vec<_> = (0..6)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap();
        }
        store.append(&[event("app", "ann")]).await.unwrap();
        let row = format!("SELECT schema_version, at FROM {prefix}clock");
        let row = sqlx::query(sqlx::AssertSqlSafe(row)).fetch_one(&pool).await.unwrap();
        assert_eq!((row.get::<i32, _>(0), row.get::<i64, _>(1)), (2, 77));
        let later = format!("UPDATE {prefix}clock SET schema_version = 99");
        pool.execute(sqlx::AssertSqlSafe(later)).await.unwrap();
        store.migrate().await.unwrap_err();
        let row = format!("SELECT schema_version FROM {prefix}clock");
        let version: i32 =
            sqlx::query(sqlx::AssertSqlSafe(row)).fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(version, 99, "rows of a later version stay");
    });
}

/// Tables of revision 3 get what was added, and programs of revision 3 find the numbers that they ask for. A
/// program also works on tables with further additions.
#[test]
fn tables_of_revision_3_get_the_additions_and_programs_without_them_go_on() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let prefix = new_prefix();
    let schema = PostgresStore::schema_sql(&prefix);
    let added = format!("ALTER TABLE {prefix}clock ADD COLUMN IF NOT EXISTS additions");
    let (before, _) = schema.split_once(&added).unwrap();
    runtime.block_on(async {
        pool.execute(sqlx::AssertSqlSafe(before)).await.unwrap();
        let store = PostgresStore::with_prefix(pool.clone(), prefix.clone());
        let cause = store.check().await.unwrap_err().to_string();
        assert!(cause.contains("earlier version"), "{cause}");
        store.migrate().await.unwrap();
        store.append(&[event("app", "ann")]).await.unwrap();
        let app = ClientId::new("app").unwrap();
        let history = store.usage_history(&app, now(), now()).await.unwrap();
        assert_eq!(history.days.len(), 1);
        let asked = format!("SELECT schema_version, revision FROM {prefix}clock WHERE id = 1");
        let asked = sqlx::query(sqlx::AssertSqlSafe(asked)).fetch_one(&pool).await.unwrap();
        assert_eq!((asked.get::<i32, _>(0), asked.get::<i32, _>(1)), (2, 3));
        let later = format!("UPDATE {prefix}clock SET additions = 9");
        pool.execute(sqlx::AssertSqlSafe(later)).await.unwrap();
        store.check().await.unwrap();
        store.migrate().await.unwrap();
    });
}

#[test]
fn an_erased_user_is_not_in_the_log_either() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &pool);
    runtime.block_on(async {
        let events: Vec<_> =
            (0..2_400).map(|n| event("app", if n % 2 == 0 { "ann" } else { "bob" })).collect();
        store.append(&events).await.unwrap();
        let ann = Subject::new("ann").unwrap();
        assert_eq!(store.erase_subject(&ann, now(), now()).await.unwrap(), 1_200);
        let left = format!(
            "SELECT count(*) FROM {}audit WHERE subject = 'ann' OR event LIKE '%ann%'",
            store.prefix()
        );
        let left: i64 =
            sqlx::query(sqlx::AssertSqlSafe(left)).fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(left, 0);
        let of_bob = AuditQuery::all().subject(Subject::new("bob").unwrap());
        let page = store.find_events(&of_bob, Page::first(200)).await.unwrap();
        assert_eq!(page.items.len(), 200);
        let usage = store.usage_of(&ClientId::new("app").unwrap()).await.unwrap();
        assert_eq!(usage.issued[&GrantType::JwtBearer], 2_400, "usage names no user");
    });
}

/// Several processes have a queue each. The log holds each of their events once.
#[test]
fn queues_of_several_processes_write_one_log() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 8);
    let store = new_store(&runtime, &pool);
    runtime.block_on(async {
        let queues: Vec<_> = (0..4).map(|_| AuditQueue::new(&OsRandom::new()).unwrap()).collect();
        let failed = |error: &_| panic!("{error:?}");
        let run = |queue: &AuditQueue| queue.run(store.clone(), tokio::time::sleep, failed);
        let written: Vec<_> = queues.iter().map(|queue| tokio::spawn(run(queue))).collect();
        for number in 0..2_000 {
            let app = if number % 3 == 0 { "one" } else { "two" };
            queues[number % 4].record(&event(app, "ann").event);
            tokio::task::yield_now().await;
        }
        for (queue, written) in queues.iter().zip(written) {
            queue.close();
            written.await.unwrap();
            assert_eq!((queue.pending(), queue.dropped()), (0, 0));
        }
        let mut total = 0;
        for app in ["one", "two"] {
            let usage = store.usage_of(&ClientId::new(app).unwrap()).await.unwrap();
            total += usage.issued[&GrantType::JwtBearer];
        }
        assert_eq!(total, 2_000);
        let rows = format!("SELECT count(*) FROM {}audit", store.prefix());
        assert_eq!(
            sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_one(&pool).await.unwrap().get::<i64, _>(0),
            2_000
        );
    });
}
