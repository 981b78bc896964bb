//! The log in the stores that ship: conversions between events and rows.

use std::collections::{BTreeMap, HashMap};

use super::{AuditStore, EventId, NewEvent, StoredEvent};
use crate::audit::usage::{AppUsage, DayUsage, UsageChange, UsageHistory};
use crate::audit::{AuditQuery, Severity};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Subject};
#[cfg(feature = "postgres")]
use crate::store::PostgresStore;
#[cfg(feature = "sqlite")]
use crate::store::SqliteStore;
use crate::store::{
    AnyStore, AuditFilter, AuditRow, DAY_MILLIS, DayRow, Listing, MemoryStore, Page, Pruned,
    StoreError, UsageRow, UsageStep, day_of, on_any,
};

macro_rules! keeps_the_log {
    ($store:ty) => {
        impl AuditStore for $store {
            async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
                let rows = events.iter().map(row_of).collect::<Result<_, _>>()?;
                self.append_audit(rows).await
            }

            async fn find_events(
                &self,
                query: &AuditQuery,
                page: Page<EventId>,
            ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
                let rows = self.find_audit(&filter_of(query, &page)).await?;
                listing_of(rows, page.limit)
            }

            async fn usage_of(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
                let found = self.usage_of_each(std::slice::from_ref(client_id)).await?;
                Ok(found.into_iter().next().unwrap_or_default())
            }

            async fn usage_of_each(
                &self,
                client_ids: &[ClientId],
            ) -> Result<Vec<AppUsage>, StoreError> {
                let names: Vec<_> = client_ids.iter().map(ClientId::as_str).collect();
                let mut usages: HashMap<String, AppUsage> = HashMap::new();
                for (name, row) in self.find_usage(&names).await? {
                    add(usages.entry(name).or_default(), &row);
                }
                Ok(names.iter().map(|it| usages.get(*it).cloned().unwrap_or_default()).collect())
            }

            async fn usage_history(
                &self,
                client_id: &ClientId,
                from: UnixTime,
                to: UnixTime,
            ) -> Result<UsageHistory, StoreError> {
                let (total, days) = self.find_history(client_id.as_str(), days(from, to)).await?;
                Ok(history_of(&total, &days))
            }

            async fn prune_events(
                &self,
                before: UnixTime,
                limit: usize,
            ) -> Result<Pruned, StoreError> {
                let day = day_of(before.as_millis());
                self.prune_audit(*EventId::first_at(before).as_bytes(), day, limit).await
            }
        }
    };
}

keeps_the_log!(MemoryStore);
#[cfg(feature = "sqlite")]
keeps_the_log!(SqliteStore);
#[cfg(feature = "postgres")]
keeps_the_log!(PostgresStore);

impl AuditStore for AnyStore {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        on_any!(self.append(events).await)
    }

    async fn find_events(
        &self,
        query: &AuditQuery,
        page: Page<EventId>,
    ) -> Result<Listing<StoredEvent, EventId>, StoreError> {
        on_any!(self.find_events(query, page).await)
    }

    async fn usage_of(&self, client_id: &ClientId) -> Result<AppUsage, StoreError> {
        on_any!(self.usage_of(client_id).await)
    }

    async fn usage_of_each(&self, client_ids: &[ClientId]) -> Result<Vec<AppUsage>, StoreError> {
        on_any!(self.usage_of_each(client_ids).await)
    }

    async fn usage_history(
        &self,
        client_id: &ClientId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<UsageHistory, StoreError> {
        on_any!(self.usage_history(client_id, from, to).await)
    }

    async fn prune_events(&self, before: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        on_any!(self.prune_events(before, limit).await)
    }
}

