//! Requests of the apps in the seed.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::clock::{Clock as _, SystemClock};
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::client::{Answer, Client, Lost, get, post, post_as};

const SECRET: &str = "faults-secret-0123456789abcdefghijklm";
const SIGNATURE_SECRET: &[u8] = b"faults-signature-secret-0123456789abcdef";
const CALLBACK: &str = "https://app.example.com/cb";

/// The issuer of all servers.
pub(crate) const ISSUER: &str = "https://as.example.com";

/// An app with codes and a grace window of 300 s.
pub(crate) const CODES: &str = "codes";
/// An app with assertions that give a refresh token, and a grace window of 300 s.
pub(crate) const FAMILIES: &str = "families";
/// The same without a grace window.
pub(crate) const STRICT: &str = "strict";
/// An app with assertions that give only an access token.
pub(crate) const ASSERTIONS: &str = "assertions";

static VERIFIER: LazyLock<CodeVerifier> =
    LazyLock::new(|| CodeVerifier::generate(&OsRandom::new()).unwrap());

fn encode(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Returns a form of an app for an endpoint.
fn request(path: &str, app: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    request_with(SECRET, path, app, fields)
}

fn request_with(secret: &str, path: &str, app: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let own = [("client_id", app), ("client_secret", secret)];
    post(path, &encode(&[&own, fields].concat()))
}

pub(crate) fn refresh(app: &str, token: &str) -> Vec<u8> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    request("/oauth/token", app, &fields)
}

pub(crate) fn redeem(code: &str) -> Vec<u8> {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER.expose_secret()),
    ];
    request("/oauth/token", CODES, &fields)
}

pub(crate) fn revoke(app: &str, token: &str) -> Vec<u8> {
    request("/oauth/revoke", app, &[("token", token)])
}

pub(crate) fn introspect(token: &str) -> Vec<u8> {
    request("/oauth/introspect", "gateway", &[("token", token)])
}

/// Returns a token request of an administrator.
pub(crate) fn administrator() -> Vec<u8> {
    let fields = [("grant_type", "client_credentials"), ("scope", "admin")];
    request("/oauth/token", "console", &fields)
}

/// Returns a request of an administrator that revokes `target`.
pub(crate) fn order(token: &str, target: &Value) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let body = json!({ "target": target }).to_string();
    post_as("/admin/revoke", "application/json", &[("Authorization", &bearer)], &body)
}

/// A request with an assertion, which may be sent again, and its digest in the store.
pub(crate) struct Assertion {
    pub(crate) request: Vec<u8>,
    pub(crate) digest: [u8; 32],
}

impl Assertion {
    /// Creates an assertion with a new `jti`.
    pub(crate) fn new(app: &str) -> Self {
        Self::with_secret(app, SECRET)
    }

    /// Creates an assertion of an app with another client secret.
    pub(crate) fn with_secret(app: &str, secret: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let now = SystemClock::new().now();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let jti = format!("{}-{}-{number}", std::process::id(), now.as_millis());
        let seconds = now.as_seconds();
        let claims = json!({
            "iss": app, "sub": "ann", "aud": ISSUER, "iat": seconds, "exp": seconds + 250, "jti": jti,
        });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "HS256" })), part(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNATURE_SECRET);
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let assertion = format!("{signed}.{tag}");
        let fields = [("grant_type", grant_type), ("assertion", &*assertion)];
        Self {
            request: request_with(secret, "/oauth/token", app, &fields),
            digest: digest_of(&[app.as_bytes(), jti.as_bytes()]),
        }
    }
}

/// Returns the SHA-256 digest of fields, each after its length.
fn digest_of(fields: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in fields {
        context.update(&u32::try_from(field.len()).unwrap().to_be_bytes());
        context.update(field);
    }
    context.finish().as_ref().try_into().unwrap()
}

/// Checks the form of an access token (RFC 9068 section 2) and returns its claims.
pub(crate) fn claims(token: &str) -> Value {
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("an access token of {parts:?}") };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(decode(signature).len(), 64);
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    assert_eq!(claims["iss"], ISSUER);
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64() && claims["jti"].is_string());
    claims
}

/// Returns the id of the grant of an access token.
pub(crate) fn grant_of(token: &str) -> String {
    claims(token)["grant_id"].as_str().unwrap().to_owned()
}

/// A user with a browser, logged in at one server.
pub(crate) struct Session {
    user: String,
    cookie: String,
}

impl Session {
    pub(crate) fn new(user: &str) -> Self {
        Self { user: user.to_owned(), cookie: String::new() }
    }

    /// Gets a code. The user logs in if the server does not know the session. Returns `None` if the
    /// server failed.
    pub(crate) fn code(&mut self, client: &mut Client) -> Result<Option<String>, Lost> {
        let challenge = VERIFIER.challenge().to_string();
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", CODES),
            ("redirect_uri", CALLBACK),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let path = format!("/oauth/authorize?{query}");
        let mut logins = 0;
        for _ in 0..200 {
            let answer = client.request(&get(&path, &[("Cookie", &self.cookie)]))?;
            if answer.status == 303 {
                return Ok(code_in(&answer));
            }
            if answer.status == 200 && answer.body.contains("name=\"decision\"") {
                // A server that does not know yet that a revocation is over asks the user again.
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            logins += 1;
            if logins == 2 || answer.status != 200 || !self.log_in(client, &path, &answer)? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn log_in(&mut self, client: &mut Client, path: &str, page: &Answer) -> Result<bool, Lost> {
        let Some((_, token)) = page.body.split_once("name=\"token\" value=\"") else {
            return Ok(false);
        };
        let form = encode(&[
            ("token", token.split('"').next().unwrap()),
            ("return_to", path),
            ("username", &self.user),
            ("password", &format!("{}-faults-password", self.user)),
        ]);
        let cookie = set_cookie(page, "__Host-grantor_form").unwrap_or_default();
        let cookies = [("Cookie", &*cookie)];
        let kind = "application/x-www-form-urlencoded";
        let answer = client.request(&post_as("/login", kind, &cookies, &form))?;
        let session = set_cookie(&answer, "__Host-grantor_session");
        self.cookie = session.unwrap_or_default();
        Ok(!self.cookie.is_empty())
    }
}

fn set_cookie(answer: &Answer, name: &str) -> Option<String> {
    let pairs = answer.headers("set-cookie").map(|cookie| cookie.split(';').next().unwrap());
    pairs.filter(|pair| pair.split('=').next() == Some(name)).map(str::to_owned).next()
}

fn code_in(answer: &Answer) -> Option<String> {
    let location = url::Url::parse(answer.header("location")?).ok()?;
    let mut pairs = location.query_pairs().into_owned();
    pairs.find(|(name, _)| name == "code").map(|(_, code)| code)
}
