//! Equal refusals become one audit event with a count, so that callers cannot fill the log.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use super::gcra::{Budget, Rate};
use super::monotonic::Monotonic;
use super::{RateLimits, SourceKey};
use crate::audit::{Action, Actor, AuditEvent, TOO_MANY_FAILURES, UNKNOWN_CLIENT};
use crate::observe::Outcome;
use crate::protocol::grant_type::GrantType;

/// The time over which equal events are counted together.
const WINDOW: u64 = 60_000_000_000;
/// The time between two looks at the windows that have ended.
const LOOK: u64 = 10_000_000_000;
/// The events of a kind that are recorded one by one in the first window.
const SINGLES: u8 = 5;
/// The same for a caller that has authenticated, and has a budget of its own.
const SINGLES_OF_KNOWN: u8 = 20;
/// The most kinds of events, counted by source. Beyond it, events of unauthenticated callers are counted without their
/// source, and so are those of others beyond the budget.
const MAX_KINDS: usize = 4_096;

/// The counts of equal events.
pub(crate) struct Repeats {
    /// The budget of events of unauthenticated callers. `None` records every event.
    strangers: Option<Budget>,
    time: Monotonic,
    /// The next look at the windows that have ended; [`NEVER`] if no kind is counted. Beside the lock, so that
    /// a request takes no lock before it.
    look_at: AtomicU64,
    kinds: Mutex<Kinds>,
    hasher: RandomState,
}

/// No kind is counted.
const NEVER: u64 = u64::MAX;

type Kinds = HashMap<u64, Repeat, FixedState>;

/// The events of one kind in the present window.
struct Repeat {
    window_ends: u64,
    /// How many more are recorded one by one.
    singles_left: u8,
    counted: u64,
    /// The newest counted event.
    last: Option<Box<AuditEvent>>,
}

impl Repeat {
    const fn new(now: u64, singles_left: u8) -> Self {
        let window_ends = now.saturating_add(WINDOW);
        Self { window_ends, singles_left, counted: 0, last: None }
    }

    fn count(&mut self, event: AuditEvent) {
        self.counted += 1;
        match &mut self.last {
            Some(last) => **last = event,
            none => *none = Some(Box::new(event)),
        }
    }

    /// Ends the window. Returns its event, if any event was counted.
    fn end_window(&mut self, now: u64) -> Option<AuditEvent> {
        let counted = self.counted;
        let last = self.last.take();
        *self = Self::new(now, 0);
        last.map(|event| AuditEvent { count: counted, ..*event })
    }
}

