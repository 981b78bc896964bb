use super::verifying_key::Material;
use super::{KeyError, VerifyingKey, import, jwk};

/// One to 16 verifying keys, among which a token's `kid` chooses.
///
/// A key with an id verifies only tokens that name it or name none; a key without id is tried for
/// any token. Keys of one type (`kty`) have different ids. Serialized as a JWK Set (RFC 7517
/// section 5), which refuses symmetric keys.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// The most keys in one set.
    pub const MAX_KEYS: usize = 16;

    /// A set of these keys.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`], [`KeyError::TooManyKeys`], or [`KeyError::DuplicateKeyId`] when two keys
    /// of one type have the same id.
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

    /// Every public key of a PEM text of at most 64 KiB, as [`VerifyingKey::from_pem`] reads each.
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for one key, and as [`new`](Self::new).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::new(import::public_keys(pem)?)
    }

    /// The keys of a JWK Set of at most 64 KiB of JSON (RFC 7517 section 5).
    ///
    /// Keys of an unknown type, curve or algorithm and keys that are not for verifying (`use`,
    /// `key_ops`) are passed over; broken, weak, private and symmetric ones are refused.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names what is wrong with a key or the set.
    pub fn from_jwk_set(json: &str) -> Result<Self, KeyError> {
        jwk::keys_from_json(json)
    }

    /// The keys, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// The keys of the server itself, however many: those that it publishes it believes.
    pub(crate) const fn of_server(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }

    /// Whether one of the keys is a secret that the signer shares.
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

/// `kty` of RFC 7517 section 4.1.
const fn key_type(key: &VerifyingKey) -> u8 {
    match key.material() {
        Material::P256(_) | Material::P384(_) => 0,
        Material::Ed25519(_) => 1,
        Material::Rsa { .. } => 2,
        Material::Hmac(_) => 3,
    }
}
