//! The conformance kit for [`AuditStore`]. Each sentence of the contract is a check, and an
//! [`AuditKit`] runs them all. Exempt from semantic versioning.
//!
//! ```
//! use grantor::store::MemoryStore;
//! use grantor::audit::conformance::AuditKit;
//!
//! let report = AuditKit::new(MemoryStore::new).with_rounds(5).run();
//! assert!(report.is_passed(), "{report}");
//! ```
#![expect(clippy::indexing_slicing, reason = "a check knows the lengths of its own lists")]
#![expect(
    clippy::missing_errors_doc,
    reason = "every check returns a violation if the store breaks its rule"
)]

mod daily_usage;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

pub use daily_usage::{
    a_history_goes_back_400_days, pruning_removes_the_usage_of_days_that_have_ended,
    the_usage_of_several_apps_is_told_in_their_order, usage_is_counted_by_day,
};

use super::{AuditStore, EventId, NewEvent, StoredEvent};
use crate::audit::usage::{AppUsage, Usage};
use crate::audit::{Action, Actor, AuditEvent, AuditQuery, CODE_REPLAYED};
use crate::clock::UnixTime;
use crate::ids::{ClientId, InvalidId, Subject};
use crate::observe::{Outcome, Step};
use crate::protocol::grant_type::GrantType;
use crate::random::OsRandom;
use crate::store::conformance::{
    CONTENDERS, Check, Report, Runner, Threads, Violation, at, at_every_await, catch_panic, holds,
    poll_and_drop_on, race, random_bytes, same,
};
use crate::store::{Page, RevocationTarget, StoreError};

/// A runner of all checks over one implementation of [`AuditStore`].
pub struct AuditKit<S, R = Threads> {
    make_store: Box<dyn Fn() -> S>,
    runner: R,
    rounds: usize,
}

impl<S: AuditStore> AuditKit<S> {
    /// Creates a kit. `make_store` returns an empty, independent store for each check. The kit uses
    /// no runtime and 100 rounds for each race.
    pub fn new(make_store: impl Fn() -> S + 'static) -> Self {
        Self { make_store: Box::new(make_store), runner: Threads, rounds: 100 }
    }
}

impl<S: AuditStore, R: Runner> AuditKit<S, R> {
    /// Sets the runner of futures.
    #[must_use]
    pub fn with_runner<T: Runner>(self, runner: T) -> AuditKit<S, T> {
        AuditKit { make_store: self.make_store, runner, rounds: self.rounds }
    }

    /// Sets the number of rounds for each race.
    #[must_use]
    pub fn with_rounds(self, rounds: usize) -> Self {
        Self { rounds, ..self }
    }

    /// Runs every check, even after one has failed. A panic in the store fails its check.
    #[must_use]
    pub fn run(&self) -> Report {
        macro_rules! named {
            ($($name:ident),* $(,)?) => {
                [$((stringify!($name), $name::<S, R> as fn(&Self) -> Check)),*]
            };
        }
        let checks = named![
            an_event_is_read_back_unchanged,
            an_event_is_appended_once,
            events_are_found_by_app_user_and_time,
            pages_stay_consistent_during_appends,
            usage_matches_the_log,
            the_usage_of_several_apps_is_told_in_their_order,
            usage_is_counted_by_day,
            a_history_goes_back_400_days,
            a_deleted_app_loses_its_usage,
            pruning_removes_old_events_and_keeps_usage,
            pruning_removes_the_usage_of_days_that_have_ended,
            concurrent_appends_are_counted_once,
            a_dropped_append_is_atomic,
        ];
        let mut report = Report { passed: Vec::new(), failed: Vec::new() };
        for (name, check) in checks {
            match catch_panic(|| check(self)) {
                Ok(()) => report.passed.push(name),
                Err(violation) => report.failed.push((name, violation)),
            }
        }
        report
    }

    fn bench(&self) -> Bench<'_, S, R> {
        Bench { store: (self.make_store)(), runner: &self.runner }
    }
}

impl<S, R> fmt::Debug for AuditKit<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKit").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

