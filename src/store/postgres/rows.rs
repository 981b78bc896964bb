//! Conversions between records and the rows of PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::run::Statement;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, SessionId};
use crate::jwt::Circumstances;
use crate::protocol::confirmation::Confirmation;
use crate::store::sql::{
    GrantRow, Names, Rare, read_target, reason_code, reason_of, unreadable, write_target,
};
use crate::store::{Grant, Revocation, RevocationTarget, StoreError};

/// Reads a column.
pub(super) fn column<'r, T>(row: &'r PgRow, name: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name).map_err(StoreError::new)
}

/// Reads an instant.
pub(super) fn instant(row: &PgRow, name: &str) -> Result<UnixTime, StoreError> {
    Ok(UnixTime::from_millis(column(row, name)?))
}

/// Reads the grant in a row with all of its columns, unless it is of another issuer.
pub(super) fn read_grant(names: &Names, row: &PgRow) -> Result<Option<Grant>, StoreError> {
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
        rare: read_rare(row)?,
    }
    .into_grant(names)
}

fn read_rare(row: &PgRow) -> Result<Rare, StoreError> {
    let more: Option<&str> = column(row, "more")?;
    let confirmation: Option<&[u8]> = column(row, "confirmation")?;
    let confirmation = confirmation.map(|bytes| Confirmation::from_bytes(bytes).ok_or(bytes));
    let mut circumstances: Circumstances = more
        .map(serde_json::from_str)
        .transpose()
        .map_err(|_| unreadable("more"))?
        .unwrap_or_default();
    let text = |name| column::<Option<&str>>(row, name);
    let (session, evidence) = (text("session")?, text("evidence")?);
    circumstances.session =
        session.map(str::parse).transpose().map_err(|_| unreadable("session"))?;
    circumstances.evidence_issuer =
        evidence.map(str::parse).transpose().map_err(|_| unreadable("evidence"))?;
    let bound_from: Option<i64> = column(row, "bound_from")?;
    Ok(Rare {
        flow: column(row, "flow")?,
        confirmation: confirmation.transpose().map_err(|_| unreadable("confirmation"))?,
        bound_from: bound_from
            .map(u32::try_from)
            .transpose()
            .map_err(|_| unreadable("bound_from"))?,
        circumstances: (!circumstances.is_empty()).then(|| Box::new(circumstances)),
    })
}

/// A new row: the grant, and its rare members as the columns hold them.
pub(super) struct NewRow<'g> {
    names: &'g Names,
    grant: &'g Grant,
    rare: Rare,
    /// The circumstances without a column of their own.
    more: Option<String>,
}

impl<'g> NewRow<'g> {
    pub(super) fn new(names: &'g Names, grant: &'g Grant) -> Result<Self, StoreError> {
        let rare = Rare::of(grant);
        let all = rare.circumstances.as_deref().cloned().unwrap_or_default();
        let rest = Circumstances { session: None, evidence_issuer: None, ..all };
        let more = (!rest.is_empty()).then(|| serde_json::to_string(&rest)).transpose();
        Ok(Self { names, grant, rare, more: more.map_err(StoreError::new)? })
    }
}

/// Binds the values of a new row in the order of its columns. The grant as a target comes before the rare
/// members, and the date at the end.
pub(super) fn bind_grant<'q>(statement: Statement<'q>, new: &'q NewRow<'_>) -> Statement<'q> {
    let NewRow { names, grant, rare, more } = new;
    let (revoked_at, revoked_why) = grant.revoked.unzip();
    statement
        .bind(&grant.grant_id.as_bytes()[..])
        .bind(names.write(grant.client_id.as_str()))
        .bind(names.write(grant.subject.as_str()))
        .bind(grant.actor.as_ref().map(ClientId::as_str))
        .bind(grant.scope.as_str())
        .bind(grant.resources.as_ref().map(ToString::to_string))
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
        .bind(write_target(names, &RevocationTarget::Grant(grant.grant_id)))
        .bind(rare.flow)
        .bind(confirmation_bytes(rare.confirmation))
        .bind(rare.bound_from.map(i64::from))
        .bind(grant.session().map(SessionId::as_str))
        .bind(grant.evidence_issuer().map(EvidenceIssuer::as_str))
        .bind(more.as_deref())
        .bind(grant.authorized_at.as_millis())
        .bind(grant.inert_at().as_millis())
}

/// Returns the value of the column `confirmation`.
pub(super) fn confirmation_bytes(confirmation: Option<Confirmation>) -> Option<Vec<u8>> {
    confirmation.map(|confirmation| confirmation.to_bytes().to_vec())
}

/// Reads the entry of the feed in a row, if there is one.
pub(super) fn read_revocation(
    names: &Names,
    row: &PgRow,
) -> Result<Option<Revocation>, StoreError> {
    let Some(target) = column::<Option<&str>>(row, "target")? else { return Ok(None) };
    Ok(Some(Revocation {
        target: read_target(names, target)?,
        at: instant(row, "at")?,
        why: reason_of(column::<i16>(row, "why")?.into())?,
        until: instant(row, "until")?,
    }))
}
