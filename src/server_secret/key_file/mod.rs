//! The key file: roots and signing keys that survive a restart.

mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::ids::KeyId;
use crate::jwt::{Algorithm, KeyError, KeyRing, RingKey, SigningKey, VerifyingKeys};
use crate::random::{self, RandomError, SecureRandom};
use crate::server_secret::{ServerSecret, WeakServerSecret};

pub use storage::KeyFileError;

/// What a root of the [`ServerSecret`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RootUse {
    /// Codes, refresh tokens, tickets.
    Handles,
    /// Digests of client secrets.
    Pepper,
    /// Signature secrets.
    Sealing,
}

impl RootUse {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Handles, Self::Pepper, Self::Sealing];
}

/// What a signing key does at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// It is published and does not sign yet.
    Next,
    /// It signs.
    Signing,
    /// It signs no more; its tokens are good.
    Retired,
    /// Its last token has expired. The next rotation removes it.
    Gone,
}

/// How signing keys rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    publish_ahead: Duration,
    longest_token: Duration,
}

impl Default for Rotation {
    /// Ten minutes ahead, for tokens of any app: up to 30 days.
    fn default() -> Self {
        Self {
            publish_ahead: Duration::from_secs(600),
            longest_token: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Rotation {
    /// How long a new key is published before it signs: at least as long as APIs cache the JWK Set, and
    /// as the processes of the server take to read the file again.
    #[must_use]
    pub const fn publish_ahead(mut self, time: Duration) -> Self {
        self.publish_ahead = time;
        self
    }

    /// The longest lifetime of an access token that any app has. Tokens that live longer die with
    /// their key.
    #[must_use]
    pub const fn longest_token(mut self, time: Duration) -> Self {
        self.longest_token = time;
        self
    }
}

/// How much longer than its last token a key is believed: clocks differ.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);

/// What [`KeyFile::rotate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotated {
    /// There is a new key, which will sign.
    Begun {
        /// Its id.
        key_id: KeyId,
        /// From when on.
        signs_from: UnixTime,
    },
    /// The key of the last rotation does not sign yet: nothing was changed.
    UnderWay {
        /// Its id.
        key_id: KeyId,
        /// From when on.
        signs_from: UnixTime,
    },
}

/// The secrets of the server in one file, so that they survive a restart: roots of the
/// [`ServerSecret`] and signing keys.
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
/// * `roots`: of those that are for one use, the first makes and all check.
/// * `signing_keys`: newest first, each signing from `not_before` until a newer one does, and
///   published and believed until `retire_after`, where it has one.
/// * Instants are milliseconds since 1970. Whether a key is next, signing or retired follows from
///   them as [`key_states`](KeyFile::key_states) says, and nothing in the file can contradict it.
/// * `revision` counts the writes, so that one does not undo another.
///
/// All processes of one server read the same file. [`rotate`](KeyFile::rotate) is the whole rotation
/// of signing keys; what else may have to be done with them is in `docs/runbooks.md`.
///
/// ```
/// use grantor::clock::{Clock as _, SystemClock};
/// use grantor::jwt::Algorithm;
/// use grantor::random::OsRandom;
/// use grantor::server_secret::{KeyFile, Rotation};
///
/// let path = std::env::temp_dir().join(format!("grantor-{}.json", std::process::id()));
/// let now = SystemClock::new().now();
///
/// // Once, when the server is installed.
/// KeyFile::generate(Algorithm::ES256, &OsRandom::new(), now)?.write(&path)?;
///
/// // At every start: what the server is built with.
/// let file = KeyFile::read(&path)?;
/// let (secret, keys) = (file.server_secret()?, file.key_ring()?);
///
/// // Every few weeks, in one place.
/// let mut file = KeyFile::read(&path)?;
/// file.rotate(now, &Rotation::default())?;
/// file.write(&path)?;
///
/// // Every minute, in every process.
/// keys.replace(KeyFile::read(&path)?.ring_keys()?)?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` shows ids and instants only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    version: Version,
    revision: u64,
    roots: Vec<Root>,
    signing_keys: Vec<Key>,
}

/// The one version that there is.
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

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    #[serde(rename = "root")]
    bytes: Zeroizing<String>,
    #[serde(rename = "for")]
    uses: Vec<RootUse>,
    made_at: UnixTime,
}

impl Root {
    fn generate(
        uses: &[RootUse],
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, RandomError> {
        let bytes = Zeroizing::new(random::array::<32>(random)?);
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..]));
        Ok(Self { bytes, uses: uses.to_vec(), made_at: now })
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    kid: KeyId,
    alg: Algorithm,
    pem: Zeroizing<String>,
    not_before: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retire_after: Option<UnixTime>,
}

impl Key {
    fn generate(algorithm: Algorithm, not_before: UnixTime) -> Result<Self, KeyError> {
        let pem = SigningKey::generate_pem(algorithm)?;
        Self::new(algorithm, Zeroizing::new(pem.expose_secret().to_owned()), not_before)
    }

