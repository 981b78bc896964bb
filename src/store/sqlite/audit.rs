//! The rows of the audit log and of usage.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::SqliteStore;
use super::batch::{Batch, Failed};
use super::steps::MAX_PRUNED;
use crate::store::sql::{Names, counter_code};
use crate::store::{
    AuditFilter, AuditRow, DayRow, HistoryRows, Pruned, StoreError, UsageRow, UsageStep, day_of,
};

/// The number of events that a step of pruning removes. In a large log, each has a page of the index of users to itself.
const PRUNED_AT_ONCE: usize = 100;

impl SqliteStore {
    pub(crate) async fn append_audit(&self, rows: Vec<AuditRow>) -> Result<(), StoreError> {
        let rows = AuditRow::distinct(rows);
        if rows.is_empty() {
            return Ok(());
        }
        let json = to_json(&rows, &self.names).map_err(StoreError::new)?;
        let appended: Arc<(Vec<AuditRow>, String)> = Arc::new((rows, json));
        self.run(move |batch| append(batch, &appended.0, &appended.1)).await
    }

    pub(crate) async fn find_audit(
        &self,
        filter: &AuditFilter<'_>,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let names = filter.names(&self.names);
        let filter = names.of(filter);
        let mut text: QueryBuilder<Sqlite> =
            filter.select(self.sql.find_audit.as_str(), &self.names);
        let rows = text.build().persistent(false).fetch_all(self.readers()?).await;
        let rows = rows.map_err(StoreError::new)?;
        let read = |row| read(row, &self.names);
        rows.iter().map(read).collect::<Result<_, _>>().map_err(StoreError::new)
    }

