//! [`IssuerStore`] on PostgreSQL, and its statements.

use sqlx::{SqlStr, query};

use super::PostgresStore;
use super::rows::column;
use super::statements::Tables;
use crate::ids::EvidenceIssuer;
use crate::store::sql::statement;
use crate::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};

/// The statements of trusted issuers.
pub(super) struct Statements {
    list: SqlStr,
    add: SqlStr,
    edit: SqlStr,
    remove: SqlStr,
}

impl Statements {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            list: statement(format!(
                "SELECT record FROM {p}trusted_issuers WHERE issuer = $1 ORDER BY name"
            )),
            add: statement(format!(
                "INSERT INTO {p}trusted_issuers (issuer, name, version, record) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, name) DO NOTHING RETURNING 1"
            )),
            edit: statement(format!(
                "UPDATE {p}trusted_issuers SET version = $3, record = $4 \
                 WHERE issuer = $1 AND name = $2 AND version = $5 RETURNING 1"
            )),
            remove: statement(format!(
                "DELETE FROM {p}trusted_issuers WHERE issuer = $1 AND name = $2 RETURNING 1"
            )),
        }
    }
}

impl IssuerStore for PostgresStore {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        let sql = &self.sql.trusted_issuers.list;
        let make = || query(sql.clone()).bind(self.names.number().unwrap_or(0));
        let rows = self.run(make).await.map_err(StoreError::new)?;
        let read = |row: &sqlx::postgres::PgRow| {
            let record: String = column(row, "record")?;
            serde_json::from_str(&record).map_err(StoreError::new)
        };
        rows.iter().map(read).collect()
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        let sql = &self.sql.trusted_issuers;
        let json = serde_json::to_string(record).map_err(StoreError::new)?;
        let put = |sql: &SqlStr| {
            query(sql.clone())
                .bind(self.names.number().unwrap_or(0))
                .bind(record.settings.issuer().as_str())
                .bind(record.version.cast_signed())
                .bind(json.as_str())
        };
        let stored = match expected {
            None => self.row(|| put(&sql.add)).await?,
            Some(expected) => self.row(|| put(&sql.edit).bind(expected.cast_signed())).await?,
        };
        Ok(if stored.is_some() { PutIssuer::Stored } else { PutIssuer::Conflict })
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        let make = || {
            query(self.sql.trusted_issuers.remove.clone())
                .bind(self.names.number().unwrap_or(0))
                .bind(issuer.as_str())
        };
        Ok(self.row(make).await?.is_some())
    }
}
