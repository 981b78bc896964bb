use proptest::prelude::*;
use serde_json::json;

use super::super::testing::{access_token, signed, with};
use super::super::{PriorActor, SigningKey};
use super::*;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const API: &str = "https://api.example.com";
const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt"}"#;

struct Server {
    issuer: Issuer,
    key: SigningKey,
    keys: VerifyingKeys,
}

fn server(algorithm: Algorithm) -> Server {
    let key = SigningKey::generate(algorithm).unwrap();
    let keys = key.verifying_key().into();
    Server { issuer: Issuer::new("https://as.example.com").unwrap(), key, keys }
}

impl Server {
    fn verify(&self, token: &str) -> Result<AccessTokenClaims, AccessTokenError> {
        let rules = AccessTokenRules {
            keys: &self.keys,
            issuer: &self.issuer,
            audiences: Some(&["https://other.example.com", API]),
            clock_skew: Duration::from_secs(5),
        };
        rules.verify(token, NOW)
    }

    fn verify_claims(&self, claims: &Value) -> Result<AccessTokenClaims, AccessTokenError> {
        self.verify(&signed(&self.key, HEADER, &claims.to_string()))
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://as.example.com", "sub": "alice", "aud": API, "client_id": "app",
        "jti": "1", "iat": 1_700_000_000, "exp": 1_700_000_060, "scope": "a b",
        "grant_id": "BwcHBwcHBwcHBwcHBwcHBw", "authorized_at": 1_699_999_999_123_i64,
    })
}

/// RFC 9068 section 4.
#[test]
fn a_token_is_accepted_only_if_every_claim_is_valid() {
    use AccessTokenError as E;

    let server = server(Algorithm::EdDSA);
    assert!(server.verify_claims(&claims()).is_ok());
    for name in ["iss", "sub", "aud", "client_id", "jti", "iat", "exp", "grant_id", "authorized_at"]
    {
        let missing = server.verify_claims(&with(&claims(), &json!({ name: null })));
        assert_eq!(missing, Err(E::Missing(name)));
    }
    for name in claims().as_object().unwrap().keys() {
        for wrong in [json!(true), json!({}), json!([1]), json!(1.5)] {
            let wrong = server.verify_claims(&with(&claims(), &json!({ name: wrong })));
            assert_eq!(wrong, Err(E::Claims), "{name}");
        }
    }
    for (change, error) in [
        (json!({ "iss": "https://as.example.com/" }), E::Iss),
        (json!({ "aud": "https://api.example.com/v1" }), E::Aud),
        (json!({ "aud": [] }), E::Aud),
        (json!({ "aud": ["https://elsewhere.example.com"] }), E::Aud),
        (json!({ "aud": [API, 1] }), E::Claims),
        (json!({ "exp": 1_699_999_995 }), E::Exp),
        (json!({ "exp": i64::MIN }), E::Exp),
        (json!({ "exp": u64::MAX }), E::Claims),
        (json!({ "iat": 1_700_000_006 }), E::NotYet),
        (json!({ "iat": i64::MAX }), E::NotYet),
        (json!({ "nbf": 1_700_000_006 }), E::NotYet),
        (json!({ "nbf": "now" }), E::Claims),
        (json!({ "sub": "" }), E::Claims),
        (json!({ "scope": "a\tb" }), E::Claims),
        (json!({ "client_id": "\n" }), E::Claims),
        (json!({ "grant_id": "short" }), E::Claims),
        (json!({ "auth_time": "now" }), E::Claims),
        (json!({ "auth_time": 1.5 }), E::Claims),
        (json!({ "act": {} }), E::Claims),
        (json!({ "act": "app" }), E::Claims),
        (json!({ "device": "" }), E::Claims),
    ] {
        assert_eq!(server.verify_claims(&with(&claims(), &change)), Err(error), "{change}");
    }
    for change in [
        json!({ "aud": ["https://elsewhere.example.com", API] }),
        json!({ "exp": 1_699_999_996 }),
        json!({ "iat": 1_700_000_005, "nbf": 1_700_000_005 }),
        json!({ "exp": i64::MAX, "authorized_at": i64::MIN }),
        json!({ "auth_time": i64::MIN }),
        json!({ "scope": null }),
    ] {
        assert!(server.verify_claims(&with(&claims(), &change)).is_ok(), "{change}");
    }
}

#[test]
fn any_duplicate_claim_is_refused() {
    let server = server(Algorithm::EdDSA);
    for again in [r#""sub":"alice""#, r#""s\u0075b":"alice""#, r#""x":1,"x":1"#] {
        let payload = claims().to_string().replacen('{', &format!("{{{again},"), 1);
        let token = signed(&server.key, HEADER, &payload);
        assert_eq!(server.verify(&token), Err(AccessTokenError::Claims), "{again}");
    }
    for payload in ["", "null", "[]", "{", "{}{}", "\"\""] {
        let token = signed(&server.key, HEADER, payload);
        assert_eq!(server.verify(&token), Err(AccessTokenError::Claims), "{payload}");
    }
}

