use std::borrow::Cow;
use std::fmt;

use super::{Algorithm, RemoteKey, SigningError, SigningKey};
use crate::ids::KeyId;
use crate::jwt::{MAX_TOKEN_BYTES, access_token, jws};

/// A key that signs the tokens of the server, in this process or elsewhere.
pub(crate) struct Signer {
    key: Key,
    /// The header segment of an access token, encoded once.
    access_token_header: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every token begins with the header, which would look like one in a log.
        f.debug_struct("Signer").field("key", &self.key).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Key {
    Local(Box<SigningKey>),
    Remote(Box<RemoteKey>),
}

impl From<SigningKey> for Signer {
    fn from(key: SigningKey) -> Self {
        Self::new(Key::Local(Box::new(key)))
    }
}

impl From<RemoteKey> for Signer {
    fn from(key: RemoteKey) -> Self {
        Self::new(Key::Remote(Box::new(key)))
    }
}

impl Signer {
    fn new(key: Key) -> Self {
        let access_token_header = key.header(access_token::TYPE);
        Self { key, access_token_header }
    }

    /// Returns the `kid` in the header of every token.
    pub(super) fn key_id(&self) -> &KeyId {
        self.key.key_id()
    }

    /// Signs a JWT with the type `typ` in its header and with the claims `payload`.
    ///
    /// # Errors
    ///
    /// [`SigningError::TooLong`] above 16 KiB. A remote signer is not called for such a token, except
    /// if only the signature makes it too long.
    pub(crate) async fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, SigningError> {
        match &self.key {
            Key::Local(key) => self.sign_with(key, typ, payload),
            Key::Remote(key) => {
                let token = self.unsigned(typ, payload)?;
                let signature = key.sign(token.as_bytes()).await?;
                signed(token, &signature)
            }
        }
    }

    /// Signs as [`sign`](Self::sign) does, at once. Returns `None` if the key is in another process.
    pub(super) fn sign_here(
        &self,
        typ: &str,
        payload: &[u8],
    ) -> Option<Result<String, SigningError>> {
        match &self.key {
            Key::Local(key) => Some(self.sign_with(key, typ, payload)),
            Key::Remote(_) => None,
        }
    }

    fn sign_with(
        &self,
        key: &SigningKey,
        typ: &str,
        payload: &[u8],
    ) -> Result<String, SigningError> {
        let token = self.unsigned(typ, payload)?;
        let signature = key.sign(token.as_bytes())?;
        signed(token, signature.as_ref())
    }

    fn unsigned(&self, typ: &str, payload: &[u8]) -> Result<String, SigningError> {
        let header = if typ == access_token::TYPE {
            Cow::Borrowed(&self.access_token_header)
        } else {
            Cow::Owned(self.key.header(typ))
        };
        let token = jws::unsigned(&header, payload);
        if token.len() > MAX_TOKEN_BYTES { Err(SigningError::TooLong) } else { Ok(token) }
    }
}

fn signed(mut token: String, signature: &[u8]) -> Result<String, SigningError> {
    jws::append_signature(&mut token, signature);
    if token.len() > MAX_TOKEN_BYTES { Err(SigningError::TooLong) } else { Ok(token) }
}

impl Key {
    fn header(&self, typ: &str) -> String {
        jws::header_segment(self.algorithm(), typ, self.key_id())
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Local(key) => key.algorithm(),
            Self::Remote(key) => key.algorithm(),
        }
    }

    fn key_id(&self) -> &KeyId {
        match self {
            Self::Local(key) => key.key_id(),
            Self::Remote(key) => key.key_id(),
        }
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;
    use serde_json::{Value, json};

    use super::*;
    use crate::jwt::testing::{another, fixture};
    use crate::jwt::{TokenSigner, TokenSignerError, VerifyingKey};

    /// A service that signs with a key of its own.
    struct Service(SigningKey);

    impl TokenSigner for Service {
        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenSignerError> {
            let signature = self.0.sign(message).map_err(TokenSignerError::new)?;
            Ok(signature.as_ref().to_vec())
        }
    }

    /// A local and a remote signer with the same key.
    fn signers(algorithm: Algorithm, pem: &str) -> ([Signer; 2], VerifyingKey) {
        let [local, remote] = another(algorithm, pem);
        let public = local.verifying_key();
        let remote = RemoteKey::new(algorithm, public.clone(), Service(remote)).unwrap();
        ([local.into(), remote.into()], public)
    }

    /// RFC 7515 section 4.1: the header and claims as another implementation reads them, for the type
    /// whose header is cached and for others.
    #[test]
    fn a_local_and_a_remote_key_sign_every_type_of_jwt() {
        let payload = json!({ "aud": "api", "exp": 4_000_000_000_u64 });
        for (algorithm, name) in [
            (Algorithm::ES256, "p256_private"),
            (Algorithm::EdDSA, "ed25519_private"),
            (Algorithm::RS256, "rsa_2048_private"),
        ] {
            let (signers, public) = signers(algorithm, &fixture(name));
            let jwk = serde_json::from_value(serde_json::to_value(&public).unwrap()).unwrap();
            let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
            let mut rules = jsonwebtoken::Validation::new(algorithm.as_str().parse().unwrap());
            rules.set_audience(&["api"]);
            for signer in &signers {
                for typ in ["at+jwt", "JWT", "logout+jwt"] {
                    let token = block_on(signer.sign(typ, payload.to_string().as_bytes())).unwrap();
                    let read = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
                    assert_eq!(read.header.typ.as_deref(), Some(typ), "{signer:?}");
                    assert_eq!(read.header.kid.as_deref(), public.key_id().map(KeyId::as_str));
                    assert_eq!(read.claims, payload);
                }
            }
        }
    }

    #[test]
    fn a_token_longer_than_verifiers_accept_is_not_signed() {
        let (signers, _) = signers(Algorithm::ES256, &fixture("p256_private"));
        // With header and signature this is the longest payload, give or take the rounding of base64.
        let header =
            jws::header_segment(signers[0].key.algorithm(), "JWT", signers[0].key.key_id());
        let longest = (MAX_TOKEN_BYTES - header.len() - 2 - 86) / 4 * 3;
        for signer in &signers {
            let token = block_on(signer.sign("JWT", &vec![b' '; longest])).unwrap();
            assert!((MAX_TOKEN_BYTES - 4..=MAX_TOKEN_BYTES).contains(&token.len()));
            assert!(jws::Compact::parse(&token).is_ok());
            let beyond = format!("{token}{}", "A".repeat(MAX_TOKEN_BYTES + 4 - token.len()));
            assert!(jws::Compact::parse(&beyond).is_err());
            for more in [3, 100, 10_000] {
                let refused = block_on(signer.sign("JWT", &vec![b' '; longest + more]));
                assert!(matches!(refused, Err(SigningError::TooLong)), "{more}");
            }
        }
    }
}
