//! Cached apps under a whole server, and changes by another process.

use std::sync::Arc;
use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::admin::ImportedApp;
use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, Issuer};
use grantor::server_secret::ServerSecret;
use grantor::store::{CachedApps, MemoryStore};
use grantor::users::MemoryUsers;
use pollster::block_on;

use crate::faulty_store::{FaultyStore, Method};
use crate::support::{self, Answer, App, World, body_of, code_app, machine_app, new_key};
use crate::support::{ISSUER, ROOT};

type Process = AuthorizationServer<CachedApps<Arc<FaultyStore>>, Arc<MemoryUsers>>;

/// A second process with cached apps on the store of `world`.
fn process(world: &World) -> Process {
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let store = CachedApps::new(store).clock(Arc::clone(&world.clock));
    world.beside(new_key(), store, Arc::clone(&world.users)).build()
}

fn ask(process: &Process, app: &App, form: &[(&str, &str)]) -> Answer {
    support::ask(process, &body_of(app, form))
}

/// An app as the store has it.
fn stored(world: &World, app: &App) -> Arc<CustomApp> {
    block_on(world.server.admin("tester").find(&app.id)).unwrap().unwrap()
}

fn disable(world: &World, app: &App) {
    let id = ClientId::new(app.id.as_str()).unwrap();
    block_on(world.server.admin("tester").disable(&id)).unwrap();
}

/// DESIGN: with the app cached, a refresh reads its grant and writes once, and client credentials
/// make no store call.
#[test]
fn a_token_reads_no_cached_app_from_the_store() {
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

/// At once if a statement checks the app, else within the bound.
#[test]
fn an_app_disabled_by_another_process_is_refused_at_once_or_within_a_second() {
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
    assert_eq!(ask(&process, &job, &credentials).status, 200, "the cached app still serves");
    let before: UnixTime = world.clock_now();
    world.clock.advance(Duration::from_secs(1));
    assert_ne!(ask(&process, &job, &credentials).status, 200, "since {before}");
}

/// Administrators edit apps through the cache, even after an edit by another process.
#[test]
fn an_edit_through_a_stale_cache_applies_to_the_current_app() {
    let world = World::unlimited();
    let job = world.register(machine_app());
    let process = process(&world);
    let first = stored(&world, &job).version();
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(ask(&process, &job, &credentials).status, 200);
    let id = ClientId::new(job.id.as_str()).unwrap();
    disable(&world, &job);
    block_on(process.admin("tester").enable(&id)).unwrap();
    let app = stored(&world, &job);
    assert!(app.is_enabled());
    assert_eq!(app.version(), first + 2);
}

/// N9: an app was deleted and imported with another secret, because its old one leaked. A process that has
/// the deleted app in its cache and renews its digest does not bring the leaked secret back.
#[test]
fn a_digest_renewed_from_a_stale_cache_brings_no_leaked_secret_back() {
    let world = World::unlimited();
    let leaked = world.register(machine_app());
    let next = b"fedcba9876543210fedcba9876543210";
    let secret = ServerSecret::new(next).unwrap().accepting_pepper(ROOT).unwrap();
    let store = CachedApps::new(Arc::clone(&world.store)).clock(Arc::clone(&world.clock));
    let issuer = Issuer::new(ISSUER).unwrap();
    let users = Arc::clone(&world.users);
    let process = AuthorizationServer::builder(issuer, secret, new_key(), store, users)
        .clock(Arc::clone(&world.clock))
        .build();
    let ask = |app: &App| {
        let body = body_of(app, &[("grant_type", "client_credentials")]);
        support::ask(&process, &body).status
    };
    let guess = App { secret: Some("wrong".to_owned()), ..leaked.clone() };
    assert_eq!(ask(&guess), 401, "the app is in the cache");
    let admin = world.server.admin("tester");
    block_on(admin.delete(&leaked.id)).unwrap();
    let import = ImportedApp::new(leaked.id.clone(), machine_app().build().unwrap());
    let new = App::from(block_on(admin.import(import)).unwrap());
    // Within the bound of the cache the old secret may still work.
    let _ = ask(&leaked);
    world.advance(2);
    assert_eq!((ask(&leaked), ask(&new)), (401, 200));
}
