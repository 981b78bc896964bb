use std::time::Duration;

use super::*;
use crate::app::RateQuota;
use crate::clock::UnixTime;
use crate::ids::{ClientId, Source, Subject};
use crate::observe::Step;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

fn repeats(events_at_once: u32) -> Repeats {
    let quota = RateQuota::new(60, events_at_once);
    Repeats::new(&RateLimits::none().with_stranger_events(quota))
}

/// The refusal of a request that claims to come from `app`.
fn refusal(at: UnixTime, source: &str, app: &str, reason: &'static str) -> AuditEvent {
    let action = Action::IssueToken { grant_type: None };
    let outcome = Outcome::refused(Step::Client, reason, None);
    let event = AuditEvent::new(at, Actor::Unknown, action, outcome);
    event.with_app(&ClientId::new(app).unwrap()).with_source(Some(&Source::new(source).unwrap()))
}

/// Records `event` as the server does. Returns what is recorded.
fn record(repeats: &Repeats, event: &AuditEvent) -> Vec<AuditEvent> {
    let mut recorded = repeats.due(event.at);
    if repeats.admits(event) {
        recorded.push(event.clone());
    }
    recorded
}

/// N4: of equal refusals the first five are events of their own, and the rest is one event with a count.
#[test]
fn equal_refusals_become_one_event_with_a_count() {
    let repeats = repeats(1_000);
    let mut recorded = Vec::new();
    for number in 0..40_000 {
        let app = format!("app {number}");
        recorded.extend(record(&repeats, &refusal(NOW, "192.0.2.1", &app, UNKNOWN_CLIENT)));
    }
    assert_eq!(recorded.len(), usize::from(SINGLES));
    assert!(repeats.due(later(59)).is_empty());
    let due = repeats.due(later(70));
    let last = refusal(NOW, "192.0.2.1", "app 39999", UNKNOWN_CLIENT);
    assert_eq!(due, [AuditEvent { count: 40_000 - u64::from(SINGLES), ..last }]);
    // The flood goes on: one event a minute.
    let go_on = |at| record(&repeats, &refusal(at, "192.0.2.1", "app", UNKNOWN_CLIENT));
    let recorded: usize = (0..600).map(|second| go_on(later(70 + second)).len()).sum();
    assert!((8..=10).contains(&recorded), "{recorded}");
    // After a minute without one, the next is an event of its own.
    let quiet = repeats.due(later(2_000)).len() + repeats.due(later(3_000)).len();
    assert_eq!(quiet, 1);
    assert_eq!(go_on(later(3_001)).len(), 1);
}

/// Different refusals, sources and apps are different events; made-up client ids are not.
#[test]
fn only_equal_events_are_counted_together() {
    let repeats = repeats(1_000);
    let count = |source: &str, app: &str, reason| {
        let event = refusal(NOW, source, app, reason);
        (0..9).filter(|_| !record(&repeats, &event).is_empty()).count()
    };
    assert_eq!(count("192.0.2.1", "one", "wrong_secret"), 5);
    assert_eq!(count("192.0.2.1", "one", "wrong_secret"), 0);
    assert_eq!(count("192.0.2.1", "two", "wrong_secret"), 5);
    assert_eq!(count("192.0.2.2", "one", "wrong_secret"), 5);
    assert_eq!(count("192.0.2.1", "one", "other_reason"), 5);
    assert_eq!(count("192.0.2.1", "one", UNKNOWN_CLIENT), 5);
    assert_eq!(count("192.0.2.1", "two", UNKNOWN_CLIENT), 0);
    assert_eq!(count("192.0.2.1", "one", TOO_MANY_FAILURES), 5);
    assert_eq!(count("192.0.2.1", "two", TOO_MANY_FAILURES), 0);
    // A network of IPv6 is one source.
    assert_eq!(count("2001:db8::1", "one", "wrong_secret"), 5);
    assert_eq!(count("2001:db8::2", "one", "wrong_secret"), 0);
}

/// Refusals of different users are different events, and successes of apps and administrators are never
/// counted together.
#[test]
fn events_of_known_callers_keep_their_users() {
    let repeats = repeats(1_000);
    let app = ClientId::new("app").unwrap();
    let event = |user: &str, outcome: &Outcome| {
        let action = Action::IssueToken { grant_type: None };
        let event = AuditEvent::new(NOW, Actor::App(app.clone()), action, outcome.clone());
        event.with_subject(&Subject::new(user).unwrap())
    };
    let recorded = |event: &AuditEvent| (0..99).filter(|_| repeats.admits(event)).count();
    let refused = Outcome::refused(Step::Grant, "impersonation_not_listed", None);
    assert_eq!(recorded(&event("ann", &refused)), 20);
    assert_eq!(recorded(&event("bob", &refused)), 20);
    assert_eq!(recorded(&event("ann", &Outcome::Success)), 99);
    let administrator = Actor::Administrator("root".into());
    let edit = AuditEvent::new(NOW, administrator, Action::EnableApp, refused);
    assert_eq!(recorded(&edit), 99);
}

