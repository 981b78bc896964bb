use std::time::Duration;

use super::*;
use crate::app::{AppDraft, Credentials, Flow, RateQuota};

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
    CustomApp::new(id, draft.build().unwrap(), Credentials::default(), 1, NOW)
}

fn limiter() -> RateLimiter {
    let limits = RateLimits::default()
        .with_volume(RateQuota::new(60, 3))
        .with_grants(RateQuota::new(60, 4))
        .with_failures(RateQuota::new(6, 2))
        .with_source_failures(RateQuota::new(6, 5));
    RateLimiter::new(limits)
}

/// Charges a failure, and returns how long the next one has to wait, if this one has to.
fn fail(
    limiter: &RateLimiter,
    client_id: &str,
    source: Option<&Source>,
    now: UnixTime,
) -> Result<(), RetryAfter> {
    limiter.reserve_failure(Some(client_id), source, now).map(|_| ())
}

#[test]
fn guessing_ends_when_the_failure_budget_is_spent_and_comes_back_with_time() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    for _ in 0..2 {
        assert_eq!(fail(&limiter, "app", Some(&here), NOW), Ok(()));
    }
    let spent = fail(&limiter, "app", Some(&here), NOW);
    assert_eq!(spent, Err(RetryAfter { seconds: 10 }));
    assert_eq!(fail(&limiter, "app", Some(&here), later(9)), Err(RetryAfter { seconds: 1 }));
    assert_eq!(fail(&limiter, "app", Some(&here), later(10)), Ok(()));
    assert!(fail(&limiter, "app", Some(&here), later(10)).is_err());
}

#[test]
fn failures_with_a_spent_budget_do_not_prolong_it() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    for _ in 0..100 {
        let _ = fail(&limiter, "app", Some(&here), NOW);
    }
    assert_eq!(fail(&limiter, "app", Some(&here), later(10)), Ok(()));
    // A refusal by the budget of the client id spent nothing of the source's: 3 of 5 are spent.
    assert_eq!(fail(&limiter, "b", Some(&here), later(10)), Ok(()));
    assert_eq!(fail(&limiter, "c", Some(&here), later(10)), Ok(()));
    assert_eq!(fail(&limiter, "d", Some(&here), later(10)), Ok(()));
    assert!(fail(&limiter, "e", Some(&here), later(10)).is_err());
}

#[test]
fn a_limiter_is_shown_by_its_quotas() {
    let shown = format!("{:?}", limiter());
    assert!(shown.starts_with("RateLimiter { limits: RateLimits"), "{shown}");
}

/// N4: a source that changes its client id with each request has one budget for all of them.
#[test]
fn a_source_has_one_budget_for_all_client_ids() {
    let (limiter, here) = (limiter(), source("192.0.2.1"));
    for number in 0..5 {
        assert_eq!(fail(&limiter, &number.to_string(), Some(&here), NOW), Ok(()));
    }
    assert_eq!(fail(&limiter, "other", Some(&here), NOW), Err(RetryAfter { seconds: 10 }));
    assert!(limiter.reserve_failure(None, Some(&here), NOW).is_err());
    assert_eq!(fail(&limiter, "other", Some(&source("192.0.2.2")), NOW), Ok(()));
    // The refused failures spent nothing of the client id's budget.
    let spent = (0..9).filter(|_| fail(&limiter, "other", Some(&here), later(60)).is_ok()).count();
    assert_eq!(spent, 2);
}

