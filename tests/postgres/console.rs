//! The statements of each page of the console, and their plans.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::cluster::{new_store, own_cluster, runtime, telling_pool};
use super::console_pages::{PAGES, Pages, Rows, filling, record_statements, statements};

/// `GRANTOR_SHOW_PLANS` prints the plans for `docs/storage.md`.
#[test]
fn a_page_of_the_console_takes_three_statements_at_most_all_by_an_index() {
    let Some(cluster) = own_cluster() else { return };
    record_statements();
    let runtime = runtime();
    let pool = telling_pool(&runtime, cluster.options());
    let store = new_store(&runtime, &pool);
    let prefix = store.prefix().to_string();
    runtime.block_on(async {
        let pages = Pages::new(Arc::new(store)).await;
        let rows = Rows { apps: 10_000, grants: 40_000, events: 40_000 };
        for sql in filling(false, &prefix, &pages.app, &rows) {
            pool.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let mut all = BTreeSet::new();
        for (name, path) in PAGES {
            statements(&prefix);
            pages.visit(path).await;
            let run = statements(&prefix);
            assert!(run.len() <= 3, "{name}: {run:#?}");
            all.extend(run);
        }
        assert!(all.len() >= 10, "{all:#?}");
        let mut connection = pool.acquire().await.unwrap();
        connection.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
        for (number, sql) in all.iter().enumerate() {
            let prepare = AssertSqlSafe(format!("PREPARE page_{number} AS {sql}"));
            connection.execute(prepare).await.unwrap();
            let most = (1..30).rev().find(|it| sql.contains(&format!("${it}"))).unwrap_or(0);
            let nulls = vec!["NULL"; most].join(", ");
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE page_{number}({nulls})");
            let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await;
            let plan: Vec<String> = plan.unwrap().iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n").replace(&prefix, "grantor_");
            if std::env::var_os("GRANTOR_SHOW_PLANS").is_some() {
                eprintln!("{}\n\n{plan}\n", sql.replace(&prefix, "grantor_"));
            }
            for table in
                ["apps", "grants", "devices", "revocations", "audit", "usage", "usage_days"]
            {
                assert!(!plan.contains(&format!("Seq Scan on grantor_{table}")), "{sql}\n{plan}");
            }
        }
    });
}
