//! Orders to wipe a device, in races of hundreds of rounds between two stores over one file, in one process and in
//! two.

use std::path::Path;
use std::sync::Arc;

use grantor::ids::ClientId;
use grantor::store::conformance::{Kit, device_races};

use crate::contract::Shared;
use crate::other_process::Child;
use crate::rounds::rounds;
use crate::sandbox::Folder;
use crate::support::{Desk, Tokio};
use crate::wipe_races::{self, Kind, Party};

/// The variables that give the other process its file and its app.
const FILE: &str = "GRANTOR_TEST_CHILD_FILE";
const APP: &str = "GRANTOR_TEST_CHILD_APP";

/// W3: nothing that a device gets through either store survives the order that one of them answers.
#[test]
fn nothing_survives_a_wipe_in_hundreds_of_rounds() {
    let runner = Shared::new();
    let kit = Kit::new(runner.stores(Folder::in_memory()))
        .with_other_process(runner.other())
        .with_runner(runner)
        .with_rounds(4 * rounds(300));
    device_races::no_code_survives_a_wipe(&kit).unwrap();
    device_races::no_family_survives_a_wipe(&kit).unwrap();
}

/// The other process of the race below.
#[test]
fn child_that_races_for_a_wipe() {
    let (Ok(file), Ok(app)) = (std::env::var(FILE), std::env::var(APP)) else { return };
    let runtime = Tokio::new();
    let store = Arc::new(runtime.open(Path::new(&file)));
    wipe_races::contend(&runtime, &Party { store, client_id: ClientId::new(app).unwrap() });
}

/// W3: nothing that a device gets in one process survives the order that another process answers, and neither
/// loses it.
#[test]
#[expect(clippy::print_stderr, reason = "a test prints what it counted")]
fn nothing_survives_a_wipe_by_another_process() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("shared.db");
    let Desk { store, client_id } = runtime.desk(&file);
    let party = Party { store, client_id };
    let variables = [(FILE, file.to_str().unwrap()), (APP, party.client_id.as_str())];
    let mut child = Child::with("wipes::child_that_races_for_a_wipe", &variables);
    assert_eq!(child.answer(), "ready");
    for kind in [Kind::Code, Kind::Family] {
        let counts = wipe_races::race(&runtime, &party, &mut child, kind, rounds(300));
        eprintln!("{counts}");
    }
}
