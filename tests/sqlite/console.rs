//! The statements of each page of the console, and their plans.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use grantor::store::conformance::Runner as _;
use grantor::store::{SqliteSettings, SqliteStore, TablePrefix};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::console_pages::{PAGES, Pages, Rows, filling, record_statements, statements};
use crate::sandbox::Folder;
use crate::support::Tokio;

/// With `GRANTOR_SHOW_PLANS`, it prints each statement with its plan.
#[test]
fn a_page_of_the_console_takes_three_statements_at_most_all_by_an_index() {
    record_statements();
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let prefix = "pages_";
    runtime.block_on(async {
        let pool = SqliteStore::open_pool(folder.file("a.db")).await.unwrap();
        let settings = SqliteSettings::new().with_table_prefix(TablePrefix::new(prefix).unwrap());
        let store = SqliteStore::with_pool(pool.clone(), settings).await.unwrap();
        let pages = Pages::new(Arc::new(store)).await;
        let rows = Rows { apps: 3_000, grants: 5_000, events: 5_000 };
        for sql in filling(true, prefix, &pages.app, &rows) {
            pool.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let mut all = BTreeSet::new();
        for (name, path) in PAGES {
            statements(prefix);
            pages.visit(path).await;
            let run = statements(prefix);
            assert!(run.len() <= 3, "{name}: {run:#?}");
            all.extend(run);
        }
        assert!(all.len() >= 10, "{all:#?}");
        for sql in all {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::query(explain).persistent(false).fetch_all(&pool).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            if std::env::var_os("GRANTOR_SHOW_PLANS").is_some() {
                writeln!(std::io::stderr(), "{sql}\n\n{}\n", plan.join("\n")).unwrap();
            }
            // The parameters, and statements in parentheses, are no tables.
            let is_table = |step: &str| {
                !["json_each", "CONSTANT ROW", "SCAN ("].iter().any(|it| step.contains(it))
            };
            let scans = plan.iter().any(|step| step.contains("SCAN ") && is_table(step));
            assert!(!scans, "{sql}\n{plan:#?}");
        }
    });
}
