//! What has been revoked, followed through the store's feed.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Subject};
use crate::store::{
    AccessFacts, FeedCursor, GrantStore, Revocation, RevocationFeed, RevocationTarget, StoreError,
};

/// Entries asked for at once: the most that a page holds.
const PAGE: usize = 1000;
/// How much longer than the store says an entry is kept, for clocks that differ.
const KEEP: Duration = Duration::from_secs(60);

/// It cannot be known whether a token was revoked; it is then refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationsUnknown {
    /// The feed has never been read to its end.
    #[error("the feed of revocations has not been read yet")]
    NeverRead,
    /// The feed was read to its end too long ago.
    #[error("the feed of revocations was last read too long ago")]
    Stale,
}

/// The revocations in force, as the feed told them: a resource server's own copy.
///
/// Closed at first: until the feed has been read to its end once, and again whenever that is longer
/// ago than the greatest age, no token can be said to live, and all are refused. So read the feed
/// several times within that age, with [`poll`](Self::poll) where the store is at hand, with
/// [`cursor`](Self::cursor) and [`apply`](Self::apply) where it is asked over the network. A
/// revocation takes effect here as soon as it has been read.
///
/// It grows with the revocations in force, roughly 200 bytes each, and forgets an entry a minute
/// after its [`until`](Revocation::until).
///
/// ```
/// use grantor::clock::UnixTime;
/// use grantor::resource_server::RevocationList;
/// use grantor::store::RevocationFeed;
///
/// let list = RevocationList::new();
/// let answer = r#"{ "entries": [], "next": { "at": 1700000000000, "tie": 0 }, "more": false }"#;
/// let feed: RevocationFeed = serde_json::from_str(answer)?;
/// list.apply(&feed, UnixTime::from_seconds(1_700_000_000));
/// assert_eq!(list.cursor(), feed.next);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct RevocationList {
    max_age: Duration,
    /// When the read began that last reached the end, in milliseconds; `NEVER` at first.
    read_at: AtomicI64,
    /// Whether `entries` holds anything: spares the lock while nothing is revoked.
    any: AtomicBool,
    entries: RwLock<Entries>,
}

const NEVER: i64 = i64::MIN;

#[derive(Default)]
struct Entries {
    cursor: FeedCursor,
    everything: Option<Cutoff>,
    apps: HashMap<ClientId, AppCutoffs>,
    subjects: HashMap<Subject, Cutoff>,
    devices: HashMap<DeviceId, Cutoff>,
    /// With the end of their entries.
    grants: HashMap<GrantId, UnixTime>,
}

/// Two levels instead of a pair as key: a pair could not be looked up without making one.
#[derive(Default)]
struct AppCutoffs {
    whole: Option<Cutoff>,
    subjects: HashMap<Subject, Cutoff>,
}

#[derive(Clone, Copy)]
struct Cutoff {
    at: UnixTime,
    until: UnixTime,
}

impl Default for RevocationList {
    fn default() -> Self {
        Self::new()
    }
}

