//! Folders and processes that end with the test process, however that ends.
//!
//! All of them carry the name of the run: folders in their own name, processes in their environment.
//! `watchdog.sh` waits until the test process is gone, kills the processes and removes the folders.

pub(crate) mod faketime;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use grantor::random::{OsRandom, SecureRandom as _};

/// The environment variable that carries the name of the run.
const RUN: &str = "GRANTOR_TEST_RUN";
/// Temporary folders that are files in memory.
const MEMORY: &str = "/dev/shm";
/// Temporary folders beside the compiled tests.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

/// A test process with its watchdog. A process that a test starts belongs to the run of its parent
/// and has no watchdog of its own.
struct Run {
    name: String,
    _watchdog: Option<Child>,
}

static THIS: LazyLock<Run> = LazyLock::new(|| match env::var(RUN) {
    Ok(name) => Run { name, _watchdog: None },
    Err(_) => Run::new(),
});

impl Run {
    fn new() -> Self {
        let mut random = [0; 4];
        OsRandom::new().fill(&mut random).unwrap();
        let name = format!("grantor-{}-{:08x}", std::process::id(), u32::from_ne_bytes(random));
        let mut watchdog = Command::new("sh")
            .args(["-c", include_str!("watchdog.sh"), "watchdog"])
            .args([&env::temp_dir(), Path::new(MEMORY), Path::new(DISK)])
            // Signals from the terminal go to the group of the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = watchdog.stdin.as_mut().unwrap();
        input.write_all(format!("{name}\n").as_bytes()).unwrap();
        Self { name, _watchdog: Some(watchdog) }
    }
}

/// Prepares a program that ends with this process, together with its descendants.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env(RUN, &THIS.name);
    command
}

/// Sends a signal. Processes that are gone already do not matter.
pub(crate) fn signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    let kill = r#"kill -s "$@""#;
    command("sh").args(["-c", kill, "kill", name]).args(processes).output().unwrap();
}

/// A temporary folder. It is removed with the value, and at the latest after this process.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Creates a folder in the system's place for temporary files.
    pub(crate) fn temporary() -> Self {
        Self::below(&env::temp_dir())
    }

    /// Creates a folder in memory if the system has such a place.
    pub(crate) fn in_memory() -> Self {
        if Path::new(MEMORY).is_dir() { Self::below(Path::new(MEMORY)) } else { Self::temporary() }
    }

    /// Creates a folder on the disk that holds the compiled tests.
    pub(crate) fn on_disk() -> Self {
        Self::below(Path::new(DISK))
    }

    fn below(parent: &Path) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}-{number}", THIS.name));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The watchdog removes the rest.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns once `state` holds. Panics after two minutes, long after a busy machine would be done.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a deadline that only ends a hang")]
pub(crate) fn wait_until(what: &str, mut state: impl FnMut() -> bool) {
    let began = Instant::now();
    while !state() {
        assert!(began.elapsed() < Duration::from_mins(2), "waited in vain until {what}");
        sleep(Duration::from_millis(2));
    }
}
