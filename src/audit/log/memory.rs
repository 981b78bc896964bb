//! The log in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use super::{AuditStore, EventId, NewEvent, StoredEvent};
use crate::audit::AuditQuery;
use crate::audit::usage::{AppUsage, Usage};
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::{Listing, Page, Pruned, StoreError};

/// An audit log in memory, for tests and as the reference implementation. It grows until it is
/// pruned.
#[derive(Default)]
pub struct MemoryAuditStore(Mutex<Log>);

#[derive(Default)]
struct Log {
    events: BTreeMap<EventId, StoredEvent>,
    usage: Usage,
}

impl MemoryAuditStore {
    /// Creates an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for MemoryAuditStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.with(|log| log.events.len());
        f.debug_struct("MemoryAuditStore").field("events", &events).finish_non_exhaustive()
    }
}

impl AuditStore for MemoryAuditStore {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let stored = events.iter().map(StoredEvent::of).collect::<Result<Vec<_>, _>>()?;
        self.with(|log| {
            for (new, stored) in events.iter().zip(stored) {
                if let Entry::Vacant(place) = log.events.entry(new.id) {
                    place.insert(stored);
                    log.usage.record(&new.event);
                }
            }
        });
        Ok(())
    }

    async fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
        let is_asked_for = |event: &&StoredEvent| {
            (query.since..=query.until).contains(&event.at)
                && query.client_id.as_ref().is_none_or(|app| event.client_id.as_ref() == Some(app))
                && query.subject.as_ref().is_none_or(|user| event.subject.as_ref() == Some(user))
        };
        let end = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.with(|log| {
            let found = log.events.range((Bound::Unbounded, end)).rev().map(|(_, event)| event);
            found.filter(is_asked_for).take(page.limit.saturating_add(1)).cloned().collect()
        });
        Ok(Listing::first_of(found, page.limit, |last: &StoredEvent| last.id))
    }

    async fn usage_of(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
        Ok(self.with(|log| log.usage.of(client_id)))
    }

    async fn prune_events(&self, before: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        Ok(self.with(|log| {
            let before = ..EventId::first_at(before);
            let old: Vec<_> = log.events.range(before).map(|(id, _)| *id).take(limit).collect();
            for id in &old {
                log.events.remove(id);
            }
            Pruned { removed: old.len(), more: log.events.range(before).next().is_some() }
        }))
    }
}
