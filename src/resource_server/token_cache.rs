//! Claims of tokens that were verified before. The caller still checks times and revocation.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::jwt::AccessTokenClaims;

/// The number of tokens in a set, which share one lock.
const WAYS: usize = 8;

/// The number of bytes hashed, from the end of the signature. An attacker without a key cannot
/// choose them, and no two tokens share that many.
const HASHED_BYTES: usize = 32;

/// A set-associative table of fixed size. A keyed hash of the signature selects a set, and the
/// whole token is compared. A full set evicts an expired token, or else the oldest.
///
/// Only verified tokens are inserted, so forged ones displace nothing.
pub(super) struct TokenCache {
    hasher: RandomState,
    sets: Box<[Mutex<Set>]>,
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// The index of the oldest entry.
    oldest: usize,
}

struct Entry {
    hash: u64,
    token: Zeroizing<Box<str>>,
    claims: Arc<AccessTokenClaims>,
}

impl TokenCache {
    /// Creates a cache for `capacity` tokens, rounded up to a multiple of 8. 0 disables it.
    pub(super) fn new(capacity: usize) -> Self {
        let sets = std::iter::repeat_with(Mutex::default).take(capacity.div_ceil(WAYS)).collect();
        Self { hasher: RandomState::new(), sets }
    }

    pub(super) fn get(&self, token: &str) -> Option<Arc<AccessTokenClaims>> {
        let (hash, set) = self.place(token)?;
        let found = set.entries.iter().find(|entry| entry.hash == hash && **entry.token == *token);
        found.map(|entry| Arc::clone(&entry.claims))
    }

    /// Caches a token that was verified at `now`.
    pub(super) fn insert(&self, token: &str, claims: &Arc<AccessTokenClaims>, now: UnixTime) {
        let Some((hash, mut set)) = self.place(token) else { return };
        let claims = Arc::clone(claims);
        let entry = Entry { hash, token: Zeroizing::new(token.into()), claims };
        let replaceable = |other: &Entry| {
            other.claims.expires_at <= now || (other.hash == hash && *other.token == *entry.token)
        };
        let set = &mut *set;
        if let Some(other) = set.entries.iter_mut().find(|other| replaceable(other)) {
            *other = entry;
        } else if set.entries.len() < WAYS {
            set.entries.push(entry);
        } else if let Some(oldest) = set.entries.get_mut(set.oldest) {
            *oldest = entry;
            set.oldest = (set.oldest + 1) % WAYS;
        }
    }

    /// Removes every token.
    pub(super) fn clear(&self) {
        for set in &self.sets {
            *lock(set) = Set::default();
        }
    }

    /// Returns the hash of `token` and its set, or `None` if the cache is disabled.
    fn place(&self, token: &str) -> Option<(u64, MutexGuard<'_, Set>)> {
        let hash = self.hasher.hash_one(token.as_bytes().last_chunk::<HASHED_BYTES>()?);
        let index = hash.checked_rem(u64::try_from(self.sets.len()).ok()?)?;
        let set = self.sets.get(usize::try_from(index).ok()?)?;
        Some((hash, lock(set)))
    }
}

/// Locks a set. It is consistent between any two statements, so a poisoned lock is usable.
fn lock(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("capacity", &(self.sets.len() * WAYS))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Map;

    use super::*;
    use crate::ids::{ClientId, GrantId, Issuer, Subject};
    use crate::jwt::Circumstances;
    use crate::protocol::scope::Scope;
    use crate::resource_server::BearerVerifier;

    pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    pub(crate) fn claims(expires_at: UnixTime) -> Arc<AccessTokenClaims> {
        Arc::new(AccessTokenClaims {
            issuer: Issuer::new("https://as.example.com").unwrap(),
            subject: Subject::new("alice").unwrap(),
            audience: Vec::new(),
            client_id: ClientId::new("app").unwrap(),
            scope: Scope::empty(),
            token_id: String::new(),
            issued_at: NOW,
            not_before: NOW,
            expires_at,
            grant_id: GrantId::from_bytes([0; 16]),
            authorized_at: NOW,
            auth_time: None,
            actor: None,
            device: None,
            circumstances: Circumstances::default(),
            via: Vec::new(),
            extra: Map::new(),
        })
    }

    pub(crate) fn token(number: usize) -> String {
        format!("header.payload.{number:060}")
    }

    fn kept(cache: &TokenCache, numbers: std::ops::Range<usize>) -> usize {
        numbers.filter(|number| cache.get(&token(*number)).is_some()).count()
    }

    #[test]
    fn a_token_is_compared_whole() {
        let cache = TokenCache::new(8);
        cache.insert(&token(1), &claims(UnixTime::MAX), NOW);
        assert!(cache.get(&token(1)).is_some());
        for other in [token(2), token(1).replace("payload", "other"), token(1) + "0"] {
            assert!(cache.get(&other).is_none(), "{other}");
        }
        assert!(cache.get("short").is_none() && cache.get("").is_none());
        assert!(!format!("{cache:?}").contains("payload"));
    }

    #[test]
    fn the_capacity_is_never_exceeded_and_the_newest_tokens_are_kept() {
        let claims = claims(UnixTime::MAX);
        for (capacity, held) in [(1, 8), (8, 8), (9, 16), (20, 24), (4_096, 4_096)] {
            let cache = TokenCache::new(capacity);
            // Enough that every set is full.
            let tokens = held * 12 + 1_000;
            for number in 0..tokens {
                cache.insert(&token(number), &claims, NOW);
                cache.insert(&token(number), &claims, NOW);
                assert!(cache.get(&token(number)).is_some());
            }
            assert_eq!(kept(&cache, 0..tokens), held, "{capacity}");
            cache.clear();
            assert_eq!(kept(&cache, 0..tokens), 0);
        }
        assert_eq!(BearerVerifier::DEFAULT_CACHE, 4_096);
    }

    #[test]
    fn expired_tokens_are_evicted_first() {
        let cache = TokenCache::new(8);
        for number in 0..8 {
            let expires_at = if number == 5 { NOW } else { UnixTime::MAX };
            cache.insert(&token(number), &claims(expires_at), NOW);
        }
        cache.insert(&token(8), &claims(UnixTime::MAX), NOW);
        assert_eq!((kept(&cache, 0..9), kept(&cache, 5..6)), (8, 0));
    }

    #[test]
    fn a_capacity_of_0_disables_the_cache() {
        let cache = TokenCache::new(0);
        cache.insert(&token(1), &claims(UnixTime::MAX), NOW);
        assert!(cache.get(&token(1)).is_none());
    }
}
