//! Authentication of the app beside or by its assertion, and the purposes of assertions.

use grantor::app::{AppDraft, ClientAuthentication, Flow};
use grantor::audit::Actor;
use grantor::endpoint::FormRequest;
use grantor::jwt::VerifyingKeys;
use pollster::block_on;
use serde_json::{Value, json};

use super::impersonation::{Directory, server_with};
use crate::assertions::{
    JWT_BEARER, Signer, backend_app, backend_jwt, backend_keys, impersonator, with,
};
use crate::support::{Answer, App, World, encode, scope};

const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn alone() -> AppDraft {
    impersonator(backend_jwt().with_assertion_authenticates(true))
}

fn public_alone() -> AppDraft {
    AppDraft::public("Kiosk")
        .flow(Flow::JwtBearer)
        .scope(scope("a b c"))
        .jwt(backend_jwt().with_assertion_authenticates(true))
}

/// Sends a request with only these parameters.
fn bare(world: &World, form: &[(&str, &str)]) -> Answer {
    world.post_form(None, &encode(form))
}

/// J24: if the app allows it, the assertion alone authenticates it, with and without `client_id`.
#[test]
fn an_assertion_alone_authenticates_an_app_that_allows_it() {
    let world = World::new();
    for app in [world.register(alone()), world.register(public_alone())] {
        let id = app.id.as_str();
        for with_id in [false, true] {
            let assertion = world.assertion(&app, &json!({}));
            let mut form = vec![("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
            form.extend(with_id.then_some(("client_id", id)));
            let answer = bare(&world, &form);
            assert_eq!(answer.status, 200, "{answer:?}");
            let claims = answer.claims();
            assert_eq!((&claims["client_id"], &claims["act"]["sub"]), (&json!(id), &json!(id)));
        }
    }
}

/// J24: presented credentials must be valid, even if none are required.
#[test]
fn presented_credentials_must_be_valid() {
    let world = World::new();
    let app = world.register(alone());
    assert_eq!(world.act(&app, &json!({})).status, 200);
    let assertion = world.assertion(&app, &json!({}));
    let liar = App { secret: Some("wrong".to_owned()), ..app.clone() };
    world.present(&liar, &assertion, &[]).assert_error(401, "invalid_client");
    let kiosk = world.register(public_alone());
    let liar = App { secret: Some("any".to_owned()), ..kiosk };
    world.act(&liar, &json!({})).assert_error(401, "invalid_client");
    let body = encode(&[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
    let header = crate::support::basic(app.id.as_str(), "wrong");
    world.post_form(Some(&header), &body).assert_error(401, "invalid_client");
}

/// J24: by default a confidential app authenticates in addition to its assertion.
#[test]
fn by_default_an_app_must_authenticate_in_addition_to_its_assertion() {
    let world = World::new();
    let app = world.register(backend_app());
    let assertion = world.assertion(&app, &json!({}));
    let grant = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    bare(&world, &grant).assert_error(401, "invalid_client");
    let named = [grant[0], grant[1], ("client_id", app.id.as_str())];
    bare(&world, &named).assert_error(401, "invalid_client");
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
}

/// J24: the assertion replaces the app's credentials with this grant only.
#[test]
fn an_assertion_authenticates_no_other_grant() {
    let world = World::new();
    let jwt = backend_jwt().with_assertion_authenticates(true).with_refresh_token(true);
    let app = world.register(impersonator(jwt).refresh_token(true).flow(Flow::ClientCredentials));
    let nameless = App { secret: None, ..app.clone() };
    let tokens = world.act(&nameless, &json!({}));
    let refresh_token = tokens.text("refresh_token");
    world.refresh(&nameless, refresh_token).assert_error(401, "invalid_client");
    let form = [("grant_type", "client_credentials")];
    world.post(&nameless, &form).assert_error(401, "invalid_client");
    let assertion = world.assertion(&app, &json!({}));
    let form = [("grant_type", "client_credentials"), ("assertion", &assertion)];
    bare(&world, &form).assert_error(401, "invalid_client");
    assert_eq!(world.refresh(&app, refresh_token).status, 200);
}

/// J5, J24: an assertion of an unknown app, under another app's key, or of another app than the one
/// named authenticates no app.
#[test]
fn an_assertion_alone_must_name_and_prove_its_app() {
    let world = World::new();
    let app = world.register(alone());
    let other = world.register(alone());
    let stranger = json!({ "iss": "unknown" });
    let assertion = world.assertion(&app, &stranger);
    let grant = |assertion: &str| encode(&[("grant_type", JWT_BEARER), ("assertion", assertion)]);
    world.post_form(None, &grant(&assertion)).assert_error(400, "invalid_grant");
    let nameless = App { secret: None, ..other };
    let mine = world.assertion(&app, &json!({}));
    world.present(&nameless, &mine, &[]).assert_error(400, "invalid_grant");
    let forged = Signer::hmac(jsonwebtoken::Algorithm::HS256, &[7; 32]).sign(&world.claims(&app));
    world.post_form(None, &grant(&forged)).assert_error(400, "invalid_grant");
    assert_eq!(world.post_form(None, &grant(&mine)).status, 200);
}

/// Z19: without client authentication, an assertion that names no app is an invalid grant. The answer
/// names the claim, and the audit log says the same.
#[test]
fn an_assertion_that_names_no_app_is_an_invalid_grant() {
    let world = World::new();
    let app = world.register(alone());
    let signer = Signer::backend();
    let claims = world.claims(&app);
    let change = |change: Value| signer.sign(&with(&claims, &change));
    let good = change(json!({}));
    for (assertion, text) in [
        ("a.b.c".to_owned(), "not a JWT in compact form"),
        ("x".to_owned(), "not a JWT in compact form"),
        (format!("{good}\n"), "not a JWT in compact form"),
        (signer.sign_raw(r#"{"alg":"EdDSA"}"#, "[]"), "not a JSON object"),
        (signer.sign_raw(r#"{"alg":"EdDSA"}"#, r#"{"iss":"a","iss":"a"}"#), "given twice"),
        (change(json!({ "iss": null })), "the claim iss is missing"),
        (change(json!({ "iss": 7 })), "the claim iss is missing or not a string"),
        (change(json!({ "iss": "unknown" })), "the claim iss is not the expected one"),
        (change(json!({ "iss": "" })), "the claim iss is not the expected one"),
        (change(json!({ "iss": "i".repeat(300) })), "the claim iss is not the expected one"),
    ] {
        let answer = bare(&world, &[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
        answer.assert_error(400, "invalid_grant");
        assert!(answer.text("error_description").contains(text), "{text}: {answer:?}");
        let event = world.last_event();
        assert_eq!(event.outcome.reason(), Some("assertion"), "{event:?}");
    }
    // A client that names itself is authenticated first.
    let named = [("grant_type", JWT_BEARER), ("assertion", "a.b.c"), ("client_id", "unknown")];
    bare(&world, &named).assert_error(401, "invalid_client");
    bare(&world, &[("grant_type", JWT_BEARER), ("assertion", &good)]);
    assert_eq!(world.last_event().outcome.as_str(), "success");
}

/// J24: if an app is named beside an assertion that it did not sign, neither its budget nor the
/// audit log names it.
#[test]
fn an_app_is_not_authenticated_by_an_assertion_that_it_did_not_sign() {
    let world = World::new();
    let app = world.register(alone());
    let nameless = App { secret: None, ..app.clone() };
    let forged = Signer::hmac(jsonwebtoken::Algorithm::HS256, &[7; 32]).sign(&world.claims(&app));
    for _ in 0..3 {
        world.present(&nameless, &forged, &[]).assert_error(400, "invalid_grant");
        assert_eq!(world.last_event().actor, Actor::Unknown);
        assert_eq!(world.last_event().client_id.as_ref(), Some(&app.id));
    }
    assert_eq!(world.server.usage(&app.id).refused, 0);
    assert_eq!(world.act(&nameless, &json!({})).status, 200);
    assert_eq!(world.last_event().actor, Actor::App(app.id));
}

fn key_app() -> AppDraft {
    backend_app().authentication(ClientAuthentication::PrivateKeyJwt(backend_keys()))
}

/// Claims by which `app` authenticates itself.
fn login(world: &World, app: &App) -> Value {
    with(&world.claims(app), &json!({ "sub": app.id.as_str() }))
}

fn both_assertions<'a>(login: &'a str, grant: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", JWT_BEARER),
        ("assertion", grant),
        ("client_assertion_type", CLIENT_ASSERTION),
        ("client_assertion", login),
    ]
}

fn present_both(world: &World, login: &str, grant: &str) -> Answer {
    bare(world, &both_assertions(login, grant))
}

/// J31: a client assertion is not a grant, and a grant does not authenticate, even under the same
/// key.
#[test]
fn an_assertion_for_one_purpose_is_refused_for_the_other() {
    let world = World::new();
    let app = world.register(key_app());
    let signer = Signer::backend();
    let log_in = || signer.sign(&login(&world, &app));
    let act = || world.assertion(&app, &json!({}));
    let answer = present_both(&world, &log_in(), &act());
    assert_eq!(answer.status, 200, "{answer:?}");

    present_both(&world, &log_in(), &log_in()).assert_error(400, "invalid_grant");
    present_both(&world, &act(), &act()).assert_error(401, "invalid_client");
    present_both(&world, &act(), &log_in()).assert_error(401, "invalid_client");
    let (one, two) = (log_in(), act());
    present_both(&world, &one, &one).assert_error(400, "invalid_grant");
    present_both(&world, &two, &two).assert_error(401, "invalid_client");
}

/// J31: if a claim other than `sub` names the user, an assertion still cannot serve both purposes.
#[test]
fn a_user_claim_does_not_turn_a_client_assertion_into_a_grant() {
    let world = World::new();
    let jwt = backend_jwt().with_user_claim("email");
    let draft = impersonator(jwt);
    let app =
        world.register(draft.authentication(ClientAuthentication::PrivateKeyJwt(backend_keys())));
    let server = server_with(&world, Directory::Mail(World::new()));
    let present = |login: &str, grant: &str| {
        let body = encode(&both_assertions(login, grant));
        Answer::from(block_on(server.token(&FormRequest::new(&body))))
    };
    let signer = Signer::backend();
    let both = with(&login(&world, &app), &json!({ "email": "ann@example.com" }));
    let log_in = || signer.sign(&login(&world, &app));
    present(&log_in(), &signer.sign(&both)).assert_error(400, "invalid_grant");
    let user_only = with(&both, &json!({ "sub": null, "jti": "2" }));
    assert_eq!(present(&log_in(), &signer.sign(&user_only)).status, 200);
}

/// J31: an explicit type (RFC 8725 section 3.11) is bound to its purpose.
#[test]
fn an_explicit_type_is_bound_to_its_purpose() {
    let world = World::new();
    let app = world.register(key_app());
    let typed = |typ: &str| Signer::backend().with_typ(Some(typ));
    let (login_type, grant_type) = ("client-authentication+jwt", "authorization-grant+jwt");
    let log_in = |typ: &str| typed(typ).sign(&login(&world, &app));
    let act = |typ: &str| typed(typ).sign(&world.claims(&app));
    assert_eq!(present_both(&world, &log_in(login_type), &act(grant_type)).status, 200);
    present_both(&world, &log_in(grant_type), &act(grant_type)).assert_error(401, "invalid_client");
    present_both(&world, &log_in(login_type), &act(login_type)).assert_error(400, "invalid_grant");
    present_both(&world, &log_in(login_type), &act("at+jwt")).assert_error(400, "invalid_grant");
    let untyped = Signer::backend().with_typ(None);
    let (one, two) = (untyped.sign(&login(&world, &app)), untyped.sign(&world.claims(&app)));
    assert_eq!(present_both(&world, &one, &two).status, 200);
}

/// J31: a client assertion and a grant may share a `jti`; neither consumes the other.
#[test]
fn a_client_assertion_and_a_grant_may_share_a_jti() {
    let world = World::new();
    let app = world.register(key_app());
    let same = json!({ "jti": "same" });
    let one = Signer::backend().sign(&with(&login(&world, &app), &same));
    let two = world.assertion(&app, &same);
    assert_eq!(present_both(&world, &one, &two).status, 200);
    present_both(&world, &one, &two).assert_error(401, "invalid_client");
    let fresh = Signer::backend().sign(&login(&world, &app));
    present_both(&world, &fresh, &two).assert_error(400, "invalid_grant");
}

/// J31: an access token of this server is not an assertion, even if the app trusts the server's
/// keys.
#[test]
fn an_access_token_is_not_an_assertion() {
    let world = World::new();
    let keys = VerifyingKeys::from_jwk_set(&world.server.jwk_set()).unwrap();
    let jwt = grantor::app::JwtSettings::keys(keys)
        .with_issuer(crate::support::ISSUER)
        .with_max_lifetime(3_600)
        .with_impersonation(grantor::app::ImpersonationPolicy::anyone());
    let app = world.register(impersonator(jwt));
    let back_end = world.register(backend_app());
    let token = world.act(&back_end, &json!({}));
    let answer = world.present(&app, token.text("access_token"), &[]);
    answer.assert_error(400, "invalid_grant");
    assert!(answer.text("error_description").contains("typ"), "{answer:?}");
}
