//! The long tests of `SqliteStore`: more races of the conformance kit, and writers that are killed.
//! `bash .ci/long` runs them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

#[expect(clippy::print_stderr, reason = "a test prints its seed")]
#[path = "../postgres/chance.rs"]
mod chance;
mod contract;
mod crash;
#[path = "../support/exchange_races.rs"]
mod exchange_races;
mod exchanges;
mod fan_out;
mod issuer_ends;
#[path = "../support/issuer_races.rs"]
mod issuer_races;
#[path = "../support/other_process.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod other_process;
#[path = "../support/rounds.rs"]
mod rounds;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests need more of it")]
mod shared;
#[expect(dead_code, reason = "the quick tests need more of it")]
mod support;
#[path = "../support/targets.rs"]
mod targets;
#[path = "../support/wipe_races.rs"]
mod wipe_races;
mod wipes;

/// The rounds of many refreshes at once.
const FAN_OUTS: usize = 100;
/// The rounds of each race of the conformance kit.
const KIT_ROUNDS: usize = 300;
