//! Processes of the example server over one database: raced over HTTP, killed at random moments
//! together with the database, and gone on with where the database was restored to an older state.
//!
//! PostgreSQL is a server that these tests start for themselves; where there is none each test says
//! so in a line and passes, unless `GRANTOR_REQUIRE_SERVICES` is `1`. `GRANTOR_SEED` repeats the
//! moments and choices of a run that printed it, as far as processes can be made to repeat
//! themselves. `GRANTOR_RACE_ROUNDS` says how often each race is run. `bash .ci/soak SECONDS` does
//! all of it for as long as one likes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]
#![expect(clippy::print_stderr, reason = "a test says what it skipped and counted")]
#![expect(clippy::disallowed_methods, reason = "clients have no injected clock")]

mod apps;
mod client;
#[path = "../postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store need more of it")]
mod cluster;
mod counts;
mod dice;
mod kills;
mod ledger;
mod load;
mod oracle;
mod races;
mod restored;
mod revocations;
#[path = "../real_clients/support/server.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod server;
mod servers;
mod soak;
mod sqlite;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the servers start with.
fn seed_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/faults/seed.json")
}

/// Each test has the machine for itself.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
