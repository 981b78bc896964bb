//! Random choices that a printed seed repeats.

use std::env;
use std::time::Duration;

use grantor::random::{OsRandom, SecureRandom as _};

/// A sequence of numbers that a seed determines (`SplitMix64`).
pub(crate) struct Chance(u64);

impl Chance {
    /// Starts from `GRANTOR_SEED`, or from a random seed, and prints the seed.
    pub(crate) fn new(test: &str) -> Self {
        let seed = env::var("GRANTOR_SEED").map_or_else(
            |_| {
                let mut seed = [0; 8];
                OsRandom::new().fill(&mut seed).unwrap();
                u64::from_ne_bytes(seed)
            },
            |seed| seed.parse().unwrap(),
        );
        eprintln!("{test}: GRANTOR_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Sleeps for less than `most`.
    pub(crate) fn sleep_below(&mut self, most: Duration) {
        let most = u64::try_from(most.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(self.below(most)));
    }
}
