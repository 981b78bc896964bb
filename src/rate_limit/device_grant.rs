//! The budgets of the device grant, and the pace of its polls. A server without the grant has none.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::budgets::Budgets;
use super::monotonic::Monotonic;
use super::{RateLimits, RetryAfter, SourceKey, retry_after};
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Source, Subject};

/// The key of a budget that all share.
const ALL: u64 = 0;

/// The budgets of one server.
pub(crate) struct DeviceGrantBudgets {
    time: Monotonic,
    hasher: RandomState,
    requests_of_source: Option<Budgets>,
    requests_of_app: Option<Budgets>,
    user_codes: Option<Budgets>,
    source_user_codes: Option<Budgets>,
    all_user_codes: Option<Budgets>,
    pace: Pace,
}

/// A reserved wrong user code: the keys that were charged.
#[must_use = "a reserved code is given back if it was right"]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReservedUserCode {
    user: Option<u64>,
    source: Option<u64>,
    is_of_all: bool,
}

impl DeviceGrantBudgets {
    pub(crate) fn new(limits: &RateLimits, interval: Duration) -> Self {
        Self {
            time: Monotonic::default(),
            hasher: RandomState::new(),
            requests_of_source: limits.device_requests.map(Budgets::new),
            requests_of_app: limits.volume.map(Budgets::new),
            user_codes: limits.user_codes.map(Budgets::new),
            source_user_codes: limits.source_user_codes.map(Budgets::new),
            all_user_codes: limits.all_user_codes.map(Budgets::new),
            pace: Pace::new(interval),
        }
    }

    /// Charges a request for a device code to its source, and to the public app that it names. Refuses if a
    /// budget is spent, and then charges neither.
    pub(crate) fn charge_request(
        &self,
        client_id: &ClientId,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let now = self.time.tell(now);
        let of_source = self.requests_of_source.as_ref().zip(source.map(SourceKey::of));
        let of_source = of_source.map(|(budgets, source)| (budgets, self.hasher.hash_one(source)));
        if let Some((budgets, key)) = of_source {
            budgets.charge(key, now).map_err(|spent| retry_after(spent, now))?;
        }
        if let Some(budgets) = &self.requests_of_app
            && let Err(spent) = budgets.charge(self.hasher.hash_one(client_id), now)
        {
            if let Some((budgets, key)) = of_source {
                budgets.give_back(key);
            }
            return Err(retry_after(spent, now));
        }
        Ok(())
    }

    /// Charges a wrong user code to a user, to the source and to all. Refuses if one of the budgets is spent, and
    /// then charges none.
    pub(crate) fn reserve_user_code(
        &self,
        subject: &Subject,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<ReservedUserCode, RetryAfter> {
        let now = self.time.tell(now);
        let mut reserved = ReservedUserCode::default();
        if let Some(budgets) = &self.user_codes {
            let key = self.hasher.hash_one(subject);
            budgets.charge(key, now).map_err(|spent| retry_after(spent, now))?;
            reserved.user = Some(key);
        }
        if let Some((budgets, source)) = self.source_user_codes.as_ref().zip(source) {
            let key = self.hasher.hash_one(SourceKey::of(source));
            if let Err(spent) = budgets.charge(key, now) {
                self.give_back_user_code(reserved);
                return Err(retry_after(spent, now));
            }
            reserved.source = Some(key);
        }
        if let Some(budgets) = &self.all_user_codes {
            if let Err(spent) = budgets.charge(ALL, now) {
                self.give_back_user_code(reserved);
                return Err(retry_after(spent, now));
            }
            reserved.is_of_all = true;
        }
        Ok(reserved)
    }

    /// Undoes a reservation: the code was right, or was not looked for.
    pub(crate) fn give_back_user_code(&self, reserved: ReservedUserCode) {
        let of_user = self.user_codes.as_ref().zip(reserved.user);
        let of_source = self.source_user_codes.as_ref().zip(reserved.source);
        for (budgets, key) in of_user.into_iter().chain(of_source) {
            budgets.give_back(key);
        }
        if let (Some(budgets), true) = (&self.all_user_codes, reserved.is_of_all) {
            budgets.give_back(ALL);
        }
    }

    /// Returns whether the poll of a pending device code keeps the interval.
    pub(crate) fn pace(&self, grant_id: &GrantId, now: UnixTime) -> bool {
        self.pace.admits(grant_id, self.time.tell(now))
    }
}

/// The pace of the polls (RFC 8628 section 3.5). A hasty poll adds 5 seconds to the interval of its code, as it
/// does at the client. The wait counts from the last poll that was not hasty, so that a client at its old pace gets
/// through, too.
struct Pace {
    interval: u64,
    polls: Mutex<HashMap<GrantId, Poll>>,
}

#[derive(Clone, Copy)]
struct Poll {
    /// The last poll that was not hasty.
    at: u64,
    interval: u64,
}

impl Pace {
    /// The most codes that are remembered. Beyond, all start anew: the pace protects the server, no secret.
    const MAX: usize = 65_536;
    const SECOND: u64 = 1_000_000_000;
    /// The time that a hasty poll adds to the interval.
    const STEP: u64 = 5 * Self::SECOND;
    const MAX_INTERVAL: u64 = 60 * Self::SECOND;
    /// How much too early a poll may be: networks delay one more than the next.
    const TOLERANCE: u64 = Self::SECOND;