/// N3: of concurrent guesses, no more than the budget get through, and a reservation that is given back
/// leaves the budget as it was.
#[test]
fn concurrent_reservations_get_no_more_than_the_budget() {
    let limits = RateLimits::default().with_failures(RateQuota::new(10, 10));
    let (limiter, here) = (RateLimiter::new(limits), source("192.0.2.1"));
    for _ in 0..100 {
        let reserved = limiter.reserve_failure(Some("app"), Some(&here), NOW).unwrap();
        limiter.give_back_failure(reserved);
    }
    let admitted: usize = std::thread::scope(|scope| {
        let guess = || (0..100).filter(|_| fail(&limiter, "app", Some(&here), NOW).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(guess)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 10);
}

#[test]
fn a_stranger_cannot_lock_out_an_app_that_calls_from_elsewhere() {
    let limiter = limiter();
    let (stranger, own) = (source("198.51.100.7"), source("192.0.2.1"));
    for _ in 0..100 {
        let _ = fail(&limiter, "app", Some(&stranger), NOW);
        fail(&limiter, "app", None, NOW).unwrap();
    }
    assert!(fail(&limiter, "app", Some(&stranger), NOW).is_err());
    assert_eq!(fail(&limiter, "app", Some(&own), NOW), Ok(()));
    assert_eq!(fail(&limiter, "other", Some(&stranger), NOW), Ok(()));
    assert_eq!(limiter.charge_volume(&app("app", None), NOW), Ok(()));
}

#[test]
fn an_ipv6_source_is_its_network_and_a_mapped_ipv4_address_is_itself() {
    let limiter = limiter();
    fail(&limiter, "app", Some(&source("2001:db8::1")), NOW).unwrap();
    fail(&limiter, "app", Some(&source("2001:db8::ffff:2")), NOW).unwrap();
    assert!(fail(&limiter, "app", Some(&source("2001:db8::3")), NOW).is_err());
    assert_eq!(fail(&limiter, "app", Some(&source("2001:db8:0:1::3")), NOW), Ok(()));

    fail(&limiter, "app", Some(&source("::ffff:192.0.2.1")), NOW).unwrap();
    fail(&limiter, "app", Some(&source("192.0.2.1")), NOW).unwrap();
    assert!(fail(&limiter, "app", Some(&source("192.0.2.1")), NOW).is_err());
    assert_eq!(fail(&limiter, "app", Some(&source("::ffff:192.0.2.2")), NOW), Ok(()));
}

/// N2: one grant spends its own budget, and a request that its app gets back was never charged to it.
#[test]
fn each_grant_has_its_own_budget_and_a_dead_one_spends_nothing_of_its_app() {
    let (limiter, public) = (limiter(), app("public", None));
    for _ in 0..4 {
        assert_eq!(limiter.charge_grant(b"dead", NOW), Ok(()));
        assert_eq!(limiter.charge_volume(&public, NOW), Ok(()));
        limiter.give_back_volume(public.client_id());
    }
    assert_eq!(limiter.charge_grant(b"dead", NOW), Err(RetryAfter { seconds: 1 }));
    assert_eq!(limiter.charge_grant(b"live", NOW), Ok(()));
    let left = (0..9).filter(|_| limiter.charge_volume(&public, NOW).is_ok()).count();
    assert_eq!(left, 3);
    limiter.give_back_volume(&ClientId::new("unknown").unwrap());
}

/// Y11: a source spends a budget of registrations, and one that made no app is given back.
#[test]
fn registrations_spend_the_budget_of_their_source() {
    let limiter =
        RateLimiter::new(RateLimits::none().with_source_registrations(RateQuota::new(2, 3)));
    let (here, there) = (source("2001:db8::1"), source("2001:db8:0:1::1"));
    let register = |from| limiter.charge_registration(from, NOW);
    for _ in 0..100 {
        limiter.give_back_registration(register(Some(&here)).unwrap());
    }
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
        let charged = limiter.charge_registration(Some(&source(address)), NOW);
        assert!(charged.unwrap().is_some());
    }
    assert_eq!(register(Some(&here)), Err(RetryAfter { seconds: 30 }));
    assert!(register(Some(&there)).is_ok());
    assert_eq!(register(None), Ok(None));
    let unlimited = RateLimiter::new(RateLimits::none());
    assert_eq!(unlimited.charge_registration(Some(&here), NOW), Ok(None));
}

/// W7: a source, and each kind of request of a device, spends a budget of its own.
#[test]
fn requests_about_wipes_spend_separate_budgets_and_learn_when_to_retry() {
    let limits = RateLimits::none()
        .with_source_wipes(RateQuota::new(2, 3))
        .with_device_wipes(RateQuota::new(3, 2));
    let limiter = RateLimiter::new(limits);
    let (here, there) = (source("192.0.2.1"), source("192.0.2.2"));
    let forged = |from| limiter.charge_source_wipe(from, NOW);
    for _ in 0..3 {
        assert_eq!(forged(Some(&here)), Ok(()));
    }
    assert_eq!(forged(Some(&here)), Err(RetryAfter { seconds: 30 }));
    assert_eq!(forged(Some(&there)), Ok(()));
    assert_eq!(forged(None), Ok(()));
    for kind in [WipeKind::Question, WipeKind::Report] {
        let genuine = |device: &[u8], at| limiter.charge_device_wipe(kind, device, at);
        assert_eq!(genuine(b"one", NOW), Ok(()), "{kind:?}");
        assert_eq!(genuine(b"one", NOW), Ok(()), "{kind:?}");
        assert_eq!(genuine(b"one", NOW), Err(RetryAfter { seconds: 20 }), "{kind:?}");
        assert_eq!(genuine(b"other", NOW), Ok(()), "{kind:?}");
    }
    assert_eq!(limiter.charge_source_wipe(Some(&here), later(30)), Ok(()));
    for kind in [WipeKind::Question, WipeKind::Report] {
        assert_eq!(limiter.charge_device_wipe(kind, b"one", later(30)), Ok(()), "{kind:?}");
    }
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
        assert_eq!(fail(&unlimited, "app", Some(&here), NOW), Ok(()));
        assert_eq!(unlimited.charge_grant(b"grant", NOW), Ok(()));
        assert_eq!(unlimited.charge_volume(&app("app", None), NOW), Ok(()));
    }
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
        while fail(&limiter, "one", Some(&here), at).is_ok() {}
    }
    assert!(fail(&limiter, "one", Some(&here), NOW).is_err());
    assert_eq!(fail(&limiter, "one", Some(&here), later(10)), Ok(()));
    assert_eq!(limiter.charge_volume(&one, later(10)), Ok(()));
}

