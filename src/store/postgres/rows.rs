//! Between records and the rows of PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::run::Statement;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, Resource};
use crate::store::sql::{GrantRow, read_target, reason_code, reason_of, write_target};
use crate::store::{Grant, Revocation, RevocationTarget, StoreError};

/// The value of a column.
pub(super) fn column<'r, T>(row: &'r PgRow, name: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name).map_err(StoreError::new)
}

/// The instant in a column.
pub(super) fn instant(row: &PgRow, name: &str) -> Result<UnixTime, StoreError> {
    Ok(UnixTime::from_millis(column(row, name)?))
}

/// The grant in a row with all of its columns.
pub(super) fn read_grant(row: &PgRow) -> Result<Grant, StoreError> {
    let small = |name| column::<i16>(row, name).map(i64::from);
    GrantRow {
        grant_id: column(row, "grant_id")?,
        client_id: column(row, "client_id")?,
        subject: column(row, "subject")?,
        actor: column(row, "actor")?,
        scope: column(row, "scope")?,
        resource: column(row, "resource")?,
        device: column(row, "device")?,
        auth_time: column(row, "auth_time")?,
        binding: column(row, "binding")?,
        salt_digest: column(row, "salt_digest")?,
        authorized_at: column(row, "authorized_at")?,
        code_expires_at: column(row, "code_expires_at")?,
        expires_at: column(row, "expires_at")?,
        generation: column(row, "generation")?,
        rotated_at: column(row, "rotated_at")?,
        claim: column(row, "claim")?,
        retries: small("retries")?,
        mismatches: small("mismatches")?,
        revoked_at: column(row, "revoked_at")?,
        revoked_why: column::<Option<i16>>(row, "revoked_why")?.map(i64::from),
    }
    .into_grant()
}

/// Binds the values of a new row, in the order of its columns and without its instant, and the
/// grant as a target.
pub(super) fn bind_grant<'q>(statement: Statement<'q>, grant: &'q Grant) -> Statement<'q> {
    let (revoked_at, revoked_why) = grant.revoked.unzip();
    statement
        .bind(&grant.grant_id.as_bytes()[..])
        .bind(grant.client_id.as_str())
        .bind(grant.subject.as_str())
        .bind(grant.actor.as_ref().map(ClientId::as_str))
        .bind(grant.scope.as_str())
        .bind(grant.resource.as_ref().map(Resource::as_str))
        .bind(grant.device.as_ref().map(DeviceId::as_str))
        .bind(grant.auth_time.map(UnixTime::as_millis))
        .bind(&grant.binding.as_bytes()[..])
        .bind(&grant.salt_digest.as_bytes()[..])
        .bind(grant.code_expires_at.as_millis())
        .bind(grant.expires_at.as_millis())
        .bind(i64::from(grant.generation))
        .bind(grant.rotated_at.as_millis())
        .bind(grant.claim.cast_signed())
        .bind(i16::from(grant.retries))
        .bind(i16::from(grant.mismatches))
        .bind(revoked_at.map(UnixTime::as_millis))
        .bind(revoked_why.map(reason_code))
        .bind(write_target(&RevocationTarget::Grant(grant.grant_id)))
}

/// The entry of the feed in a row, if there is one.
pub(super) fn read_revocation(row: &PgRow) -> Result<Option<Revocation>, StoreError> {
    let Some(target) = column::<Option<&str>>(row, "target")? else { return Ok(None) };
    Ok(Some(Revocation {
        target: read_target(target)?,
        at: instant(row, "at")?,
        why: reason_of(column::<i16>(row, "why")?.into())?,
        until: instant(row, "until")?,
    }))
}
