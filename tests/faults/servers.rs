//! Processes of the example server over one database.

use std::fs::OpenOptions;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::apps::ISSUER;
use super::client::Client;
use super::cluster::{Cluster, USER};
use super::dice::Dice;
use super::proxy::Proxy;
use super::sandbox::{Folder, wait_until};
use super::server::Server;

/// The processes. Each starts again at its old address.
pub(crate) struct Servers {
    folder: Folder,
    store: String,
    /// More arguments of each process.
    more: &'static [&'static str],
    errors: Errors,
    slots: Vec<Slot>,
}

/// The standard error of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errors {
    Collected,
    /// A disk without room.
    Full,
    /// A pipe that no process reads.
    Closed,
}

impl Errors {
    fn stream(self) -> Stdio {
        match self {
            Self::Collected => Stdio::piped(),
            Self::Full => OpenOptions::new().write(true).open("/dev/full").unwrap().into(),
            Self::Closed => io::pipe().unwrap().1.into(),
        }
    }
}

/// Environment variables of a process.
pub(crate) type Environment = Vec<(&'static str, String)>;

struct Slot {
    address: String,
    environment: Environment,
    server: Mutex<Option<Server>>,
    kills: AtomicUsize,
}

impl Servers {
    /// Starts servers over the database of a cluster.
    pub(crate) fn over_postgres(cluster: &Cluster, number: usize) -> Self {
        Self::in_environments(cluster, vec![Environment::new(); number])
    }

    /// Starts a server over the database of a cluster in each of the environments.
    pub(crate) fn in_environments(cluster: &Cluster, environments: Vec<Environment>) -> Self {
        Self::start(Folder::temporary(), url(cluster), &[], Errors::Collected, environments)
    }

    /// Starts a server over the database of a cluster that logs to this standard error.
    pub(crate) fn logging_to(errors: Errors, cluster: &Cluster) -> Self {
        let environment = vec![Environment::new()];
        Self::start(Folder::temporary(), url(cluster), &["--log"], errors, environment)
    }

    /// Starts servers that reach their database through a proxy.
    pub(crate) fn behind(proxy: &Proxy, number: usize) -> Self {
        Self::through(proxy, &[], number)
    }

    /// Starts servers behind a proxy that write their audit events to standard error, too.
    pub(crate) fn behind_with_log(proxy: &Proxy, number: usize) -> Self {
        Self::through(proxy, &["--log"], number)
    }

    fn through(proxy: &Proxy, more: &'static [&'static str], number: usize) -> Self {
        let port = proxy.port();
        let store = format!("postgres://{USER}@127.0.0.1:{port}/postgres?sslmode=disable");
        let environments = vec![Environment::new(); number];
        Self::start(Folder::temporary(), store, more, Errors::Collected, environments)
    }

    /// Starts one server over a file in its own folder.
    pub(crate) fn over_sqlite() -> Self {
        let folder = Folder::temporary();
        let store = format!("sqlite:{}", folder.file("grants.db").display());
        Self::start(folder, store, &[], Errors::Collected, vec![Environment::new()])
    }

    fn start(
        folder: Folder,
        store: String,
        more: &'static [&'static str],
        errors: Errors,
        environments: Vec<Environment>,
    ) -> Self {
        let number = environments.len();
        let slot = |(address, environment)| Slot {
            address,
            environment,
            server: Mutex::default(),
            kills: AtomicUsize::new(0),
        };
        let slots = addresses(number).into_iter().zip(environments).map(slot).collect();
        let servers = Self { folder, store, more, errors, slots };
        thread::scope(|scope| {
            for index in 0..number {
                let servers = &servers;
                scope.spawn(move || servers.start_one(index).unwrap());
            }
        });
        servers
    }

    /// Returns the file of the database of `over_sqlite`.
    pub(crate) fn file(&self) -> &Path {
        Path::new(self.store.strip_prefix("sqlite:").unwrap())
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns a client of each server, not yet connected.
    pub(crate) fn clients(&self) -> Vec<Client> {
        self.slots.iter().map(|slot| Client::new(&slot.address)).collect()
    }

    fn start_one(&self, index: usize) -> Result<(), String> {
        let slot = &self.slots[index];
        let keys = self.folder.file("keys");
        let arguments = [
            ["--listen", &slot.address],
            ["--issuer", ISSUER],
            ["--store", &self.store],
            ["--keys", keys.to_str().unwrap()],
        ];
        let arguments = [arguments.as_flattened(), &["--no-limits"], self.more].concat();
        let errors = self.errors.stream();
        let server = Server::in_environment(&arguments, &slot.environment, errors)?;
        *slot.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Kills a server, as a power cut does, and leaves it down for less than `rest` milliseconds. Then
    /// starts it again, with repeated tries because it does not start without its database.
    pub(crate) fn kill_and_start(&self, index: usize, dice: &mut Dice, rest: u64) {
        let slot = &self.slots[index];
        drop(slot.server.lock().unwrap().take());
        slot.kills.fetch_add(1, Ordering::Relaxed);
        dice.sleep(0..rest.max(1));
        wait_until("the server comes back", || self.start_one(index).is_ok());
    }

    /// Returns everything that a running server has written to its standard streams.
    pub(crate) fn output(&self, index: usize) -> String {
        self.slots[index].server.lock().unwrap().as_ref().unwrap().output()
    }

    /// Returns the number of kills.
    pub(crate) fn kills(&self) -> usize {
        self.slots.iter().map(|slot| slot.kills.load(Ordering::Relaxed)).sum()
    }

    /// Checks whether no process was killed and none has ended.
    pub(crate) fn have_stayed(&self) -> bool {
        let listens = |slot: &Slot| TcpStream::connect(&slot.address).is_ok();
        self.kills() == 0 && self.slots.iter().all(listens)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for slot in &self.slots {
            drop(slot.server.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// Returns the URL of the database of a cluster. The folder of its socket takes the place of a host.
fn url(cluster: &Cluster) -> String {
    let folder = cluster.folder().to_str().unwrap();
    format!("postgres://{USER}@localhost:5432/postgres?host={folder}")
}

/// Returns free addresses below the ports of outgoing connections. A client that calls a port without a
/// listener could otherwise connect to itself.
fn addresses(number: usize) -> Vec<String> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let ports = (first..first + 2_000).map(|port| format!("127.0.0.1:{port}"));
    let free: Vec<_> = ports.filter(|it| TcpListener::bind(it).is_ok()).take(number).collect();
    assert_eq!(free.len(), number, "no ports are free");
    free
}
