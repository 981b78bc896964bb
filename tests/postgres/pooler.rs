//! The store behind PgBouncer in transaction mode, which gives every transaction another connection.

use std::env;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;

use grantor::store::PostgresStore;
use grantor::store::conformance::Kit;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgPool};

use super::cluster::{
    Cluster, PATIENCE, USER, new_prefix, new_store, own_cluster, patient, pool, runtime, skipped,
};
use super::kit::Tokio;
use super::sandbox::{Folder, command, wait_until};
use super::world::World;

/// The connections of the pooler to the database: fewer than it has clients.
const SERVER_CONNECTIONS: u32 = 3;

/// PgBouncer in front of a server of its own. It ends with the value.
struct Pooler {
    folder: Folder,
    process: Child,
    cluster: Cluster,
}

impl Pooler {
    /// Starts the first one installed, or returns `None` after a line that says what is missing.
    fn start() -> Option<Self> {
        let Some((program, _)) = installed().into_iter().next() else {
            skipped("PgBouncer");
            return None;
        };
        Self::run(&program, "")
    }

    fn run(program: &Path, settings: &str) -> Option<Self> {
        let cluster = own_cluster()?;
        let folder = Folder::temporary();
        let path = folder.path().display();
        let config = format!(
            "[databases]\n\
             postgres = host={} port=5432 dbname=postgres user={USER}\n\
             [pgbouncer]\n\
             listen_addr =\n\
             listen_port = 6432\n\
             unix_socket_dir = {path}\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {SERVER_CONNECTIONS}\n\
             max_client_conn = 200\n\
             ignore_startup_parameters = extra_float_digits, options\n\
             {settings}",
            cluster.folder().display(),
        );
        fs::write(folder.file("pgbouncer.ini"), config).unwrap();
        let mut pgbouncer = command(program);
        if let Some((user, group)) = cluster.owner() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
            // It refuses to run as root.
            pgbouncer.uid(user).gid(group);
        }
        let log = fs::File::create(folder.file("log")).unwrap();
        let process = pgbouncer
            .arg(folder.file("pgbouncer.ini"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pooler = Self { folder, process, cluster };
        let runtime = runtime();
        wait_until("PgBouncer answers", || {
            runtime.block_on(sqlx::ConnectOptions::connect(&pooler.options())).is_ok()
        });
        Some(pooler)
    }

    fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.path());
        patient(options.port(6_432).username(USER).database("postgres"))
    }
}

/// Returns every PgBouncer in `PATH` and where Debian puts it, with the minor number of its version, 1.N.
fn installed() -> Vec<(PathBuf, u32)> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    let minor = |program: PathBuf| {
        let told = command(&program).arg("--version").output().ok()?;
        let told = String::from_utf8(told.stdout).ok()?;
        let minor = told.strip_prefix("PgBouncer 1.")?.split('.').next()?.parse().ok()?;
        Some((program, minor))
    };
    folders.map(|folder| folder.join("pgbouncer")).filter_map(minor).collect()
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.cluster.stop();
    }
}

/// Z16: the whole contract, with twenty clients over three connections of a pooler that knows no prepared
/// statements. Without names, no statement runs on a connection that lacks it.
#[test]
fn the_store_keeps_the_contract_behind_a_transaction_pooler() {
    let Some(pooler) = Pooler::start() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, pooler.options(), 20);
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let new_store = move || {
        let store = PostgresStore::with_prefix(pool.clone(), new_prefix()).with_timeout(PATIENCE);
        let store = store.without_named_statements();
        runtime.block_on(store.migrate()).unwrap();
        store
    };
    let report = Kit::new(new_store).with_runner(runner).with_rounds(2).run_with_devices();
    assert!(report.is_passed(), "{report}");
}

/// Z16: a server behind the pooler answers concurrent clients, and starts again with its roots.
#[test]
fn a_server_works_behind_a_transaction_pooler() {
    let Some(pooler) = Pooler::start() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, pooler.options(), 20);
    let store = PostgresStore::with_prefix(pool, new_prefix()).with_timeout(PATIENCE);
    let store = store.without_named_statements();
    runtime.block_on(store.migrate()).unwrap();
    let open = async || store.clone();
    runtime.block_on(super::roots::the_store_knows_its_roots(open));
    let world = World::new(runtime, store);
    let (code, verifier) = world.code();
    let tokens = world.redeem(&code, &verifier).unwrap();
    let first = tokens["refresh_token"].as_str().unwrap();
    let last = crate::support::fan_out((20, 10), first, |token| world.ask_refresh(token));
    assert!(world.refresh(&last).is_ok());
    assert!(world.impersonate().is_ok());
    // The statements have no names, so PostgreSQL never sees one that it does not have.
    let log = fs::read_to_string(pooler.cluster.log()).unwrap();
    assert!(!log.contains("prepared statement"), "{log}");
}

/// Z16: the same with named statements, where PgBouncer (from 1.21) knows them.
#[test]
fn a_pooler_that_knows_prepared_statements_takes_named_ones() {
    let found = installed();
    let Some((program, minor)) = found.iter().find(|(_, minor)| *minor >= 21) else {
        // Debian 12 has 1.18. No service is missing, so this is no failure.
        eprintln!("skipped: PgBouncer 1.21 or later is needed, found {found:?}");
        return;
    };
    let Some(pooler) = Pooler::run(program, "max_prepared_statements = 200\n") else { return };
    // The settings of `connect_options`, which the pooler does not pass on.
    let runtime = Arc::new(runtime());
    let limits = "ALTER ROLE grantor SET statement_timeout = '120s'; \
                  ALTER ROLE grantor SET lock_timeout = '120s'";
    runtime.block_on(async {
        let direct = PgPool::connect_with(pooler.cluster.options()).await.unwrap();
        direct.execute(limits).await.unwrap();
    });
    let pool = pool(&runtime, pooler.options(), 20);
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let new_store = {
        let (runtime, pool) = (Arc::clone(&runtime), pool.clone());
        move || new_store(&runtime, &pool)
    };
    let report = Kit::new(new_store.clone()).with_runner(runner).with_rounds(2).run_with_devices();
    assert!(report.is_passed(), "{report}");
    let world = World::new(super::cluster::runtime(), new_store());
    let (code, verifier) = world.code();
    let tokens = world.redeem(&code, &verifier).unwrap();
    let first = tokens["refresh_token"].as_str().unwrap();
    crate::support::fan_out((20, 10), first, |token| world.ask_refresh(token));
    // PgBouncer itself names the statements of the store at the server, and PostgreSQL refused none.
    let log = fs::read_to_string(pooler.cluster.log()).unwrap();
    assert!(!log.contains("prepared statement"), "{log}");
    eprintln!("PgBouncer 1.{minor}: {report}");
}
