//! Pages of a listing, made from rows in no order.

use std::collections::BTreeMap;

use crate::store::{Listing, Page};

/// The first items of a listing in the order of their keys, collected in any order.
pub(super) struct FirstOf<T, K> {
    page: Page<K>,
    items: BTreeMap<K, T>,
}

impl<T, K: Clone + Ord> FirstOf<T, K> {
    pub(super) fn new(page: Page<K>) -> Self {
        Self { page, items: BTreeMap::new() }
    }

    pub(super) fn wants(&self, key: &K) -> bool {
        let after = self.page.after.as_ref().is_none_or(|after| key > after);
        // One more than the page holds tells whether more follow.
        let room = self.items.len() <= self.page.limit;
        after && (room || self.items.last_key_value().is_some_and(|(last, _)| key < last))
    }

    pub(super) fn put(&mut self, key: K, item: T) {
        self.items.insert(key, item);
        if self.items.len() > self.page.limit.saturating_add(1) {
            self.items.pop_last();
        }
    }

    pub(super) fn into_listing(mut self) -> Listing<T, K> {
        let more = self.items.len() > self.page.limit;
        if more {
            self.items.pop_last();
        }
        let next = if more { self.items.keys().next_back().cloned() } else { None };
        Listing::new(self.items.into_values().collect(), next)
    }
}
