//! [`PendingStore`] in memory.

use super::table::{Row, SWEEP, Table};
use super::{MemoryStore, read, write};
use crate::clock::UnixTime;
use crate::secret::Digest;
use crate::store::{Keep, PendingRecord, PendingStore, Pruned, StoreError};

impl Row for PendingRecord {
    type Queued = UnixTime;

    fn inert_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// The records by their keys.
pub(super) type Pending = Table<Digest, PendingRecord>;

fn prune(pending: &mut Pending, now: UnixTime, limit: usize) -> Pruned {
    let mut removed = 0;
    while removed < limit && pending.pop_inert(now).is_some() {
        removed += 1;
    }
    Pruned { removed, more: pending.has_inert(now) }
}

impl PendingStore for MemoryStore {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        let mut pending = write(&self.pending);
        prune(&mut pending, now, SWEEP);
        let place = pending.place(record.key);
        if place.row().is_some_and(|kept| kept.expires_at > now) {
            return Ok(Keep::Taken);
        }
        place.put(record.clone());
        Ok(Keep::Kept)
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        let pending = read(&self.pending);
        let live = pending.find(key).filter(|kept| kept.expires_at > now);
        Ok(live.map(|kept| kept.sealed.clone()))
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        Ok(prune(&mut write(&self.pending), now, limit))
    }
}
