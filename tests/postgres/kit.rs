//! The conformance kit.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use grantor::app::{AppDraft, Flow};
use grantor::store::PostgresStore;
use grantor::store::conformance::{Kit, Runner};
use sqlx::{ConnectOptions as _, PgPool};
use tokio::runtime::Runtime;

use super::cluster::{database, new_store, own_cluster, pool, rounds, runtime};
use super::targets::new_targets_end_what_they_name;
use super::world::World;

/// Blocks the threads of the kit on a runtime that they share.
pub(crate) struct Tokio {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) pool: PgPool,
}

impl Runner for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// A connection comes back when it has read the answer to its last statement.
    fn settle(&self) {
        while usize::try_from(self.pool.size()).unwrap() > self.pool.num_idle() {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

#[test]
fn the_postgres_store_keeps_the_contract() {
    keeps_the_contract(0);
}

/// Runs the kit over a store that keeps `most` grants.
pub(crate) fn keeps_the_contract(most: usize) {
    let Some(database) = database() else { return };
    let runtime = Arc::new(runtime());
    let pool = pool(&runtime, database.options(), 20);
    let runner = Tokio { runtime: Arc::clone(&runtime), pool: pool.clone() };
    let others = super::cluster::pool(&runtime, database.options(), 8);
    let other = move |store: &PostgresStore| {
        PostgresStore::with_prefix(others.clone(), store.prefix().clone())
    };
    let kit = Kit::new(move || new_store(&runtime, &pool).with_known_grants(most))
        .with_other_process(other)
        .with_runner(runner)
        .with_rounds(rounds(super::KIT_ROUNDS));
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
        eprintln!("{report}");
    }
}

#[test]
fn a_revoked_device_session_or_evidence_issuer_ends_nothing_else() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 2);
    let store = new_store(&runtime, &pool);
    let world = World::new(runtime, store);
    world.runtime().block_on(async {
        let draft = AppDraft::confidential("Other").flow(Flow::ClientCredentials);
        let admin = world.server.admin("tester");
        let other = admin.register(draft.build().unwrap()).await.unwrap().client_id;
        let store = world.server.store().store();
        new_targets_end_what_they_name(store, [&world.app.id, &other]).await;
    });
}

/// Z31: a host that only has a URL needs no `sqlx` of its own.
#[test]
fn a_store_with_a_pool_of_its_own_needs_only_a_url() {
    let Some(cluster) = own_cluster() else { return };
    let url = cluster.options().to_url_lossy();
    runtime().block_on(async {
        let store = PostgresStore::connect(url.as_str()).await.unwrap();
        store.check().await.unwrap_err();
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        for bad in ["", "localhost"] {
            let refused = PostgresStore::connect(bad).await;
            assert!(refused.is_err(), "{bad}");
        }
    });
}
