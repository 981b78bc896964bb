//! `private_key_jwt` of apps whose keys are in their document, or at a `jwks_uri`.

use std::sync::Arc;

use grantor::app::{AppOrigin, ClientAuthentication, JwksUri, RateQuota};
use grantor::endpoint::{FormRequest, GoneDocument};
use grantor::ids::Source;
use grantor::jwt::VerifyingKeys;
use grantor::rate_limit::RateLimits;
use http::Response;
use pollster::block_on;
use serde_json::{Value, json};

use super::site::{EDITOR, Site, app, documents, refusal, row, world, world_with};
use crate::assertions::{Signer, fixture};
use crate::support::{
    Answer, App, CALLBACK, ISSUER, World, code_query, encode, machine_app, new_key, new_verifier,
};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const KEYS: &str = "https://keys.example/jwks";

/// A JWK Set with the public key of the fixtures, under this id.
fn jwks(kid: &str) -> Value {
    let keys = crate::assertions::backend_keys();
    let mut set = serde_json::to_value(&keys).unwrap();
    set["keys"][0]["kid"] = kid.into();
    set
}

fn publish_keys(site: &Site, kid: &str) {
    let answer = Response::builder().header("content-type", "application/jwk-set+json");
    site.answer(KEYS, answer.body(jwks(kid).to_string().into_bytes()).unwrap());
}

/// Redeems a code of `app` with an assertion by the key `kid`.
fn redeem(world: &World, app: &App, kid: &str) -> Answer {
    let (code, verifier) = world.code(app);
    let assertion = signed(world, app, kid);
    world.post(
        app,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &verifier),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
        ],
    )
}

/// Sends `form` with an assertion by the key `kid`.
fn post_signed(world: &World, app: &App, kid: &str, form: &[(&str, &str)]) -> Answer {
    let assertion = signed(world, app, kid);
    let by = [("client_assertion_type", ASSERTION), ("client_assertion", &*assertion)];
    world.post(app, &[form, &by].concat())
}

/// Authenticates with an assertion by the key `kid`, and asks for a grant that the app may not have: 400 after the
/// authentication.
fn authenticate(world: &World, app: &App, kid: &str) -> Answer {
    post_signed(world, app, kid, &[("grant_type", "client_credentials")])
}

fn signed(world: &World, app: &App, kid: &str) -> String {
    let claims = crate::assertions::with(
        &world.claims(app),
        &json!({"sub": app.id.as_str(), "aud": ISSUER}),
    );
    Signer::ed25519(&fixture("ed25519_private")).with_kid(kid).sign(&claims)
}

/// L15: an app signs with a key of its document.
#[test]
fn an_app_signs_with_a_key_of_its_document() {
    let (world, site) = world();
    site.publish(
        EDITOR,
        &json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks("1")}),
    );
    let editor = app(EDITOR);
    assert_eq!(redeem(&world, &editor, "1").status, 200);
    redeem(&world, &editor, "2").assert_error(401, "invalid_client");
    let (code, verifier) = world.code(&editor);
    world.redeem(&editor, &code, &verifier).assert_error(401, "invalid_client");
    assert_eq!(site.fetches(), 1);
}

/// L15: the keys of an app follow its document. One that the document no longer has ends with the freshness of the
/// document, and a new one counts within a minute, both without another consent. The rest of the row waits for one.
#[test]
fn the_keys_of_an_app_follow_its_document() {
    let (world, site) = world();
    let with_key = |kid: &str, name: &str| {
        json!({"client_name": name, "token_endpoint_auth_method": "private_key_jwt",
            "jwks": jwks(kid)})
    };
    site.publish(EDITOR, &with_key("1", "Editor"));
    let editor = app(EDITOR);
    assert_eq!(redeem(&world, &editor, "1").status, 200);
    assert_eq!(site.fetches(), 1);
    site.publish(EDITOR, &with_key("2", "Another"));
    assert_eq!(authenticate(&world, &editor, "1").status, 400, "the document is fresh");
    for _ in 0..3 {
        authenticate(&world, &editor, "2").assert_error(401, "invalid_client");
    }
    assert_eq!(site.fetches(), 1, "a minute has not passed");
    world.advance(60);
    assert_eq!(authenticate(&world, &editor, "2").status, 400, "authenticated");
    authenticate(&world, &editor, "1").assert_error(401, "invalid_client");
    assert_eq!(site.fetches(), 2);
    let stored = row(&world, EDITOR).unwrap();
    assert_eq!(stored.settings().name(), "Editor");

    // Without an unknown key, the document is fetched when it is no longer fresh.
    site.publish(EDITOR, &with_key("3", "Another"));
    world.advance(299);
    assert_eq!(authenticate(&world, &editor, "2").status, 400);
    world.advance(1);
    authenticate(&world, &editor, "2").assert_error(401, "invalid_client");
    assert_eq!(site.fetches(), 3);
}

