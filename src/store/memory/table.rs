//! Sharded tables of rows that become inert at an instant, with a queue by that instant.
//!
//! When a grant's row had 192 bytes, it took 235 bytes here. In a `HashMap` beside a heap of keys it took 352,
//! or 252 and an allocation of its own if it was boxed. Decision 0014 has the measurement.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;

use super::slots::{Slot, Slots};
use crate::clock::UnixTime;
use crate::store::Pruned;

/// The number of inert rows that an insertion removes, so that memory stays bounded without pruning.
pub(super) const SWEEP: usize = 2;

/// The number of rows for which a table reserves room with its first.
const FIRST_ROOM: usize = 100;

/// A row that becomes inert.
pub(super) trait Row {
    /// The form of its instant in the queue.
    type Queued: Queued;

    /// Returns the instant from which the row decides nothing. It may move into the future, never back.
    fn inert_at(&self) -> UnixTime;
}

/// Rows by key, each in a slot of its own. The queue holds each occupied slot exactly once.
pub(super) struct Table<K, V: Row, S = RandomState> {
    slots: Slots<(K, V)>,
    /// The slots, by the hash of their key.
    index: HashTable<Slot>,
    hasher: S,
    queue: BinaryHeap<Reverse<Due<V::Queued>>>,
}

/// When the row in a slot is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due<T> {
    at: T,
    slot: Slot,
}

/// An instant in a queue.
pub(super) trait Queued: Copy + Ord {
    /// Returns the first one that is not before `instant`.
    fn of(instant: UnixTime) -> Self;

    fn is_at_or_before(self, now: UnixTime) -> bool;
}

impl Queued for UnixTime {
    fn of(instant: UnixTime) -> Self {
        instant
    }

    fn is_at_or_before(self, now: UnixTime) -> bool {
        self <= now
    }
}

/// A whole second since 1970, in 32 bits, for tables of millions of rows. They end in February 2106. Rows that
/// last longer are then removed as late as the longest of them, and decide as before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Second(u32);

impl Second {
    fn at_or_before(instant: UnixTime) -> Self {
        let second = instant.as_seconds().clamp(0, u32::MAX.into());
        Self(u32::try_from(second).unwrap_or(u32::MAX))
    }
}

impl Queued for Second {
    fn of(instant: UnixTime) -> Self {
        Self::at_or_before(instant.plus(Duration::from_millis(999)))
    }

    fn is_at_or_before(self, now: UnixTime) -> bool {
        self <= Self::at_or_before(now)
    }
}

// A derived impl would require `K: Default`.
impl<K, V: Row, S: Default> Default for Table<K, V, S> {
    fn default() -> Self {
        Self {
            slots: Slots::default(),
            index: HashTable::new(),
            hasher: S::default(),
            queue: BinaryHeap::new(),
        }
    }
}

impl<K: Hash + Eq, V: Row, S: BuildHasher> Table<K, V, S> {
    pub(super) fn find(&self, key: &K) -> Option<&V> {
        self.slots.get(self.slot(key)?).map(|(_, row)| row)
    }

    pub(super) fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        self.slots.get_mut(self.slot(key)?).map(|(_, row)| row)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &(K, V)> {
        self.slots.iter()
    }

