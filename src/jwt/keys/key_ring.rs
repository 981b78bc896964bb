//! The keys of the server, and which of them signs when.

use std::sync::{Arc, PoisonError, RwLock};

use super::{
    Algorithm, KeyError, RemoteKey, Signer, SigningKey, VerifyingKey, VerifyingKeys, jwk_set_json,
};
use crate::clock::UnixTime;
use crate::ids::KeyId;

/// A key on a [`KeyRing`]: what it is, from when it signs, and until when it verifies.
#[derive(Clone, Debug)]
pub struct RingKey {
    signer: Option<Arc<Signer>>,
    public: VerifyingKey,
    not_before: UnixTime,
    retire_after: Option<UnixTime>,
}

impl RingKey {
    /// A key that verifies and never signs: one that signed elsewhere, or long ago.
    #[must_use]
    pub const fn verifying(public: VerifyingKey) -> Self {
        Self { signer: None, public, not_before: UnixTime::EPOCH, retire_after: None }
    }

    /// Signs from `instant` on, until another key does whose instant is later. It is published
    /// before. Default: always.
    #[must_use]
    pub const fn not_before(mut self, instant: UnixTime) -> Self {
        self.not_before = instant;
        self
    }

    /// Is gone from `instant` on: it neither verifies nor is it published. Default: never.
    #[must_use]
    pub const fn retire_after(mut self, instant: UnixTime) -> Self {
        self.retire_after = Some(instant);
        self
    }

    fn is_gone(&self, now: UnixTime) -> bool {
        self.retire_after.is_some_and(|instant| instant <= now)
    }

    fn may_sign_for_ever(&self) -> bool {
        self.signer.is_some() && self.retire_after.is_none()
    }
}

impl From<SigningKey> for RingKey {
    fn from(key: SigningKey) -> Self {
        let public = key.verifying_key();
        Self { signer: Some(Arc::new(key.into())), ..Self::verifying(public) }
    }
}

impl From<RemoteKey> for RingKey {
    fn from(key: RemoteKey) -> Self {
        let public = key.verifying_key();
        Self { signer: Some(Arc::new(key.into())), ..Self::verifying(public) }
    }
}

/// The keys of a server. A clone is the same ring: whoever holds one changes the keys of the server
/// while it runs.
///
/// Of the keys that may sign, the one signs whose instant came last; all that are not gone are
/// published and verify. Each change comes at its instant by itself, so that every process that has
/// the same ring changes together.
///
/// ```
/// use grantor::clock::UnixTime;
/// use grantor::jwt::{Algorithm, KeyRing, RingKey, SigningKey};
///
/// let (old, new) = (SigningKey::generate(Algorithm::ES256)?, SigningKey::generate(Algorithm::ES256)?);
/// let (noon, tomorrow) = (UnixTime::from_seconds(1_700_000_000), UnixTime::from_seconds(1_700_086_400));
/// let ring = KeyRing::new(vec![
///     RingKey::from(old).retire_after(tomorrow),
///     RingKey::from(new).not_before(noon),
/// ])?;
/// assert_ne!(ring.signing_key_id(UnixTime::EPOCH), ring.signing_key_id(noon));
/// # Ok::<(), grantor::jwt::KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyRing(Arc<RwLock<Ring>>);

#[derive(Debug)]
struct Ring {
    keys: Vec<RingKey>,
    /// Published in any case, whatever else is on the ring.
    others: Vec<VerifyingKey>,
    /// What the keys amount to, between two changes.
    current: Option<Arc<CurrentKeys>>,
}

impl KeyRing {
    /// A ring of these keys, of which the first goes before where two begin at one instant.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoKey`] when no key may sign for ever, [`KeyError::TooManyKeys`] above 16, and
    /// [`KeyError::DuplicateKeyId`] when two keys of one type have the same id.
    pub fn new(keys: Vec<RingKey>) -> Result<Self, KeyError> {
        check(&keys)?;
        Ok(Self::unchecked(keys))
    }

    /// Puts these keys in the place of those that are on the ring. A request that is under way
    /// ends with the keys with which it began.
    ///
    /// # Errors
    ///
    /// [`KeyError`] as for [`new`](Self::new); the ring then is what it was.
    pub fn replace(&self, keys: Vec<RingKey>) -> Result<(), KeyError> {
        check(&keys)?;
        self.change(|ring| ring.keys = keys);
        Ok(())
    }

    /// Publishes `key`, too, whatever else is on the ring from now on.
    pub fn publish(&self, key: VerifyingKey) {
        self.change(|ring| ring.others.push(key));
    }

    /// The id of the key that signs at `now`.
    #[must_use]
    pub fn signing_key_id(&self, now: UnixTime) -> Option<KeyId> {
        self.at(now).signer().map(|signer| signer.key_id().clone())
    }

    fn unchecked(keys: Vec<RingKey>) -> Self {
        Self(Arc::new(RwLock::new(Ring { keys, others: Vec::new(), current: None })))
    }

