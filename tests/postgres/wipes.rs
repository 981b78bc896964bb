//! Orders to wipe a device, in races of hundreds of rounds between two stores over one database, in one process
//! and in two.

use std::sync::Arc;

use grantor::store::PostgresStore;
use grantor::store::conformance::{Kit, Runner, device_races};
use tokio::runtime::Runtime;

use super::child::{Child, Task};
use super::cluster::{database, new_store, pool, rounds, runtime};
use super::kit::Tokio;
use super::wipe_races::{self, Kind, Party};
use super::world::World;

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

/// Blocks on a runtime of another value.
struct On<'r>(&'r Runtime);

impl Runner for On<'_> {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// The other process of the race below.
#[test]
fn child_that_races_for_a_wipe() {
    let Some(Task { runtime, store, client_id }) = Task::find(16, &[]) else { return };
    let party = Party { store: Arc::new(store), client_id };
    wipe_races::contend(&On(&runtime), &party);
}

/// W3: nothing that a device gets in one process survives the order that another process answers, and neither
/// loses it.
#[test]
fn nothing_survives_a_wipe_by_another_process() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let store = new_store(&runtime, &pool(&runtime, database.options(), 16));
    let world = World::new(runtime, store.clone());
    let party = Party { client_id: world.app.id.clone(), store: Arc::new(store) };
    let test = "wipes::child_that_races_for_a_wipe";
    let mut child = Child::start(test, &database.options(), party.store.prefix(), &party.client_id);
    assert_eq!(child.answer(), "ready");
    for kind in [Kind::Code, Kind::Family] {
        let counts = wipe_races::race(&On(world.runtime()), &party, &mut child, kind, rounds(300));
        eprintln!("{counts}");
    }
}
