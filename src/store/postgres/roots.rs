//! The fingerprints of the roots under which the tables were written.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, SqlStr, query};

use super::PostgresStore;
use super::limits::BEGIN;
use super::rows::column;
use super::statements::Tables;
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::StoreError;
use crate::store::sql::{differences, statement};

/// The statements about the fingerprints of roots. `$1` and `$2` bound the names of the issuer.
pub(super) struct Roots {
    /// Locks the row of the first issuer.
    lock: SqlStr,
    /// Locks the row of the further issuer `$1`.
    lock_further: SqlStr,
    find: SqlStr,
    forget: SqlStr,
    remember: SqlStr,
}

impl Roots {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        let own = "print > $1 AND ($2::text IS NULL OR print < $2)";
        Self {
            lock: statement(format!("SELECT 1 FROM {p}clock WHERE id = 1 FOR UPDATE")),
            lock_further: statement(format!("SELECT 1 FROM {p}issuers WHERE id = $1 FOR UPDATE")),
            find: statement(format!("SELECT print FROM {p}roots WHERE {own} ORDER BY place")),
            forget: statement(format!("DELETE FROM {p}roots WHERE print = ANY($1::text[])")),
            remember: statement(format!(
                "INSERT INTO {p}roots (print, place) \
                     SELECT new.print, new.place + \
                         (SELECT COALESCE(max(place), 0) FROM {p}roots WHERE {own}) \
                     FROM UNNEST($3::text[]) WITH ORDINALITY AS new (print, place)"
            )),
        }
    }
}

/// The effect of a claim.
struct Judged {
    before: Vec<RootPrint>,
    after: Vec<RootPrint>,
    /// The roots that the server lacks.
    missing: Vec<RootPrint>,
}

impl PostgresStore {
    /// Claims the roots of a server. If nothing has to be written, as at each start but the first, that takes
    /// one statement and no lock.
    pub(super) async fn claim(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        let names = &self.names;
        let find = || {
            let find = query(self.sql.roots.find.clone());
            find.bind(names.floor()).bind(names.ceiling())
        };
        let found = self.run(find).await.map_err(StoreError::new)?;
        let judged = self.judge(&found, claim)?;
        if judged.before == judged.after {
            return Ok(judged.missing);
        }
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

    /// Applies a claim to the remembered fingerprints.
    fn judge(&self, found: &[PgRow], claim: &RootsClaim) -> Result<Judged, StoreError> {
        let print = |row| {
            let print = self.names.read(column(row, "print")?).unwrap_or_default();
            print.parse().map_err(StoreError::new)
        };
        let before = found.iter().map(print).collect::<Result<Vec<RootPrint>, _>>()?;
        let mut after = before.clone();
        let missing = claim.apply(&mut after);
        Ok(Judged { before, after, missing })
    }

    async fn claim_on(
        &self,
        connection: &mut PgConnection,
        claim: &RootsClaim,
    ) -> Result<Vec<RootPrint>, StoreError> {
        let (sql, names) = (&self.sql.roots, &self.names);
        // One process at a time claims for an issuer.
        let lock = match names.number() {
            None => query(sql.lock.clone()),
            Some(number) => query(sql.lock_further.clone()).bind(number),
        };
        lock.persistent(false).execute(&mut *connection).await.map_err(StoreError::new)?;
        let find = query(sql.find.clone()).persistent(false).bind(names.floor());
        let found = find.bind(names.ceiling()).fetch_all(&mut *connection).await;
        let Judged { before, after, missing } =
            self.judge(&found.map_err(StoreError::new)?, claim)?;
        let (gone, new) = differences(&before, &after);
        let write = |print: &RootPrint| names.write(&print.to_string()).into_owned();
        if !gone.is_empty() {
            let gone: Vec<_> = gone.iter().map(write).collect();
            let forget = query(sql.forget.clone()).persistent(false).bind(gone);
            forget.execute(&mut *connection).await.map_err(StoreError::new)?;
        }
        if !new.is_empty() {
            let new: Vec<_> = new.iter().map(write).collect();
            let remember = query(sql.remember.clone()).persistent(false).bind(names.floor());
            let remember = remember.bind(names.ceiling()).bind(new);
            remember.execute(&mut *connection).await.map_err(StoreError::new)?;
        }
        Ok(missing)
    }
}
