//! A proxy between the servers and PostgreSQL that breaks as networks do.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy that listens on a loopback port. It forwards each connection to the socket of PostgreSQL.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<PathBuf>,
    links: Mutex<Vec<Arc<Link>>>,
    delay_millis: AtomicU64,
    /// One of this many answers to a statement that changes rows is lost. 0 for none.
    loses_one_in: AtomicUsize,
    writes: AtomicUsize,
    lost_answers: AtomicUsize,
    silenced: AtomicUsize,
    reset: AtomicUsize,
    hold: Mutex<Hold>,
    released: Condvar,
    ended: AtomicBool,
}

/// The statements that wait in the proxy, to reach the database late.
#[derive(Default)]
struct Hold {
    /// Statements with this text wait.
    text: Option<&'static str>,
    /// The number that have ever waited.
    held: usize,
    /// The number of releases so far.
    releases: usize,
}

/// The messages that a server has sent on a connection (PostgreSQL protocol 3).
#[derive(Default)]
struct Messages {
    has_started: bool,
    pending: Vec<u8>,
    /// The texts of the prepared statements, by name.
    prepared: HashMap<Vec<u8>, String>,
}

impl Messages {
    /// Adds bytes. Returns the text of the statement that they execute.
    fn execute(&mut self, bytes: &[u8]) -> Option<String> {
        self.pending.extend_from_slice(bytes);
        let mut found = None;
        loop {
            // The first message has no type.
            let kind = usize::from(self.has_started);
            let Some(length) = self.pending.get(kind..kind + 4) else { return found };
            let end = kind + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.pending.len() < end {
                return found;
            }
            let message: Vec<u8> = self.pending.drain(..end).collect();
            if self.has_started {
                found = self.executed_by(message[0], &message[5..]).or(found);
            }
            self.has_started = true;
        }
    }

    fn executed_by(&mut self, kind: u8, message: &[u8]) -> Option<String> {
        let mut texts = message.split(|byte| *byte == 0);
        let (first, second) = (texts.next()?, texts.next()?);
        match kind {
            // Parse: the name of the statement, and its text.
            b'P' => {
                let text = String::from_utf8_lossy(second).into_owned();
                self.prepared.insert(first.to_vec(), text);
                None
            }
            // Bind: the name of the portal, and that of the statement.
            b'B' => self.prepared.get(second).cloned(),
            b'Q' => Some(String::from_utf8_lossy(first).into_owned()),
            _ => None,
        }
    }
}

fn changes_rows(text: &str) -> bool {
    ["INSERT INTO", "UPDATE ", "DELETE FROM", "COMMIT"].iter().any(|verb| text.contains(verb))
}

/// One connection.
struct Link {
    server: TcpStream,
    database: UnixStream,
    /// Bytes of both directions vanish, and neither side learns of it.
    is_dead: AtomicBool,
    is_over: AtomicBool,
    /// The next answer is that of a statement that changes rows.
    writes: AtomicBool,
}

impl Link {
    fn close(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = self.server.shutdown(Shutdown::Both);
        let _ = self.database.shutdown(Shutdown::Both);
    }

    /// Closes the connection, unless it is dead: then neither side is told.
    fn end(&self) {
        if !self.is_dead.load(Ordering::SeqCst) {
            self.close();
        }
    }
}

