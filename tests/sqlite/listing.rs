//! Listings that a page can bear, however many rows there are.

use grantor::app::CustomApp;
use grantor::store::conformance::Runner as _;
use grantor::store::{AppQuery, AppRegistry as _, Page, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::sandbox::Folder;
use crate::support::Tokio;

/// A search has no index. It reads 2,000 apps for a page, and says where to go on.
#[test]
fn a_search_reads_2000_apps_for_a_page() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let desk = runtime.desk(&file);
    let app = desk.client_id.as_str();
    let id = "printf('~app-%05d', n)";
    let copies = format!(
        "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 2000) \
         INSERT INTO grantor_apps (client_id, version, enabled, record) \
         SELECT {id}, version, enabled, replace(replace(record, '{app}', {id}), '\"Reports\"', \
             CASE WHEN n >= 1999 THEN '\"The last\"' ELSE '\"Another\"' END) \
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
    // The registered app and 1,999 copies are read, then the last copy.
    let query = AppQuery::all().containing("the last");
    let first = list(&query, Page::first(25));
    assert_eq!(first.items.iter().map(|it| name(it)).collect::<Vec<_>>(), ["~app-01999"]);
    let second = list(&query, Page::first(25).after(first.next.unwrap()));
    assert_eq!(second.items.iter().map(|it| name(it)).collect::<Vec<_>>(), ["~app-02000"]);
    assert_eq!(second.next, None);
    // A page that is full before goes on after its last app.
    let first = list(&AppQuery::all().containing("another"), Page::first(3));
    assert_eq!((first.items.len(), first.next.unwrap().as_str()), (3, "~app-00003"));
    // A condition that the database compares has no such bound.
    let enabled = list(&AppQuery::all().enabled(true), Page::first(200));
    assert_eq!((enabled.items.len(), enabled.next.unwrap().as_str()), (200, "~app-00199"));
    assert_eq!(list(&AppQuery::all().enabled(false), Page::first(200)).next, None);
}
