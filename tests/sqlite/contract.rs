//! The conformance kit over the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use grantor::store::conformance::{Kit, Runner};

use crate::support::{Folder, Tokio};

struct Shared(Arc<Tokio>);

impl Runner for Shared {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

fn keeps_the_contract(folder: Folder, rounds: usize) {
    let runtime = Arc::new(Tokio::new());
    let opener = Arc::clone(&runtime);
    let made = AtomicU32::new(0);
    let make_store = move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        opener.open(&folder.file(&format!("{number}.db")))
    };
    let report = Kit::new(make_store).with_runner(Shared(runtime)).with_rounds(rounds).run();
    assert!(report.is_passed(), "{report}");
}

/// G13, R21: races on real threads, and futures that are dropped at every await.
#[test]
fn the_store_keeps_the_contract() {
    keeps_the_contract(Folder::in_memory(), 300);
}

/// Where a commit takes its time, other requests gather meanwhile.
#[test]
fn the_store_keeps_the_contract_on_a_disk() {
    keeps_the_contract(Folder::on_disk(), 5);
}
