//! The keys of the server, and when each of them signs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crossbeam_utils::sync::ShardedLock;

use super::key_use::{Term, signing_key};
use super::{
    Algorithm, KeyError, KeyUse, RemoteKey, Signer, SigningError, SigningKey, VerifyingKey,
    VerifyingKeys, jwk_set_json,
};
use crate::clock::UnixTime;
use crate::ids::KeyId;

/// A key on a [`KeyRing`], with its use and the instants between which it signs and verifies.
#[derive(Clone, Debug)]
pub struct RingKey {
    signer: Option<Arc<Signer>>,
    public: VerifyingKey,
    term: Term,
}

impl RingKey {
    /// A key that verifies and never signs: one that signed elsewhere, or long ago.
    #[must_use]
    pub const fn verifying(public: VerifyingKey) -> Self {
        let term = Term { key_use: None, not_before: UnixTime::EPOCH, retire_after: None };
        Self { signer: None, public, term }
    }

    /// Restricts the key to one use. For this use it goes before keys for every use. Default: every
    /// use.
    #[must_use]
    pub const fn only_for(mut self, key_use: KeyUse) -> Self {
        self.term.key_use = Some(key_use);
        self
    }

    /// Signs from `instant` on, until a key with a later instant does. It is published before.
    /// Default: always.
    #[must_use]
    pub const fn not_before(mut self, instant: UnixTime) -> Self {
        self.term.not_before = instant;
        self
    }

    /// Removes the key at `instant`: then it neither verifies nor is published. Default: never.
    #[must_use]
    pub const fn retire_after(mut self, instant: UnixTime) -> Self {
        self.term.retire_after = Some(instant);
        self
    }

    fn with_signer(public: VerifyingKey, signer: Signer) -> Self {
        Self { signer: Some(Arc::new(signer)), ..Self::verifying(public) }
    }

    fn signs_for(&self, key_use: KeyUse) -> bool {
        self.signer.is_some() && self.term.serves(key_use)
    }
}

impl From<SigningKey> for RingKey {
    fn from(key: SigningKey) -> Self {
        Self::with_signer(key.verifying_key(), key.into())
    }
}

impl From<RemoteKey> for RingKey {
    fn from(key: RemoteKey) -> Self {
        Self::with_signer(key.verifying_key(), key.into())
    }
}

/// The keys of a server. A clone is the same ring, so its holder changes the keys of the running
/// server. A [`BearerVerifier`](crate::resource_server::BearerVerifier::following) follows it.
///
/// For each [`KeyUse`], the key whose instant came last signs; a key for this use alone goes before
/// keys for every use. So two uses can have different algorithms and rotate independently. All keys
/// are published and verify until they retire. Each change comes at its instant without a call, so
/// that all processes with the same ring change together.
///
/// ```
/// use grantor::clock::UnixTime;
/// use grantor::jwt::{Algorithm, KeyRing, KeyUse, RingKey, SigningKey};
///
/// let (old, new) = (SigningKey::generate(Algorithm::ES256)?, SigningKey::generate(Algorithm::ES256)?);
/// let (noon, tomorrow) = (UnixTime::from_seconds(1_700_000_000), UnixTime::from_seconds(1_700_086_400));
/// let ring = KeyRing::new(vec![
///     RingKey::from(old).retire_after(tomorrow),
///     RingKey::from(new).not_before(noon),
/// ])?;
/// let signing = |now| ring.signing_key_id(KeyUse::AccessToken, now);
/// assert_ne!(signing(UnixTime::EPOCH), signing(noon));
/// # Ok::<(), grantor::jwt::KeyError>(())
/// ```
#[doc(alias = "jwks")]
#[derive(Clone, Debug)]
pub struct KeyRing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The number of changes. Beside the lock, so that a follower takes no lock while nothing changes.
    changes: AtomicU64,
    ring: ShardedLock<Ring>,
}

#[derive(Debug)]
struct Ring {
    keys: Vec<RingKey>,
    /// Published together with `keys`, and kept when these are replaced.
    others: Vec<VerifyingKey>,
    /// The cached state between two changes.
    current: Option<Arc<CurrentKeys>>,
}