impl RevocationList {
    /// An empty, closed list with a greatest age of 60 seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            read_at: AtomicI64::new(NEVER),
            any: AtomicBool::new(false),
            entries: RwLock::default(),
        }
    }

    /// Sets how long after a complete read the list may still be used.
    ///
    /// It bounds for how long a revoked token can live on when the feed cannot be reached.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Reads the feed to its end. Call it every few seconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store could not answer. What was read before is in force; the list is
    /// as old as it was.
    pub async fn poll<S: GrantStore>(&self, store: &S, now: UnixTime) -> Result<(), StoreError> {
        loop {
            let feed = store.revocations_since(self.cursor(), PAGE, now).await?;
            self.apply(&feed, now);
            if !feed.more {
                return Ok(());
            }
        }
    }

    /// Where to read on.
    #[must_use]
    pub fn cursor(&self) -> FeedCursor {
        self.read().cursor
    }

    /// Takes in a page that was asked for at `asked_at`, from this list's own
    /// [`cursor`](Self::cursor). Pages and entries may come twice and late.
    pub fn apply(&self, feed: &RevocationFeed, asked_at: UnixTime) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for revocation in &feed.entries {
            entries.insert(revocation);
        }
        // Whatever page this is, everything up to its end has been seen: its beginning was once the
        // cursor. A late one sets the cursor back, which costs a second reading.
        entries.cursor = feed.next;
        if !feed.more {
            entries.forget(asked_at.minus(KEEP));
        }
        // Before `read_at`: whoever sees that this read was complete also sees what it brought.
        self.any.store(!entries.is_empty(), Ordering::Release);
        if !feed.more {
            self.read_at.fetch_max(asked_at.as_millis(), Ordering::Release);
        }
    }

    /// Whether a token with these facts is revoked: whether one of the entries
    /// [voids](Revocation::voids) it.
    ///
    /// # Errors
    ///
    /// [`RevocationsUnknown`] when the list is closed at `now`. The token is then refused, or the
    /// authorization server asked about it (RFC 7662).
    pub fn is_revoked(
        &self,
        facts: &AccessFacts<'_>,
        now: UnixTime,
    ) -> Result<bool, RevocationsUnknown> {
        let read_at = self.read_at.load(Ordering::Acquire);
        if read_at == NEVER {
            return Err(RevocationsUnknown::NeverRead);
        }
        // In both directions: after the clock was set back the age tells nothing.
        let age = now.millis_since(UnixTime::from_millis(read_at)).unsigned_abs();
        if u128::from(age) > self.max_age.as_millis() {
            return Err(RevocationsUnknown::Stale);
        }
        Ok(self.any.load(Ordering::Acquire) && self.read().void(facts))
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the entries, of which there may be many.
impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("max_age", &self.max_age)
            .field("read_at", &self.read_at)
            .finish_non_exhaustive()
    }
}

impl Entries {
    fn insert(&mut self, revocation: &Revocation) {
        let cutoff = Cutoff { at: revocation.at, until: revocation.until };
        match &revocation.target {
            RevocationTarget::Everything => extend(&mut self.everything, cutoff),
            RevocationTarget::App(app) => {
                extend(&mut self.apps.entry(app.clone()).or_default().whole, cutoff);
            }
            RevocationTarget::AppAndSubject(app, subject) => {
                let subjects = &mut self.apps.entry(app.clone()).or_default().subjects;
                subjects.entry(subject.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::Subject(subject) => {
                self.subjects.entry(subject.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::Device(device) => {
                self.devices.entry(device.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::Grant(grant_id) => {
                let until = self.grants.entry(*grant_id).or_insert(cutoff.until);
                *until = cutoff.until.max(*until);
            }
        }
    }

    fn void(&self, facts: &AccessFacts<'_>) -> bool {
        let voids = |cutoff: &Cutoff| facts.authorized_at <= cutoff.at;
        self.everything.as_ref().is_some_and(voids)
            || self.grants.contains_key(&facts.grant_id)
            || self.apps.get(facts.client_id).is_some_and(|app| {
                app.whole.as_ref().is_some_and(voids)
                    || app.subjects.get(facts.subject).is_some_and(voids)
            })
            || self.subjects.get(facts.subject).is_some_and(voids)
            || facts.device.is_some_and(|device| self.devices.get(device).is_some_and(voids))
    }

    /// Drops what covers no token that lives after `now`.
    fn forget(&mut self, now: UnixTime) {
        let keep = |cutoff: &Cutoff| cutoff.until >= now;
        self.everything = self.everything.filter(keep);
        self.apps.retain(|_, app| {
            app.whole = app.whole.filter(keep);
            app.subjects.retain(|_, cutoff| keep(cutoff));
            app.whole.is_some() || !app.subjects.is_empty()
        });
        self.subjects.retain(|_, cutoff| keep(cutoff));
        self.devices.retain(|_, cutoff| keep(cutoff));
        self.grants.retain(|_, until| *until >= now);
    }

    fn is_empty(&self) -> bool {
        self.everything.is_none()
            && self.apps.is_empty()
            && self.subjects.is_empty()
            && self.devices.is_empty()
            && self.grants.is_empty()
    }
}

impl Cutoff {
    /// Covers what `other` covers too.
    fn extend(&mut self, other: Self) {
        self.at = self.at.max(other.at);
        self.until = self.until.max(other.until);
    }
}

fn extend(cutoff: &mut Option<Cutoff>, other: Cutoff) {
    cutoff.get_or_insert(other).extend(other);
}

#[cfg(test)]
mod tests;
