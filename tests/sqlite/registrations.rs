//! Apps that register themselves, in a file.

use grantor::store::conformance::Runner as _;
use grantor::store::{AppRegistry as _, SqliteSettings, SqliteStore};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::registering::apps_register_change_and_end;
use crate::sandbox::Folder;
use crate::support::Tokio;

#[test]
fn apps_that_register_themselves_live_in_the_file() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let store = runtime.open(&folder.file("a.db"));
    apps_register_change_and_end(store, &runtime);
}

/// Y11: the limit costs a bounded read of an index, among any number of other apps.
#[test]
fn registered_apps_are_counted_by_an_index() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    runtime.block_on(async {
        let pool = SqliteStore::open_pool(folder.file("a.db")).await.unwrap();
        let store = SqliteStore::with_pool(pool.clone(), SqliteSettings::new()).await.unwrap();
        for (origin, apps) in [("{}", 20_000), (r#"{"origin":"self_registered"}"#, 3_000)] {
            let fill = format!(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {apps}) \
                 INSERT INTO grantor_apps (client_id, version, enabled, record) \
                 SELECT n || '{origin}', 1, 1, '{origin}' FROM n"
            );
            pool.execute(AssertSqlSafe(fill)).await.unwrap();
        }
        for (most, counted) in [(10_000, 3_000), (3_000, 3_000), (2_999, 2_999), (0, 0)] {
            assert_eq!(store.count_self_registered_apps(most).await.unwrap(), counted);
        }
        // The text of the statement is in the file of statements.
        let sql = "EXPLAIN QUERY PLAN SELECT count(*) AS apps FROM (SELECT 1 FROM grantor_apps \
             WHERE record ->> '$.origin' = 'self_registered' \
             AND record ->> '$.origin' IS NOT NULL AND client_id > ?1 \
             AND (?2 IS NULL OR client_id < ?2) LIMIT ?3)";
        let plan = sqlx::query(sql).fetch_all(&pool).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        assert!(plan.iter().any(|step| step.contains("grantor_apps_origin")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN grantor_apps")), "{plan:?}");
    });
}
