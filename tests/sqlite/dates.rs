//! N1: grants are dated before the first check of their request.

use std::sync::Arc;

use grantor::clock::SystemClock;
use grantor::store::CachedApps;

use crate::overtaken::nothing_survives_an_end_before_the_claim;
use crate::sandbox::Folder;
use crate::support::Tokio;

/// N1: over the file alone, and over a cache of its apps.
#[test]
fn nothing_that_a_revocation_overtakes_survives() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let store = Arc::new(runtime.open(&folder.file("a.db")));
    nothing_survives_an_end_before_the_claim(store, SystemClock::new(), &runtime);
    let store = Arc::new(CachedApps::new(runtime.open(&folder.file("b.db"))));
    nothing_survives_an_end_before_the_claim(store, SystemClock::new(), &runtime);
}
