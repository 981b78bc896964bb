//! The claims of an assertion.

use grantor::app::JwtSettings;
use serde_json::{Value, json};

use crate::assertions::{Signer, backend_app, backend_jwt, encoded, impersonator, with};
use crate::support::{ISSUER, START, World};

const TOKEN_ENDPOINT: &str = "https://as.example.com/oauth/token";

/// Presents an assertion with each change. A refusal names the claim at fault, and nothing of its
/// value.
fn judge(jwt: JwtSettings, table: &[(Value, Option<&str>)]) {
    let world = World::new();
    let app = world.register(impersonator(jwt));
    for (change, fault) in table {
        let answer = world.act(&app, change);
        match fault {
            None => assert_eq!(answer.status, 200, "{change}: {answer:?}"),
            Some(claim) => {
                answer.assert_error(400, "invalid_grant");
                let text = answer.text("error_description");
                assert!(text.starts_with(&format!("the claim {claim} ")), "{change}: {text}");
                assert!(!text.contains("secret-"), "{text}");
                assert_eq!(world.last_event().outcome.reason(), Some("assertion"), "{change}");
            }
        }
    }
}

/// J3, J5: `iss` is present, a string, and the app's own; by default its client id.
#[test]
fn the_issuer_must_be_the_expected_one() {
    judge(
        backend_jwt().with_issuer("https://idp.example.com"),
        &[
            (json!({ "iss": "https://idp.example.com" }), None),
            (json!({ "iss": null }), Some("iss")),
            (json!({ "iss": 7 }), Some("iss")),
            (json!({ "iss": ["https://idp.example.com"] }), Some("iss")),
            (json!({ "iss": "" }), Some("iss")),
            (json!({ "iss": "secret-unknown" }), Some("iss")),
            (json!({ "iss": "https://idp.example.com/" }), Some("iss")),
            (json!({ "iss": "HTTPS://idp.example.com" }), Some("iss")),
            (json!({}), Some("iss")),
        ],
    );
    judge(
        backend_jwt(),
        &[(json!({}), None), (json!({ "iss": "https://idp.example.com" }), Some("iss"))],
    );
}

/// J4: `sub` is present, a string, and neither the app nor its issuer.
#[test]
fn the_subject_must_be_a_user() {
    judge(
        backend_jwt(),
        &[
            (json!({ "sub": null }), Some("sub,")),
            (json!({ "sub": 7 }), Some("sub,")),
            (json!({ "sub": ["ann"] }), Some("sub,")),
            (json!({ "sub": { "name": "ann" } }), Some("sub,")),
            (json!({ "sub": "" }), Some("sub")),
            (json!({ "email": "ann", "sub": null }), Some("sub,")),
        ],
    );
    let world = World::new();
    let app = world.register(backend_app());
    let itself = world.act(&app, &json!({ "sub": app.id.as_str() }));
    itself.assert_error(400, "invalid_grant");
}

/// J9, J36: `aud` names this server alone, compared exactly.
#[test]
fn the_audience_must_be_this_server() {
    judge(
        backend_jwt(),
        &[
            (json!({ "aud": ISSUER }), None),
            (json!({ "aud": [ISSUER] }), None),
            (json!({ "aud": ["https://other.example.com", ISSUER] }), Some("aud")),
            (json!({ "aud": [ISSUER, "https://other.example.com"] }), Some("aud")),
            (json!({ "aud": [ISSUER, ISSUER] }), Some("aud")),
            (json!({ "aud": [ISSUER, TOKEN_ENDPOINT] }), Some("aud")),
            (json!({ "aud": null }), Some("aud")),
            (json!({ "aud": 7 }), Some("aud")),
            (json!({ "aud": [] }), Some("aud")),
            (json!({ "aud": [ISSUER, 7] }), Some("aud")),
            (json!({ "aud": [[ISSUER]] }), Some("aud")),
            (json!({ "aud": { "0": ISSUER } }), Some("aud")),
            (json!({ "aud": format!("{ISSUER}/") }), Some("aud")),
            (json!({ "aud": format!("{ISSUER}.secret-evil.example") }), Some("aud")),
            (json!({ "aud": "https://other.example.com" }), Some("aud")),
            (json!({ "aud": TOKEN_ENDPOINT }), Some("aud")),
        ],
    );
}

/// J9: the URL of the token endpoint is an audience only if the app allows it. An audience set by
/// the app replaces the issuer.
#[test]
fn an_app_may_allow_other_audiences() {
    judge(
        backend_jwt().with_token_endpoint_audience(true),
        &[
            (json!({ "aud": TOKEN_ENDPOINT }), None),
            (json!({ "aud": [TOKEN_ENDPOINT] }), None),
            (json!({ "aud": ["x", TOKEN_ENDPOINT] }), Some("aud")),
            (json!({ "aud": [ISSUER, TOKEN_ENDPOINT] }), Some("aud")),
            (json!({}), None),
            (json!({ "aud": format!("{TOKEN_ENDPOINT}/") }), Some("aud")),
        ],
    );
    judge(
        backend_jwt().with_audience("urn:files"),
        &[
            (json!({ "aud": "urn:files" }), None),
            (json!({}), Some("aud")),
            (json!({ "aud": TOKEN_ENDPOINT }), Some("aud")),
        ],
    );
    let world = World::with(|builder| builder.token_endpoint_url("https://as.example.com/t"));
    let app = world.register(impersonator(backend_jwt().with_token_endpoint_audience(true)));
    assert_eq!(world.act(&app, &json!({ "aud": "https://as.example.com/t" })).status, 200);
    world.act(&app, &json!({ "aud": TOKEN_ENDPOINT })).assert_error(400, "invalid_grant");
}

