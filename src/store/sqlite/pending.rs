//! [`PendingStore`] on SQLite.

use sqlx::Row as _;

use super::SqliteStore;
use super::steps::MAX_PRUNED;
use crate::clock::UnixTime;
use crate::secret::Digest;
use crate::store::{Keep, PendingRecord, PendingStore, Pruned, StoreError};

impl PendingStore for SqliteStore {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        let (record, issuer) = (record.clone(), self.names.number().unwrap_or(0));
        self.run(move |batch| {
            let kept = batch.execute(
                sqlx::query(batch.sql.keep_pending.clone())
                    .bind(issuer)
                    .bind(&record.key.as_bytes()[..])
                    .bind(&record.sealed[..])
                    .bind(record.expires_at.as_millis())
                    .bind(now.as_millis()),
            )?;
            Ok(if kept > 0 { Keep::Kept } else { Keep::Taken })
        })
        .await
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        let find = sqlx::query(self.sql.find_pending.clone())
            .bind(self.names.number().unwrap_or(0))
            .bind(&key.as_bytes()[..])
            .bind(now.as_millis());
        let row = find.fetch_optional(self.readers()?).await.map_err(StoreError::new)?;
        row.map(|row| row.try_get("sealed")).transpose().map_err(StoreError::new)
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let limit = i64::try_from(limit.min(MAX_PRUNED)).unwrap_or(0);
        self.run(move |batch| {
            let (sql, now) = (batch.sql, now.as_millis());
            let prune = sqlx::query(sql.prune_pending.clone()).bind(now).bind(limit);
            let removed = usize::try_from(batch.execute(prune)?).unwrap_or(usize::MAX);
            let row = batch.one(sqlx::query(sql.has_old_pending.clone()).bind(now))?;
            Ok(Pruned { removed, more: row.try_get("has_old")? })
        })
        .await
    }
}
