//! [`PendingStore`] on PostgreSQL, and its statements.

use sqlx::{SqlStr, query};

use super::PostgresStore;
use super::pruning::{Prune, prune};
use super::rows::column;
use super::statements::Tables;
use crate::clock::UnixTime;
use crate::secret::Digest;
use crate::store::sql::statement;
use crate::store::{Keep, PendingRecord, PendingStore, Pruned, StoreError};

/// The statements of pending records.
pub(super) struct Statements {
    keep: SqlStr,
    find: SqlStr,
    prune: Prune,
}

impl Statements {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            // An expired record that waits for its lock is judged as it is then.
            keep: statement(format!(
                "INSERT INTO {p}pending AS r (issuer, key, sealed, expires_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, key) DO UPDATE \
                 SET sealed = EXCLUDED.sealed, expires_at = EXCLUDED.expires_at \
                 WHERE r.expires_at <= $5 RETURNING 1"
            )),
            find: statement(format!(
                "SELECT sealed FROM {p}pending \
                 WHERE issuer = $1 AND key = $2 AND expires_at > $3"
            )),
            prune: prune(&format!("{p}pending"), "issuer, key", "expires_at"),
        }
    }
}

impl PendingStore for PostgresStore {
    async fn keep(&self, record: &PendingRecord, now: UnixTime) -> Result<Keep, StoreError> {
        let make = || {
            query(self.sql.pending.keep.clone())
                .bind(self.names.number().unwrap_or(0))
                .bind(&record.key.as_bytes()[..])
                .bind(&record.sealed[..])
                .bind(record.expires_at.as_millis())
                .bind(now.as_millis())
        };
        let kept = self.row(make).await?;
        Ok(if kept.is_some() { Keep::Kept } else { Keep::Taken })
    }

    async fn find_kept(&self, key: &Digest, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
        let make = || {
            query(self.sql.pending.find.clone())
                .bind(self.names.number().unwrap_or(0))
                .bind(&key.as_bytes()[..])
                .bind(now.as_millis())
        };
        self.row(make).await?.map(|row| column(&row, "sealed")).transpose()
    }

    async fn prune_kept(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let sql = &self.sql.pending.prune;
        let room = i64::try_from(limit).unwrap_or(i64::MAX);
        let remove = || query(sql.remove.clone()).bind(now.as_millis()).bind(room);
        let gone: i64 = column(&self.one_row(remove).await?, "gone")?;
        let removed = usize::try_from(gone).unwrap_or(usize::MAX);
        let is_left = || query(sql.is_left.clone()).bind(now.as_millis());
        let more = removed >= limit && column(&self.one_row(is_left).await?, "is_left")?;
        Ok(Pruned { removed, more })
    }
}
