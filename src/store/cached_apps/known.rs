//! The cached apps and the age of each entry.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::apart;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::AppsVersion;

/// The greatest number of cached ids without an app.
const MAX_ABSENT: usize = 1_024;

/// The cached apps and, apart from them, ids without an app.
pub(super) struct Known {
    pub(super) capacity: usize,
    pub(super) max_age: Duration,
    found: RwLock<Found>,
    absent: Mutex<HashMap<ClientId, Read>>,
}

/// The state of the apps that was known when a read began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number of changes of the version.
    epoch: u64,
    /// The number of the latest poll.
    poll: u64,
}

impl Mark {
    /// Checks whether an app that was read at this mark is as the latest poll has seen the apps. An app that describes
    /// itself changes without a change of the version, so it is read again after each poll.
    fn vouches_for(self, app: &CustomApp, latest: Latest) -> bool {
        self.epoch == latest.epoch
            && (self.poll == latest.poll || !app.origin().is_self_described())
    }
}

/// When an app was read, and what was known before.
#[derive(Clone, Copy)]
struct Read {
    mark: Mark,
    at: UnixTime,
}

#[derive(Default)]
struct Found {
    latest: Option<Latest>,
    /// An app is in it only if it has a row. Strangers choose the ids of documents, which get a row by the approval of
    /// a user each, and the seed of the hash is random.
    apps: HashMap<ClientId, Entry, RandomState>,
}

/// The latest version of the apps that the store returned.
#[derive(Clone, Copy)]
struct Latest {
    /// The number of its poll.
    poll: u64,
    asked_at: UnixTime,
    version: u64,
    /// An instant of the store's clock, of the same answer.
    seen: UnixTime,
    /// The number of changes of the version. A version may come again after the store was restored from a
    /// backup; an epoch does not.
    epoch: u64,
}

struct Entry {
    app: Arc<CustomApp>,
    read: Read,
    /// Whether it was used since room was last made.
    used: AtomicBool,
}

impl Known {
    pub(super) fn new(capacity: usize, max_age: Duration) -> Self {
        Self { capacity, max_age, found: RwLock::default(), absent: Mutex::default() }
    }

    /// Returns the time between `began` and the latest poll.
    pub(super) fn age(&self, began: UnixTime) -> Option<Duration> {
        read(&self.found).latest.map(|latest| apart(began, latest.asked_at))
    }

    /// Returns what is known now.
    pub(super) fn mark(&self) -> Mark {
        let latest = read(&self.found).latest;
        latest.map_or_else(Mark::default, |it| Mark { epoch: it.epoch, poll: it.poll })
    }

    /// Returns the instant of the store's clock that the latest poll returned.
    pub(super) fn seen(&self) -> UnixTime {
        read(&self.found).latest.map_or(UnixTime::EPOCH, |latest| latest.seen)
    }

    /// Ages the latest answer, and those of polls up to `poll` that are still in flight: the next caller polls
    /// again.
    pub(super) fn expire(&self, poll: u64) {
        if let Some(latest) = &mut write(&self.found).latest {
            (latest.poll, latest.asked_at) = (poll, UnixTime::from_millis(i64::MIN));
        }
    }

    /// Stores what poll `poll`, begun at `asked_at`, returned. Returns false if a later poll was answered
    /// first, with another version: which of the two is newer is not known.
    pub(super) fn learn(&self, poll: u64, asked_at: UnixTime, answer: AppsVersion) -> bool {
        let AppsVersion { version, seen } = answer;
        let latest = &mut write(&self.found).latest;
        let epoch = match latest {
            // Polls may overtake each other if the store is slow.
            Some(before) if before.poll >= poll => return before.version == version,
            Some(before) if before.version == version => before.epoch,
            Some(before) => before.epoch.saturating_add(1),
            None => 1,
        };
        let seen = latest.map_or(seen, |before| before.seen.max(seen));
        *latest = Some(Latest { poll, asked_at, version, seen, epoch });
        true
    }

    /// Returns the app, if the latest poll is at most `bound` away from `began` and the version has not
    /// changed since the app was read.
    pub(super) fn find(
        &self,
        client_id: &ClientId,
        began: UnixTime,
        bound: Duration,
    ) -> Option<Arc<CustomApp>> {
        let found = read(&self.found);
        let latest = found.latest.filter(|latest| apart(began, latest.asked_at) <= bound)?;
        let entry = found.apps.get(client_id)?;
        if !entry.read.mark.vouches_for(&entry.app, latest)
            || apart(began, entry.read.at) > self.max_age
        {
            return None;
        }
        // Written rarely, so that processors do not contend for it.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.app))
    }

    /// Checks whether no app had this id, at most `bound` away from `began`.
    pub(super) fn is_absent(&self, client_id: &ClientId, began: UnixTime, bound: Duration) -> bool {
        let epoch = self.mark().epoch;
        let read = lock(&self.absent).get(client_id).copied();
        read.is_some_and(|read| read.mark.epoch == epoch && apart(began, read.at) <= bound)
    }

    /// Caches the answer of the store to a call that began at `at`, when `mark` was known.
    pub(super) fn keep(
        &self,
        client_id: &ClientId,
        mark: Mark,
        at: UnixTime,
        app: Option<Arc<CustomApp>>,
    ) {
        let read = Read { mark, at };
        let Some(app) = app else {
            write(&self.found).apps.remove(client_id);
            let mut absent = lock(&self.absent);
            if absent.len() >= MAX_ABSENT {
                absent.clear();
            }
            absent.insert(client_id.clone(), read);
            return;
        };
        lock(&self.absent).remove(client_id);
        let mut found = write(&self.found);
        if found.apps.len() >= self.capacity && !found.apps.contains_key(client_id) {
            found.make_room(mark.epoch, self.capacity);
        }
        // Not used yet: an entry that is used again stays longer.
        let entry = Entry { app, read, used: AtomicBool::new(false) };
        found.apps.insert(client_id.clone(), entry);
    }

    /// Forgets the entry of this id.
    pub(super) fn forget(&self, client_id: &ClientId) {
        write(&self.found).apps.remove(client_id);
        lock(&self.absent).remove(client_id);
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (read(&self.found).apps.len(), lock(&self.absent).len())
    }
}

impl Found {
    /// Drops stale entries, then entries that were not used since the last time, then any. An eighth is
    /// free afterwards, so that this happens rarely.
    fn make_room(&mut self, epoch: u64, capacity: usize) {
        self.apps.retain(|_, entry| entry.read.mark.epoch == epoch);
        let wanted = capacity - capacity / 8;
        let mut surplus = self.apps.len().saturating_sub(wanted);
        self.apps.retain(|_, entry| {
            let used = entry.used.swap(false, Ordering::Relaxed);
            let drop = !used && surplus > 0;
            surplus -= usize::from(drop);
            !drop
        });
        self.apps.retain(|_, _| {
            let drop = surplus > 0;
            surplus -= usize::from(drop);
            !drop
        });
    }
}

/// Reads the guarded value. No code panics while it holds a lock, so a poisoned one is intact.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
