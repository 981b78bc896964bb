//! The long tests that need neither a database nor a server. `bash .ci/long` runs them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::indexing_slicing, reason = "a test knows what it indexes")]

#[path = "../support/exchange_races.rs"]
mod exchange_races;
#[path = "../support/rounds.rs"]
mod rounds;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests need more of it")]
mod shared;

use std::sync::Arc;

use grantor::store::conformance::{Kit, Threads, device_races};
use grantor::store::{AnyStore, CachedApps, MemoryStore};

use self::rounds::rounds;

#[test]
fn the_memory_store_passes_every_race_of_the_kit() {
    let kit = Kit::new(MemoryStore::new).with_second_issuer(|_| MemoryStore::new());
    let report = kit.with_rounds(4_000).run_with_devices();
    assert!(report.is_passed(), "{report}");
}

/// Z33: the quick suite plays a few rounds of it.
#[test]
fn stores_around_the_memory_store_pass_every_race_of_the_kit() {
    let report = Kit::new(|| AnyStore::from(MemoryStore::new())).with_rounds(1_000).run();
    assert!(report.is_passed(), "{report}");
    let kit = Kit::new(|| CachedApps::new(MemoryStore::new())).with_rounds(1_000);
    let report = kit.run_with_devices();
    assert!(report.is_passed(), "{report}");
}

/// W3: these checks run a quarter of the rounds.
#[test]
fn nothing_survives_a_wipe_in_a_thousand_rounds() {
    let kit = Kit::new(MemoryStore::new).with_rounds(4 * rounds(1_000));
    device_races::no_code_survives_a_wipe(&kit).unwrap();
    device_races::no_family_survives_a_wipe(&kit).unwrap();
}

/// X32: thirteen links, each in a thirteenth of the rounds.
#[test]
#[expect(clippy::print_stderr, reason = "a test prints what it counted")]
fn nothing_survives_the_end_of_a_link_in_thousands_of_exchanges() {
    let store = Arc::new(MemoryStore::new());
    let stores = [Arc::clone(&store), store];
    let counts = exchange_races::nothing_survives(stores, Threads, rounds(200));
    eprintln!("{counts}");
    // An exchange in memory is shorter than the start of a thread: few rounds met.
    assert!(counts.met > 0 && counts.refused > 0 && counts.given > 0, "{counts}");
}
