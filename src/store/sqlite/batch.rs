//! The transaction of a batch.

use std::collections::{HashMap, HashSet};

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row as _, SqlStr, Sqlite};

use super::statements::Statements;
use super::steps;
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::sql::{Names, reason_code, write_target};
use crate::store::{Revocation, RevocationTarget, Revoked, Rotation, StoreError};

/// Takes the write lock at once, so that nothing read afterwards changes before the commit.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// The failure of a step.
pub(super) enum Failed {
    /// The database failed. The whole transaction is rolled back.
    Database(sqlx::Error),
    /// The step is impossible, and has written nothing.
    Unwritten(StoreError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Unwritten(error)
    }
}

/// The transaction that the requests of one batch share.
///
/// It holds the write lock of the file, so what a step reads stays true until the commit.
pub(super) struct Batch<'t> {
    connection: &'t mut SqliteConnection,
    pub(super) sql: &'t Statements,
    /// The names of the issuer whose step runs.
    pub(super) names: Names,
    reached: UnixTime,
    instants: Option<Instants>,
    /// The rotations that [`rotate`](Self::rotate) has made.
    rotated: HashSet<Place>,
}

/// The identity of a rotation.
type Place = (GrantId, u32, u64);

/// The store's clock during the transaction.
struct Instants {
    clock: UnixTime,
    entered: i64,
    has_changed: bool,
}

pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

impl<'t> Batch<'t> {
    /// `reached` is an instant that the store's clock in this process has reached.
    pub(super) fn new(
        connection: &'t mut SqliteConnection,
        sql: &'t Statements,
        reached: UnixTime,
    ) -> Self {
        let (names, rotated) = (Names::default(), HashSet::new());
        Self { connection, sql, names, reached, instants: None, rotated }
    }

    /// Runs a statement and returns the number of changed rows.
    pub(super) fn execute(&mut self, statement: Bound<'_>) -> Result<u64, sqlx::Error> {
        let done = pollster::block_on(statement.execute(&mut *self.connection))?;
        Ok(done.rows_affected())
    }

    /// Runs a statement that returns at most one row.
    pub(super) fn find(&mut self, statement: Bound<'_>) -> Result<Option<SqliteRow>, sqlx::Error> {
        pollster::block_on(statement.fetch_optional(&mut *self.connection))
    }

    /// Runs a statement that returns rows.
    pub(super) fn all(&mut self, statement: Bound<'_>) -> Result<Vec<SqliteRow>, sqlx::Error> {
        pollster::block_on(statement.fetch_all(&mut *self.connection))
    }

    /// Runs a statement that returns exactly one row.
    pub(super) fn one(&mut self, statement: Bound<'_>) -> Result<SqliteRow, sqlx::Error> {
        pollster::block_on(statement.fetch_one(&mut *self.connection))
    }

