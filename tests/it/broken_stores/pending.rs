//! The pending records of a store with a fault.

use grantor::clock::UnixTime;
use grantor::secret::Digest;
use grantor::store::{Keep, PendingRecord, PendingStore, Pruned, StoreError};

use super::{
    AlteredStore, FindsExpiredRecords, FreesKeysByPruning, KeepsInTwoSteps, OverwritesRecords,
    PrunesRecordsEarly, PrunesRecordsInTwoSteps, yield_once,
};

impl AlteredStore {
    fn is_taken(&self, key: &Digest, now: UnixTime) -> bool {
        let expired = |kept: &PendingRecord| kept.expires_at <= now && !self.is(FreesKeysByPruning);
        self.pending.lock().unwrap().get(key).is_some_and(|kept| !expired(kept))
    }
}

impl PendingStore for AlteredStore {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        if self.is(KeepsInTwoSteps) {
            let is_taken = self.is_taken(&record.key, now);
            std::thread::yield_now();
            if !is_taken {
                self.pending.lock().unwrap().insert(record.key, record.clone());
            }
            return Ok(if is_taken { Keep::Taken } else { Keep::Kept });
        }
        let keep = async {
            let mut pending = self.pending.lock().unwrap();
            let kept = pending.get(&record.key);
            let expired =
                |kept: &PendingRecord| kept.expires_at <= now && !self.is(FreesKeysByPruning);
            if kept.is_some_and(|kept| !expired(kept)) && !self.is(OverwritesRecords) {
                return Keep::Taken;
            }
            pending.insert(record.key, record.clone());
            Keep::Kept
        };
        Ok(self.step(keep).await)
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        let find = async {
            let pending = self.pending.lock().unwrap();
            let is_live = |kept: &&PendingRecord| kept.expires_at > now;
            let kept =
                pending.get(key).filter(|kept| self.is(FindsExpiredRecords) || is_live(kept));
            kept.map(|kept| kept.sealed.clone())
        };
        Ok(self.step(find).await)
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        yield_once().await;
        let mut pending = self.pending.lock().unwrap();
        let is_due = |kept: &PendingRecord| kept.expires_at <= now || self.is(PrunesRecordsEarly);
        let due: Vec<_> =
            pending.values().filter(|kept| is_due(kept)).map(|kept| kept.key).collect();
        if self.is(PrunesRecordsInTwoSteps) {
            drop(pending);
            std::thread::yield_now();
            pending = self.pending.lock().unwrap();
        }
        for key in due.iter().take(limit) {
            pending.remove(key);
        }
        Ok(Pruned { removed: due.len().min(limit), more: due.len() > limit })
    }
}
