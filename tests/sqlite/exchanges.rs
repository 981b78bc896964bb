//! Ends of access that race with exchanges of tokens, between two stores over one file.

use std::sync::Arc;

use crate::exchange_races;
use crate::rounds::rounds;
use crate::sandbox::Folder;
use crate::support::Tokio;

/// X32: nothing that was derived through one store survives the end of a link that the other answers.
#[test]
#[expect(clippy::print_stderr, reason = "a test prints what it counted")]
fn nothing_survives_the_end_of_a_link_in_thousands_of_exchanges() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("shared.db");
    let stores = [(); 2].map(|()| Arc::new(runtime.open(&file)));
    let counts = exchange_races::nothing_survives(stores, &runtime, rounds(100));
    eprintln!("{counts}");
    assert!(counts.met > 0 && counts.refused > 0 && counts.given > 0, "{counts}");
}
