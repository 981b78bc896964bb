//! The injected source of randomness, and a buffer over it for token identifiers.
//!
//! Secrets, salts, ids and nonces come from the source itself, one call each. Only `jti` values come
//! from the `JtiSource`, which draws 4 KiB at a time and zeroizes used bytes. A `jti` is public, and a
//! system call would cost more than the rest of a token.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;
use ring::rand::SecureRandom as _;
use zeroize::Zeroize;

/// The source of randomness failed. The request fails, and nothing was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
#[expect(clippy::exhaustive_structs, reason = "a host's source constructs it")]
pub struct RandomError;

/// A source of unpredictable bytes.
///
/// Except in tests and replays, it must be a cryptographically secure generator, such as [`OsRandom`].
pub trait SecureRandom: Send + Sync + fmt::Debug {
    /// Fills `bytes` completely.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if it cannot. Then the content of `bytes` is unspecified.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The operating system's generator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OsRandom(ring::rand::SystemRandom);

impl OsRandom {
    /// Creates a handle of the operating system's generator.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
        Self(ring::rand::SystemRandom::new())
    }
}

impl Default for OsRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl SecureRandom for OsRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.fill(bytes).map_err(|_| RandomError)
    }
}

/// Draws `N` random bytes.
pub(crate) fn array<const N: usize>(random: &dyn SecureRandom) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

const BUFFER: usize = 4096;
/// The size of a token identifier in bytes: 128 bits.
pub(crate) const JTI_BYTES: usize = 16;

/// A source of token identifiers (`jti`), buffered.
pub(crate) struct JtiSource {
    // Few shards: two threads rarely meet, and little is drawn in advance.
    shards: [CachePadded<Mutex<Shard>>; 4],
}

/// The number of threads that have drawn a token identifier.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The number of this thread. It tries the shard of this number first.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

struct Shard {
    bytes: Box<[u8; BUFFER]>,
    used: usize,
}

impl JtiSource {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| {
                CachePadded::new(Mutex::new(Shard { bytes: Box::new([0; BUFFER]), used: BUFFER }))
            }),
        }
    }

    pub(crate) fn next(&self, random: &dyn SecureRandom) -> Result<[u8; JTI_BYTES], RandomError> {
        let mut shard = self.free_shard();
        if shard.used >= BUFFER {
            random.fill(&mut shard.bytes[..])?;
            shard.used = 0;
        }
        let start = shard.used;
        shard.used += JTI_BYTES;
        let mut jti = [0; JTI_BYTES];
        if let Some(source) = shard.bytes.get_mut(start..start + JTI_BYTES) {
            jti.copy_from_slice(source);
            source.zeroize();
        }
        Ok(jti)
    }

    fn free_shard(&self) -> MutexGuard<'_, Shard> {
        // A poisoned shard contains only random bytes and stays usable.
        let [first, ..] = &self.shards;
        // A thread that ends has no number any more.
        let own = THREAD.try_with(|number| number % self.shards.len()).unwrap_or_default();
        let (before, from_own) = self.shards.split_at_checked(own).unwrap_or_default();
        let mut shards = from_own.iter().chain(before);
        shards
            .find_map(|shard| shard.try_lock().ok())
            .unwrap_or_else(|| first.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for JtiSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JtiSource")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn token_identifiers_never_repeat_across_refills_of_the_buffer() {
        let source = JtiSource::new();
        let random = OsRandom::new();
        let many = BUFFER / JTI_BYTES * 3;
        let seen: HashSet<_> = (0..many).map(|_| source.next(&random).unwrap()).collect();
        assert_eq!(seen.len(), many);
    }

    #[test]
    fn a_failing_source_fails_the_draw_and_returns_no_zeros() {
        #[derive(Debug)]
        struct Broken;
        impl SecureRandom for Broken {
            fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
                Err(RandomError)
            }
        }
        let source = JtiSource::new();
        assert_eq!(source.next(&Broken), Err(RandomError));
        assert_eq!(source.next(&Broken), Err(RandomError));
        assert!(source.next(&OsRandom::new()).unwrap().iter().any(|byte| *byte != 0));
    }
}