/// N4: strangers who change client ids, sources and grants fill the tables and no more, and wash out no
/// spent budget. The bounds are those of `docs/limits.md`.
#[test]
fn a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget() {
    const DOCUMENTED_KEYS: usize = 65_536;
    const DOCUMENTED_BYTES: usize = 15 << 20;
    let (limiter, victim) = (limiter(), source("192.0.2.1"));
    while fail(&limiter, "victim", Some(&victim), NOW).is_ok() {}
    while limiter.charge_grant(b"victim", NOW).is_ok() {}
    while limiter.charge_source_wipe(Some(&victim), NOW).is_ok() {}
    while limiter.charge_registration(Some(&victim), NOW).is_ok() {}
    while limiter.charge_device_wipe(WipeKind::Report, b"victim", NOW).is_ok() {}
    while limiter.charge_document(Some(&victim), NOW).is_ok() {}
    let [failures, source_failures, grants] =
        [&limiter.failures, &limiter.source_failures, &limiter.grants]
            .map(|table| table.as_ref().unwrap());
    let [source_wipes, device_wipes, documents, registrations] = [
        &limiter.source_wipes,
        &limiter.device_wipes,
        &limiter.source_documents,
        &limiter.source_registrations,
    ]
    .map(|table| &**table.as_ref().unwrap());
    let tables =
        [failures, source_failures, grants, source_wipes, device_wipes, documents, registrations];
    for number in 0..2 * DOCUMENTED_KEYS {
        let name = format!("stranger {number}");
        let _ = fail(&limiter, &name, Some(&source(&name)), NOW);
        let _ = limiter.charge_grant(name.as_bytes(), NOW);
        let _ = limiter.charge_source_wipe(Some(&source(&name)), NOW);
        let _ = limiter.charge_registration(Some(&source(&name)), NOW);
        let _ = limiter.charge_device_wipe(WipeKind::Report, name.as_bytes(), NOW);
        let _ = limiter.charge_document(Some(&source(&name)), NOW);
        if number == DOCUMENTED_KEYS {
            let most = tables.map(|table| table.size().0).into_iter().max().unwrap();
            assert!(most > DOCUMENTED_KEYS / 2, "the flood reached only {most} keys");
        }
    }
    assert!(fail(&limiter, "victim", Some(&victim), NOW).is_err());
    assert!(limiter.charge_grant(b"victim", NOW).is_err());
    assert!(limiter.charge_source_wipe(Some(&victim), NOW).is_err());
    assert!(limiter.charge_registration(Some(&victim), NOW).is_err());
    assert!(limiter.charge_device_wipe(WipeKind::Report, b"victim", NOW).is_err());
    assert!(limiter.charge_document(Some(&victim), NOW).is_err());
    assert_eq!(Budgets::MAX, DOCUMENTED_KEYS);
    let sizes = tables.map(Budgets::size);
    assert!(sizes.iter().all(|(keys, _)| *keys <= DOCUMENTED_KEYS), "{sizes:?}");
    let bytes: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes <= DOCUMENTED_BYTES, "{bytes} bytes");
}