/// A store under test.
struct Bench<'k, S, R> {
    store: S,
    runner: &'k R,
}

impl<S: AuditStore, R: Runner> Bench<'_, S, R> {
    fn wait<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Check<T> {
        Ok(self.runner.block_on(call)?)
    }

    fn append(&self, events: &[NewEvent]) -> Check {
        self.wait(self.store.append(events))
    }

    fn usage(&self, client_id: &ClientId) -> Check<AppUsage> {
        self.wait(self.store.usage_of(client_id))
    }

    /// Reads all pages of a query.
    fn find(&self, query: &AuditQuery, limit: usize) -> Check<Vec<StoredEvent>> {
        let (mut found, mut page) = (Vec::new(), Page::first(limit));
        // More pages than any check creates: a listing must end.
        for _ in 0..10_000 {
            let listing = self.wait(self.store.find_events(query, page.clone()))?;
            holds(listing.items.len() <= limit, || "a page exceeds its limit")?;
            found.extend(listing.items);
            let Some(next) = listing.next else { return Ok(found) };
            page = page.after(next);
        }
        Err(Violation::new("the listing does not end"))
    }
}

fn invalid(error: InvalidId) -> Violation {
    Violation::new(error.to_string())
}

fn app(name: &str) -> Check<ClientId> {
    ClientId::new(name).map_err(invalid)
}

fn user(name: &str) -> Check<Subject> {
    Subject::new(name).map_err(invalid)
}

fn new(event: AuditEvent) -> Check<NewEvent> {
    let id = EventId::generate(event.at, &OsRandom::new());
    let id = id.map_err(|error| Violation::new(error.to_string()))?;
    Ok(NewEvent { id, event })
}

/// Creates a token request of an authenticated app.
fn request(millis: i64, client_id: &ClientId, outcome: Outcome) -> Check<NewEvent> {
    let action = Action::IssueToken { grant_type: Some(GrantType::RefreshToken) };
    new(AuditEvent::new(at(millis), Actor::App(client_id.clone()), action, outcome))
}

fn deletion(millis: i64, client_id: &ClientId) -> Check<NewEvent> {
    let actor = Actor::Administrator("kit".into());
    let event = AuditEvent::new(at(millis), actor, Action::DeleteApp, Outcome::Success);
    new(event.with_app(client_id))
}

fn ids(events: &[StoredEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

/// Returns the ids of `events` in the order of a listing, newest first.
fn newest_first<'e>(events: impl IntoIterator<Item = &'e NewEvent>) -> Vec<EventId> {
    let mut ids: Vec<_> = events.into_iter().map(|event| event.id).collect();
    ids.sort_unstable_by_key(|id| Reverse(*id));
    ids
}

/// Creates distinct events about the apps `one` and `other`.
fn medley(one: &ClientId, other: &ClientId) -> Check<Vec<NewEvent>> {
    let ann = user("ann \u{e9} \"quoted\" \\ '; --")?;
    let refused = Outcome::refused(Step::Claim, CODE_REPLAYED, Some("grace"));
    let failed = Outcome::failed(Step::Mint, &StoreError::new("a\0zero and a\nline"));
    let target = RevocationTarget::AppAndSubject(one.clone(), ann.clone());
    let administrator = || Actor::Administrator("r\u{0}\u{f6}\u{1f511}t".into());
    let event =
        |millis, actor, action, outcome| AuditEvent::new(at(millis), actor, action, outcome);
    let grant = crate::ids::GrantId::from_bytes(random_bytes()?);
    [
        event(3, Actor::Server, Action::DetectRewind, Outcome::Success).with_grant(grant),
        event(1, administrator(), Action::Revoke { target }, Outcome::Success).with_app(one),
        event(2, Actor::App(one.clone()), Action::Introspect, failed),
        event(2, Actor::User(ann), Action::IssueCode, Outcome::Success).with_app(one),
        event(2, Actor::Unknown, Action::IssueToken { grant_type: None }, refused).with_app(other),
        event(9, Actor::Server, Action::DropEvents { dropped: u64::MAX }, Outcome::Success),
        event(9, Actor::Server, Action::LoseEvents { since: at(1) }, Outcome::Success),
    ]
    .into_iter()
    .map(new)
    .collect()
}

/// Events are listed newest first and read back unchanged, with any characters in their names.
pub fn an_event_is_read_back_unchanged<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let bench = kit.bench();
    same("a new log", bench.find(&AuditQuery::all(), 10)?, Vec::new())?;
    let events = medley(&app("one")?, &app("other")?)?;
    bench.append(&[])?;
    bench.append(&events)?;
    let mut expected = events.iter().map(StoredEvent::of).collect::<Result<Vec<_>, _>>()?;
    expected.sort_by_key(|event| Reverse(event.id));
    for limit in [1, 2, 6, 200] {
        same("the log", bench.find(&AuditQuery::all(), limit)?, expected.clone())?;
    }
    Ok(())
}

