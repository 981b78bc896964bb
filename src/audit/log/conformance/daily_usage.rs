//! Checks of the usage of several apps, and of usage by day.

use super::{AuditKit, Bench, app, request};
use crate::audit::AuditQuery;
use crate::audit::log::AuditStore;
use crate::audit::usage::DayUsage;
use crate::ids::ClientId;
use crate::observe::{Outcome, Step};
use crate::protocol::grant_type::GrantType;
use crate::store::conformance::{Check, Runner, at, holds, same};

/// The length of a day, and the midnight before the first instant of the checks.
const DAY: i64 = 86_400_000;
const MIDNIGHT: i64 = -(1_700_000_000_000 % DAY);

impl<S: AuditStore, R: Runner> Bench<'_, S, R> {
    /// Reads the tokens by refresh token and the refusals of each day between two.
    pub(super) fn days(
        &self,
        client_id: &ClientId,
        from: i64,
        to: i64,
    ) -> Check<Vec<(i64, u64, u64)>> {
        let read = self.store.usage_history(client_id, at(from), at(to));
        let history = self.wait(read)?;
        same("the total of a history", history.total, self.usage(client_id)?)?;
        let tokens = |it: &DayUsage| it.issued.get(&GrantType::RefreshToken).copied().unwrap_or(0);
        let day = |it: &DayUsage| (it.day.millis_since(at(MIDNIGHT)) / DAY, tokens(it), it.refused);
        holds(
            history.days.iter().all(|it| it.day.millis_since(at(MIDNIGHT)) % DAY == 0),
            || "a day does not begin at midnight in UTC",
        )?;
        Ok(history.days.iter().map(day).collect())
    }
}

/// The usage of several apps comes in the order in which they were named, each as if it were named alone.
pub fn the_usage_of_several_apps_is_told_in_their_order<S: AuditStore, R: Runner>(
    kit: &AuditKit<S, R>,
) -> Check {
    let bench = kit.bench();
    let apps = [app("one")?, app("unknown")?, app("two")?, app("one")?];
    let mut events = Vec::new();
    for (millis, app) in (0..).zip([&apps[0], &apps[2], &apps[2]]) {
        events.push(request(millis, app, Outcome::Success)?);
    }
    bench.append(&events)?;
    let expected = apps.iter().map(|app| bench.usage(app)).collect::<Check<Vec<_>>>()?;
    same("the usage of four", bench.wait(bench.store.usage_of_each(&apps))?, expected)?;
    same("the usage of none", bench.wait(bench.store.usage_of_each(&[]))?, Vec::new())
}

/// A day counts the events of its instants in UTC, by their count, each once. A history has the days that were
/// asked for, in their order.
pub fn usage_is_counted_by_day<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let (bench, app, other) = (kit.bench(), app("app")?, app("other")?);
    let refused = || Outcome::refused(Step::Grant, "grant_expired", None);
    let on = |day: i64, millis: i64| MIDNIGHT + day * DAY + millis;
    let mut events = vec![
        request(on(2, 0), &app, refused())?,
        request(on(0, DAY - 1), &app, Outcome::Success)?,
        request(on(1, 0), &app, Outcome::Success)?,
        request(on(1, DAY - 1), &app, Outcome::Success)?,
        request(on(1, 5), &other, Outcome::Success)?,
        request(on(3, 7), &app, Outcome::Success)?,
    ];
    events[0].event.count = 40;
    bench.append(&events[1..4])?;
    bench.append(&events)?;
    bench.append(&events[2..])?;
    let all = vec![(0, 1, 0), (1, 2, 0), (2, 0, 40), (3, 1, 0)];
    same("all days", bench.days(&app, on(-9, 0), on(9, 0))?, all.clone())?;
    let some = bench.days(&app, on(1, DAY - 1), on(2, 0))?;
    same("the days from one instant to another", some, all[1..3].to_vec())?;
    same("a day of another app", bench.days(&other, on(1, 0), on(1, 0))?, vec![(1, 1, 0)])?;
    same("no days", bench.days(&app, on(9, 0), on(0, 0))?, Vec::new())
}

/// Of a longer time, a history has the last 400 days.
pub fn a_history_goes_back_400_days<S: AuditStore, R: Runner>(kit: &AuditKit<S, R>) -> Check {
    let (bench, app) = (kit.bench(), app("app")?);
    let make = |day: i64| request(MIDNIGHT + day * DAY, &app, Outcome::Success);
    bench.append(&[make(0)?, make(1)?, make(400)?])?;
    let last = MIDNIGHT + 400 * DAY;
    let days = bench.days(&app, MIDNIGHT - 9 * DAY, last)?;
    same("the last days", days, vec![(1, 1, 0), (400, 1, 0)])?;
    same("a shorter time", bench.days(&app, MIDNIGHT, last - 1)?, vec![(0, 1, 0), (1, 1, 0)])
}

/// Pruning removes the usage of days that have ended, after the events and within the limit, and no other.
pub fn pruning_removes_the_usage_of_days_that_have_ended<S: AuditStore, R: Runner>(
    kit: &AuditKit<S, R>,
) -> Check {
    let (bench, one, other) = (kit.bench(), app("one")?, app("other")?);
    let refused = || Outcome::refused(Step::Grant, "grant_expired", None);
    let mut events = Vec::new();
    for day in 0..3 {
        let noon = MIDNIGHT + day * DAY + DAY / 2;
        events.push(request(noon, &one, Outcome::Success)?);
        events.push(request(noon, &other, refused())?);
    }
    bench.append(&events)?;
    let before = at(MIDNIGHT + 2 * DAY);
    let left = || -> Check<usize> {
        let days = |app| bench.days(app, MIDNIGHT, MIDNIGHT + 3 * DAY);
        Ok(days(&one)?.len() + days(&other)?.len())
    };
    // Four events and four counts are old.
    for (limit, removed, more, days) in
        [(3, 3, true, 6), (3, 3, true, 4), (1, 1, true, 3), (9, 1, false, 2), (9, 0, false, 2)]
    {
        let pruned = bench.wait(bench.store.prune_events(before, limit))?;
        same("a batch", (pruned.removed, pruned.more), (removed, more))?;
        same("the counts that are left", left()?, days)?;
    }
    same("the events that are left", bench.find(&AuditQuery::all(), 9)?.len(), 2)?;
    // A day has not ended before its last instant.
    let pruned = bench.wait(bench.store.prune_events(at(MIDNIGHT + 3 * DAY - 1), 9))?;
    same("the events of the last day alone", (pruned.removed, left()?), (2, 2))
}
