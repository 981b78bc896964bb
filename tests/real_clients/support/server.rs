//! The example server, as a process of its own.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::seed_file;

/// How often something is looked for before it counts as missing, every 20 ms: 20 s in all.
const PATIENCE: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(20);

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) issuer: String,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// A server with the apps and users of the seed, on a port of its own, without rate limits.
    pub(crate) fn start() -> Self {
        Self::with(&["--no-limits"])
    }

    /// A server with more arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::try_with(arguments).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// A server, or what it said when it ended instead of getting ready.
    pub(crate) fn try_with(arguments: &[&str]) -> Result<Self, String> {
        let ready = ready_file();
        let mut child = Command::new(program())
            .args(["--listen", "127.0.0.1:0", "--seed"])
            .arg(seed_file())
            .arg("--ready-file")
            .arg(&ready)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            collect(child.stdout.take().unwrap(), &output),
            collect(child.stderr.take().unwrap(), &output),
        ];
        let mut server = Self { child, issuer: String::new(), output, readers };
        server.issuer = server.wait_until_ready(&ready)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, ready: &PathBuf) -> Result<String, String> {
        for _ in 0..PATIENCE {
            let text = std::fs::read(ready).unwrap_or_default();
            if let Ok(json) = serde_json::from_slice::<Value>(&text) {
                assert_eq!(json["pid"], self.child.id());
                std::fs::remove_file(ready).unwrap();
                return Ok(json["issuer"].as_str().unwrap().to_owned());
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("the server ended with {status}: {}", self.output()));
            }
            thread::sleep(PAUSE);
        }
        Err(format!("the server did not say that it is ready: {}", self.output()))
    }

    /// A URL on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        self.issuer.strip_prefix("http://").unwrap()
    }

    /// Everything that it has written until now, to both streams.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended, and says how.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        for _ in 0..PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                for reader in self.readers.drain(..) {
                    reader.join().unwrap();
                }
                return status;
            }
            thread::sleep(PAUSE);
        }
        panic!("the server does not stop: {}", self.output());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where a test has stopped it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program that cargo builds beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/server");
    assert!(
        program.is_file(),
        "there is no {}: build it with `cargo build --example server --features axum`, or run all \
         tests, which does it too",
        program.display()
    );
    program
}

fn ready_file() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("ready-{}-{number}.json", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What a process with the same number has left.
    drop(std::fs::remove_file(&file));
    file
}

/// Keeps what comes out of a stream, so that the server never waits for a reader.
fn collect(mut stream: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            output.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    })
}
