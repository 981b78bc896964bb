//! Proof Key for Code Exchange (RFC 7636): the client that redeems a code is the one that began the
//! request.
//!
//! Only `S256` is supported, and every code flow requires it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::random::{self, RandomError, SecureRandom};

/// Invalid PKCE parameters of an authorization request. On the wire each is `invalid_request` (RFC 7636
/// section 4.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.description())]
#[non_exhaustive]
pub enum CodeChallengeError {
    /// `code_challenge` is missing.
    Missing,
    /// `code_challenge_method` is `plain`, or absent, which means the same.
    Plain,
    /// `code_challenge_method` is not defined by RFC 7636.
    UnknownMethod,
    /// `code_challenge` is not a SHA-256 digest in base64url.
    Malformed,
}

impl CodeChallengeError {
    /// Returns the text for `error_description`.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Missing => "code_challenge is missing",
            Self::Plain => "code_challenge_method is not S256",
            Self::UnknownMethod => "code_challenge_method is unknown",
            Self::Malformed => "code_challenge is not 43 characters of base64url",
        }
    }
}

/// A `code_verifier` that is refused before it is compared. On the wire both are `invalid_grant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeVerifierError {
    /// `code_verifier` is missing.
    #[error("code_verifier is missing")]
    Missing,
    /// It is not 43 to 128 characters of the unreserved set of RFC 3986 section 2.3.
    #[error("code_verifier is not 43 to 128 unreserved characters")]
    Malformed,
}

/// The digest of a verifier in an authorization request: `code_challenge` of RFC 7636 section 4.2, with
/// `S256`.
#[doc(alias = "code_challenge")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Parses the `code_challenge` and `code_challenge_method` of a request.
    ///
    /// # Errors
    ///
    /// [`CodeChallengeError`] unless the challenge is present, well formed and `S256`.
    pub fn from_request(
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Self, CodeChallengeError> {
        let challenge = challenge.ok_or(CodeChallengeError::Missing)?;
        match method {
            Some("S256") => challenge.parse(),
            None | Some("plain") => Err(CodeChallengeError::Plain),
            Some(_) => Err(CodeChallengeError::UnknownMethod),
        }
    }

    /// Checks whether this is the challenge of `verifier`. Compares in constant time.
    #[must_use]
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        self.0.ct_eq(&verifier.challenge().0).into()
    }

    /// Returns the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for CodeChallenge {
    type Err = CodeChallengeError;

    fn from_str(text: &str) -> Result<Self, CodeChallengeError> {
        // One byte more than the digest: the decoder needs room for its estimate.
        let mut bytes = [0; 33];
        match (URL_SAFE_NO_PAD.decode_slice(text, &mut bytes), bytes.first_chunk()) {
            (Ok(32), Some(digest)) => Ok(Self(*digest)),
            _ => Err(CodeChallengeError::Malformed),
        }
    }
}

impl fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeChallenge({self})")
    }
}

impl Serialize for CodeChallenge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CodeChallenge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The client's secret for a challenge: `code_verifier` of RFC 7636 section 4.1.
///
/// Redacted in `Debug` and zeroized on drop. It can be neither cloned nor compared: use
/// [`CodeChallenge::matches`].
///
/// ```compile_fail
/// # use grantor::protocol::CodeVerifier;
/// fn same(a: CodeVerifier, b: CodeVerifier) -> bool { a == b }
/// ```
#[doc(alias = "code_verifier")]
pub struct CodeVerifier(Zeroizing<String>);