/// The counts that remain come out once.
#[test]
fn settling_records_every_count_once() {
    let repeats = repeats(1_000);
    for source in ["192.0.2.1", "192.0.2.2"] {
        let event = refusal(NOW, source, "app", "wrong_secret");
        assert_eq!((0..200).filter(|_| repeats.admits(&event)).count(), 5);
    }
    let counts: Vec<_> = repeats.settle().iter().map(|event| event.count).collect();
    assert_eq!(counts, [195, 195]);
    assert!(repeats.settle().is_empty());
}

/// N4: callers that come from ever new sources get no more events than the quota, and then one event a
/// minute for each kind. Callers that have authenticated keep theirs.
#[test]
fn events_from_ever_new_sources_are_bounded() {
    let repeats = repeats(100);
    let mut recorded = Vec::new();
    for number in 0..40_000 {
        let source = format!("source {number}");
        recorded.extend(record(&repeats, &refusal(NOW, &source, "app", "wrong_secret")));
    }
    assert_eq!(recorded.len(), 100);
    let app = ClientId::new("app").unwrap();
    let refused = Outcome::refused(Step::Scope, "scope_exceeds_app", None);
    let of_app = AuditEvent::new(NOW, Actor::App(app), Action::Authorize, refused);
    assert!(repeats.admits(&of_app));
    let due = repeats.due(later(70));
    let [counted] = &due[..] else { panic!("{due:?}") };
    assert_eq!((counted.count, &counted.source, &counted.client_id), (39_900, &None, &None));
    assert_eq!(counted.outcome.reason(), Some("wrong_secret"));
}

/// N4: the table holds the documented number of kinds and bytes, and no more.
#[test]
fn the_table_of_kinds_is_bounded() {
    const DOCUMENTED_KINDS: usize = 4_096;
    const DOCUMENTED_BYTES: usize = 2 << 20;
    let repeats = repeats(1_000_000);
    let fill = |from: usize, to: usize| {
        let event = |number| refusal(NOW, &format!("source {number}"), "app", "wrong_secret");
        (from..to).filter(|number| repeats.admits(&event(*number))).count()
    };
    assert_eq!(fill(0, DOCUMENTED_KINDS), DOCUMENTED_KINDS);
    assert_eq!(fill(DOCUMENTED_KINDS, DOCUMENTED_KINDS + 1), 0, "one beyond");
    for _ in 0..SINGLES {
        fill(0, 2 * DOCUMENTED_KINDS);
    }
    let (kinds, bytes) = repeats.size();
    assert_eq!(kinds, DOCUMENTED_KINDS + 1);
    assert!(bytes <= DOCUMENTED_BYTES, "{bytes} bytes");
    // A caller that has authenticated keeps its events.
    let refused = Outcome::refused(Step::Scope, "scope_exceeds_app", None);
    let app = Actor::App(ClientId::new("late").unwrap());
    assert!(repeats.admits(&AuditEvent::new(NOW, app, Action::Authorize, refused)));
}

/// N4: apps that registered themselves have authenticated, too. If the kinds are full, their events share the quota, and
/// the others are counted.
#[test]
fn events_of_ever_new_apps_are_bounded() {
    let repeats = repeats(1_000);
    let refused = Outcome::refused(Step::Scope, "scope_exceeds_app", None);
    let event = |number: usize| {
        let app = Actor::App(ClientId::new(number.to_string()).unwrap());
        AuditEvent::new(NOW, app, Action::Authorize, refused.clone())
    };
    let recorded = (0..20_000).filter(|number| repeats.admits(&event(*number))).count();
    assert_eq!(recorded, MAX_KINDS + 1_000);
    let counted: u64 = repeats.due(later(70)).iter().map(|event| event.count).sum();
    assert_eq!(counted, 20_000 - 4_096 - 1_000);
}

/// The counts come out although the clock goes back.
#[test]
fn a_clock_that_goes_back_delays_no_count_for_long() {
    let repeats = repeats(1_000);
    let event = |at| refusal(at, "192.0.2.1", "app", "wrong_secret");
    for _ in 0..9 {
        repeats.admits(&event(later(7_200)));
    }
    let due: usize = (0..90).map(|second| repeats.due(later(second)).len()).sum();
    assert_eq!(due, 1);
}

/// Without the quota every event is recorded, and nothing is remembered.
#[test]
fn without_limits_every_event_is_recorded() {
    let repeats = Repeats::new(&RateLimits::none());
    let event = refusal(NOW, "192.0.2.1", "app", "wrong_secret");
    assert!((0..1_000).all(|_| repeats.admits(&event)));
    assert_eq!(repeats.size().0, 0);
}
