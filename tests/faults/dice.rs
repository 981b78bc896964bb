//! Random choices that a seed repeats.

use grantor::random::{OsRandom, SecureRandom as _};

/// A sequence of numbers that a seed determines (`SplitMix64`).
pub(crate) struct Dice(u64);

impl Dice {
    /// Returns the seed in `GRANTOR_SEED`, or a random one.
    pub(crate) fn seed() -> u64 {
        if let Ok(seed) = std::env::var("GRANTOR_SEED") {
            return seed.parse().unwrap();
        }
        let mut bytes = [0; 8];
        OsRandom::new().fill(&mut bytes).unwrap();
        u64::from_ne_bytes(bytes) >> 32
    }

    /// Creates one of the sequences that share a seed.
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let mut dice = Self(seed ^ (number as u64).wrapping_mul(0xA076_1D64_78BD_642F));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns an index below `length`.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// Returns true once in `times` calls, on average.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Sleeps for a random time in this range of milliseconds.
    pub(crate) fn sleep(&mut self, millis: std::ops::Range<u64>) {
        let millis = millis.start + self.below(millis.end - millis.start);
        std::thread::sleep(std::time::Duration::from_millis(millis));
    }
}
