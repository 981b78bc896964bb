//! The requests that the apps of the seed send.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

const SECRET: &str = "bench-secret-0123456789abcdefghijklmnop";
/// The app with assertions for an access token only.
pub(crate) const PLAIN: &str = "bench";
/// The app with assertions for an access token and a refresh token.
pub(crate) const REFRESHING: &str = "bench-refreshing";
/// The app of the API.
const API: &str = "bench-api";

pub(crate) const PRIVATE_KEY: &str =
    include_str!("../../tests/fixtures/test_only_p256_private.pem");
static KEY: LazyLock<jsonwebtoken::EncodingKey> =
    LazyLock::new(|| jsonwebtoken::EncodingKey::from_ec_pem(PRIVATE_KEY.as_bytes()).unwrap());
static NEXT: AtomicU64 = AtomicU64::new(0);

pub(crate) fn client_credentials_form() -> String {
    format!("grant_type=client_credentials&client_id={PLAIN}&client_secret={SECRET}")
}

pub(crate) fn refresh_form(refresh_token: &str) -> String {
    format!(
        "grant_type=refresh_token&refresh_token={refresh_token}&client_id={REFRESHING}&\
         client_secret={SECRET}"
    )
}

/// Returns the form of an API that introspects.
pub(crate) fn introspection_form(token: &str) -> String {
    format!("token={token}&client_id={API}&client_secret={SECRET}")
}

/// Returns a form with a fresh assertion.
pub(crate) fn jwt_bearer_form(app: &str, issuer: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the client has no injected clock")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let claims = serde_json::json!({
        "iss": app, "sub": "ann", "aud": issuer, "iat": now, "exp": now + 120,
        "jti": format!("assertion-{number}"),
    });
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    let assertion = jsonwebtoken::encode(&header, &claims, &KEY).unwrap();
    format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}&\
         client_id={app}&client_secret={SECRET}"
    )
}

/// Returns the string `name` of a response.
pub(crate) fn field<'a>(json: &'a str, name: &str) -> &'a str {
    let (_, rest) = json.split_once(&format!("\"{name}\":\"")).unwrap();
    rest.split('"').next().unwrap()
}
