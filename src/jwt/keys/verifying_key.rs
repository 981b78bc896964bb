use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use ring::{digest, hmac};

use super::{Algorithm, KeyError, import};
use crate::ids::KeyId;
use crate::jwt::{access_token, jws};

/// A key that verifies signatures: public, or the HS256 secret itself.
///
/// An elliptic curve key has one algorithm. An RSA key has one if its JWK has `alg`; otherwise the
/// verifier's allow-list decides among the RSA algorithms. Serialized as a JWK (RFC 7517 section 4).
/// Serialization of an HS256 key fails.
///
/// ```
/// use grantor::jwt::{Algorithm, VerifyingKey};
///
/// let key = VerifyingKey::from_jwk(
///     r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
/// )?;
/// assert_eq!(key.algorithm(), Some(Algorithm::EdDSA));
/// assert_eq!(key.thumbprint().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// # Ok::<(), grantor::jwt::KeyError>(())
/// ```
#[doc(alias = "jwk")]
#[derive(Clone)]
pub struct VerifyingKey {
    material: Material,
    algorithm: Option<Algorithm>,
    key_id: Option<KeyId>,
    thumbprint: KeyId,
    /// The header segment that the server writes into an access token under this key.
    access_token_header: Option<Arc<str>>,
}

#[derive(Clone)]
pub(super) enum Material {
    /// Uncompressed point.
    P256([u8; 65]),
    /// Uncompressed point.
    P384([u8; 97]),
    Ed25519([u8; 32]),
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa {
        n: Arc<[u8]>,
        e: Arc<[u8]>,
    },
    Hmac(hmac::Key),
}

impl VerifyingKey {
    /// Parses the one public key of a PEM text: SPKI (`PUBLIC KEY`), PKCS#1 (`RSA PUBLIC KEY`) or the key
    /// of an X.509 certificate (`CERTIFICATE`), perhaps with the chain of its issuers.
    ///
    /// Of a certificate only the key counts: neither its signature nor its dates are checked.
    /// The key has no id and so matches any `kid`, until [`with_key_id`](Self::with_key_id).
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the problem. A private key is refused.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let mut keys = import::public_keys(pem)?.into_iter();
        let mut own = keys.by_ref().filter(|key| *key != Err(KeyError::Authority));
        match (own.next(), own.next()) {
            (Some(key), None) => key,
            _ => Err(KeyError::Pem),
        }
    }

    /// Parses a public key from a JWK. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the problem. Private members, `oct` keys and keys that are not for
    /// verification (`use`, `key_ops`) are refused.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        super::jwk::key_from_json(json)
    }

    /// Creates an HS256 key from the secret that an app and this server share.
    ///
    /// # Errors
    ///
    /// [`KeyError::ShortSecret`] under 32 bytes (RFC 7518 section 3.2).
    pub fn from_hmac_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < digest::SHA256_OUTPUT_LEN {
            return Err(KeyError::ShortSecret);
        }
        Self::new(Material::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Sets the key id.
    #[must_use]
    pub fn with_key_id(mut self, key_id: KeyId) -> Self {
        self.key_id = Some(key_id);
        self.refresh_header()
    }

    /// Returns the key id, which the `kid` of a token names.
    #[doc(alias = "kid")]
    #[must_use]
    pub const fn key_id(&self) -> Option<&KeyId> {
        self.key_id.as_ref()
    }

    /// Returns the one algorithm of this key, or `None` for an RSA key without one.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Returns the SHA-256 thumbprint of the public key (RFC 7638), in base64url. For an HS256 key it is
    /// an HMAC under the secret.
    #[must_use]
    pub const fn thumbprint(&self) -> &KeyId {
        &self.thumbprint
    }

    pub(super) fn new(material: Material) -> Result<Self, KeyError> {
        let algorithm = match &material {
            Material::P256(_) => Some(Algorithm::ES256),
            Material::P384(_) => Some(Algorithm::ES384),
            Material::Ed25519(_) => Some(Algorithm::EdDSA),
            Material::Rsa { .. } => None,
            Material::Hmac(_) => Some(Algorithm::HS256),
        };
        let thumbprint = thumbprint(&material);
        let thumbprint = KeyId::new(thumbprint).map_err(|_| KeyError::KeyId)?;
        Ok(Self { material, algorithm, key_id: None, thumbprint, access_token_header: None })
    }

    /// Fixes the key to one algorithm.
    pub(in crate::jwt) fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, KeyError> {
        if !self.allows(algorithm) {
            return Err(KeyError::AlgorithmMismatch);
        }
        self.algorithm = Some(algorithm);
        Ok(self.refresh_header())
    }

    fn refresh_header(mut self) -> Self {
        self.access_token_header = match (self.algorithm, &self.key_id) {
            (Some(algorithm), Some(id)) => {
                Some(jws::header_segment(algorithm, access_token::TYPE, id).into())
            }
            _ => None,
        };
        self
    }

    pub(super) const fn material(&self) -> &Material {
        &self.material
    }

    /// Returns the header segment that the server writes into an access token under this key.
    pub(in crate::jwt) fn access_token_header(&self) -> Option<&str> {
        self.access_token_header.as_deref()
    }

    /// Checks whether the key admits `algorithm`.
    pub(in crate::jwt) fn allows(&self, algorithm: Algorithm) -> bool {
        match (self.algorithm, &self.material) {
            (Some(only), _) => only == algorithm,
            (None, Material::Rsa { .. }) => rsa_parameters(algorithm).is_some(),
            (None, _) => false,
        }
    }

    /// Checks whether `signature` over `message` is valid under this key, with an algorithm that it admits.
    pub(in crate::jwt) fn verifies(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if !self.allows(algorithm) {
            return false;
        }
        #[cfg(test)]
        VERIFICATIONS.set(VERIFICATIONS.get() + 1);
        let verified = match &self.material {
            Material::P256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
            }
            Material::P384(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature)
            }
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature)
            }
            Material::Rsa { n, e } => match rsa_parameters(algorithm) {
                Some(parameters) => {
                    RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
                }
                None => Err(ring::error::Unspecified),
            },
            Material::Hmac(key) => hmac::verify(key, message, signature),
        };
        verified.is_ok()
    }
}

#[cfg(test)]
thread_local! {
    /// The number of verifications in this thread.
    pub(in crate::jwt) static VERIFICATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Returns the parameters of an RSA algorithm, or `None` for any other.
fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA | Algorithm::HS256 => None,
    }
}

fn thumbprint(material: &Material) -> String {
    // RFC 7638 section 3: the required members, sorted by name, without white space. No value needs
    // escaping, because all are base64url or fixed.
    let canonical = match material {
        Material::Hmac(key) => {
            return URL_SAFE_NO_PAD.encode(hmac::sign(key, b"key id of an HS256 key").as_ref());
        }
        Material::P256(point) => ec_members("P-256", point),
        Material::P384(point) => ec_members("P-384", point),
        Material::Ed25519(point) => {
            let x = URL_SAFE_NO_PAD.encode(point);
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
        }
        Material::Rsa { n, e } => {
            let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
            format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
        }
    };
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

fn ec_members(curve: &str, point: &[u8]) -> String {
    let [x, y] = coordinates(point);
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

/// Returns `x` and `y` of an uncompressed point, in base64url.
pub(super) fn coordinates(point: &[u8]) -> [String; 2] {
    let both = point.get(1..).unwrap_or_default();
    let (x, y) = both.split_at(both.len() / 2);
    [URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)]
}

/// Two keys are equal if they have the same material, id and algorithm.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint == other.thumbprint
            && self.algorithm == other.algorithm
            && self.key_id == other.key_id
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}
