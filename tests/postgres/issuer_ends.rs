//! A trusted issuer ends the access of a user, in races of hundreds of rounds.

use std::sync::Arc;

use super::cluster::{database, new_store, pool, rounds, runtime};
use super::issuer_races::no_access_survives_an_issuer;
use super::world::Blocking;

/// V18: over the database.
#[test]
fn no_access_survives_an_issuer_in_hundreds_of_rounds() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let store = Arc::new(new_store(&runtime, &pool(&runtime, database.options(), 16)));
    no_access_survives_an_issuer(store, Blocking(runtime), rounds(300));
}
