//! The audit log and the usage of apps: the newest events, and the counts of all.

use std::collections::{BTreeMap, HashMap};
use std::future::{Ready, ready};
use std::sync::{MutexGuard, PoisonError};

use super::MemoryStore;
use crate::clock::UnixTime;
use crate::protocol::grant_type::GrantType;
use crate::store::{
    AuditFilter, AuditRow, DayRow, HistoryRows, Pruned, StoreError, UsageRow, UsageStep, day_of,
};

#[derive(Default)]
pub(super) struct Log {
    events: BTreeMap<[u8; 16], AuditRow>,
    /// By app: how often each was counted, and when last.
    usage: HashMap<String, BTreeMap<Option<GrantType>, (i64, i64)>>,
    /// By day and app, likewise.
    days: BTreeMap<(i64, String, Option<GrantType>), i64>,
}

impl Log {
    fn append(&mut self, mut row: AuditRow) {
        if self.events.contains_key(&row.event_id) {
            return;
        }
        match row.usage.take() {
            Some(UsageStep::Count { client_id, issued, times }) => {
                let day = (day_of(row.at), client_id.clone(), issued);
                let day = self.days.entry(day).or_default();
                *day = day.saturating_add(times);
                let usage = self.usage.entry(client_id).or_default();
                let (counted, last_at) = usage.entry(issued).or_insert((0, row.at));
                *counted = counted.saturating_add(times);
                *last_at = row.at.max(*last_at);
            }
            Some(UsageStep::Forget { client_id }) => {
                self.usage.remove(&client_id);
                self.days.retain(|(_, app, _), _| *app != client_id);
            }
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

    fn prune(&mut self, before: [u8; 16], before_day: i64, limit: usize) -> Pruned {
        let mut removed = 0;
        while self.events.first_key_value().is_some_and(|(oldest, _)| *oldest < before) {
            if removed == limit {
                return Pruned { removed, more: true };
            }
            self.events.pop_first();
            removed += 1;
        }
        while self.days.first_key_value().is_some_and(|((day, ..), _)| *day < before_day) {
            if removed == limit {
                return Pruned { removed, more: true };
            }
            self.days.pop_first();
            removed += 1;
        }
        Pruned { removed, more: false }
    }
}

impl Log {
    fn usage_rows(&self, client_id: &str) -> impl Iterator<Item = UsageRow> {
        let rows = self.usage.get(client_id).into_iter().flatten();
        rows.map(|(issued, (counted, last_at))| UsageRow {
            issued: *issued,
            counted: counted.cast_unsigned(),
            last_at: UnixTime::from_millis(*last_at),
        })
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

    pub(crate) fn find_usage(
        &self,
        client_ids: &[&str],
    ) -> Ready<Result<Vec<(String, UsageRow)>, StoreError>> {
        let log = self.log();
        let of = |id: &&str| log.usage_rows(id).map(|row| ((*id).to_owned(), row)).collect();
        let rows: Vec<Vec<_>> = client_ids.iter().map(of).collect();
        ready(Ok(rows.into_iter().flatten().collect()))
    }

    pub(crate) fn find_history(
        &self,
        client_id: &str,
        (first, last): (i64, i64),
    ) -> Ready<Result<HistoryRows, StoreError>> {
        let log = self.log();
        let rows = (first..=last).flat_map(|day| {
            let of_day = log.days.range((day, client_id.to_owned(), None)..);
            let own = of_day.take_while(move |((own, app, _), _)| *own == day && app == client_id);
            own.map(move |((_, _, issued), counted)| DayRow {
                day,
                issued: *issued,
                counted: counted.cast_unsigned(),
            })
        });
        let rows = rows.collect();
        ready(Ok((log.usage_rows(client_id).collect(), rows)))
    }

    pub(crate) fn prune_audit(
        &self,
        before: [u8; 16],
        before_day: i64,
        limit: usize,
    ) -> Ready<Result<Pruned, StoreError>> {
        ready(Ok(self.log().prune(before, before_day, limit)))
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