    /// Returns the place of the row with this key, occupied or not.
    pub(super) fn place(&mut self, key: K) -> Place<'_, K, V, S> {
        // A table in use holds many rows, so it skips the small sizes.
        if self.index.capacity() == 0 {
            self.index.reserve(FIRST_ROOM, |_| 0);
            self.queue.reserve(FIRST_ROOM);
        }
        Place { slot: self.slot(&key), key, table: self }
    }

    /// Removes a row that is inert at `now`, if one exists. One whose queue has whole seconds leaves with the
    /// next of them.
    pub(super) fn pop_inert(&mut self, now: UnixTime) -> Option<V> {
        if !self.has_inert(now) {
            return None;
        }
        let Reverse(Due { slot, .. }) = self.queue.pop()?;
        let (key, row) = self.slots.take(slot)?;
        let hash = self.hasher.hash_one(&key);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        Some(row)
    }

    /// Removes a row before it is inert. It takes the time of a walk through the queue.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.slot(key)?;
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == removed) {
            found.remove();
        }
        self.queue.retain(|Reverse(Due { slot, .. })| *slot != removed);
        self.slots.take(removed).map(|(_, row)| row)
    }

    /// Checks whether [`pop_inert`](Self::pop_inert) would remove a row.
    pub(super) fn has_inert(&mut self, now: UnixTime) -> bool {
        while let Some(mut first) = self.queue.peek_mut() {
            let Reverse(Due { at: queued_at, slot }) = *first;
            if !queued_at.is_at_or_before(now) {
                return false;
            }
            // A row that lasts longer may have replaced it.
            let inert_at = self.slots.get(slot).map(|(_, row)| row.inert_at());
            let Some(inert_at) = inert_at.filter(|inert_at| *inert_at > now) else { return true };
            let later = V::Queued::of(inert_at);
            if later == queued_at {
                // Both are beyond the seconds that can be told.
                return false;
            }
            first.0.at = later;
        }
        false
    }

    fn slot(&self, key: &K) -> Option<Slot> {
        let has_key = |slot: &Slot| self.slots.get(*slot).is_some_and(|(other, _)| other == key);
        self.index.find(self.hasher.hash_one(key), has_key).copied()
    }
}

/// A place in a table, looked up once to read and fill it.
pub(super) struct Place<'t, K, V: Row, S> {
    table: &'t mut Table<K, V, S>,
    key: K,
    slot: Option<Slot>,
}

impl<K: Hash + Eq, V: Row, S: BuildHasher> Place<'_, K, V, S> {
    /// Returns the row in this place.
    pub(super) fn row(&self) -> Option<&V> {
        self.table.slots.get(self.slot?).map(|(_, row)| row)
    }

    /// Puts a row in this place, in place of any other.
    pub(super) fn put(self, row: V) {
        let Table { slots, index, hasher, queue } = self.table;
        if let Some((_, there)) = self.slot.and_then(|slot| slots.get_mut(slot)) {
            *there = row;
            return;
        }
        let (hash, inert_at) = (hasher.hash_one(&self.key), row.inert_at());
        let slot = slots.put((self.key, row));
        let rehash = |slot: &Slot| slots.get(*slot).map_or(0, |(other, _)| hasher.hash_one(other));
        index.insert_unique(hash, slot, rehash);
        queue.push(Reverse(Due { at: V::Queued::of(inert_at), slot }));
    }
}

/// A hasher that takes the last eight bytes of a grant id. This server drew them at random, so no client
/// can make them collide. The first byte has chosen the shard.
#[derive(Default)]
pub(super) struct GrantIdHasher(u64);

impl Hasher for GrantIdHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.last_chunk().map_or(0, |last| u64::from_ne_bytes(*last));
    }

    /// Ignores the length, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A table in 64 parts, each with its own lock, chosen by a byte of a uniformly random key.
pub(super) struct Shards<K, V: Row, S = RandomState>([Mutex<Table<K, V, S>>; 64]);

impl<K, V: Row, S: Default> Default for Shards<K, V, S> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl<K: Hash + Eq, V: Row, S: BuildHasher> Shards<K, V, S> {
    /// Locks the shard of the keys that begin with `byte`.
    pub(super) fn lock(&self, byte: u8) -> MutexGuard<'_, Table<K, V, S>> {
        let [first, ..] = &self.0;
        lock(self.0.get(usize::from(byte % 64)).unwrap_or(first))
    }

    /// Locks as [`lock`](Self::lock) does, and removes a few inert rows.
    pub(super) fn lock_to_insert(&self, byte: u8, now: UnixTime) -> MutexGuard<'_, Table<K, V, S>> {
        let mut shard = self.lock(byte);
        for _ in 0..SWEEP {
            if shard.pop_inert(now).is_none() {
                break;
            }
        }
        shard
    }

    /// Locks one shard after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, Table<K, V, S>>> {
        self.0.iter().map(lock)
    }

    pub(super) fn prune(&self, now: UnixTime, limit: usize) -> Pruned {
        let mut removed = 0;
        for mut shard in self.iter() {
            while removed < limit && shard.pop_inert(now).is_some() {
                removed += 1;
            }
            if shard.has_inert(now) {
                return Pruned { removed, more: true };
            }
        }
        Pruned { removed, more: false }
    }
}

