//! The pace of the polls of device codes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ids::GrantId;

/// The pace of the polls (RFC 8628 section 3.5). A hasty poll adds 5 seconds to the interval of its code, as it
/// does at the client. The wait counts from the last poll that was not hasty, so that a client at its old pace gets
/// through, too.
///
/// A code is remembered while it is polled, and for [`PERIOD`](Self::PERIOD) afterwards. If the table is full, no
/// code in it is forgotten for a new one. The polls of the new one are then not paced, which costs the server one
/// read each: the pace protects the server, no secret.
pub(super) struct Pace {
    interval: u64,
    polls: Mutex<Polls>,
}

/// The codes in two generations. The older one is dropped as a whole, so that no poll looks at all codes.
#[derive(Default)]
struct Polls {
    /// The codes that were polled since `turned_at`.
    young: HashMap<GrantId, Poll>,
    /// Those that were polled in the period before, and not since.
    old: HashMap<GrantId, Poll>,
    turned_at: u64,
}

#[derive(Clone, Copy)]
struct Poll {
    /// The last poll that was not hasty.
    at: u64,
    interval: u64,
}

impl Polls {
    /// Makes the young codes old once a period has passed, and drops the old ones.
    fn turn(&mut self, now: u64) {
        let passed = now.saturating_sub(self.turned_at);
        if passed >= Pace::PERIOD {
            self.old = std::mem::take(&mut self.young);
            if passed >= 2 * Pace::PERIOD {
                self.old = HashMap::new();
            }
            self.turned_at = now;
        }
    }

    fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }
}

impl Pace {
    /// The most codes that are remembered.
    pub(super) const MAX: usize = 65_536;
    pub(super) const SECOND: u64 = 1_000_000_000;
    /// The time that a hasty poll adds to the interval.
    const STEP: u64 = 5 * Self::SECOND;
    const MAX_INTERVAL: u64 = 60 * Self::SECOND;
    /// A client at the slowest pace polls twice in this time.
    const PERIOD: u64 = 2 * Self::MAX_INTERVAL;
    /// How much too early a poll may be, but by no more than half of its interval: networks delay one more than the
    /// next.
    const TOLERANCE: u64 = Self::SECOND;

    pub(super) fn new(interval: Duration) -> Self {
        let interval = interval.as_secs().saturating_mul(Self::SECOND).min(Self::MAX_INTERVAL);
        Self { interval, polls: Mutex::default() }
    }

    /// Returns whether a poll at `now` is not hasty.
    pub(super) fn admits(&self, grant_id: &GrantId, now: u64) -> bool {
        let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        polls.turn(now);
        if let Some(poll) = polls.old.remove(grant_id) {
            polls.young.insert(*grant_id, poll);
        }
        if let Some(poll) = polls.young.get_mut(grant_id) {
            let tolerance = Self::TOLERANCE.min(poll.interval / 2);
            if now.saturating_sub(poll.at).saturating_add(tolerance) < poll.interval {
                poll.interval = poll.interval.saturating_add(Self::STEP).min(Self::MAX_INTERVAL);
                return false;
            }
            poll.at = now;
            return true;
        }
        if polls.len() < Self::MAX {
            polls.young.insert(*grant_id, Poll { at: now, interval: self.interval });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> GrantId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        GrantId::from_bytes(bytes)
    }

    fn pace(seconds: u64) -> impl Fn(u64) -> bool {
        let pace = Pace::new(Duration::from_secs(seconds));
        // From an hour on, as a process that has run for a while.
        move |tenths| pace.admits(&id(1), (36_000 + tenths) * Pace::SECOND / 10)
    }

    /// D10: the first poll may come right away.
    #[test]
    fn the_first_poll_is_never_hasty() {
        let admits = pace(5);
        assert!(admits(0));
        assert!(Pace::new(Duration::from_mins(1)).admits(&id(1), 0));
    }

    /// D11: each hasty poll adds 5 seconds, up to a minute, and a client at the told pace gets through.
    #[test]
    fn the_interval_grows_with_hasty_polls_and_stays_in_reach() {
        let admits = pace(5);
        assert!(admits(0) && admits(40) && admits(80), "a second early is in time");
        assert!(!admits(119), "told: 10 seconds");
        assert!(!admits(169), "told: 15 seconds, from 8 s on");
        assert!(admits(220), "14 seconds after the last poll in time");
        for hasty in 221..240 {
            assert!(!admits(hasty));
        }
        assert!(!admits(220 + 589));
        assert!(admits(220 + 590), "a minute at most");
    }

    /// D2: the shortest interval is kept, too.
    #[test]
    fn a_poll_may_be_half_an_interval_early_at_most() {
        let admits = pace(1);
        assert!(admits(0) && admits(5));
        assert!(!admits(9), "told: 6 seconds");
        assert!(!admits(54), "told: 11 seconds, from 0.5 s on");
        assert!(admits(105));
    }

    /// D11: a client that does not slow down still gets through now and then.
    #[test]
    fn a_client_at_its_old_pace_gets_through() {
        let admits = pace(5);
        let admitted = (0..60).filter(|poll| admits(poll * 30)).count();
        assert!(admitted >= 3, "{admitted}");
    }

    /// D11: a flood of other codes makes the server forget none that is polled, at any pace. A code beyond the
    /// number is not paced, until those that are not polled any more have gone.
    #[test]
    fn a_flood_of_codes_forgets_no_pace_in_use_and_is_bounded() {
        const DOCUMENTED: usize = 65_536;
        let pace = Pace::new(Duration::from_secs(5));
        let admits = |number, second: u64| pace.admits(&id(number), second * Pace::SECOND);
        let size = || pace.polls.lock().unwrap().len();
        // Told 60 seconds.
        assert!(admits(0, 0));
        assert_eq!((1..=12).filter(|_| admits(0, 0)).count(), 0);
        let mut flood = 1..;
        for minute in 1..10 {
            for stranger in flood.by_ref().take(12_000) {
                assert!(admits(stranger, minute * 60));
            }
            assert!(!admits(0, minute * 60 - 2), "{minute}");
            assert!(admits(0, minute * 60), "{minute}");
            assert!(size() <= DOCUMENTED);
        }
        for stranger in flood.by_ref().take(2 * DOCUMENTED) {
            assert!(admits(stranger, 600));
        }
        assert_eq!(size(), DOCUMENTED);
        let beyond = flood.next().unwrap();
        assert!(admits(beyond, 600) && admits(beyond, 600));
        assert!(!admits(0, 598) && admits(0, 600));
        assert!(admits(beyond, 840) && !admits(beyond, 840), "the flood has gone");
        assert!(size() < 3, "{}", size());
    }
}
