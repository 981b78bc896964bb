//! The fingerprints of the roots under which the tables were written.

use sqlx::{PgConnection, SqlStr, query};

use super::PostgresStore;
use super::limits::BEGIN;
use super::rows::column;
use super::statements::Tables;
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::StoreError;
use crate::store::sql::{differences, statement};

/// The statements about the fingerprints of roots.
pub(super) struct Roots {
    lock: SqlStr,
    find: SqlStr,
    forget: SqlStr,
    remember: SqlStr,
}

impl Roots {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            lock: statement(format!("SELECT 1 FROM {p}clock WHERE id = 1 FOR UPDATE")),
            find: statement(format!(
                "SELECT print FROM {p}roots WHERE print > $1 \
                     AND ($2::text IS NULL OR print < $2) ORDER BY place"
            )),
            forget: statement(format!("DELETE FROM {p}roots WHERE print = $1")),
            remember: statement(format!(
                "INSERT INTO {p}roots (print, place) \
                     SELECT $1, COALESCE(max(place), 0) + 1 FROM {p}roots"
            )),
        }
    }
}

impl PostgresStore {
    /// Claims the roots of a server, in a transaction that holds the row of the clock.
    pub(super) async fn claim(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        let claimed = async {
            let transaction = self.connections.pool().begin_with(BEGIN).await;
            let mut transaction = transaction.map_err(StoreError::new)?;
            let missing = self.claim_on(&mut transaction, claim).await?;
            transaction.commit().await.map_err(StoreError::new)?;
            Ok(missing)
        };
        let claimed = tokio::time::timeout(self.timeout, claimed).await;
        claimed.map_err(|_| StoreError::new(super::run::Late(self.timeout)))?
    }

    async fn claim_on(
        &self,
        connection: &mut PgConnection,
        claim: &RootsClaim,
    ) -> Result<Vec<RootPrint>, StoreError> {
        let sql = &self.sql.roots;
        // One process at a time.
        let lock = query(sql.lock.clone()).persistent(false);
        lock.execute(&mut *connection).await.map_err(StoreError::new)?;
        let names = &self.names;
        let find = query(sql.find.clone()).persistent(false).bind(names.floor());
        let rows = find.bind(names.ceiling()).fetch_all(&mut *connection).await;
        let print = |row| {
            let print = names.read(column(row, "print")?).unwrap_or_default();
            print.parse().map_err(StoreError::new)
        };
        let rows = rows.map_err(StoreError::new)?;
        let before = rows.iter().map(print).collect::<Result<Vec<RootPrint>, _>>()?;
        let mut after = before.clone();
        let missing = claim.apply(&mut after);
        let (gone, new) = differences(&before, &after);
        let changes = [(&sql.forget, gone), (&sql.remember, new)];
        for (text, prints) in changes {
            for print in prints {
                let print = print.to_string();
                let change = query(text.clone()).persistent(false).bind(names.write(&print));
                change.execute(&mut *connection).await.map_err(StoreError::new)?;
            }
        }
        Ok(missing)
    }
}
