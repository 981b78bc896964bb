use std::fmt;

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair, RsaPublicKeyComponents,
};
use ring::{hmac, pkcs8};
use zeroize::Zeroizing;

use super::ec_private_key::EcKeyPair;
use super::import::{self, PrivateKeyDer};
use super::{Algorithm, KeyError, VerifyingKey, ring_random};
use crate::ids::KeyId;

/// A private key of the server, for one algorithm, parsed once.
///
/// ```
/// use grantor::jwt::{Algorithm, SigningKey};
///
/// let pem = SigningKey::generate_pem(Algorithm::ES256)?;
/// let key = SigningKey::from_pem(Algorithm::ES256, pem.expose_secret())?;
/// assert_eq!(key.key_id(), key.verifying_key().thumbprint());
/// # Ok::<(), grantor::jwt::KeyError>(())
/// ```
pub struct SigningKey {
    pair: KeyPair,
    algorithm: Algorithm,
    public: VerifyingKey,
    key_id: KeyId,
    random: SystemRandom,
}

enum KeyPair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Hmac(hmac::Key),
}

/// A private key as PKCS#8 PEM, for the host to store.
///
/// `Debug` is redacted and memory is zeroized on drop.
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// Returns the PEM text itself. Review every call site.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyPem([redacted])")
    }
}

/// A token that could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The signature failed, because the system's source of randomness failed.
    #[error("the signature failed")]
    Signature,
    /// A [`TokenSigner`](super::TokenSigner) failed.
    #[error("the token could not be signed")]
    Remote(#[source] super::TokenSignerError),
    /// A [`TokenSigner`](super::TokenSigner) returned a signature that its public key does not verify.
    #[error("the remote signature does not verify under the key")]
    WrongSignature,
    /// The token would be longer than verifiers accept.
    #[error("the token would be longer than 16 KiB")]
    TooLong,
}

impl SigningKey {
    /// Generates a key that is lost when the process ends.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] for RSA, [`KeyError::Random`] if the source of randomness fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.is_symmetric() {
            let mut secret = Zeroizing::new([0; 32]);
            ring_random().fill(secret.as_mut_slice()).map_err(|_| KeyError::Random)?;
            return Self::from_hmac_secret(secret.as_slice());
        }
        Self::from_pkcs8(algorithm, generate_pkcs8(algorithm)?.as_ref())
    }

    /// Generates a key for the host to store, as PKCS#8 PEM for [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] for RSA and HS256, [`KeyError::Random`] if the source of randomness
    /// fails.
    pub fn generate_pem(algorithm: Algorithm) -> Result<PrivateKeyPem, KeyError> {
        let block = pem::Pem::new("PRIVATE KEY", generate_pkcs8(algorithm)?.as_ref());
        let text = Zeroizing::new(pem::encode(&block));
        drop(Zeroizing::new(block.into_contents()));
        Ok(PrivateKeyPem(text))
    }

    /// Parses the private key of a PEM text: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC 1
    /// (`EC PRIVATE KEY`), not encrypted. Blocks without a private key and text around them are ignored.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the problem. RSA is accepted with a modulus of 2048, 2560, 3072, 3584 or 4096 bits and
    /// a public exponent of at least 65537.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        match import::private_key(pem)? {
            PrivateKeyDer::Pkcs8(der) => Self::from_pkcs8(algorithm, &der),
            PrivateKeyDer::Pkcs1(der) => {
                let encoding = rsa_encoding(algorithm).ok_or(KeyError::AlgorithmMismatch)?;
                let pair = RsaKeyPair::from_der(&der).map_err(|error| rejected(&error))?;
                Self::from_rsa(algorithm, pair, encoding)
            }
            PrivateKeyDer::Sec1(der) => {
                Self::from_ec(algorithm, &EcKeyPair::from_sec1(algorithm, &der)?)
            }
        }
    }

    /// Creates an HS256 key. Every verifier must share the secret.
    ///
    /// # Errors
    ///
    /// [`KeyError::ShortSecret`] under 32 bytes.
    pub fn from_hmac_secret(secret: &[u8]) -> Result<Self, KeyError> {
        let public = VerifyingKey::from_hmac_secret(secret)?;
        let pair = KeyPair::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Self::new(Algorithm::HS256, pair, public)
    }

    /// Sets the key id. Default: the thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn with_key_id(self, key_id: KeyId) -> Self {
        Self { public: self.public.with_key_id(key_id.clone()), key_id, ..self }
    }

    /// Returns the `kid` in the header of every token signed with this key.
    #[doc(alias = "kid")]
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Returns the one algorithm of this key.
    #[doc(alias = "alg")]
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the key that verifies the signatures, with the same id. It is public, except for HS256.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        if let Some(encoding) = rsa_encoding(algorithm) {
            let pair = RsaKeyPair::from_pkcs8(der).map_err(|error| rejected(&error))?;
            return Self::from_rsa(algorithm, pair, encoding);
        }
        if ecdsa(algorithm).is_some() {
            return Self::from_ec(algorithm, &EcKeyPair::from_pkcs8(algorithm, der)?);
        }
        if algorithm != Algorithm::EdDSA {
            return Err(KeyError::AlgorithmMismatch);
        }
        // "Maybe unchecked": OpenSSL writes version 1, without a public key to check against.
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|error| rejected(&error))?;
        let public = import::ed25519(pair.public_key().as_ref())?;
        Self::new(algorithm, KeyPair::Ed25519(pair), public)
    }

    fn from_ec(algorithm: Algorithm, key: &EcKeyPair) -> Result<Self, KeyError> {
        let curve = ecdsa(algorithm).ok_or(KeyError::AlgorithmMismatch)?;
        let (number, point, random) = (&key.number, &key.point, ring_random());
        let pair = EcdsaKeyPair::from_private_key_and_public_key(curve, number, point, &random)
            .map_err(|error| rejected(&error))?;
        let public =
            if algorithm == Algorithm::ES256 { import::p256(point)? } else { import::p384(point)? };
        Self::new(algorithm, KeyPair::Ecdsa(pair), public)
    }

    fn from_rsa(
        algorithm: Algorithm,
        pair: RsaKeyPair,
        encoding: &'static dyn RsaEncoding,
    ) -> Result<Self, KeyError> {
        let components: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
        let public = import::rsa(&components.n, &components.e)?;
        Self::new(algorithm, KeyPair::Rsa(Box::new(pair), encoding), public)
    }

    fn new(algorithm: Algorithm, pair: KeyPair, public: VerifyingKey) -> Result<Self, KeyError> {
        let key_id = public.thumbprint().clone();
        let public = public.with_algorithm(algorithm)?.with_key_id(key_id.clone());
        Ok(Self { pair, algorithm, public, key_id, random: ring_random() })
    }

    pub(in crate::jwt) fn sign(&self, message: &[u8]) -> Result<Signature, SigningError> {
        match &self.pair {
            KeyPair::Ecdsa(pair) => match pair.sign(&self.random, message) {
                Ok(signature) => Ok(Signature::EllipticCurve(signature)),
                Err(_) => Err(SigningError::Signature),
            },
            KeyPair::Ed25519(pair) => Ok(Signature::EllipticCurve(pair.sign(message))),
            KeyPair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                match pair.sign(*encoding, &self.random, message, &mut signature) {
                    Ok(()) => Ok(Signature::Rsa(signature)),
                    Err(_) => Err(SigningError::Signature),
                }
            }
            KeyPair::Hmac(key) => Ok(Signature::Hmac(hmac::sign(key, message))),
        }
    }
}

