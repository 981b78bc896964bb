//! Orders to wipe a device, in races of hundreds of rounds between two stores over one database.

use std::sync::Arc;

use grantor::store::PostgresStore;
use grantor::store::conformance::{Kit, device_races};

use super::cluster::{database, new_store, pool, rounds, runtime};
use super::kit::Tokio;

/// W3: nothing that a device gets through either store survives the order that one of them answers.
#[test]
fn nothing_survives_a_wipe_in_hundreds_of_rounds() {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let (here, there) =
        (pool(&runtime, database.options(), 16), pool(&runtime, database.options(), 16));
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: here.clone() };
    let kit = Kit::new(move || new_store(&runtime, &here))
        .with_other_process(move |store: &PostgresStore| {
            PostgresStore::with_prefix(there.clone(), store.prefix().clone())
        })
        .with_runner(runner)
        .with_rounds(4 * rounds(300));
    device_races::no_code_survives_a_wipe(&kit).unwrap();
    device_races::no_family_survives_a_wipe(&kit).unwrap();
}
