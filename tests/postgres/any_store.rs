//! A store that the host chose at run time.

use std::sync::Arc;

use grantor::store::conformance::Kit;
use grantor::store::{AnyStore, GrantStore as _};

use super::cluster::{database, new_store, pool, runtime};
use super::kit::Tokio;

/// Z33: the choice at run time changes no answer.
#[test]
fn any_store_in_a_database_keeps_the_contract() {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, database.options(), 20);
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let new_store = move || AnyStore::from(new_store(&runtime, &pool));
    let schema = new_store().schema().unwrap();
    assert!(schema.starts_with("PostgreSQL, version "), "{schema}");
    let kit = Kit::new(new_store).with_runner(runner).with_rounds(20);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
}
