//! The tokens of the server at an API that verifies them.

use std::sync::Arc;

use grantor::app::{AppDraft, Flow};
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::clock::Clock;
use grantor::ids::{Resource, Subject};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::protocol::ScopeToken;
use grantor::resource_server::{BearerVerifier, RevocationList};
use grantor::store::RevocationTarget;
use pollster::block_on;

use crate::support::{App, ISSUER, World, code_app, scope};

const API: &str = "https://api.example.com";

/// An API beside the server: it has the server's public keys and follows its feed.
struct Api {
    verifier: BearerVerifier,
    list: Arc<RevocationList>,
}

impl Api {
    fn beside(world: &World) -> Self {
        let list = Arc::new(RevocationList::new());
        let keys = VerifyingKeys::from_jwk_set(&world.server.jwk_set()).unwrap();
        let endpoint = |method: &str, path: &str, scope: &str| {
            Endpoint::new(method, path, ScopeToken::new(scope).unwrap()).unwrap()
        };
        let catalog = ApiCatalog::new([
            endpoint("GET", "/users/{id}", "GET/users/*"),
            endpoint("PUT", "/users/{id}", "PUT/users/*"),
        ]);
        let verifier = BearerVerifier::new(world.server.issuer().clone(), keys)
            .with_clock(Arc::clone(&world.clock))
            .with_resource(Resource::new(API).unwrap())
            .with_revocations(Arc::clone(&list))
            .with_enforcement(catalog.compile().unwrap());
        Self { verifier, list }
    }

    fn read_feed(&self, world: &World) {
        block_on(self.list.poll(&world.store, world.clock.now())).unwrap();
    }

    /// Returns the status of `GET /users/42` with this token.
    fn status(&self, token: &str) -> u16 {
        let header = format!("Bearer {token}");
        let answer = self.verifier.authorize("GET", "/users/42", Some(&*header));
        answer.map_or_else(|challenge| challenge.status(), |_| 200)
    }

    /// The same, with the store in place of the list.
    fn status_by_store(world: &World, token: &str) -> u16 {
        let keys = world.server.verifying_keys().unwrap();
        let verifier = BearerVerifier::new(world.server.issuer().clone(), keys)
            .with_clock(Arc::clone(&world.clock))
            .with_resource(Resource::new(API).unwrap());
        let header = format!("Bearer {token}");
        let answer = block_on(verifier.check_with(&world.store, Some(&*header)));
        answer.map_or_else(|challenge| challenge.status(), |_| 200)
    }
}

/// An app that acts for itself at the API.
fn robot(world: &World) -> App {
    world.register(
        AppDraft::confidential("Robot")
            .flow(Flow::ClientCredentials)
            .scope(scope("GET/users/*"))
            .resources([Resource::new(API).unwrap()]),
    )
}

fn token(world: &World, app: &App) -> String {
    let form = [("grant_type", "client_credentials"), ("resource", API)];
    world.post(app, &form).text("access_token").to_owned()
}

/// S2, S3, S6, S7: a token is accepted for its audience, its scope and its lifetime.
#[test]
fn an_issued_token_is_accepted_for_its_audience_scope_and_lifetime() {
    let world = World::new();
    let (api, app) = (Api::beside(&world), robot(&world));
    let token = token(&world, &app);
    assert_eq!(api.status(&token), 503);
    api.read_feed(&world);
    assert_eq!(api.status(&token), 200);
    let header = format!("Bearer {token}");
    let claims = api.verifier.check(Some(&*header)).unwrap();
    assert_eq!(claims.client_id, app.id);
    assert_eq!(claims.subject, Subject::from(&app.id));
    for path in ["/users/42", "/groups/7"] {
        let refused = api.verifier.authorize("PUT", path, Some(&*header)).unwrap_err();
        assert_eq!(refused.status(), 403, "{path}");
    }
    let for_the_server = world.tokens(&world.register(code_app()));
    assert_eq!(api.status(for_the_server.text("access_token")), 401);
    world.advance(3_700);
    api.read_feed(&world);
    assert_eq!(api.status(&token), 401);
}

/// S2: the feed and the store agree on every revocation, for cached tokens, too.
#[test]
fn a_revoked_token_is_refused_and_a_later_one_is_not() {
    let world = World::new();
    let (api, app) = (Api::beside(&world), robot(&world));
    let admin = world.server.admin("root");
    let mut old = token(&world, &app);
    api.read_feed(&world);
    let header = format!("Bearer {old}");
    let grant_id = api.verifier.check(Some(&*header)).unwrap().grant_id;
    for target in [
        RevocationTarget::Grant(grant_id),
        RevocationTarget::App(app.id.clone()),
        RevocationTarget::Subject(Subject::from(&app.id)),
        RevocationTarget::AppAndSubject(app.id.clone(), Subject::from(&app.id)),
        RevocationTarget::Everything,
    ] {
        assert_eq!((api.status(&old), Api::status_by_store(&world, &old)), (200, 200));
        block_on(admin.revoke(target.clone())).unwrap();
        api.read_feed(&world);
        assert_eq!(
            (api.status(&old), Api::status_by_store(&world, &old)),
            (401, 401),
            "{target:?}"
        );
        world.advance(10);
        old = token(&world, &app);
    }
}

/// S2: disabling an app ends its tokens at the APIs.
#[test]
fn the_tokens_of_a_disabled_app_are_refused() {
    let world = World::new();
    let (api, app) = (Api::beside(&world), robot(&world));
    let admin = world.server.admin("root");
    let old = token(&world, &app);
    api.read_feed(&world);
    assert_eq!(api.status(&old), 200);
    block_on(admin.disable(&app.id)).unwrap();
    api.read_feed(&world);
    assert_eq!((api.status(&old), Api::status_by_store(&world, &old)), (401, 401));
    block_on(admin.enable(&app.id)).unwrap();
    world.advance(10);
    api.read_feed(&world);
    assert_eq!((api.status(&old), Api::status_by_store(&world, &old)), (401, 401));
    assert_eq!(api.status(&token(&world, &app)), 200);
}

/// A server that signs with a shared secret gives its keys to an API in the same process.
#[test]
fn hs256_tokens_are_verified_in_the_same_process() {
    let world = World::new();
    let key = SigningKey::generate(Algorithm::HS256).unwrap();
    let server = world.beside(key, Arc::clone(&world.store), Arc::clone(&world.users)).build();
    let server = Arc::new(server);
    let world = World { server, ..world };
    let answer = world.tokens(&world.register(code_app()));
    let keys = world.server.verifying_keys().unwrap();
    let verifier = BearerVerifier::new(world.server.issuer().clone(), keys)
        .with_clock(Arc::clone(&world.clock));
    let header = format!("Bearer {}", answer.text("access_token"));
    let claims = block_on(verifier.check_with(&world.store, Some(&*header))).unwrap();
    assert_eq!(
        (claims.subject.as_str(), claims.audience.as_slice()),
        ("ann", &[ISSUER.to_owned()][..])
    );
}