    fn new(alg: Algorithm, pem: Zeroizing<String>, not_before: UnixTime) -> Result<Self, KeyError> {
        let kid = SigningKey::from_pem(alg, &pem)?.key_id().clone();
        Ok(Self { kid, alg, pem, not_before, retire_after: None })
    }

    fn is_gone(&self, now: UnixTime) -> bool {
        self.retire_after.is_some_and(|instant| instant <= now)
    }
}

impl KeyFile {
    /// Fresh secrets for a new server: one root for every use, and one key that signs from `now` on.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] for RSA and HS256, [`KeyError::Random`] when a source fails.
    pub fn generate(
        algorithm: Algorithm,
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let root = Root::generate(RootUse::ALL, random, now).map_err(|_| KeyError::Random)?;
        let signing_keys = vec![Key::generate(algorithm, now)?];
        Ok(Self { version: Version, revision: 0, roots: vec![root], signing_keys })
    }

    /// The roots, as the server takes them.
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] when a use has no root, or one of less than 32 bytes.
    pub fn server_secret(&self) -> Result<ServerSecret, WeakServerSecret> {
        let mut roots = Vec::new();
        for root in &self.roots {
            let bytes = URL_SAFE_NO_PAD.decode(&*root.bytes).map_err(|_| WeakServerSecret)?;
            roots.push((Zeroizing::new(bytes), &root.uses));
        }
        let of = |wanted: RootUse| {
            let roots = roots.iter().filter(move |(_, uses)| uses.contains(&wanted));
            roots.map(|(bytes, _)| bytes.as_slice())
        };
        ServerSecret::of_roots(of(RootUse::Handles), of(RootUse::Pepper), of(RootUse::Sealing))
    }

    /// A ring of the signing keys, for [`AuthorizationServer::builder`].
    ///
    /// [`AuthorizationServer::builder`]: crate::AuthorizationServer::builder
    ///
    /// # Errors
    ///
    /// [`KeyError`] when a key cannot be read, or as for [`KeyRing::new`].
    pub fn key_ring(&self) -> Result<KeyRing, KeyError> {
        KeyRing::new(self.ring_keys()?)
    }

    /// The signing keys, for [`KeyRing::replace`] on the ring of a running server.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when a key cannot be read.
    pub fn ring_keys(&self) -> Result<Vec<RingKey>, KeyError> {
        let ring_key = |key: &Key| {
            let signing = SigningKey::from_pem(key.alg, &key.pem)?.with_key_id(key.kid.clone());
            let ring_key = RingKey::from(signing).not_before(key.not_before);
            Ok(match key.retire_after {
                Some(instant) => ring_key.retire_after(instant),
                None => ring_key,
            })
        };
        self.signing_keys.iter().map(ring_key).collect()
    }

    /// What each signing key does at `now`, newest first.
    #[must_use]
    pub fn key_states(&self, now: UnixTime) -> Vec<(KeyId, KeyState)> {
        let signing = self.signing(now);
        let state = |(place, key): (usize, &Key)| {
            let state = if key.is_gone(now) {
                KeyState::Gone
            } else if Some(place) == signing {
                KeyState::Signing
            } else if key.not_before > now {
                KeyState::Next
            } else {
                KeyState::Retired
            };
            (key.kid.clone(), state)
        };
        self.signing_keys.iter().enumerate().map(state).collect()
    }

    /// Begins the change to a new signing key: it is published now, signs when it has been for long
    /// enough, and the present one goes when its last token has expired. Keys that are gone are
    /// removed. Called again before the new key signs, it changes nothing.
    ///
    /// It takes effect where the file is [written](Self::write) and read again.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] after an RSA key, [`KeyError::NoKey`] when there is no key that
    /// signs, [`KeyError::TooManyKeys`] when 16 keys are not gone yet.
    pub fn rotate(&mut self, now: UnixTime, rotation: &Rotation) -> Result<Rotated, KeyError> {
        if let Some(next) = self.signing_keys.iter().find(|key| key.not_before > now) {
            let (key_id, signs_from) = (next.kid.clone(), next.not_before);
            return Ok(Rotated::UnderWay { key_id, signs_from });
        }
        let signing = self.signing(now).and_then(|place| self.signing_keys.get(place));
        let algorithm = signing.ok_or(KeyError::NoKey)?.alg;
        self.add_key(Key::generate(algorithm, now)?, now, rotation)
    }

    /// As [`rotate`](Self::rotate), to a key that the host brings: for RSA, of which none is generated
    /// here (`openssl genpkey`).
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for [`SigningKey::from_pem`], [`KeyError::DuplicateKeyId`] when it is on the
    /// ring already, [`KeyError::TooManyKeys`] when 16 keys are not gone yet.
    pub fn rotate_to_pem(
        &mut self,
        algorithm: Algorithm,
        pem: &str,
        now: UnixTime,
        rotation: &Rotation,
    ) -> Result<Rotated, KeyError> {
        let new = Key::new(algorithm, Zeroizing::new(pem.to_owned()), now)?;
        if self.signing_keys.iter().any(|key| key.kid == new.kid) {
            return Err(KeyError::DuplicateKeyId);
        }
        self.add_key(new, now, rotation)
    }

    /// Removes a key that has leaked: what it signed, and signs in other hands, is refused by whoever
    /// reads the keys again. If it was the one that signs, a new key does from `now` on.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] for the RSA key that signs, and [`KeyError::NoKey`] when no key has
    /// this id.
    pub fn remove_leaked_key(&mut self, key_id: &KeyId, now: UnixTime) -> Result<(), KeyError> {
        let place = self.signing_keys.iter().position(|key| key.kid == *key_id);
        let place = place.ok_or(KeyError::NoKey)?;
        let signs = self.signing(now) == Some(place);
        if let Some(key) = self.signing_keys.get_mut(place).filter(|_| signs) {
            // A key that was to sign next goes on as planned, and this one goes when the old one would.
            let retire_after = key.retire_after;
            *key = Key { retire_after, ..Key::generate(key.alg, now)? };
        } else {
            self.signing_keys.remove(place);
        }
        self.keep_one_for_ever();
        Ok(())
    }

    /// Adds a fresh root for these uses. It is accepted and makes nothing until
    /// [`promote_root`](Self::promote_root): by then every process has to know it, or else refuses what
    /// the first of them make with it.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when the source gave nothing.
    pub fn add_root(
        &mut self,
        uses: &[RootUse],
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<(), RandomError> {
        self.roots.push(Root::generate(uses, random, now)?);
        Ok(())
    }

    /// Makes with the root for `wanted` that was added last. The others are accepted until
    /// [`retire_root`](Self::retire_root).
    pub fn promote_root(&mut self, wanted: RootUse) {
        let last = self.roots.iter().rposition(|root| root.uses.contains(&wanted));
        if let Some(place) = last {
            // Before the first for this use only: for its other uses it may have to wait.
            let mut root = self.roots.remove(place);
            let others: Vec<_> = root.uses.iter().copied().filter(|own| *own != wanted).collect();
            if !others.is_empty() {
                self.roots.insert(place, Root { uses: others, ..root.clone() });
            }
            root.uses = vec![wanted];
            self.roots.insert(0, root);
        }
    }

    /// Accepts nothing any more that was made for `wanted` under another root than the one that makes.
    /// Roots that are for nothing any more are removed.
    pub fn retire_root(&mut self, wanted: RootUse) {
        let older = self.roots.iter_mut().filter(|root| root.uses.contains(&wanted)).skip(1);
        for root in older {
            root.uses.retain(|own| *own != wanted);
        }
        self.roots.retain(|root| !root.uses.is_empty());
    }

    /// Reads the JSON of a file, from wherever the host keeps it.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Malformed`].
    pub fn from_json(json: &str) -> Result<Self, KeyFileError> {
        // The cause could quote a secret: only where it stands is told.
        let malformed = |error: serde_json::Error| KeyFileError::Malformed {
            line: error.line(),
            column: error.column(),
        };
        serde_json::from_str(json).map_err(malformed)
    }

    /// The place of the key that signs at `now`, as [`KeyRing`] chooses it.
    fn signing(&self, now: UnixTime) -> Option<usize> {
        let live = self.signing_keys.iter().enumerate().filter(|(_, key)| !key.is_gone(now));
        let begun = live.clone().filter(|(_, key)| key.not_before <= now);
        // The first of those that began last, or the first to begin.
        let last = begun.max_by_key(|(place, key)| (key.not_before, usize::MAX - place));
        last.or_else(|| live.min_by_key(|(_, key)| key.not_before)).map(|(place, _)| place)
    }

    fn add_key(
        &mut self,
        mut new: Key,
        now: UnixTime,
        rotation: &Rotation,
    ) -> Result<Rotated, KeyError> {
        let live = self.signing_keys.iter().filter(|key| !key.is_gone(now)).count();
        if live >= VerifyingKeys::MAX_KEYS {
            return Err(KeyError::TooManyKeys);
        }
        let signs_from = now.plus(rotation.publish_ahead);
        new.not_before = signs_from;
        let key_id = new.kid.clone();
        self.signing_keys.retain(|key| !key.is_gone(now));
        let gone = signs_from.plus(rotation.longest_token).plus(CLOCK_MARGIN);
        for key in &mut self.signing_keys {
            key.retire_after.get_or_insert(gone);
        }
        self.signing_keys.insert(0, new);
        Ok(Rotated::Begun { key_id, signs_from })
    }

    /// A ring needs a key that does not retire: where that one leaked, the newest is it.
    fn keep_one_for_ever(&mut self) {
        if self.signing_keys.iter().all(|key| key.retire_after.is_some())
            && let Some(newest) = self.signing_keys.iter_mut().max_by_key(|key| key.not_before)
        {
            newest.retire_after = None;
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<_> = self.roots.iter().map(|root| (&root.uses, root.made_at)).collect();
        let key = |key: &Key| (key.kid.clone(), key.not_before, key.retire_after);
        let keys: Vec<_> = self.signing_keys.iter().map(key).collect();
        f.debug_struct("KeyFile")
            .field("revision", &self.revision)
            .field("roots", &roots)
            .field("signing_keys", &keys)
            .finish_non_exhaustive()
    }
}
