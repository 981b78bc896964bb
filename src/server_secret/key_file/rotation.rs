//! The schedule of a rotation of signing keys, and its outcome.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::ids::KeyId;
use crate::jwt::KeyUse;

/// The schedule of a rotation of signing keys, and the use whose keys it rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    pub(super) key_use: Option<KeyUse>,
    pub(super) publish_ahead: Duration,
    pub(super) longest_token: Duration,
}

impl Default for Rotation {
    /// Rotates the keys for every use, ten minutes ahead, for tokens of any app (up to 30 days).
    fn default() -> Self {
        Self {
            key_use: None,
            publish_ahead: Duration::from_mins(10),
            longest_token: Duration::from_hours(30 * 24),
        }
    }
}

impl Rotation {
    /// Rotates the keys for `key_use` alone, and leaves all others. Their first one comes from
    /// [`KeyFile::rotate_to_pem`](super::KeyFile::rotate_to_pem).
    #[must_use]
    pub const fn only_for(mut self, key_use: KeyUse) -> Self {
        self.key_use = Some(key_use);
        self
    }

    /// Sets for how long a new key is published before it signs: at least as long as APIs cache the
    /// JWK Set, and as the processes of the server take to read the file again.
    #[must_use]
    pub const fn publish_ahead(mut self, time: Duration) -> Self {
        self.publish_ahead = time;
        self
    }

    /// Raises the time for which a new key is published before it signs.
    pub(crate) fn published_at_least(self, time: Duration) -> Self {
        Self { publish_ahead: self.publish_ahead.max(time), ..self }
    }

    /// Sets the longest lifetime of a token of any app. A token that lives longer ends with its key.
    #[must_use]
    pub const fn longest_token(mut self, time: Duration) -> Self {
        self.longest_token = time;
        self
    }
}

/// The time for which a key is accepted beyond the expiry of its last token, because clocks differ.
pub(super) const CLOCK_MARGIN: Duration = Duration::from_mins(1);

/// The outcome of [`KeyFile::rotate`](super::KeyFile::rotate).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotated {
    /// A new key was added.
    Begun {
        /// The id of the new key.
        key_id: KeyId,
        /// The instant from which it signs.
        signs_from: UnixTime,
    },
    /// The last rotation was to this key. Nothing was changed.
    UnderWay {
        /// The id of the new key.
        key_id: KeyId,
        /// The instant from which it signs.
        signs_from: UnixTime,
    },
}
