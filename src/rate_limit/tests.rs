use std::time::Duration;

use super::*;
use crate::app::{AppDraft, Credentials, Flow};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

fn source(text: &str) -> Source {
    Source::new(text).unwrap()
}

fn app(id: &str, quota: Option<RateQuota>) -> CustomApp {
    let draft = AppDraft::confidential("App").flow(Flow::ClientCredentials).rate_quota(quota);
    let id = ClientId::new(id).unwrap();
    CustomApp::new(id, draft.build().unwrap(), Credentials::default(), NOW)
}

fn limiter() -> RateLimiter {
    let volume = RateQuota::new(60, 3);
    let failures = RateQuota::new(6, 2);
    RateLimiter::new(RateLimits::default().with_volume(volume).with_failures(failures))
}

#[test]
fn guessing_ends_when_the_failure_budget_is_spent_and_comes_back_with_time() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    for _ in 0..2 {
        assert_eq!(limiter.before("app", Some(&here), NOW), Ok(()));
        limiter.charge_failure("app", Some(&here), NOW);
    }
    let spent = limiter.before("app", Some(&here), NOW);
    assert_eq!(spent, Err(RetryAfter { seconds: 10 }));
    assert_eq!(limiter.before("app", Some(&here), later(9)), Err(RetryAfter { seconds: 1 }));
    assert_eq!(limiter.before("app", Some(&here), later(10)), Ok(()));
}

#[test]
fn requests_with_a_spent_failure_budget_do_not_prolong_it() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    limiter.charge_failure("app", Some(&here), NOW);
    limiter.charge_failure("app", Some(&here), NOW);
    for _ in 0..100 {
        assert!(limiter.before("app", Some(&here), NOW).is_err());
        limiter.charge_failure("app", Some(&here), NOW);
    }
    assert_eq!(limiter.before("app", Some(&here), later(10)), Ok(()));
}

#[test]
fn a_stranger_cannot_lock_out_an_app_that_calls_from_elsewhere() {
    let limiter = limiter();
    let (stranger, own) = (source("198.51.100.7"), source("192.0.2.1"));
    for _ in 0..100 {
        limiter.charge_failure("app", Some(&stranger), NOW);
        limiter.charge_failure("app", None, NOW);
    }
    assert!(limiter.before("app", Some(&stranger), NOW).is_err());
    assert_eq!(limiter.before("app", Some(&own), NOW), Ok(()));
    assert_eq!(limiter.before("other", Some(&stranger), NOW), Ok(()));
    assert_eq!(limiter.before("app", None, NOW), Ok(()));
    assert_eq!(limiter.charge_volume(&app("app", None), NOW), Ok(()));
}

#[test]
fn an_ipv6_source_is_its_network_and_a_mapped_ipv4_address_is_itself() {
    let limiter = limiter();
    limiter.charge_failure("app", Some(&source("2001:db8::1")), NOW);
    limiter.charge_failure("app", Some(&source("2001:db8::ffff:2")), NOW);
    assert!(limiter.before("app", Some(&source("2001:db8::3")), NOW).is_err());
    assert_eq!(limiter.before("app", Some(&source("2001:db8:0:1::3")), NOW), Ok(()));

    limiter.charge_failure("app", Some(&source("::ffff:192.0.2.1")), NOW);
    limiter.charge_failure("app", Some(&source("192.0.2.1")), NOW);
    assert!(limiter.before("app", Some(&source("192.0.2.1")), NOW).is_err());
    assert_eq!(limiter.before("app", Some(&source("::ffff:192.0.2.2")), NOW), Ok(()));
}

#[test]
fn each_app_has_its_own_volume_and_learns_when_to_retry() {
    let limiter = limiter();
    let (one, other) = (app("one", None), app("other", None));
    for _ in 0..3 {
        assert_eq!(limiter.charge_volume(&one, NOW), Ok(()));
    }
    assert_eq!(limiter.charge_volume(&one, NOW), Err(RetryAfter { seconds: 1 }));
    assert_eq!(limiter.charge_volume(&other, NOW), Ok(()));
    assert_eq!(limiter.charge_volume(&one, later(1)), Ok(()));
    assert!(limiter.charge_volume(&one, later(1)).is_err());
}

#[test]
fn an_edited_quota_takes_effect_at_the_next_request() {
    let limiter = limiter();
    for _ in 0..3 {
        assert_eq!(limiter.charge_volume(&app("app", None), NOW), Ok(()));
    }
    assert!(limiter.charge_volume(&app("app", None), NOW).is_err());
    let raised = app("app", Some(RateQuota::new(60, 5)));
    for _ in 0..5 {
        assert_eq!(limiter.charge_volume(&raised, NOW), Ok(()));
    }
    assert!(limiter.charge_volume(&raised, NOW).is_err());
}

#[test]
fn without_limits_only_an_apps_own_quota_holds() {
    let unlimited = RateLimiter::new(RateLimits::none());
    let here = source("192.0.2.1");
    for _ in 0..10_000 {
        unlimited.charge_failure("app", Some(&here), NOW);
        assert_eq!(unlimited.charge_volume(&app("app", None), NOW), Ok(()));
    }
    assert_eq!(unlimited.before("app", Some(&here), NOW), Ok(()));
    let capped = app("capped", Some(RateQuota::new(1, 1)));
    assert_eq!(unlimited.charge_volume(&capped, NOW), Ok(()));
    assert_eq!(unlimited.charge_volume(&capped, NOW), Err(RetryAfter { seconds: 60 }));
}

#[test]
fn a_clock_that_jumps_back_or_far_ahead_locks_no_app_out() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    let one = app("one", None);
    let wrong = UnixTime::from_seconds(4_000_000_000);
    for at in [NOW, wrong, UnixTime::MAX, UnixTime::from_millis(i64::MIN), wrong] {
        while limiter.charge_volume(&one, at).is_ok() {}
        limiter.charge_failure("one", Some(&here), at);
        limiter.charge_failure("one", Some(&here), at);
    }
    assert!(limiter.before("one", Some(&here), NOW).is_err());
    assert_eq!(limiter.before("one", Some(&here), later(10)), Ok(()));
    assert_eq!(limiter.charge_volume(&one, later(10)), Ok(()));
}

#[test]
fn a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    limiter.charge_failure("victim", Some(&here), NOW);
    limiter.charge_failure("victim", Some(&here), NOW);
    for number in 0..MAX_FAILING + 10 {
        limiter.charge_failure(&number.to_string(), Some(&here), NOW);
    }
    assert!(limiter.before("victim", Some(&here), NOW).is_err());
    let tracked = limiter.failures.unwrap().full_at.into_inner().unwrap();
    assert!(tracked.len() <= MAX_FAILING);
}

#[test]
fn zero_in_a_quota_of_the_server_counts_as_one() {
    let limiter = RateLimiter::new(RateLimits::none().with_volume(RateQuota::new(0, 0)));
    assert_eq!(limiter.charge_volume(&app("app", None), NOW), Ok(()));
    assert_eq!(limiter.charge_volume(&app("app", None), NOW), Err(RetryAfter { seconds: 60 }));
}
