//! The JWT bearer grant (RFC 7523 section 2.1), with impersonation.

mod assertion;
mod check_user;
mod client;
mod impersonation;
mod keys;
mod optional_jti;
mod signed_scope;
mod single_use;

use grantor::app::{AppDraft, Flow, ImpersonationPolicy};
use grantor::clock::UnixTime;
use grantor::ids::Resource;
use grantor::observe::Step;
use serde_json::json;

use crate::assertions::{JWT_BEARER, backend_app, backend_jwt, backend_keys, impersonator};
use crate::support::{ISSUER, START, World, code_app, scope};

/// The access token names the user, the app, and the app as actor. The server's published keys
/// verify it.
#[test]
fn an_assertion_is_exchanged_for_an_access_token_of_the_user() {
    let world = World::new();
    let app = world.register(backend_app());
    let answer = world.act(&app, &json!({}));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.text("scope"), "a b c");
    assert_eq!(answer.json["expires_in"], 3_600);

    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&world.server.jwk_set()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&keys.keys[0]).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&[ISSUER]);
    rules.set_issuer(&[ISSUER]);
    rules.validate_exp = false;
    let token = answer.text("access_token");
    let judged = jsonwebtoken::decode::<serde_json::Value>(token, &key, &rules).unwrap();
    assert_eq!(judged.header.typ.as_deref(), Some("at+jwt"));
    let claims = judged.claims;
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["client_id"], app.id.as_str());
    assert_eq!(claims["act"], json!({ "sub": app.id.as_str() }));
    assert_eq!(claims["scope"], "a b c");
    assert_eq!(claims["iat"], START);
    assert_eq!(claims["exp"], START + 3_600);
    // Before the first check, by less than the hosts' clocks may differ.
    assert_eq!(claims["authorized_at"], START * 1_000 - 5_000);
    assert_ne!(claims["jti"], world.claims(&app)["jti"]);

    let event = world.last_event();
    assert_eq!(event.outcome.as_str(), "success");
    assert_eq!(event.subject.unwrap().as_str(), "ann");
    assert_eq!(event.grant_id.unwrap().to_string(), claims["grant_id"]);
}

/// J1: a missing or empty `assertion` is an invalid request, authenticated or not.
#[test]
fn the_assertion_parameter_is_required() {
    let world = World::new();
    let app = world.register(backend_app());
    for form in
        [&[("grant_type", JWT_BEARER)][..], &[("grant_type", JWT_BEARER), ("assertion", "")]]
    {
        let answer = world.post(&app, form);
        answer.assert_error(400, "invalid_request");
        assert_eq!(answer.text("error_description"), "assertion is missing");
    }
    let body = format!("grant_type={JWT_BEARER}&client_id=unknown");
    world.post_form(None, &body).assert_error(400, "invalid_request");
}

/// J2: an assertion that is not a compact JWT is an invalid grant.
#[test]
fn a_malformed_jwt_is_an_invalid_grant() {
    let world = World::new();
    let app = world.register(backend_app());
    let good = world.assertion(&app, &json!({}));
    let bad = [
        "x".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "null".to_owned(),
        r#"{"payload":"e30","signatures":[]}"#.to_owned(),
        "ünïcode.ünïcode.ünïcode".to_owned(),
        format!("{good}."),
        format!("{good}.{good}"),
        format!(" {good}"),
        format!("{good}="),
        good.replace('.', ".."),
        "a".repeat(16 * 1024),
    ];
    for assertion in bad {
        world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
        assert_eq!(world.last_event().outcome.step(), Some(Step::Grant));
    }
    assert_eq!(world.present(&app, &good, &[]).status, 200, "a malformed JWT consumes nothing");
    world.present(&app, &"a".repeat(16 * 1024 + 1), &[]).assert_error(400, "invalid_request");
}

/// J21: scope beyond the app or its impersonation policy is refused, in the parameter and in the
/// claim.
#[test]
fn scope_beyond_the_app_or_its_policy_is_refused() {
    let world = World::new();
    let app = world.register(backend_app());
    let policy = ImpersonationPolicy::anyone().with_scope(scope("a b d"));
    let limited = world.register(impersonator(backend_jwt().with_impersonation(policy)));
    for (app, scope) in [(&app, "d"), (&app, "a d"), (&limited, "c"), (&limited, "d")] {
        let plain = world.assertion(app, &json!({}));
        world.present(app, &plain, &[("scope", scope)]).assert_error(400, "invalid_scope");
        world.act(app, &json!({ "scope": scope })).assert_error(400, "invalid_scope");
    }
    let plain = world.assertion(&app, &json!({}));
    world.present(&app, &plain, &[("scope", "a\"")]).assert_error(400, "invalid_scope");
    world.act(&app, &json!({ "scope": "a\u{1}" })).assert_error(400, "invalid_scope");
    world.act(&app, &json!({ "scope": ["a"] })).assert_error(400, "invalid_grant");
    assert_eq!(world.present(&app, &plain, &[("scope", "a")]).text("scope"), "a");
}

