//! JSON Web Tokens: keys, signatures, the access tokens that are issued (RFC 9068) and the
//! assertions that are presented (RFC 7523).
//!
//! What is signed and what is believed is decided here, by hand and strictly (RFC 8725): the
//! algorithm comes from the key and an allow-list, never from the token; every claim has one type;
//! no member may be given twice.
//!
//! | what | limit |
//! | --- | --- |
//! | an access token | 16 KiB, of which a host may add 3 KiB |
//! | an assertion | 16 KiB |
//! | the text of keys (PEM, JWK, JWK Set) | 64 KiB, 16 keys |
//! | RSA | 2048 to 8192 bits; for signing to 4096 |
//! | an HS256 secret | at least 32 bytes |
//! | `kid` | 128 bytes |
//! | `jti` of an assertion | 255 bytes |

pub(crate) mod access_token;
mod algorithm;
pub(crate) mod assertion;
mod assertion_error;
mod claims;
mod import;
mod jwk;
mod jws;
mod key_error;
pub(crate) mod key_ring;
pub(crate) mod new_access_token;
mod remote_key;
mod signing_key;
mod verifying_key;
mod verifying_keys;

pub use access_token::{AccessTokenClaims, AccessTokenError};
pub use algorithm::Algorithm;
pub use assertion_error::AssertionError;
pub use jwk::jwk_set_json;
pub use key_error::KeyError;
pub use key_ring::{KeyRing, RingKey};
pub use new_access_token::RESERVED_CLAIMS;
pub use remote_key::{RemoteKey, TokenSigner, TokenSignerError};
pub use signing_key::{PrivateKeyPem, SigningError, SigningKey};
pub use verifying_key::VerifyingKey;
pub use verifying_keys::VerifyingKeys;

/// The system's source, in the only form that `ring` takes.
fn ring_random() -> ring::rand::SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "ring draws nonces and keys from no other source"
    )]
    ring::rand::SystemRandom::new()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors_tests;
