//! The signing keys of a running server, by state.

use super::AuthorizationServer;
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::ids::KeyId;
use crate::jwt::{Algorithm, KeyUse};
use crate::server_secret::KeyState;
use crate::store::Store;
use crate::users::UserDirectory;

/// A key of a running server, with its state at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerKey {
    /// Its id, the `kid` of its tokens, if it has one.
    pub key_id: Option<KeyId>,
    /// The SHA-256 thumbprint of the public key (RFC 7638), by which two processes can be compared. For an HS256
    /// key it is an HMAC under the secret.
    pub thumbprint: KeyId,
    /// Its algorithm; `None` for an RSA key without one.
    pub algorithm: Option<Algorithm>,
    /// Its use; `None` means every use.
    pub key_use: Option<KeyUse>,
    /// Its state. A key that only verifies is [`Retiring`](KeyState::Retiring).
    pub state: KeyState,
    /// The instant from which it signs; `None` if that was always, or if it only verifies.
    pub signs_from: Option<UnixTime>,
    /// The instant at which it retires; `None` while no other key is to replace it.
    pub kept_until: Option<UnixTime>,
}

impl<S: Store, U: UserDirectory, H: Hooks> AuthorizationServer<S, U, H> {
    /// Returns each key of the server with its state now, in the order of the ring. Keys that only verify come
    /// last.
    #[must_use]
    pub fn key_states(&self) -> Vec<ServerKey> {
        let now = self.now();
        let keys = self.key_ring().held(now).into_iter();
        keys.map(|held| {
            let state = if held.term.is_gone(now) {
                KeyState::Retired
            } else if held.signs {
                KeyState::Active
            } else if held.can_sign && held.term.not_before > now {
                KeyState::Published
            } else {
                KeyState::Retiring
            };
            let from = Some(held.term.not_before);
            ServerKey {
                key_id: held.public.key_id().cloned(),
                thumbprint: held.public.thumbprint().clone(),
                algorithm: held.public.algorithm(),
                key_use: held.term.key_use,
                state,
                signs_from: from.filter(|from| held.can_sign && *from > UnixTime::EPOCH),
                kept_until: held.term.retire_after,
            }
        })
        .collect()
    }
}
