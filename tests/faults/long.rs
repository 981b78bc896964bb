//! The long tests of processes of the example server: raced over HTTP, killed at random moments
//! together with the database, on clocks that differ, behind networks that break, and run on over a
//! database that was restored to an older state.
//! `bash .ci/long` runs them, `bash .ci/soak SECONDS` for as long as it is told. The variables of
//! `main.rs` apply.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]
#![expect(clippy::print_stderr, reason = "a test prints what it counted")]
#![expect(clippy::disallowed_methods, reason = "clients have no injected clock")]

mod apps;
mod client;
mod clocks;
#[path = "../postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store need more of it")]
mod cluster;
mod counts;
mod dice;
mod failover;
mod kills;
mod ledger;
mod load;
mod logs;
mod long_networks;
mod networks;
mod oracle;
mod proxy;
mod races;
mod restored;
mod revocations;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
#[path = "../real_clients/support/server.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod server;
mod servers;
mod soak;
mod sqlite;
mod standby;
mod support;
mod world;

use self::support::{seed_file, turn};

/// The rounds of each race.
const RACES: usize = 2_000;