/// Locks. No code panics while it holds a lock, so a poisoned one guards intact data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Row for UnixTime {
        type Queued = Self;

        fn inert_at(&self) -> UnixTime {
            *self
        }
    }

    fn at(second: i64) -> UnixTime {
        UnixTime::from_seconds(second)
    }

    /// A row in a queue of whole seconds.
    #[derive(Debug, PartialEq)]
    struct BySecond(UnixTime);

    impl Row for BySecond {
        type Queued = Second;

        fn inert_at(&self) -> UnixTime {
            self.0
        }
    }

    #[test]
    fn a_row_leaves_at_its_end_or_with_the_next_second() {
        let end = UnixTime::from_millis(10_001);
        let mut exact = <Table<_, _>>::default();
        exact.place(1).put(end);
        assert_eq!(exact.pop_inert(UnixTime::from_millis(10_000)), None);
        assert_eq!(exact.pop_inert(end), Some(end));
        let mut by_second = <Table<_, _>>::default();
        by_second.place(1).put(BySecond(end));
        assert_eq!(by_second.pop_inert(UnixTime::from_millis(10_999)), None);
        assert_eq!(by_second.pop_inert(at(11)), Some(BySecond(end)));
    }

    #[test]
    fn a_row_beyond_the_last_second_stays_until_its_end() {
        let mut table = <Table<_, _>>::default();
        let last = i64::from(u32::MAX);
        table.place(1).put(BySecond(at(last + 9)));
        assert_eq!(table.pop_inert(at(last - 1)), None);
        assert_eq!(table.pop_inert(at(last + 8)), None);
        assert_eq!(table.pop_inert(at(last + 9)), Some(BySecond(at(last + 9))));
    }

    #[test]
    fn a_row_that_was_replaced_leaves_when_its_successor_is_inert() {
        let mut table = <Table<_, _>>::default();
        table.place(1).put(at(10));
        table.place(1).put(at(30));
        table.place(2).put(at(20));
        assert_eq!(table.pop_inert(at(9)), None);
        assert_eq!(table.pop_inert(at(20)), Some(at(20)));
        assert_eq!(table.pop_inert(at(29)), None);
        assert_eq!(table.pop_inert(at(30)), Some(at(30)));
        assert!(table.queue.is_empty() && table.rows().next().is_none() && table.index.is_empty());
    }

    #[test]
    fn a_removed_row_leaves_no_trace() {
        let mut table = <Table<_, _>>::default();
        table.place(1).put(at(10));
        table.place(2).put(at(20));
        assert_eq!(table.remove(&3), None);
        assert_eq!(table.remove(&1), Some(at(10)));
        assert_eq!((table.find(&1), table.queue.len()), (None, 1));
        table.place(4).put(at(30));
        assert_eq!(table.pop_inert(at(29)), Some(at(20)));
        assert_eq!(table.pop_inert(at(29)), None);
        assert_eq!(table.find(&4), Some(&at(30)));
    }

    #[test]
    fn insertions_keep_a_table_bounded_without_pruning() {
        let shards = <Shards<_, _>>::default();
        for second in 0..1_000 {
            shards.lock_to_insert(7, at(second)).place(second).put(at(second + 10));
        }
        assert!(shards.lock(7).rows().count() <= 11);
    }
}
