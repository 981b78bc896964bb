//! The budgets of the device grant, and the pace of its polls. A server without the grant has none.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use super::apps::AppBudgets;
use super::budgets::Budgets;
use super::monotonic::Monotonic;
use super::pace::Pace;
use super::{RateLimits, RetryAfter, SourceKey, retry_after};
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::{GrantId, Source, Subject};

/// The key of a budget that all share.
const ALL: u64 = 0;

/// The budgets of one server.
pub(crate) struct DeviceGrantBudgets {
    time: Monotonic,
    hasher: RandomState,
    requests_of_source: Option<Budgets>,
    requests_of_app: AppBudgets,
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
            requests_of_app: AppBudgets::new(limits.volume),
            user_codes: limits.user_codes.map(Budgets::new),
            source_user_codes: limits.source_user_codes.map(Budgets::new),
            all_user_codes: limits.all_user_codes.map(Budgets::new),
            pace: Pace::new(interval),
        }
    }

    /// Charges a request for a device code to its source, and to the public app that it names, by the quota of the
    /// app or else the server's. Refuses if a budget is spent, and then charges neither.
    pub(crate) fn charge_request(
        &self,
        app: &CustomApp,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<(), RetryAfter> {
        let now = self.time.tell(now);
        let of_source = self.requests_of_source.as_ref().zip(source.map(SourceKey::of));
        let of_source = of_source.map(|(budgets, source)| (budgets, self.hasher.hash_one(source)));
        if let Some((budgets, key)) = of_source {
            budgets.charge(key, now).map_err(|spent| retry_after(spent, now))?;
        }
        if let Err(spent) = self.requests_of_app.charge(app, now) {
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
        // That of all first, and then the source: once it is spent, more sources and users add nothing to the tables.
        if let Some(budgets) = &self.all_user_codes {
            budgets.charge(ALL, now).map_err(|spent| retry_after(spent, now))?;
            reserved.is_of_all = true;
        }
        if let Some((budgets, source)) = self.source_user_codes.as_ref().zip(source) {
            let key = self.hasher.hash_one(SourceKey::of(source));
            if let Err(spent) = budgets.charge(key, now) {
                self.give_back_user_code(reserved);
                return Err(retry_after(spent, now));
            }
            reserved.source = Some(key);
        }
        if let Some(budgets) = &self.user_codes {
            let key = self.hasher.hash_one(subject);
            if let Err(spent) = budgets.charge(key, now) {
                self.give_back_user_code(reserved);
                return Err(retry_after(spent, now));
            }
            reserved.user = Some(key);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{AppDraft, Credentials, Flow, RateQuota};
    use crate::ids::ClientId;

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

    /// Users and sources, made once: a loop of a million spends its time on guesses.
    fn callers(number: u64) -> Vec<(Subject, Source)> {
        (0..number).map(|number| (user(number), source(number))).collect()
    }

    /// A million in all.
    const FLOOD: usize = 333_334;

    /// D13: a flood of wrong codes from one source, or of one user, is a handful of searches.
    #[test]
    fn a_flood_of_wrong_codes_from_one_source_or_user_is_refused() {
        let callers = callers(1_000);
        let (own_user, own_source) = (user(0), source(0));
        for (by_source, at_once) in [(true, 120), (false, 10)] {
            let budgets = budgets(&RateLimits::default());
            let admitted = callers.iter().cycle().take(FLOOD).filter(|(user, source)| {
                let (user, source) =
                    if by_source { (user, &own_source) } else { (&own_user, source) };
                budgets.reserve_user_code(user, Some(source), NOW).is_ok()
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

    /// D13: a flood of wrong codes from as many users and sources is 300 searches. It spends no other budget, and the
    /// server remembers no user and no source of it.
    #[test]
    fn a_flood_of_wrong_codes_from_many_is_refused() {
        let budgets = budgets(&RateLimits::default());
        let callers = callers(70_000);
        let guess = |(user, source): &(Subject, Source), now| {
            budgets.reserve_user_code(user, Some(source), now)
        };
        let guesses = callers.iter().cycle().take(FLOOD);
        assert_eq!(guesses.filter(|caller| guess(caller, NOW).is_ok()).count(), 300);
        let retry = guess(&callers[7], NOW).unwrap_err().seconds;
        let later = NOW.plus(Duration::from_secs(retry));
        let admitted = callers[7..100].iter().filter(|caller| guess(caller, later).is_ok());
        assert_eq!((retry, admitted.count()), (1, 5), "nothing is locked for good");
        for budgets in [&budgets.user_codes, &budgets.source_user_codes] {
            let (keys, _) = budgets.as_ref().unwrap().size();
            assert_eq!(keys, 300);
        }
    }

    fn tv(name: &str, quota: Option<RateQuota>) -> CustomApp {
        let draft = AppDraft::public("Television").flow(Flow::DeviceCode).rate_quota(quota);
        let (id, settings) = (ClientId::new(name).unwrap(), draft.build().unwrap());
        CustomApp::new(id, settings, Credentials::default(), 1, NOW)
    }

    /// D8: the defaults of the table of [`RateLimits`], at their edges.
    #[test]
    fn the_defaults_are_those_of_the_table() {
        let budgets = budgets(&RateLimits::default());
        let ask = |name: &str, number| {
            budgets.charge_request(&tv(name, None), Some(&source(number)), NOW).is_ok()
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
        let ask = |name: &str, number, seconds| {
            let now = NOW.plus(Duration::from_secs(seconds));
            budgets.charge_request(&tv(name, None), Some(&source(number)), now)
        };
        assert!(ask("a", 1, 0).is_ok() && ask("a", 1, 0).is_ok());
        assert!(ask("a", 1, 0).is_err(), "the source is spent");
        assert!(ask("a", 2, 0).is_ok() && ask("a", 2, 0).is_err(), "the app is spent");
        assert!(ask("b", 2, 0).is_ok(), "a refusal by the app costs the source nothing");
        assert!(ask("b", 2, 0).is_err(), "the source is spent");
        assert!(ask("a", 1, 1).is_ok());
    }

    /// D8: the quota of the app itself comes before the server's, also if the server has none.
    #[test]
    fn device_requests_are_limited_by_the_quota_of_the_app() {
        let strict = tv("strict", Some(RateQuota::new(1, 2)));
        for limits in [RateLimits::none(), RateLimits::none().with_volume(RateQuota::new(60, 5))] {
            let budgets = budgets(&limits);
            let ask = |app: &CustomApp| {
                (0..10)
                    .filter(|it| budgets.charge_request(app, Some(&source(*it)), NOW).is_ok())
                    .count()
            };
            assert_eq!(ask(&strict), 2);
            assert_eq!(ask(&tv("other", None)), if limits == RateLimits::none() { 10 } else { 5 });
        }
    }
}
