//! Listings that a page can bear, however many rows there are.

use grantor::app::CustomApp;
use grantor::store::conformance::Runner as _;
use grantor::store::{AppQuery, AppRegistry as _, Page, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::sandbox::Folder;
use crate::support::Tokio;

/// A search reads 2,000 apps for a page that a program without the columns for searches has written, and says where to go
/// on.
#[test]
fn a_search_reads_2000_apps_of_an_earlier_program_for_a_page() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let desk = runtime.desk(&file);
    let app = desk.client_id.as_str();
    let id = "printf('~app-%05d', n)";
    let copies = format!(
        "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 2001) \
         INSERT INTO grantor_apps (client_id, version, enabled, record) \
         SELECT {id}, version, enabled, replace(replace(record, '{app}', {id}), '\"Reports\"', \
             CASE WHEN n >= 2000 THEN '\"The last\"' ELSE '\"Another\"' END) \
         FROM grantor_apps, i WHERE client_id = '{app}'"
    );
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(&file);
        let mut host = options.connect().await.unwrap();
        sqlx::query(AssertSqlSafe(copies)).execute(&mut host).await.unwrap();
    });
    let store: &SqliteStore = &desk.store;
    let list = |query: &AppQuery, page| runtime.block_on(store.list_apps(query, page)).unwrap();
    let name = |app: &CustomApp| app.client_id().as_str().to_owned();
    // 2,000 copies are read, then the last one.
    let query = AppQuery::all().containing("the last");
    let first = list(&query, Page::first(25));
    assert_eq!(first.items.iter().map(|it| name(it)).collect::<Vec<_>>(), ["~app-02000"]);
    let second = list(&query, Page::first(25).after(first.next.unwrap()));
    assert_eq!(second.items.iter().map(|it| name(it)).collect::<Vec<_>>(), ["~app-02001"]);
    assert_eq!(second.next, None);
    // A page that is full before goes on after its last app.
    let first = list(&AppQuery::all().containing("another"), Page::first(3));
    assert_eq!((first.items.len(), first.next.unwrap().as_str()), (3, "~app-00003"));
    // A condition that the database compares has no such bound.
    let enabled = list(&AppQuery::all().enabled(true), Page::first(200));
    assert_eq!((enabled.items.len(), enabled.next.unwrap().as_str()), (200, "~app-00199"));
    assert_eq!(list(&AppQuery::all().enabled(false), Page::first(200)).next, None);
}

/// A program that does not know the columns for searches works beside this one. What it writes is found at once, and has
/// the columns from the next opening on.
#[test]
fn what_an_earlier_program_wrote_is_found_and_the_next_opening_fills_its_columns() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let desk = runtime.desk(&file);
    let app = desk.client_id.as_str();
    let host = |sql: String| {
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&file);
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut options.connect().await.unwrap()).await
        })
    };
    let unfilled = || {
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&file);
            let count = "SELECT count(*) FROM grantor_apps WHERE folded_version IS NOT version";
            let mut host = options.connect().await.unwrap();
            sqlx::query_scalar::<_, i64>(count).fetch_one(&mut host).await.unwrap()
        })
    };
    let found = |store: &SqliteStore, text: &str| -> Vec<String> {
        let query =
            AppQuery::all().containing(text).with_flow(grantor::app::Flow::AuthorizationCode);
        let listing = runtime.block_on(store.list_apps(&query, Page::first(9))).unwrap();
        listing.items.iter().map(|app| app.client_id().as_str().to_owned()).collect()
    };
    host(format!(
        "INSERT INTO grantor_apps (client_id, version, enabled, record) \
         SELECT '~new', version, enabled, \
             replace(replace(replace(record, '{app}', '~new'), '\"Reports\"', '\"INVOICES\"'), \
                 'Writes reports', 'Writes') \
         FROM grantor_apps WHERE client_id = '{app}'; \
         UPDATE grantor_apps SET version = version + 1, \
             record = replace(replace(record, '\"Reports\"', '\"Letters\"'), \
                 'Writes reports', 'Writes') WHERE client_id = '{app}'"
    ))
    .unwrap();
    assert_eq!(unfilled(), 2);
    let check = |store: &SqliteStore| {
        assert_eq!(found(store, "invoices"), ["~new"]);
        assert_eq!(found(store, "letters"), [app]);
        assert!(found(store, "reports").is_empty());
    };
    check(&desk.store);
    check(&runtime.open(&file));
    assert_eq!(unfilled(), 0);
    // The tables of the addition before.
    host(
        "DROP INDEX grantor_apps_search; ALTER TABLE grantor_apps DROP COLUMN folded; \
         ALTER TABLE grantor_apps DROP COLUMN marks; \
         ALTER TABLE grantor_apps DROP COLUMN folded_version; \
         UPDATE grantor_meta SET additions = 8"
            .to_owned(),
    )
    .unwrap();
    check(&runtime.open(&file));
    assert_eq!(unfilled(), 0);
    // A document that this version cannot read does not keep the file closed.
    host(
        "INSERT INTO grantor_apps (client_id, version, enabled, record) VALUES ('!', 1, 1, '{}')"
            .to_owned(),
    )
    .unwrap();
    assert_eq!(runtime.open(&file).commits(), 0);
    assert_eq!(unfilled(), 1);
}
