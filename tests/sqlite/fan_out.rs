//! Many refreshes of one token at once.

use std::sync::Arc;

use grantor::ServerBuilder;
use grantor::clock::SystemClock;
use grantor::rate_limit::RateLimits;
use grantor::store::{MemoryStore, Store};
use grantor::users::MemoryUsers;

use crate::sandbox::Folder;
use crate::shared::{World, code_app, fan_out, new_key};
use crate::support::Tokio;

/// Sends 20 and 200 refreshes of one token at once, round after round.
fn fan_out_over<S: Store + 'static>(runtime: &Tokio, store: S) {
    let (store, clock) = (Arc::new(store), SystemClock::new());
    let unlimited =
        |builder: ServerBuilder<Arc<S>, Arc<MemoryUsers>>| builder.rate_limits(RateLimits::none());
    let world = World::over(store, clock, runtime, new_key(), unlimited);
    let app = world.register(code_app());
    for callers in [20, 200] {
        let tokens = world.tokens(&app);
        let refresh = |token: &str| world.refresh(&app, token);
        let last = fan_out((callers, crate::FAN_OUTS), tokens.text("refresh_token"), refresh);
        assert_eq!(world.refresh(&app, &last).status, 200);
    }
}

/// Z1: all get the same successor, and the grant stays live.
#[test]
fn a_page_that_fans_out_keeps_its_grant() {
    let (folder, runtime) = (Folder::temporary(), Tokio::new());
    fan_out_over(&runtime, runtime.open(&folder.file("a.db")));
}

/// Z1: likewise in memory.
#[test]
fn a_page_that_fans_out_keeps_its_grant_in_memory() {
    fan_out_over(&Tokio::new(), MemoryStore::new());
}
