//! Assertions that authenticate an app (RFC 7523 section 2.2), signed by an independent library.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::app::{AppDraft, ClientAuthentication};
use grantor::jwt::{Algorithm, VerifyingKey, VerifyingKeys};
use grantor::protocol::{Paths, ServerEndpoint};
use jsonwebtoken::{Algorithm as Alg, EncodingKey};
use serde_json::{Value, json};

use crate::faulty_store::{Method, faulty_server, post};
use crate::support::{Answer, App, ISSUER, START, World, encode, machine_app, scope};

pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const BARE: (&str, &str) = ("grant_type", "client_credentials");
const ES256: &[u8] = include_bytes!("../fixtures/test_only_p256_private.pem");
const ES256_PUBLIC: &str = include_str!("../fixtures/test_only_p256_public.pem");
const RSA: &[u8] = include_bytes!("../fixtures/test_only_rsa_2048_private.pem");
const RSA_PUBLIC: &str = include_str!("../fixtures/test_only_rsa_2048_public.pem");
const EDDSA_PUBLIC: &str = include_str!("../fixtures/test_only_ed25519_public.pem");

pub(crate) fn keyed(keys: VerifyingKeys) -> AppDraft {
    machine_app().authentication(ClientAuthentication::PrivateKeyJwt(keys))
}

/// An app with the P-256 key of the fixtures.
pub(crate) fn register(world: &World) -> App {
    world.register(keyed(VerifyingKeys::from_pem(ES256_PUBLIC).unwrap()))
}

pub(crate) fn signer() -> EncodingKey {
    EncodingKey::from_ec_pem(ES256).unwrap()
}

pub(crate) fn claims(app: &App, jti: &str) -> Value {
    let id = app.id.as_str();
    json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": START + 60, "jti": jti })
}

/// Returns `claims` with each of `changes`; `null` removes a claim.
pub(crate) fn with(mut claims: Value, changes: &Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    claims
}

/// Signs any header and payload.
pub(crate) fn sign(key: &EncodingKey, algorithm: Alg, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), key, algorithm).unwrap();
    format!("{input}.{signature}")
}

pub(crate) fn es256(claims: &Value) -> String {
    sign(&signer(), Alg::ES256, r#"{"alg":"ES256"}"#, &claims.to_string())
}

pub(crate) fn present(world: &World, assertion: &str) -> Answer {
    let form = [BARE, ("client_assertion_type", TYPE), ("client_assertion", assertion)];
    world.post_form(None, &encode(&form))
}

/// C20: a valid assertion for this server alone authenticates its app, with or without the client id
/// beside it.
#[test]
fn a_valid_assertion_authenticates_its_app() {
    let world = World::unlimited();
    let app = register(&world);
    for (n, audience) in [json!(ISSUER), json!([ISSUER])].iter().enumerate() {
        let claims = with(claims(&app, &n.to_string()), &json!({ "aud": audience }));
        let library =
            jsonwebtoken::encode(&jsonwebtoken::Header::new(Alg::ES256), &claims, &signer());
        let answer = present(&world, &library.unwrap());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.claims()["sub"], app.id.as_str());
    }
    let assertion = es256(&claims(&app, "named"));
    let named = [BARE, ("client_assertion_type", TYPE), ("client_assertion", &assertion)];
    assert_eq!(world.post(&app, &named).status, 200);
    let event = &world.events()[0];
    assert_eq!(event.actor.name(), Some(app.id.as_str()));
}

/// C16, C17: assertion and type need each other, and there is one type.
#[test]
fn assertion_and_type_need_each_other() {
    let world = World::unlimited();
    let app = register(&world);
    let assertion = es256(&claims(&app, "1"));
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    for form in [
        vec![("client_assertion", assertion.as_str())],
        vec![("client_assertion", &assertion), ("client_assertion_type", "")],
        vec![("client_assertion", &assertion), ("client_assertion_type", saml)],
        vec![("client_assertion", &assertion), ("client_assertion_type", "jwt-bearer")],
        vec![("client_assertion_type", TYPE)],
        vec![("client_assertion_type", TYPE), ("client_assertion", "")],
    ] {
        let form = [&[BARE][..], &form].concat();
        world.post(&app, &form).assert_error(400, "invalid_request");
        world.assert_refused("client", "client_assertion_type", None);
    }
    assert_eq!(present(&world, &assertion).status, 200);
}

