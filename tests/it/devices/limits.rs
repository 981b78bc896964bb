//! The budgets of requests about wipes.

use grantor::app::RateQuota;
use grantor::rate_limit::RateLimits;

use super::{CHECK, Phones, SUCCESS, assert_counts, assert_no, assert_wipe};
use crate::support::{Answer, Answered};

#[track_caller]
fn assert_limited(answer: &Answered) -> u64 {
    answer.assert_error(429, "temporarily_unavailable");
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// W7: a phone that asks ten times a second is told to wait, which is neither yes nor no.
#[test]
fn a_phone_that_asks_too_often_is_told_to_wait() {
    let limits = RateLimits::none().with_device_wipes(RateQuota::new(2, 10));
    let phones = Phones::limited(limits);
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    let other = phones.log_in(&app, "other").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    (0..10).for_each(|_| assert_wipe(&phones.check(&app, &token)));
    phones.world.store.take_calls();
    phones.devices.take_calls();
    for _ in 0..20 {
        assert_eq!(assert_limited(&phones.check(&app, &token)), 30);
    }
    assert!(phones.devices.take_calls().is_empty() && phones.world.store.take_calls().is_empty());
    assert_eq!(phones.state(&app, "tag"), "notified");
    assert_eq!(phones.wipe_events(), 1, "a flood does not fill the log");
    assert_no(&phones.check(&app, &other));
    phones.advance(30);
    assert_wipe(&phones.check(&app, &token));
    assert_limited(&phones.check(&app, &token));
}

/// W7: questions with a stolen token, as many as they may be, do not keep the phone from its report.
#[test]
fn questions_spend_nothing_of_the_budget_of_reports() {
    let limits = RateLimits::none().with_device_wipes(RateQuota::new(2, 10));
    let phones = Phones::limited(limits);
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    (0..10).for_each(|_| assert_wipe(&phones.check(&app, &token)));
    assert_limited(&phones.check(&app, &token));
    assert_counts(&phones.report(&app, &token));
    (0..9).for_each(|_| assert_no(&phones.report(&app, &token)));
    phones.devices.take_calls();
    assert_eq!(assert_limited(&phones.report(&app, &token)), 30);
    assert_eq!(assert_limited(&phones.ask(SUCCESS, &app, &token, &[("reason", "pin")])), 30);
    assert!(phones.devices.take_calls().is_empty());
    phones.advance(30);
    assert_no(&phones.report(&app, &token));
}

/// W7: by default a source has ten requests in 300 seconds with tokens that prove nothing, and they keep no
/// phone at the same address from its wipe.
#[test]
fn forged_tokens_spend_the_budget_of_their_source_and_suppress_no_wipe() {
    let mut phones = Phones::limited(RateLimits::default());
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    let all_ten = |phones: &Phones| {
        (0..10).for_each(|_| assert_no(&phones.check(&app, "grt_forged")));
        assert_limited(&phones.check(&app, "grt_forged"));
    };
    all_ten(&phones);
    assert_limited(&phones.report(&app, "grt_forged"));
    assert_limited(&phones.world.send_form(CHECK, None, "token=x"));
    assert_limited(&phones.world.send_form(CHECK, None, ""));
    (0..9).for_each(|_| assert_wipe(&phones.check(&app, &token)));
    assert_counts(&phones.report(&app, &token));
    phones.world.source = grantor::ids::Source::new("192.0.2.8").unwrap();
    assert_no(&phones.check(&app, &token));
    assert_limited(&phones.check(&app, &token));
    all_ten(&phones);
    phones.advance(300);
    all_ten(&phones);
    // The other endpoints of the source are not limited.
    assert_eq!(phones.log_in(&app, "new").status, 200);
}

/// W7: many phones behind one address ask without a limit of the address.
#[test]
fn genuine_tokens_cost_their_source_nothing() {
    let phones = Phones::limited(RateLimits::default());
    let app = phones.app();
    for number in 0..12 {
        let tag = number.to_string();
        let token = phones.log_in(&app, &tag).text("refresh_token").to_owned();
        phones.order(&app, &tag);
        assert_wipe(&phones.check(&app, &token));
        assert_counts(&phones.report(&app, &token));
    }
    (0..10).for_each(|_| assert_no(&phones.check(&app, "grt_forged")));
    assert_limited(&phones.check(&app, "grt_forged"));
}

/// W14: a phone, or a thief of its access token, spends the reads of one grant, dead or alive, and neither the
/// requests of the app nor the refreshes of the phone.
#[test]
fn reads_of_the_rules_spend_the_budget_of_their_grant() {
    let quota = RateQuota::new(1, 3);
    // Three logins and two refreshes are all that the app has.
    let limits = RateLimits::none().with_grants(quota).with_volume(RateQuota::new(1, 5));
    let phones = Phones::limited(limits);
    let app = phones.app();
    let [tokens, dead, other] = ["tag", "dead", "other"].map(|tag| phones.log_in(&app, tag));
    let read =
        |tokens: &Answer| super::policy::get(&phones, Some(tokens.text("access_token")), &[]);
    let limited = |tokens: &Answer| {
        phones.world.store.take_calls();
        assert_eq!(assert_limited(&read(tokens)), 60);
        assert!(phones.world.store.take_calls().is_empty());
    };
    (0..3).for_each(|_| assert_eq!(read(&tokens).status, 200));
    limited(&tokens);
    phones.order(&app, "dead");
    (0..3).for_each(|_| assert_eq!(read(&dead).status, 401));
    limited(&dead);
    assert_eq!(read(&other).status, 200);
    for tokens in [&tokens, &other] {
        let refreshed = phones.world.refresh(&app, tokens.text("refresh_token"));
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
    }
    phones.advance(60);
    assert_eq!(read(&tokens).status, 200);
}
