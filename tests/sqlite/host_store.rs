//! The store of `examples/custom_sql_store`, beside its own run of the kit.

use grantor::store::conformance::Runner as _;

use crate::roots;
use crate::sandbox::Folder;
use crate::store::HostStore;
use crate::support::Tokio;

/// Z2: a host's tables know the roots under which they were written.
#[test]
fn the_tables_of_a_host_know_their_roots() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let create = |name: &str| runtime.block_on(HostStore::create(&folder.file(name))).unwrap();
    let store = create("a.db");
    runtime.block_on(roots::the_store_knows_its_roots(async || store.clone()));
    for name in ["b.db", "c.db"] {
        let store = create(name);
        runtime.block_on(roots::one_of_two_first_servers_starts(store.clone(), store));
    }
}
