//! The conformance kit over databases with a default isolation other than READ COMMITTED.

use std::sync::Arc;

use grantor::store::conformance::Kit;
use sqlx::postgres::PgPoolOptions;

use super::cluster::{PATIENCE, database, new_store, patient, rounds, runtime};
use super::kit::Tokio;

/// Runs the conformance kit over a pool whose transactions have this level by default.
fn keeps_the_contract(level: &str) {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let options = patient(database.options()).options([("default_transaction_isolation", level)]);
    let pool = {
        let _inside = runtime.enter();
        let pool = PgPoolOptions::new().max_connections(20).acquire_timeout(PATIENCE);
        pool.connect_lazy_with(options)
    };
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let report = Kit::new(move || new_store(&runtime, &pool))
        .with_runner(runner)
        .with_rounds(rounds(super::KIT_ROUNDS))
        .run_with_devices();
    assert!(report.is_passed(), "{report}");
}

/// PostgreSQL refuses losers with 40001 until the store sets the level itself. No answer differs.
#[test]
fn repeatable_read_as_the_default_changes_no_answer() {
    keeps_the_contract("repeatable read");
}

/// PostgreSQL refuses losers with 40001 here too.
#[test]
fn serializable_as_the_default_changes_no_answer() {
    keeps_the_contract("serializable");
}

#[test]
fn a_store_that_keeps_grants_keeps_the_contract() {
    super::kit::keeps_the_contract(64);
}
