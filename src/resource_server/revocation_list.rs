//! A local copy of the revocations in force, kept up to date by the feed.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, GrantId, SessionId, Subject};
use crate::store::{
    AccessFacts, FeedCursor, GrantStore, Revocation, RevocationFeed, RevocationTarget, StoreError,
};

/// The number of entries to request, the maximum of a page.
const PAGE: usize = 1000;
/// The time that an entry is kept beyond its end, to allow for clock skew.
const KEEP: Duration = Duration::from_mins(1);

/// The list cannot tell whether a token was revoked, so the token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationsUnknown {
    /// The feed has not been read to its end yet.
    #[error("the revocation feed has not been read yet")]
    NeverRead,
    /// The last complete read of the feed is too old.
    #[error("the last read of the revocation feed is too old")]
    Stale,
}

/// A resource server's copy of the revocations in force.
///
/// The list is closed, and every token is refused, until the feed was read to its end once, and
/// whenever the last complete read is older than the maximum age. Read the feed several times
/// within that age: with [`poll`](Self::poll) if the store is at hand, with
/// [`cursor`](Self::cursor) and [`apply`](Self::apply) over the network. A revocation takes effect
/// as soon as it was read.
///
/// The list uses about 200 bytes for each revocation in force. It drops an entry one minute after its
/// [`until`](Revocation::until), and only if the feed has shown a revocation from after that instant: a clock
/// of this host that was wrong for a while forgets nothing.
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
    /// The start of the last complete read in milliseconds, initially `NEVER`.
    read_at: AtomicI64,
    /// Whether `entries` is non-empty. Avoids the lock while nothing is revoked.
    any: AtomicBool,
    entries: RwLock<Entries>,
}

const NEVER: i64 = i64::MIN;

#[derive(Default)]
struct Entries {
    cursor: FeedCursor,
    /// The instant of the latest revocation: the store's clock has reached it.
    newest: UnixTime,
    everything: Option<Cutoff>,
    apps: HashMap<ClientId, AppCutoffs>,
    subjects: HashMap<Subject, Cutoff>,
    named_devices: HashMap<DeviceId, Cutoff>,
    sessions: HashMap<SessionId, Cutoff>,
    evidence_issuers: HashMap<EvidenceIssuer, Cutoff>,
    /// Grant ids with the end of their entries.
    grants: HashMap<GrantId, UnixTime>,
}

