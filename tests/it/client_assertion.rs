//! The audience and the lifetime of assertions that authenticate an app.

use grantor::app::{AppDraft, ClientAuthentication};
use grantor::jwt::VerifyingKeys;
use serde_json::json;

use crate::assertions::fixture;
use crate::private_key_jwt::{TYPE, claims, es256, keyed, present, register, with};
use crate::support::{Answer, App, ISSUER, START, World, encode, machine_app};

fn keys() -> VerifyingKeys {
    VerifyingKeys::from_pem(&fixture("p256_public")).unwrap()
}

fn endpoint(path: &str) -> String {
    format!("{ISSUER}/oauth/{path}")
}

/// Sends an assertion to the revocation endpoint, which answers 200 to every app that it
/// authenticates.
fn revoke(world: &World, assertion: &str) -> Answer {
    let form = [("token", "x"), ("client_assertion_type", TYPE), ("client_assertion", assertion)];
    world.revoke_form(None, &encode(&form))
}

fn assertion_for(app: &App, jti: &str, audience: &serde_json::Value) -> String {
    es256(&with(claims(app, jti), &json!({ "aud": audience })))
}

/// N13, J33: the URL of an endpoint is no audience of a client assertion (RFC 10070), at the endpoint
/// itself and at any other.
#[test]
fn an_endpoint_url_is_no_audience_of_a_client_assertion() {
    let world = World::unlimited();
    let app = register(&world);
    for path in ["token", "revoke", "introspect", "par", "revocations", "authorize"] {
        let assertion = assertion_for(&app, path, &json!(endpoint(path)));
        for answer in [present(&world, &assertion), revoke(&world, &assertion)] {
            answer.assert_error(401, "invalid_client");
            let text = answer.text("error_description");
            assert!(text.starts_with("the claim aud does not name this server"), "{text}");
            let setting = Some("client_assertion_endpoint_audience");
            world.assert_refused("client", "client_assertion", setting);
        }
    }
}

/// J34: several audiences are refused, the issuer among them or not. J35: the issuer alone is accepted,
/// also in an array.
#[test]
fn a_client_assertion_has_one_audience() {
    let world = World::unlimited();
    let app = register(&world);
    for several in [
        json!([ISSUER, "https://other.example.com"]),
        json!(["https://other.example.com", ISSUER]),
        json!([ISSUER, ISSUER]),
        json!([ISSUER, endpoint("token")]),
        json!([ISSUER, ""]),
    ] {
        let answer = present(&world, &assertion_for(&app, "several", &several));
        answer.assert_error(401, "invalid_client");
        let text = answer.text("error_description");
        assert!(text.contains("aud names several audiences"), "{text}");
    }
}

/// J35: `aud` may be an array of the issuer alone.
#[test]
fn a_client_assertion_may_name_the_issuer_in_an_array() {
    let world = World::unlimited();
    let app = register(&world);
    assert_eq!(present(&world, &assertion_for(&app, "1", &json!([ISSUER]))).status, 200);
    assert_eq!(revoke(&world, &assertion_for(&app, "2", &json!([ISSUER]))).status, 200);
}

/// J33: the setting of an app accepts the URLs of the mounted endpoints, alone. It is off by default.
#[test]
fn an_app_may_name_endpoints_if_its_setting_allows() {
    let world = World::with(|builder| builder.token_endpoint_url("https://as.example.com/t"));
    let app = world.register(keyed(keys()).client_assertion_endpoint_audience(true));
    for (n, (audience, accepted)) in [
        (json!(ISSUER), true),
        (json!("https://as.example.com/t"), true),
        (json!([endpoint("revoke")]), true),
        (json!(endpoint("introspect")), true),
        (json!(endpoint("revocations")), true),
        (json!(endpoint("token")), false),
        (json!(endpoint("authorize")), false),
        (json!(endpoint("jwks")), false),
        (json!([ISSUER, endpoint("revoke")]), false),
        (json!(format!("{}/", endpoint("revoke"))), false),
        (json!(""), false),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = present(&world, &assertion_for(&app, &n.to_string(), &audience));
        assert_eq!(answer.status == 200, accepted, "{audience}: {answer:?}");
        let revoked = revoke(&world, &assertion_for(&app, &format!("r{n}"), &audience));
        assert_eq!(revoked.status == 200, accepted, "{audience}: {revoked:?}");
    }
}

/// Z4: client assertions live up to an hour. The server and the app may lower that.
#[test]
fn server_and_app_may_lower_the_lifetime_of_client_assertions() {
    let second = std::time::Duration::from_secs;
    for (server, own, limit) in [
        (None, None, 3_600),
        (None, Some(600), 600),
        (Some(600), None, 600),
        (Some(600), Some(300), 300),
        (Some(300), Some(600), 300),
        (Some(7_200), None, 3_600),
    ] {
        let world = World::with(|builder| match server {
            Some(seconds) => builder.client_assertion_lifetime(second(seconds)),
            None => builder,
        });
        let app = world.register(keyed(keys()).client_assertion_lifetime(own));
        let living = |jti: &str, seconds: i64| {
            let change = json!({ "iat": START, "exp": START + seconds });
            present(&world, &es256(&with(claims(&app, jti), &change)))
        };
        assert_eq!(living("1", limit).status, 200, "{server:?} {own:?}");
        let answer = living("2", limit + 1);
        answer.assert_error(401, "invalid_client");
        let text = answer.text("error_description");
        assert!(text.contains("the claim iat"), "{text}");
        let answer = living("3", limit + 11);
        answer.assert_error(401, "invalid_client");
        assert!(answer.text("error_description").contains("the claim exp is too far"));
        world.assert_refused("client", "client_assertion", Some("client_assertion_lifetime"));
    }
}

/// J33, Z4: the settings are refused for an app that sends no client assertion, and out of range.
#[test]
fn settings_for_client_assertions_need_an_app_that_sends_them() {
    let field = |draft: AppDraft| draft.build().unwrap_err().field();
    let by_secret = || machine_app().authentication(ClientAuthentication::ClientSecret);
    assert_eq!(
        field(by_secret().client_assertion_endpoint_audience(true)),
        "client_assertion_endpoint_audience"
    );
    assert_eq!(field(by_secret().client_assertion_lifetime(Some(60))), "client_assertion_lifetime");
    for seconds in [0, 3_601] {
        let draft = keyed(keys()).client_assertion_lifetime(Some(seconds));
        assert_eq!(field(draft), "client_assertion_lifetime");
    }
    for seconds in [1, 3_600] {
        let draft = keyed(keys()).client_assertion_lifetime(Some(seconds));
        let json = serde_json::to_value(draft.build().unwrap()).unwrap();
        assert_eq!(json["client_assertion_lifetime"], seconds);
        assert_eq!(json["client_assertion_endpoint_audience"], false);
    }
}
