use std::fmt;

use serde::{Deserialize, Serialize};

/// A signature algorithm of RFC 7518 section 3.1 or RFC 8037, by its JOSE name.
///
/// There is no `none`. A key and an allow-list decide on the algorithm, never the token (RFC 8725
/// section 3.1).
#[doc(alias = "alg")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256. The default: small, fast, and supported everywhere.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// Ed25519 (RFC 8037 section 3.1). Also read by its newer name `Ed25519` (RFC 9864 section 2.2).
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// RSASSA-PKCS1-v1\_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1\_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1\_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// HMAC with SHA-256. Every verifier can also sign.
    HS256,
}

impl Algorithm {
    /// Every algorithm, in order of preference.
    pub const ALL: &'static [Self] = &[
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::HS256,
    ];

    /// Returns the JOSE name, as in the `alg` header parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::HS256 => "HS256",
        }
    }

    /// Checks whether one secret both signs and verifies.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256)
    }

    /// Finds an algorithm by its JOSE name, or Ed25519 by either of its names.
    pub(in crate::jwt) fn from_name(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_written_and_read_by_its_jose_name() {
        for &algorithm in Algorithm::ALL {
            let json = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(json, format!("\"{algorithm}\""));
            assert_eq!(serde_json::from_str::<Algorithm>(&json).unwrap(), algorithm);
            assert_eq!(Algorithm::from_name(algorithm.as_str()), Some(algorithm));
        }
        for name in ["none", "None", "es256", "HS512", "ES512", ""] {
            assert_eq!(Algorithm::from_name(name), None);
        }
    }
}
