//! A PostgreSQL server in a temporary folder, and stores in it.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::Duration;

use grantor::store::{PostgresStore, TablePrefix};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

pub(crate) const USER: &str = "grantor";

/// Where the tests find their database.
pub(crate) enum Database {
    Own(Cluster),
    Given(Box<PgConnectOptions>),
}

/// A server of the tests' own: gone with the value, and with the process if that is killed.
pub(crate) struct Cluster {
    pub(crate) folder: PathBuf,
    programs: PathBuf,
    /// Whose server it is, where the tests run as root.
    owner: Option<(u32, u32)>,
    shell: Mutex<Option<Child>>,
}

/// The database of all tests, or `None` and a line that says so.
pub(crate) fn database() -> Option<Arc<Database>> {
    static SHARED: Mutex<Weak<Database>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(database) = shared.upgrade() {
        return Some(database);
    }
    let database = if let Ok(url) = env::var("GRANTOR_TEST_DATABASE_URL") {
        Database::Given(Box::new(url.parse().unwrap()))
    } else {
        Database::Own(own_cluster()?)
    };
    let database = Arc::new(database);
    *shared = Arc::downgrade(&database);
    Some(database)
}

/// A server that nobody else uses and that may be killed, or `None` and a line that says so.
pub(crate) fn own_cluster() -> Option<Cluster> {
    let Some(programs) = programs() else {
        assert!(
            env::var("GRANTOR_REQUIRE_SERVICES").as_deref() != Ok("1"),
            "there is no PostgreSQL, and GRANTOR_REQUIRE_SERVICES is 1"
        );
        eprintln!("skipped: there is no PostgreSQL on this machine");
        return None;
    };
    Some(Cluster::new(programs))
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
    // What is found in `PATH` may be links to some of the programs.
    fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_path_buf)
}

/// Somebody who is not root, since PostgreSQL refuses to run as root.
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
    Some(of("postgres").or_else(|| of("nobody")).unwrap_or((65_534, 65_534)))
}

/// A number that no other call in this process gets.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Cluster {
    fn new(programs: PathBuf) -> Self {
        let name = format!("grantor-pg-{}-{}", std::process::id(), number());
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let owner = unprivileged();
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let cluster = Self { folder, programs, owner, shell: Mutex::new(None) };
        let made = cluster
            .program("initdb")
            .args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--pgdata"])
            .arg(cluster.folder.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.start();
        cluster
    }

    pub(crate) fn program(&self, name: &str) -> Command {
        self.as_owner(Command::new(self.programs.join(name)))
    }

    /// A program that speaks with the server.
    pub(crate) fn client(&self, name: &str) -> Command {
        let mut program = self.program(name);
        program.arg("--host").arg(&self.folder).args(["--port", "5432", "--username", USER]);
        program
    }

    /// Who owns its files, where that is not who runs the tests.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    fn as_owner(&self, mut command: Command) -> Command {
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.folder);
        command
    }

    /// Starts the server, or starts it again, and waits until it answers.
    pub(crate) fn start(&self) {
        let log = self.log();
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        // The shell ends the server when its own input ends: when this process is gone.
        let mut command = self.as_owner(Command::new("sh"));
        command
            .arg("-c")
            .arg(r#""$@" & server=$!; cat >/dev/null; kill -QUIT $server; wait $server"#)
            .arg("sh")
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", "listen_addresses=", "-c", "max_connections=200", "-k"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        *self.shell.lock().unwrap() = Some(command.spawn().unwrap());
        let runtime = runtime();
        for _ in 0..3_000 {
            let options = self.options();
            let answer = runtime.block_on(async {
                sqlx::ConnectOptions::connect(&options).await.map(|_connection| ())
            });
            if answer.is_ok() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("the server does not answer: {}", fs::read_to_string(self.log()).unwrap());
    }

    /// Kills the server and all of its processes, as a power cut does.
    pub(crate) fn kill(&self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let server: u32 = pid.lines().next().unwrap().parse().unwrap();
        let signal = |name: &str, processes: &[u32]| {
            let processes = processes.iter().map(u32::to_string);
            Command::new("kill").arg(name).args(processes).output().unwrap();
        };
        // Who has stopped makes no more children that would hold on to its memory.
        signal("-STOP", &[server]);
        let processes = [&[server][..], &children(server)].concat();
        signal("-KILL", &processes);
        while processes.iter().any(|process| is_there(*process)) {
            sleep(Duration::from_millis(1));
        }
        self.end();
    }

    /// Stops the server at once, as a machine does that is shut down in a hurry.
    pub(crate) fn stop(&self) {
        self.end();
    }

    /// Whether the server has not ended by itself.
    pub(crate) fn runs(&self) -> bool {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        pid.lines().next().is_some_and(|pid| is_there(pid.parse().unwrap()))
    }

    fn end(&self) {
        let shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut shell) = shell {
            drop(shell.stdin.take());
            shell.wait().unwrap();
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass();
        options.socket(&self.folder).port(5_432).username(USER).database("postgres")
    }
}

/// Whether a process runs: one that has ended and that nobody has asked for does not.
fn is_there(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name, which is in brackets: the state.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The processes whose parent is `process`.
fn children(process: u32) -> Vec<u32> {
    let is_child = |folder: &Path| -> Option<u32> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // After the name, which is in brackets: the state, and the parent.
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?;
        (parent == process.to_string()).then_some(pid)
    };
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| is_child(&entry.ok()?.path())).collect()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != ErrorKind::NotFound
        {
            eprintln!("{} is left: {error}", self.folder.display());
        }
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

/// A pool as a host might make it.
pub(crate) fn pool(runtime: &Runtime, options: PgConnectOptions, connections: u32) -> PgPool {
    let _inside = runtime.enter();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .test_before_acquire(false)
        .connect_lazy_with(PostgresStore::connect_options(options))
}

/// A prefix that no other store has.
pub(crate) fn new_prefix() -> TablePrefix {
    TablePrefix::new(&format!("t{}_{}_", std::process::id(), number())).unwrap()
}

/// An empty store with tables of its own.
pub(crate) fn new_store(runtime: &Runtime, pool: &PgPool) -> PostgresStore {
    let store = PostgresStore::with_prefix(pool.clone(), new_prefix())
        .with_timeout(Duration::from_secs(60));
    runtime.block_on(store.migrate()).unwrap();
    store
}

/// How often each race is run.
pub(crate) fn rounds(otherwise: usize) -> usize {
    env::var("GRANTOR_RACE_ROUNDS").map_or(otherwise, |rounds| rounds.parse().unwrap())
}
