//! Without a grant no request yields a token, even with the right secret, and no request fails.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::AuthorizationServer;
use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::{Issuer, Subject};
use grantor::users::{MemoryUsers, User};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::rate_limit::RateLimits;
use grantor::protocol::{RedirectUri, Scope};
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::endpoint::FormRequest;
use grantor_fuzz::{Edits, ISSUER, NOW, PUBLIC_KEYS, SECRET, edited, form, object, signed};
use pollster::block_on;

const GRANT_TYPES: [&str; 4] = [
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "client_credentials",
];

struct World {
    server: AuthorizationServer<MemoryStore, MemoryUsers>,
    client_id: String,
    secret: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let server = AuthorizationServer::builder(
        Issuer::new(ISSUER).unwrap(),
        ServerSecret::new(SECRET).unwrap(),
        SigningKey::generate(Algorithm::EdDSA).unwrap(),
        MemoryStore::new(),
        MemoryUsers::new([User::new(Subject::new("ann").unwrap())]),
    )
    .clock(ManualClock::new(UnixTime::from_seconds(NOW)))
    .rate_limits(RateLimits::none())
    .build();
    let jwt = JwtSettings::keys(VerifyingKeys::from_pem(PUBLIC_KEYS[0]).unwrap())
        .with_impersonation(ImpersonationPolicy::anyone());
    let draft = AppDraft::confidential("Reports")
        .flows([Flow::AuthorizationCode, Flow::JwtBearer])
        .redirect_uri(RedirectUri::parse("https://app.example.com/cb").unwrap())
        .scope(Scope::parse("a b c").unwrap())
        .refresh_token(true)
        .jwt(jwt);
    let app = block_on(server.admin("fuzzer").register(draft.build().unwrap())).unwrap();
    let secret = app.client_secret.unwrap().expose_secret().to_owned();
    World { server, client_id: app.client_id.to_string(), secret }
});

libfuzzer_sys::fuzz_target!(|input: (&[u8], &str, u8, Edits<'_>, &str)| {
    let (body, header, grant_type, edits, header_of_assertion) = input;
    let World { client_id, secret, .. } = &*WORLD;
    // Signed with a key that is not the app's.
    let app = format!("{client_id:?}");
    let claims = [("iss", &*app), ("sub", r#""ann""#), ("exp", "1700000100"), ("jti", r#""1""#)];
    let assertion = signed(header_of_assertion, &object(&claims));
    let parameters = [
        ("grant_type", GRANT_TYPES[usize::from(grant_type) % GRANT_TYPES.len()]),
        ("client_id", client_id),
        ("client_secret", secret),
        ("code", "gac_AQ"),
        ("refresh_token", "grt_AQ"),
        ("assertion", &assertion),
        ("redirect_uri", "https://app.example.com/cb"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ("scope", ""),
        ("resource", ""),
        ("client_assertion_type", ""),
        ("client_assertion", ""),
    ];
    let nearly = form(&edited(&parameters, &edits));
    let without_secret: Vec<_> =
        parameters.into_iter().filter(|(name, _)| *name != "client_secret").collect();
    let without_secret = form(&edited(&without_secret, &edits));
    let basic = format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")));
    check(None, body);
    check(Some(header), body);
    check(None, nearly.as_bytes());
    check(None, &[nearly.as_bytes(), b"&", body].concat());
    check(Some(header), without_secret.as_bytes());
    check(Some(&basic), without_secret.as_bytes());
});

fn check(authorization: Option<&str>, body: &[u8]) {
    let mut request = FormRequest::new(body);
    if let Some(header) = authorization {
        request = request.authorization(header);
    }
    let error = block_on(WORLD.server.token(&request)).unwrap_err();
    assert!((400..500).contains(&error.status()), "{error:?}");
    let json: serde_json::Value = serde_json::from_str(&error.to_json()).unwrap();
    assert_eq!(json["error"], error.error_code().as_str());
}