    pub(crate) async fn find_usage(
        &self,
        client_ids: &[&str],
    ) -> Result<Vec<(String, UsageRow)>, StoreError> {
        let names: Vec<_> = client_ids.iter().map(|it| self.names.write(it)).collect();
        let names = serde_json::to_string(&names).map_err(StoreError::new)?;
        let rows = sqlx::query(self.sql.find_usage.clone()).bind(names);
        let rows = rows.fetch_all(self.readers()?).await.map_err(StoreError::new)?;
        let read = |row: &SqliteRow| {
            let client_id: &str = row.try_get("client_id").map_err(StoreError::new)?;
            Ok((self.names.read(client_id).unwrap_or_default().to_owned(), usage(row)?))
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn find_history(
        &self,
        client_id: &str,
        (first, last): (i64, i64),
    ) -> Result<HistoryRows, StoreError> {
        let rows = sqlx::query(self.sql.find_history.clone()).bind(self.names.write(client_id));
        let rows = rows.bind(first).bind(last).fetch_all(self.readers()?).await;
        let (mut total, mut days) = (Vec::new(), Vec::new());
        for row in &rows.map_err(StoreError::new)? {
            match row.try_get("day").map_err(StoreError::new)? {
                Some(day) => {
                    let (kind, counted, _) = counter(row).map_err(StoreError::new)?;
                    days.push(DayRow::read(day, kind, counted)?);
                }
                None => total.push(usage(row)?),
            }
        }
        Ok((total, days))
    }

    /// Removes old events in steps, each a transaction that others may share, so that none waits long for the writer.
    pub(crate) async fn prune_audit(
        &self,
        before: [u8; 16],
        before_day: i64,
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let limit = limit.min(MAX_PRUNED);
        let mut removed = 0;
        loop {
            let step = PRUNED_AT_ONCE.min(limit - removed);
            let pruned = self.prune_audit_once(before, before_day, step).await?;
            removed += pruned.removed;
            if pruned.removed == 0 || !pruned.more || removed >= limit {
                return Ok(Pruned { removed, more: pruned.more });
            }
        }
    }

    async fn prune_audit_once(
        &self,
        before: [u8; 16],
        before_day: i64,
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(0);
        let prune = move |batch: &mut Batch<'_>| {
            let (sql, names) = (batch.sql, batch.names.clone());
            let (before, issuer) = (&before[..], names.number());
            let (floor, ceiling) = (names.floor(), names.ceiling());
            let prune = sqlx::query(sql.prune_audit.clone()).bind(before).bind(limit);
            let events = batch.execute(prune.bind(issuer))?;
            let left = limit.saturating_sub_unsigned(events);
            let prune = sqlx::query(sql.prune_days.clone()).bind(before_day).bind(left);
            let days = batch.execute(prune.bind(floor).bind(ceiling))?;
            let has_old = sqlx::query(sql.has_old_audit.clone()).bind(before).bind(issuer);
            let row = batch.one(has_old.bind(before_day).bind(floor).bind(ceiling))?;
            let removed = usize::try_from(events + days).unwrap_or(0);
            Ok(Pruned { removed, more: row.try_get("has_old")? })
        };
        self.run(prune).await
    }
}

/// Reads the kind, the count and the last instant of a row of usage.
fn counter(row: &SqliteRow) -> Result<(i64, i64, i64), sqlx::Error> {
    Ok((row.try_get("kind")?, row.try_get("counted")?, row.try_get("last_at")?))
}

fn usage(row: &SqliteRow) -> Result<UsageRow, StoreError> {
    let (kind, counted, last_at) = counter(row).map_err(StoreError::new)?;
    UsageRow::read(kind, counted, last_at)
}

/// Returns the columns of the rows as the JSON that the statement takes.
fn to_json(rows: &[AuditRow], names: &Names) -> Result<String, serde_json::Error> {
    let columns = rows.iter().map(|row| {
        let id = format!("{:032x}", u128::from_be_bytes(row.event_id));
        let client_id = row.client_id.as_deref().map(|app| names.write(app));
        let subject = row.subject.as_deref().map(|user| names.write(user));
        (id, row.at, client_id, subject, row.severity, &row.event)
    });
    serde_json::to_string(&columns.collect::<Vec<_>>())
}

fn append(batch: &mut Batch<'_>, rows: &[AuditRow], json: &str) -> Result<(), Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let append = sqlx::query(sql.append_audit.clone()).bind(json).bind(names.number());
    let born = batch.all(append)?;
    let born = born.iter().map(|row| row.try_get("event_id"));
    let born: HashSet<Vec<u8>> = born.collect::<Result<_, _>>()?;
    let mut counts: BTreeMap<(&str, i16), (i64, i64)> = BTreeMap::new();
    let mut days: BTreeMap<(&str, i64, i16), i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| born.contains(&row.event_id[..])) {
        match &row.usage {
            Some(UsageStep::Count { client_id, issued, times }) => {
                let kind = counter_code(*issued);
                let (counted, last_at) = counts.entry((client_id, kind)).or_insert((0, row.at));
                *counted = counted.saturating_add(*times);
                *last_at = row.at.max(*last_at);
                let day = days.entry((client_id, day_of(row.at), kind)).or_default();
                *day = day.saturating_add(*times);
            }
            Some(UsageStep::Forget { client_id }) => {
                counts.retain(|(counted, _), _| counted != client_id);
                days.retain(|(counted, ..), _| counted != client_id);
                for sql in [&sql.forget_usage, &sql.forget_days] {
                    batch.execute(sqlx::query(sql.clone()).bind(names.write(client_id)))?;
                }
            }
            None => {}
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let counts = counts.into_iter().map(|((app, kind), (counted, last_at))| {
        serde_json::json!([names.write(app), kind, counted, last_at])
    });
    let days = days.into_iter().map(|((app, day, kind), counted)| {
        serde_json::json!([names.write(app), day, kind, counted])
    });
    let (counts, days): (serde_json::Value, serde_json::Value) = (counts.collect(), days.collect());
    for (sql, rows) in [(&sql.count_usage, counts), (&sql.count_days, days)] {
        batch.execute(sqlx::query(sql.clone()).bind(rows.to_string()))?;
    }
    Ok(())
}

fn read(row: &SqliteRow, names: &Names) -> Result<AuditRow, sqlx::Error> {
    let name = |column| -> Result<_, sqlx::Error> {
        let text: Option<&str> = row.try_get(column)?;
        Ok(text.and_then(|text| names.read(text)).map(ToOwned::to_owned))
    };
    let event_id: Vec<u8> = row.try_get("event_id")?;
    Ok(AuditRow {
        event_id: event_id.try_into().map_err(|_| sqlx::Error::Decode("event_id".into()))?,
        at: row.try_get("at")?,
        client_id: name("client_id")?,
        subject: name("subject")?,
        severity: row.try_get("severity")?,
        event: row.try_get("event")?,
        usage: None,
    })
}