impl CodeVerifier {
    /// Parses the `code_verifier` of a token request.
    ///
    /// # Errors
    ///
    /// [`CodeVerifierError`] if it is missing or malformed.
    pub fn from_request(verifier: Option<&str>) -> Result<Self, CodeVerifierError> {
        let verifier = verifier.ok_or(CodeVerifierError::Missing)?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved) {
            Ok(Self(Zeroizing::new(verifier.to_owned())))
        } else {
            Err(CodeVerifierError::Malformed)
        }
    }

    /// Generates a verifier for a client: 256 random bits, in 43 characters.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source fails.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let mut bytes: [u8; 32] = random::array(random)?;
        let verifier = Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)));
        bytes.zeroize();
        Ok(verifier)
    }

    /// Computes the challenge, its SHA-256 digest.
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.0.as_bytes());
        // SHA-256 has 32 bytes. The unreachable default would match no verifier.
        CodeChallenge(digest.as_ref().try_into().unwrap_or_default())
    }

    /// Returns the secret itself. Review every call site.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn verifier(text: &str) -> CodeVerifier {
        CodeVerifier::from_request(Some(text)).unwrap()
    }

    /// P10: the example of RFC 7636 appendix B.
    #[test]
    fn the_example_of_rfc_7636_is_accepted() {
        let challenge = CodeChallenge::from_request(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.matches(&verifier(VERIFIER)));
        assert_eq!(verifier(VERIFIER).challenge().to_string(), CHALLENGE);
    }

    /// P2, P3, P4, and the absence of both.
    #[test]
    fn only_s256_with_a_challenge_is_accepted() {
        for (challenge, method, error) in [
            (Some(CHALLENGE), Some("plain"), CodeChallengeError::Plain),
            (Some(CHALLENGE), None, CodeChallengeError::Plain),
            (Some(CHALLENGE), Some("s256"), CodeChallengeError::UnknownMethod),
            (Some(CHALLENGE), Some("S512"), CodeChallengeError::UnknownMethod),
            (None, Some("S256"), CodeChallengeError::Missing),
            (None, None, CodeChallengeError::Missing),
        ] {
            assert_eq!(CodeChallenge::from_request(challenge, method), Err(error));
        }
    }

    /// P5: for `S256`, exactly 43 characters of base64url, in their canonical encoding.
    #[test]
    fn a_malformed_challenge_is_refused() {
        let too_long = format!("{CHALLENGE}A");
        let padded = format!("{CHALLENGE}=");
        let uncanonical = CHALLENGE.replace("-cM", "-cN");
        let standard_alphabet = CHALLENGE.replace('-', "+");
        let filled = CHALLENGE.replace("-cM", "-c=");
        for bad in
            ["", &CHALLENGE[1..], &too_long, &padded, &filled, &uncanonical, &standard_alphabet]
        {
            assert_eq!(bad.parse::<CodeChallenge>(), Err(CodeChallengeError::Malformed), "{bad}");
        }
    }

    /// P6: another verifier, even if only one character differs.
    #[test]
    fn a_wrong_verifier_does_not_match() {
        let challenge: CodeChallenge = CHALLENGE.parse().unwrap();
        assert!(!challenge.matches(&verifier(&VERIFIER.replace("dBj", "dBk"))));
        assert!(!challenge.matches(&verifier(CHALLENGE)));
    }

    /// P7, P8: a malformed verifier is refused before it is compared.
    #[test]
    fn a_missing_or_malformed_verifier_is_refused() {
        assert_eq!(CodeVerifier::from_request(None).unwrap_err(), CodeVerifierError::Missing);
        for bad in ["a".repeat(42), "a".repeat(129), "a".repeat(43) + "+", "é".repeat(30)] {
            let error = CodeVerifier::from_request(Some(&bad)).unwrap_err();
            assert_eq!(error, CodeVerifierError::Malformed, "{bad}");
        }
        assert!(CodeVerifier::from_request(Some(&"~".repeat(128))).is_ok());
    }

    #[test]
    fn a_generated_verifier_is_well_formed_and_never_shown() {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let again = CodeVerifier::from_request(Some(verifier.expose_secret())).unwrap();
        assert!(verifier.challenge().matches(&again));
        assert!(!format!("{verifier:?}").contains(verifier.expose_secret()));
    }
}