/// A signature, in the form in which `ring` returns it.
pub(in crate::jwt) enum Signature {
    EllipticCurve(signature::Signature),
    Rsa(Vec<u8>),
    Hmac(hmac::Tag),
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::EllipticCurve(signature) => signature.as_ref(),
            Self::Rsa(signature) => signature,
            Self::Hmac(tag) => tag.as_ref(),
        }
    }
}

fn generate_pkcs8(algorithm: Algorithm) -> Result<pkcs8::Document, KeyError> {
    let random = ring_random();
    let generated = match (algorithm, ecdsa(algorithm)) {
        (Algorithm::EdDSA, _) => Ed25519KeyPair::generate_pkcs8(&random),
        (_, Some(curve)) => EcdsaKeyPair::generate_pkcs8(curve, &random),
        (_, None) => return Err(KeyError::CannotGenerate),
    };
    generated.map_err(|_| KeyError::Random)
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    if algorithm == Algorithm::ES256 {
        Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)
    } else if algorithm == Algorithm::ES384 {
        Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)
    } else {
        None
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA | Algorithm::HS256 => None,
    }
}

/// Translates ring's error for a private key.
fn rejected(error: &ring::error::KeyRejected) -> KeyError {
    match error.to_string().as_str() {
        // Of the modulus or of the exponent: NIST SP 800-56B allows no exponent below 65537.
        "TooSmall" | "TooLarge" | "PrivateModulusLenNotMultipleOf512Bits" => KeyError::RsaSigning,
        "WrongAlgorithm" => KeyError::AlgorithmMismatch,
        "VersionNotSupported" | "PublicKeyIsMissing" => KeyError::Unsupported,
        _ => KeyError::Malformed,
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::testing::fixture;

    fn signs_for_itself(key: &SigningKey) -> bool {
        let signature = key.sign(b"message").unwrap();
        let public = key.verifying_key();
        public.verifies(key.algorithm(), b"message", signature.as_ref())
            && !public.verifies(key.algorithm(), b"massage", signature.as_ref())
    }

    #[test]
    fn the_verifying_key_of_a_generated_key_verifies_its_signatures() {
        for &algorithm in Algorithm::ALL {
            match SigningKey::generate(algorithm) {
                Ok(key) => assert!(signs_for_itself(&key), "{algorithm}"),
                Err(error) => {
                    assert!(algorithm.as_str().contains('S') && rsa_encoding(algorithm).is_some());
                    assert_eq!(error, KeyError::CannotGenerate);
                }
            }
        }
    }

    #[test]
    fn a_generated_pem_gives_the_same_key_each_time() {
        for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
            let pem = SigningKey::generate_pem(algorithm).unwrap();
            let again = || SigningKey::from_pem(algorithm, pem.expose_secret()).unwrap();
            assert!(signs_for_itself(&again()));
            assert_eq!(again().verifying_key(), again().verifying_key());
            assert_eq!(again().key_id(), again().verifying_key().thumbprint());
        }
        for algorithm in [Algorithm::HS256, Algorithm::RS256] {
            let refused = SigningKey::generate_pem(algorithm).map(|_| ());
            assert_eq!(refused, Err(KeyError::CannotGenerate));
        }
    }

    #[test]
    fn keys_of_openssl_match_their_public_keys() {
        for (algorithm, private, public) in [
            (Algorithm::ES256, "p256_private", "p256_public"),
            (Algorithm::ES384, "p384_private", "p384_public"),
            (Algorithm::EdDSA, "ed25519_private", "ed25519_public"),
            (Algorithm::RS256, "rsa_2048_private", "rsa_2048_public"),
            (Algorithm::RS384, "rsa_2048_private_pkcs1", "rsa_2048_public"),
            (Algorithm::RS512, "rsa_2048_private", "rsa_2048_public_pkcs1"),
            (Algorithm::PS256, "rsa_2048_private_pkcs1", "rsa_2048_public_pkcs1"),
            (Algorithm::PS384, "rsa_2048_private", "rsa_2048_public"),
            (Algorithm::PS512, "rsa_2048_private", "rsa_2048_public"),
            (Algorithm::ES256, "p256_private_sec1", "p256_public"),
        ] {
            let key = SigningKey::from_pem(algorithm, &fixture(private)).unwrap();
            assert!(signs_for_itself(&key), "{algorithm}");
            let public = VerifyingKey::from_pem(&fixture(public)).unwrap();
            assert_eq!(key.key_id(), public.thumbprint(), "{algorithm}");
        }
    }

    #[test]
    fn an_unusable_private_key_is_refused_with_its_error() {
        for (algorithm, pem, error) in [
            (Algorithm::ES256, fixture("p384_private"), KeyError::AlgorithmMismatch),
            (Algorithm::ES384, fixture("p256_private"), KeyError::AlgorithmMismatch),
            (Algorithm::EdDSA, fixture("p256_private"), KeyError::AlgorithmMismatch),
            (Algorithm::ES256, fixture("rsa_2048_private_pkcs1"), KeyError::AlgorithmMismatch),
            (Algorithm::HS256, fixture("p256_private"), KeyError::AlgorithmMismatch),
            (Algorithm::RS256, fixture("rsa_1024_private"), KeyError::RsaSigning),
            (Algorithm::RS256, fixture("rsa_2048_exponent_3_private"), KeyError::RsaSigning),
            (Algorithm::ES256, fixture("p256_public"), KeyError::PemLabel),
            (Algorithm::ES384, fixture("p256_private_sec1"), KeyError::AlgorithmMismatch),
            (Algorithm::RS256, fixture("p256_private_sec1"), KeyError::AlgorithmMismatch),
            (Algorithm::ES256, fixture("p256_private") + &fixture("p256_private"), KeyError::Pem),
            (Algorithm::ES256, "no PEM".to_owned(), KeyError::Pem),
            (Algorithm::ES256, "-".repeat(70_000), KeyError::TooLong),
        ] {
            let refused = SigningKey::from_pem(algorithm, &pem).map(|_| ());
            assert_eq!(refused, Err(error), "{algorithm}");
        }
        let short = SigningKey::from_hmac_secret(&[7; 31]).map(|_| ());
        assert_eq!(short, Err(KeyError::ShortSecret));
    }

    #[test]
    fn a_key_id_replaces_the_thumbprint_in_both_keys() {
        let id = KeyId::new("2026-1").unwrap();
        let key = SigningKey::generate(Algorithm::ES256).unwrap().with_key_id(id.clone());
        assert_eq!(key.key_id(), &id);
        assert_eq!(key.verifying_key().key_id(), Some(&id));
        assert_ne!(key.verifying_key().thumbprint(), &id);
    }

    #[test]
    fn debug_shows_the_id_of_a_key_and_nothing_of_the_key() {
        let secret = "planted-secret-planted-secret-pla";
        let key = SigningKey::from_hmac_secret(secret.as_bytes()).unwrap();
        let pem = SigningKey::generate_pem(Algorithm::ES256).unwrap();
        let shown = format!("{key:?} {:?} {pem:?}", key.verifying_key());
        assert!(shown.contains(key.key_id().as_str()));
        assert!(!shown.contains("planted") && !shown.contains("BEGIN"), "{shown}");
    }
}
