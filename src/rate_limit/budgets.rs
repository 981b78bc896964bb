//! Budgets by a key that callers choose, in a table of bounded size.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use super::gcra::{Rate, SpentUntil};
use crate::app::RateQuota;

/// The tables, each with its own lock.
const SHARDS: usize = 16;
/// The most keys in a shard.
const MAX_IN_SHARD: usize = 4_096;

/// A budget for each key. A key is a keyed hash, so that no caller can aim at the key of another.
///
/// A key without an entry has a full budget. If a shard is full, the budgets closest to full are
/// forgotten, so that a flood of new keys does not reset a spent budget.
pub(super) struct Budgets {
    rate: Rate,
    shards: [Mutex<Shard>; SHARDS],
}

/// The instant at which each budget is full. The keys are uniform already.
type Shard = HashMap<u64, u64, FixedState>;

impl Budgets {
    /// The most keys in the table.
    #[cfg(test)]
    pub(super) const MAX: usize = SHARDS * MAX_IN_SHARD;

    pub(super) fn new(quota: RateQuota) -> Self {
        Self { rate: Rate::new(quota), shards: [const { Mutex::new(empty()) }; SHARDS] }
    }

    /// Charges the budget of `key`, unless it is spent.
    pub(super) fn charge(&self, key: u64, now: u64) -> Result<(), SpentUntil> {
        let mut shard = self.shard(key);
        let full_at = shard.get(&key).copied().unwrap_or_default();
        let charged = self.rate.charge(full_at, now)?;
        if shard.len() >= MAX_IN_SHARD {
            make_room(&mut shard, now);
        }
        shard.insert(key, charged);
        Ok(())
    }

    /// Undoes a charge.
    pub(super) fn give_back(&self, key: u64) {
        if let Some(full_at) = self.shard(key).get_mut(&key) {
            *full_at = self.rate.give_back(*full_at);
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        // The remainder is below the length.
        let index = usize::try_from(key % SHARDS as u64).unwrap_or_default();
        let [first, ..] = &self.shards;
        self.shards.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of keys, and the bytes that the tables use.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let shards = self.shards.iter().map(|it| it.lock().unwrap());
        shards.fold((0, 0), |(keys, bytes), shard| {
            // A bucket is used to seven eighths, and has one byte beside its entry.
            let buckets = (shard.capacity() * 8).div_ceil(7);
            (keys + shard.len(), bytes + buckets * (size_of::<(u64, u64)>() + 1))
        })
    }
}

const fn empty() -> Shard {
    HashMap::with_hasher(FixedState::with_seed(0))
}

/// Removes the full budgets, and then those closest to full until half of the room is free.
fn make_room(shard: &mut Shard, now: u64) {
    shard.retain(|_, full_at| *full_at > now);
    if let Some(excess) = shard.len().checked_sub(MAX_IN_SHARD / 2) {
        let mut sorted: Vec<u64> = shard.values().copied().collect();
        sorted.sort_unstable();
        if let Some(nearest) = excess.checked_sub(1).and_then(|last| sorted.get(last)) {
            shard.retain(|_, full_at| *full_at > *nearest);
        }
    }
}
