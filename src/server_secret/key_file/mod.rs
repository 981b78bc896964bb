//! A file of roots and signing keys, so that they survive a restart.

mod rotation;
#[cfg(test)]
mod runbook_tests;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::ids::KeyId;
use crate::jwt::keys::{Term, signing_key};
use crate::jwt::{Algorithm, KeyError, KeyRing, KeyUse, RingKey, SigningKey, VerifyingKeys};
use crate::random::{self, RandomError, SecureRandom};
use crate::server_secret::{RootPrint, ServerSecret, WeakServerSecret};

use rotation::CLOCK_MARGIN;
pub use rotation::{KeyState, Rotated, Rotation};
pub use storage::KeyFileError;

/// The use of a root of the [`ServerSecret`].
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
    /// Every use.
    pub const ALL: &'static [Self] = &[Self::Handles, Self::Pepper, Self::Sealing];

    /// Returns the name of the use in a key file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Handles => "handles",
            Self::Pepper => "pepper",
            Self::Sealing => "sealing",
        }
    }
}

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
/// All processes of one server read the same file. [`rotate`](KeyFile::rotate) is the whole rotation
/// of signing keys; `docs/runbooks.md` lists the other procedures. While programs of the previous version
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
/// // Once, when the server is installed.
/// KeyFile::generate(Algorithm::ES256, &OsRandom::new(), now)?.write(&path)?;
///
/// // At every start, before the server is built.
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
/// # std::fs::remove_dir_all(&folder)?;
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

    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, WeakServerSecret> {
        let bytes = URL_SAFE_NO_PAD.decode(&*self.bytes).map_err(|_| WeakServerSecret)?;
        Ok(Zeroizing::new(bytes))
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "`use` alone is a keyword")]
struct Key {
    kid: KeyId,
    alg: Algorithm,
    pem: Zeroizing<String>,
    /// Absent: every use.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    key_use: Option<KeyUse>,
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
        Ok(Self { kid, alg, pem, key_use: None, not_before, retire_after: None })
    }

    fn term(&self) -> Term {
        let Self { key_use, not_before, retire_after, .. } = *self;
        Term { key_use, not_before, retire_after }
    }

    fn is_gone(&self, now: UnixTime) -> bool {
        self.term().is_gone(now)
    }
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

    /// Returns the roots, for [`AuthorizationServer::builder`].
    ///
    /// [`AuthorizationServer::builder`]: crate::AuthorizationServer::builder
    ///
    /// # Errors
    ///
    /// [`WeakServerSecret`] if a use has no root, or one of less than 32 bytes.
    pub fn server_secret(&self) -> Result<ServerSecret, WeakServerSecret> {
        let mut roots = Vec::new();
        for root in &self.roots {
            roots.push((root.decode()?, &root.uses));
        }
        let of = |wanted: RootUse| {
            let roots = roots.iter().filter(move |(_, uses)| uses.contains(&wanted));
            roots.map(|(bytes, _)| bytes.as_slice())
        };
        let (handles, pepper) = (of(RootUse::Handles), of(RootUse::Pepper));
        ServerSecret::of_roots(handles, pepper, of(RootUse::Sealing), self.retired.clone())
    }

    /// Returns a ring of the signing keys, for [`AuthorizationServer::builder`].
    ///
    /// [`AuthorizationServer::builder`]: crate::AuthorizationServer::builder
    ///
    /// # Errors
    ///
    /// [`KeyError`] if a key cannot be read, or as for [`KeyRing::new`].
    pub fn key_ring(&self) -> Result<KeyRing, KeyError> {
        KeyRing::new(self.ring_keys()?)
    }

    /// Returns the signing keys, for [`KeyRing::replace`] on the ring of a running server.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if a key cannot be read.
    pub fn ring_keys(&self) -> Result<Vec<RingKey>, KeyError> {
        let ring_key = |key: &Key| {
            let signing = SigningKey::from_pem(key.alg, &key.pem)?.with_key_id(key.kid.clone());
            let mut ring_key = RingKey::from(signing).not_before(key.not_before);
            if let Some(key_use) = key.key_use {
                ring_key = ring_key.only_for(key_use);
            }
            if let Some(instant) = key.retire_after {
                ring_key = ring_key.retire_after(instant);
            }
            Ok(ring_key)
        };
        self.signing_keys.iter().map(ring_key).collect()
    }

    /// Returns the state of each signing key at `now`, in the order of the file: newest first.
    #[must_use]
    pub fn key_states(&self, now: UnixTime) -> Vec<(KeyId, KeyState)> {
        let signing = self.signing(now);
        let state = |(place, key): (usize, &Key)| {
            let state = if key.is_gone(now) {
                KeyState::Gone
            } else if signing.contains(&place) {
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

    /// Begins the change to a new signing key with the algorithm of the present one. The new key is
    /// published at once and signs after the time of `rotation`. The present key retires after its last
    /// token has expired. Keys that are gone are removed. While a rotation is under way, the call is a
    /// no-op.
    ///
    /// The keys for other uses are unchanged. The rotation takes effect when the file is
    /// [written](Self::write) and read again.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] if the present key is an RSA key, [`KeyError::NoKey`] if there is
    /// none for this use, [`KeyError::TooManyKeys`] if 16 keys are not gone yet.
    pub fn rotate(&mut self, now: UnixTime, rotation: &Rotation) -> Result<Rotated, KeyError> {
        let own = |key: &&Key| key.key_use == rotation.key_use;
        if let Some(next) = self.signing_keys.iter().filter(own).find(|key| key.not_before > now) {
            let (key_id, signs_from) = (next.kid.clone(), next.not_before);
            return Ok(Rotated::UnderWay { key_id, signs_from });
        }
        let live = self.signing_keys.iter().filter(own).filter(|key| !key.is_gone(now));
        let present = live.rev().max_by_key(|key| key.not_before);
        let algorithm = present.ok_or(KeyError::NoKey)?.alg;
        self.add_key(Key::generate(algorithm, now)?, now, rotation)
    }

    /// Rotates to a key of the host, as [`rotate`](Self::rotate) does to a generated one: for RSA
    /// (`openssl genpkey`), for another algorithm, and for the first key of a use. If it is the newest key
    /// of its use already, the call is a no-op.
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for [`SigningKey::from_pem`], [`KeyError::DuplicateKeyId`] if the file has the
    /// key already and it is not the newest of its use, [`KeyError::TooManyKeys`] if 16 keys are not gone
    /// yet.
    pub fn rotate_to_pem(
        &mut self,
        algorithm: Algorithm,
        pem: &str,
        now: UnixTime,
        rotation: &Rotation,
    ) -> Result<Rotated, KeyError> {
        let new = Key::new(algorithm, Zeroizing::new(pem.to_owned()), now)?;
        let of_use = |key: &&Key| key.key_use == rotation.key_use;
        if let Some(newest) = self.signing_keys.iter().find(of_use)
            && newest.kid == new.kid
        {
            // The same call was made before.
            let (key_id, signs_from) = (new.kid, newest.not_before);
            return Ok(Rotated::UnderWay { key_id, signs_from });
        }
        if self.signing_keys.iter().any(|key| key.kid == new.kid) {
            return Err(KeyError::DuplicateKeyId);
        }
        self.add_key(new, now, rotation)
    }

    /// Removes a leaked key. All tokens signed with it, honest or forged, are refused by every process
    /// that reads the keys again. If it was a signing key, a new one signs in its place from `now` on.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotGenerate`] if it is an RSA key that signs, and [`KeyError::NoKey`] if no key has
    /// this id.
    pub fn remove_leaked_key(&mut self, key_id: &KeyId, now: UnixTime) -> Result<(), KeyError> {
        let place = self.signing_keys.iter().position(|key| key.kid == *key_id);
        let place = place.ok_or(KeyError::NoKey)?;
        let key_use = self.signing_keys.get(place).and_then(|key| key.key_use);
        let signs = self.signing(now).contains(&place);
        if let Some(key) = self.signing_keys.get_mut(place).filter(|_| signs) {
            // The next key keeps its schedule, and the new one retires when the old one would have.
            let retire_after = key.retire_after;
            *key = Key { key_use, retire_after, ..Key::generate(key.alg, now)? };
        } else {
            self.signing_keys.remove(place);
        }
        self.keep_one(key_use);
        Ok(())
    }

    /// Adds a new root for these uses. It only opens, until [`promote_root`](Self::promote_root): by
    /// then every process must know it, or it refuses the handles that other processes seal.
    ///
    /// A second call adds a second root, which is harmless: the promotion takes the newest.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source fails.
    pub fn add_root(
        &mut self,
        uses: &[RootUse],
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<(), RandomError> {
        // The order of the instants is the order of the calls, also if the clock was set back.
        let newest = self.roots.iter().map(|root| root.made_at).max();
        let after = newest.map_or(now, |newest| newest.plus(Duration::from_millis(1)));
        self.roots.push(Root::generate(uses, random, now.max(after))?);
        Ok(())
    }

    /// Seals with the newest root for `wanted`. The others are accepted until
    /// [`retire_root`](Self::retire_root). If the newest root seals already, the call is a no-op.
    pub fn promote_root(&mut self, wanted: RootUse) {
        let is_of_use = |(_, root): &(usize, &Root)| root.uses.contains(&wanted);
        let of_use = || self.roots.iter().enumerate().filter(is_of_use);
        let sealing = of_use().next().map(|(place, _)| place);
        // On a tie, the first root wins: it seals.
        let newest = of_use().rev().max_by_key(|(_, root)| root.made_at).map(|(place, _)| place);
        if let Some(place) = newest.filter(|_| newest != sealing) {
            // First for this use only: its other uses are promoted separately.
            let mut root = self.roots.remove(place);
            let others: Vec<_> = root.uses.iter().copied().filter(|own| *own != wanted).collect();
            if !others.is_empty() {
                self.roots.insert(place, Root { uses: others, ..root.clone() });
            }
            root.uses = vec![wanted];
            self.roots.insert(0, root);
        }
    }

    /// Retires all roots for `wanted` that are older than the one that seals. Handles and secrets that they
    /// sealed are refused. Roots without any use left are removed, and the file keeps their fingerprints.
    /// A root that was added and not promoted yet stays.
    pub fn retire_root(&mut self, wanted: RootUse) {
        let mut of_use = self.roots.iter_mut().filter(|root| root.uses.contains(&wanted));
        let Some(sealing) = of_use.next().map(|root| root.made_at) else { return };
        for root in of_use.filter(|root| root.made_at <= sealing) {
            root.uses.retain(|own| *own != wanted);
            // A weak root sealed nothing.
            if let Ok(print) = root.decode().and_then(|bytes| RootPrint::of(&bytes, wanted))
                && !self.retired.contains(&print)
            {
                self.retired.push(print);
            }
        }
        self.roots.retain(|root| !root.uses.is_empty());
    }

    /// Parses the JSON of a file that the host stores elsewhere.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Malformed`].
    pub fn from_json(json: &str) -> Result<Self, KeyFileError> {
        Self::parse(json, None)
    }

    fn parse(json: &str, path: Option<&Path>) -> Result<Self, KeyFileError> {
        // The cause could quote a secret, so the error has only its position.
        let malformed = |error: serde_json::Error| KeyFileError::Malformed {
            path: path.map(Path::to_owned),
            line: error.line(),
            column: error.column(),
        };
        serde_json::from_str(json).map_err(malformed)
    }

    /// Returns the places of the keys that sign at `now`, as [`KeyRing`] chooses them.
    fn signing(&self, now: UnixTime) -> Vec<usize> {
        let terms = || self.signing_keys.iter().map(Key::term).enumerate();
        KeyUse::ALL.iter().filter_map(|key_use| signing_key(terms(), *key_use, now)).collect()
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
        new.key_use = rotation.key_use;
        let key_id = new.kid.clone();
        self.signing_keys.retain(|key| !key.is_gone(now));
        let gone = signs_from.plus(rotation.longest_token).plus(CLOCK_MARGIN);
        for key in self.signing_keys.iter_mut().filter(|key| key.key_use == rotation.key_use) {
            key.retire_after.get_or_insert(gone);
        }
        self.signing_keys.insert(0, new);
        Ok(Rotated::Begun { key_id, signs_from })
    }

    /// Keeps the newest key for `key_use` if all of them would retire: a ring needs one that does not.
    fn keep_one(&mut self, key_use: Option<KeyUse>) {
        let own = |key: &&mut Key| key.key_use == key_use;
        if self.signing_keys.iter_mut().filter(own).all(|key| key.retire_after.is_some())
            && let Some(newest) =
                self.signing_keys.iter_mut().filter(own).max_by_key(|key| key.not_before)
        {
            newest.retire_after = None;
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<_> = self.roots.iter().map(|root| (&root.uses, root.made_at)).collect();
        let key = |key: &Key| (key.kid.clone(), key.term());
        let keys: Vec<_> = self.signing_keys.iter().map(key).collect();
        f.debug_struct("KeyFile")
            .field("revision", &self.revision)
            .field("roots", &roots)
            .field("signing_keys", &keys)
            .finish_non_exhaustive()
    }
}
