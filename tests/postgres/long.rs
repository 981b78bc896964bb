//! The long tests of the store on PostgreSQL: races in the tens of thousands, the whole contract at every
//! isolation level and behind a pooler, and servers and clients that are killed. `bash .ci/long` runs them; the variables of `main.rs` apply.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]
#![expect(clippy::print_stderr, reason = "a test prints what it counted")]

mod any_store;
mod chance;
mod child;
#[expect(dead_code, reason = "the benches need more of it")]
mod cluster;
mod contenders;
mod crash;
#[path = "../support/exchange_races.rs"]
mod exchange_races;
mod exchanges;
mod fan_out;
mod full_disk;
mod issuer_contract;
mod issuer_ends;
#[path = "../support/issuer_races.rs"]
mod issuer_races;
mod kit;
mod levels;
#[path = "../support/other_process.rs"]
mod other_process;
mod pooler;
#[path = "../faults/proxy.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod proxy;
mod races;
mod restored;
mod revokers;
#[path = "../support/roots.rs"]
#[expect(dead_code, reason = "the quick tests need more of it")]
mod roots;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
mod silence;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests need more of it")]
mod support;
use support as shared;
mod survivors;
#[path = "../support/targets.rs"]
mod targets;
#[path = "../support/issuers.rs"]
#[expect(dead_code, reason = "the quick tests need more of it")]
mod views;
mod waits;
#[path = "../support/wipe_races.rs"]
mod wipe_races;
mod wipes;
mod world;
mod writers;

/// The rounds of each race.
const RACES: usize = 20_000;
/// The rounds of revocations that race with what they revoke.
const REVOCATIONS: usize = 2_000;
/// The rounds of many refreshes at once.
const FAN_OUTS: usize = 100;
/// The rounds of each race of the conformance kit.
const KIT_ROUNDS: usize = 100;
