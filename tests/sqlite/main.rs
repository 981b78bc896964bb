//! `SqliteStore`: the contract, and trouble with files, disks and clocks. `long.rs` runs longer races,
//! and kills writers.
#![expect(
    clippy::unwrap_used,
    clippy::unreachable,
    clippy::panic,
    reason = "a test fails by panic"
)]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

mod agreement;
#[path = "../../examples/custom_sql_store/apps.rs"]
mod apps;
mod audit;
#[cfg(feature = "console")]
mod console;
#[cfg(feature = "console")]
#[path = "../support/console_pages.rs"]
mod console_pages;
mod contract;
mod dates;
mod declared;
#[path = "../support/declaring.rs"]
mod declaring;
mod devices;
mod fan_out;
mod file;
#[path = "../../examples/custom_sql_store/grants.rs"]
mod grants;
mod host_store;
mod issuers;
mod listing;
mod open_transactions;
mod opening;
#[path = "../support/overtaken.rs"]
mod overtaken;
mod pending;
#[path = "../support/registering.rs"]
mod registering;
mod registrations;
mod restored;
#[path = "../support/revision_2.rs"]
mod revision_2;
#[path = "../support/roots.rs"]
mod roots;
#[path = "../sandbox/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod sandbox;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests need more of it")]
mod shared;
mod sharing;
#[path = "../../examples/custom_sql_store/store.rs"]
mod store;
mod support;
#[path = "../support/targets.rs"]
mod targets;
mod trouble;
mod upgrade;
#[path = "../support/issuers.rs"]
mod views;

/// The rounds of many refreshes at once.
const FAN_OUTS: usize = 2;
/// The rounds of each race of the conformance kit.
const KIT_ROUNDS: usize = 30;