/// J10, J11, J12: `exp` is present, a number, not past by more than the skew, and not beyond the
/// app's maximum, with and without `iat`.
#[test]
fn an_assertion_may_not_outlive_the_maximum() {
    judge(
        backend_jwt(),
        &[
            (json!({ "exp": null }), Some("exp")),
            (json!({ "exp": (START + 60).to_string() }), Some("exp")),
            (json!({ "exp": [START + 60] }), Some("exp")),
            (json!({ "exp": START - 10, "iat": null }), Some("exp")),
            (json!({ "exp": START - 9, "iat": null }), None),
            (json!({ "exp": 0 }), Some("exp")),
            (json!({ "exp": -1 }), Some("exp")),
            (json!({ "exp": i64::MIN }), Some("exp")),
            (json!({ "exp": START + 310, "iat": null }), None),
            (json!({ "exp": START + 311, "iat": null }), Some("exp")),
            (json!({ "exp": START + 300 }), None),
            (json!({ "exp": START + 301 }), Some("iat")),
            (json!({ "exp": START + 311 }), Some("exp")),
            (json!({ "exp": START + 31_536_000, "iat": START + 31_535_999 }), Some("exp")),
            (json!({ "exp": i64::MAX }), Some("exp")),
            (json!({ "exp": u64::MAX }), Some("exp")),
            (json!({ "exp": 1e300, "iat": null }), Some("exp")),
            (json!({ "exp": i64::MAX / 1_000, "iat": null }), Some("exp")),
        ],
    );
    judge(
        backend_jwt().with_max_lifetime(3_600).with_clock_skew(0),
        &[
            (json!({ "exp": START + 3_600 }), None),
            (json!({ "exp": START + 3_601 }), Some("exp")),
            (json!({ "exp": START, "iat": null }), Some("exp")),
            (json!({ "exp": START + 1 }), None),
        ],
    );
}

/// J13: `nbf` may lie in the future by the skew.
#[test]
fn an_assertion_before_its_nbf_is_refused() {
    judge(
        backend_jwt(),
        &[
            (json!({ "nbf": START }), None),
            (json!({ "nbf": START + 10 }), None),
            (json!({ "nbf": START + 11 }), Some("nbf")),
            (json!({ "nbf": i64::MAX }), Some("nbf")),
            (json!({ "nbf": u64::MAX }), Some("nbf")),
            (json!({ "nbf": "0" }), Some("nbf")),
            (json!({ "nbf": 0 }), None),
            (json!({ "nbf": START + 61, "exp": START + 60 }), Some("nbf")),
        ],
    );
}

/// J14: `iat` is optional. If present, it is a number consistent with `exp` and the present.
#[test]
fn the_time_of_issue_must_be_plausible() {
    judge(
        backend_jwt(),
        &[
            (json!({ "iat": null }), None),
            (json!({ "iat": START + 10 }), None),
            (json!({ "iat": START + 11 }), Some("iat")),
            (json!({ "iat": START - 240 }), None),
            (json!({ "iat": START - 241 }), Some("iat")),
            (json!({ "iat": 0 }), Some("iat")),
            (json!({ "iat": i64::MIN }), Some("iat")),
            (json!({ "iat": u64::MAX }), Some("iat")),
            (json!({ "iat": "now" }), Some("iat")),
            (json!({ "iat": true }), Some("iat")),
        ],
    );
}

/// J15: `jti` is present, a string of 1 to 255 bytes.
#[test]
fn an_assertion_must_have_a_jti() {
    judge(
        backend_jwt(),
        &[
            (json!({ "jti": null }), Some("jti")),
            (json!({ "jti": 7 }), Some("jti")),
            (json!({ "jti": ["x"] }), Some("jti")),
            (json!({ "jti": "" }), Some("jti")),
            (json!({ "jti": "j".repeat(255) }), None),
            (json!({ "jti": "j".repeat(256) }), Some("jti")),
        ],
    );
}

/// J11: the app's clock may differ by the configured skew. Beyond it, the description says to
/// compare clocks.
#[test]
fn the_clock_may_differ_by_the_skew() {
    let world = World::new();
    let app = world.register(impersonator(backend_jwt().with_clock_skew(300)));
    let claims = world.claims(&app);
    let sign = |jti: &str| Signer::backend().sign(&with(&claims, &json!({ "jti": jti })));
    world.advance(359);
    assert_eq!(world.present(&app, &sign("1"), &[]).status, 200);
    world.advance(1);
    let answer = world.present(&app, &sign("2"), &[]);
    answer.assert_error(400, "invalid_grant");
    assert!(answer.text("error_description").contains("compare your clock"), "{answer:?}");
    assert_eq!(world.last_event().outcome.setting(), Some("jwt.clock_skew"));
}

/// J3, J4, J9: a claim that appears twice is refused, so that no two readers disagree.
#[test]
fn a_duplicate_claim_is_refused() {
    let world = World::new();
    let app = world.register(backend_app());
    let claims = world.claims(&app).to_string();
    for payload in [
        claims.replacen('{', r#"{"sub":"root","#, 1),
        claims.replacen('}', r#","sub":"root"}"#, 1),
        "null".to_owned(),
        format!("[{claims}]"),
        format!("\"{}\"", encoded(&claims)),
    ] {
        let assertion = Signer::backend().sign_raw(r#"{"alg":"EdDSA"}"#, &payload);
        let answer = world.present(&app, &assertion, &[]);
        answer.assert_error(400, "invalid_grant");
        let text = "the claims of the assertion are not a JSON object, or one is given twice";
        assert_eq!(answer.text("error_description"), text, "{payload}");
    }
}
