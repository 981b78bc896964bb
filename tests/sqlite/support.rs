//! Folders that go with their test, a runtime, and a grant to work with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use grantor::store::conformance::Runner;
use grantor::store::{SqliteSettings, SqliteStore};
use tokio::runtime::{Builder, Runtime};

/// A folder of its own, in memory where there is such a thing.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// In memory, where the disk does not matter.
    pub(crate) fn in_memory() -> Self {
        let memory = PathBuf::from("/dev/shm");
        Self::below(&if memory.is_dir() { memory } else { std::env::temp_dir() })
    }

    /// On the disk that the tests are built on.
    pub(crate) fn on_disk() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn below(parent: &Path) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("grantor-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over is in a folder for what is left over.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A runtime on which the checks of the kit block.
pub(crate) struct Tokio(pub(crate) Runtime);

impl Tokio {
    pub(crate) fn new() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
    }

    pub(crate) fn open(&self, file: &Path) -> SqliteStore {
        self.block_on(SqliteStore::open(file, SqliteSettings::new())).unwrap()
    }
}

impl Runner for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
