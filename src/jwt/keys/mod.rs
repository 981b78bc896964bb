//! Keys: generation, import, publication, and the ring of the server.

mod algorithm;
mod certificate;
mod decoy;
mod ec_private_key;
mod import;
mod jwk;
mod key_error;
mod key_ring;
mod key_use;
mod remote_key;
mod signer;
mod signing_key;
mod verifying_key;
mod verifying_keys;

pub use algorithm::Algorithm;
pub(crate) use decoy::decoy_keys;
pub use jwk::jwk_set_json;
pub use key_error::KeyError;
pub use key_ring::{KeyRing, RingKey};
pub use key_use::KeyUse;
pub(crate) use key_use::{Term, signing_key};
pub use remote_key::{RemoteKey, TokenSigner, TokenSignerError};
pub(crate) use signer::Signer;
pub use signing_key::{PrivateKeyPem, SigningError, SigningKey};
#[cfg(test)]
pub(in crate::jwt) use verifying_key::VERIFICATIONS;
pub use verifying_key::VerifyingKey;
pub use verifying_keys::{PassedOverKey, VerifyingKeys};

/// Returns the randomness of the operating system, in the only form that `ring` takes.
fn ring_random() -> ring::rand::SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "ring draws nonces and keys from no other source"
    )]
    ring::rand::SystemRandom::new()
}
