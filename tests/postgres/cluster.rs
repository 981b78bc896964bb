//! A PostgreSQL server in a temporary folder, and stores in it.

use std::env;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use grantor::store::{PostgresStore, TablePrefix};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

use super::sandbox::{Folder, command, signal, wait_until};

pub(crate) const USER: &str = "grantor";

/// The database under test.
pub(crate) enum Database {
    Own(Cluster),
    Given(Box<PgConnectOptions>),
}

/// A server of the tests' own. It ends with the value, and at the latest with this process.
pub(crate) struct Cluster {
    folder: Folder,
    programs: PathBuf,
    /// The user and group that run the server if the tests run as root.
    owner: Option<(u32, u32)>,
    fsync: &'static str,
    server: Mutex<Option<Child>>,
}

/// Returns the database that all tests share, or `None` after a line that says so.
pub(crate) fn database() -> Option<&'static Database> {
    // The watchdog of the sandbox ends it.
    static SHARED: LazyLock<Option<Database>> = LazyLock::new(|| {
        if let Ok(url) = env::var("GRANTOR_TEST_DATABASE_URL") {
            return Some(Database::Given(Box::new(url.parse().unwrap())));
        }
        Cluster::find(WITHOUT_FSYNC).map(Database::Own)
    });
    if SHARED.is_none() {
        say_skipped();
    }
    SHARED.as_ref()
}

/// Starts a server for one test, which may kill it. Returns `None` after a line that says so.
pub(crate) fn own_cluster() -> Option<Cluster> {
    let cluster = Cluster::find(WITHOUT_FSYNC);
    if cluster.is_none() {
        say_skipped();
    }
    cluster
}

/// Starts a server that waits for the disk, as one in production does.
pub(crate) fn durable_cluster() -> Option<Cluster> {
    let cluster = Cluster::find("on");
    if cluster.is_none() {
        say_skipped();
    }
    cluster
}

/// Tests kill processes, not the machine: the kernel keeps what they have written.
const WITHOUT_FSYNC: &str = "off";

fn say_skipped() {
    skipped("PostgreSQL");
}

/// Says in a line that the test lacks a service. Panics if services are required.
pub(crate) fn skipped(service: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    assert!(
        env::var("GRANTOR_REQUIRE_SERVICES").as_deref() != Ok("1"),
        "{test} needs {service}, and GRANTOR_REQUIRE_SERVICES is 1"
    );
    // The harness captures the macros of the standard library.
    let line = format!("skipped: {test} needs {service} (.ci/install installs it)\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.filter_map(|it| Some(it.ok()?.path())).collect();
        versions.sort();
        folders.extend(versions.into_iter().rev().map(|version| version.join("bin")));
    }
    let has_all = |it: &PathBuf| it.join("initdb").is_file() && it.join("postgres").is_file();
    let folder = folders.into_iter().find(has_all)?;
    // `PATH` may hold only links to some of the programs.
    fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_path_buf)
}

/// Returns a user and a group other than root, because PostgreSQL refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").map_or(1, |it| it.uid()) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(of("postgres").unwrap_or((65_534, 65_534)))
}

impl Cluster {
    fn find(fsync: &'static str) -> Option<Self> {
        let (programs, owner, folder) = (programs()?, unprivileged(), Folder::temporary());
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let cluster = Self { folder, programs, owner, fsync, server: Mutex::new(None) };
        let made = cluster
            .program("initdb")
            .args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--pgdata"])
            .arg(cluster.file("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.start();
        Some(cluster)
    }

    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = command(self.programs.join(name));
        if let Some((user, group)) = self.owner {
            program.uid(user).gid(group);
        }
        program.current_dir(self.folder());
        program
    }

    /// Prepares a client program of this server.
    pub(crate) fn client(&self, name: &str) -> Command {
        let mut program = self.program(name);
        program.arg("--host").arg(self.folder()).args(["--port", "5432", "--username", USER]);
        program
    }

    /// The owner of its files if that is not the user who runs the tests.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// The socket on which it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.file(".s.PGSQL.5432")
    }

