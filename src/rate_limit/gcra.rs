//! The generic cell rate algorithm (ITU-T I.371): a budget in one number, the instant at which it is
//! full again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::app::RateQuota;

const NANOS_PER_MINUTE: u64 = 60_000_000_000;

/// A quota in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    /// The time in which one request is refilled.
    interval: u64,
    /// The time in which an empty budget is full again.
    capacity: u64,
}

/// A budget is spent until this instant, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpentUntil(pub(super) u64);

impl Rate {
    /// The rate of `quota`. A 0 in it counts as 1.
    pub(super) fn new(quota: RateQuota) -> Self {
        let interval = NANOS_PER_MINUTE / u64::from(quota.per_minute().max(1));
        Self { interval, capacity: interval.saturating_mul(u64::from(quota.burst().max(1))) }
    }

    /// Charges a request at `now` to a budget that is full at `full_at`. Returns the new `full_at`.
    pub(super) const fn charge(self, full_at: u64, now: u64) -> Result<u64, SpentUntil> {
        let base = if full_at > now { full_at } else { now };
        let charged = base.saturating_add(self.interval);
        let earliest = charged.saturating_sub(self.capacity);
        if earliest > now { Err(SpentUntil(earliest)) } else { Ok(charged) }
    }

    /// Undoes a charge to a budget that is full at `full_at`. Returns the new `full_at`. A charge that
    /// the time has refilled already leaves the budget full.
    pub(super) const fn give_back(self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.interval)
    }
}

/// A budget that threads share.
pub(super) struct Budget {
    rate: Rate,
    full_at: AtomicU64,
}

impl Budget {
    pub(super) const fn new(rate: Rate) -> Self {
        Self { rate, full_at: AtomicU64::new(0) }
    }

    /// Checks whether nothing of the budget is spent.
    pub(super) fn is_full(&self, now: u64) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now
    }

    pub(super) fn charge(&self, now: u64) -> Result<(), SpentUntil> {
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let charged = self.rate.charge(full_at, now)?;
            let exchanged = self.full_at.compare_exchange_weak(
                full_at,
                charged,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }

    /// Undoes a charge.
    pub(super) fn give_back(&self) {
        let given = |full_at| Some(self.rate.give_back(full_at));
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    /// N3: the threads overlap, because each has begun before any charges, and charges for a while.
    #[test]
    fn threads_together_get_no_more_than_the_burst() {
        const BURST: u32 = 100_000;
        let budget = Budget::new(Rate::new(RateQuota::new(1, BURST)));
        let begin = Barrier::new(4);
        let admitted: usize = thread::scope(|scope| {
            let charge = || {
                begin.wait();
                (0..BURST).filter(|_| budget.charge(5).is_ok()).count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(charge)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, BURST as usize);
    }

    /// N3: a reservation that is given back leaves the budget as it was.
    #[test]
    fn a_charge_that_is_given_back_was_never_made() {
        let budget = Budget::new(Rate::new(RateQuota::new(60, 2)));
        for _ in 0..100 {
            budget.charge(5).unwrap();
            budget.give_back();
        }
        budget.charge(5).unwrap();
        budget.charge(5).unwrap();
        budget.charge(5).unwrap_err();
        budget.give_back();
        budget.charge(5).unwrap();
        budget.charge(5).unwrap_err();
    }

    proptest! {
        /// The definition of the quota: a bucket of `burst` requests that fills at a steady rate.
        #[test]
        fn a_budget_admits_what_a_token_bucket_admits(
            per_minute in 1..120_u32,
            burst in 1..10_u32,
            steps in prop::collection::vec(0..3_000_000_000_u64, 1..200),
        ) {
            let rate = Rate::new(RateQuota::new(per_minute, burst));
            let budget = Budget::new(rate);
            let full = u128::from(burst) * u128::from(rate.interval);
            let (mut now, mut bucket) = (0_u64, full);
            for step in steps {
                now += step;
                bucket = full.min(bucket + u128::from(step));
                let charged = budget.charge(now);
                prop_assert_eq!(charged.is_ok(), bucket >= u128::from(rate.interval));
                match charged {
                    Ok(()) => bucket -= u128::from(rate.interval),
                    Err(SpentUntil(earliest)) => {
                        let missing = u128::from(rate.interval) - bucket;
                        prop_assert_eq!(u128::from(earliest - now), missing);
                    }
                }
            }
        }

        #[test]
        fn no_quota_and_no_instant_overflows(
            quota in any::<(u32, u32)>(), full_at: u64, now: u64,
        ) {
            let rate = Rate::new(RateQuota::new(quota.0, quota.1));
            match rate.charge(full_at, now) {
                Ok(charged) => prop_assert!(charged >= full_at && charged >= now),
                Err(SpentUntil(earliest)) => prop_assert!(earliest > now),
            }
        }
    }
}