impl Repeats {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        Self {
            strangers: limits.stranger_events.map(|quota| Budget::new(Rate::new(quota))),
            time: Monotonic::default(),
            look_at: AtomicU64::new(NEVER),
            kinds: Mutex::new(HashMap::with_hasher(FixedState::with_seed(0))),
            hasher: RandomState::new(),
        }
    }

    /// Returns whether `event` is recorded now. Otherwise it was counted, and a later event states the
    /// count.
    pub(crate) fn admits(&self, event: &AuditEvent) -> bool {
        let Some(strangers) = &self.strangers else { return true };
        let singles = match (&event.actor, &event.outcome) {
            (Actor::Administrator(_) | Actor::Server, _) => return true,
            (Actor::Unknown, _) => SINGLES,
            (_, Outcome::Refused { .. } | Outcome::Failed { .. }) => SINGLES_OF_KNOWN,
            (_, Outcome::Success) => return true,
        };
        let is_stranger = event.actor == Actor::Unknown;
        let now = self.time.tell(event.at);
        let key = self.key(event);
        let mut kinds = self.kinds();
        if self.look_at.load(Ordering::Relaxed) == NEVER {
            self.look_at.store(now.saturating_add(LOOK), Ordering::Relaxed);
        }
        let is_full = kinds.len() >= MAX_KINDS;
        let has_room = || !is_stranger || strangers.charge(now).is_ok();
        if let Some(repeat) = kinds.get_mut(&key) {
            let single = repeat.singles_left > 0 && has_room();
            if single {
                repeat.singles_left -= 1;
            } else {
                repeat.count(event.clone());
            }
            return single;
        }
        // Apps may have registered themselves, so their kinds have no end either.
        if !is_stranger && is_full && strangers.charge(now).is_ok() {
            return true;
        }
        if !is_full && has_room() {
            kinds.insert(key, Repeat::new(now, singles.saturating_sub(1)));
            return true;
        }
        // The kinds are few, because their names are static.
        let (action, outcome) = (event.action.clone(), event.outcome.clone());
        let anyones = AuditEvent::new(event.at, Actor::Unknown, action, outcome);
        let key = self.hasher.hash_one(name(event));
        kinds.entry(key).or_insert_with(|| Repeat::new(now, 0)).count(anyones);
        false
    }

    /// Returns the events of the windows that have ended.
    pub(crate) fn due(&self, now: crate::clock::UnixTime) -> Vec<AuditEvent> {
        if self.look_at.load(Ordering::Relaxed) == NEVER {
            return Vec::new();
        }
        let now = self.time.tell(now);
        if now < self.look_at.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut kinds = self.kinds();
        // Another request may have looked meanwhile.
        if now < self.look_at.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut ended = Vec::new();
        kinds.retain(|_, repeat| {
            if now < repeat.window_ends {
                return true;
            }
            let event = repeat.end_window(now);
            let repeats = event.is_some();
            ended.extend(event);
            repeats
        });
        let next = if kinds.is_empty() { NEVER } else { now.saturating_add(LOOK) };
        self.look_at.store(next, Ordering::Relaxed);
        ended
    }

    /// Ends every window. Returns their events.
    pub(crate) fn settle(&self) -> Vec<AuditEvent> {
        let mut kinds = self.kinds();
        self.look_at.store(NEVER, Ordering::Relaxed);
        let ended = kinds.drain().filter_map(|(_, mut repeat)| repeat.end_window(0));
        ended.collect()
    }

    /// Returns the key of the events that are counted together with `event`. Of an unauthenticated caller, a
    /// client id is part of it only if it is one of an app, and a cause is not, so that no caller can make
    /// up new kinds.
    fn key(&self, event: &AuditEvent) -> u64 {
        let is_known = event.actor != Actor::Unknown;
        let is_claim = matches!(event.outcome, Outcome::Failed { .. })
            || matches!(event.outcome.reason(), Some(UNKNOWN_CLIENT | TOO_MANY_FAILURES));
        let client_id = event.client_id.as_ref().filter(|_| is_known || !is_claim);
        let cause = event.outcome.reason().filter(|_| is_known);
        let source = event.source.as_ref().map(SourceKey::of);
        let actor = (event.actor.kind(), event.actor.name());
        self.hasher.hash_one((name(event), actor, cause, client_id, &event.subject, source))
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of kinds, and the most bytes that they use.
    #[cfg(test)]
    fn size(&self) -> (usize, usize) {
        let kinds = self.kinds();
        let buckets = (kinds.capacity() * 8).div_ceil(7);
        let boxed = kinds.values().filter(|repeat| repeat.last.is_some()).count();
        let table = buckets * (size_of::<(u64, Repeat)>() + 1);
        (kinds.len(), table + boxed * size_of::<AuditEvent>())
    }
}

impl std::fmt::Debug for Repeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repeats").finish_non_exhaustive()
    }
}

/// The static part of an event: its action, and the reason and the setting of a refusal.
type Name<'a> = (&'static str, Option<GrantType>, &'static str, Option<[&'a str; 2]>);

fn name(event: &AuditEvent) -> Name<'_> {
    let refusal = match &event.outcome {
        Outcome::Refused { reason, setting, .. } => {
            Some([&**reason, setting.as_deref().unwrap_or_default()])
        }
        Outcome::Success | Outcome::Failed { .. } => None,
    };
    let grant_type =
        if let Action::IssueToken { grant_type } = event.action { grant_type } else { None };
    (event.action.as_str(), grant_type, event.outcome.as_str(), refusal)
}

#[cfg(test)]
#[path = "repeats_tests.rs"]
mod tests;
