//! The results of fetches in memory.

use std::collections::HashMap;
use std::hash::Hash;

/// The standing of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A stranger caused it.
    Stranger,
    /// An administrator, or the consent of a user, vouches for its use.
    Vouched,
}

/// Values by key, at most `capacity` of each class. The entries of a class that were not used for the longest time make
/// room, and only for entries of the same class: a flood of strangers' entries removes no other.
pub(crate) struct Kept<K, V> {
    capacity: usize,
    entries: HashMap<K, Entry<V>>,
    vouched: usize,
    /// The number of uses so far.
    uses: u64,
}

struct Entry<V> {
    value: V,
    class: Class,
    /// The number of its last use.
    used: u64,
}

impl<K: Hash + Eq, V> Kept<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: HashMap::new(), vouched: 0, uses: 0 }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Notes a use on behalf of `class`. The class of an entry only rises.
    pub(crate) fn touch(&mut self, key: &K, class: Class) {
        let Some(present) = self.entries.get(key).map(|entry| entry.class) else { return };
        let rises = class == Class::Vouched && present == Class::Stranger;
        if rises {
            self.make_room(class);
            self.vouched = self.vouched.saturating_add(1);
        }
        self.uses = self.uses.saturating_add(1);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.used = self.uses;
            if rises {
                entry.class = class;
            }
        }
    }

    /// Returns the value of `key`, which is a new one if there is none, and notes a use on behalf of `class`.
    pub(crate) fn entry(&mut self, key: K, class: Class) -> &mut V
    where
        V: Default,
    {
        if self.entries.contains_key(&key) {
            self.touch(&key, class);
        } else {
            self.make_room(class);
            self.vouched = self.vouched.saturating_add(usize::from(class == Class::Vouched));
            self.uses = self.uses.saturating_add(1);
        }
        let new = Entry { value: V::default(), class, used: self.uses };
        &mut self.entries.entry(key).or_insert(new).value
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            let was_vouched = usize::from(entry.class == Class::Vouched);
            self.vouched = self.vouched.saturating_sub(was_vouched);
        }
    }

    /// Makes room for one more entry of `class`: an eighth goes, so that this happens rarely.
    fn make_room(&mut self, class: Class) {
        let strangers = self.entries.len().saturating_sub(self.vouched);
        let present = if class == Class::Vouched { self.vouched } else { strangers };
        if present < self.capacity {
            return;
        }
        let own = self.entries.values().filter(|entry| entry.class == class);
        let mut uses: Vec<_> = own.map(|entry| entry.used).collect();
        uses.sort_unstable();
        let Some(last) = uses.get(self.capacity / 8).copied() else { return };
        self.entries.retain(|_, entry| entry.class != class || entry.used > last);
        if class == Class::Vouched {
            self.vouched = self.entries.values().filter(|entry| entry.class == class).count();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kept: &mut Kept<u32, u32>, key: u32, class: Class) {
        *kept.entry(key, class) = key;
    }

    /// L18: the entries that were not used longest make room, within their class.
    #[test]
    fn a_flood_of_strangers_removes_only_strangers() {
        let mut kept = Kept::new(16);
        for key in 0..16 {
            put(&mut kept, key, Class::Vouched);
        }
        for key in 1_000..9_000 {
            put(&mut kept, key, Class::Stranger);
            kept.touch(&1_000, Class::Stranger);
            assert!(kept.len() <= 32);
        }
        assert!((0..16).all(|key| kept.get(&key) == Some(&key)));
        assert_eq!((kept.get(&1_000), kept.get(&1_001)), (Some(&1_000), None), "one is in use");
        put(&mut kept, 16, Class::Vouched);
        assert!(kept.get(&0).is_none() && kept.get(&15).is_some() && kept.get(&8_999).is_some());
    }

    /// An entry rises to the class of its users, and counts there.
    #[test]
    fn the_class_of_an_entry_rises_and_never_falls() {
        let mut kept = Kept::new(8);
        for key in 0..8 {
            put(&mut kept, key, Class::Stranger);
            if key % 2 == 0 {
                kept.touch(&key, Class::Vouched);
            } else {
                put(&mut kept, key, Class::Vouched);
            }
            put(&mut kept, key, Class::Stranger);
        }
        for key in 100..200 {
            put(&mut kept, key, Class::Stranger);
        }
        assert!((0..8).all(|key| kept.get(&key).is_some()));
        kept.remove(&0);
        put(&mut kept, 8, Class::Vouched);
        assert!((1..9).all(|key| kept.get(&key).is_some()), "the removed one gave its room back");
        put(&mut kept, 9, Class::Vouched);
        assert!(kept.get(&1).is_none() && kept.get(&8).is_some());
    }
}
