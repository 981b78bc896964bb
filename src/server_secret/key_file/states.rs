//! The states in the life of a key or root.

use std::fmt;

use crate::clock::UnixTime;
use crate::ids::KeyId;
use crate::jwt::{Algorithm, KeyUse};

/// The state of a signing key, or of a root in one use. It only moves forward. A leaked one leaves at
/// once, from any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// Every process learns of it. It does not sign or seal yet.
    Published,
    /// It signs or seals.
    Active,
    /// Another one signs or seals in its place. Its tokens or handles are accepted.
    Retiring,
    /// Its tokens or handles are refused. The next rotation removes a retired signing key.
    Retired,
}

impl KeyState {
    /// Returns the name of the state: `published`, `active`, `retiring` or `retired`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A signing key of a [`KeyFile`](super::KeyFile), with its state at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyStatus {
    /// Its id, the `kid` of its tokens.
    pub key_id: KeyId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its use; `None` means every use.
    pub key_use: Option<KeyUse>,
    /// Its state.
    pub state: KeyState,
    /// The instant from which it signs.
    pub signs_from: UnixTime,
    /// The instant at which it retires; `None` while no other key is to replace it.
    pub kept_until: Option<UnixTime>,
}