impl Proxy {
    /// Starts a proxy to the socket of PostgreSQL.
    pub(crate) fn to(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::new(socket.to_owned()),
            links: Mutex::default(),
            delay_millis: AtomicU64::new(0),
            loses_one_in: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            lost_answers: AtomicUsize::new(0),
            silenced: AtomicUsize::new(0),
            reset: AtomicUsize::new(0),
            hold: Mutex::default(),
            released: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for server in listener.incoming() {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(server) = server {
                    own.connect(server);
                }
            }
        });
        Self { address, shared }
    }

    /// Returns the port on which the proxy listens.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Forwards new connections to another socket.
    pub(crate) fn lead_to(&self, socket: &Path) {
        socket.clone_into(&mut self.shared.target.lock().unwrap());
    }

    /// Drops the bytes of every open connection from now on, in both directions, and tells neither side. New
    /// connections work. Returns the number of connections that were silenced by this call.
    pub(crate) fn silence(&self) -> usize {
        let links = self.shared.links();
        let silenced =
            links.iter().filter(|link| !link.is_dead.swap(true, Ordering::SeqCst)).count();
        self.shared.silenced.fetch_add(silenced, Ordering::Relaxed);
        silenced
    }

    /// Resets every open connection.
    pub(crate) fn reset(&self) {
        let links = self.shared.links();
        self.shared.reset.fetch_add(links.len(), Ordering::Relaxed);
        for link in &*links {
            link.close();
        }
    }

    /// Resets every open connection on the side of the servers. What waits in the proxy still reaches the
    /// database.
    pub(crate) fn cut(&self) {
        let links = self.shared.links();
        self.shared.reset.fetch_add(links.len(), Ordering::Relaxed);
        for link in &*links {
            let _ = link.server.shutdown(Shutdown::Both);
        }
    }

    /// Lets statements with this text wait until [`release`](Self::release).
    pub(crate) fn hold(&self, text: &'static str) {
        self.shared.hold.lock().unwrap().text = Some(text);
    }

    /// Lets new statements pass. Those that wait go on waiting.
    pub(crate) fn hold_no_more(&self) {
        self.shared.hold.lock().unwrap().text = None;
    }

    /// Sends the statements that wait to the database.
    pub(crate) fn release(&self) {
        self.shared.hold.lock().unwrap().releases += 1;
        self.shared.released.notify_all();
    }

    /// Returns the number of statements that have ever waited.
    pub(crate) fn held(&self) -> usize {
        self.shared.hold.lock().unwrap().held
    }

    /// Delays each packet by this time.
    pub(crate) fn delay(&self, millis: u64) {
        self.shared.delay_millis.store(millis, Ordering::SeqCst);
    }

    /// Loses one of `times` answers to statements that change rows, after their commit, and closes the
    /// connection.
    pub(crate) fn lose_answers(&self, times: usize) {
        self.shared.loses_one_in.store(times, Ordering::SeqCst);
    }

    /// Ends all trouble for new connections. Those that were silenced stay dead.
    pub(crate) fn heal(&self) {
        self.delay(0);
        self.lose_answers(0);
        self.hold_no_more();
        self.release();
    }

    /// Returns the number of answers that were lost.
    pub(crate) fn lost_answers(&self) -> usize {
        self.shared.lost_answers.load(Ordering::Relaxed)
    }

    /// Describes the trouble so far.
    pub(crate) fn report(&self) -> String {
        let Shared { silenced, reset, lost_answers, .. } = &*self.shared;
        let [silenced, reset, lost] =
            [silenced, reset, lost_answers].map(|it| it.load(Ordering::Relaxed));
        format!(
            "{silenced} connections silenced, {reset} reset, {lost} answers of the database lost, {} \
             statements held",
            self.held()
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.heal();
        self.shared.links().iter().for_each(|link| link.close());
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Returns the connections that are not over.
    fn links(&self) -> Vec<Arc<Link>> {
        let mut links = self.links.lock().unwrap();
        links.retain(|link| !link.is_over.load(Ordering::SeqCst));
        links.clone()
    }

    fn connect(self: &Arc<Self>, server: TcpStream) {
        let Ok(database) = UnixStream::connect(&*self.target.lock().unwrap()) else { return };
        server.set_nodelay(true).unwrap();
        let [is_dead, is_over, writes] = [false; 3].map(AtomicBool::new);
        let link = Arc::new(Link { server, database, is_dead, is_over, writes });
        self.links.lock().unwrap().push(Arc::clone(&link));
        for is_answer in [false, true] {
            let (shared, link) = (Arc::clone(self), Arc::clone(&link));
            thread::spawn(move || {
                let _ = if is_answer {
                    shared.forward(&link, &link.database, &link.server, true)
                } else {
                    shared.forward(&link, &link.server, &link.database, false)
                };
                link.end();
            });
        }
    }

    /// Forwards one direction until it ends.
    fn forward(
        &self,
        link: &Link,
        mut from: impl Read,
        mut to: impl Write,
        is_answer: bool,
    ) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        let mut messages = Messages::default();
        loop {
            let length = from.read(&mut bytes)?;
            if length == 0 {
                return Ok(());
            }
            let delay = self.delay_millis.load(Ordering::SeqCst);
            if delay > 0 {
                thread::sleep(Duration::from_millis(delay));
            }
            if link.is_dead.load(Ordering::SeqCst) {
                continue;
            }
            if is_answer {
                if link.writes.swap(false, Ordering::SeqCst) && self.loses_this() {
                    return Ok(());
                }
            } else if let Some(statement) = messages.execute(&bytes[..length]) {
                if changes_rows(&statement) {
                    link.writes.store(true, Ordering::SeqCst);
                }
                self.wait_if_held(&statement);
            }
            to.write_all(&bytes[..length])?;
        }
    }

    fn wait_if_held(&self, statement: &str) {
        let mut hold = self.hold.lock().unwrap();
        if hold.text.is_some_and(|text| statement.contains(text)) {
            hold.held += 1;
            let before = hold.releases;
            drop(self.released.wait_while(hold, |hold| hold.releases == before));
        }
    }

    fn loses_this(&self) -> bool {
        let times = self.loses_one_in.load(Ordering::SeqCst);
        let loses = times > 0 && self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(times);
        if loses {
            self.lost_answers.fetch_add(1, Ordering::Relaxed);
        }
        loses
    }
}
