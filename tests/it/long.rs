//! The long tests that need neither a database nor a server. `bash .ci/long` runs them.

use grantor::store::MemoryStore;
use grantor::store::conformance::Kit;

#[test]
fn the_memory_store_passes_every_race_of_the_kit() {
    let kit = Kit::new(MemoryStore::new).with_second_issuer(|_| MemoryStore::new());
    let report = kit.with_rounds(4_000).run();
    assert!(report.is_passed(), "{report}");
}
