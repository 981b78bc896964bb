//! The budgets of requests about wipes.

use grantor::app::RateQuota;
use grantor::rate_limit::RateLimits;

use super::{CHECK, Phones, assert_counts, assert_no, assert_wipe};
use crate::support::Answered;

#[track_caller]
fn assert_limited(answer: &Answered) -> u64 {
    answer.assert_error(429, "temporarily_unavailable");
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// W7: a phone that asks ten times a second is told to wait, which is neither yes nor no, and wipes in the end.
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
        assert_eq!(assert_limited(&phones.report(&app, &token)), 30);
    }
    assert!(phones.devices.take_calls().is_empty() && phones.world.store.take_calls().is_empty());
    assert_eq!(phones.state(&app, "tag"), "notified");
    assert_eq!(phones.wipe_events(), 1, "a flood does not fill the log");
    assert_no(&phones.check(&app, &other));
    phones.advance(30);
    assert_counts(&phones.report(&app, &token));
    assert_limited(&phones.report(&app, &token));
}

/// W7: by default a source has ten requests in 300 seconds, and forged tokens count.
#[test]
fn forged_tokens_spend_the_budget_of_their_source() {
    let mut phones = Phones::limited(RateLimits::default());
    let app = phones.app();
    let token = phones.log_in(&app, "tag").text("refresh_token").to_owned();
    phones.order(&app, "tag");
    (0..10).for_each(|_| assert_no(&phones.check(&app, "grt_forged")));
    assert_limited(&phones.check(&app, "grt_forged"));
    assert_limited(&phones.check(&app, &token));
    assert_limited(&phones.world.send_form(CHECK, None, "token=x"));
    phones.world.source = grantor::ids::Source::new("192.0.2.8").unwrap();
    assert_wipe(&phones.check(&app, &token));
    (0..9).for_each(|_| assert_wipe(&phones.check(&app, &token)));
    assert_limited(&phones.check(&app, &token));
    phones.advance(300);
    (0..10).for_each(|_| assert_wipe(&phones.check(&app, &token)));
    assert_limited(&phones.check(&app, &token));
    // The other endpoints of the source are not limited.
    assert_eq!(phones.log_in(&app, "new").status, 200);
}
