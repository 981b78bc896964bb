//! Declared apps in one file.

use std::sync::Arc;

use grantor::audit::NoAudit;
use grantor::store::conformance::Runner as _;

use crate::declaring::apply_at_once;
use crate::sandbox::Folder;
use crate::support::Tokio;

/// Z34: processes on one file apply one declaration at once. Each succeeds, and each app is written once.
#[test]
fn processes_on_one_file_apply_one_declaration_at_once() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let world = || runtime.world(&Arc::new(runtime.open(&folder.file("a.db"))), NoAudit::new());
    let worlds = [world(), world(), world()];
    let [one, two, three] = &worlds;
    runtime.block_on(apply_at_once([&*one.server, &*two.server, &*three.server]));
}
