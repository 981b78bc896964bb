use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;

use spki::der::asn1::UintRef;
use spki::der::{Decode as _, Reader as _, SliceReader};

use super::{Algorithm, KeyError, SigningError, VerifyingKey};
use crate::ids::KeyId;

/// A signer whose key never leaves its place: a KMS, an HSM, another process.
///
/// The server calls it once for each token, after the store has given the grant to the request. After a
/// failure the response is `server_error`, and the client tries again:
///
/// * a refresh gets the same successor, within the grace of the app;
/// * client credentials lose nothing;
/// * an assertion has lost its `jti`, so the client signs a new one;
/// * a code is spent, so the user must authorize again, mostly without a prompt.
///
/// So an implementation over a network needs a deadline of its own, and retries within it.
///
/// ```
/// use grantor::jwt::{TokenSigner, TokenSignerError};
///
/// struct Kms;
///
/// impl TokenSigner for Kms {
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenSignerError> {
///         // Here, call the KMS with the SHA-256 of the message.
///         Err(TokenSignerError::new(format!("{} bytes not signed", message.len())))
///     }
/// }
/// ```
pub trait TokenSigner: Send + Sync {
    /// Signs `message` (RFC 7515 section 5.1). An ECDSA signature has the form of RFC 7518 section 3.4,
    /// or DER, as most services return it.
    ///
    /// # Errors
    ///
    /// [`TokenSignerError`] if there is no signature.
    fn sign(
        &self,
        message: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, TokenSignerError>> + Send;
}

/// A [`TokenSigner`] failed.
#[derive(Debug, thiserror::Error)]
#[error("the remote signer failed")]
pub struct TokenSignerError {
    source: Box<dyn StdError + Send + Sync>,
}

impl TokenSignerError {
    /// Wraps the error of the service. It reaches the audit log, never a client.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

/// The key of a [`TokenSigner`], for one algorithm.
///
/// Every signature is verified before its token is returned, so the first request detects a service that
/// signs with a wrong key.
pub struct RemoteKey {
    signer: Box<dyn AnySigner>,
    algorithm: Algorithm,
    public: VerifyingKey,
    key_id: KeyId,
}

impl RemoteKey {
    /// Creates the private counterpart of `public`, with which `signer` signs. Its id is the id of
    /// `public`, or else the thumbprint (RFC 7638).
    ///
    /// # Errors
    ///
    /// [`KeyError::AlgorithmMismatch`] if `public` does not verify `algorithm`, and
    /// [`KeyError::Unsupported`] for HS256, whose secret would be needed here.
    pub fn new(
        algorithm: Algorithm,
        public: VerifyingKey,
        signer: impl TokenSigner + 'static,
    ) -> Result<Self, KeyError> {
        if algorithm.is_symmetric() {
            return Err(KeyError::Unsupported);
        }
        let key_id = public.key_id().unwrap_or_else(|| public.thumbprint()).clone();
        let public = public.with_algorithm(algorithm)?.with_key_id(key_id.clone());
        Ok(Self { signer: Box::new(signer), algorithm, public, key_id })
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

    /// Returns the key that verifies the signatures, with the same id.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    /// Returns a signature that the public key verifies.
    pub(in crate::jwt) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut signature = self.signer.sign(message).await.map_err(SigningError::Remote)?;
        if let Some(half) = self.half()
            && signature.len() != 2 * half
        {
            signature = fixed_from_der(&signature, half).ok_or(SigningError::WrongSignature)?;
        }
        let verifies = self.public.verifies(self.algorithm, message, &signature);
        if verifies { Ok(signature) } else { Err(SigningError::WrongSignature) }
    }

    /// Returns the length of each of the two numbers of an ECDSA signature (RFC 7518 section 3.4).
    const fn half(&self) -> Option<usize> {
        match self.algorithm {
            Algorithm::ES256 => Some(32),
            Algorithm::ES384 => Some(48),
            Algorithm::EdDSA
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::HS256 => None,
        }
    }
}

impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Converts an ECDSA signature from DER (RFC 3279 section 2.2.3) to its two numbers of `half` bytes.
fn fixed_from_der(der: &[u8], half: usize) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(der).ok()?;
    let numbers = reader.sequence(|inner| Ok([UintRef::decode(inner)?, UintRef::decode(inner)?]));
    let numbers = numbers.ok().filter(|_| reader.is_finished())?;
    let mut fixed = Vec::with_capacity(2 * half);
    for number in &numbers {
        let bytes = number.as_bytes();
        fixed.resize(fixed.len() + half.checked_sub(bytes.len())?, 0);
        fixed.extend_from_slice(bytes);
    }
    Some(fixed)
}

/// A [`TokenSigner`] of any type. It costs a box for each signature, which is negligible beside the call.
trait AnySigner: Send + Sync {
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signed<'a>;
}

type Signed<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, TokenSignerError>> + Send + 'a>>;

impl<T: TokenSigner> AnySigner for T {
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signed<'a> {
        Box::pin(TokenSigner::sign(self, message))
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::super::SigningKey;
    use super::*;
    use crate::jwt::testing::fixture;

    /// A service that signs with a key of its own, and then spoils the signature.
    struct Service(SigningKey, fn(Vec<u8>) -> Vec<u8>);

    impl TokenSigner for Service {
        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenSignerError> {
            let signature = self.0.sign(message).map_err(TokenSignerError::new)?;
            Ok(self.1(signature.as_ref().to_vec()))
        }
    }

    /// Encodes as services do: each number without leading zeros, and positive.
    fn to_der(fixed: &[u8]) -> Vec<u8> {
        let mut numbers = Vec::new();
        for half in fixed.chunks(fixed.len() / 2) {
            let zeros = half.iter().take_while(|byte| **byte == 0).count();
            let mut number = half[zeros..].to_vec();
            if number[0] >= 0x80 {
                number.insert(0, 0);
            }
            numbers.extend([2, u8::try_from(number.len()).unwrap()]);
            numbers.extend(number);
        }
        let mut der = vec![0x30, u8::try_from(numbers.len()).unwrap()];
        der.extend(numbers);
        der
    }

    fn remote(algorithm: Algorithm, pem: &str, spoil: fn(Vec<u8>) -> Vec<u8>) -> RemoteKey {
        let key = SigningKey::from_pem(algorithm, pem).unwrap();
        RemoteKey::new(algorithm, key.verifying_key(), Service(key, spoil)).unwrap()
    }

    #[test]
    fn a_remote_key_of_every_kind_signs() {
        for (algorithm, name) in [
            (Algorithm::ES256, "p256_private"),
            (Algorithm::ES384, "p384_private"),
            (Algorithm::EdDSA, "ed25519_private"),
            (Algorithm::RS256, "rsa_2048_private"),
            (Algorithm::PS256, "rsa_2048_private"),
        ] {
            let key = remote(algorithm, &fixture(name), |signature| signature);
            let signature = block_on(key.sign(b"message")).unwrap();
            assert!(key.verifying_key().verifies(algorithm, b"message", &signature), "{algorithm}");
        }
    }

    /// Often enough that both numbers begin with zeros and with high bits.
    #[test]
    fn a_signature_in_der_is_accepted() {
        for (algorithm, name) in
            [(Algorithm::ES256, "p256_private"), (Algorithm::ES384, "p384_private")]
        {
            let key = remote(algorithm, &fixture(name), |signature| to_der(&signature));
            for message in 0..1_000_u32 {
                block_on(key.sign(&message.to_be_bytes())).unwrap();
            }
        }
    }

    #[test]
    fn a_signature_that_does_not_verify_is_refused() {
        let pem = SigningKey::generate_pem(Algorithm::ES256).unwrap();
        let spoils: [fn(Vec<u8>) -> Vec<u8>; 5] = [
            |_| Vec::new(),
            |_| vec![0; 64],
            |_| vec![0x30; 71],
            |signature| to_der(&signature).into_iter().chain([0]).collect(),
            |signature| [&signature[..], &[0]].concat(),
        ];
        for spoil in spoils {
            let key = remote(Algorithm::ES256, pem.expose_secret(), spoil);
            let refused = block_on(key.sign(b"message"));
            assert!(matches!(refused, Err(SigningError::WrongSignature)));
        }
        // Another key than the one that is published.
        let (own, other) = (Algorithm::ES256, SigningKey::generate(Algorithm::ES256).unwrap());
        let service = Service(SigningKey::generate(own).unwrap(), |signature| signature);
        let key = RemoteKey::new(own, other.verifying_key(), service).unwrap();
        assert!(matches!(block_on(key.sign(b"message")), Err(SigningError::WrongSignature)));
    }

    #[test]
    fn a_remote_key_needs_an_algorithm_of_its_public_key() {
        let make = |algorithm| {
            let key = SigningKey::generate(Algorithm::ES256).unwrap();
            RemoteKey::new(algorithm, key.verifying_key(), Service(key, |it| it)).map(|_| ())
        };
        assert_eq!(make(Algorithm::ES256), Ok(()));
        assert_eq!(make(Algorithm::ES384), Err(KeyError::AlgorithmMismatch));
        assert_eq!(make(Algorithm::HS256), Err(KeyError::Unsupported));
    }
}
