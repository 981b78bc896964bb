//! The audit log and usage, in rows.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, query};

use super::PostgresStore;
use super::rows::column;
use super::statements::FORGOTTEN;
use crate::store::sql::counter_code;
use crate::store::{AuditFilter, AuditRow, Pruned, StoreError, UsageRow, UsageStep};

impl PostgresStore {
    pub(crate) async fn append_audit(&self, rows: Vec<AuditRow>) -> Result<(), StoreError> {
        let rows = AuditRow::distinct(rows);
        // What is counted before and after a deletion cannot stand in the statement that deletes.
        let is_deletion = |row: &AuditRow| matches!(row.usage, Some(UsageStep::Forget { .. }));
        for rows in rows.chunk_by(|one, next| !is_deletion(one) && !is_deletion(next)) {
            self.append_at_once(rows).await?;
        }
        Ok(())
    }

    async fn append_at_once(&self, rows: &[AuditRow]) -> Result<(), StoreError> {
        let change = |row: &AuditRow| match &row.usage {
            Some(UsageStep::Count { client_id, issued }) => {
                (Some(client_id.clone()), Some(counter_code(*issued)))
            }
            Some(UsageStep::Forget { client_id }) => (Some(client_id.clone()), Some(FORGOTTEN)),
            None => (None, None),
        };
        let (apps, kinds): (Vec<_>, Vec<_>) = rows.iter().map(change).unzip();
        let append = || {
            query(&self.sql.append_audit)
                .bind(rows.iter().map(|row| row.event_id.to_vec()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.client_id.clone()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.subject.clone()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.severity).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.event.clone()).collect::<Vec<_>>())
                .bind(apps.as_slice())
                .bind(kinds.as_slice())
        };
        self.row(append).await.map(|_| ())
    }

    pub(crate) async fn find_audit(
        &self,
        filter: &AuditFilter<'_>,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let (first, last) = &filter.ids;
        let mut text = QueryBuilder::<Postgres>::new(self.sql.find_audit.as_str());
        text.push_bind(&first[..]).push(" AND event_id <= ").push_bind(&last[..]);
        text.push(" AND at >= ").push_bind(filter.since);
        text.push(" AND at <= ").push_bind(filter.until);
        if let Some(before) = &filter.before {
            text.push(" AND event_id < ").push_bind(&before[..]);
        }
        if let Some(client_id) = filter.client_id {
            text.push(" AND client_id = ").push_bind(client_id);
        }
        if let Some(subject) = filter.subject {
            text.push(" AND subject = ").push_bind(subject);
        }
        let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
        text.push(" ORDER BY event_id DESC LIMIT ").push_bind(limit);
        self.built(text).await?.iter().map(read).collect()
    }

    pub(crate) async fn find_usage(&self, client_id: &str) -> Result<Vec<UsageRow>, StoreError> {
        let rows = self.run(|| query(&self.sql.find_usage).bind(client_id)).await;
        let read = |row: &PgRow| {
            let kind = column::<i16>(row, "kind")?.into();
            UsageRow::read(kind, column(row, "counted")?, column(row, "last_at")?)
        };
        rows.map_err(StoreError::new)?.iter().map(read).collect()
    }

    pub(crate) async fn prune_audit(
        &self,
        before: [u8; 16],
        limit: usize,
    ) -> Result<Pruned, StoreError> {
        let (sql, room) = (&self.sql.prune_audit, i64::try_from(limit).unwrap_or(i64::MAX));
        let remove = || query(&sql.remove).bind(&before[..]).bind(room);
        let removed = self.run(remove).await.map_err(StoreError::new)?.len();
        if removed < limit {
            return Ok(Pruned { removed, more: false });
        }
        let is_left = || query(&sql.is_left).bind(&before[..]);
        Ok(Pruned { removed, more: column(&self.one_row(is_left).await?, "is_left")? })
    }
}

fn read(row: &PgRow) -> Result<AuditRow, StoreError> {
    let event_id: Vec<u8> = column(row, "event_id")?;
    Ok(AuditRow {
        event_id: event_id.try_into().map_err(|_| StoreError::new("an event id is not one"))?,
        at: column(row, "at")?,
        client_id: column(row, "client_id")?,
        subject: column(row, "subject")?,
        severity: column(row, "severity")?,
        event: column(row, "event")?,
        usage: None,
    })
}