    /// The folder of its data, its log and its socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// Starts the server, again if it was stopped or killed, and waits until it answers.
    pub(crate) fn start(&self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let server = self
            .program("postgres")
            .arg("-D")
            .arg(self.file("data"))
            .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
            .args(["-c", &format!("fsync={}", self.fsync)])
            // Shared memory in files of the folder, which no crash leaves behind.
            .args(["-c", "dynamic_shared_memory_type=mmap", "-k"])
            .arg(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.server() = Some(server);
        let (runtime, options) = (runtime(), self.options());
        wait_until("PostgreSQL answers", || {
            assert!(self.runs(), "{}", fs::read_to_string(self.log()).unwrap());
            let connection = sqlx::ConnectOptions::connect(&options);
            runtime.block_on(connection).is_ok()
        });
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the server with all its processes and takes its shared memory, as a power cut does.
    pub(crate) fn kill(&self) {
        let mut server = self.server().take().unwrap();
        let pid = server.id();
        // Only the server forks. Once the kernel has stopped it, the list of its children is complete.
        signal("STOP", &[pid]);
        wait_until("the server has stopped", || matches!(state(pid), None | Some('T' | 'Z')));
        let processes = [&[pid][..], &children(pid)].concat();
        signal("KILL", &processes);
        server.wait().unwrap();
        wait_until("its processes are gone", || !processes.iter().any(|it| is_there(*it)));
        self.remove_shared_memory();
    }

    /// Stops the server at once (immediate shutdown): it recovers when it starts again.
    pub(crate) fn stop(&self) {
        let Some(mut server) = self.server().take() else { return };
        signal("QUIT", &[server.id()]);
        server.wait().unwrap();
    }

    /// Checks whether the server has not ended by itself.
    pub(crate) fn runs(&self) -> bool {
        self.server().as_mut().is_some_and(|server| server.try_wait().unwrap().is_none())
    }

    /// Removes the System V segment of a server that was killed. Line 7 of its lock file names it.
    fn remove_shared_memory(&self) {
        let lock = fs::read_to_string(self.file("data/postmaster.pid")).unwrap_or_default();
        if let Some(segment) = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            let _ = command("ipcrm").args(["-m", segment]).output();
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.file("log")
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass();
        options.socket(self.folder()).port(5_432).username(USER).database("postgres")
    }
}

/// The fields of `/proc/PID/stat` that follow the name in brackets: the state, the parent, and so on.
fn status(process: &Path) -> Option<Vec<String>> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// The state of a process: `T` for stopped, `Z` for ended. `None` if it is gone.
fn state(process: u32) -> Option<char> {
    status(&PathBuf::from(format!("/proc/{process}")))?[0].chars().next()
}

fn is_there(process: u32) -> bool {
    state(process).is_some_and(|state| state != 'Z')
}

/// The processes whose parent is `process`.
fn children(process: u32) -> Vec<u32> {
    let is_child = |folder: &Path| -> Option<u32> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        (status(folder)?[1] == process.to_string()).then_some(pid)
    };
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| is_child(&entry.ok()?.path())).collect()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Database {
    pub(crate) fn options(&self) -> PgConnectOptions {
        match self {
            Self::Own(cluster) => cluster.options(),
            Self::Given(options) => PgConnectOptions::clone(options),
        }
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// How long a busy machine may take for a statement or a connection.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A pool as a host might make it, but patient.
pub(crate) fn pool(runtime: &Runtime, options: PgConnectOptions, connections: u32) -> PgPool {
    let _inside = runtime.enter();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_lazy_with(patient(options))
}

/// A pool of two connections that report their statements to `tracing`.
pub(crate) fn telling_pool(runtime: &Runtime, options: PgConnectOptions) -> PgPool {
    let _inside = runtime.enter();
    // To `sqlx`, each statement is slow since the store's options have switched off all reports.
    let level = "debug".parse().unwrap();
    let options = sqlx::ConnectOptions::log_slow_statements(patient(options), level, PATIENCE);
    let options = sqlx::ConnectOptions::log_statements(options, level);
    let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
    pool.test_before_acquire(false).connect_lazy_with(options)
}

/// The options of the store, with longer timeouts.
pub(crate) fn patient(options: PgConnectOptions) -> PgConnectOptions {
    PostgresStore::connect_options(options).options([
        ("statement_timeout", "120s"),
        ("lock_timeout", "120s"),
        ("idle_in_transaction_session_timeout", "120s"),
    ])
}

/// A prefix that no other store has.
pub(crate) fn new_prefix() -> TablePrefix {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    TablePrefix::new(&format!("t{}_{number}_", std::process::id())).unwrap()
}

/// The statements that made the tables of addition `number`, before `created` was added.
pub(crate) fn schema_of_addition(prefix: &TablePrefix, created: &str, number: u8) -> String {
    let schema = PostgresStore::schema_sql(prefix);
    let (before, _) = schema.split_once(created).unwrap();
    let named = "additions int4 NOT NULL DEFAULT ";
    let (head, tail) = before.split_once(named).unwrap();
    let rest = tail.trim_start_matches(|digit: char| digit.is_ascii_digit());
    assert!(rest.len() < tail.len(), "{tail}");
    format!("{head}{named}{number}{rest}")
}

/// An empty store with tables of its own.
pub(crate) fn new_store(runtime: &Runtime, pool: &PgPool) -> PostgresStore {
    let store = PostgresStore::with_prefix(pool.clone(), new_prefix()).with_timeout(PATIENCE);
    runtime.block_on(store.migrate()).unwrap();
    store
}

/// The number of rounds of a race: `GRANTOR_RACE_ROUNDS`, or a default.
pub(crate) fn rounds(otherwise: usize) -> usize {
    env::var("GRANTOR_RACE_ROUNDS").map_or(otherwise, |rounds| rounds.parse().unwrap())
}
