//! The conformance kit over the view that a further issuer has of a database.

use std::sync::Arc;

use grantor::audit::conformance::AuditKit;
use grantor::store::PostgresStore;
use grantor::store::conformance::{Kit, devices, issuers, pending};
use tokio::runtime::Runtime;

use super::cluster::{database, new_store, pool, runtime};
use super::kit::Tokio;
use super::views::tenants;

fn view(runtime: &Runtime, store: &PostgresStore, name: &str) -> PostgresStore {
    let [issuer] = tenants([name]);
    runtime.block_on(store.for_issuer(&issuer)).unwrap()
}

/// Z37: a further issuer has a whole store, apart from the first and from others.
#[test]
fn the_view_of_an_issuer_keeps_the_contract() {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, database.options(), 20);
    let new_runner = || Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let new_store = {
        let (runtime, pool) = (Arc::clone(&runtime), pool.clone());
        move || new_store(&runtime, &pool)
    };
    let (here, there, make) = (Arc::clone(&runtime), Arc::clone(&runtime), new_store.clone());
    let kit = Kit::new(move || view(&here, &make(), "a"))
        .with_second_issuer(move |store| view(&there, store, "b"))
        .with_runner(new_runner())
        .with_rounds(1);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
    let there = Arc::clone(&runtime);
    let with_first = Kit::new(new_store.clone())
        .with_second_issuer(move |store| view(&there, store, "b"))
        .with_runner(new_runner());
    issuers::issuers_share_no_apps(&with_first).unwrap();
    issuers::issuers_share_no_grants(&with_first).unwrap();
    issuers::a_revocation_reaches_one_issuer_only(&with_first).unwrap();
    issuers::issuers_share_no_assertions(&with_first).unwrap();
    issuers::issuers_share_no_consents(&with_first).unwrap();
    devices::issuers_share_no_devices(&with_first).unwrap();
    pending::issuers_share_no_records(&with_first).unwrap();
    let here = Arc::clone(&runtime);
    let kit = AuditKit::new(move || view(&here, &new_store(), "a"));
    let report = kit.with_runner(new_runner()).with_rounds(1).run();
    assert!(report.is_passed(), "{report}");
}