/// C18, C19, C21, C22, C23: every wrong or missing claim is refused by its name.
#[test]
fn a_wrong_claim_is_refused_by_its_name() {
    let world = World::unlimited();
    let (app, other) = (register(&world), register(&world));
    let now = START;
    let cases = [
        (json!({ "iss": null }), "iss"),
        (json!({ "iss": [app.id.as_str()] }), "iss"),
        (json!({ "iss": other.id.as_str() }), "iss"),
        (json!({ "iss": ISSUER }), "iss"),
        (json!({ "aud": null }), "aud"),
        (json!({ "aud": "" }), "aud"),
        (json!({ "aud": "https://other.example.com" }), "aud"),
        (json!({ "aud": format!("{ISSUER}/") }), "aud"),
        (json!({ "aud": ISSUER.to_uppercase() }), "aud"),
        (json!({ "aud": [] }), "aud"),
        (json!({ "aud": [ISSUER, 1] }), "aud"),
        (json!({ "aud": [[ISSUER]] }), "aud"),
        (json!({ "aud": { "a": ISSUER } }), "aud"),
        (json!({ "aud": format!("{ISSUER}/oauth/token/") }), "aud"),
        (json!({ "exp": null }), "exp"),
        (json!({ "exp": (now + 60).to_string() }), "exp"),
        (json!({ "exp": now - 10 }), "exp"),
        (json!({ "exp": 0 }), "exp"),
        (json!({ "exp": i64::MIN }), "exp"),
        (json!({ "exp": now + 3_611 }), "exp"),
        (json!({ "exp": i64::MAX }), "exp"),
        (json!({ "exp": u64::MAX }), "exp"),
        (json!({ "exp": 1e308 }), "exp"),
        (json!({ "exp": -1e308 }), "exp"),
        (json!({ "nbf": now + 11 }), "nbf"),
        (json!({ "nbf": u64::MAX }), "nbf"),
        (json!({ "nbf": "0" }), "nbf"),
        (json!({ "iat": now + 11 }), "iat"),
        (json!({ "iat": i64::MIN }), "iat"),
        (json!({ "iat": u64::MAX }), "iat"),
        (json!({ "iat": {} }), "iat"),
        (json!({ "jti": null }), "jti"),
        (json!({ "jti": 7 }), "jti"),
        (json!({ "jti": "" }), "jti"),
        (json!({ "jti": "j".repeat(256) }), "jti"),
        (json!({ "scope": ["a"] }), "scope"),
    ];
    for (n, (change, claim)) in cases.iter().enumerate() {
        let answer = present(&world, &es256(&with(claims(&app, &format!("bad {n}")), change)));
        answer.assert_error(401, "invalid_client");
        let text = answer.text("error_description");
        assert!(text.contains(&format!("the claim {claim} ")), "{change}: {text}");
        let setting = match *claim {
            "aud" if text.contains("does not name") => "client_assertion_endpoint_audience",
            "exp" if text.contains("too far") => "client_assertion_lifetime",
            _ => "authentication",
        };
        world.assert_refused("client", "client_assertion", Some(setting));
        // Nothing was consumed.
        let answer = present(&world, &es256(&claims(&app, &format!("bad {n}"))));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for sub in [json!(null), json!(1), json!([app.id.as_str()]), json!("unknown"), json!("")] {
        present(&world, &es256(&with(claims(&app, "sub"), &json!({ "sub": sub }))))
            .assert_error(401, "invalid_client");
    }
    let foreign = with(claims(&app, "sub"), &json!({ "sub": other.id.as_str() }));
    present(&world, &es256(&foreign)).assert_error(401, "invalid_client");
}

/// C21, C22: the limits of time: 10 s of skew, an hour of lifetime.
#[test]
fn an_assertion_is_accepted_up_to_its_limits_of_time() {
    let world = World::unlimited();
    let app = register(&world);
    for (n, change) in [
        json!({ "exp": START - 9 }),
        json!({ "exp": START + 3_610 }),
        json!({ "exp": 1_700_000_000.5 }),
        json!({ "nbf": START + 10, "iat": START + 10 }),
        json!({ "nbf": i64::MIN, "iat": START - 240 }),
        json!({ "jti": "j".repeat(255) }),
    ]
    .iter()
    .enumerate()
    {
        let answer = present(&world, &es256(&with(claims(&app, &n.to_string()), change)));
        assert_eq!(answer.status, 200, "{change}: {answer:?}");
    }
}

/// C23, C24: a `jti` is accepted once per app while the assertion could be presented, even
/// if its other claims differ.
#[test]
fn a_jti_is_accepted_once_per_app() {
    let world = World::unlimited();
    let (app, other) = (register(&world), register(&world));
    let assertion = es256(&claims(&app, "1"));
    assert_eq!(present(&world, &assertion).status, 200);
    present(&world, &assertion).assert_error(401, "invalid_client");
    world.assert_refused("client", "assertion_replayed", None);
    present(&world, &es256(&claims(&app, "1"))).assert_error(401, "invalid_client");
    let later = with(claims(&app, "1"), &json!({ "exp": START + 200, "aud": [ISSUER] }));
    present(&world, &es256(&later)).assert_error(401, "invalid_client");
    assert_eq!(present(&world, &es256(&claims(&other, "1"))).status, 200);
    world.advance(69);
    present(&world, &assertion).assert_error(401, "invalid_client");
    world.assert_refused("client", "assertion_replayed", None);
    world.advance(1);
    present(&world, &assertion).assert_error(401, "invalid_client");
    world.assert_refused("client", "client_assertion", Some("authentication"));
    world.advance(61);
    let anew = with(claims(&app, "1"), &json!({ "exp": START + 190 }));
    assert_eq!(present(&world, &es256(&anew)).status, 200);
}

/// C25, C26: the key fixes the algorithm, not the header.
#[test]
fn the_header_does_not_choose_the_algorithm() {
    let world = World::unlimited();
    let app = register(&world);
    let payload = claims(&app, "1").to_string();
    let unsigned = |header: &str| {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&payload))
    };
    let hmac = |secret: &[u8]| {
        sign(&EncodingKey::from_secret(secret), Alg::HS256, r#"{"alg":"HS256"}"#, &payload)
    };
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    let right = es256(&claims(&app, "1"));
    let (input, signature) = right.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    for forged in [
        unsigned(r#"{"alg":"none"}"#),
        unsigned(r#"{"alg":"None"}"#),
        unsigned(r#"{"alg":""}"#),
        unsigned(r#"{"alg":"ES256"}"#),
        hmac(ES256_PUBLIC.as_bytes()),
        hmac(ES256_PUBLIC.trim().as_bytes()),
        hmac(app.signature_secret.as_deref().unwrap().as_bytes()),
        sign(&rsa, Alg::RS256, r#"{"alg":"RS256"}"#, &payload),
        sign(&signer(), Alg::ES256, r#"{"alg":"ES384"}"#, &payload),
        sign(&signer(), Alg::ES256, r#"{"alg":"es256"}"#, &payload),
        sign(&signer(), Alg::ES256, r#"{"alg":["ES256"]}"#, &payload),
        sign(&signer(), Alg::ES256, "{}", &payload),
        format!("{input}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{input}.{other}{}", &signature[1..]),
        format!("{right}="),
        format!("{right}."),
    ] {
        present(&world, &forged).assert_error(401, "invalid_client");
    }
    assert_eq!(present(&world, &right).status, 200);

    let keys = VerifyingKeys::from_pem(RSA_PUBLIC).unwrap();
    let with_rsa = world.register(keyed(keys));
    let payload = claims(&with_rsa, "1").to_string();
    for secret in [RSA_PUBLIC.as_bytes(), RSA_PUBLIC.trim().as_bytes()] {
        let key = EncodingKey::from_secret(secret);
        let forged = sign(&key, Alg::HS256, r#"{"alg":"HS256"}"#, &payload);
        present(&world, &forged).assert_error(401, "invalid_client");
    }
    let confused = sign(&rsa, Alg::PS256, r#"{"alg":"RS256"}"#, &payload);
    present(&world, &confused).assert_error(401, "invalid_client");
    let right = sign(&rsa, Alg::PS256, r#"{"alg":"PS256"}"#, &payload);
    assert_eq!(present(&world, &right).status, 200);
}

/// C26: `kid` chooses among the app's keys, and never a key of another app.
#[test]
fn only_the_apps_own_keys_are_accepted() {
    let world = World::unlimited();
    let stranger = world.register(keyed(VerifyingKeys::from_pem(EDDSA_PUBLIC).unwrap()));
    present(&world, &es256(&claims(&stranger, "1"))).assert_error(401, "invalid_client");
    let named = VerifyingKey::from_pem(ES256_PUBLIC)
        .unwrap()
        .with_key_id(grantor::ids::KeyId::new("mine").unwrap());
    let app = world.register(keyed(named.into()));
    let header = |kid: &str| format!(r#"{{"alg":"ES256","kid":{kid}}}"#);
    let payload = claims(&app, "1").to_string();
    for kid in ["\"other\"", "\"\"", "\"MINE\"", "7", "null", "[\"mine\"]"] {
        let assertion = sign(&signer(), Alg::ES256, &header(kid), &payload);
        present(&world, &assertion).assert_error(401, "invalid_client");
    }
    let assertion = sign(&signer(), Alg::ES256, &header("\"mine\""), &payload);
    assert_eq!(present(&world, &assertion).status, 200);
}

/// C27: `crit` and `b64` with any content, and the `typ` of another kind of JWT.
#[test]
fn critical_headers_and_other_types_are_refused() {
    let world = World::unlimited();
    let app = register(&world);
    let payload = claims(&app, "1").to_string();
    for more in [
        r#""crit":[]"#,
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":true"#,
        r#""typ":"at+jwt""#,
        r#""typ":"authorization-grant+jwt""#,
        r#""typ":"dpop+jwt""#,
        r#""typ":7"#,
        r#""alg":"ES256""#,
    ] {
        let header = format!(r#"{{"alg":"ES256",{more}}}"#);
        let answer = present(&world, &sign(&signer(), Alg::ES256, &header, &payload));
        answer.assert_error(401, "invalid_client");
    }
    for (n, typ) in
        ["JWT", "jwt", "client-authentication+jwt", "application/jwt"].iter().enumerate()
    {
        let header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
        let payload = claims(&app, &format!("typ {n}")).to_string();
        let answer = present(&world, &sign(&signer(), Alg::ES256, &header, &payload));
        assert_eq!(answer.status, 200, "{typ}: {answer:?}");
    }
}

/// C28: an assertion that is not a JWT of two JSON objects fails client authentication.
#[test]
fn a_malformed_jwt_is_refused() {
    let world = World::unlimited();
    let app = register(&world);
    let right = es256(&claims(&app, "1"));
    let id = app.id.as_str();
    let es = |header: &str, payload: &str| sign(&signer(), Alg::ES256, header, payload);
    let header = r#"{"alg":"ES256"}"#;
    let twice = format!(
        r#"{{"iss":"{id}","sub":"{id}","sub":"{id}","aud":"{ISSUER}","exp":{},"jti":"2"}}"#,
        START + 60
    );
    for broken in [
        "x".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        right.replacen('.', "..", 1),
        format!(" {right}"),
        format!("{right} "),
        format!("{right}.{right}"),
        right.replacen("eyJ", "eyJ\u{e9}", 1),
        es("null", &claims(&app, "2").to_string()),
        es("[]", &claims(&app, "2").to_string()),
        es("", &claims(&app, "2").to_string()),
        es(header, "null"),
        es(header, "[]"),
        es(header, "\"text\""),
        es(header, "7"),
        es(header, ""),
        es(header, "{"),
        es(header, &format!("{}{{}}", claims(&app, "2"))),
        es(header, &twice),
        es(
            header,
            &format!("{{\"sub\":\"{id}\",\"a\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000)),
        ),
        format!("{}.{}", "a".repeat(8_000), "b".repeat(8_000)),
    ] {
        present(&world, &broken).assert_error(401, "invalid_client");
        let form = [BARE, ("client_assertion_type", TYPE), ("client_assertion", broken.as_str())];
        world.post(&app, &form).assert_error(401, "invalid_client");
    }
    assert_eq!(present(&world, &right).status, 200);
}

/// C29: the client id beside the assertion must match it. The assertion is not consumed.
#[test]
fn the_client_id_must_match_the_assertion() {
    let world = World::unlimited();
    let (app, other) = (register(&world), register(&world));
    let assertion = es256(&claims(&app, "1"));
    let form = [BARE, ("client_assertion_type", TYPE), ("client_assertion", &assertion)];
    world.post(&other, &form).assert_error(401, "invalid_client");
    world.assert_refused("client", "client_id_mismatch", None);
    assert_eq!(world.post(&app, &form).status, 200);
}

/// C31: an app authenticates only by its configured method.
#[test]
fn secrets_and_assertions_are_not_interchangeable() {
    let world = World::unlimited();
    let keyed = register(&world);
    assert!(keyed.secret.is_none());
    let guess = App { secret: Some("anything".to_owned()), ..keyed.clone() };
    world.post(&guess, &[BARE]).assert_error(401, "invalid_client");
    world.assert_refused("client", "wrong_authentication_method", Some("authentication"));
    world.post(&keyed, &[BARE]).assert_error(401, "invalid_client");
    world.assert_refused("client", "no_credentials", None);

    let secret = world.register(machine_app());
    let key = EncodingKey::from_secret(secret.secret.as_deref().unwrap().as_bytes());
    let payload = claims(&secret, "1").to_string();
    for assertion in
        [es256(&claims(&secret, "1")), sign(&key, Alg::HS256, r#"{"alg":"HS256"}"#, &payload)]
    {
        let answer = present(&world, &assertion);
        answer.assert_error(401, "invalid_client");
        world.assert_refused("client", "wrong_authentication_method", Some("authentication"));
        let unknown = present(
            &world,
            &es256(&claims(
                &App { id: grantor::ids::ClientId::new("unknown").unwrap(), ..secret.clone() },
                "1",
            )),
        );
        assert_eq!(unknown.json, answer.json);
    }
}

/// C31: a shared secret is not a public key, and no app can be set up to sign with one.
#[test]
fn a_shared_secret_cannot_be_registered_as_a_public_key() {
    let shared = VerifyingKey::from_hmac_secret(&[7; 32]).unwrap();
    let keys = VerifyingKeys::new(vec![VerifyingKey::from_pem(ES256_PUBLIC).unwrap(), shared]);
    let keys = keys.unwrap();
    let error = keyed(keys.clone()).build().unwrap_err();
    assert_eq!(error.field(), "authentication");
    let jwt = grantor::app::JwtSettings::keys(keys).with_assertion_authenticates(true);
    let error = machine_app().jwt(jwt).build().unwrap_err();
    assert_eq!(error.field(), "jwt.keys");
}

/// C32: if the store cannot tell whether the assertion is new, the server is at fault, not the
/// client. If the answer of the store was lost, the assertion is consumed.
#[test]
fn a_replay_store_failure_is_a_server_error() {
    let world = World::unlimited();
    let app = register(&world);
    let server = faulty_server(&world);
    let assertion = es256(&claims(&app, "1"));
    let form = [BARE, ("client_assertion_type", TYPE), ("client_assertion", assertion.as_str())];
    server.store().fail_before(Method::ClaimAssertion, 1);
    post(&server, &app, &form).assert_error(500, "server_error");
    assert_eq!(server.store().take_calls(), [Method::FindApp, Method::ClaimAssertion]);
    server.store().fail_after(Method::ClaimAssertion, 1);
    post(&server, &app, &form).assert_error(500, "server_error");
    post(&server, &app, &form).assert_error(401, "invalid_client");
    world.assert_refused("client", "assertion_replayed", None);
}

/// J31: an assertion that authenticated an app is not accepted as its grant, nor the reverse.
#[test]
fn a_client_assertion_is_not_a_grant() {
    use grantor::app::{Flow, ImpersonationPolicy, JwtSettings};

    let world = World::unlimited();
    let keys = || VerifyingKeys::from_pem(ES256_PUBLIC).unwrap();
    let jwt = JwtSettings::keys(keys())
        .with_algorithms([Algorithm::ES256])
        .with_impersonation(ImpersonationPolicy::anyone());
    let app = world.register(keyed(keys()).flow(Flow::JwtBearer).jwt(jwt).scope(scope("a")));
    let proof = |jti: &str| es256(&claims(&app, jti));
    let grant = es256(&with(claims(&app, "g"), &json!({ "sub": "ann" })));
    let ask = |client: &str, assertion: &str| {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("client_assertion_type", TYPE),
            ("client_assertion", client),
            ("assertion", assertion),
        ];
        world.post_form(None, &encode(&form))
    };
    ask(&proof("1"), &proof("1")).assert_error(400, "invalid_grant");
    ask(&proof("2"), &proof("3")).assert_error(400, "invalid_grant");
    ask(&grant, &grant).assert_error(401, "invalid_client");
    let answer = ask(&proof("4"), &grant);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.claims()["sub"], "ann");
}

/// C19: a server without a token endpoint has one audience, and the empty string is not another.
#[test]
fn without_a_token_endpoint_an_empty_audience_is_refused() {
    let paths = Paths::default().without(ServerEndpoint::Token);
    let world = World::with(|builder| builder.paths(paths));
    let app = register(&world);
    for (audience, status) in [("", 401), (ISSUER, 200)] {
        let claims = with(claims(&app, "j"), &json!({ "aud": audience }));
        let assertion = es256(&claims);
        let form =
            [("token", "x"), ("client_assertion_type", TYPE), ("client_assertion", &assertion)];
        let answer = world.revoke_form(None, &encode(&form));
        assert_eq!(answer.status, status, "{audience}: {answer:?}");
    }
}
