//! Many refreshes of one token at once.

use super::cluster::{database, new_store, pool, runtime};
use super::world::World;
use crate::support;

/// Z1: 20 or 200 refreshes of one token at once get the same successor, round after round.
#[test]
fn a_page_that_fans_out_keeps_its_grant() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 16);
    let store = new_store(&runtime, &pool);
    let world = World::new(runtime, store);
    for callers in [20, 200] {
        let (code, verifier) = world.code();
        let tokens = world.redeem(&code, &verifier).unwrap();
        let first = tokens["refresh_token"].as_str().unwrap();
        let last =
            support::fan_out((callers, crate::FAN_OUTS), first, |token| world.ask_refresh(token));
        assert!(world.refresh(&last).is_ok());
    }
}
