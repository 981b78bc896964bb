//! `private_key_jwt` of apps whose keys are in their document, or at a `jwks_uri`.

use std::sync::Arc;

use grantor::app::ClientAuthentication;
use grantor::app::JwksUri;
use grantor::endpoint::FormRequest;
use http::Response;
use pollster::block_on;
use serde_json::{Value, json};

use super::site::{EDITOR, Site, app, documents, refusal, world, world_with};
use crate::assertions::{Signer, fixture};
use crate::support::{Answer, App, CALLBACK, ISSUER, World, encode, machine_app, new_key};

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
