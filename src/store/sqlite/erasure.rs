//! Erasure of a user.

use std::time::Duration;

use sqlx::Row as _;

use super::batch::{Batch, Failed};
use super::{SqliteStore, rows};
use crate::clock::UnixTime;
use crate::ids::{GrantId, Subject};
use crate::store::{Revocation, RevocationReason, RevocationTarget, Revoked, StoreError};

/// The number of rows that one transaction removes, because others wait for it.
const BATCH: i64 = 200;
/// The time for which a browser may hold the ticket of a decision.
const TICKET: Duration = Duration::from_hours(1);

impl SqliteStore {
    /// Revokes all access as a user, then removes the user's grants, consents, devices and audit events. Returns
    /// the number of removed rows. A device that is still to be wiped stays, so that it learns of it: call again
    /// after its wipe, or let pruning remove it.
    ///
    /// The revocation remains and names the user until `until`, so that issued tokens stay void. Then
    /// [`prune`](crate::store::GrantStore::prune) removes it. Usage names no user. Events that wait in a
    /// queue are written later: call again to remove them.
    ///
    /// `now` and `until` are as [`Revocation::at`] and [`Revocation::until`]. SQLite reuses the freed space;
    /// `PRAGMA secure_delete` overwrites it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some rows may be left. Call again.
    pub async fn erase_subject(
        &self,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<usize, StoreError> {
        let of = subject.clone();
        let (at, mut erased) = self.run(move |batch| begin(batch, &of, now, until)).await?;
        self.saw_revocation(Revoked { at });
        loop {
            let of = subject.clone();
            match self.run(move |batch| erase_some(batch, &of, now, at)).await? {
                0 => break,
                more => erased += more,
            }
        }
        loop {
            let of = subject.clone();
            match self.run(move |batch| erase_events(batch, &of)).await? {
                0 => return Ok(erased),
                more => erased += more,
            }
        }
    }
}

/// Removes some events about the user and returns their number.
fn erase_events(batch: &mut Batch<'_>, subject: &Subject) -> Result<usize, Failed> {
    let sql = batch.sql;
    let subject = batch.names.write(subject.as_str()).into_owned();
    let erase = sqlx::query(sql.erase_audit.clone()).bind(subject).bind(BATCH);
    Ok(usize::try_from(batch.execute(erase)?).unwrap_or(usize::MAX))
}

/// Revokes, removes consents and devices, and returns the instant and the number of removed rows.
fn begin(
    batch: &mut Batch<'_>,
    subject: &Subject,
    now: UnixTime,
    until: UnixTime,
) -> Result<(UnixTime, usize), Failed> {
    let sql = batch.sql;
    let names = batch.names.clone();
    let consents = sqlx::query(sql.erase_consents.clone()).bind(names.write(subject.as_str()));
    let consents = batch.execute(consents)?;
    let devices = sqlx::query(sql.erase_devices.clone()).bind(names.write(subject.as_str()));
    let removed = consents.saturating_add(batch.execute(devices)?);
    for sql in [&sql.erase_revocations, &sql.erase_device_revocations] {
        batch.execute(sqlx::query(sql.clone()).bind(subject.as_str()).bind(names.tag()))?;
    }
    let (target, why) =
        (RevocationTarget::Subject(subject.clone()), RevocationReason::Administrator);
    let revoked = batch.enter(&Revocation { target, at: now, why, until })?;
    Ok((revoked.at, usize::try_from(removed).unwrap_or(usize::MAX)))
}

/// Removes some grants that were decided at or before `at` and returns their number.
fn erase_some(
    batch: &mut Batch<'_>,
    subject: &Subject,
    now: UnixTime,
    at: UnixTime,
) -> Result<usize, Failed> {
    let sql = batch.sql;
    let written = batch.names.write(subject.as_str()).into_owned();
    let found = batch.all(
        sqlx::query(sql.find_erasable.clone())
            .bind(rows::subject_key(&written))
            .bind(written)
            .bind(at.as_millis())
            .bind(BATCH),
    )?;
    for row in &found {
        let authorized_at = UnixTime::from_millis(row.try_get("authorized_at")?);
        // The row also recorded that this decision was made. If its ticket may come back, a tombstone does.
        if authorized_at.plus(TICKET) > now
            && let Ok(bytes) = <[u8; 16]>::try_from(row.try_get::<&[u8], _>("grant_id")?)
        {
            batch.enter(&Revocation {
                target: RevocationTarget::Grant(GrantId::from_bytes(bytes)),
                at: now,
                why: RevocationReason::Administrator,
                until: UnixTime::from_millis(row.try_get("expires_at")?),
            })?;
        }
        batch.execute(sqlx::query(sql.erase_grant.clone()).bind(row.try_get::<i64, _>("id")?))?;
    }
    Ok(found.len())
}