/// RFC 8725 section 3.11: an assertion or an ID token of the same issuer is not an access token.
#[test]
fn only_the_type_of_access_tokens_is_accepted() {
    let server = server(Algorithm::EdDSA);
    let verify = |header: &str| server.verify(&signed(&server.key, header, &claims().to_string()));
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert!(verify(&format!(r#"{{"typ":"{typ}","alg":"EdDSA"}}"#)).is_ok(), "{typ}");
    }
    for header in [r#"{"alg":"EdDSA"}"#, r#"{"alg":"EdDSA","typ":"JWT"}"#] {
        assert_eq!(verify(header), Err(AccessTokenError::Typ), "{header}");
    }
    let forbidden = verify(r#"{"alg":"EdDSA","typ":"at+jwt","crit":[]}"#);
    assert_eq!(forbidden, Err(AccessTokenError::Header));
}

#[test]
fn the_token_of_another_server_is_refused() {
    let (server, other) = (server(Algorithm::EdDSA), server(Algorithm::EdDSA));
    let sign = |header: &str| signed(&other.key, header, &claims().to_string());
    assert_eq!(server.verify(&sign(HEADER)), Err(AccessTokenError::Signature));
    let named = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, other.key.key_id());
    assert_eq!(server.verify(&sign(&named)), Err(AccessTokenError::UnknownKey));
    let secret = signed(
        &SigningKey::generate(Algorithm::HS256).unwrap(),
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        &claims().to_string(),
    );
    assert_eq!(server.verify(&secret), Err(AccessTokenError::Algorithm));
}

fn issue(server: &Server, new: &Issue) -> String {
    let token = NewAccessToken {
        subject: new.subject.as_str(),
        audience: API,
        further_audiences: &[],
        client_id: &new.client_id,
        scope: new.scope.as_str(),
        token_id: new.token_id,
        issued_at: NOW,
        expires_at: UnixTime::from_seconds(new.expires_at),
        grant_id: GrantId::from_bytes(new.grant_id),
        authorized_at: UnixTime::from_millis(new.authorized_at),
        auth_time: new.auth_time.map(UnixTime::from_seconds),
        actor: new.acts.then_some(&new.client_id),
        device: new.device.as_ref(),
        circumstances: Some(&new.circumstances),
        via: &[],
        extra: &new.extra,
    };
    access_token(&server.key, &server.issuer, &token)
}

#[derive(Clone, Debug)]
struct Issue {
    subject: Subject,
    client_id: ClientId,
    scope: Scope,
    token_id: [u8; 16],
    expires_at: i64,
    grant_id: [u8; 16],
    authorized_at: i64,
    auth_time: Option<i64>,
    acts: bool,
    device: Option<DeviceId>,
    circumstances: Circumstances,
    extra: Map<String, Value>,
}

fn some_circumstances() -> Circumstances {
    Circumstances {
        prior_actors: vec![
            PriorActor { subject: "ann".parse().unwrap(), issuer: "https://idp".parse().ok() },
            PriorActor { subject: "b\"ob".parse().unwrap(), issuer: None },
        ],
        acr: "urn:loa:2".parse().ok(),
        amr: (0..8).map(|method| method.to_string().parse().unwrap()).collect(),
        session: "s\u{e9}ssion".parse().ok(),
        evidence_issuer: "https://idp.example".parse().ok(),
        authorization_details: r#"[{"type":"pay"}]"#.parse().ok(),
    }
}

/// A token that says what it descends from is read with all of it, and only in the form that this
/// server writes.
#[test]
fn a_derived_token_states_its_parents() {
    let server = server(Algorithm::EdDSA);
    let verify = |name: &str, value: Value| {
        let claims = with(&claims(), &json!({ name: value }));
        server.verify(&signed(&server.key, HEADER, &claims.to_string()))
    };
    let parent = json!({
        "grant_id": "BwcHBwcHBwcHBwcHBwcHBw",
        "client_id": "app",
        "device": "phone",
        "sid": "s",
        "evidence_issuer": "https://idp.example",
        "authorized_at": 1_699_999_999_123_i64,
    });
    let read = verify("via", json!([parent, parent, parent, parent])).unwrap();
    let expected = Parent {
        grant_id: GrantId::from_bytes([7; 16]),
        client_id: ClientId::new("app").unwrap(),
        subject: None,
        device: "phone".parse().ok(),
        session: "s".parse().ok(),
        evidence_issuer: "https://idp.example".parse().ok(),
        authorized_at: UnixTime::from_millis(1_699_999_999_123),
    };
    assert_eq!(serde_json::to_value(&expected).unwrap(), parent);
    let mut without = parent.clone();
    without.as_object_mut().unwrap().remove("sid");
    let sessionless = Parent { session: None, ..expected.clone() };
    assert_eq!(serde_json::to_value(&sessionless).unwrap(), without);
    assert_eq!(verify("via", json!([without])).unwrap().via, [sessionless]);
    assert_eq!(read.via, vec![expected; 4]);
    let act = |depth: usize| {
        (0..depth).fold(json!({ "sub": "app" }), |act, _| json!({ "sub": "app", "act": act }))
    };
    assert_eq!(verify("act", act(3)).unwrap().circumstances.prior_actors.len(), 3);
    for (name, bad) in [
        ("via", json!([parent, parent, parent, parent, parent])),
        ("via", json!([{ "grant_id": "BwcHBwcHBwcHBwcHBwcHBw", "client_id": "app" }])),
        ("via", json!("app")),
        ("act", act(4)),
        ("act", json!({ "sub": "app", "act": { "sub": "" } })),
        ("act", json!({ "sub": "app", "act": {} })),
        ("amr", json!(["1", "2", "3", "4", "5", "6", "7", "8", "9"])),
        ("amr", json!("pwd")),
        ("acr", json!("")),
        ("sid", json!(7)),
        ("evidence_issuer", json!("a\nb")),
        ("authorization_details", json!([{}])),
    ] {
        assert_eq!(verify(name, bad.clone()), Err(AccessTokenError::Claims), "{name} {bad}");
    }
}

fn any_issue() -> impl Strategy<Value = Issue> {
    let names = (
        r"[^\p{Cc}]{1,40}",
        "[ -~]{1,80}",
        "([!#-~&&[^\\\\*]]{1,9}( [a-z]{1,9}){0,9})?",
        "[ -~]{0,20}",
    );
    let numbers = (1_700_000_001..4_000_000_000_i64, any::<i64>(), any::<Option<u32>>());
    let extra = prop::collection::btree_map("x[a-z\"\\\\]{0,5}", any::<String>(), 0..3);
    (names, any::<[u8; 16]>(), any::<[u8; 16]>(), numbers, any::<bool>(), extra).prop_map(
        |((subject, client_id, scope, device), token_id, grant_id, times, acts, extra)| Issue {
            subject: Subject::new(subject).unwrap(),
            client_id: ClientId::new(client_id).unwrap(),
            scope: Scope::parse(&scope).unwrap_or_default(),
            token_id,
            expires_at: times.0,
            grant_id,
            authorized_at: times.1,
            auth_time: times.2.map(i64::from),
            acts,
            device: DeviceId::new(device).ok(),
            circumstances: if acts { some_circumstances() } else { Circumstances::default() },
            extra: extra.into_iter().map(|(name, value)| (name, value.into())).collect(),
        },
    )
}

proptest! {
    #[test]
    fn verification_returns_the_issued_claims(new in any_issue()) {
        let server = server(Algorithm::HS256);
        let claims = server.verify(&issue(&server, &new)).unwrap();
        let expected = AccessTokenClaims {
            issuer: server.issuer.clone(),
            subject: new.subject,
            audience: vec![API.to_owned()],
            client_id: new.client_id.clone(),
            scope: new.scope,
            token_id: GrantId::from_bytes(new.token_id).to_string(),
            issued_at: NOW,
            not_before: NOW,
            expires_at: UnixTime::from_seconds(new.expires_at),
            grant_id: GrantId::from_bytes(new.grant_id),
            authorized_at: UnixTime::from_millis(new.authorized_at),
            auth_time: new.auth_time.map(UnixTime::from_seconds),
            actor: new.acts.then_some(new.client_id),
            device: new.device,
            circumstances: new.circumstances,
            via: Vec::new(),
            extra: new.extra,
        };
        prop_assert_eq!(claims, expected);
    }

    #[test]
    fn a_token_with_any_byte_changed_is_refused(
        new in any_issue(),
        symmetric in any::<bool>(),
        at in any::<prop::sample::Index>(),
        to in "[A-Za-z0-9_.=-]",
    ) {
        let server = server(if symmetric { Algorithm::HS256 } else { Algorithm::ES256 });
        let mut token = issue(&server, &new);
        let at = at.index(token.len());
        prop_assume!(!token[at..].starts_with(&to));
        token.replace_range(at..=at, &to);
        prop_assert!(server.verify(&token).is_err());
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in any::<String>(), payload in any::<String>()) {
        let server = server(Algorithm::HS256);
        prop_assert!(server.verify(&text).is_err());
        let header = r#"{"alg":"HS256","typ":"at+jwt"}"#;
        prop_assert!(server.verify(&signed(&server.key, header, &payload)).is_err());
        let nothing = signed(&server.key, &text, "null");
        prop_assert!(server.verify(&nothing).is_err());
    }
}
