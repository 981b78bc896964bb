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
pub(crate) mod assertion;
mod claims;
mod jws;
pub(crate) mod keys;

pub use access_token::{AccessTokenClaims, AccessTokenError, RESERVED_CLAIMS};
pub use assertion::AssertionError;
pub use keys::{
    Algorithm, KeyError, KeyRing, PrivateKeyPem, RemoteKey, RingKey, SigningError, SigningKey,
    TokenSigner, TokenSignerError, VerifyingKey, VerifyingKeys, jwk_set_json,
};

/// The longest JWT that the server signs or accepts, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod vectors_tests;
