//! The seed of the servers, and turns of the tests.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The seed file of all servers.
pub(crate) fn seed_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/faults/seed.json")
}

/// Takes the machine for one test, until the guard is dropped.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