/// The cutoffs of an app. Nested, because the lookup of a tuple would allocate one.
#[derive(Default)]
struct AppCutoffs {
    whole: Option<Cutoff>,
    subjects: HashMap<Subject, Cutoff>,
    devices: HashMap<Subject, HashMap<DeviceId, Cutoff>>,
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
    /// Creates an empty, closed list with a maximum age of 60 seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_age: Duration::from_mins(1),
            read_at: AtomicI64::new(NEVER),
            any: AtomicBool::new(false),
            entries: RwLock::default(),
        }
    }

    /// Sets the maximum age of the last complete read.
    ///
    /// It limits how long a revoked token is still accepted while the feed is unreachable.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Reads the feed to its end. Call it every few seconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails. Entries already read are in force, and the age of the
    /// list is unchanged.
    pub async fn poll<S: GrantStore>(&self, store: &S, now: UnixTime) -> Result<(), StoreError> {
        loop {
            let feed = store.revocations_since(self.cursor(), PAGE, now).await?;
            self.apply(&feed, now);
            if !feed.more {
                return Ok(());
            }
        }
    }

    /// Returns the position to continue from.
    #[must_use]
    pub fn cursor(&self) -> FeedCursor {
        self.read().cursor
    }

    /// Applies a page that was requested at `asked_at` with this list's own
    /// [`cursor`](Self::cursor). Pages and entries may arrive late and more than once.
    pub fn apply(&self, feed: &RevocationFeed, asked_at: UnixTime) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for revocation in &feed.entries {
            entries.insert(revocation);
        }
        // Everything before the page's end has been seen, because the page began at an earlier
        // cursor. A late page moves the cursor back, which only repeats a read.
        entries.cursor = feed.next;
        if !feed.more {
            // By both clocks: this host's may be ahead, and set back later.
            let ended = asked_at.minus(KEEP).min(entries.newest);
            entries.forget(ended);
        }
        // Stored before `read_at`: a reader that sees the complete read also sees its entries.
        self.any.store(!entries.is_empty(), Ordering::Release);
        if !feed.more {
            // Earlier than before if the clock was set back. If the response is only late, the list counts
            // as older than it is until the next one.
            self.read_at.store(asked_at.as_millis(), Ordering::Release);
        }
    }

    /// Returns true if one of the entries [voids](Revocation::voids) a token with these facts.
    ///
    /// # Errors
    ///
    /// [`RevocationsUnknown`] if the list is closed at `now`. Refuse the token, or introspect it at
    /// the authorization server (RFC 7662).
    pub fn is_revoked(
        &self,
        facts: &AccessFacts<'_>,
        now: UnixTime,
    ) -> Result<bool, RevocationsUnknown> {
        let read_at = self.read_at.load(Ordering::Acquire);
        if read_at == NEVER {
            return Err(RevocationsUnknown::NeverRead);
        }
        // In both directions, because the age is meaningless after the clock was set back.
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

/// Omits the entries, which may be many.
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
        self.newest = self.newest.max(revocation.at);
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
            RevocationTarget::Device(app, subject, device) => {
                let devices = &mut self.apps.entry(app.clone()).or_default().devices;
                let devices = devices.entry(subject.clone()).or_default();
                devices.entry(device.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::NamedDevice(device) => {
                self.named_devices.entry(device.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::Session(session) => {
                self.sessions.entry(session.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::EvidenceIssuer(issuer) => {
                self.evidence_issuers.entry(issuer.clone()).or_insert(cutoff).extend(cutoff);
            }
            RevocationTarget::Grant(grant_id) => {
                let until = self.grants.entry(*grant_id).or_insert(cutoff.until);
                *until = cutoff.until.max(*until);
            }
        }
    }

    fn void(&self, facts: &AccessFacts<'_>) -> bool {
        facts.lineage().any(|facts| self.void_one(&facts))
    }

    /// Returns true if a token with these facts is void, without its parents.
    fn void_one(&self, facts: &AccessFacts<'_>) -> bool {
        let voids = |cutoff: &Cutoff| facts.authorized_at <= cutoff.at;
        self.everything.as_ref().is_some_and(voids)
            || self.grants.contains_key(&facts.grant_id)
            || self.apps.get(facts.client_id).is_some_and(|app| {
                app.whole.as_ref().is_some_and(voids)
                    || app.subjects.get(facts.subject).is_some_and(voids)
                    || facts.device.is_some_and(|device| {
                        let devices = app.devices.get(facts.subject);
                        devices.and_then(|devices| devices.get(device)).is_some_and(voids)
                    })
            })
            || self.subjects.get(facts.subject).is_some_and(voids)
            || is_cut(&self.named_devices, facts.device, voids)
            || is_cut(&self.sessions, facts.session, voids)
            || is_cut(&self.evidence_issuers, facts.evidence_issuer, voids)
    }

    /// Drops entries that cover no token with a lifetime beyond `now`.
    fn forget(&mut self, now: UnixTime) {
        let keep = |cutoff: &Cutoff| cutoff.until >= now;
        self.everything = self.everything.filter(keep);
        self.apps.retain(|_, app| {
            app.whole = app.whole.filter(keep);
            app.subjects.retain(|_, cutoff| keep(cutoff));
            app.devices.retain(|_, devices| {
                devices.retain(|_, cutoff| keep(cutoff));
                !devices.is_empty()
            });
            app.whole.is_some() || !app.subjects.is_empty() || !app.devices.is_empty()
        });
        self.subjects.retain(|_, cutoff| keep(cutoff));
        self.named_devices.retain(|_, cutoff| keep(cutoff));
        self.sessions.retain(|_, cutoff| keep(cutoff));
        self.evidence_issuers.retain(|_, cutoff| keep(cutoff));
        self.grants.retain(|_, until| *until >= now);
    }

    fn is_empty(&self) -> bool {
        self.everything.is_none()
            && self.apps.is_empty()
            && self.subjects.is_empty()
            && self.named_devices.is_empty()
            && self.sessions.is_empty()
            && self.evidence_issuers.is_empty()
            && self.grants.is_empty()
    }
}

/// Returns true if one of `cutoffs` voids a token that has the member `key`.
fn is_cut<K: Hash + Eq>(
    cutoffs: &HashMap<K, Cutoff>,
    key: Option<&K>,
    voids: impl Fn(&Cutoff) -> bool,
) -> bool {
    key.is_some_and(|key| cutoffs.get(key).is_some_and(voids))
}

impl Cutoff {
    /// Extends this cutoff to cover `other` too.
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
