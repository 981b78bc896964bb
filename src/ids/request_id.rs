//! The id of a request, which connects its log lines and audit events.

use std::fmt;

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The id of a request: 1 to 64 letters, digits, `-`, `_` and `.`.
///
/// Over HTTP, the host puts it into the extensions of the request, or a proxy sends it in `X-Request-Id`. A
/// request without one gets a new id. Audit events and spans carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// A text that is not a [`RequestId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("a request id has 1 to 64 letters, digits, -, _ and .")]
pub struct InvalidRequestId;

impl RequestId {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequestId`] if `text` is empty, too long, or has another character.
    pub fn new(text: &str) -> Result<Self, InvalidRequestId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(InvalidRequestId);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidRequestId)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }

    /// Returns 16 hexadecimal digits.
    pub(crate) fn numbered(number: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |place: usize| {
            let nibble = number >> (60 - 4 * place) & 15;
            DIGITS.get(nibble as usize).copied().unwrap_or(b'0')
        };
        // They are a valid header.
        let text: [u8; 16] = std::array::from_fn(digit);
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0")))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}
