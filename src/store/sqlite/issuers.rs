//! The views of further issuers.

use std::collections::HashMap;
use std::slice;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::batch::{Batch, Failed};
use crate::ids::Issuer;
use crate::store::StoreError;
use crate::store::sql::in_order;

impl SqliteStore {
    /// Returns the view of a further issuer of this file, as [`for_issuers`](Self::for_issuers) does.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be read or written.
    pub async fn for_issuer(&self, issuer: &Issuer) -> Result<Self, StoreError> {
        let view = self.for_issuers(slice::from_ref(issuer)).await?.pop();
        view.ok_or_else(|| StoreError::new("there is no view"))
    }

    /// Returns the views of further issuers of this file, in their order. They share its tables, its
    /// connections and its writer. A call is one statement, and one transaction if some issuers are new.
    ///
    /// The store itself is the view of the *first* issuer, which owns the rows that the file has had so far. Do not pass that one here, because its view would be empty. Through a view, no row of
    /// another issuer is found, listed, claimed or revoked. [`close`](Self::close) closes the file for all.
    ///
    /// ```
    /// # use grantor::store::SqliteStore;
    /// # async fn example(first: SqliteStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let tenant = first.for_issuer(&"https://example.com/tenant-a".parse()?).await?;
    /// # let _ = tenant;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be read or written.
    pub async fn for_issuers(&self, issuers: &[Issuer]) -> Result<Vec<Self>, StoreError> {
        let names: Vec<_> = issuers.iter().map(Issuer::as_str).collect();
        let json = serde_json::to_string(&names).map_err(StoreError::new)?;
        let find = sqlx::query(self.sql.find_issuers.clone()).bind(json.as_str());
        let rows = find.fetch_all(self.readers()?).await.map_err(StoreError::new)?;
        let mut known = numbers(&rows).map_err(StoreError::new)?;
        if names.iter().any(|name| !known.contains_key(*name)) {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            known = self.run(move |batch| insert(batch, &names, &json)).await?;
        }
        let view = |names| Self { names, ..self.clone() };
        Ok(in_order(&names, &known)?.into_iter().map(view).collect())
    }

    /// Runs a step of this issuer in the transaction of a batch.
    pub(super) async fn run<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Batch<'_>) -> Result<T, Failed> + Send + 'static,
    {
        self.queue.run(self.names.clone(), step).await
    }
}

/// Inserts the missing issuers, and returns the numbers of all.
fn insert(
    batch: &mut Batch<'_>,
    issuers: &[String],
    json: &str,
) -> Result<HashMap<String, i32>, Failed> {
    let sql = batch.sql;
    for issuer in issuers {
        batch.execute(sqlx::query(sql.insert_issuer.clone()).bind(issuer.as_str()))?;
    }
    Ok(numbers(&batch.all(sqlx::query(sql.find_issuers.clone()).bind(json))?)?)
}

fn numbers(rows: &[SqliteRow]) -> Result<HashMap<String, i32>, sqlx::Error> {
    rows.iter().map(|row| Ok((row.try_get("issuer")?, row.try_get("id")?))).collect()
}
