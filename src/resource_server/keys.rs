//! The keys of a verifier: given by the host, or those of a ring that changes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::token_cache::TokenCache;
use crate::clock::UnixTime;
use crate::jwt::{KeyRing, VerifyingKeys};

/// The keys of a verifier.
#[derive(Debug)]
pub(super) struct Keys {
    /// Held for reading from the start of a verification until the token is cached, so that no
    /// token verified under removed keys enters the cache later.
    present: RwLock<VerifyingKeys>,
    followed: Option<Followed>,
}

/// A ring, and the state of it that was copied last. While that state holds, a check costs four loads.
#[derive(Debug)]
struct Followed {
    ring: KeyRing,
    changes: AtomicU64,
    from: AtomicI64,
    until: AtomicI64,
}

impl Followed {
    /// Checks whether the copied state holds at `now`.
    ///
    /// A reader may see a part of an older state. Each part is written after the cache was cleared, so a
    /// reader that sees a new part also sees the cleared cache.
    fn is_current(&self, now: UnixTime) -> bool {
        self.changes.load(Ordering::Acquire) == self.ring.changes()
            && self.from.load(Ordering::Acquire) <= now.as_millis()
            && now.as_millis() < self.until.load(Ordering::Acquire)
    }
}

impl Keys {
    pub(super) const fn given(keys: VerifyingKeys) -> Self {
        Self { present: RwLock::new(keys), followed: None }
    }

    /// The keys of `ring`, which are read at the first check.
    pub(super) const fn of_ring(ring: KeyRing) -> Self {
        let followed = Followed {
            ring,
            changes: AtomicU64::new(0),
            from: AtomicI64::new(i64::MAX),
            until: AtomicI64::new(i64::MIN),
        };
        let present = RwLock::new(VerifyingKeys::of_server(Vec::new()));
        Self { present, followed: Some(followed) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, VerifyingKeys> {
        self.present.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces given keys. Clears the cache if a key was removed.
    pub(super) fn replace(&self, keys: VerifyingKeys, cache: &TokenCache) {
        if self.followed.is_none() {
            let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
            put(&mut present, keys, cache);
        }
    }

    /// Copies the keys of the followed ring, if they have changed since the last call.
    pub(super) fn follow(&self, now: UnixTime, cache: &TokenCache) {
        let Some(followed) = self.followed.as_ref().filter(|it| !it.is_current(now)) else {
            return;
        };
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        if followed.is_current(now) {
            return;
        }
        // Before the keys are read: the next call sees a change that comes between.
        let changes = followed.ring.changes();
        let current = followed.ring.at(now);
        put(&mut present, current.verifying().clone(), cache);
        let (from, until) = current.span();
        followed.from.store(from.as_millis(), Ordering::Release);
        followed.until.store(until.as_millis(), Ordering::Release);
        followed.changes.store(changes, Ordering::Release);
    }
}

/// A token verified under a key that stays need not be verified again.
fn put(present: &mut VerifyingKeys, keys: VerifyingKeys, cache: &TokenCache) {
    let removed = present.iter().any(|old| keys.iter().all(|new| new != old));
    *present = keys;
    if removed {
        cache.clear();
    }
}
