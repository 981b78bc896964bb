//! Two processes over one database, and tables in a schema of the host.

use std::sync::Arc;
use std::time::Duration;

use grantor::clock::ManualClock;
use grantor::store::{
    AppRegistry as _, CachedApps, GrantRefusal, GrantStore as _, InsertGrant, PostgresStore,
    RedeemCode, TablePrefix,
};
use sqlx::Executor as _;

use super::cluster::{database, new_prefix, new_store, pool, runtime};
use super::races::redemption;
use super::world::{World, grant, now};

/// A35: an app that one process disables gets nothing from another process from that instant, although
/// the other still has the app in its cache.
#[test]
fn an_app_that_another_process_disables_gives_nothing_at_once() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let (here, there) =
        (pool(&runtime, database.options(), 2), pool(&runtime, database.options(), 2));
    let store = new_store(&runtime, &here);
    let clock = Arc::new(ManualClock::new(now()));
    let other = CachedApps::new(PostgresStore::with_prefix(there, store.prefix().clone()))
        .bound(Duration::from_secs(1))
        .clock(Arc::clone(&clock));
    let world = World::new(runtime, store);
    let (id, store) = (&world.app.id, world.server.store());
    world.runtime().block_on(async {
        assert!(other.find_app(id).await.unwrap().unwrap().is_enabled());
        let (before, after) = (grant(id, "ann"), grant(id, "ann"));
        store.insert_grant(before.clone()).await.unwrap();
        world.server.admin("tester").disable(id).await.unwrap();
        assert!(!store.find_app(id).await.unwrap().unwrap().is_enabled());
        assert!(other.find_app(id).await.unwrap().unwrap().is_enabled(), "it was just read");
        let refused = RedeemCode::Refused(GrantRefusal::Revoked);
        assert_eq!(other.redeem_code(&redemption(&before, now())).await.unwrap(), refused);
        assert_eq!(other.insert_grant(after).await.unwrap(), InsertGrant::AppInactive);
        clock.advance(Duration::from_secs(1));
        assert!(!other.find_app(id).await.unwrap().unwrap().is_enabled());
        world.server.admin("tester").enable(id).await.unwrap();
        assert_eq!(other.redeem_code(&redemption(&before, now())).await.unwrap(), refused);
    });
}

#[test]
fn the_tables_may_lie_in_a_schema() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let schema = new_prefix().to_string();
    runtime.block_on(async {
        pool.execute(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.unwrap();
    });
    let prefix = TablePrefix::new(&format!("{schema}.oauth_")).unwrap();
    let store = PostgresStore::with_prefix(pool.clone(), prefix);
    for _ in 0..2 {
        runtime.block_on(store.migrate()).unwrap();
    }
    let world = World::new(runtime, store);
    let (code, verifier) = world.code();
    world.redeem(&code, &verifier).unwrap();
    world.redeem(&code, &verifier).unwrap_err();
    world.runtime().block_on(async {
        let sql = format!("SELECT 1 FROM {schema}.oauth_revocations");
        assert_eq!(sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap().len(), 1);
    });
}
