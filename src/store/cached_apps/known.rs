//! What is known of the apps, and since when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::apart;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::ClientId;

/// How many ids that no app has are kept.
const MAX_ABSENT: usize = 1_024;

/// The apps that were found, and apart from them the ids that were not.
pub(super) struct Known {
    pub(super) capacity: usize,
    pub(super) max_age: Duration,
    found: RwLock<Found>,
    absent: Mutex<HashMap<ClientId, Read>>,
}

/// When an app was read, and which state of the apps was known before.
#[derive(Clone, Copy)]
struct Read {
    epoch: u64,
    at: UnixTime,
}

#[derive(Default)]
struct Found {
    latest: Option<Latest>,
    /// Strangers put nothing into it, so that no hash need withstand them.
    apps: HashMap<ClientId, Entry, RandomState>,
}

/// The latest number of the apps that the store answered.
#[derive(Clone, Copy)]
struct Latest {
    /// Of the poll that brought it.
    poll: u64,
    asked_at: UnixTime,
    version: u64,
    /// Counts the numbers that differed from the one before. The number itself may come again when
    /// the store was restored from a backup; this does not.
    epoch: u64,
}

struct Entry {
    app: Arc<CustomApp>,
    read: Read,
    /// Since room was last made.
    used: AtomicBool,
}

impl Known {
    pub(super) fn new(capacity: usize, max_age: Duration) -> Self {
        Self { capacity, max_age, found: RwLock::default(), absent: Mutex::default() }
    }

    /// How far from `began` the number of the apps was asked for.
    pub(super) fn age(&self, began: UnixTime) -> Option<Duration> {
        read(&self.found).latest.map(|latest| apart(began, latest.asked_at))
    }

    /// Which state of the apps is known.
    pub(super) fn epoch(&self) -> u64 {
        read(&self.found).latest.map_or(0, |latest| latest.epoch)
    }

    /// Takes note of the number that poll `poll`, begun at `asked_at`, was answered.
    pub(super) fn learn(&self, poll: u64, asked_at: UnixTime, version: u64) {
        let latest = &mut write(&self.found).latest;
        let epoch = match latest {
            // Polls may overtake each other where the store is slow.
            Some(before) if before.poll >= poll => return,
            Some(before) if before.version == version => before.epoch,
            Some(before) => before.epoch.saturating_add(1),
            None => 1,
        };
        *latest = Some(Latest { poll, asked_at, version, epoch });
    }

    /// The app, if the number was asked for at most `bound` away from `began` and has not changed
    /// since the app was read.
    pub(super) fn find(
        &self,
        client_id: &ClientId,
        began: UnixTime,
        bound: Duration,
    ) -> Option<Arc<CustomApp>> {
        let found = read(&self.found);
        let latest = found.latest.filter(|latest| apart(began, latest.asked_at) <= bound)?;
        let entry = found.apps.get(client_id)?;
        if entry.read.epoch != latest.epoch || apart(began, entry.read.at) > self.max_age {
            return None;
        }
        // Written seldom, so that processors need not fight for it.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.app))
    }

    /// Whether no app had this id, at most `bound` away from `began`.
    pub(super) fn is_absent(&self, client_id: &ClientId, began: UnixTime, bound: Duration) -> bool {
        let epoch = self.epoch();
        let read = lock(&self.absent).get(client_id).copied();
        read.is_some_and(|read| read.epoch == epoch && apart(began, read.at) <= bound)
    }

    /// Keeps what the store answered to a question that began at `at`, when `epoch` was known.
    pub(super) fn keep(
        &self,
        client_id: &ClientId,
        epoch: u64,
        at: UnixTime,
        app: Option<Arc<CustomApp>>,
    ) {
        let read = Read { epoch, at };
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
            found.make_room(epoch, self.capacity);
        }
        // Used once, by whoever asked: what is asked for again stays longer.
        let entry = Entry { app, read, used: AtomicBool::new(false) };
        found.apps.insert(client_id.clone(), entry);
    }

    /// Forgets whether there is an app with this id.
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
    /// Drops what is stale, then what was not used since the last time, and if that is too little
    /// anything: an eighth is free afterwards, so that this is done seldom.
    fn make_room(&mut self, epoch: u64, capacity: usize) {
        self.apps.retain(|_, entry| entry.read.epoch == epoch);
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

/// No code panics while it holds a lock, so what a poisoned one guards is whole.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