    /// Rotates every live refresh token in one statement, because handing a statement to SQLite costs more
    /// than running it. The others are handled one by one.
    ///
    /// It comes first in the transaction. It returns only their number, which is usually all of them,
    /// because rows cross threads one at a time. If some are left, it is rolled back and repeated with
    /// `RETURNING`.
    pub(super) fn rotate(&mut self, rotations: &[(&Names, &Rotation)]) -> Result<(), sqlx::Error> {
        // At most one of several rotations of a grant wins.
        let plain = rotations.iter().filter(|(_, it)| steps::is_plain(it));
        let by_grant: HashMap<_, _> = plain.map(|it| (it.1.grant_id, *it)).collect();
        if by_grant.len() < 2 {
            return Ok(());
        }
        let (mut ids, mut salts, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (names, rotation) in by_grant.values() {
            ids.extend_from_slice(rotation.grant_id.as_bytes());
            salts.extend_from_slice(rotation.salt_digest.as_bytes());
            others.push((
                names.write(rotation.client_id.as_str()),
                rotation.generation,
                rotation.now.as_millis(),
                rotation.claim.cast_signed(),
                rotation.idle_age(),
            ));
        }
        let others =
            serde_json::to_string(&others).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let sql = self.sql;
        let bound = |sql: &SqlStr| {
            sqlx::query(sql.clone()).bind(ids.clone()).bind(salts.clone()).bind(others.clone())
        };
        let place = |it: &Rotation| (it.grant_id, it.generation, it.claim);
        let changed = self.execute(bound(&sql.rotate_many))?;
        if usize::try_from(changed) == Ok(by_grant.len()) {
            self.rotated.extend(by_grant.values().map(|(_, it)| place(it)));
            return Ok(());
        }
        self.execute(sqlx::query(ROLLBACK))?;
        self.execute(sqlx::query(BEGIN))?;
        for row in self.all(bound(&sql.rotate_some))? {
            let id = <[u8; 16]>::try_from(row.try_get::<&[u8], _>("grant_id")?).ok();
            let won = id.and_then(|id| by_grant.get(&GrantId::from_bytes(id)));
            self.rotated.extend(won.map(|(_, it)| place(it)));
        }
        Ok(())
    }

    /// Checks whether [`rotate`](Self::rotate) made this rotation. True only once.
    pub(super) fn has_rotated(&mut self, rotation: &Rotation) -> bool {
        let place = (rotation.grant_id, rotation.generation, rotation.claim);
        self.rotated.remove(&place)
    }

    fn instants(&mut self) -> Result<&mut Instants, sqlx::Error> {
        let instants = if let Some(instants) = self.instants.take() {
            instants
        } else {
            // Another process may have written since the last transaction.
            let row = self.one(sqlx::query(self.sql.load_clock.clone()))?;
            Instants {
                clock: UnixTime::from_millis(row.try_get("clock")?).max(self.reached),
                entered: row.try_get("entered")?,
                has_changed: false,
            }
        };
        Ok(self.instants.insert(instants))
    }

    /// Makes `instant` an instant of the store's clock, and returns whether the clock had passed it: without,
    /// no revocation is at or after it.
    pub(super) fn reach(&mut self, instant: UnixTime) -> Result<bool, sqlx::Error> {
        let instants = self.instants()?;
        let had_passed = instants.clock > instant;
        instants.clock = instants.clock.max(instant);
        // Stored in any case: `reached` may have been lost in a crash.
        instants.has_changed = true;
        Ok(had_passed)
    }

    /// Enters a revocation, at an instant that no date of a grant before exceeds. The clock is later.
    pub(super) fn enter(&mut self, revocation: &Revocation) -> Result<Revoked, sqlx::Error> {
        let instants = self.instants()?;
        let at = instants.clock.max(revocation.at);
        instants.clock = UnixTime::from_millis(at.as_millis().saturating_add(1));
        instants.entered = instants.entered.saturating_add(1);
        instants.has_changed = true;
        let tie = instants.entered;
        // Programs of revision 2 cannot read some targets. Their feed skips rows without `at`.
        let is_readable = !matches!(
            revocation.target,
            RevocationTarget::Device(..)
                | RevocationTarget::Session(_)
                | RevocationTarget::EvidenceIssuer(_)
        );
        self.execute(
            sqlx::query(self.sql.enter_revocation.clone())
                .bind(write_target(&self.names, &revocation.target))
                .bind(is_readable.then(|| at.as_millis()))
                .bind(tie)
                .bind(reason_code(revocation.why))
                .bind(revocation.until.as_millis())
                .bind((!is_readable).then(|| at.as_millis())),
        )?;
        Ok(Revoked { at })
    }

    /// Stores the clock if it has advanced, so that it never runs backwards, even across restarts.
    pub(super) fn keep_clock(&mut self) -> Result<(), sqlx::Error> {
        let Some(Instants { clock, entered, has_changed: true }) = self.instants else {
            return Ok(());
        };
        let sql = self.sql;
        self.execute(sqlx::query(sql.keep_clock.clone()).bind(clock.as_millis()).bind(entered))?;
        Ok(())
    }
}
