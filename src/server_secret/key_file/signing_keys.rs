//! The signing keys of a key file, and their rotation.

use std::fmt;
use std::time::Duration;

use ring::digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::rotation::CLOCK_MARGIN;
use super::{KeyFile, KeyState, KeyStatus, Rotated, Rotation};
use crate::clock::UnixTime;
use crate::ids::KeyId;
use crate::jwt::keys::{Term, signing_key};
use crate::jwt::{Algorithm, KeyError, KeyRing, KeyUse, RingKey, SigningKey, VerifyingKeys};

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "`use` alone is a keyword")]
pub(super) struct Key {
    pub(super) kid: KeyId,
    alg: Algorithm,
    pub(super) pem: Zeroizing<String>,
    /// Absent: every use.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    key_use: Option<KeyUse>,
    not_before: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retire_after: Option<UnixTime>,
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm, not_before: UnixTime) -> Result<Self, KeyError> {
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

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("term", &self.term())
            .finish_non_exhaustive()
    }
}

impl KeyFile {
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

    /// Returns each signing key with its state at `now`, in the order of the file: newest first.
    #[must_use]
    pub fn key_states(&self, now: UnixTime) -> Vec<KeyStatus> {
        let active = self.active(now);
        let status = |(place, key): (usize, &Key)| {
            let state = if key.is_gone(now) {
                KeyState::Retired
            } else if active.contains(&place) {
                KeyState::Active
            } else if key.not_before > now {
                KeyState::Published
            } else {
                KeyState::Retiring
            };
            let key_id = key.kid.clone();
            let Key { alg: algorithm, key_use, not_before: signs_from, retire_after, .. } = *key;
            KeyStatus { key_id, algorithm, key_use, state, signs_from, kept_until: retire_after }
        };
        self.signing_keys.iter().enumerate().map(status).collect()
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

    /// Lets a published key sign from `now` on, before its instant. An API that has not fetched the JWK Set
    /// since the key was published refuses its tokens meanwhile. If the key signs already, the call is a
    /// no-op.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`] if no key has this id, or other keys have replaced it.
    pub fn promote_key(&mut self, key_id: &KeyId, now: UnixTime) -> Result<(), KeyError> {
        match self.state_of(key_id, now)? {
            KeyState::Active => Ok(()),
            KeyState::Retiring | KeyState::Retired => Err(KeyError::NoKey),
            KeyState::Published => {
                // Keys that this one replaces are kept as long as planned, which is long enough.
                let key = self.signing_keys.iter_mut().find(|key| key.kid == *key_id);
                key.ok_or(KeyError::NoKey)?.not_before = now;
                Ok(())
            }
        }
    }

    /// Retires a key at `now`, before its instant: tokens that it signed are refused. A key that is
    /// published and does not sign yet is removed. If the key is retired already, the call is a no-op.
    ///
    /// # Errors
    ///
    /// [`KeyError::InUse`] if the key signs, and [`KeyError::NoKey`] if no key has this id.
    pub fn retire_key(&mut self, key_id: &KeyId, now: UnixTime) -> Result<(), KeyError> {
        match self.state_of(key_id, now)? {
            KeyState::Active => return Err(KeyError::InUse),
            KeyState::Published => self.remove_leaked_key(key_id, now)?,
            KeyState::Retiring => {
                let key = self.signing_keys.iter_mut().find(|key| key.kid == *key_id);
                key.ok_or(KeyError::NoKey)?.retire_after = Some(now);
            }
            KeyState::Retired => {}
        }
        Ok(())
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
        let signs = self.active(now).contains(&place);
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

    /// Checks whether it is time for the next [`rotate`](Self::rotate): the newest key of the use began to
    /// sign at least `every` ago. While a rotation is under way, it is not.
    #[must_use]
    pub fn is_rotation_due(&self, now: UnixTime, every: Duration, rotation: &Rotation) -> bool {
        let own = self.signing_keys.iter().filter(|key| key.key_use == rotation.key_use);
        own.map(|key| key.not_before).max().is_some_and(|newest| newest.plus(every) <= now)
    }

    /// Returns a digest of the signing keys and their schedule, by which a reader sees that they changed.
    pub(crate) fn keys_digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for key in &self.signing_keys {
            context.update(format!("{:?} {:?} {:?}", key.kid, key.alg, key.term()).as_bytes());
            context.update(key.pem.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        bytes
    }

    /// Returns the places of the keys that sign at `now`, as [`KeyRing`] chooses them.
    fn active(&self, now: UnixTime) -> Vec<usize> {
        let terms = || self.signing_keys.iter().map(Key::term).enumerate();
        KeyUse::ALL.iter().filter_map(|key_use| signing_key(terms(), *key_use, now)).collect()
    }

    fn state_of(&self, key_id: &KeyId, now: UnixTime) -> Result<KeyState, KeyError> {
        let status = self.key_states(now).into_iter().find(|status| status.key_id == *key_id);
        status.map(|status| status.state).ok_or(KeyError::NoKey)
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
