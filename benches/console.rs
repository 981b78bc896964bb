//! The cost of each page of the console: statements, and CPU time of the process.
//!
//! Run `cargo bench --bench console --all-features` for a file of SQLite and for a PostgreSQL that this bench
//! starts, with 10,000 apps, 1,000,000 grants and 1,000,000 events each; `-- sqlite` or `-- postgres` selects
//! one. It takes a few minutes and 2 GB of disk. `-- --rows 10000` has fewer grants and events. The time of a
//! page is the median of 21 visits. With SQLite it includes the database, which runs in the process. The bench
//! fails if a page takes more than three statements or 30 ms.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]
#![expect(clippy::indexing_slicing, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

#[path = "../tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cluster;
#[path = "../tests/support/console_pages.rs"]
mod console_pages;
#[path = "../tests/sandbox/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod sandbox;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use grantor::audit::AuditStore;
use grantor::store::{DeviceStore, PostgresStore, SqliteSettings, SqliteStore, Store, TablePrefix};
use sqlx::{AssertSqlSafe, Executor as _, PgPool};

use self::cluster::{own_cluster, runtime, telling_pool};
use self::console_pages::{PAGES, Pages, Rows, filling, record_statements, statements};
use self::sandbox::Folder;

const VISITS: usize = 21;
const MOST_STATEMENTS: usize = 3;
const MOST_TIME: Duration = Duration::from_millis(30);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let place = arguments.iter().position(|it| it == "--rows");
    let count = place.map_or(1_000_000, |place| arguments[place + 1].parse().unwrap());
    let rows = Rows { apps: 10_000, grants: count, events: count };
    let wants = |name: &str| match arguments.first().map(String::as_str) {
        None | Some("--rows") => true,
        Some(only) => only == name,
    };
    record_statements();
    let runtime = runtime();
    let mut failed = 0;
    if wants("sqlite") {
        let folder = Folder::on_disk();
        failed += runtime.block_on(on_sqlite(&folder, &rows));
    }
    if wants("postgres")
        && let Some(cluster) = own_cluster()
    {
        let pool = telling_pool(&runtime, cluster.options());
        failed += runtime.block_on(on_postgres(&pool, &rows));
    }
    assert_eq!(failed, 0, "pages beyond the limits");
}

async fn on_sqlite(folder: &Folder, rows: &Rows) -> usize {
    let pool = SqliteStore::open_pool(folder.file("a.db")).await.unwrap();
    let prefix = "pages_";
    let settings = SqliteSettings::new().with_table_prefix(TablePrefix::new(prefix).unwrap());
    let store = SqliteStore::with_pool(pool.clone(), settings).await.unwrap();
    let pages = Pages::new(Arc::new(store)).await;
    let fill = async |sql: String| {
        pool.execute(AssertSqlSafe(sql)).await.unwrap();
    };
    measure("SQLite", &pages, true, prefix, rows, fill).await
}

async fn on_postgres(pool: &PgPool, rows: &Rows) -> usize {
    let prefix = TablePrefix::new("pages_").unwrap();
    let store = PostgresStore::with_prefix(pool.clone(), prefix);
    store.migrate().await.unwrap();
    let pages = Pages::new(Arc::new(store)).await;
    let fill = async |sql: String| {
        let mut connection = pool.acquire().await.unwrap();
        let unlimited = "SET statement_timeout = 0";
        connection.execute(unlimited).await.unwrap();
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        connection.execute("RESET statement_timeout").await.unwrap();
    };
    measure("PostgreSQL", &pages, false, "pages_", rows, fill).await
}

/// Adds the rows, prints the cost of each page, and returns how many are beyond the limits.
async fn measure<S: Store + DeviceStore + AuditStore + 'static>(
    name: &str,
    pages: &Pages<S>,
    sqlite: bool,
    prefix: &str,
    rows: &Rows,
    fill: impl AsyncFn(String),
) -> usize {
    let began = Instant::now();
    for sql in filling(sqlite, prefix, &pages.app, rows) {
        fill(sql).await;
    }
    eprintln!("{name}: filled in {:.0?}", began.elapsed());
    println!("| {name} | statements | CPU, ms |\n| --- | --- | --- |");
    let mut failed = 0;
    for (page, path) in PAGES {
        statements(prefix);
        pages.visit(path).await;
        let count = statements(prefix).len();
        let mut times = Vec::new();
        for _ in 0..VISITS {
            let began = ProcessTime::now();
            pages.visit(path).await;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let median = times[VISITS / 2];
        println!("| {page} | {count} | {:.1} |", median.as_secs_f64() * 1_000.0);
        failed += usize::from(count > MOST_STATEMENTS || median > MOST_TIME);
    }
    failed
}