/// Appending an event whose id is in the log changes neither the log nor the usage, alone or in a
/// batch.
pub fn an_event_is_appended_once<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let (bench, app) = (kit.bench(), app("app")?);
    let make = |millis| request(millis, &app, Outcome::Success);
    let events: Vec<_> = (0..5).map(make).collect::<Check<_>>()?;
    bench.append(&events[..3])?;
    for again in [&events[..3], &events[1..2], &events[..], &events[2..]] {
        bench.append(again)?;
    }
    let log = bench.find(&AuditQuery::all(), 100)?;
    same("the log", ids(&log), newest_first(&events))?;
    let usage = bench.usage(&app)?;
    same("tokens", usage.issued.get(&GrantType::RefreshToken).copied(), Some(5))?;
    same("the last use", usage.last_used, Some(at(4)))
}

/// Filters select the matching events, alone and combined.
pub fn events_are_found_by_app_user_and_time<S: AuditStore, R: Runner>(
    kit: &AuditKit<S, R>,
) -> Check {
    let bench = kit.bench();
    let (apps, users) = ([app("a")?, app("b")?], [user("a")?, user("b")?]);
    let mut events = Vec::new();
    for millis in 0..20 {
        let of = |names: [usize; 2], bit: i64| names[usize::from(millis & bit > 0)];
        let event =
            AuditEvent::new(at(millis), Actor::Server, Action::Introspect, Outcome::Success);
        let event = event.with_app(&apps[of([0, 1], 1)]).with_subject(&users[of([0, 1], 2)]);
        events.push(new(event)?);
    }
    events.push(new(AuditEvent::new(at(5), Actor::Server, Action::Introspect, Outcome::Success))?);
    bench.append(&events)?;
    let check = |what: &str, query: &AuditQuery, admits: &dyn Fn(&AuditEvent) -> bool| {
        let expected = newest_first(events.iter().filter(|new| admits(&new.event)));
        same(what, ids(&bench.find(query, 3)?), expected)
    };
    let [a, b] = &apps;
    let [ann, _] = &users;
    let is_of = |app: &ClientId, event: &AuditEvent| event.client_id.as_ref() == Some(app);
    let is_ann = |event: &AuditEvent| event.subject.as_ref() == Some(ann);
    let all = AuditQuery::all;
    check("of an app", &all().app(a.clone()), &|event| is_of(a, event))?;
    check("of a user", &all().subject(ann.clone()), &is_ann)?;
    let both = all().app(b.clone()).subject(ann.clone());
    check("of both", &both, &|event| is_of(b, event) && is_ann(event))?;
    check("of an unknown app", &all().app(app("c")?), &|_| false)?;
    check("since", &all().since(at(7)), &|event| event.at >= at(7))?;
    check("until", &all().until(at(7)), &|event| event.at <= at(7))?;
    let while_ann = both.since(at(5)).until(at(13));
    check("of both in a time", &while_ann, &|event| {
        is_of(b, event) && is_ann(event) && (at(5)..=at(13)).contains(&event.at)
    })
}

