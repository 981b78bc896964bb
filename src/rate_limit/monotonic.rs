//! Time that never runs backwards, from a clock that may.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::UnixTime;

/// The elapsed time by instants that may jump: a jump back counts as no time, and a jump forward as a
/// day at most. So a clock that was wrong for a while locks no app out until that time comes again, and
/// the arithmetic does not overflow.
#[derive(Default)]
pub(crate) struct Monotonic {
    /// Elapsed milliseconds.
    millis: AtomicI64,
    /// The difference between elapsed milliseconds and an instant.
    offset: AtomicI64,
}

impl Monotonic {
    const MAX_STEP: i64 = 24 * 60 * 60 * 1_000;
    /// Concurrent requests tell the time in any order.
    const DISORDER: i64 = 1_000;
    /// In nanoseconds, this leaves room for the longest time until a budget is full.
    const END: i64 = i64::MAX / 1_000_000 / 2;

    /// Takes the present instant, and returns the elapsed nanoseconds.
    pub(crate) fn tell(&self, now: UnixTime) -> u64 {
        let Self { millis, offset } = self;
        let passed = millis.load(Ordering::Relaxed);
        let known_offset = offset.load(Ordering::Relaxed);
        let step = now.as_millis().saturating_add(known_offset).saturating_sub(passed);
        let advanced = (passed + step.clamp(0, Self::MAX_STEP)).min(Self::END);
        if !(-Self::DISORDER..=Self::MAX_STEP).contains(&step) {
            // Every thread that sees the jump computes the same offset, and one of them stores it.
            let new_offset = advanced.saturating_sub(now.as_millis());
            let _ = offset.compare_exchange(
                known_offset,
                new_offset,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
        if advanced > passed {
            millis.fetch_max(advanced, Ordering::Relaxed);
        }
        advanced.unsigned_abs().saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(time: &Monotonic, seconds: i64) -> u64 {
        time.tell(UnixTime::from_seconds(seconds)) / 1_000_000_000
    }

    #[test]
    fn time_passes_with_the_clock_and_jumps_count_little() {
        const DAY: u64 = 86_400;
        let time = Monotonic::default();
        let begun = tell(&time, 1_700_000_000);
        assert_eq!(tell(&time, 1_700_000_060) - begun, 60);
        // A year ahead by mistake and back: no app waits for that year.
        assert_eq!(tell(&time, 1_731_536_060) - begun, 60 + DAY);
        assert_eq!(tell(&time, 1_700_000_061) - begun, 60 + DAY);
        assert_eq!(tell(&time, 1_700_000_071) - begun, 70 + DAY);
    }

    #[test]
    fn requests_that_tell_the_time_out_of_order_do_not_turn_it_back() {
        let time = Monotonic::default();
        let begun = tell(&time, 1_700_000_001);
        assert_eq!(tell(&time, 1_700_000_000), begun);
        assert_eq!(tell(&time, 1_700_000_002), begun + 1);
    }

    #[test]
    fn no_jump_of_the_clock_overflows() {
        let time = Monotonic::default();
        for _ in 0..200_000 {
            for millis in [i64::MIN, i64::MAX, 0, -1] {
                let passed = time.tell(UnixTime::from_millis(millis));
                assert!(passed < u64::MAX / 2);
            }
        }
    }
}
