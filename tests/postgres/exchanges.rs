//! Ends of access that race with exchanges of tokens, between two stores over one database.

use std::sync::Arc;

use grantor::store::PostgresStore;
use grantor::store::conformance::Runner;
use tokio::runtime::Runtime;

use super::cluster::{database, new_store, pool, rounds, runtime};
use super::exchange_races;

/// Blocks on a runtime of another value.
#[derive(Clone, Copy)]
struct On<'r>(&'r Runtime);

impl Runner for On<'_> {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// X32: nothing that was derived through one store survives the end of a link that the other answers.
#[test]
fn nothing_survives_the_end_of_a_link_in_thousands_of_exchanges() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let here = new_store(&runtime, &pool(&runtime, database.options(), 8));
    let there = pool(&runtime, database.options(), 8);
    let there = PostgresStore::with_prefix(there, here.prefix().clone());
    let stores = [Arc::new(here), Arc::new(there)];
    let counts = exchange_races::nothing_survives(stores, On(&runtime), rounds(100));
    eprintln!("{counts}");
    assert!(counts.met > 0 && counts.refused > 0 && counts.given > 0, "{counts}");
}