impl KeyRing {
    /// A ring of these keys. If two keys begin at the same instant, the first one signs.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`] if a use, access tokens at least, has no key that signs for it and never
    /// retires, [`KeyError::TooManyKeys`] above 16, and [`KeyError::DuplicateKeyId`] if two keys of one
    /// type have the same id.
    pub fn new(keys: Vec<RingKey>) -> Result<Self, KeyError> {
        check(&keys)?;
        Ok(Self::unchecked(keys))
    }

    /// Replaces the keys of the ring. A request in progress completes with the keys with which it
    /// began.
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for [`new`](Self::new); then the ring is unchanged.
    pub fn replace(&self, keys: Vec<RingKey>) -> Result<(), KeyError> {
        check(&keys)?;
        self.change(|ring| ring.keys = keys);
        Ok(())
    }

    /// Publishes `key` in addition to the keys of the ring, also after they are replaced.
    pub fn publish(&self, key: VerifyingKey) {
        self.change(|ring| ring.others.push(key));
    }

    /// Returns the id of the key that signs for `key_use` at `now`; `None` if the ring has no key for
    /// this use.
    #[doc(alias = "kid")]
    #[must_use]
    pub fn signing_key_id(&self, key_use: KeyUse, now: UnixTime) -> Option<KeyId> {
        self.at(now).signer(key_use).map(|signer| signer.key_id().clone())
    }

    fn unchecked(keys: Vec<RingKey>) -> Self {
        let ring = ShardedLock::new(Ring { keys, others: Vec::new(), current: None });
        Self(Arc::new(Shared { changes: AtomicU64::new(0), ring }))
    }

    fn change(&self, change: impl FnOnce(&mut Ring)) {
        // No code panics while it holds the lock, so the data behind a poisoned lock is whole.
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut ring);
        ring.current = None;
        // Under the lock: a follower that sees the number waits for the change.
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    /// Returns the number of changes so far, without a lock. The instants of the keys do not count.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Returns every key of the ring with its term, also those that are gone at `now`.
    pub(crate) fn held(&self, now: UnixTime) -> Vec<HeldKey> {
        let current = self.at(now);
        let signs = |key: &RingKey| {
            let own = key.signer.as_ref();
            own.is_some_and(|own| current.signers.iter().any(|(_, other)| Arc::ptr_eq(own, other)))
        };
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let own = ring.keys.iter().map(|key| HeldKey {
            public: key.public.clone(),
            term: key.term,
            can_sign: key.signer.is_some(),
            signs: signs(key),
        });
        let others = ring.others.iter().map(|public| HeldKey {
            public: public.clone(),
            term: RingKey::verifying(public.clone()).term,
            can_sign: false,
            signs: false,
        });
        own.chain(others).collect()
    }

    /// Signs a JWT as [`Signer::sign`] does, with the key that signs for `key_use` at `now`.
    ///
    /// A key in this process signs under the lock: if each request counted a reference to the state, they would
    /// wait for each other's counts.
    pub(crate) async fn sign(
        &self,
        key_use: KeyUse,
        now: UnixTime,
        typ: &str,
        payload: &[u8],
    ) -> Result<String, SigningError> {
        {
            let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
            let current = ring.current.as_ref().filter(|current| current.holds_at(now));
            let signer = current.and_then(|current| current.signer(key_use));
            if let Some(signed) = signer.and_then(|signer| signer.sign_here(typ, payload)) {
                return signed;
            }
        }
        let current = self.at(now);
        current.signer(key_use).ok_or(SigningError::Signature)?.sign(typ, payload).await
    }

    /// Returns the state of the ring at `now`.
    pub(crate) fn at(&self, now: UnixTime) -> Arc<CurrentKeys> {
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = ring.current.as_ref().filter(|current| current.holds_at(now)) {
            return Arc::clone(current);
        }
        drop(ring);
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        let current = Arc::new(ring.current_at(now));
        ring.current = Some(Arc::clone(&current));
        current
    }
}