/// A caller that reads all pages sees each event exactly once that was present at the first page,
/// in order, while others append before, after and between.
pub fn pages_stay_consistent_during_appends<S: AuditStore, R: Runner>(
    kit: &AuditKit<S, R>,
) -> Check {
    let (bench, app) = (kit.bench(), app("app")?);
    let make = |millis| request(millis, &app, Outcome::Success);
    let events: Vec<_> = (0..40).map(|number| make(number / 4 * 10)).collect::<Check<_>>()?;
    bench.append(&events)?;
    let (mut seen, mut page) = (Vec::new(), Page::first(3));
    for turn in 0.. {
        let listing = bench.wait(bench.store.find_events(&AuditQuery::all(), page.clone()))?;
        seen.extend(ids(&listing.items));
        let Some(next) = listing.next else { break };
        page = page.after(next);
        if turn < 30 {
            bench.append(&[make(1_000 + turn)?, make(turn * 7 % 100)?])?;
        }
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    same("distinct events", distinct.len(), seen.len())?;
    holds(seen.is_sorted_by(|one, other| one > other), || "pages are out of order")?;
    let were_there = newest_first(&events);
    seen.retain(|id| were_there.contains(id));
    same("the events of the first page's time", seen, were_there)
}

/// Usage counts tokens by grant type, refusals and the last use, each event by its count.
/// Unauthenticated requests are not counted.
pub fn usage_matches_the_log<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let (bench, expected) = (kit.bench(), Usage::default());
    let apps = [app("one")?, app("two")?, app("Three")?];
    let outcomes = || {
        let refused = Outcome::refused(Step::Grant, "grant_expired", None);
        let failed = Outcome::failed(Step::Mint, &StoreError::new("gone"));
        [Outcome::Success, refused, failed]
    };
    let kinds = GrantType::ALL.into_iter().map(Some).chain([None]);
    let mut events = Vec::new();
    for (number, (grant_type, outcome)) in
        kinds.flat_map(|kind| outcomes().map(|it| (kind, it))).cycle().take(200).enumerate()
    {
        let millis = i64::try_from(number * 37 % 1_000).unwrap_or(0);
        let [one, two, _] = &apps;
        let app = if number % 3 == 0 { one } else { two };
        let actor = if number % 7 == 0 { Actor::Unknown } else { Actor::App(app.clone()) };
        let action = Action::IssueToken { grant_type };
        let mut event = AuditEvent::new(at(millis), actor, action, outcome).with_app(app);
        event.count = [1, 1, 40_000][number % 3];
        events.push(new(event)?);
    }
    events.extend(medley(&apps[0], &apps[2])?);
    for batch in events.chunks(60) {
        bench.append(batch)?;
    }
    for event in &events {
        expected.record(&event.event);
    }
    for app in &apps {
        same(&format!("the usage of {app}"), bench.usage(app)?, expected.of(app))?;
    }
    same("the usage of an app without events", bench.usage(&app("unknown")?)?, AppUsage::default())
}

/// A deletion drops the usage counted before it, including in its own batch. Later events count
/// from zero, also if the same deletion is appended again. A refused deletion drops nothing.
pub fn a_deleted_app_loses_its_usage<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let (bench, app, other) = (kit.bench(), app("app")?, app("other")?);
    let make = |millis| request(millis, &app, Outcome::Success);
    let issued = |client_id: &ClientId| {
        let issued = bench.usage(client_id)?.issued;
        Ok::<_, Violation>(issued.get(&GrantType::RefreshToken).copied().unwrap_or(0))
    };
    bench.append(&[make(0)?, request(0, &other, Outcome::Success)?, make(1)?])?;
    let mut refused = deletion(2, &app)?;
    refused.event.outcome = Outcome::refused(Step::Client, "not_found", None);
    bench.append(&[refused])?;
    same("before the deletion", issued(&app)?, 2)?;
    let deletion_and_more = [make(3)?, deletion(4, &app)?, make(5)?, make(6)?];
    bench.append(&deletion_and_more)?;
    same("after the deletion", issued(&app)?, 2)?;
    bench.append(&[make(7)?])?;
    bench.append(&deletion_and_more)?;
    same("after the same deletion", issued(&app)?, 3)?;
    bench.append(&[deletion(8, &app)?])?;
    same("after another deletion", bench.usage(&app)?, AppUsage::default())?;
    same("its days", bench.days(&app, 0, 0)?, Vec::new())?;
    same("the days of another app", bench.days(&other, 0, 0)?, vec![(0, 1, 0)])?;
    same("the usage of another app", issued(&other)?, 1)
}

