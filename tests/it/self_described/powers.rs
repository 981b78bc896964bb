//! A self-described app gets tokens by the consent of users only.

use grantor::admin::ImportedApp;
use grantor::app::{AppDraft, AppOrigin, Flow};
use grantor::ids::{ClientId, Resource};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::{AppQuery, Page};
use pollster::block_on;
use serde_json::json;

use crate::assertions::{backend_app, backend_jwt};
use crate::support::{App, ISSUER, World, code_app, scope};

const ORIGINS: [AppOrigin; 2] = [AppOrigin::SelfRegistered, AppOrigin::Document];

/// A server whose API authenticates as the app `described`.
fn world() -> World {
    let api = Resource::new(ISSUER).unwrap();
    let api = ResourceServer::new(api, ClientId::new("described").unwrap()).with_gateway(true);
    World::with(|builder| builder.rate_limits(RateLimits::none()).resource_server(api))
}

/// Registers an app under the id `described` that may do everything, and sets its origin.
fn described(world: &World, draft: AppDraft, origin: AppOrigin) -> App {
    let id = ClientId::new("described").unwrap();
    let admin = world.server.admin("tester");
    let app = ImportedApp::new(id.clone(), draft.build().unwrap());
    let app = App::from(block_on(admin.import(app)).unwrap());
    block_on(admin.set_origin(&id, origin)).unwrap();
    app
}

/// L17: no client credentials, also if the row lists them. The same row of an administrator's app gets a token.
#[test]
fn a_self_described_app_gets_no_client_credentials() {
    let draft = || code_app().flow(Flow::ClientCredentials);
    let grant = [("grant_type", "client_credentials")];
    for origin in ORIGINS {
        let world = world();
        let app = described(&world, draft(), origin);
        world.post(&app, &grant).assert_error(400, "unauthorized_client");
    }
    let world = world();
    let app = described(&world, draft(), AppOrigin::Registered);
    assert_eq!(world.post(&app, &grant).status, 200);
}

/// L17: no JWT bearer grant and no impersonation, also if the assertion alone would authenticate the app; and no
/// refresh by a grant of that flow.
#[test]
fn a_self_described_app_impersonates_no_user() {
    let jwt = || backend_jwt().with_refresh_token(true);
    let alone = || {
        AppDraft::public("Alone").flow(Flow::JwtBearer).scope(scope("a b c")).refresh_token(true)
    };
    for draft in [
        backend_app().jwt(jwt()).refresh_token(true),
        alone().jwt(jwt().with_assertion_authenticates(true)),
    ] {
        for origin in ORIGINS {
            let world = world();
            let app = described(&world, draft.clone(), AppOrigin::Registered);
            let answer = world.act(&app, &json!({}));
            assert_eq!(answer.status, 200, "{answer:?}");
            block_on(world.server.admin("tester").set_origin(&app.id, origin)).unwrap();
            world.act(&app, &json!({})).assert_error(400, "unauthorized_client");
            world
                .refresh(&app, answer.text("refresh_token"))
                .assert_error(400, "unauthorized_client");
        }
    }
}

/// L17: no introspection, also of its own tokens and as the app of an API, and no feed of revocations.
#[test]
fn a_self_described_app_introspects_nothing() {
    for origin in ORIGINS {
        let world = world();
        let app = described(&world, code_app(), AppOrigin::Registered);
        let tokens = world.tokens(&app);
        block_on(world.server.admin("tester").set_origin(&app.id, origin)).unwrap();
        for token in ["access_token", "refresh_token"] {
            let answer = world.introspect(&app, tokens.text(token));
            answer.assert_error(400, "unauthorized_client");
            assert_eq!(world.last_event().outcome.reason(), Some("self_described_app"));
        }
        // Users consented to its code flow, so that goes on.
        assert_eq!(world.refresh(&app, tokens.text("refresh_token")).status, 200);
    }
    let world = world();
    let app = described(&world, code_app(), AppOrigin::Registered);
    let tokens = world.tokens(&app);
    assert_eq!(world.introspect(&app, tokens.text("access_token")).status, 200);
}

#[test]
fn self_described_apps_are_listed_apart() {
    let world = world();
    let other = world.register(code_app());
    let app = described(&world, code_app(), AppOrigin::SelfRegistered);
    let admin = world.server.admin("tester");
    for (query, expected) in [
        (AppQuery::all().self_described(true), vec![&app.id]),
        (AppQuery::all().self_described(false), vec![&other.id]),
        (AppQuery::all().self_described(true).declared(true), vec![]),
    ] {
        let found = block_on(admin.list(&query, Page::first(10))).unwrap().items;
        let found: Vec<_> = found.iter().map(|app| app.client_id()).collect();
        assert_eq!(found, expected);
    }
    let read = block_on(admin.find(&app.id)).unwrap().unwrap();
    assert!(read.origin().is_self_described() && !read.origin().is_declared());
    let record = serde_json::to_value(&*read).unwrap();
    assert_eq!(record["origin"], "self_registered");
}
