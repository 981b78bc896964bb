//! Assertions signed with the demo keys, so that the printed commands work as they are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::clock::UnixTime;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::json;

/// A private key for a public key in the demo seed. It is public knowledge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DemoKey {
    Rsa,
    P256,
    Ed25519,
    /// The key of the app that authenticates with a key.
    Client,
}

/// The claims of an assertion (RFC 7523 section 3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) expires_at: UnixTime,
}

impl DemoKey {
    const fn pem(self) -> &'static str {
        match self {
            Self::Rsa => include_str!("demo_jwt_rsa.pem"),
            Self::P256 => include_str!("demo_jwt_p256.pem"),
            Self::Ed25519 => include_str!("demo_jwt_ed25519.pem"),
            Self::Client => include_str!("demo_client_p256.pem"),
        }
    }

    /// Returns the algorithm and the `kid` of the seed. A PEM key in the seed has no `kid`.
    const fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Rsa => ("RS256", Some("rsa-1")),
            Self::P256 => ("ES256", Some("p256-1")),
            Self::Ed25519 => ("EdDSA", Some("ed25519-1")),
            Self::Client => ("ES256", None),
        }
    }

    /// Signs a JWT with these claims, valid for one use.
    ///
    /// # Errors
    ///
    /// A message if the key is unreadable or the system's randomness fails.
    pub(crate) fn sign(
        self,
        claims: &Claims<'_>,
        now: UnixTime,
        id: &str,
    ) -> Result<String, String> {
        let (algorithm, key_id) = self.names();
        let mut header = json!({ "alg": algorithm, "typ": "JWT" });
        if let (Some(key_id), Some(header)) = (key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), key_id.into());
        }
        let payload = json!({
            "iss": claims.issuer, "sub": claims.subject, "aud": claims.audience,
            "iat": now.as_seconds(), "exp": claims.expires_at.as_seconds(), "jti": id,
        });
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }

    fn signature(self, message: &[u8]) -> Result<Vec<u8>, String> {
        let der = pem::parse(self.pem()).map_err(|error| error.to_string())?;
        let (der, random) = (der.contents(), random());
        let rejected = |error: ring::error::KeyRejected| error.to_string();
        let unsigned = |_| "the system's source of randomness failed".to_owned();
        match self {
            Self::Rsa => {
                let key = RsaKeyPair::from_pkcs8(der).map_err(rejected)?;
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(unsigned)?;
                Ok(signature)
            }
            Self::P256 | Self::Client => {
                let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
                    .map_err(rejected)?;
                Ok(key.sign(&random, message).map_err(unsigned)?.as_ref().to_vec())
            }
            Self::Ed25519 => {
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(rejected)?;
                Ok(key.sign(message).as_ref().to_vec())
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the demo needs no injected randomness")]
fn random() -> SystemRandom {
    SystemRandom::new()
}

/// The lifetime of an assertion that is a grant, the maximum of the demo seed.
pub(crate) const GRANT_LIFETIME: Duration = Duration::from_secs(3_590);
/// The lifetime of a client assertion, the maximum of the server.
pub(crate) const CLIENT_LIFETIME: Duration = Duration::from_secs(290);
