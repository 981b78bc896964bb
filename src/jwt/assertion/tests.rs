use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::keys::VERIFICATIONS;
use super::super::testing::{signed, with};
use super::super::{SigningKey, VerifyingKey};
use super::*;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

/// A purpose, and the claim that names the user of a grant.
type Presented = (AssertionPurpose, &'static str);

const GRANT: Presented = (AssertionPurpose::Grant, "sub");
const GRANT_BY_EMAIL: Presented = (AssertionPurpose::Grant, "email");
const LOGIN: Presented = (AssertionPurpose::ClientAuthentication, "sub");

struct App {
    client_id: ClientId,
    key: SigningKey,
    keys: VerifyingKeys,
    endpoints: Vec<String>,
    needs_jti: bool,
}

fn app() -> App {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    let keys = key.verifying_key().into();
    App {
        client_id: ClientId::new("app").unwrap(),
        key,
        keys,
        endpoints: vec!["https://as.example.com/oauth/token".to_owned()],
        needs_jti: true,
    }
}

impl App {
    fn verify(
        &self,
        (purpose, user_claim): Presented,
        assertion: &str,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let rules = AssertionRules {
            purpose,
            client_id: &self.client_id,
            issuer: "https://issuer.example.com",
            user_claim,
            audience: "https://as.example.com",
            endpoints: &self.endpoints,
            keys: &self.keys,
            algorithms: &[Algorithm::EdDSA],
            max_lifetime: Duration::from_mins(5),
            needs_jti: self.needs_jti,
            clock_skew: Duration::from_secs(10),
        };
        rules.verify(assertion, NOW)
    }

    fn judge(&self, presented: Presented, claims: &Value) -> Result<String, AssertionError> {
        let assertion = signed(&self.key, r#"{"alg":"EdDSA"}"#, &claims.to_string());
        self.verify(presented, &assertion).map(|verified| verified.subject)
    }
}

fn grant() -> Value {
    json!({
        "iss": "https://issuer.example.com", "sub": "alice", "jti": "1",
        "aud": "https://as.example.com", "exp": 1_700_000_060, "iat": 1_700_000_000,
        "scope": "a b",
    })
}

fn login() -> Value {
    with(&grant(), &json!({ "iss": "app", "sub": "app", "scope": null }))
}

#[test]
fn a_valid_assertion_gives_subject_expiry_and_scope() {
    let app = app();
    let assertion = signed(&app.key, r#"{"alg":"EdDSA","typ":"JWT"}"#, &grant().to_string());
    let expected = VerifiedAssertion {
        subject: "alice".to_owned(),
        jti: Some(Digest::of_fields(&[b"https://issuer.example.com", b"1"])),
        expires_at: UnixTime::from_seconds(1_700_000_060),
        scope: Some("a b".to_owned()),
    };
    assert_eq!(app.verify(GRANT, &assertion), Ok(expected));
    assert_eq!(app.judge(LOGIN, &login()), Ok("app".to_owned()));
}

/// C18 to C23, C28, J3, J4, J9 to J15: each claim, for both purposes.
#[test]
fn the_claim_at_fault_is_named() {
    use AssertionError as E;

    let app = app();
    let now = 1_700_000_000;
    for (change, expected) in [
        (json!({ "iss": null }), Some(E::IssMissing)),
        (json!({ "iss": 1 }), Some(E::IssMissing)),
        (json!({ "iss": "someone" }), Some(E::Iss)),
        (json!({ "sub": null }), Some(E::SubMissing)),
        (json!({ "sub": ["alice"] }), Some(E::SubMissing)),
        (json!({ "sub": "" }), Some(E::Sub)),
        (json!({ "aud": null }), Some(E::AudMissing)),
        (json!({ "aud": 1 }), Some(E::AudMissing)),
        (json!({ "aud": ["https://as.example.com", 1] }), Some(E::AudMissing)),
        (json!({ "aud": "https://as.example.com/" }), Some(E::Aud)),
        (json!({ "aud": [] }), Some(E::Aud)),
        (json!({ "aud": ["https://other.example.com"] }), Some(E::Aud)),
        (json!({ "aud": "https://as.example.com/oauth/token" }), None),
        (json!({ "aud": ["https://as.example.com"] }), None),
        (json!({ "aud": ["https://as.example.com/oauth/token"] }), None),
        (json!({ "aud": ["x", "https://as.example.com"] }), Some(E::AudSeveral)),
        (
            json!({ "aud": ["https://as.example.com", "https://as.example.com"] }),
            Some(E::AudSeveral),
        ),
        (json!({ "exp": null }), Some(E::ExpMissing)),
        (json!({ "exp": "1700000060" }), Some(E::ExpMissing)),
        (json!({ "exp": now - 10, "iat": null }), Some(E::ExpPast)),
        (json!({ "exp": i64::MIN }), Some(E::ExpPast)),
        (json!({ "exp": now - 9, "iat": null }), None),
        (json!({ "exp": now + 310, "iat": null }), None),
        (json!({ "exp": now + 310, "iat": now + 10 }), None),
        (json!({ "exp": now + 311, "iat": null }), Some(E::ExpTooFar)),
        (json!({ "exp": now + 311, "iat": now + 11 }), Some(E::ExpTooFar)),
        (json!({ "exp": i64::MAX }), Some(E::ExpTooFar)),
        (json!({ "exp": u64::MAX }), Some(E::ExpTooFar)),
        (json!({ "exp": 1e300 }), Some(E::ExpTooFar)),
        (json!({ "nbf": now + 10 }), None),
        (json!({ "nbf": now + 11 }), Some(E::Nbf)),
        (json!({ "nbf": u64::MAX }), Some(E::Nbf)),
        (json!({ "nbf": "now" }), Some(E::Nbf)),
        (json!({ "iat": null }), None),
        (json!({ "iat": now + 10 }), None),
        (json!({ "iat": now + 11 }), Some(E::Iat)),
        (json!({ "iat": now - 241 }), Some(E::Iat)),
        (json!({ "iat": i64::MIN }), Some(E::Iat)),
        (json!({ "iat": i64::MAX }), Some(E::Iat)),
        (json!({ "iat": false }), Some(E::Iat)),
        (json!({ "jti": null }), Some(E::JtiMissing)),
        (json!({ "jti": 7 }), Some(E::JtiMissing)),
        (json!({ "jti": "" }), Some(E::Jti)),
        (json!({ "jti": "j".repeat(256) }), Some(E::Jti)),
        (json!({ "jti": "j".repeat(255) }), None),
        (json!({ "scope": ["a"] }), Some(E::Scope)),
    ] {
        for (presented, claims) in [(GRANT, grant()), (LOGIN, login())] {
            let verdict = app.judge(presented, &with(&claims, &change)).err();
            assert_eq!(verdict, expected, "{presented:?} {change}");
        }
    }
}

/// Z3: if `jti` is optional, an assertion may omit it, and one that has it is still known by it.
#[test]
fn an_optional_jti_may_be_absent_but_not_malformed() {
    let app = App { needs_jti: false, ..app() };
    let verify = |jti: &Value| {
        let claims = with(&grant(), &json!({ "jti": jti })).to_string();
        app.verify(GRANT, &signed(&app.key, r#"{"alg":"EdDSA"}"#, &claims))
    };
    assert_eq!(verify(&json!(null)).unwrap().jti, None);
    assert!(verify(&json!("1")).unwrap().jti.is_some());
    assert_eq!(verify(&json!(7)), Err(AssertionError::JtiMissing));
    assert_eq!(verify(&json!("")), Err(AssertionError::Jti));
}

/// C18: to authenticate the app, `iss` and `sub` are its client id.
#[test]
fn client_authentication_names_the_app_itself() {
    let app = app();
    for (change, error) in [
        (json!({ "iss": "other", "sub": "other" }), AssertionError::Iss),
        (json!({ "sub": "other" }), AssertionError::Sub),
        (json!({ "sub": "App" }), AssertionError::Sub),
        (json!({ "iss": "https://issuer.example.com" }), AssertionError::Iss),
    ] {
        assert_eq!(app.judge(LOGIN, &with(&login(), &change)), Err(error), "{change}");
    }
}

/// J31: an assertion accepted for one purpose is refused for the other, even if the issuer is the
/// client id and another claim names the user.
#[test]
fn an_assertion_for_one_purpose_never_serves_the_other() {
    let app = app();
    let verify = |(purpose, user_claim): Presented, issuer: &str, header: &str, claims: &Value| {
        let assertion = signed(&app.key, header, &claims.to_string());
        let rules = AssertionRules {
            purpose,
            client_id: &app.client_id,
            issuer,
            user_claim,
            audience: "https://as.example.com",
            endpoints: &[],
            keys: &app.keys,
            algorithms: &[Algorithm::EdDSA],
            max_lifetime: Duration::from_mins(5),
            needs_jti: true,
            clock_skew: Duration::from_secs(10),
        };
        rules.verify(&assertion, NOW).is_ok()
    };
    let mut accepted = 0;
    for typ in [
        "",
        r#","typ":"JWT""#,
        r#","typ":"client-authentication+jwt""#,
        r#","typ":"authorization-grant+jwt""#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA"{typ}}}"#);
        for iss in ["app", "https://issuer.example.com"] {
            for sub in [json!("app"), json!(iss), json!("alice"), json!(null)] {
                for email in [json!("alice@example.com"), json!("app"), json!(null)] {
                    let change = json!({ "iss": iss, "sub": sub, "email": email });
                    let claims = with(&grant(), &change);
                    let login = verify(LOGIN, iss, &header, &claims);
                    for presented in [GRANT, GRANT_BY_EMAIL] {
                        let grant = verify(presented, iss, &header, &claims);
                        assert!(!(login && grant), "{header} {change}");
                        accepted += usize::from(login) + usize::from(grant);
                    }
                }
            }
        }
    }
    assert!(accepted > 0);
    let access_token = r#"{"alg":"EdDSA","typ":"at+jwt"}"#;
    assert!(!verify(GRANT, "https://issuer.example.com", access_token, &grant()));
}

/// A claim other than `sub` may name the user. Then `sub` may be absent, or name anyone but the app.
#[test]
fn the_claim_in_the_settings_names_the_user() {
    let app = app();
    let claims = with(&grant(), &json!({ "email": "alice@example.com", "sub": "opaque-7" }));
    assert_eq!(app.judge(GRANT_BY_EMAIL, &claims), Ok("alice@example.com".to_owned()));
    let alone = with(&claims, &json!({ "sub": null }));
    assert_eq!(app.judge(GRANT_BY_EMAIL, &alone), Ok("alice@example.com".to_owned()));
    for (change, error) in [
        (json!({ "email": null }), AssertionError::SubMissing),
        (json!({ "email": 1 }), AssertionError::SubMissing),
        (json!({ "sub": 1 }), AssertionError::SubMissing),
        (json!({ "sub": "app" }), AssertionError::Sub),
        (json!({ "sub": "https://issuer.example.com" }), AssertionError::Sub),
        (json!({ "email": "app" }), AssertionError::Sub),
    ] {
        assert_eq!(app.judge(GRANT_BY_EMAIL, &with(&claims, &change)), Err(error), "{change}");
    }
}

/// C25, C26, C27, J2, J7, J8: headers and signatures come before any claim.
#[test]
fn the_signature_is_checked_before_any_claim() {
    let app = app();
    let stranger = SigningKey::generate(Algorithm::EdDSA).unwrap();
    let other_algorithm = SigningKey::generate(Algorithm::ES256).unwrap();
    for (key, header, error) in [
        (&stranger, r#"{"alg":"EdDSA"}"#, AssertionError::Signature),
        (&other_algorithm, r#"{"alg":"ES256"}"#, AssertionError::Algorithm),
        (&app.key, r#"{"alg":"none"}"#, AssertionError::Algorithm),
        (&app.key, r#"{"alg":"EdDSA","kid":"x"}"#, AssertionError::UnknownKey),
        (&app.key, r#"{"alg":"EdDSA","crit":["exp"]}"#, AssertionError::ForbiddenHeader),
        (&app.key, r#"{"alg":"EdDSA","typ":"at+jwt"}"#, AssertionError::Typ),
        (&app.key, "null", AssertionError::Header),
        (&app.key, r#"{"alg":"EdDSA"}"#, AssertionError::Claims),
    ] {
        let assertion = signed(key, header, "not an object");
        assert_eq!(app.verify(GRANT, &assertion), Err(error), "{header}");
    }
    for assertion in ["", "a.b", "a.b.c.d", &"a".repeat(16 * 1024 + 1)] {
        assert_eq!(app.verify(GRANT, assertion), Err(AssertionError::NotAJwt));
    }
    for payload in ["null", "[]", r#"{"iss":"a","iss":"a"}"#] {
        let assertion = signed(&app.key, r#"{"alg":"EdDSA"}"#, payload);
        assert_eq!(app.verify(GRANT, &assertion), Err(AssertionError::Claims), "{payload}");
    }
}

/// N14: to authenticate an app, an assertion costs one verification whether or not the app has a key for
/// it, so the time tells nothing about the app. A grant that cannot verify costs none.
#[test]
fn a_client_assertion_costs_one_verification_with_any_keys() {
    let app = app();
    let stranger = SigningKey::generate(Algorithm::EdDSA).unwrap();
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    let cost = |presented, key: &SigningKey, header: &str| {
        let assertion = signed(key, header, &login().to_string());
        let before = VERIFICATIONS.get();
        assert!(app.verify(presented, &assertion).is_err());
        VERIFICATIONS.get() - before
    };
    for (key, header) in [
        (&stranger, r#"{"alg":"EdDSA"}"#),
        (&stranger, r#"{"alg":"EdDSA","kid":"unknown"}"#),
        (&other, r#"{"alg":"ES256"}"#),
        (&other, r#"{"alg":"RS256"}"#),
        (&other, r#"{"alg":"PS512"}"#),
    ] {
        assert_eq!(cost(LOGIN, key, header), 1, "{header}");
    }
    assert_eq!(cost(GRANT, &other, r#"{"alg":"ES256"}"#), 0);
}

#[test]
fn an_app_may_sign_with_its_shared_secret() {
    let secret = b"a secret of at least 32 bytes, all of it text";
    let keys: VerifyingKeys = VerifyingKey::from_hmac_secret(secret).unwrap().into();
    let app = app();
    let rules = AssertionRules {
        purpose: AssertionPurpose::Grant,
        client_id: &app.client_id,
        issuer: "https://issuer.example.com",
        user_claim: "sub",
        audience: "https://as.example.com",
        endpoints: &[],
        keys: &keys,
        algorithms: &[Algorithm::HS256],
        max_lifetime: Duration::from_mins(5),
        needs_jti: true,
        clock_skew: Duration::ZERO,
    };
    let key = SigningKey::from_hmac_secret(secret).unwrap();
    let assertion = signed(&key, r#"{"alg":"HS256","kid":"any"}"#, &grant().to_string());
    assert!(rules.verify(&assertion, NOW).is_ok());
}

#[test]
fn an_unverified_assertion_yields_issuer_and_subject_for_the_key_lookup() {
    let app = app();
    let assertion = signed(&app.key, "null", &login().to_string());
    assert_eq!(peek_issuer(&assertion).as_deref(), Ok("app"));
    assert_eq!(peek_subject(&assertion).as_deref(), Ok("app"));
    for (payload, error) in [
        ("null", AssertionError::Claims),
        ("{}", AssertionError::IssMissing),
        (r#"{"iss":1}"#, AssertionError::IssMissing),
        (r#"{"iss":"a","iss":"b"}"#, AssertionError::Claims),
    ] {
        assert_eq!(peek_issuer(&signed(&app.key, "{}", payload)), Err(error), "{payload}");
    }
    assert_eq!(peek_subject(&signed(&app.key, "{}", "{}")), Err(AssertionError::SubMissing));
    assert_eq!(peek_issuer("a.b.c"), Err(AssertionError::NotAJwt));
}

#[test]
fn an_error_about_times_mentions_the_clock() {
    use AssertionError::{ExpPast, ExpTooFar, Iat, Nbf};
    for error in [ExpPast, ExpTooFar, Iat, Nbf] {
        assert!(error.to_string().contains("compare your clock with the Date"), "{error:?}");
    }
    assert_eq!(AssertionError::Aud.to_string(), AssertionError::Aud.description());
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in any::<String>(), number in any::<f64>()) {
        let app = app();
        prop_assert!(app.verify(GRANT, &text).is_err());
        prop_assert!(app.verify(LOGIN, &signed(&app.key, &text, &text)).is_err());
        let _: Result<String, _> = peek_issuer(&text);
        let change = json!({ "exp": number, "iat": number, "nbf": -number });
        prop_assert!(app.judge(GRANT, &with(&grant(), &change)).is_err());
    }
}
