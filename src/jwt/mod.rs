//! JSON Web Tokens: keys, signatures, access tokens (RFC 9068) and assertions (RFC 7523).
//!
//! Tokens are read strictly (RFC 8725): the algorithm comes from the key and an allow-list, never from
//! the token; every claim has one type; no member may be given twice.
//!
//! | item | limit |
//! | --- | --- |
//! | an access token | 16 KiB, including up to 3 KiB added by the host |
//! | an assertion | 16 KiB |
//! | the text of keys (PEM, JWK, JWK Set) | 64 KiB, 16 keys |
//! | RSA | 2048 to 4096 bits |
//! | an HS256 secret | at least 32 bytes |
//! | `kid` | 128 bytes |
//! | `jti` of an assertion | 255 bytes |

pub(crate) mod access_token;
pub(crate) mod assertion;
mod circumstances;
mod claims;
pub(crate) mod evidence;
mod jws;
pub(crate) mod keys;
pub(crate) mod software_statement;

pub use access_token::{AccessTokenClaims, AccessTokenError, RESERVED_CLAIMS};
pub use assertion::AssertionError;
pub use circumstances::{Circumstances, Parent, PriorActor};
pub use keys::{
    Algorithm, KeyError, KeyRing, KeyUse, PassedOverKey, PrivateKeyPem, RemoteKey, RingKey,
    SigningError, SigningKey, TokenSigner, TokenSignerError, VerifyingKey, VerifyingKeys,
    jwk_set_json,
};

pub use software_statement::StatementIssuer;

/// The longest JWT that the server signs or accepts, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod vectors_tests;