/// The bound of `docs/limits.md`, and one beyond, by apps that all have spent some of their budget.
#[test]
fn the_budgets_of_apps_start_over_beyond_their_number() {
    const DOCUMENTED: usize = 100_000;
    let (limiter, spent) = (limiter(), app("spent", None));
    while limiter.charge_volume(&spent, NOW).is_ok() {}
    let charge = |number: usize| {
        let id = ClientId::new(number.to_string()).unwrap();
        let settings = spent.settings().clone();
        let app = CustomApp::new(id, settings, Credentials::default(), 1, NOW);
        limiter.charge_volume(&app, NOW).unwrap();
    };
    (1..DOCUMENTED).for_each(charge);
    assert!(limiter.charge_volume(&spent, NOW).is_err());
    assert_eq!(limiter.volume.len(), DOCUMENTED);
    charge(DOCUMENTED);
    assert_eq!(limiter.volume.len(), 1);
    assert_eq!(limiter.charge_volume(&spent, NOW), Ok(()));
}

/// Y11: apps that register themselves and are not used any more leave the table, and wash out no spent budget.
#[test]
fn apps_with_a_full_budget_make_room_first() {
    let (limiter, spent) = (limiter(), app("spent", None));
    let charge = |number: usize, at| {
        let id = ClientId::new(number.to_string()).unwrap();
        let app = CustomApp::new(id, spent.settings().clone(), Credentials::default(), 1, at);
        limiter.charge_volume(&app, at).unwrap();
    };
    (1..100_000).for_each(|number| charge(number, NOW));
    while limiter.charge_volume(&spent, later(60)).is_ok() {}
    charge(100_000, later(60));
    assert_eq!(limiter.volume.len(), 2);
    assert!(limiter.charge_volume(&spent, later(60)).is_err());
}

#[test]
fn zero_in_a_quota_of_the_server_counts_as_one() {
    let limiter = RateLimiter::new(RateLimits::none().with_volume(RateQuota::new(0, 0)));
    assert_eq!(limiter.charge_volume(&app("app", None), NOW), Ok(()));
    assert_eq!(limiter.charge_volume(&app("app", None), NOW), Err(RetryAfter { seconds: 60 }));
}

/// L18: the default budget of documents for a source.
#[test]
fn documents_have_a_default_budget() {
    let (limiter, source) = (RateLimiter::new(RateLimits::default()), source("192.0.2.1"));
    let ask = |seconds: i64| {
        let now = UnixTime::from_seconds(1_700_000_000 + seconds);
        limiter.charge_document(Some(&source), now).is_ok()
    };
    assert_eq!((0..200).filter(|_| ask(0)).count(), 120);
    assert_eq!((0..200).filter(|_| ask(60)).count(), 60);
    assert!(limiter.charge_document(None, UnixTime::from_seconds(1_700_000_000)).is_ok());
}
