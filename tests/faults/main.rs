//! Processes of the example server over one database, raced over HTTP. `long.rs` runs longer races,
//! kills servers and databases, sets clocks apart, breaks networks, and restores older states.
//!
//! The tests start PostgreSQL themselves. If there is none, each test says so in a line and passes,
//! unless `GRANTOR_REQUIRE_SERVICES` is `1`. `GRANTOR_SEED` repeats the choices of a run that printed it,
//! as far as processes can be made to repeat themselves. `GRANTOR_RACE_ROUNDS` sets the rounds of each
//! race.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]
#![expect(clippy::print_stderr, reason = "a test prints what it counted")]
#![expect(clippy::disallowed_methods, reason = "clients have no injected clock")]

mod apps;
mod client;
#[path = "../postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store need more of it")]
mod cluster;
#[expect(dead_code, reason = "the long tests need more of it")]
mod counts;
mod dice;
#[expect(dead_code, reason = "the long tests need more of it")]
mod ledger;
mod logs;
#[expect(dead_code, reason = "the long tests need more of it")]
mod oracle;
#[expect(dead_code, reason = "the long tests need more of it")]
mod proxy;
mod races;
mod revocations;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
#[path = "../real_clients/support/server.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod server;
#[expect(dead_code, reason = "the long tests need more of it")]
mod servers;
mod support;

use self::support::{seed_file, turn};

/// The rounds of each race.
const RACES: usize = 100;
