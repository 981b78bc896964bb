use std::fmt;

use super::{Algorithm, KeyError, VerifyingKey, import, jwk};
use crate::ids::KeyId;

/// A set of 1 to 16 verifying keys. The `kid` of a token chooses among them.
///
/// A key with an id verifies only tokens that name it or name none. A key without id is tried for any
/// token, after the key that the token names. Keys for one algorithm have different ids, and at most four
/// of them have none. Serialized as a JWK Set (RFC 7517 section 5). Serialization of a symmetric key
/// fails.
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
#[derive(Clone, Debug)]
pub struct VerifyingKeys {
    keys: Vec<VerifyingKey>,
    passed_over: Vec<PassedOverKey>,
}

/// A key that was read with a set and is not part of it, because it cannot verify assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOverKey {
    /// Its place in the text, from 0.
    pub place: usize,
    /// Its `kid`, if it has a valid one.
    pub key_id: Option<KeyId>,
    /// The reason.
    pub error: KeyError,
}

impl fmt::Display for PassedOverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.place.saturating_add(1))?;
        if let Some(id) = &self.key_id {
            write!(f, " (kid {})", id.as_str())?;
        }
        write!(f, " is passed over: {}", self.error)
    }
}

/// Two sets are equal if they have the same keys in the same order.
impl PartialEq for VerifyingKeys {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl Eq for VerifyingKeys {}

impl VerifyingKeys {
    /// The largest number of keys in a set.
    pub const MAX_KEYS: usize = 16;
    /// The largest number of keys without id for one algorithm, and of keys that are tried for a token
    /// without `kid`.
    pub(in crate::jwt) const MAX_UNNAMED: usize = 4;

    /// Creates a set of these keys.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`], [`KeyError::TooManyKeys`], [`KeyError::TooManyUnnamed`], or
    /// [`KeyError::DuplicateKeyId`] if two different keys for one algorithm have the same id.
    pub fn new(keys: Vec<VerifyingKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        if keys.len() > Self::MAX_KEYS {
            return Err(KeyError::TooManyKeys);
        }
        let mut rest = keys.as_slice();
        while let [key, later @ ..] = rest {
            if later.iter().any(|other| key == other || are_ambiguous(key, other)) {
                return Err(KeyError::DuplicateKeyId);
            }
            rest = later;
        }
        let unnamed = |algorithm: &Algorithm| {
            keys.iter().filter(|key| key.key_id().is_none() && key.allows(*algorithm)).count()
        };
        if Algorithm::ALL.iter().any(|algorithm| unnamed(algorithm) > Self::MAX_UNNAMED) {
            return Err(KeyError::TooManyUnnamed);
        }
        Ok(Self { keys, passed_over: Vec::new() })
    }

    /// Creates a set of the usable keys among those that were read. The others are passed over (RFC 7517
    /// section 5), except secrets, which are refused so that the administrator learns of the leak.
    pub(super) fn of_usable(
        read: impl IntoIterator<Item = (Option<KeyId>, Result<VerifyingKey, KeyError>)>,
    ) -> Result<Self, KeyError> {
        let (mut keys, mut passed_over) = (Vec::new(), Vec::new());
        for (place, (key_id, key)) in read.into_iter().enumerate() {
            let error = match key {
                Ok(key) if keys.contains(&key) => KeyError::DuplicateKeyId,
                Ok(key) => {
                    keys.push(key);
                    continue;
                }
                Err(secret @ (KeyError::Private | KeyError::Symmetric)) => return Err(secret),
                Err(error) => error,
            };
            passed_over.push(PassedOverKey { place, key_id, error });
        }
        if let ([], Some(first)) = (keys.as_slice(), passed_over.first()) {
            return Err(first.error);
        }
        Ok(Self { passed_over, ..Self::new(keys)? })
    }

    /// Parses the public keys and certificates of a PEM text of at most 64 KiB, as
    /// [`VerifyingKey::from_pem`] does for one.
    ///
    /// [`passed_over`](Self::passed_over) lists the blocks that are not usable, and the certificates of
    /// the authorities of a chain. A private key is refused.
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for one key if none is usable, and as [`new`](Self::new).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::of_usable(import::public_keys(pem)?.into_iter().map(|key| (None, key)))
    }

    /// Parses a JWK Set of at most 64 KiB of JSON (RFC 7517 section 5).
    ///
    /// [`passed_over`](Self::passed_over) lists the keys that are not usable: of an unknown type, curve or
    /// algorithm, not for verification (`use`, `key_ops`), broken or weak. Private and symmetric ones are
    /// refused.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the problem of the set, or of its first key if none is usable.
    pub fn from_jwk_set(json: &str) -> Result<Self, KeyError> {
        jwk::keys_from_json(json)
    }

    /// Returns the keys in their order.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    /// Returns the keys that were read with the set, from PEM or JSON, and are not usable. They are not
    /// serialized.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOverKey] {
        &self.passed_over
    }

    /// Creates the set of the server's own keys, of any number: it accepts every key that it publishes. The set of an app
    /// that publishes no usable key is empty.
    pub(crate) const fn of_server(keys: Vec<VerifyingKey>) -> Self {
        Self { keys, passed_over: Vec::new() }
    }

    /// Checks whether one of the keys is a secret shared with the signer.
    pub(crate) fn hold_secret(&self) -> bool {
        self.keys.iter().filter_map(VerifyingKey::algorithm).any(Algorithm::is_symmetric)
    }

    pub(in crate::jwt) fn as_slice(&self) -> &[VerifyingKey] {
        &self.keys
    }
}

impl From<VerifyingKey> for VerifyingKeys {
    fn from(key: VerifyingKey) -> Self {
        Self { keys: vec![key], passed_over: Vec::new() }
    }
}

/// Checks whether two keys have one id and differ, though some algorithm fits both.
fn are_ambiguous(key: &VerifyingKey, other: &VerifyingKey) -> bool {
    let both = |algorithm: &Algorithm| key.allows(*algorithm) && other.allows(*algorithm);
    key.key_id().is_some()
        && key.key_id() == other.key_id()
        && key.thumbprint() != other.thumbprint()
        && Algorithm::ALL.iter().any(both)
}
