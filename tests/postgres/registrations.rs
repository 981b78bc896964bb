//! Apps that register themselves, in a database.

use grantor::app::Flow;
use grantor::store::{AppQuery, AppRegistry as _, Page, PostgresStore};
use sqlx::{Executor as _, Row as _};

use super::cluster::{
    database, new_prefix, new_store, own_cluster, pool, runtime, schema_of_addition,
};
use super::registering::apps_register_change_and_end;
use super::world::{Blocking, World};

#[test]
fn apps_that_register_themselves_live_in_the_database() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &pool);
    apps_register_change_and_end(store, Blocking(runtime));
}

/// Y11: the limit costs a bounded read of an index, among any number of other apps. `GRANTOR_SHOW_PLANS` prints the
/// plan.
#[test]
fn registered_apps_are_counted_by_an_index() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options(), 1);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().clone();
    runtime.block_on(async {
        for (origin, apps) in [("{}", 20_000), (r#"{"origin":"self_registered"}"#, 3_000)] {
            let fill = format!(
                "INSERT INTO {prefix}apps SELECT md5('{origin}' || n), true, 1, '{origin}' \
                 FROM generate_series(1, {apps}) n"
            );
            pool.execute(sqlx::AssertSqlSafe(fill)).await.unwrap();
        }
        pool.execute("VACUUM ANALYZE").await.unwrap();
        for (most, counted) in [(10_000, 3_000), (3_000, 3_000), (2_999, 2_999), (0, 0)] {
            assert_eq!(store.count_self_registered_apps(most).await.unwrap(), counted);
        }
        let prepared = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%AS own'";
        let prepared = sqlx::query(prepared).persistent(false).fetch_one(&pool).await.unwrap();
        let explain = format!("EXPLAIN EXECUTE {}('', NULL, 10000)", prepared.get::<String, _>(0));
        let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&pool).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n").replace(&prefix.to_string(), "grantor_");
        if std::env::var_os("GRANTOR_SHOW_PLANS").is_some() {
            eprintln!("{plan}");
        }
        assert!(plan.contains("grantor_apps_by_origin") && !plan.contains("Seq Scan"), "{plan}");
    });
}

/// Tables without the index of origins get it, and a program that knows none goes on.
#[test]
fn tables_of_the_addition_before_get_the_index_of_origins() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let prefix = new_prefix();
    let created = format!("CREATE INDEX IF NOT EXISTS {prefix}apps_by_origin");
    let before = schema_of_addition(&prefix, &created, 3);
    runtime.block_on(async {
        pool.execute(sqlx::AssertSqlSafe(before)).await.unwrap();
        let old = format!(
            "INSERT INTO {prefix}apps VALUES ('old', true, 1, '{{\"origin\":\"self_registered\"}}')"
        );
        pool.execute(sqlx::AssertSqlSafe(old)).await.unwrap();
        let store = PostgresStore::with_prefix(pool.clone(), prefix.clone());
        let cause = store.check().await.unwrap_err().to_string();
        assert!(cause.contains("earlier version"), "{cause}");
        for _ in 0..2 {
            store.migrate().await.unwrap();
            store.check().await.unwrap();
        }
        assert_eq!(store.count_self_registered_apps(10).await.unwrap(), 1);
    });
}

/// A program that does not know the columns for searches works beside this one. What it writes is found at once, and has
/// the columns after the next `migrate`, as the rows of the addition before.
#[test]
fn what_an_earlier_program_wrote_is_found_and_the_next_migration_fills_its_columns() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().clone();
    let world = World::new(runtime, store.clone());
    let app = world.app.id.as_str();
    let host = |sql: String| {
        world.runtime().block_on(pool.execute(sqlx::AssertSqlSafe(sql))).unwrap().rows_affected()
    };
    let unfilled = || {
        let count =
            format!("SELECT 1 FROM {prefix}apps WHERE folded_version IS DISTINCT FROM version");
        world.runtime().block_on(pool.fetch_all(sqlx::AssertSqlSafe(count))).unwrap().len()
    };
    let found = |text: &str| -> Vec<String> {
        let query = AppQuery::all().containing(text).with_flow(Flow::AuthorizationCode);
        let listing = world.runtime().block_on(store.list_apps(&query, Page::first(9))).unwrap();
        listing.items.iter().map(|app| app.client_id().as_str().to_owned()).collect()
    };
    let check = || {
        assert_eq!(found("invoices"), ["~new"]);
        assert_eq!(found("letters"), [app]);
        assert!(found("reports").is_empty());
    };
    assert_eq!(found("reports"), [app]);
    host(format!(
        "INSERT INTO {prefix}apps (client_id, enabled, version, document) \
         SELECT '~new', enabled, version, \
             replace(replace(replace(document, '{app}', '~new'), '\"Reports\"', '\"INVOICES\"'), \
                 'Writes reports', 'Writes') \
         FROM {prefix}apps WHERE client_id = '{app}'"
    ));
    host(format!(
        "UPDATE {prefix}apps SET version = version + 1, \
             document = replace(replace(document, '\"Reports\"', '\"Letters\"'), \
                 'Writes reports', 'Writes') WHERE client_id = '{app}'"
    ));
    assert_eq!(unfilled(), 2);
    check();
    world.runtime().block_on(store.migrate()).unwrap();
    assert_eq!(unfilled(), 0);
    check();
    // The tables of the addition before, with a document that this version cannot read.
    host(format!("DROP INDEX {prefix}apps_search"));
    host(format!(
        "ALTER TABLE {prefix}apps DROP COLUMN folded, DROP COLUMN marks, DROP COLUMN folded_version"
    ));
    host(format!("UPDATE {prefix}clock SET additions = 5"));
    host(format!("INSERT INTO {prefix}apps VALUES ('!', false, 1, '{{}}')"));
    world.runtime().block_on(store.migrate()).unwrap();
    assert_eq!(unfilled(), 1);
    host(format!("DELETE FROM {prefix}apps WHERE client_id = '!'"));
    check();
}
