//! Ends of access that race with whole exchanges. The long tests play thousands of rounds, over every store.

use std::sync::Arc;

use grantor::store::MemoryStore;
use grantor::store::conformance::Threads;

use crate::exchange_races::{self, Link};

/// X32: whichever link of its lineage ends, no token survives it, and no dead token is exchanged.
#[test]
fn nothing_survives_the_end_of_a_link() {
    let store = Arc::new(MemoryStore::new());
    let counts = exchange_races::nothing_survives([Arc::clone(&store), store], Threads, 1);
    assert_eq!(counts.rounds, Link::ALL.len());
}
