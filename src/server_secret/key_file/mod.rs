//! A file of roots and signing keys, so that they survive a restart.

mod roots;
mod rotation;
#[cfg(test)]
mod runbook_tests;
mod signing_keys;
mod states;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::jwt::{Algorithm, KeyError};
use crate::random::SecureRandom;
use crate::server_secret::RootPrint;

use roots::Root;
pub use roots::{RootStatus, RootUse};
pub use rotation::{Rotated, Rotation};
use signing_keys::Key;
pub use states::{KeyState, KeyStatus};
pub use storage::KeyFileError;

/// The secrets of a server: roots of the [`ServerSecret`] and signing keys, stored in one file so that
/// they survive a restart.
///
/// ```json
/// {
///   "version": 1,
///   "revision": 3,
///   "roots": [
///     { "root": "<base64url of 32 bytes>", "for": ["handles"], "made_at": 1700000000000 },
///     { "root": "<base64url of 32 bytes>", "for": ["handles", "pepper", "sealing"], "made_at": 1600000000000 }
///   ],
///   "signing_keys": [
///     { "kid": "…", "alg": "ES256", "pem": "-----BEGIN PRIVATE KEY-----…", "not_before": 1700000600000 },
///     { "kid": "…", "alg": "ES256", "pem": "-----BEGIN PRIVATE KEY-----…", "not_before": 1600000000000,
///       "retire_after": 1702592660000 }
///   ]
/// }
/// ```
///
/// * `roots`: among the roots for one use, the first seals and all open. `made_at` grows from root to root.
/// * `retired`: the fingerprints of the retired roots, if there are any.
/// * `signing_keys`: newest first. A key signs from `not_before` until a newer one does, and is
///   published and accepted until `retire_after`, if present. With `"use": "access_token"` it signs for
///   this use alone, and there goes before the keys without `use`, which sign for every use.
/// * Instants are milliseconds since 1970. They determine the state of each key, as
///   [`key_states`](KeyFile::key_states) returns it.
/// * `revision` counts the writes, so that one does not undo another.
///
/// All processes of one server read the same file. An [`Upkeep`](crate::Upkeep) reloads and rotates the
/// signing keys; `docs/runbooks.md` lists the other procedures. While programs of the previous version
/// still run, rotate keys with one version only, because the two versions lock the file in different
/// ways.
///
/// ```
/// use grantor::clock::{Clock as _, SystemClock};
/// use grantor::jwt::Algorithm;
/// use grantor::random::OsRandom;
/// use grantor::server_secret::{KeyFile, Rotation};
///
/// # let folder = std::env::temp_dir().join(format!("grantor-key-file-{}", std::process::id()));
/// # std::fs::create_dir(&folder)?;
/// let path = folder.join("keys.json");
/// let now = SystemClock::new().now();
///
/// // At every start, before the server is built. The first one generates the file.
/// let file = KeyFile::read_or_generate(&path, Algorithm::ES256, &OsRandom::new(), now)?;
/// let (secret, keys) = (file.server_secret()?, file.key_ring()?);
///
/// // Without an upkeep: every few weeks, in one place.
/// let mut file = KeyFile::read(&path)?;
/// file.rotate(now, &Rotation::default())?;
/// file.write(&path)?;
///
/// // And every few seconds, in every process.
/// keys.replace(KeyFile::read(&path)?.ring_keys()?)?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` shows ids and instants only.
///
/// [`ServerSecret`]: crate::server_secret::ServerSecret
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    version: Version,
    revision: u64,
    roots: Vec<Root>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<RootPrint>,
    signing_keys: Vec<Key>,
}

/// The only version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

impl TryFrom<u32> for Version {
    type Error = &'static str;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 { Ok(Self) } else { Err("another version of key files") }
    }
}

impl From<Version> for u32 {
    fn from(Version: Version) -> Self {
        1
    }
}

/// The version of a text that is no key file of version 1.
#[derive(Deserialize)]
struct Probe {
    version: Option<u64>,
}

impl KeyFile {
    /// Generates the secrets of a new server: one root for every use, and one key for every use, which
    /// signs from `now` on.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] for RSA and HS256, [`KeyError::Random`] if a source fails.
    pub fn generate(
        algorithm: Algorithm,
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let root = Root::generate(RootUse::ALL, random, now).map_err(|_| KeyError::Random)?;
        let signing_keys = vec![Key::generate(algorithm, now)?];
        Ok(Self {
            version: Version,
            revision: 0,
            roots: vec![root],
            retired: Vec::new(),
            signing_keys,
        })
    }

    /// Parses the JSON of a file that the host stores elsewhere.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Malformed`], [`KeyFileError::Foreign`] or [`KeyFileError::OtherVersion`].
    pub fn from_json(json: &str) -> Result<Self, KeyFileError> {
        Self::parse(json, None)
    }

    fn parse(json: &str, path: Option<&Path>) -> Result<Self, KeyFileError> {
        let path = || path.map(Path::to_owned);
        let refused = |error: serde_json::Error| match serde_json::from_str(json) {
            Ok(Probe { version: None }) => KeyFileError::Foreign { path: path() },
            Ok(Probe { version: Some(version) }) if version != 1 => {
                KeyFileError::OtherVersion { path: path(), version }
            }
            // The cause could quote a secret, so the error has only its position.
            Ok(_) | Err(_) => {
                let (line, column) = (error.line(), error.column());
                KeyFileError::Malformed { path: path(), line, column }
            }
        };
        serde_json::from_str(json).map_err(refused)
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("revision", &self.revision)
            .field("roots", &self.roots)
            .field("signing_keys", &self.signing_keys)
            .finish_non_exhaustive()
    }
}
