//! Processes of the example server over one database.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::apps::ISSUER;
use super::client::Client;
use super::cluster::{Cluster, USER};
use super::dice::Dice;
use super::sandbox::{Folder, wait_until};
use super::server::Server;

/// The processes. Each comes back at the address that it had.
pub(crate) struct Servers {
    folder: Folder,
    store: String,
    slots: Vec<Slot>,
}

struct Slot {
    address: String,
    server: Mutex<Option<Server>>,
    kills: AtomicUsize,
}

impl Servers {
    /// So many over the database of a cluster.
    pub(crate) fn over_postgres(cluster: &Cluster, number: usize) -> Self {
        // The folder of the socket, which stands for a host.
        let folder = cluster.folder().to_str().unwrap();
        Self::over(&format!("postgres://{USER}@localhost:5432/postgres?host={folder}"), number)
    }

    /// One over a file in a folder of its own.
    pub(crate) fn over_sqlite() -> Self {
        let folder = Folder::temporary();
        let store = format!("sqlite:{}", folder.file("grants.db").display());
        Self::start(folder, store, 1)
    }

    fn over(store: &str, number: usize) -> Self {
        Self::start(Folder::temporary(), store.to_owned(), number)
    }

    fn start(folder: Folder, store: String, number: usize) -> Self {
        let slot = |address| Slot { address, server: Mutex::default(), kills: AtomicUsize::new(0) };
        let slots = addresses(number).into_iter().map(slot).collect();
        let servers = Self { folder, store, slots };
        thread::scope(|scope| {
            for index in 0..number {
                let servers = &servers;
                scope.spawn(move || servers.start_one(index).unwrap());
            }
        });
        servers
    }

    /// The file of the database, where it is one.
    pub(crate) fn file(&self) -> &Path {
        Path::new(self.store.strip_prefix("sqlite:").unwrap())
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A client of each, without a connection yet.
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
        let arguments = [arguments.as_flattened(), &["--no-limits"]].concat();
        let server = Server::try_with(&arguments)?;
        *slot.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Kills one, as a power cut does, and lets it lie for less than so many milliseconds; then
    /// starts it, for as often as it takes: it does not start without its database.
    pub(crate) fn kill_and_start(&self, index: usize, dice: &mut Dice, rest: u64) {
        let slot = &self.slots[index];
        drop(slot.server.lock().unwrap().take());
        slot.kills.fetch_add(1, Ordering::Relaxed);
        dice.sleep(0..rest.max(1));
        wait_until("the server comes back", || self.start_one(index).is_ok());
    }

    /// How often one was killed.
    pub(crate) fn kills(&self) -> usize {
        self.slots.iter().map(|slot| slot.kills.load(Ordering::Relaxed)).sum()
    }

    /// Whether every process is the one that was started: none was killed, and none has ended.
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

/// Addresses that are free, and that no connection is given: a client that knocks where nobody
/// listens would else be connected to itself, sooner or later.
fn addresses(number: usize) -> Vec<String> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let ports = (first..first + 2_000).map(|port| format!("127.0.0.1:{port}"));
    let free: Vec<_> = ports.filter(|it| TcpListener::bind(it).is_ok()).take(number).collect();
    assert_eq!(free.len(), number, "no ports are free");
    free
}
