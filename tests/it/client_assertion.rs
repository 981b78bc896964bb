//! The audience and the lifetime of assertions that authenticate an app.

use grantor::app::{AppDraft, ClientAuthentication};
use grantor::jwt::VerifyingKeys;
use serde_json::json;

use crate::assertions::fixture;
use crate::private_key_jwt::{TYPE, claims, es256, keyed, present, register, sign, with};
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

/// N13, J34: several audiences are refused, the issuer among them or not. J35: the issuer alone is accepted,
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

/// N14: without a good signature, the answer does not tell an unknown app from a known one, nor the
/// method, keys or state of the app.
#[test]
fn an_unknown_and_a_known_app_are_refused_alike() {
    let world = World::unlimited();
    let known = register(&world);
    let by_secret = world.register(machine_app());
    let public = world.register(crate::support::public_app());
    let disabled = register(&world);
    pollster::block_on(world.server.admin("tester").disable(&disabled.id)).unwrap();
    let unknown = App { id: grantor::ids::ClientId::new("unknown").unwrap(), ..known.clone() };
    let strange =
        jsonwebtoken::EncodingKey::from_ec_pem(fixture("p384_private").as_bytes()).unwrap();
    let rsa =
        jsonwebtoken::EncodingKey::from_rsa_pem(fixture("rsa_2048_private").as_bytes()).unwrap();
    let forgeries = |app: &App| {
        use jsonwebtoken::Algorithm::{ES384, RS256};
        let claims = claims(app, "forged").to_string();
        let genuine = es256(&crate::private_key_jwt::claims(app, "forged"));
        let (input, _) = genuine.rsplit_once('.').unwrap();
        [
            format!("{input}.{}", "A".repeat(86)),
            format!("{input}."),
            sign(&strange, ES384, r#"{"alg":"ES384"}"#, &claims),
            sign(&rsa, RS256, r#"{"alg":"RS256","kid":"any"}"#, &claims),
            sign(&rsa, RS256, r#"{"alg":"HS256"}"#, &claims),
            sign(&rsa, RS256, r#"{"alg":"none"}"#, &claims),
            sign(&rsa, RS256, r#"{"alg":"ES256","crit":[]}"#, &claims),
            sign(&rsa, RS256, r#"{"alg":"ES256","typ":"at+jwt"}"#, &claims),
            sign(&rsa, RS256, r#"{"alg":7}"#, &claims),
        ]
    };
    let answers = |app: &App| {
        let answers = forgeries(app).map(|assertion| present(&world, &assertion));
        answers.map(|answer| (answer.status, answer.json.to_string()))
    };
    let expected = answers(&unknown);
    assert!(expected.iter().all(|(status, _)| *status == 401), "{expected:?}");
    for app in [&known, &by_secret, &public, &disabled] {
        assert_eq!(answers(app), expected);
    }
    // Even a key that is good for another app tells nothing.
    let answer = present(&world, &es256(&claims(&unknown, "1")));
    assert_eq!(answer.json, present(&world, &es256(&claims(&by_secret, "1"))).json);
    world.assert_refused("client", "wrong_authentication_method", Some("authentication"));
    assert_eq!(present(&world, &es256(&claims(&known, "1"))).status, 200);
}

/// Z10: an app may register its certificate, with the attributes that OpenSSL writes around it.
#[test]
fn an_app_may_register_a_certificate() {
    let world = World::unlimited();
    let text = format!("Bag Attributes\n    localKeyID: 01\n{}", fixture("p256_certificate"));
    let app = world.register(keyed(VerifyingKeys::from_pem(&text).unwrap()));
    assert_eq!(present(&world, &es256(&claims(&app, "1"))).status, 200);
}

/// Z10: the settings that an administrator sends tell which keys are not usable, as JSON in the app's
/// authentication and in its JWT settings. A stored app has the others.
#[test]
fn settings_report_the_keys_that_are_passed_over() {
    let world = World::unlimited();
    let good = serde_json::to_value(keys()).unwrap()["keys"][0].clone();
    let bad = json!({ "kty": "EC", "crv": "secp256k1", "kid": "bitcoin" });
    let set = json!({ "keys": [bad, good] });
    let settings: grantor::app::AppSettings = serde_json::from_value(json!({
        "name": "Reports", "flows": ["client_credentials"],
        "authentication": { "private_key_jwt": set },
        "jwt": { "keys": { "keys": set } },
    }))
    .unwrap();
    let report: Vec<_> = settings.passed_over_keys().map(ToString::to_string).collect();
    let text =
        "key 1 (kid bitcoin) is passed over: the key's type, curve or algorithm is not supported";
    assert_eq!(report, [text, text]);
    let admin = world.server.admin("tester");
    let id = pollster::block_on(admin.register(settings)).unwrap().client_id;
    let app = App { id, secret: None, signature_secret: None };
    assert_eq!(present(&world, &es256(&claims(&app, "1"))).status, 200);
    let export = pollster::block_on(admin.export(&app.id)).unwrap();
    let json = serde_json::to_string(&export).unwrap();
    assert!(!json.contains("bitcoin") && json.contains("private_key_jwt"));
}
