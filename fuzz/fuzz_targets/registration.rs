//! A registration is an app within the template, which can repeat what it was told, or it is refused.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::AuthorizationServer;
use grantor::app::{AppOrigin, AppTemplate, Flow};
use grantor::clock::{ManualClock, UnixTime};
use grantor::endpoint::{FormRequest, Registration, RegistrationAccess, RegistrationResponse};
use grantor::ids::Issuer;
use grantor::jwt::{SigningKey, StatementIssuer, VerifyingKeys};
use grantor::protocol::Scope;
use grantor::rate_limit::RateLimits;
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::users::MemoryUsers;
use grantor_fuzz::{ISSUER, NOW, SECRET, parts};
use pollster::block_on;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

type Server = AuthorizationServer<MemoryStore, MemoryUsers>;

const SCOPE: &str = "mcp.read mcp.write files.*";
const VENDOR: &str = "https://vendor.example";

static VENDOR_KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(SECRET).unwrap());

static OPEN: LazyLock<Server> = LazyLock::new(|| server(RegistrationAccess::Open));

static BY_STATEMENT: LazyLock<Server> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(VENDOR_KEY.public_key());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x }] });
    let keys = VerifyingKeys::from_jwk_set(&keys.to_string()).unwrap();
    server(RegistrationAccess::SoftwareStatement(vec![StatementIssuer::new(VENDOR, keys)]))
});

fn server(access: RegistrationAccess) -> Server {
    let template = AppTemplate::new(Scope::parse(SCOPE).unwrap());
    let template = template.custom_schemes(["cursor"]).refresh_token(true);
    let rules = Registration::new(template, access).unwrap().management(true);
    AuthorizationServer::builder(
        Issuer::new(ISSUER).unwrap(),
        ServerSecret::new(SECRET).unwrap(),
        SigningKey::from_hmac_secret(SECRET).unwrap(),
        MemoryStore::new(),
        MemoryUsers::default(),
    )
    .clock(ManualClock::new(UnixTime::from_seconds(NOW)))
    .rate_limits(RateLimits::none())
    .registration(rules)
    .build()
}

// The header and the claims of a software statement, which the vendor signs, and the body beside it.
libfuzzer_sys::fuzz_target!(|input: &str| {
    let [header, claims, body] = parts(input);
    check(&OPEN, body);
    if let Ok(Value::Object(mut members)) = serde_json::from_str(body) {
        members.insert("software_statement".to_owned(), signed(header, claims).into());
        let body = Value::Object(members).to_string();
        if let Some(told) = check(&BY_STATEMENT, &body) {
            let claims: Map<String, Value> = serde_json::from_str(claims).unwrap();
            assert_eq!(claims["iss"], VENDOR);
            let names = claims.get("client_name").and_then(Value::as_str).map(str::trim);
            assert!(names.is_none_or(|name| name.is_empty() || told["client_name"] == name));
        }
    }
});

fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = VENDOR_KEY.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Registers, repeats the answer as an update, and deletes the app. Returns the answer, if the registration is accepted.
fn check(server: &Server, body: &str) -> Option<Value> {
    let response = match block_on(server.register(&FormRequest::new(body))) {
        Ok(response) => response,
        Err(error) => {
            assert!((400..500).contains(&error.status()), "{error:?}");
            return None;
        }
    };
    let told = judged(&response);
    let mut metadata = told.clone();
    let members = metadata.as_object_mut().unwrap();
    for set_by_server in [
        "client_id_issued_at",
        "client_secret_expires_at",
        "registration_access_token",
        "registration_client_uri",
    ] {
        members.remove(set_by_server);
    }
    let id = response.app.client_id().as_str();
    let token = format!("Bearer {}", response.access_token.as_ref().unwrap().expose_secret());
    let metadata = metadata.to_string();
    // The answer is written out in full, and may be too long to be sent again.
    let update = FormRequest::new(&metadata).authorization(&token);
    let token = match block_on(server.update_registration(id, &update)) {
        Ok(again) => {
            let repeated = judged(&again);
            for member in ["redirect_uris", "scope", "client_name", "grant_types", "jwks"] {
                assert_eq!(repeated.get(member), told.get(member), "{member}");
            }
            format!("Bearer {}", again.access_token.as_ref().unwrap().expose_secret())
        }
        Err(error) => {
            assert_eq!(error.status(), 413, "{error:?}");
            token
        }
    };
    let delete = FormRequest::new("").authorization(&token);
    block_on(server.delete_registration(id, &delete)).unwrap();
    Some(told)
}

/// Checks the app of an answer, and returns its body.
fn judged(response: &RegistrationResponse) -> Value {
    let (app, settings) = (&response.app, response.app.settings());
    assert_eq!((app.origin(), settings.flows()), (AppOrigin::SelfRegistered, &[Flow::AuthorizationCode][..]));
    assert!(Scope::parse(SCOPE).unwrap().covers(settings.scope()));
    assert!(settings.requires_consent() && settings.jwt().is_none());
    assert!(!settings.name().chars().any(|c| c.is_control() || c == '\u{202e}'));
    for uri in settings.redirect_uris() {
        let known = ["https://", "http://127.0.0.1", "http://[::1]", "http://localhost", "cursor:"];
        assert!(known.iter().any(|start| uri.as_str().starts_with(start)), "{}", uri.as_str());
    }
    let told: Value = serde_json::from_str(&response.to_json()).unwrap();
    assert_eq!(told["client_id"], app.client_id().as_str());
    told
}
