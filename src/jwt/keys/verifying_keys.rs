use super::verifying_key::Material;
use super::{KeyError, VerifyingKey, import, jwk};

/// A set of 1 to 16 verifying keys. The `kid` of a token chooses among them.
///
/// A key with an id verifies only tokens that name it or name none. A key without id is tried for any
/// token. Keys of one type (`kty`) have different ids. Serialized as a JWK Set (RFC 7517 section 5).
/// Serialization of a symmetric key fails.
///
/// ```
/// use grantor::jwt::VerifyingKeys;
///
/// let keys: VerifyingKeys = serde_json::from_str(
///     r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026",
///         "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
/// )?;
/// assert_eq!(keys.iter().count(), 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[doc(alias = "jwks")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// The largest number of keys in a set.
    pub const MAX_KEYS: usize = 16;

    /// Creates a set of these keys.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`], [`KeyError::TooManyKeys`], or [`KeyError::DuplicateKeyId`] if two keys of one
    /// type have the same id.
    pub fn new(keys: Vec<VerifyingKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        if keys.len() > Self::MAX_KEYS {
            return Err(KeyError::TooManyKeys);
        }
        let mut rest = keys.as_slice();
        while let [key, later @ ..] = rest {
            let same = |other: &VerifyingKey| {
                other.key_id() == key.key_id() && key_type(other) == key_type(key)
            };
            if key.key_id().is_some() && later.iter().any(same) {
                return Err(KeyError::DuplicateKeyId);
            }
            rest = later;
        }
        Ok(Self(keys))
    }

    /// Parses every public key of a PEM text of at most 64 KiB, as [`VerifyingKey::from_pem`] does for
    /// one.
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for one key, and as [`new`](Self::new).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::new(import::public_keys(pem)?)
    }

    /// Parses a JWK Set of at most 64 KiB of JSON (RFC 7517 section 5).
    ///
    /// Keys of an unknown type, curve or algorithm and keys that are not for verification (`use`,
    /// `key_ops`) are skipped. Broken, weak, private and symmetric ones are refused.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the problem of a key or of the set.
    pub fn from_jwk_set(json: &str) -> Result<Self, KeyError> {
        jwk::keys_from_json(json)
    }

    /// Returns the keys in their order.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// Creates the set of the server's own keys, of any number: it accepts every key that it publishes.
    pub(crate) const fn of_server(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }

    /// Whether one of the keys is a secret shared with the signer.
    pub(crate) fn hold_secret(&self) -> bool {
        self.0.iter().filter_map(VerifyingKey::algorithm).any(super::Algorithm::is_symmetric)
    }

    pub(in crate::jwt) fn as_slice(&self) -> &[VerifyingKey] {
        &self.0
    }
}

impl From<VerifyingKey> for VerifyingKeys {
    fn from(key: VerifyingKey) -> Self {
        Self(vec![key])
    }
}

/// Returns a number for the `kty` of RFC 7517 section 4.1.
const fn key_type(key: &VerifyingKey) -> u8 {
    match key.material() {
        Material::P256(_) | Material::P384(_) => 0,
        Material::Ed25519(_) => 1,
        Material::Rsa { .. } => 2,
        Material::Hmac(_) => 3,
    }
}
