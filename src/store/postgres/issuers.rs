//! The views of further issuers.

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

use sqlx::{SqlStr, query};

use super::PostgresStore;
use super::known::KnownGrants;
use super::limits::UNLIMITED;
use super::rows::column;
use super::run::MAX_ATTEMPTS;
use super::statements::{Tables, seen};
use crate::ids::Issuer;
use crate::store::StoreError;
use crate::store::sql::{in_order, statement};

/// The statements about further issuers.
pub(super) struct Issuers {
    find: SqlStr,
    /// Takes the number of an issuer.
    pub(super) apps_version: SqlStr,
}

impl Issuers {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            find: statement(find(p)),
            apps_version: statement(seen(
                p,
                &format!(", app_changes AS counted, {UNLIMITED}"),
                "JOIN {p}issuers AS changes ON changes.id = $1",
            )),
        }
    }
}

/// `$1` the names of issuers. Another process may insert at the same time, and then some are missing.
fn find(p: &Tables<'_>) -> String {
    format!(
        "WITH missing AS (SELECT DISTINCT asked.issuer FROM UNNEST($1::text[]) AS asked (issuer) \
             WHERE NOT EXISTS (SELECT 1 FROM {p}issuers AS i WHERE i.issuer = asked.issuer)), \
         born AS (INSERT INTO {p}issuers (id, issuer, app_changes) \
             SELECT CAST((SELECT COALESCE(max(id), 0) FROM {p}issuers) \
                 + row_number() OVER (ORDER BY issuer) AS int4), issuer, 0 FROM missing \
             ON CONFLICT DO NOTHING RETURNING id, issuer) \
         SELECT id, issuer FROM {p}issuers WHERE issuer = ANY($1::text[]) \
         UNION ALL SELECT id, issuer FROM born"
    )
}

impl PostgresStore {
    /// Returns the view of a further issuer of these tables, as [`for_issuers`](Self::for_issuers) does.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer, or lacks the tables.
    pub async fn for_issuer(&self, issuer: &Issuer) -> Result<Self, StoreError> {
        let view = self.for_issuers(slice::from_ref(issuer)).await?.pop();
        view.ok_or_else(|| StoreError::new("there is no view"))
    }

    /// Returns the views of further issuers of these tables, in their order. They share the pool, and have the
    /// settings of this store. A call is one statement, which also writes the names of new issuers.
    ///
    /// The store itself is the view of the *first* issuer, which owns the rows that the tables have had so far. Do not pass that one here, because its view would be empty. Through a view, no row of
    /// another issuer is found, listed, claimed or revoked. [`close`](Self::close) closes the pool for all.
    ///
    /// ```no_run
    /// # use grantor::store::PostgresStore;
    /// # async fn example(first: PostgresStore) -> Result<(), Box<dyn std::error::Error>> {
    /// first.migrate().await?;
    /// let tenant = first.for_issuer(&"https://example.com/tenant-a".parse()?).await?;
    /// # let _ = tenant;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer, or lacks the tables.
    pub async fn for_issuers(&self, issuers: &[Issuer]) -> Result<Vec<Self>, StoreError> {
        let names: Vec<_> = issuers.iter().map(Issuer::as_str).collect();
        let mut numbers = HashMap::new();
        for _ in 0..MAX_ATTEMPTS {
            let find = || query(self.sql.issuers.find.clone()).bind(&names[..]);
            for row in &self.run(find).await.map_err(StoreError::new)? {
                numbers.insert(column::<String>(row, "issuer")?, column::<i32>(row, "id")?);
            }
            // Another process has taken a number or a name meanwhile. The next statement sees it.
            if names.iter().all(|name| numbers.contains_key(*name)) {
                break;
            }
        }
        // A look-up that others join reads their grants as those of its own issuer.
        let view = |names| {
            let known = Arc::new(KnownGrants::new(self.known.most()));
            Self { names, finds: Arc::default(), known, ..self.clone() }
        };
        Ok(in_order(&names, &numbers)?.into_iter().map(view).collect())
    }
}
