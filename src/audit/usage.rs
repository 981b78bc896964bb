//! Usage counters of apps.
//!
//! The counters of this process start at zero and count the events that are audited. An
//! [`AuditStore`](crate::audit::AuditStore) keeps the sum over all processes.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crossbeam_utils::sync::ShardedLock;
use foldhash::fast::RandomState;
use serde::Serialize;

use crate::audit::{Action, Actor, AuditEvent};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::observe::Outcome;
use crate::protocol::grant_type::GrantType;
use crate::store::{DAY_MILLIS, day_of};

/// The usage of an app, since the start of the process or, from an
/// [`AuditStore`](crate::audit::AuditStore), since the first event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AppUsage {
    /// The number of token requests that returned a token, by grant type. Grant types without
    /// tokens are absent.
    pub issued: BTreeMap<GrantType, u64>,
    /// The number of refused token requests after the app had authenticated.
    pub refused: u64,
    /// The time of the last token.
    pub last_used: Option<UnixTime>,
}

/// The usage of an app on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DayUsage {
    /// The instant at which the day begins, in UTC.
    pub day: UnixTime,
    /// As [`AppUsage::issued`], of this day.
    pub issued: BTreeMap<GrantType, u64>,
    /// As [`AppUsage::refused`], of this day.
    pub refused: u64,
}

/// The usage of an app, in total and by day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsageHistory {
    /// The usage over all time.
    pub total: AppUsage,
    /// The days on which something was counted, in their order.
    pub days: Vec<DayUsage>,
}

impl UsageHistory {
    /// The greatest number of days that a history goes back.
    pub const MAX_DAYS: usize = 400;

    /// Creates a history.
    #[must_use]
    pub const fn new(total: AppUsage, days: Vec<DayUsage>) -> Self {
        Self { total, days }
    }
}

impl DayUsage {
    /// Creates the usage of the day that contains `instant`, with nothing counted.
    #[must_use]
    pub fn on(instant: UnixTime) -> Self {
        let day = day_of(instant.as_millis()).saturating_mul(DAY_MILLIS);
        Self { day: UnixTime::from_millis(day), issued: BTreeMap::new(), refused: 0 }
    }
}

/// The usage counters of one process.
///
/// Only apps that authenticated are counted. Apps that register themselves come and go, and this process learns of a
/// deletion only if it made it, so beyond [`MAX_APPS`] all counters start over.
#[derive(Debug, Default)]
pub(crate) struct Usage(ShardedLock<HashMap<ClientId, Counters, RandomState>>);

#[derive(Debug, Default)]
struct Counters {
    /// Indexed like [`GrantType::ALL`].
    issued: [AtomicU64; GrantType::ALL.len()],
    refused: AtomicU64,
    /// In milliseconds.
    last_used: AtomicI64,
}

/// The most apps with counters.
const MAX_APPS: usize = 100_000;

impl Usage {
    /// Returns the usage of an app, zero if nothing was counted.
    pub(crate) fn of(&self, client_id: &ClientId) -> AppUsage {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        apps.get(client_id).map(Counters::snapshot).unwrap_or_default()
    }

    /// Counts a token request of an authenticated app, and drops the counters of a deleted app.
    pub(crate) fn record(&self, event: &AuditEvent) {
        self.change(UsageChange::of(event), event.at, event.count);
    }

    /// Counts a request of an authenticated app.
    pub(crate) fn record_request(
        &self,
        at: UnixTime,
        client_id: &ClientId,
        action: &Action,
        outcome: &Outcome,
    ) {
        self.change(UsageChange::of_request(client_id, action, outcome), at, 1);
    }

    fn change(&self, change: Option<UsageChange<'_>>, at: UnixTime, times: u64) {
        match change {
            Some(UsageChange::Counted(client_id, issued)) => {
                self.count(client_id, issued, at, times);
            }
            Some(UsageChange::Forgotten(client_id)) => {
                self.0.write().unwrap_or_else(PoisonError::into_inner).remove(client_id);
            }
            None => {}
        }
    }

    fn count(&self, client_id: &ClientId, issued: Option<GrantType>, at: UnixTime, times: u64) {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = apps.get(client_id) {
            return counters.count(issued, at, times);
        }
        drop(apps);
        let mut apps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= MAX_APPS {
            apps.clear();
        }
        apps.entry(client_id.clone()).or_default().count(issued, at, times);
    }
}