/// L15: a document without keys ends those of before, and one that moves them to a `jwks_uri` is followed there.
#[test]
fn a_document_may_drop_or_move_its_keys() {
    let (world, site) = world();
    let inline = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks("1")});
    site.publish(EDITOR, &inline);
    let editor = app(EDITOR);
    assert_eq!(redeem(&world, &editor, "1").status, 200);
    site.publish(
        EDITOR,
        &json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS}),
    );
    publish_keys(&site, "2");
    world.advance(300);
    assert_eq!(authenticate(&world, &editor, "2").status, 400);
    authenticate(&world, &editor, "1").assert_error(401, "invalid_client");
    site.publish(EDITOR, &json!({}));
    world.advance(300);
    authenticate(&world, &editor, "2").assert_error(401, "invalid_client");
    assert_eq!(world.last_event().outcome.reason(), Some("client_keys_unavailable"));
    let (code, verifier) = world.code(&editor);
    assert_eq!(world.redeem(&editor, &code, &verifier).status, 200, "a user has agreed");
}

/// L15: while the document is not reachable, the keys that it had are used for a day. If it is gone, they end.
#[test]
fn the_keys_of_a_document_that_is_not_reachable_are_used_for_a_day() {
    let (world, site) = world();
    let inline = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks("1")});
    site.publish(EDITOR, &inline);
    let editor = app(EDITOR);
    let tokens = redeem(&world, &editor, "1");
    site.answer(EDITOR, Response::builder().status(500).body(Vec::new()).unwrap());
    world.advance(300);
    let before = site.fetches();
    for _ in 0..3 {
        assert_eq!(authenticate(&world, &editor, "1").status, 400);
    }
    assert_eq!(site.fetches(), before + 1, "a minute has not passed");
    world.advance(86_400 - 300);
    assert_eq!(authenticate(&world, &editor, "1").status, 400);
    world.advance(1);
    authenticate(&world, &editor, "1").assert_error(401, "invalid_client");
    assert_eq!(world.last_event().outcome.reason(), Some("client_keys_unavailable"));
    site.publish(EDITOR, &inline);
    world.advance(60);
    assert_eq!(authenticate(&world, &editor, "1").status, 400);
    site.take_down(EDITOR);
    world.advance(301);
    authenticate(&world, &editor, "1").assert_error(401, "invalid_client");
    assert_eq!(world.last_event().outcome.reason(), Some("client_document_gone"));
    assert!(row(&world, EDITOR).unwrap().metadata_document().unwrap().is_gone());
    let refresh = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    post_signed(&world, &editor, "1", &form).assert_error(400, "invalid_grant");
}

/// L15: with [`GoneDocument::KeepGrants`], the keys of a document that is gone serve its grants to their end.
#[test]
fn the_keys_of_a_gone_document_serve_its_grants_if_the_host_wants() {
    let (world, site) = world_with(|documents| documents.gone(GoneDocument::KeepGrants));
    let inline = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks("1")});
    site.publish(EDITOR, &inline);
    let editor = app(EDITOR);
    let mut tokens = redeem(&world, &editor, "1");
    site.take_down(EDITOR);
    for seconds in [301, 1, 2 * 86_400, 1] {
        world.advance(seconds);
        let refresh = tokens.text("refresh_token").to_owned();
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
        tokens = post_signed(&world, &editor, "1", &form);
        assert_eq!(tokens.status, 200, "{tokens:?}");
    }
    assert_eq!(site.fetches(), 3);
}

