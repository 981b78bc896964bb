//! A store of pending records that shows what it keeps, and fails on request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use grantor::clock::UnixTime;
use grantor::secret::Digest;
use grantor::store::{Keep, MemoryStore, PendingRecord, PendingStore, Pruned, StoreError};

use crate::faulty_store::PLANTED;

pub(super) struct Records {
    inner: Arc<MemoryStore>,
    kept: Mutex<Vec<PendingRecord>>,
    searches: AtomicUsize,
    /// How many of the next calls of `keep` answer that the key is taken.
    taken: AtomicUsize,
    /// How many of the next calls fail.
    failures: AtomicUsize,
}

/// Takes one from a count, and returns whether there was one.
fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Records {
    pub(super) fn new(inner: Arc<MemoryStore>) -> Self {
        Self {
            inner,
            kept: Mutex::default(),
            searches: AtomicUsize::default(),
            taken: AtomicUsize::default(),
            failures: AtomicUsize::default(),
        }
    }

    /// Every record that was kept.
    pub(super) fn kept(&self) -> Vec<PendingRecord> {
        self.kept.lock().unwrap().clone()
    }

    /// How often a key was looked for.
    pub(super) fn searches(&self) -> usize {
        self.searches.load(Ordering::SeqCst)
    }

    pub(super) fn say_taken(&self, times: usize) {
        self.taken.store(times, Ordering::SeqCst);
    }

    pub(super) fn fail(&self, times: usize) {
        self.failures.store(times, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if take(&self.failures) { Err(StoreError::new(PLANTED)) } else { Ok(()) }
    }
}

impl PendingStore for Records {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        self.check()?;
        if take(&self.taken) {
            return Ok(Keep::Taken);
        }
        self.kept.lock().unwrap().push(record.clone());
        self.inner.keep(record, now).await
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.searches.fetch_add(1, Ordering::SeqCst);
        self.inner.find_kept(key, now).await
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.check()?;
        self.inner.prune_kept(now, limit).await
    }
}
