//! The example server, as a process of its own.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::seed_file;
use crate::sandbox::{Folder, command, signal, wait_until};

/// A running server. It ends with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) issuer: String,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server with the apps and users of the seed, on its own port, without rate limits.
    pub(crate) fn start() -> Self {
        Self::with(&["--no-limits"])
    }

    /// Starts a server with more arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::try_with(arguments).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Starts a server. Returns its output as the error if it ends before it is ready.
    pub(crate) fn try_with(arguments: &[&str]) -> Result<Self, String> {
        Self::in_environment(arguments, &[], Stdio::piped())
    }

    /// Starts a server with environment variables and a standard error of its own.
    pub(crate) fn in_environment(
        arguments: &[&str],
        environment: &[(&str, String)],
        errors: Stdio,
    ) -> Result<Self, String> {
        let folder = Folder::on_disk();
        let ready = folder.file("ready.json");
        let mut child = command(program())
            .args(["--listen", "127.0.0.1:0", "--seed"])
            .arg(seed_file())
            .arg("--ready-file")
            .arg(&ready)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let mut readers = vec![collect(child.stdout.take().unwrap(), &output)];
        readers.extend(child.stderr.take().map(|errors| collect(errors, &output)));
        let mut server = Self { child, issuer: String::new(), output, readers };
        server.issuer = server.wait_until_ready(&ready)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, ready: &Path) -> Result<String, String> {
        let mut json = Value::Null;
        let mut ended = None;
        wait_until("the server is ready", || {
            ended = self.child.try_wait().unwrap();
            let text = std::fs::read(ready).unwrap_or_default();
            json = serde_json::from_slice(&text).unwrap_or_default();
            !json.is_null() || ended.is_some()
        });
        if let Some(status) = ended {
            self.read_to_the_end();
            return Err(format!("the server ended with {status}: {}", self.output()));
        }
        assert_eq!(json["pid"], self.child.id());
        Ok(json["issuer"].as_str().unwrap().to_owned())
    }

    /// Returns a URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Returns its host and port.
    pub(crate) fn address(&self) -> &str {
        self.issuer.strip_prefix("http://").unwrap()
    }

    /// Returns everything that it has written to both streams.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// Asks it to stop, as a service manager does (SIGTERM).
    pub(crate) fn terminate(&self) {
        signal("TERM", &[self.child.id()]);
    }

    /// Waits until it has ended, and returns its status.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("the server has stopped", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        self.read_to_the_end();
        ended.unwrap()
    }

    /// Waits for what a server wrote before it ended.
    fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already if a test has stopped it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the program that cargo builds beside the tests.
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

/// Collects the output of a stream, so that the server never waits for a reader.
fn collect(mut stream: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            output.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    })
}
