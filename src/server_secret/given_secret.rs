use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::declared_form;
use crate::clock::UnixTime;
use crate::secret::ClientSecret;

/// A client secret that an administrator gives, in clear or as the digest that another server kept.
///
/// A digest is replaced by this server's own at the first successful authentication. Salted SHA digests
/// and every slow form, such as bcrypt and PBKDF2, are checked by the host:
/// [`Hooks::check_slow_digest`](crate::hooks::Hooks::check_slow_digest).
///
/// In JSON: `{"plain": ".."}`, `{"sha256": ".."}` or `{"sha512": ".."}` in hexadecimal digits or base64, or
/// `{"slow": "$2b$12$.."}`.
///
/// ```
/// use grantor::app::GivenSecret;
///
/// let hex = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
/// assert!(GivenSecret::sha256(hex).is_ok());
/// assert!(GivenSecret::sha256("K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=").is_ok());
/// assert!(GivenSecret::sha512(hex).is_err());
/// ```
#[non_exhaustive]
pub enum GivenSecret {
    /// The secret itself: 1 to 255 bytes without control characters.
    Plain(ClientSecret),
    /// SHA-256 of the secret, without salt.
    Sha256([u8; 32]),
    /// SHA-512 of the secret, without salt.
    Sha512([u8; 64]),
    /// The text of a digest that the host can check: 1 to 255 printable ASCII characters.
    Slow(String),
}

/// A text that is no digest of this length in hexadecimal digits or base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a SHA-256 (32 bytes) or SHA-512 (64 bytes) digest in hexadecimal digits or base64"
)]
#[non_exhaustive]
pub struct InvalidDigest;

impl GivenSecret {
    /// Reads a SHA-256 digest in hexadecimal digits or base64.
    ///
    /// # Errors
    ///
    /// [`InvalidDigest`] unless it has 32 bytes.
    pub fn sha256(text: &str) -> Result<Self, InvalidDigest> {
        decoded(text).map(Self::Sha256)
    }

    /// Reads a SHA-512 digest in hexadecimal digits or base64.
    ///
    /// # Errors
    ///
    /// [`InvalidDigest`] unless it has 64 bytes.
    pub fn sha512(text: &str) -> Result<Self, InvalidDigest> {
        decoded(text).map(Self::Sha512)
    }

    /// Returns the input of the mark by which this secret is recognized if it is declared again.
    pub(crate) fn declared_form(&self, expires_at: Option<UnixTime>) -> Zeroizing<Vec<u8>> {
        let (kind, bytes) = match self {
            Self::Plain(secret) => ("plain", secret.expose_secret().as_bytes()),
            Self::Sha256(digest) => ("sha256", digest.as_slice()),
            Self::Sha512(digest) => ("sha512", digest.as_slice()),
            Self::Slow(text) => ("slow", text.as_bytes()),
        };
        match expires_at {
            Some(at) => declared_form(&format!("{kind} until {}", at.as_millis()), bytes),
            None => declared_form(kind, bytes),
        }
    }

    /// Returns the secret as it is written in JSON.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Plain(secret) => json!(secret.expose_secret()),
            Self::Sha256(digest) => json!({ "sha256": STANDARD.encode(digest) }),
            Self::Sha512(digest) => json!({ "sha512": STANDARD.encode(digest) }),
            Self::Slow(text) => json!({ "slow": text }),
        }
    }

    /// Returns the rule that the secret breaks, if any.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Plain(secret) => {
                let text = secret.expose_secret();
                let wrong =
                    text.is_empty() || text.len() > 255 || text.chars().any(char::is_control);
                wrong.then_some("must have 1 to 255 bytes without control characters")
            }
            Self::Slow(text) => {
                let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
                let wrong = text.is_empty() || text.len() > 255 || !printable;
                wrong.then_some("must be a digest of 1 to 255 printable ASCII characters")
            }
            Self::Sha256(_) | Self::Sha512(_) => None,
        }
    }
}

impl From<ClientSecret> for GivenSecret {
    fn from(secret: ClientSecret) -> Self {
        Self::Plain(secret)
    }
}

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain([redacted])",
            Self::Sha256(_) => "Sha256([redacted])",
            Self::Sha512(_) => "Sha512([redacted])",
            Self::Slow(_) => "Slow([redacted])",
        })
    }
}

impl<'de> Deserialize<'de> for GivenSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Text {
            Plain(String),
            Sha256(String),
            Sha512(String),
            Slow(String),
        }
        match Text::deserialize(deserializer)? {
            Text::Plain(text) => Ok(Self::Plain(ClientSecret::new(text))),
            Text::Sha256(text) => Self::sha256(&text).map_err(serde::de::Error::custom),
            Text::Sha512(text) => Self::sha512(&text).map_err(serde::de::Error::custom),
            Text::Slow(text) => Ok(Self::Slow(text)),
        }
    }
}

fn decoded<const N: usize>(text: &str) -> Result<[u8; N], InvalidDigest> {
    const EITHER: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = if text.len() == 2 * N {
        let digits = text.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            let hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            hex.then(|| u8::from_str_radix(pair, 16).ok())?
        });
        digits.collect::<Option<Vec<u8>>>()
    } else if text.contains(['-', '_']) {
        GeneralPurpose::new(&alphabet::URL_SAFE, EITHER).decode(text).ok()
    } else {
        GeneralPurpose::new(&alphabet::STANDARD, EITHER).decode(text).ok()
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidDigest)
}