fn row_of(new: &NewEvent) -> Result<AuditRow, StoreError> {
    let stored = StoredEvent::of(new)?;
    let usage = UsageChange::of(&new.event).map(|change| match change {
        UsageChange::Counted(client_id, issued) => UsageStep::Count {
            client_id: client_id.to_string(),
            issued,
            times: i64::try_from(new.event.count).unwrap_or(i64::MAX),
        },
        UsageChange::Forgotten(client_id) => UsageStep::Forget { client_id: client_id.to_string() },
    });
    Ok(AuditRow {
        event_id: *stored.id.as_bytes(),
        at: stored.at.as_millis(),
        client_id: stored.client_id.map(|client_id| client_id.to_string()),
        subject: stored.subject.map(|subject| subject.to_string()),
        severity: severity_code(stored.severity),
        event: stored.json,
        usage,
    })
}

fn event_of(row: AuditRow) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: EventId::from_bytes(row.event_id),
        at: UnixTime::from_millis(row.at),
        client_id: row.client_id.map(ClientId::new).transpose().map_err(StoreError::new)?,
        subject: row.subject.map(Subject::new).transpose().map_err(StoreError::new)?,
        severity: severity_of(row.severity)?,
        json: row.event,
    })
}

fn filter_of<'a>(query: &'a AuditQuery, page: &Page<EventId>) -> AuditFilter<'a> {
    AuditFilter {
        client_id: query.client_id.as_ref().map(ClientId::as_str),
        subject: query.subject.as_ref().map(Subject::as_str),
        ids: (
            *EventId::first_at(query.since).as_bytes(),
            *EventId::new(query.until, [u8::MAX; 10]).as_bytes(),
        ),
        since: query.since.as_millis(),
        until: query.until.as_millis(),
        before: page.after.map(|id| *id.as_bytes()),
        // One more than the page holds, to detect the last page.
        limit: page.limit.saturating_add(1),
    }
}

fn listing_of(
    rows: Vec<AuditRow>,
    limit: usize,
) -> Result<Listing<StoredEvent, EventId>, StoreError> {
    let events = rows.into_iter().map(event_of).collect::<Result<_, _>>()?;
    Ok(Listing::first_of(events, limit, |last: &StoredEvent| last.id))
}

/// Adds a row to the usage of its app.
fn add(usage: &mut AppUsage, row: &UsageRow) {
    match row.issued {
        Some(grant_type) => {
            usage.issued.insert(grant_type, row.counted);
            usage.last_used = usage.last_used.max(Some(row.last_at));
        }
        None => usage.refused = row.counted,
    }
}

/// Returns the first and the last day that a history from `from` to `to` reads.
fn days(from: UnixTime, to: UnixTime) -> (i64, i64) {
    let (first, last) = (day_of(from.as_millis()), day_of(to.as_millis()));
    let most = i64::try_from(UsageHistory::MAX_DAYS).unwrap_or(i64::MAX);
    (first.max(last.saturating_sub(most).saturating_add(1)), last)
}

fn history_of(total: &[UsageRow], rows: &[DayRow]) -> UsageHistory {
    let mut history = UsageHistory::default();
    for row in total {
        add(&mut history.total, row);
    }
    let mut days: BTreeMap<i64, DayUsage> = BTreeMap::new();
    for row in rows {
        let begins = UnixTime::from_millis(row.day.saturating_mul(DAY_MILLIS));
        let day = days.entry(row.day).or_insert_with(|| DayUsage::on(begins));
        match row.issued {
            Some(grant_type) => drop(day.issued.insert(grant_type, row.counted)),
            None => day.refused = row.counted,
        }
    }
    history.days = days.into_values().collect();
    history
}

/// Encodes a severity as a number, from 1.
const fn severity_code(severity: Severity) -> i16 {
    match severity {
        Severity::Info => 1,
        Severity::Warning => 2,
        Severity::Error => 3,
    }
}

/// Decodes [`severity_code`].
fn severity_of(code: i16) -> Result<Severity, StoreError> {
    let all = [Severity::Info, Severity::Warning, Severity::Error];
    let found = all.into_iter().find(|severity| severity_code(*severity) == code);
    found.ok_or_else(|| StoreError::new("an invalid severity code"))
}
