//! Assertions without a `jti`, for apps whose settings allow them.

use grantor::app::{JtiRule, RateQuota};
use grantor::store::RevocationTarget;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{JWT_BEARER, backend_app, backend_jwt, impersonator};
use crate::faulty_store::{Method, faulty_server, post};
use crate::support::World;

/// Z3: by default an assertion without `jti` is refused, and the error names the setting.
#[test]
fn the_refusal_of_a_missing_jti_names_the_setting() {
    let world = World::new();
    let app = world.register(backend_app());
    let answer = world.act(&app, &json!({ "jti": null }));
    answer.assert_error(400, "invalid_grant");
    assert!(answer.text("error_description").contains("jwt.jti"), "{answer:?}");
    assert_eq!(world.last_event().outcome.setting(), Some("jwt.jti"));
}

/// Z3: with the setting, an assertion without `jti` is accepted until it expires, and no longer.
#[test]
fn an_assertion_without_jti_is_accepted_until_it_expires() {
    let world = World::new();
    let jwt = backend_jwt().with_jti(JtiRule::Optional).with_max_lifetime(60);
    let app = world.register(impersonator(jwt));
    let assertion = world.assertion(&app, &json!({ "jti": null }));
    let mut grants = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let answer = world.present(&app, &assertion, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json.get("refresh_token").is_none());
        assert!(grants.insert(answer.claims()["grant_id"].as_str().unwrap().to_owned()));
    }
    world.advance(69);
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
    world.advance(1);
    world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
    // The maximum lifetime bounds the time of use.
    let long = world.clock_now().as_seconds() + 71;
    let change = json!({ "jti": null, "iat": null, "exp": long });
    let answer = world.act(&app, &change);
    answer.assert_error(400, "invalid_grant");
    assert!(answer.text("error_description").contains("exp"), "{answer:?}");
}

/// Z3: an assertion that has a `jti` is accepted once all the same.
#[test]
fn an_assertion_with_jti_is_accepted_once_all_the_same() {
    let world = World::new();
    let app = world.register(impersonator(backend_jwt().with_jti(JtiRule::Optional)));
    let assertion = world.assertion(&app, &json!({}));
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
    world.present(&app, &assertion, &[]).assert_error(400, "invalid_grant");
    assert_eq!(world.last_event().outcome.reason(), Some("assertion_replayed"));
    for bad in [json!(7), json!(""), json!("j".repeat(256))] {
        world.act(&app, &json!({ "jti": bad })).assert_error(400, "invalid_grant");
    }
}

/// Z3: each use costs the store one write, like one with a `jti`, and obeys revocation and quota.
#[test]
fn an_assertion_without_jti_obeys_revocation_and_quota() {
    let world = World::new();
    let quota = RateQuota::new(1, 4);
    let jwt = backend_jwt().with_jti(JtiRule::Optional);
    let app = world.register(impersonator(jwt).rate_quota(Some(quota)));
    let assertion = world.assertion(&app, &json!({ "jti": null }));
    let server = faulty_server(&world);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    assert_eq!(post(&server, &app, &form).status, 200);
    assert_eq!(server.store().take_calls(), [Method::FindApp, Method::ClaimAssertion]);

    let token = world.present(&app, &assertion, &[]);
    let admin = world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::App(app.id.clone()))).unwrap();
    assert!(world.is_revoked(&token));
    for _ in 0..3 {
        assert_eq!(world.present(&app, &assertion, &[]).status, 200);
    }
    assert_eq!(world.present(&app, &assertion, &[]).status, 429);
}

/// Z3: a replay must not outlive the assertion, so the grant then returns no refresh token.
#[test]
fn an_optional_jti_excludes_refresh_tokens() {
    let jwt = backend_jwt().with_jti(JtiRule::Optional).with_refresh_token(true);
    let error = impersonator(jwt).refresh_token(true).build().unwrap_err();
    assert_eq!(error.field(), "jwt.jti");
    let json = serde_json::to_value(backend_jwt().with_jti(JtiRule::Optional)).unwrap();
    assert_eq!(json["jti"], "optional");
    assert_eq!(serde_json::to_value(backend_jwt()).unwrap()["jti"], "required");
}
