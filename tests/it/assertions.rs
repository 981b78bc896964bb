//! Assertions of a back end, signed by a library other than the crate under test.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
use grantor::clock::Clock as _;
use grantor::hooks::Hooks;
use grantor::jwt::VerifyingKeys;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Answer, App, ISSUER, World, scope};

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Reads a key file of this project, for example `p256_private`.
pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/test_only_{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The private key of a back end, and the JWT header it writes.
pub(crate) struct Signer {
    key: EncodingKey,
    header: Header,
}

impl Signer {
    fn new(algorithm: Algorithm, key: EncodingKey) -> Self {
        Self { key, header: Header::new(algorithm) }
    }

    /// The signer of [`backend_app`].
    pub(crate) fn backend() -> Self {
        Self::ed25519(&fixture("ed25519_private"))
    }

    pub(crate) fn ed25519(pem: &str) -> Self {
        Self::new(Algorithm::EdDSA, EncodingKey::from_ed_pem(pem.as_bytes()).unwrap())
    }

    pub(crate) fn rsa(algorithm: Algorithm) -> Self {
        let pem = fixture("rsa_2048_private");
        Self::new(algorithm, EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap())
    }

    pub(crate) fn ec(algorithm: Algorithm, name: &str) -> Self {
        Self::new(algorithm, EncodingKey::from_ec_pem(fixture(name).as_bytes()).unwrap())
    }

    pub(crate) fn hmac(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self::new(algorithm, EncodingKey::from_secret(secret))
    }

    pub(crate) fn with_kid(mut self, kid: &str) -> Self {
        self.header.kid = Some(kid.to_owned());
        self
    }

    pub(crate) fn with_typ(mut self, typ: Option<&str>) -> Self {
        self.header.typ = typ.map(str::to_owned);
        self
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&self.header, claims, &self.key).unwrap()
    }

    /// Signs any header and payload.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(payload));
        let algorithm = self.header.alg;
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, algorithm);
        format!("{message}.{}", signature.unwrap())
    }
}

/// Encodes a segment of a JWT.
pub(crate) fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The public keys of [`Signer::backend`].
pub(crate) fn backend_keys() -> VerifyingKeys {
    VerifyingKeys::from_pem(&fixture("ed25519_public")).unwrap()
}

/// The settings of [`backend_app`].
pub(crate) fn backend_jwt() -> JwtSettings {
    JwtSettings::keys(backend_keys()).with_impersonation(ImpersonationPolicy::anyone())
}

/// A confidential app with the JWT bearer flow and the scope `a b c` that may impersonate any user.
pub(crate) fn backend_app() -> AppDraft {
    impersonator(backend_jwt())
}

/// A confidential app with the JWT bearer flow and the scope `a b c`.
pub(crate) fn impersonator(jwt: JwtSettings) -> AppDraft {
    AppDraft::confidential("Back end").flow(Flow::JwtBearer).scope(scope("a b c")).jwt(jwt)
}

/// Returns `claims` with the members of `change`; `null` removes a member.
pub(crate) fn with(claims: &Value, change: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

impl<H: Hooks + 'static> World<H> {
    /// Claims by which `app` impersonates `ann` now, with a fresh `jti`.
    pub(crate) fn claims(&self, app: &App) -> Value {
        static USED: AtomicU64 = AtomicU64::new(0);
        let now = self.clock.now().as_seconds();
        json!({
            "iss": app.id.as_str(),
            "sub": "ann",
            "aud": ISSUER,
            "iat": now,
            "exp": now + 60,
            "jti": format!("assertion {}", USED.fetch_add(1, Ordering::Relaxed)),
        })
    }

    /// An assertion of [`Signer::backend`]: [`claims`](Self::claims) with `change`.
    pub(crate) fn assertion(&self, app: &App, change: &Value) -> String {
        Signer::backend().sign(&with(&self.claims(app), change))
    }

    /// Sends a token request with `assertion` as the grant.
    pub(crate) fn present(&self, app: &App, assertion: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![("grant_type", JWT_BEARER), ("assertion", assertion)];
        form.extend(more);
        self.post(app, &form)
    }

    /// Sends a token request with a fresh [`assertion`](Self::assertion).
    pub(crate) fn act(&self, app: &App, change: &Value) -> Answer {
        self.present(app, &self.assertion(app, change), &[])
    }
}
