//! The store on PostgreSQL, against a server that these tests start for themselves.
//!
//! `GRANTOR_TEST_DATABASE_URL` names another server. If there is none, each test says so in a line and
//! passes, unless `GRANTOR_REQUIRE_SERVICES` is `1`. `GRANTOR_RACE_ROUNDS` sets the rounds of each race,
//! `GRANTOR_SEED` repeats random choices. The tests print counts (`--nocapture`). `long.rs` runs
//! longer races, and kills servers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]
#![expect(clippy::print_stderr, reason = "a test prints what it counted")]

mod agreement;
mod audit;
#[expect(dead_code, reason = "the long tests need more of it")]
mod chance;
mod child;
#[expect(dead_code, reason = "the long tests and the benches need more of it")]
mod cluster;
#[cfg(feature = "console")]
mod console;
#[cfg(feature = "console")]
#[path = "../support/console_pages.rs"]
mod console_pages;
mod contenders;
mod costs;
mod dates;
mod declared;
#[path = "../support/declaring.rs"]
mod declaring;
mod devices;
mod fan_out;
mod isolation;
mod issuers;
mod kit;
mod known;
mod limits;
mod opening;
#[path = "../support/other_process.rs"]
#[expect(dead_code, reason = "the long tests need more of it")]
mod other_process;
mod outages;
#[path = "../support/overtaken.rs"]
mod overtaken;
mod pending;
mod plans;
mod processes;
mod races;
#[path = "../support/registering.rs"]
mod registering;
mod registrations;
#[path = "../support/revision_2.rs"]
mod revision_2;
mod revokers;
#[path = "../support/roots.rs"]
mod roots;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
mod secrets;
mod sharing;
mod subjects;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests need more of it")]
mod support;
use support as shared;
mod survivors;
#[path = "../support/targets.rs"]
mod targets;
mod trouble;
mod upgrade;
#[path = "../support/issuers.rs"]
mod views;
mod world;

/// The rounds of each race.
const RACES: usize = 400;
/// The rounds of revocations that race with what they revoke.
const REVOCATIONS: usize = 100;
/// The rounds of many refreshes at once.
const FAN_OUTS: usize = 2;
/// The rounds of each race of the conformance kit.
const KIT_ROUNDS: usize = 5;