/// Pruning removes the oldest events in bounded batches, all before the given instant, and keeps
/// their usage.
pub fn pruning_removes_old_events_and_keeps_usage<S: AuditStore, R: Runner>(
    kit: &AuditKit<S, R>,
) -> Check {
    let (bench, app) = (kit.bench(), app("app")?);
    let make = |millis| request(millis, &app, Outcome::Success);
    let events: Vec<_> = (0..25).map(make).collect::<Check<_>>()?;
    bench.append(&events)?;
    let usage = bench.usage(&app)?;
    let prune = |before: UnixTime| bench.wait(bench.store.prune_events(before, 10));
    for (removed, more) in [(10, true), (10, false), (0, false)] {
        let pruned = prune(at(20))?;
        same("a batch", (pruned.removed, pruned.more), (removed, more))?;
        let left = bench.find(&AuditQuery::all(), 100)?;
        holds(
            ids(&left).ends_with(&newest_first(&events[20..21])) || more,
            || "other events were removed",
        )?;
    }
    same(
        "the remaining events",
        ids(&bench.find(&AuditQuery::all(), 9)?),
        newest_first(&events[20..]),
    )?;
    same("the usage", bench.usage(&app)?, usage)
}

/// Concurrent appends, some of the same events, store and count each event once.
pub fn concurrent_appends_are_counted_once<S: AuditStore, R: Runner>(
    kit: &AuditKit<S, R>,
) -> Check {
    let bench = kit.bench();
    let apps = [app("one")?, app("two")?];
    let total = std::sync::atomic::AtomicUsize::new(0);
    race(
        kit.rounds,
        |round| {
            let millis = i64::try_from(round).unwrap_or(0);
            let make = |number: usize| request(millis, &apps[number % 2], Outcome::Success);
            (0..2 * CONTENDERS).map(make).collect::<Check<Vec<_>>>()
        },
        |events, contender| {
            // Two of its own, and two shared with its neighbour.
            let mine: Vec<_> = events.iter().cycle().skip(2 * contender).take(4).cloned().collect();
            bench.append(&mine)
        },
        |events, _| {
            total.fetch_add(events.len(), std::sync::atomic::Ordering::Relaxed);
            Ok(())
        },
    )?;
    let total = total.into_inner();
    let log = bench.find(&AuditQuery::all(), 200)?;
    same("events in the log", log.len(), total)?;
    for app in &apps {
        let issued = bench.usage(app)?.issued.get(&GrantType::RefreshToken).copied();
        same(&format!("tokens of {app}"), issued, u64::try_from(total / 2).ok())?;
    }
    Ok(())
}

/// A dropped append has stored and counted each event completely or not at all. Repeating it stores
/// and counts each event once.
pub fn a_dropped_append_is_atomic<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let bench = kit.bench();
    at_every_await(|polls| {
        let app = app(&format!("app {polls}"))?;
        let of_app = AuditQuery::all().app(app.clone());
        let make = |millis| request(millis, &app, Outcome::Success);
        let events: Vec<_> = (0..5).map(make).collect::<Check<_>>()?;
        let ready = poll_and_drop_on(bench.runner, polls, bench.store.append(&events))?;
        let issued = || {
            let issued = bench.usage(&app)?.issued;
            Ok::<_, Violation>(issued.get(&GrantType::RefreshToken).copied().unwrap_or(0))
        };
        let found = bench.find(&of_app, 10)?;
        same("the usage after the drop", issued()?, found.len() as u64)?;
        bench.append(&events)?;
        same("the log, appended again", bench.find(&of_app, 10)?.len(), events.len())?;
        same("the usage, appended again", issued()?, events.len() as u64)?;
        Ok(ready)
    })
}
