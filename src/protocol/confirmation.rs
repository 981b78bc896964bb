//! The key or certificate that a token is bound to: `cnf` of RFC 7800.

use serde::{Deserialize, Serialize};

use crate::secret::Digest;

/// The key or certificate of a sender-constrained token, which a request with the token must prove.
///
/// ```
/// use grantor::protocol::Confirmation;
///
/// let json = r#"{"jkt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
/// let confirmation: Confirmation = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&confirmation)?, json);
/// assert_eq!(Confirmation::from_bytes(&confirmation.to_bytes()), Some(confirmation));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Confirmation {
    /// `jkt`: the SHA-256 thumbprint of a public key (RFC 9449 section 6.1).
    #[serde(rename = "jkt")]
    Key(Digest),
    /// `x5t#S256`: the SHA-256 thumbprint of a certificate (RFC 8705 section 3.1).
    #[serde(rename = "x5t#S256")]
    Certificate(Digest),
}

impl Confirmation {
    /// Returns its kind and its thumbprint in 33 bytes, for a database column.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        let (kind, thumbprint) = match self {
            Self::Key(thumbprint) => (1, thumbprint),
            Self::Certificate(thumbprint) => (2, thumbprint),
        };
        let mut bytes = [kind; 33];
        let [_, rest @ ..] = &mut bytes;
        rest.copy_from_slice(thumbprint.as_bytes());
        bytes
    }

    /// Parses the bytes that [`to_bytes`](Self::to_bytes) returned. Returns `None` for any others.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, thumbprint) = bytes.split_first()?;
        let thumbprint = Digest::from_bytes(thumbprint.try_into().ok()?);
        match kind {
            1 => Some(Self::Key(thumbprint)),
            2 => Some(Self::Certificate(thumbprint)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_is_read_as_it_was_written_and_kinds_differ() {
        let thumbprint = Digest::from_bytes([7; 32]);
        let both = [Confirmation::Key(thumbprint), Confirmation::Certificate(thumbprint)];
        for confirmation in both {
            assert_eq!(Confirmation::from_bytes(&confirmation.to_bytes()), Some(confirmation));
            let json = serde_json::to_string(&confirmation).unwrap();
            assert_eq!(serde_json::from_str::<Confirmation>(&json).unwrap(), confirmation);
        }
        assert_ne!(both[0].to_bytes(), both[1].to_bytes());
        let json = serde_json::to_value(both[1]).unwrap();
        assert_eq!(json["x5t#S256"], "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        for bad in [&[][..], &[1; 32], &[1; 34], &[0; 33], &[3; 33]] {
            assert_eq!(Confirmation::from_bytes(bad), None, "{bad:?}");
        }
    }
}
