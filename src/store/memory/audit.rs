//! The audit log and the usage of apps: the newest events, and the counts of all.

use std::collections::{BTreeMap, HashMap};
use std::future::{Ready, ready};
use std::sync::{MutexGuard, PoisonError};

use super::MemoryStore;
use crate::clock::UnixTime;
use crate::protocol::grant_type::GrantType;
use crate::store::{AuditFilter, AuditRow, Pruned, StoreError, UsageRow, UsageStep};

#[derive(Default)]
pub(super) struct Log {
    events: BTreeMap<[u8; 16], AuditRow>,
    /// By app: how often each was counted, and when last.
    usage: HashMap<String, BTreeMap<Option<GrantType>, (i64, i64)>>,
}

impl Log {
    fn append(&mut self, mut row: AuditRow) {
        if self.events.contains_key(&row.event_id) {
            return;
        }
        match row.usage.take() {
            Some(UsageStep::Count { client_id, issued, times }) => {
                let usage = self.usage.entry(client_id).or_default();
                let (counted, last_at) = usage.entry(issued).or_insert((0, row.at));
                *counted = counted.saturating_add(times);
                *last_at = row.at.max(*last_at);
            }
            Some(UsageStep::Forget { client_id }) => drop(self.usage.remove(&client_id)),
            None => {}
        }
        self.events.insert(row.event_id, row);
        if self.events.len() > MemoryStore::MAX_EVENTS {
            self.events.pop_first();
        }
    }

    fn find(&self, filter: &AuditFilter<'_>) -> Vec<AuditRow> {
        let (first, last) = filter.ids;
        let is_asked_for = |row: &&AuditRow| {
            row.event_id >= first
                && filter.before.is_none_or(|before| row.event_id < before)
                && (filter.since..=filter.until).contains(&row.at)
                && filter.client_id.is_none_or(|app| row.client_id.as_deref() == Some(app))
                && filter.subject.is_none_or(|user| row.subject.as_deref() == Some(user))
        };
        let newest_first = self.events.range(..=last).rev().map(|(_, row)| row);
        newest_first.filter(is_asked_for).take(filter.limit).cloned().collect()
    }

    fn prune(&mut self, before: [u8; 16], limit: usize) -> Pruned {
        let mut removed = 0;
        while self.events.first_key_value().is_some_and(|(oldest, _)| *oldest < before) {
            if removed == limit {
                return Pruned { removed, more: true };
            }
            self.events.pop_first();
            removed += 1;
        }
        Pruned { removed, more: false }
    }
}

impl MemoryStore {
    fn log(&self) -> MutexGuard<'_, Log> {
        // No code panics while it holds the lock.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append_audit(&self, rows: Vec<AuditRow>) -> Ready<Result<(), StoreError>> {
        let mut log = self.log();
        for row in rows {
            log.append(row);
        }
        ready(Ok(()))
    }

    pub(crate) fn find_audit(
        &self,
        filter: &AuditFilter<'_>,
    ) -> Ready<Result<Vec<AuditRow>, StoreError>> {
        ready(Ok(self.log().find(filter)))
    }

    pub(crate) fn find_usage(&self, client_id: &str) -> Ready<Result<Vec<UsageRow>, StoreError>> {
        let log = self.log();
        let usage = log.usage.get(client_id).into_iter().flatten();
        let row = |(issued, (counted, last_at)): (&Option<GrantType>, &(i64, i64))| UsageRow {
            issued: *issued,
            counted: counted.cast_unsigned(),
            last_at: UnixTime::from_millis(*last_at),
        };
        ready(Ok(usage.map(row).collect()))
    }

    pub(crate) fn prune_audit(
        &self,
        before: [u8; 16],
        limit: usize,
    ) -> Ready<Result<Pruned, StoreError>> {
        ready(Ok(self.log().prune(before, limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> AuditRow {
        let mut event_id = [0; 16];
        event_id[..8].copy_from_slice(&number.to_be_bytes());
        let usage = UsageStep::Count { client_id: "app".to_owned(), issued: None, times: 1 };
        AuditRow {
            event_id,
            at: 0,
            client_id: None,
            subject: None,
            severity: 1,
            event: String::new(),
            usage: Some(usage),
        }
    }

    #[test]
    fn the_oldest_events_make_room_and_stay_counted() {
        let store = MemoryStore::new();
        let events = MemoryStore::MAX_EVENTS as u64 + 5;
        drop(store.append_audit((0..events).map(row).collect()));
        let log = store.log();
        assert_eq!(log.events.len(), MemoryStore::MAX_EVENTS);
        assert_eq!(log.events.first_key_value().unwrap().0, &row(5).event_id);
        assert_eq!(log.usage["app"][&None].0, i64::try_from(events).unwrap());
    }
}
