//! Other processes: this test binary again, for one of its tests. The environment and the lines on its
//! input tell it what to do. Without that environment it passes at once.

use std::env;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{self, ChildStdin, ChildStdout, Stdio};

use grantor::ids::ClientId;
use grantor::store::{PostgresStore, TablePrefix};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::{Builder, Runtime};

use super::cluster::{PATIENCE, patient};
use super::sandbox::command;

const DATABASE: &str = "GRANTOR_TEST_CHILD_DATABASE";
const PREFIX: &str = "GRANTOR_TEST_CHILD_PREFIX";
const APP: &str = "GRANTOR_TEST_CHILD_APP";

/// The first character of a line for the other side. The test harness writes other lines.
const MARK: char = '!';

/// Another process, killed with the value.
pub(crate) struct Child {
    process: process::Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts `test`, which calls [`Task::find`].
    pub(crate) fn start(
        test: &str,
        options: &PgConnectOptions,
        prefix: &TablePrefix,
        client_id: &ClientId,
    ) -> Self {
        let mut process = command(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(DATABASE, options.to_url_lossy().as_str())
            .env(PREFIX, prefix.to_string())
            .env(APP, client_id.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, lines }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Returns the next line that it says, or `None` once it is gone.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    /// Returns the next line of a process that has no reason to be gone.
    pub(crate) fn answer(&mut self) -> String {
        self.hear().unwrap_or_else(|| panic!("a child ended early; its output says why"))
    }

    /// Kills it (`kill -9`), at any point of its work.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The task that a child finds in its environment.
pub(crate) struct Task {
    pub(crate) runtime: Runtime,
    pub(crate) store: PostgresStore,
    pub(crate) client_id: ClientId,
}

impl Task {
    /// Reads the task. Returns `None` if this process is not a child.
    pub(crate) fn find(connections: u32, settings: &[(&str, &str)]) -> Option<Self> {
        let [database, prefix, app] = [DATABASE, PREFIX, APP].map(|name| env::var(name).ok());
        let options: PgConnectOptions = database?.parse().unwrap();
        // The thread that reads lines does not run the requests.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = patient(options).options(settings.iter().copied());
        let pool = {
            let _inside = runtime.enter();
            let pool = PgPoolOptions::new().max_connections(connections);
            let pool = pool.acquire_timeout(PATIENCE).test_before_acquire(false);
            pool.connect_lazy_with(options)
        };
        let store = PostgresStore::with_prefix(pool, TablePrefix::new(&prefix?).unwrap())
            .with_timeout(PATIENCE);
        Some(Self { runtime, store, client_id: ClientId::new(app?).unwrap() })
    }
}

/// Iterates over the lines of the parent, until the parent is gone.
pub(crate) fn told() -> impl Iterator<Item = String> {
    std::io::stdin().lines().map_while(Result::ok)
}

/// Tells the parent a line. One write to the pipe makes it whole or absent.
pub(crate) fn say(line: &str) {
    std::io::stdout().write_all(format!("{MARK}{line}\n").as_bytes()).unwrap();
}

/// Returns microseconds since 1970, which processes on one machine can compare.
#[expect(clippy::disallowed_methods, reason = "the clock of the library counts milliseconds")]
pub(crate) fn micros() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap()
}
