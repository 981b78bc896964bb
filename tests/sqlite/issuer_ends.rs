//! A trusted issuer ends the access of a user, in races of hundreds of rounds.

use std::sync::Arc;

use crate::issuer_races::no_access_survives_an_issuer;
use crate::rounds::rounds;
use crate::sandbox::Folder;
use crate::support::Tokio;

/// V18: over the file.
#[test]
fn no_access_survives_an_issuer_in_hundreds_of_rounds() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let store = Arc::new(runtime.open(&folder.file("a.db")));
    no_access_survives_an_issuer(store, &runtime, rounds(300));
}
