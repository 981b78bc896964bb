//! Connections that die without a word: their packets are dropped, and nothing is answered or reset.

use std::time::Duration;

use grantor::ids::GrantId;
use grantor::store::{AppRegistry as _, GrantStore as _, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use tokio::task::JoinSet;

use super::cluster::{USER, new_prefix, own_cluster, runtime};
use super::proxy::Proxy;

/// The connections in the pool.
const POOLED: u32 = 16;
/// The limit of a call. A machine that is busy answers a live connection within it.
const TIMEOUT: Duration = Duration::from_secs(8);

fn pool_behind(proxy: &Proxy, options: PgPoolOptions) -> PgPool {
    let to = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(proxy.port());
    let to = to.username(USER).database("postgres").ssl_mode(PgSslMode::Disable);
    options.max_connections(POOLED).acquire_timeout(TIMEOUT * 2).connect_lazy_with(to)
}

/// Fills the pool, so that all of its connections are idle.
async fn fill(pool: &PgPool) {
    let mut held = Vec::new();
    for _ in 0..POOLED {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    while pool.num_idle() < POOLED as usize {
        tokio::task::yield_now().await;
    }
}

async fn ask(store: &PostgresStore) -> bool {
    store.find_grant(&GrantId::from_bytes([7; 16])).await.is_ok()
}

/// Z25: sixteen pooled connections are dead. The request that finds out fails within its limit, and the next
/// ones get other connections, whether the pool pings before use or not. No place in the pool stays taken.
#[test]
fn silent_connections_cost_one_request_its_limit() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    runtime.block_on(async {
        let proxy = Proxy::to(&cluster.socket());
        for pings in [false, true] {
            let pool = pool_behind(&proxy, PgPoolOptions::new().test_before_acquire(pings));
            let store =
                PostgresStore::with_prefix(pool.clone(), new_prefix()).with_timeout(TIMEOUT);
            store.migrate().await.unwrap();
            fill(&pool).await;
            assert!(proxy.silence() >= POOLED as usize);
            assert!(!ask(&store).await, "the request that finds out");
            for _ in 0..3 {
                assert!(ask(&store).await, "the next one, with pings: {pings}");
            }
            // All connections are in use when they die.
            fill(&pool).await;
            proxy.silence();
            let asked: Vec<_> = (0..64)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(async move { store.apps_version().await.is_ok() })
                })
                .collect();
            let mut failed = 0;
            for asked in asked {
                // Those that came first fail, and those that waited may succeed.
                failed += usize::from(!asked.await.unwrap());
            }
            assert!(failed > 0, "no request found a dead connection");
            for _ in 0..3 {
                assert!(ask(&store).await, "after many, with pings: {pings}");
            }
            // Every place of the pool is free or has a live connection.
            let mut held = Vec::new();
            for _ in 0..POOLED {
                held.push(pool.acquire().await.unwrap());
            }
        }
    });
}

/// Z25: callers give up in the middle of statements on dead connections. The places in the pool are free
/// again before the next call is late.
#[test]
fn a_dead_connection_that_its_caller_gave_up_frees_its_place() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    runtime.block_on(async {
        let proxy = Proxy::to(&cluster.socket());
        let pool = pool_behind(&proxy, PgPoolOptions::new().test_before_acquire(false));
        let store = PostgresStore::with_prefix(pool.clone(), new_prefix()).with_timeout(TIMEOUT);
        store.migrate().await.unwrap();
        fill(&pool).await;
        proxy.silence();
        let mut asked = JoinSet::new();
        for _ in 0..POOLED {
            let store = store.clone();
            asked.spawn(async move { store.apps_version().await.is_ok() });
        }
        // Each has its connection once none is idle.
        while pool.num_idle() > 0 {
            tokio::task::yield_now().await;
        }
        asked.shutdown().await;
        assert!(ask(&store).await);
    });
}
