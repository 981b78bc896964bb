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
mod assertion_error;
mod claims;
mod jws;
pub(crate) mod keys;
pub(crate) mod new_access_token;

pub use access_token::{AccessTokenClaims, AccessTokenError};
pub use assertion_error::AssertionError;
pub use keys::{
    Algorithm, KeyError, KeyRing, PrivateKeyPem, RemoteKey, RingKey, SigningError, SigningKey,
    TokenSigner, TokenSignerError, VerifyingKey, VerifyingKeys, jwk_set_json,
};
pub use new_access_token::RESERVED_CLAIMS;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors_tests;
