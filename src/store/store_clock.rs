//! The clock of a store that takes its time from the instants that it is given.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::UnixTime;

/// The latest instant that the store was given or has made. It never runs backwards.
#[derive(Default)]
pub(super) struct StoreClock(AtomicI64);

impl StoreClock {
    /// Returns the present instant: later than every revocation that was answered.
    pub(super) fn present(&self) -> UnixTime {
        UnixTime::from_millis(self.0.load(Ordering::SeqCst))
    }

    /// Makes `instant` an instant of this clock, and returns the present one. Later revocations are at or
    /// after both.
    pub(super) fn reach(&self, instant: UnixTime) -> UnixTime {
        let present = self.present();
        // Nearly every request comes within a millisecond that the clock has reached.
        if present >= instant {
            return present;
        }
        let before = self.0.fetch_max(instant.as_millis(), Ordering::SeqCst);
        UnixTime::from_millis(before).max(instant)
    }

    /// Returns the instant of a revocation: not before any date that was given. The next instant is later,
    /// even within the same millisecond.
    pub(super) fn revocation(&self, now: UnixTime) -> UnixTime {
        let advance = |before: i64| before.max(now.as_millis()).saturating_add(1);
        let mut before = self.0.load(Ordering::SeqCst);
        while let Err(changed) = self.0.compare_exchange_weak(
            before,
            advance(before),
            Ordering::SeqCst,
            Ordering::SeqCst,
        ) {
            before = changed;
        }
        UnixTime::from_millis(before).max(now)
    }
}
