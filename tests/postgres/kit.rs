//! The conformance kit.

use std::sync::Arc;

use grantor::store::conformance::{Kit, Runner};
use tokio::runtime::Runtime;

use super::cluster::{database, new_store, pool, rounds, runtime};

/// Blocks the threads of the kit on a runtime that they share.
struct Tokio(Arc<Runtime>);

impl Runner for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

#[test]
fn the_postgres_store_keeps_the_contract() {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, database.options(), 20);
    let own = Arc::clone(&runtime);
    let report = Kit::new(move || new_store(&own, &pool))
        .with_runner(Tokio(runtime))
        .with_rounds(rounds(100))
        .run();
    assert!(report.is_passed(), "{report}");
    eprintln!("{report}");
}
