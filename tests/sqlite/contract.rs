//! The conformance kit over the store.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use grantor::audit::NoAudit;
use grantor::store::conformance::{Kit, Runner};
use grantor::store::{AnyStore, SqliteStore};

use crate::sandbox::Folder;
use crate::support::{Desk, Tokio, app};
use crate::targets::new_targets_end_what_they_name;

/// A runtime, and the store that was opened last with its file.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Tokio>, Arc<Mutex<Option<(SqliteStore, PathBuf)>>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Tokio::new()), Arc::default())
    }

    /// Makes stores for a kit, each in its own file.
    pub(crate) fn stores(&self, folder: Folder) -> impl Fn() -> SqliteStore + use<> {
        let (own, made) = (self.clone(), AtomicU32::new(0));
        move || {
            let number = made.fetch_add(1, Ordering::Relaxed);
            let file = folder.file(&format!("{number}.db"));
            let store = own.0.open(&file);
            *own.1.lock().unwrap() = Some((store.clone(), file));
            store
        }
    }

    /// Opens the file of the last store again, with a writer of its own, as another process does.
    pub(crate) fn other(&self) -> impl Fn(&SqliteStore) -> SqliteStore + use<> {
        let own = self.clone();
        move |_| {
            let last = own.1.lock().unwrap();
            own.0.open(&last.as_ref().unwrap().1)
        }
    }
}

impl Runner for Shared {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// A new request runs after all queued ones.
    fn settle(&self) {
        let last = self.1.lock().unwrap().clone();
        self.block_on(last.unwrap().0.check()).unwrap();
    }
}

fn keeps_the_contract(folder: Folder, rounds: usize) {
    let runner = Shared::new();
    let kit = Kit::new(runner.stores(folder))
        .with_other_process(runner.other())
        .with_runner(runner)
        .with_rounds(rounds);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
}

/// G13, R21: races on real threads, and futures that are dropped at every await.
#[test]
fn the_store_keeps_the_contract() {
    keeps_the_contract(Folder::in_memory(), super::KIT_ROUNDS);
}

/// On a disk commits take longer, so requests gather.
#[test]
fn the_store_keeps_the_contract_on_a_disk() {
    keeps_the_contract(Folder::on_disk(), super::KIT_ROUNDS.div_ceil(20));
}

/// Z33: the choice at run time changes no answer.
#[test]
fn any_store_in_a_file_keeps_the_contract() {
    let runner = Shared::new();
    let stores = runner.stores(Folder::in_memory());
    let new_store = move || AnyStore::from(stores());
    let kit = Kit::new(new_store).with_runner(runner).with_rounds(2);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
}

#[test]
fn a_revoked_device_session_or_evidence_issuer_ends_nothing_else() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk: Desk = runtime.desk(&folder.file("a.db"));
    let other = runtime.world(&desk.store, NoAudit::new()).register(app()).id;
    runtime.block_on(new_targets_end_what_they_name(&*desk.store, [&desk.client_id, &other]));
}
