//! Several issuers in one database.

use grantor::clock::UnixTime;
use grantor::store::PostgresStore;

use super::cluster::{database, new_store, pool, runtime};
use super::views::{issuers_share_no_records, tenants};

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