    fn change(&self, change: impl FnOnce(&mut Ring)) {
        // No code panics while it holds the lock, so what a poisoned one guards is whole.
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut ring);
        ring.current = None;
    }

    /// The keys at `now`.
    pub(crate) fn at(&self, now: UnixTime) -> Arc<CurrentKeys> {
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = ring.current.as_ref().filter(|current| current.holds_at(now)) {
            return Arc::clone(current);
        }
        drop(ring);
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let current = Arc::new(ring.current_at(now));
        ring.current = Some(Arc::clone(&current));
        current
    }
}

/// A ring of one key, which signs for as long as nothing replaces it.
impl From<SigningKey> for KeyRing {
    fn from(key: SigningKey) -> Self {
        Self::unchecked(vec![key.into()])
    }
}

/// A ring of one key, which signs for as long as nothing replaces it.
impl From<RemoteKey> for KeyRing {
    fn from(key: RemoteKey) -> Self {
        Self::unchecked(vec![key.into()])
    }
}

fn check(keys: &[RingKey]) -> Result<(), KeyError> {
    // One of these signs at any instant, the earliest of them before all have begun.
    if !keys.iter().any(RingKey::may_sign_for_ever) {
        return Err(KeyError::NoKey);
    }
    VerifyingKeys::new(keys.iter().map(|key| key.public.clone()).collect()).map(|_| ())
}

/// What the keys of a ring amount to from one change to the next.
#[derive(Debug)]
pub(crate) struct CurrentKeys {
    from: UnixTime,
    until: UnixTime,
    signer: Option<Arc<Signer>>,
    /// The one that signs comes first.
    verifying: VerifyingKeys,
    jwk_set: String,
}

impl CurrentKeys {
    fn holds_at(&self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }

    /// What signs. There always is one: the ring was checked.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        self.signer.as_deref()
    }

    /// The keys under which tokens of this server are verified: those that it publishes, and an
    /// HS256 secret.
    pub(crate) const fn verifying(&self) -> &VerifyingKeys {
        &self.verifying
    }

    /// The public ones as a JWK Set.
    pub(crate) fn jwk_set(&self) -> &str {
        &self.jwk_set
    }

    /// Whether there is a public one.
    pub(crate) fn publishes_keys(&self) -> bool {
        let mut keys = self.verifying.iter();
        keys.any(|key| !key.algorithm().is_some_and(Algorithm::is_symmetric))
    }
}

impl Ring {
    fn current_at(&self, now: UnixTime) -> CurrentKeys {
        let (mut from, mut until) = (UnixTime::from_millis(i64::MIN), UnixTime::MAX);
        for key in &self.keys {
            for change in [Some(key.not_before), key.retire_after].into_iter().flatten() {
                if change <= now {
                    from = from.max(change);
                } else {
                    until = until.min(change);
                }
            }
        }
        let live: Vec<_> = self.keys.iter().filter(|key| !key.is_gone(now)).collect();
        let signs = signing(&live, now);
        let is_other = |key: &&&RingKey| signs.is_none_or(|signs| !std::ptr::eq(signs, **key));
        let rest = live.iter().filter(is_other).map(|key| key.public.clone());
        let mut published: Vec<_> = signs.map(|key| key.public.clone()).into_iter().collect();
        published.extend(rest.chain(self.others.iter().cloned()));
        CurrentKeys {
            from,
            until,
            signer: signs.and_then(|key| key.signer.clone()),
            jwk_set: jwk_set_json(&published),
            verifying: VerifyingKeys::of_server(published),
        }
    }
}

/// The key that began last; before any has begun, the one that begins first.
fn signing<'a>(live: &[&'a RingKey], now: UnixTime) -> Option<&'a RingKey> {
    let mut best: Option<&'a RingKey> = None;
    for key in live.iter().copied().filter(|key| key.signer.is_some()) {
        let better =
            best.is_none_or(|best| match (best.not_before <= now, key.not_before <= now) {
                (true, true) => key.not_before > best.not_before,
                (false, false) => key.not_before < best.not_before,
                (has_begun, _) => !has_begun,
            });
        if better {
            best = Some(key);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixTime = UnixTime::from_seconds(1_700_000_000);

    fn after(seconds: i64) -> UnixTime {
        UnixTime::from_millis(START.as_millis() + seconds * 1_000)
    }

    fn key(name: &str) -> SigningKey {
        SigningKey::generate(Algorithm::EdDSA).unwrap().with_key_id(KeyId::new(name).unwrap())
    }

    /// The ids of the keys that verify, first that of the one that signs.
    fn ids(ring: &KeyRing, now: UnixTime) -> Vec<String> {
        let keys = ring.at(now);
        let id = |key: &VerifyingKey| key.key_id().unwrap().as_str().to_owned();
        let ids: Vec<_> = keys.verifying().iter().map(id).collect();
        assert_eq!(keys.signer().unwrap().key_id().as_str(), ids[0]);
        assert!(ids.iter().all(|id| keys.jwk_set().contains(&format!("\"kid\":\"{id}\""))));
        assert_eq!(keys.jwk_set().matches("\"kid\"").count(), ids.len());
        ids
    }

    #[test]
    fn keys_change_at_their_instants_by_themselves() {
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
    fn something_signs_at_any_instant() {
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

    #[test]
    fn a_ring_is_replaced_for_everybody_who_holds_it_or_not_at_all() {
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
    fn the_set_is_the_same_until_the_next_change() {
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