/// The effect of an event on the usage of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsageChange<'a> {
    /// More tokens of this grant type, or more refusals if `None`, by the event's count.
    Counted(&'a ClientId, Option<GrantType>),
    /// The app was deleted.
    Forgotten(&'a ClientId),
}

impl<'a> UsageChange<'a> {
    /// Returns `None` if the event does not affect usage.
    pub(crate) fn of(event: &'a AuditEvent) -> Option<Self> {
        match (&event.actor, &event.action, &event.client_id) {
            (Actor::App(client_id), action, _) => {
                Self::of_request(client_id, action, &event.outcome)
            }
            (_, Action::DeleteApp, Some(client_id)) if event.outcome == Outcome::Success => {
                Some(Self::Forgotten(client_id))
            }
            _ => None,
        }
    }

    const fn of_request(
        client_id: &'a ClientId,
        action: &Action,
        outcome: &Outcome,
    ) -> Option<Self> {
        let issued = match (action, outcome) {
            (Action::IssueToken { grant_type: Some(grant_type) }, Outcome::Success) => {
                Some(*grant_type)
            }
            (Action::IssueToken { .. }, Outcome::Refused { .. }) => None,
            _ => return None,
        };
        Some(Self::Counted(client_id, issued))
    }
}

impl Counters {
    fn count(&self, issued: Option<GrantType>, at: UnixTime, times: u64) {
        match issued {
            Some(grant_type) => {
                if let Some(issued) = self.issued.get(grant_type as usize) {
                    issued.fetch_add(times, Ordering::Relaxed);
                    // Mostly another token was issued in the same millisecond.
                    if self.last_used.load(Ordering::Relaxed) < at.as_millis() {
                        self.last_used.fetch_max(at.as_millis(), Ordering::Relaxed);
                    }
                }
            }
            None => {
                self.refused.fetch_add(times, Ordering::Relaxed);
            }
        }
    }

    fn snapshot(&self) -> AppUsage {
        let counts = self.issued.iter().map(|count| count.load(Ordering::Relaxed));
        let issued: BTreeMap<_, _> =
            GrantType::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        let last_used = UnixTime::from_millis(self.last_used.load(Ordering::Relaxed));
        AppUsage {
            refused: self.refused.load(Ordering::Relaxed),
            last_used: (!issued.is_empty()).then_some(last_used),
            issued,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Step;

    fn app(id: &str) -> ClientId {
        ClientId::new(id).unwrap()
    }

    fn record(usage: &Usage, seconds: i64, client_id: &str, outcome: &Outcome) {
        let action = Action::IssueToken { grant_type: Some(GrantType::RefreshToken) };
        usage.record_request(UnixTime::from_seconds(seconds), &app(client_id), &action, outcome);
    }

    #[test]
    fn tokens_are_counted_by_grant_type_and_refusals_separately() {
        let usage = Usage::default();
        assert_eq!(usage.of(&app("a")), AppUsage::default());
        record(&usage, 5, "a", &Outcome::Success);
        record(&usage, 3, "a", &Outcome::Success);
        record(&usage, 9, "a", &Outcome::refused(Step::Grant, "grant_expired", None));
        record(&usage, 9, "b", &Outcome::Success);
        assert_eq!(
            serde_json::to_value(usage.of(&app("a"))).unwrap(),
            serde_json::json!({
                "issued": {"refresh_token": 2}, "refused": 1, "last_used": 5_000,
            })
        );
    }

    #[test]
    fn the_log_counts_no_request_of_an_unauthenticated_caller() {
        let action = Action::IssueToken { grant_type: Some(GrantType::RefreshToken) };
        let refused = Outcome::refused(Step::Client, "wrong_secret", None);
        let event = |actor| {
            AuditEvent::new(UnixTime::EPOCH, actor, action.clone(), refused.clone())
                .with_app(&app("a"))
        };
        assert_eq!(UsageChange::of(&event(Actor::Unknown)), None);
        let known = event(Actor::App(app("a")));
        assert_eq!(UsageChange::of(&known), Some(UsageChange::Counted(&app("a"), None)));
    }

    /// The bound of `docs/limits.md`, and one beyond.
    #[test]
    fn the_counters_start_over_beyond_their_number() {
        let usage = Usage::default();
        (0..100_000).for_each(|app| record(&usage, 1, &app.to_string(), &Outcome::Success));
        assert_eq!(usage.of(&app("0")).refused, 0);
        assert_eq!(usage.0.read().unwrap().len(), 100_000);
        record(&usage, 1, "0", &Outcome::Success);
        assert_eq!(usage.0.read().unwrap().len(), 100_000);
        record(&usage, 1, "beyond", &Outcome::Success);
        assert_eq!(usage.0.read().unwrap().len(), 1);
    }

    #[test]
    fn the_counters_of_a_deleted_app_are_dropped() {
        let usage = Usage::default();
        record(&usage, 1, "a", &Outcome::Success);
        let administrator = Actor::Administrator("root".into());
        let deleted =
            AuditEvent::new(UnixTime::EPOCH, administrator, Action::DeleteApp, Outcome::Success);
        usage.record(&deleted.with_app(&app("a")));
        assert!(usage.0.read().unwrap().is_empty());
    }
}
