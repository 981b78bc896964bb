//! Orders to wipe a device, in races of hundreds of rounds between two stores over one file.

use grantor::store::conformance::{Kit, device_races};

use crate::contract::Shared;
use crate::rounds::rounds;
use crate::sandbox::Folder;

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
