//! Forgetting a user.

use std::time::Duration;

use sqlx::Row as _;

use super::batch::{Batch, Failed};
use super::{SqliteStore, rows};
use crate::clock::UnixTime;
use crate::ids::{GrantId, Subject};
use crate::store::{Revocation, RevocationReason, RevocationTarget, Revoked, StoreError};

/// How many grants one transaction removes: others wait for it.
const BATCH: i64 = 200;
/// For how long the browser may still hold the ticket of a decision.
const TICKET: Duration = Duration::from_secs(3_600);

impl SqliteStore {
    /// Revokes everything that acts as a user, then removes what is stored of that user: grants and
    /// consents.
    ///
    /// What stays is the revocation itself, which names the user until `until`: without it, access
    /// tokens that are out would live again. Then [`prune`](crate::store::GrantStore::prune) removes
    /// it. The audit log is the host's.
    ///
    /// `now` and `until` as [`Revocation::at`] and [`Revocation::until`]. Space in the file is used
    /// again; `PRAGMA secure_delete` of SQLite overwrites it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when some of it may be left. The same call again goes on.
    pub async fn erase_subject(
        &self,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let of = subject.clone();
        let revoked = self.queue.run(move |batch| begin(batch, &of, now, until)).await?;
        loop {
            let of = subject.clone();
            let step = move |batch: &mut Batch<'_>| erase_some(batch, &of, now, revoked.at);
            if self.queue.run(step).await? == 0 {
                return Ok(revoked);
            }
        }
    }
}

fn begin(
    batch: &mut Batch<'_>,
    subject: &Subject,
    now: UnixTime,
    until: UnixTime,
) -> Result<Revoked, Failed> {
    let sql = batch.sql;
    batch.execute(sqlx::query(&sql.erase_consents).bind(subject.as_str()))?;
    batch.execute(sqlx::query(&sql.erase_revocations).bind(subject.as_str()))?;
    let target = RevocationTarget::Subject(subject.clone());
    Ok(batch.enter(&Revocation { target, at: now, why: RevocationReason::Administrator, until })?)
}

/// Removes some grants that were decided at or before `at`; answers how many.
fn erase_some(
    batch: &mut Batch<'_>,
    subject: &Subject,
    now: UnixTime,
    at: UnixTime,
) -> Result<usize, Failed> {
    let sql = batch.sql;
    let found = batch.all(
        sqlx::query(&sql.find_erasable)
            .bind(rows::subject_key(subject))
            .bind(subject.as_str())
            .bind(at.as_millis())
            .bind(BATCH),
    )?;
    for row in &found {
        let authorized_at = UnixTime::from_millis(row.try_get("authorized_at")?);
        // The row also said that this decision was made. Where its ticket may come back, a tombstone
        // says so.
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
        batch.execute(sqlx::query(&sql.erase_grant).bind(row.try_get::<i64, _>("id")?))?;
    }
    Ok(found.len())
}
