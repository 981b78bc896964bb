//! Apps that are kept in memory, under a whole server: what another process changes.

use std::sync::Arc;
use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::clock::UnixTime;
use grantor::ids::ClientId;
use grantor::store::{CachedApps, MemoryStore};
use grantor::users::MemoryUsers;
use pollster::block_on;

use crate::faulty_store::{FaultyStore, Method};
use crate::support::{self, Answer, App, World, body_of, code_app, machine_app, new_key};

type Process = AuthorizationServer<CachedApps<Arc<FaultyStore>>, Arc<MemoryUsers>>;

/// A second process on the store of `world`, which keeps apps.
fn process(world: &World) -> Process {
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let store = CachedApps::new(store).clock(Arc::clone(&world.clock));
    world.beside(new_key(), store, Arc::clone(&world.users)).build()
}

fn ask(process: &Process, app: &App, form: &[(&str, &str)]) -> Answer {
    support::ask(process, &body_of(app, form))
}

fn disable(world: &World, app: &App) {
    let id = ClientId::new(app.id.as_str()).unwrap();
    block_on(world.server.admin("tester").disable(&id)).unwrap();
}

/// DESIGN: with the app cached, a refresh reads its grant and writes once; client credentials ask
/// the store for nothing.
#[test]
fn a_token_costs_no_read_of_its_app() {
    let world = World::unlimited();
    let (app, job) = (world.register(code_app()), world.register(machine_app()));
    let process = process(&world);
    let mut token = world.tokens(&app).text("refresh_token").to_owned();
    for round in 0..3 {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let answer = ask(&process, &app, &form);
        token = answer.text("refresh_token").to_owned();
        let credentials = [("grant_type", "client_credentials")];
        assert_eq!(ask(&process, &job, &credentials).status, 200);
        let calls = process.store().store().take_calls();
        if round > 0 {
            assert_eq!(calls, [Method::FindGrant, Method::Rotate]);
        }
    }
}

/// Where a statement looks at the app, at once; where none does, within the bound.
#[test]
fn an_app_that_another_process_disabled_ends_at_once_or_within_a_second() {
    let world = World::unlimited();
    let (app, job) = (world.register(code_app()), world.register(machine_app()));
    let process = process(&world);
    let tokens = world.tokens(&app);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens.text("refresh_token"))];
    let tokens = ask(&process, &app, &refresh);
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(ask(&process, &job, &credentials).status, 200);
    disable(&world, &app);
    disable(&world, &job);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens.text("refresh_token"))];
    ask(&process, &app, &refresh).assert_error(400, "invalid_grant");
    assert_eq!(ask(&process, &job, &credentials).status, 200, "it is still believed");
    let before: UnixTime = world.clock_now();
    world.clock.advance(Duration::from_secs(1));
    assert_ne!(ask(&process, &job, &credentials).status, 200, "since {before}");
}

/// Administrators change apps through the cache, also when another process was there first.
#[test]
fn a_change_through_a_cache_that_is_behind_is_applied_to_what_the_app_is() {
    let world = World::unlimited();
    let job = world.register(machine_app());
    let process = process(&world);
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(ask(&process, &job, &credentials).status, 200);
    let id = ClientId::new(job.id.as_str()).unwrap();
    disable(&world, &job);
    block_on(process.admin("tester").enable(&id)).unwrap();
    let app = block_on(world.server.admin("tester").find(&id)).unwrap().unwrap();
    assert!(app.is_enabled());
    assert_eq!(app.version(), 3);
}