/// A ring of one key for every use, which signs until it is replaced.
impl From<SigningKey> for KeyRing {
    fn from(key: SigningKey) -> Self {
        Self::unchecked(vec![key.into()])
    }
}

/// A ring of one key for every use, which signs until it is replaced.
impl From<RemoteKey> for KeyRing {
    fn from(key: RemoteKey) -> Self {
        Self::unchecked(vec![key.into()])
    }
}

fn check(keys: &[RingKey]) -> Result<(), KeyError> {
    for &key_use in KeyUse::ALL {
        // A key that never retires signs at any instant: before all have begun, the earliest does.
        let mut signing = keys.iter().filter(|key| key.signs_for(key_use)).peekable();
        let needed = key_use == KeyUse::AccessToken || signing.peek().is_some();
        if needed && !signing.any(|key| key.term.retire_after.is_none()) {
            return Err(KeyError::NoKey);
        }
    }
    VerifyingKeys::new(keys.iter().map(|key| key.public.clone()).collect()).map(|_| ())
}

/// A key of a ring.
pub(crate) struct HeldKey {
    pub(crate) public: VerifyingKey,
    pub(crate) term: Term,
    pub(crate) can_sign: bool,
    /// Whether it signs for a use now.
    pub(crate) signs: bool,
}

/// The state of a ring from one change to the next.
#[derive(Debug)]
pub(crate) struct CurrentKeys {
    from: UnixTime,
    until: UnixTime,
    signers: Vec<(KeyUse, Arc<Signer>)>,
    /// The signing keys come first, in the order of the uses.
    verifying: VerifyingKeys,
    jwk_set: String,
}