/// L15, L18: a fetch of keys is charged to its source like that of a document. Known keys are used if it is refused.
#[test]
fn a_fetch_of_keys_is_charged_to_its_source() {
    let site = Arc::new(Site::default());
    let with_keys = |number: usize| {
        let uri = format!("https://keys{number}.example/jwks");
        let answer = Response::builder().header("content-type", "application/jwk-set+json");
        site.answer(&uri, answer.body(jwks("1").to_string().into_bytes()).unwrap());
        let url = format!("https://a{number}.example/c");
        let changes = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri});
        site.publish(&url, &changes);
        app(&url)
    };
    let limits = RateLimits::none().with_source_documents(RateQuota::new(1, 2));
    let documents = documents(&site);
    let world = World::with(|builder| builder.client_documents(documents).rate_limits(limits));
    let apps: Vec<_> = (0..4).map(with_keys).collect();
    // The consents come from users without a source.
    let code = |app: &App| {
        let verifier = new_verifier();
        let mut answer = world.approve(&code_query(app, &verifier, &[])).unwrap();
        (answer.remove("code").unwrap(), verifier.expose_secret().to_owned())
    };
    let codes: Vec<_> = apps.iter().map(code).collect();
    let before = site.fetches();
    let redeem = |number: usize, source: &str| {
        let (code, verifier) = &codes[number];
        let assertion = signed(&world, &apps[number], "1");
        let form = encode(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
        ]);
        let source = Source::new(source).unwrap();
        let request = FormRequest::new(&form).source(&source);
        block_on(world.server.token(&request)).map(|_| ()).map_err(|error| error.status())
    };
    assert_eq!(redeem(0, "192.0.2.1"), Ok(()));
    assert_eq!(redeem(1, "192.0.2.1"), Ok(()));
    assert_eq!(redeem(2, "192.0.2.1"), Err(429));
    assert_eq!(redeem(2, "192.0.2.2"), Ok(()), "another source");
    assert_eq!(redeem(3, "192.0.2.1"), Err(429));
    assert_eq!(site.fetches(), before + 3);
    // The keys of the first app are known.
    world.advance(3_600);
    assert_ne!(redeem(0, "192.0.2.1"), Err(429));
}

/// L15, C30: keys at a `jwks_uri` are fetched for the first assertion; an unknown key leads to one fetch a minute, and
/// known ones are used while the host of the keys is down.
#[test]
fn an_app_signs_with_a_key_at_its_jwks_uri() {
    let (world, site) = world();
    site.publish(
        EDITOR,
        &json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS}),
    );
    publish_keys(&site, "1");
    let editor = app(EDITOR);
    let keys_fetched = || site.fetches() - 1;
    assert_eq!(redeem(&world, &editor, "1").status, 200);
    assert_eq!(redeem(&world, &editor, "1").status, 200);
    assert_eq!(keys_fetched(), 1);
    publish_keys(&site, "2");
    for _ in 0..3 {
        redeem(&world, &editor, "2").assert_error(401, "invalid_client");
    }
    assert_eq!(keys_fetched(), 1, "a minute has not passed");
    world.advance(60);
    assert_eq!(redeem(&world, &editor, "2").status, 200);
    redeem(&world, &editor, "1").assert_error(401, "invalid_client");
    assert_eq!(keys_fetched(), 2);
    site.take_down(KEYS);
    world.advance(120);
    assert_eq!(redeem(&world, &editor, "2").status, 200);
}

/// L15: a new key of another algorithm is unknown, too, and so fetched.
#[test]
fn an_app_may_change_the_algorithm_of_its_keys() {
    let (world, site) = world();
    site.publish(
        EDITOR,
        &json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS}),
    );
    let editor = app(EDITOR);
    world.code(&editor);
    let es256 = VerifyingKeys::from_pem(&fixture("p256_public")).unwrap();
    let answer = Response::builder().header("content-type", "application/jwk-set+json");
    site.answer(KEYS, answer.body(serde_json::to_vec(&es256).unwrap()).unwrap());
    authenticate(&world, &editor, "1").assert_error(401, "invalid_client");
    publish_keys(&site, "1");
    world.advance(60);
    assert_eq!(authenticate(&world, &editor, "1").status, 400);
}

