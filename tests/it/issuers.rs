//! Two issuers with one secret, one key ring, and apps and users of the same names: nothing that one has made
//! is good at the other.

use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::endpoint::{Caller, Decision, LoginNeeded, NextStep};
use grantor::ids::Issuer;
use grantor::resource_server::BearerVerifier;
use grantor::server_secret::ServerSecret;
use grantor::store::conformance::Threads;
use grantor::store::{AppRegistry as _, MemoryStore};
use pollster::block_on;

use crate::consent::{ask, decide, rows};
use crate::support::{
    App, ISSUER, ROOT, Wire, World, ann, code_app, code_query, new_verifier, public_app, shown,
};

const OTHER: &str = "https://other.example.com";

/// A world at `ISSUER`, and one at `OTHER` with the same secret, keys, users and clock.
fn issuers() -> [World; 2] {
    let one = World::unlimited();
    let store = Arc::new(MemoryStore::new());
    let server = AuthorizationServer::builder(
        Issuer::new(OTHER).unwrap(),
        ServerSecret::new(ROOT).unwrap(),
        one.server.key_ring().clone(),
        Arc::clone(&store),
        Arc::clone(&one.users),
    );
    let server = server.clock(Arc::clone(&one.clock)).audit(Arc::clone(&one.audit));
    let other = World {
        server: Arc::new(server.build()),
        clock: Arc::clone(&one.clock),
        audit: Arc::clone(&one.audit),
        users: Arc::clone(&one.users),
        store,
        source: one.source.clone(),
        wire: Wire::default(),
        runner: Threads,
    };
    [one, other]
}

/// Copies the record of an app to the store of another issuer.
fn copy(app: &App, from: &World, to: &World) {
    let record = block_on(from.store.find_app(&app.id)).unwrap().unwrap();
    block_on(to.store.insert_app((*record).clone())).unwrap();
}

/// Z37: a code and a refresh token are good at the issuer that made them.
#[test]
fn codes_and_refresh_tokens_of_one_issuer_are_refused_at_another() {
    let [one, other] = issuers();
    let app = one.register(public_app());
    copy(&app, &one, &other);
    let (code, verifier) = one.code(&app);
    other.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    let tokens = one.redeem(&app, &code, &verifier);
    assert_eq!(tokens.status, 200, "the attempt elsewhere has changed nothing");
    other.refresh(&app, tokens.text("refresh_token")).assert_error(400, "invalid_grant");
    other.revoke(&app, tokens.text("refresh_token"));
    assert_eq!(one.refresh(&app, tokens.text("refresh_token")).status, 200);
    assert_eq!(other.refresh(&app, other.tokens(&app).text("refresh_token")).status, 200);
}

/// Z37: the form of a consent page is decided at the issuer that showed it.
#[test]
fn a_ticket_of_one_issuer_decides_nothing_at_another() {
    let [one, other] = issuers();
    let app = one.register(public_app());
    copy(&app, &one, &other);
    let (prompt, _) = ask(&one, &app, &[]);
    let error = decide(&other, &prompt.ticket, &ann(), Decision::approve()).unwrap_err();
    assert_eq!(shown(&error), "invalid_request");
    assert_eq!(other.last_event().outcome.reason(), Some("invalid_ticket"));
    assert_eq!(rows(&other).len(), 0);
    assert!(decide(&one, &prompt.ticket, &ann(), Decision::approve()).is_ok());
}

/// Z37: a login that one issuer demanded satisfies no demand of another, also in the same browser.
#[test]
fn a_login_marker_of_one_issuer_satisfies_no_demand_of_another() {
    let [one, other] = issuers();
    let app = one.register(public_app());
    copy(&app, &one, &other);
    let next = |world: &World, query: &str| {
        let request = world.server.authorization_request(query, Caller::default());
        let request = block_on(request).unwrap().with_browser("the same browser");
        let login = ann().with_auth_time(world.clock_now());
        block_on(world.server.authorize(request, Some(&login))).unwrap()
    };
    let query = code_query(&app, &new_verifier(), &[("prompt", "login")]);
    let NextStep::LogIn(LoginNeeded { return_query, .. }) = next(&one, &query) else { panic!() };
    assert!(matches!(next(&other, &return_query), NextStep::LogIn(_)));
    assert!(matches!(next(&one, &return_query), NextStep::AskConsent(_)));
}

/// Z37: the stored digest of a client secret authenticates no app at another issuer.
#[test]
fn a_copied_record_does_not_authenticate_the_app() {
    let [one, other] = issuers();
    let app = one.register(code_app());
    copy(&app, &one, &other);
    let (code, verifier) = other.code(&app);
    other.redeem(&app, &code, &verifier).assert_error(401, "invalid_client");
    assert_eq!(one.tokens(&app).status, 200);
}

/// Z37: an access token names its issuer, although the keys are the same.
#[test]
fn an_access_token_of_one_issuer_is_none_of_another() {
    let [one, other] = issuers();
    let app = one.register(public_app());
    copy(&app, &one, &other);
    let tokens = one.tokens(&app);
    let header = format!("Bearer {}", tokens.text("access_token"));
    let check = |issuer: &str| {
        let keys = one.server.verifying_keys().unwrap();
        let api = BearerVerifier::new(Issuer::new(issuer).unwrap(), keys);
        let api = api.with_clock(Arc::clone(&one.clock));
        api.check(Some(header.as_str())).is_ok()
    };
    assert_eq!((check(ISSUER), check(OTHER)), (true, false));
    let guard = other.register(code_app());
    let asked = other.introspect(&guard, tokens.text("access_token"));
    assert_eq!(asked.json, serde_json::json!({ "active": false }));
    other.revoke(&app, tokens.text("access_token"));
    assert!(!one.is_revoked(&tokens));
}