    fn new(interval: Duration) -> Self {
        let interval = interval.as_secs().saturating_mul(Self::SECOND).min(Self::MAX_INTERVAL);
        Self { interval, polls: Mutex::default() }
    }

    fn admits(&self, grant_id: &GrantId, now: u64) -> bool {
        let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(poll) = polls.get_mut(grant_id) {
            if now.saturating_sub(poll.at).saturating_add(Self::TOLERANCE) < poll.interval {
                poll.interval = poll.interval.saturating_add(Self::STEP).min(Self::MAX_INTERVAL);
                return false;
            }
            poll.at = now;
            return true;
        }
        if polls.len() >= Self::MAX {
            polls.retain(|_, poll| now.saturating_sub(poll.at) < Self::MAX_INTERVAL);
            if polls.len() >= Self::MAX {
                polls.clear();
            }
        }
        polls.insert(*grant_id, Poll { at: now, interval: self.interval });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::RateQuota;

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

    /// D11: a client that does not slow down still gets through now and then.
    #[test]
    fn a_client_at_its_old_pace_gets_through() {
        let admits = pace(5);
        let admitted = (0..60).filter(|poll| admits(poll * 30)).count();
        assert!(admitted >= 3, "{admitted}");
    }

    #[test]
    fn codes_do_not_slow_each_other_down_and_their_number_is_bounded() {
        let pace = Pace::new(Duration::from_secs(5));
        for number in 0..200_000 {
            assert!(pace.admits(&id(number), 0));
        }
        assert!(pace.polls.lock().unwrap().len() <= Pace::MAX);
    }

    fn budgets(limits: &RateLimits) -> DeviceGrantBudgets {
        DeviceGrantBudgets::new(limits, Duration::from_secs(5))
    }

    fn source(number: u64) -> Source {
        Source::new(format!("source {number}")).unwrap()
    }

    fn user(number: u64) -> Subject {
        Subject::new(format!("user {number}")).unwrap()
    }

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    /// D13: a million wrong codes from one source, or of one user, are a handful of searches.
    #[test]
    fn a_million_wrong_codes_from_one_source_or_user_are_refused() {
        for (by_source, at_once) in [(true, 120), (false, 10)] {
            let budgets = budgets(&RateLimits::default());
            let admitted = (0..1_000_000).filter(|number| {
                let (user, source) =
                    if by_source { (user(*number), source(0)) } else { (user(0), source(*number)) };
                budgets.reserve_user_code(&user, Some(&source), NOW).is_ok()
            });
            assert_eq!(admitted.count(), at_once);
        }
    }

    /// D13: one user who spends every wrong code at once and each refill leaves the source to the others, and a
    /// dozen such users spend what it refills.
    #[test]
    fn one_user_does_not_spend_the_wrong_codes_of_a_source() {
        let budgets = budgets(&RateLimits::default());
        let guess = |number, seconds| {
            let now = NOW.plus(Duration::from_secs(seconds));
            budgets.reserve_user_code(&user(number), Some(&source(0)), now).is_ok()
        };
        for seconds in (0..7_200).step_by(12) {
            while guess(0, seconds) {}
            assert!(guess(1 + seconds, seconds), "{seconds}");
        }
        // The source has all of its 120 at once again.
        assert_eq!((10_000..20_000).filter(|number| guess(*number, 8_000)).count(), 120);
        assert!(!guess(1, 8_000) && guess(1, 8_001) && !guess(2, 8_001), "60 a minute");
        let minute: usize = (1..=60)
            .map(|second| (20_000..20_012).filter(|number| guess(*number, 8_001 + second)).count())
            .sum();
        assert_eq!(minute, 60);
    }

    /// D13: a million wrong codes from as many users and sources are 300 searches, and the budget of none is
    /// spent by what all have spent.
    #[test]
    fn a_million_wrong_codes_from_many_are_refused() {
        let budgets = budgets(&RateLimits::default());
        let guess =
            |number, now| budgets.reserve_user_code(&user(number), Some(&source(number)), now);
        assert_eq!((0..1_000_000).filter(|number| guess(*number, NOW).is_ok()).count(), 300);
        let retry = guess(7, NOW).unwrap_err().seconds;
        let later = NOW.plus(Duration::from_secs(retry));
        let admitted = (7..100).filter(|number| guess(*number, later).is_ok()).count();
        assert_eq!((retry, admitted), (1, 5), "nothing is locked for good");
        for budgets in [&budgets.user_codes, &budgets.source_user_codes] {
            let (keys, _) = budgets.as_ref().unwrap().size();
            assert!(keys <= 65_536, "{keys}");
        }
    }

    /// D8: the defaults of the table of [`RateLimits`], at their edges.
    #[test]
    fn the_defaults_are_those_of_the_table() {
        let budgets = budgets(&RateLimits::default());
        let ask = |name: &str, number| {
            let name = ClientId::new(name).unwrap();
            budgets.charge_request(&name, Some(&source(number)), NOW).is_ok()
        };
        assert_eq!((0..100).filter(|_| ask("one source", 0)).count(), 60);
        assert_eq!((1..2_000).filter(|number| ask("one app", *number)).count(), 1_000);
    }

    /// D13: a right code costs nothing, however often it is typed.
    #[test]
    fn a_right_code_costs_nothing() {
        let budgets = budgets(&RateLimits::default());
        for _ in 0..10_000 {
            let reserved = budgets.reserve_user_code(&user(0), Some(&source(0)), NOW).unwrap();
            budgets.give_back_user_code(reserved);
        }
        let unlimited = self::budgets(&RateLimits::none());
        for _ in 0..10_000 {
            let _ = unlimited.reserve_user_code(&user(0), Some(&source(0)), NOW).unwrap();
        }
    }

    /// D8: requests of public apps are limited by source and by app, and a refused one is charged to neither.
    #[test]
    fn device_requests_of_strangers_are_limited_by_source_and_by_app() {
        let limits = RateLimits::none()
            .with_device_requests(RateQuota::new(60, 2))
            .with_volume(RateQuota::new(60, 3));
        let budgets = budgets(&limits);
        let app = |name: &str| ClientId::new(name).unwrap();
        let ask = |name: &str, number, seconds| {
            let now = NOW.plus(Duration::from_secs(seconds));
            budgets.charge_request(&app(name), Some(&source(number)), now)
        };
        assert!(ask("a", 1, 0).is_ok() && ask("a", 1, 0).is_ok());
        assert!(ask("a", 1, 0).is_err(), "the source is spent");
        assert!(ask("a", 2, 0).is_ok() && ask("a", 2, 0).is_err(), "the app is spent");
        assert!(ask("b", 2, 0).is_ok(), "a refusal by the app costs the source nothing");
        assert!(ask("b", 2, 0).is_err(), "the source is spent");
        assert!(ask("a", 1, 1).is_ok());
    }
}