/// L14: the lists of hosts are asked for the keys of an app that registered itself, too. Those of an administrator's app
/// may be anywhere.
#[test]
fn the_lists_of_hosts_hold_for_the_keys_of_every_app_that_describes_itself() {
    let (world, site) = world_with(|documents| documents.deny_hosts(["keys.example"]));
    publish_keys(&site, "1");
    let method = ClientAuthentication::PrivateKeyJwtUri(JwksUri::new(KEYS).unwrap());
    let app = world.register(machine_app().authentication(method));
    let admin = world.server.admin("tester");
    block_on(admin.set_origin(&app.id, AppOrigin::SelfRegistered)).unwrap();
    authenticate(&world, &app, "1").assert_error(401, "invalid_client");
    assert_eq!(world.last_event().outcome.reason(), Some("client_keys_unavailable"));
    assert_eq!(site.fetches(), 0);
    block_on(admin.set_origin(&app.id, AppOrigin::Registered)).unwrap();
    assert_eq!(authenticate(&world, &app, "1").status, 200);
}

/// C30: a registered app may have its keys at a `jwks_uri`, too. A server that fetches none refuses it.
#[test]
fn a_registered_app_has_its_keys_at_a_jwks_uri() {
    let method = || ClientAuthentication::PrivateKeyJwtUri(JwksUri::new(KEYS).unwrap());
    let token = |world: &World, app: &App| {
        let assertion = signed(world, app, "1");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
        ];
        world.post(app, &form)
    };
    let site = Arc::new(Site::default());
    publish_keys(&site, "1");
    let keys = Arc::clone(&site);
    let world = World::with(|builder| builder.app_keys(keys));
    let app = world.register(machine_app().authentication(method()));
    assert_eq!(token(&world, &app).status, 200);
    assert_eq!(token(&world, &app).status, 200);
    assert_eq!(site.fetches(), 1);
    let written = serde_json::to_value(method()).unwrap();
    assert_eq!(written, json!({"private_key_jwt_uri": KEYS}));

    let world = World::new();
    let app = world.register(machine_app().authentication(method()));
    token(&world, &app).assert_error(401, "invalid_client");
    world.assert_refused("client", "client_keys_unavailable", Some("authentication"));
}

/// L14: the lists of hosts are asked for the `jwks_uri` of a document, too: when it is read, and before keys are fetched
/// for a row of an earlier list.
#[test]
fn keys_on_a_refused_host_are_not_fetched() {
    let method = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS});
    let (world, site) = world_with(|documents| documents.deny_hosts(["keys.example"]));
    site.publish(EDITOR, &method);
    assert_eq!(refusal(&world, EDITOR), "client_document_host");
    assert_eq!(site.fetches(), 1);

    let (world, site) = super::site::world();
    site.publish(EDITOR, &method);
    publish_keys(&site, "1");
    let (code, verifier) = world.code(&app(EDITOR));
    let denying = world.beside(new_key(), Arc::clone(&world.store), Arc::clone(&world.users));
    let denying = denying.client_documents(documents(&site).deny_hosts(["keys.example"])).build();
    let assertion = signed(&world, &app(EDITOR), "1");
    let form = encode(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &verifier),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", &assertion),
    ]);
    let refused = block_on(denying.token(&FormRequest::new(&form))).unwrap_err();
    assert_eq!(refused.status(), 401);
    assert_eq!(site.fetches(), 1);
}

/// L15: no keys are fetched for an app that an administrator disabled.
#[test]
fn no_keys_are_fetched_for_a_disabled_app() {
    let (world, site) = world();
    site.publish(
        EDITOR,
        &json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS}),
    );
    publish_keys(&site, "1");
    let editor = app(EDITOR);
    let (code, _) = world.code(&editor);
    block_on(world.server.admin("tester").disable(&editor.id)).unwrap();
    for kid in ["1", "2"] {
        let assertion = signed(&world, &editor, kid);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", CALLBACK),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &*assertion),
        ];
        world.post(&editor, &form).assert_error(401, "invalid_client");
        assert_eq!(world.last_event().outcome.reason(), Some("app_disabled"));
    }
    assert_eq!(site.fetches(), 1);
}
