//! Several issuers in one database.

use std::sync::Arc;

use grantor::audit::conformance::AuditKit;
use grantor::clock::UnixTime;
use grantor::store::PostgresStore;
use grantor::store::conformance::{Kit, issuers};
use tokio::runtime::Runtime;

use super::cluster::{database, new_store, pool, runtime};
use super::kit::Tokio;
use super::views::{issuers_share_no_records, tenants};

fn view(runtime: &Runtime, store: &PostgresStore, name: &str) -> PostgresStore {
    let [issuer] = tenants([name]);
    runtime.block_on(store.for_issuer(&issuer)).unwrap()
}

/// Z37: a further issuer has a whole store, apart from the first and from others.
#[test]
fn the_view_of_an_issuer_keeps_the_contract() {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, database.options(), 20);
    let new_runner = || Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let new_store = {
        let (runtime, pool) = (Arc::clone(&runtime), pool.clone());
        move || new_store(&runtime, &pool)
    };
    let (here, there, make) = (Arc::clone(&runtime), Arc::clone(&runtime), new_store.clone());
    let report = Kit::new(move || view(&here, &make(), "a"))
        .with_second_issuer(move |store| view(&there, store, "b"))
        .with_runner(new_runner())
        .with_rounds(1)
        .run();
    assert!(report.is_passed(), "{report}");
    let there = Arc::clone(&runtime);
    let with_first = Kit::new(new_store.clone())
        .with_second_issuer(move |store| view(&there, store, "b"))
        .with_runner(new_runner());
    issuers::issuers_share_no_apps(&with_first).unwrap();
    issuers::issuers_share_no_grants(&with_first).unwrap();
    issuers::a_revocation_reaches_one_issuer_only(&with_first).unwrap();
    issuers::issuers_share_no_assertions(&with_first).unwrap();
    issuers::issuers_share_no_consents(&with_first).unwrap();
    let here = Arc::clone(&runtime);
    let kit = AuditKit::new(move || view(&here, &new_store(), "a"));
    let report = kit.with_runner(new_runner()).with_rounds(1).run();
    assert!(report.is_passed(), "{report}");
}

/// Z37: the same app, user and device at two issuers are two of each, in every record.
#[test]
fn issuers_in_one_database_share_no_records() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let first = new_store(&runtime, &pool);
    runtime.block_on(async {
        let views = first.for_issuers(&tenants(["a", "b"])).await.unwrap();
        let erase = async |store: &PostgresStore, subject: &_| {
            let now = UnixTime::from_millis(1_790_000_000_000);
            store.erase_subject(subject, now, now).await.unwrap()
        };
        issuers_share_no_records(&views[0], &views[1], erase).await;
        issuers_share_no_records(&first, &views[1], erase).await;
    });
}

/// Z37: processes that open the same new issuers at once agree on them.
#[test]
fn processes_that_open_the_same_issuers_at_once_agree() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 8);
    let first = new_store(&runtime, &pool);
    let issuers: Vec<_> = (0..40).map(|n| tenants([&format!("t{n}")])[0].clone()).collect();
    runtime.block_on(async {
        let open = |skip: usize| {
            let (store, mut issuers) = (first.clone(), issuers.clone());
            issuers.rotate_left(skip);
            tokio::spawn(async move { store.for_issuers(&issuers).await.unwrap().len() })
        };
        let opened: Vec<_> = (0..8).map(|n| open(n * 5)).collect();
        for opened in opened {
            assert_eq!(opened.await.unwrap(), issuers.len());
        }
        let count = format!("SELECT count(*), max(id) FROM {}issuers", first.prefix());
        let count = sqlx::query_as(sqlx::AssertSqlSafe(count)).fetch_one(&pool).await.unwrap();
        let (count, last): (i64, i32) = count;
        assert_eq!((count, last), (40, 40));
    });
}