impl CurrentKeys {
    fn holds_at(&self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Returns the instant of the last change, and of the next.
    pub(crate) const fn span(&self) -> (UnixTime, UnixTime) {
        (self.from, self.until)
    }

    /// Returns the signer for `key_use`. A checked ring has one for access tokens.
    pub(crate) fn signer(&self, key_use: KeyUse) -> Option<&Signer> {
        self.signers.iter().find(|(own, _)| *own == key_use).map(|(_, signer)| &**signer)
    }

    /// Returns the keys that verify tokens of this server: the published ones, and an HS256 secret.
    pub(crate) const fn verifying(&self) -> &VerifyingKeys {
        &self.verifying
    }

    /// Returns the public keys as a JWK Set.
    pub(crate) fn jwk_set(&self) -> &str {
        &self.jwk_set
    }

    /// Checks whether any key is public.
    pub(crate) fn publishes_keys(&self) -> bool {
        let mut keys = self.verifying.iter();
        keys.any(|key| !key.algorithm().is_some_and(Algorithm::is_symmetric))
    }
}

impl Ring {
    fn current_at(&self, now: UnixTime) -> CurrentKeys {
        let (mut from, mut until) = (UnixTime::from_millis(i64::MIN), UnixTime::MAX);
        for Term { not_before, retire_after, .. } in self.keys.iter().map(|key| key.term) {
            for change in [Some(not_before), retire_after].into_iter().flatten() {
                if change <= now {
                    from = from.max(change);
                } else {
                    until = until.min(change);
                }
            }
        }
        let live: Vec<_> = self.keys.iter().filter(|key| !key.term.is_gone(now)).collect();
        let (mut signers, mut signing) = (Vec::new(), Vec::new());
        for &key_use in KeyUse::ALL {
            let able = live.iter().enumerate().filter(|(_, key)| key.signer.is_some());
            let terms = able.map(|(place, key)| (place, key.term));
            let Some(place) = signing_key(terms, key_use, now) else { continue };
            if let Some(signer) = live.get(place).and_then(|key| key.signer.clone()) {
                signers.push((key_use, signer));
                signing.push(place);
            }
        }
        let mut live: Vec<_> = live.into_iter().enumerate().collect();
        // A stable sort: the other keys stay in their order.
        live.sort_by_key(|(place, _)| {
            signing.iter().position(|own| own == place).unwrap_or(usize::MAX)
        });
        let own = live.iter().map(|(_, key)| key.public.clone());
        let published: Vec<_> = own.chain(self.others.iter().cloned()).collect();
        CurrentKeys {
            from,
            until,
            signers,
            jwk_set: jwk_set_json(&published),
            verifying: VerifyingKeys::of_server(published),
        }
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::jwt::jws::{Compact, Header};
    use crate::jwt::testing::fixture;

    const START: UnixTime = UnixTime::from_seconds(1_700_000_000);

    fn after(seconds: i64) -> UnixTime {
        UnixTime::from_millis(START.as_millis() + seconds * 1_000)
    }

    fn key(name: &str) -> SigningKey {
        SigningKey::generate(Algorithm::EdDSA).unwrap().with_key_id(KeyId::new(name).unwrap())
    }

    /// The ids of the keys that verify, the signing key for access tokens first.
    fn ids(ring: &KeyRing, now: UnixTime) -> Vec<String> {
        let keys = ring.at(now);
        let id = |key: &VerifyingKey| key.key_id().unwrap().as_str().to_owned();
        let ids: Vec<_> = keys.verifying().iter().map(id).collect();
        assert_eq!(keys.signer(KeyUse::AccessToken).unwrap().key_id().as_str(), ids[0]);
        assert!(ids.iter().all(|id| keys.jwk_set().contains(&format!("\"kid\":\"{id}\""))));
        assert_eq!(keys.jwk_set().matches("\"kid\"").count(), ids.len());
        ids
    }

    #[test]
    fn keys_change_at_their_instants_without_a_call() {
        let ring = KeyRing::new(vec![
            RingKey::from(key("next")).not_before(after(600)),
            RingKey::from(key("old")).retire_after(after(4_200)),
        ]);
        let ring = ring.unwrap();
        for (seconds, expected) in [
            (0, vec!["old", "next"]),
            (599, vec!["old", "next"]),
            (600, vec!["next", "old"]),
            (4_199, vec!["next", "old"]),
            (4_200, vec!["next"]),
            (1_000_000, vec!["next"]),
            // The clock jumped back.
            (4_199, vec!["next", "old"]),
            (0, vec!["old", "next"]),
        ] {
            assert_eq!(ids(&ring, after(seconds)), expected, "after {seconds} s");
        }
    }

    #[test]
    fn a_key_signs_at_any_instant() {
        let late = vec![
            RingKey::from(key("later")).not_before(after(20)),
            RingKey::from(key("late")).not_before(after(10)),
        ];
        let ring = KeyRing::new(late).unwrap();
        assert_eq!(ids(&ring, START), ["late", "later"]);
        assert_eq!(ids(&ring, after(30)), ["later", "late"]);
        let gone = KeyRing::new(vec![RingKey::from(key("old")).retire_after(after(1))]);
        assert_eq!(gone.map(|_| ()), Err(KeyError::NoKey));
        let silent = KeyRing::new(vec![RingKey::verifying(key("old").verifying_key())]);
        assert_eq!(silent.map(|_| ()), Err(KeyError::NoKey));
    }

    /// The ids of the keys that sign access tokens and ID tokens.
    fn signing(ring: &KeyRing, now: UnixTime) -> [Option<String>; 2] {
        [KeyUse::AccessToken, KeyUse::IdToken]
            .map(|key_use| ring.signing_key_id(key_use, now).map(|id| id.as_str().to_owned()))
    }

    fn pair(access: &str, id: &str) -> [Option<String>; 2] {
        [Some(access.to_owned()), Some(id.to_owned())]
    }

    #[test]
    fn two_uses_sign_with_different_algorithms_at_the_same_time() {
        let rs256 = SigningKey::from_pem(Algorithm::RS256, &fixture("rsa_2048_private")).unwrap();
        let rs256 = rs256.with_key_id(KeyId::new("id").unwrap());
        let id_tokens = RingKey::from(rs256).only_for(KeyUse::IdToken).not_before(after(600));
        let ring = KeyRing::new(vec![key("access").into(), id_tokens]).unwrap();
        assert_eq!(signing(&ring, START), pair("access", "access"), "it has not begun");
        assert_eq!(signing(&ring, after(600)), pair("access", "id"));

        let keys = ring.at(after(600));
        for (key_use, algorithm) in
            [(KeyUse::AccessToken, Algorithm::EdDSA), (KeyUse::IdToken, Algorithm::RS256)]
        {
            let token = block_on(keys.signer(key_use).unwrap().sign("JWT", b"{}")).unwrap();
            let jws = Compact::parse(&token).unwrap();
            let header = Header::of(&jws).unwrap();
            assert!(jws.verify(&header, keys.verifying(), &[algorithm]).is_ok(), "{key_use:?}");
        }
        assert_eq!(ids(&ring, after(600)), ["access", "id"], "both are published, once");
    }

    #[test]
    fn the_rotation_of_one_use_leaves_the_other() {
        let id = |name| RingKey::from(key(name)).only_for(KeyUse::IdToken);
        let ring = KeyRing::new(vec![
            key("access").into(),
            RingKey::from(key("next access")).not_before(after(100)),
            id("id").retire_after(after(300)),
            id("next id").not_before(after(200)),
        ])
        .unwrap();
        for (seconds, expected) in [
            (0, pair("access", "id")),
            (100, pair("next access", "id")),
            (200, pair("next access", "next id")),
            (300, pair("next access", "next id")),
        ] {
            assert_eq!(signing(&ring, after(seconds)), expected, "after {seconds} s");
        }
        assert_eq!(ids(&ring, after(300)), ["next access", "next id", "access"]);
    }

    #[test]
    fn a_use_without_a_key_of_its_own_takes_the_key_for_every_use() {
        let id = RingKey::from(key("id")).only_for(KeyUse::IdToken).retire_after(after(10));
        let ring = KeyRing::new(vec![key("any").into(), id.clone()]).unwrap();
        assert_eq!(signing(&ring, START), pair("any", "id"));
        assert_eq!(signing(&ring, after(10)), pair("any", "any"));

        let access = || RingKey::from(key("access")).only_for(KeyUse::AccessToken);
        let ring = KeyRing::new(vec![access()]).unwrap();
        assert_eq!(signing(&ring, START), [Some("access".to_owned()), None]);
        for refused in [vec![access(), id.clone()], vec![id], vec![access().retire_after(after(1))]]
        {
            assert_eq!(KeyRing::new(refused).map(|_| ()), Err(KeyError::NoKey));
        }
    }

    #[test]
    fn a_ring_is_replaced_for_every_holder_or_not_at_all() {
        let ring = KeyRing::from(key("one"));
        let held = ring.clone();
        held.publish(key("other").verifying_key());
        assert_eq!(ids(&ring, START), ["one", "other"]);
        let twins = vec![RingKey::from(key("two")), RingKey::from(key("two"))];
        assert_eq!(held.replace(twins), Err(KeyError::DuplicateKeyId));
        let many = (0..17).map(|number| RingKey::from(key(&number.to_string()))).collect();
        assert_eq!(held.replace(many), Err(KeyError::TooManyKeys));
        assert_eq!(ids(&ring, START), ["one", "other"]);
        held.replace(vec![key("two").into()]).unwrap();
        assert_eq!(ids(&ring, START), ["two", "other"]);
    }

    #[test]
    fn the_state_is_cached_until_the_next_change() {
        let ring = KeyRing::from(key("one"));
        assert!(Arc::ptr_eq(&ring.at(START), &ring.at(UnixTime::EPOCH)));
    }

    #[test]
    fn debug_shows_nothing_of_a_key() {
        let secret =
            SigningKey::from_hmac_secret(b"planted-secret-planted-secret-planted").unwrap();
        let shown = format!("{:?}", KeyRing::from(secret));
        assert!(!shown.contains("planted"), "{shown}");
    }
}