/// J22: without a scope parameter the token has the scope of the assertion, else the app's, within
/// the policy. The parameter wins over the claim.
#[test]
fn without_a_scope_parameter_the_claim_or_the_app_decides() {
    let world = World::new();
    let app = world.register(backend_app());
    let policy = ImpersonationPolicy::anyone().with_scope(scope("b c d"));
    let limited = world.register(impersonator(backend_jwt().with_impersonation(policy)));
    assert_eq!(world.act(&app, &json!({})).text("scope"), "a b c");
    assert_eq!(world.act(&limited, &json!({})).text("scope"), "b c");
    assert_eq!(world.act(&app, &json!({ "scope": "b" })).text("scope"), "b");

    let nothing = ImpersonationPolicy::anyone().with_scope(scope("x"));
    let nothing = world.register(impersonator(backend_jwt().with_impersonation(nothing)));
    world.act(&nothing, &json!({})).assert_error(400, "invalid_scope");
    let scopeless = world.register(backend_app().scope(scope("")));
    let answer = world.act(&scopeless, &json!({}));
    assert_eq!((answer.status, answer.claims().get("scope")), (200, None));
}

/// J23: an authenticated app without the flow is refused.
#[test]
fn an_app_without_the_flow_is_refused() {
    let world = World::new();
    let plain = world.register(code_app());
    let configured = world.register(code_app().jwt(backend_jwt()));
    for app in [plain, configured] {
        world.act(&app, &json!({})).assert_error(400, "unauthorized_client");
        assert_eq!(world.last_event().outcome.reason(), Some("flow_not_allowed"));
    }
}

/// J30: the token has the app's configured lifetime, however short the assertion's, and never
/// outlives the grant if there is one.
#[test]
fn the_token_lifetime_is_the_configured_one() {
    let world = World::new();
    let app = world.register(backend_app().access_token_lifetime(120));
    let answer = world.act(&app, &json!({ "exp": START + 1 }));
    assert_eq!(answer.json["expires_in"], 120);
    assert_eq!(answer.claims()["exp"], START + 120);

    let jwt = backend_jwt().with_refresh_token(true);
    let draft = impersonator(jwt).refresh_token(true).refresh_token_lifetime(50);
    let answer = world.act(&world.register(draft), &json!({}));
    assert_eq!(
        (&answer.json["expires_in"], &answer.claims()["exp"]),
        (&json!(50), &json!(START + 50))
    );
}

/// The request may choose among the app's resources. Another resource is refused and consumes
/// nothing.
#[test]
fn the_audience_is_the_requested_resource() {
    let world = World::new();
    let resource = |text: &str| Resource::new(text).unwrap();
    let api = "https://api.example.com";
    let app = world.register(backend_app().resources([resource(api)]));
    let assertion = world.assertion(&app, &json!({}));
    let other = [("resource", "https://other.example.com")];
    world.present(&app, &assertion, &other).assert_error(400, "invalid_target");
    let answer = world.present(&app, &assertion, &[("resource", api)]);
    assert_eq!(answer.claims()["aud"], api);
    assert_eq!(world.act(&app, &json!({})).claims()["aud"], ISSUER);
}

/// An app may have both flows; a code is not an assertion, and an assertion not a refresh token.
#[test]
fn the_flows_of_one_app_are_independent() {
    let world = World::new();
    let draft: AppDraft = code_app().flow(Flow::JwtBearer).jwt(backend_jwt());
    let app = world.register(draft);
    let mine = world.tokens(&app);
    assert!(mine.claims().get("act").is_none());
    let acted = world.act(&app, &json!({ "sub": "bob" }));
    assert_eq!(acted.claims()["sub"], "bob");
    assert!(acted.json.get("refresh_token").is_none());
    let code = world.code(&app).0;
    world.present(&app, &code, &[]).assert_error(400, "invalid_grant");
    let assertion = world.assertion(&app, &json!({}));
    world.refresh(&app, &assertion).assert_error(400, "invalid_grant");
    assert_eq!(backend_keys().iter().count(), 1);
    assert!(world.last_event().at >= UnixTime::from_seconds(START));
}
