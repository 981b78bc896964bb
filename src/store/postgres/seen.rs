//! The instants of the database's clock that this process knows.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::{Stopwatch, UnixTime};

/// The newest instant that an answer has carried, and the database's clock by the monotonic one.
pub(super) struct Seen {
    newest: AtomicI64,
    /// A lower bound of the database's clock at the start of `watch`; [`UNKNOWN`] before the first answer.
    offset: AtomicI64,
    watch: Stopwatch,
}

const UNKNOWN: i64 = i64::MIN;

impl Default for Seen {
    fn default() -> Self {
        let (newest, offset) = (AtomicI64::new(0), AtomicI64::new(UNKNOWN));
        Self { newest, offset, watch: Stopwatch::start() }
    }
}

impl Seen {
    /// Learns the present instant of the database from an answer that has just arrived.
    pub(super) fn learn(&self, present: UnixTime) {
        self.saw(present);
        // The newest revocation may have been a millisecond before.
        let bound = present.as_millis().saturating_sub(1).saturating_sub(self.elapsed());
        self.offset.store(bound, Ordering::Release);
    }

    /// Learns of an instant after a revocation.
    pub(super) fn saw(&self, instant: UnixTime) {
        self.newest.fetch_max(instant.as_millis(), Ordering::AcqRel);
    }

    pub(super) fn newest(&self) -> UnixTime {
        UnixTime::from_millis(self.newest.load(Ordering::Acquire))
    }

    pub(super) fn is_known(&self) -> bool {
        self.offset.load(Ordering::Acquire) != UNKNOWN
    }

    /// Returns `instant`, or if the database's clock may not have reached it, the latest that it has.
    pub(super) fn reached(&self, instant: UnixTime) -> UnixTime {
        if !self.is_known() {
            return instant;
        }
        let bound = self.offset.load(Ordering::Acquire).saturating_add(self.elapsed());
        instant.min(UnixTime::from_millis(bound).max(self.newest()))
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.watch.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_millis(1_700_000_000_000 + millis)
    }

    /// N1: a host whose clock is an hour ahead dates by the database's clock.
    #[test]
    fn an_instant_is_bounded_by_the_clock_of_the_database() {
        let seen = Seen::default();
        seen.learn(at(0));
        assert_eq!(seen.newest(), at(0));
        assert_eq!(seen.reached(at(-5_000)), at(-5_000));
        let bounded = seen.reached(at(0).plus(HOUR));
        assert!(bounded >= at(0) && bounded < at(0).plus(HOUR / 2), "{bounded}");
    }

    #[test]
    fn the_newest_instant_never_runs_backwards() {
        let seen = Seen::default();
        seen.learn(at(0));
        seen.saw(at(7));
        seen.learn(at(3));
        assert_eq!(seen.newest(), at(7));
        assert!(seen.reached(UnixTime::MAX) >= at(7));
    }
}
