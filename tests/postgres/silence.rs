//! Connections that die without a word: their packets are swallowed, and nothing is answered or reset.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grantor::ids::GrantId;
use grantor::store::{AppRegistry as _, GrantStore as _, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::cluster::{USER, new_prefix, own_cluster, runtime};

/// The connections in the pool.
const POOLED: u32 = 16;
/// The limit of a call. A machine that is busy answers a live connection within it.
const TIMEOUT: Duration = Duration::from_secs(8);

/// A proxy in front of the database, whose connections can be silenced.
struct Proxy {
    port: u16,
    silenced: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Proxy {
    async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silenced = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&silenced);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let is_silent = Arc::new(AtomicBool::new(false));
                all.lock().await.push(Arc::clone(&is_silent));
                let database = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(pass(client, database, is_silent));
            }
        });
        Self { port, silenced }
    }

    /// Swallows every byte in both directions on the present connections, and returns their number. New ones
    /// are passed on.
    async fn silence(&self) -> usize {
        let mut all = self.silenced.lock().await;
        for one in all.iter() {
            one.store(true, Ordering::SeqCst);
        }
        all.drain(..).count()
    }

    fn pool(&self, options: PgPoolOptions) -> PgPool {
        let to = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        let to =
            to.username(USER).database("postgres").ssl_mode(sqlx::postgres::PgSslMode::Disable);
        options.max_connections(POOLED).acquire_timeout(TIMEOUT * 2).connect_lazy_with(to)
    }
}

async fn pass(client: TcpStream, database: UnixStream, is_silent: Arc<AtomicBool>) {
    let (from_client, to_client) = client.into_split();
    let (from_database, to_database) = database.into_split();
    let there = copy(from_client, to_database, Arc::clone(&is_silent));
    tokio::join!(there, copy(from_database, to_client, is_silent));
}

/// Copies until the end, or reads and drops every byte. A silent connection does not even end.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_silent: Arc<AtomicBool>,
) {
    let mut bytes = [0; 4096];
    loop {
        let Ok(count) = from.read(&mut bytes).await else { return };
        if is_silent.load(Ordering::SeqCst) {
            if count == 0 {
                return std::future::pending().await;
            }
            continue;
        }
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
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
        let proxy = Proxy::start(cluster.folder().join(".s.PGSQL.5432")).await;
        for pings in [false, true] {
            let pool = proxy.pool(PgPoolOptions::new().test_before_acquire(pings));
            let store =
                PostgresStore::with_prefix(pool.clone(), new_prefix()).with_timeout(TIMEOUT);
            store.migrate().await.unwrap();
            fill(&pool).await;
            assert!(proxy.silence().await >= POOLED as usize);
            assert!(!ask(&store).await, "the request that finds out");
            for _ in 0..3 {
                assert!(ask(&store).await, "the next one, with pings: {pings}");
            }
            // All connections are in use when they die.
            fill(&pool).await;
            proxy.silence().await;
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
        let proxy = Proxy::start(cluster.folder().join(".s.PGSQL.5432")).await;
        let pool = proxy.pool(PgPoolOptions::new().test_before_acquire(false));
        let store = PostgresStore::with_prefix(pool.clone(), new_prefix()).with_timeout(TIMEOUT);
        store.migrate().await.unwrap();
        fill(&pool).await;
        proxy.silence().await;
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
