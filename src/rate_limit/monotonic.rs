//! Time that never runs backwards, made from a clock that may.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use governor::clock::Clock;
use governor::nanos::Nanos;

use crate::clock::UnixTime;

/// The time that has passed, in milliseconds, from instants that may jump: a jump back counts as no
/// time, and a jump forward as a day at most. So a clock that was wrong for a while neither locks
/// anybody out until it comes round again nor makes the arithmetic overflow.
#[derive(Clone, Default)]
pub(super) struct Monotonic(Arc<Passed>);

#[derive(Default)]
struct Passed {
    millis: AtomicI64,
    /// What to add to an instant to get the milliseconds passed.
    offset: AtomicI64,
}

impl Monotonic {
    const MAX_STEP: i64 = 24 * 60 * 60 * 1_000;
    /// Requests that run beside each other tell the time in any order.
    const DISORDER: i64 = 1_000;
    /// In nanoseconds this leaves room for the longest time until a budget is whole.
    const END: i64 = i64::MAX / 1_000_000 / 2;

    /// Takes note of the present instant, and tells how much time has passed.
    pub(super) fn tell(&self, now: UnixTime) -> Nanos {
        let Passed { millis, offset } = &*self.0;
        let passed = millis.load(Ordering::Relaxed);
        let known_offset = offset.load(Ordering::Relaxed);
        let step = now.as_millis().saturating_add(known_offset).saturating_sub(passed);
        let advanced = (passed + step.clamp(0, Self::MAX_STEP)).min(Self::END);
        if !(-Self::DISORDER..=Self::MAX_STEP).contains(&step) {
            // Whoever else sees the jump computes the same; one of them may say so.
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
        nanos(advanced)
    }
}

impl Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        nanos(self.0.millis.load(Ordering::Relaxed))
    }
}

fn nanos(millis: i64) -> Nanos {
    Nanos::new(millis.unsigned_abs().saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(time: &Monotonic, seconds: i64) -> i64 {
        time.tell(UnixTime::from_seconds(seconds));
        time.0.millis.load(Ordering::Relaxed) / 1_000
    }

    #[test]
    fn time_passes_as_the_clock_tells_and_jumps_count_as_little() {
        const DAY: i64 = 86_400;
        let time = Monotonic::default();
        let begun = tell(&time, 1_700_000_000);
        assert_eq!(tell(&time, 1_700_000_060) - begun, 60);
        // A year ahead by mistake, and back: no time that anybody has to wait for again.
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
    fn the_wildest_clock_overflows_nothing() {
        let time = Monotonic::default();
        for _ in 0..200_000 {
            for millis in [i64::MIN, i64::MAX, 0, -1] {
                let passed = time.tell(UnixTime::from_millis(millis));
                assert!(passed.as_u64() < u64::MAX / 2);
            }
        }
    }
}
