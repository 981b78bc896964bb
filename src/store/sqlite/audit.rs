//! The rows of the audit log and of usage.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::SqliteStore;
use super::batch::{Batch, Failed};
use super::steps::MAX_PRUNED;
use crate::store::sql::{Names, counter_code};
use crate::store::{AuditFilter, AuditRow, Pruned, StoreError, UsageRow, UsageStep};

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

    pub(crate) async fn find_usage(&self, client_id: &str) -> Result<Vec<UsageRow>, StoreError> {
        let rows = sqlx::query(self.sql.find_usage.clone()).bind(self.names.write(client_id));
        let rows = rows.fetch_all(self.readers()?).await.map_err(StoreError::new)?;
        let columns = |row: &SqliteRow| -> Result<_, sqlx::Error> {
            Ok((row.try_get("kind")?, row.try_get("counted")?, row.try_get("last_at")?))
        };
        let read = |row: &SqliteRow| {
            let (kind, counted, last_at) = columns(row).map_err(StoreError::new)?;
            UsageRow::read(kind, counted, last_at)
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn prune_audit(
        &self,
        before: [u8; 16],
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let limit = i64::try_from(limit.min(MAX_PRUNED)).unwrap_or(0);
        let prune = move |batch: &mut Batch<'_>| {
            let sql = batch.sql;
            let (before, issuer) = (&before[..], batch.names.number());
            let prune = sqlx::query(sql.prune_audit.clone()).bind(before).bind(limit);
            let gone = batch.execute(prune.bind(issuer))?;
            let has_old = sqlx::query(sql.has_old_audit.clone()).bind(before).bind(issuer);
            let row = batch.one(has_old)?;
            let removed = usize::try_from(gone).unwrap_or(0);
            Ok(Pruned { removed, more: row.try_get("has_old")? })
        };
        self.run(prune).await
    }
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
    for row in rows.iter().filter(|row| born.contains(&row.event_id[..])) {
        match &row.usage {
            Some(UsageStep::Count { client_id, issued, times }) => {
                let (counted, last_at) =
                    counts.entry((client_id, counter_code(*issued))).or_insert((0, row.at));
                *counted = counted.saturating_add(*times);
                *last_at = row.at.max(*last_at);
            }
            Some(UsageStep::Forget { client_id }) => {
                counts.retain(|(counted, _), _| counted != client_id);
                batch
                    .execute(sqlx::query(sql.forget_usage.clone()).bind(names.write(client_id)))?;
            }
            None => {}
        }
    }
    for ((client_id, kind), (counted, last_at)) in counts {
        let count = sqlx::query(sql.count_usage.clone()).bind(names.write(client_id)).bind(kind);
        batch.execute(count.bind(counted).bind(last_at))?;
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
