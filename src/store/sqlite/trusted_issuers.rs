//! [`IssuerStore`] on SQLite.

use sqlx::Row as _;

use super::SqliteStore;
use crate::ids::EvidenceIssuer;
use crate::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};

impl IssuerStore for SqliteStore {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        let list = sqlx::query(self.sql.list_trusted_issuers.clone())
            .bind(self.names.number().unwrap_or(0));
        let rows = list.fetch_all(self.readers()?).await.map_err(StoreError::new)?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let record: String = row.try_get("record").map_err(StoreError::new)?;
            serde_json::from_str(&record).map_err(StoreError::new)
        };
        rows.iter().map(read).collect()
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        let own = self.names.number().unwrap_or(0);
        let name = record.settings.issuer().clone();
        let json = serde_json::to_string(record).map_err(StoreError::new)?;
        let (version, expected) = (record.version.cast_signed(), expected.map(u64::cast_signed));
        self.run(move |batch| {
            let sql = match expected {
                None => &batch.sql.add_trusted_issuer,
                Some(_) => &batch.sql.edit_trusted_issuer,
            };
            let put = sqlx::query(sql.clone()).bind(own).bind(name.as_str()).bind(version);
            let stored = batch.execute(put.bind(json.as_str()).bind(expected))?;
            Ok(if stored > 0 { PutIssuer::Stored } else { PutIssuer::Conflict })
        })
        .await
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        let (own, name) = (self.names.number().unwrap_or(0), issuer.clone());
        self.run(move |batch| {
            let remove = sqlx::query(batch.sql.remove_trusted_issuer.clone());
            Ok(batch.execute(remove.bind(own).bind(name.as_str()))? > 0)
        })
        .await
    }
}
