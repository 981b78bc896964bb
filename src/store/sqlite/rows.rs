//! Conversions from the rows of SQLite.

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::batch::Bound;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, SessionId, Subject};
use crate::secret::Digest;
use crate::store::sql::{GrantRow, Names, Rare, read_target, reason_of, write_target};
use crate::store::{
    AccessFacts, Consent, FeedCursor, Grant, Revocation, RevocationTarget, StoreError,
};

/// Returns four bytes of a digest, for the index by subject.
pub(super) fn subject_key(subject: &str) -> i32 {
    let digest = Digest::of_fields(&[b"subject", subject.as_bytes()]);
    let [a, b, c, d, ..] = *digest.as_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// Binds the facts of a grant or token as the first parameters of a statement that looks for a cutoff.
pub(super) fn bind_covered<'q>(
    names: &Names,
    statement: Bound<'q>,
    facts: &AccessFacts<'q>,
) -> Bound<'q> {
    statement
        .bind(facts.authorized_at.as_millis())
        .bind(names.write(facts.client_id.as_str()))
        .bind(names.write(facts.subject.as_str()))
        .bind(facts.device.map(DeviceId::as_str))
        .bind(facts.session.map(SessionId::as_str))
        .bind(facts.evidence_issuer.map(EvidenceIssuer::as_str))
}

/// Returns the facts of a token without its parents, as the statement that judges several reads them.
pub(super) fn facts_as_json(names: &Names, facts: &AccessFacts<'_>) -> Value {
    json!([
        facts.authorized_at.as_millis(),
        names.write(facts.client_id.as_str()),
        names.write(facts.subject.as_str()),
        facts.device.map(DeviceId::as_str),
        facts.session.map(SessionId::as_str),
        facts.evidence_issuer.map(EvidenceIssuer::as_str),
        write_target(names, &RevocationTarget::Grant(facts.grant_id)),
        super::reads::hex(facts.grant_id),
    ])
}

/// Reads the grant in a row, unless it is of another issuer.
pub(super) fn grant(names: &Names, row: &SqliteRow) -> Result<Option<Grant>, StoreError> {
    let more: Option<&str> = row.try_get("more").map_err(StoreError::new)?;
    columns(row, Rare::from_document(more)?).map_err(StoreError::new)?.into_grant(names)
}

fn columns(row: &SqliteRow, rare: Rare) -> Result<GrantRow, sqlx::Error> {
    Ok(GrantRow {
        grant_id: row.try_get("grant_id")?,
        client_id: row.try_get("client_id")?,
        subject: row.try_get("subject")?,
        actor: row.try_get("actor")?,
        scope: row.try_get("scope")?,
        resource: row.try_get("resource")?,
        device: row.try_get("device")?,
        auth_time: row.try_get("auth_time")?,
        binding: row.try_get("binding")?,
        salt_digest: row.try_get("salt_digest")?,
        authorized_at: row.try_get("authorized_at")?,
        code_expires_at: row.try_get("code_expires_at")?,
        expires_at: row.try_get("expires_at")?,
        generation: row.try_get("generation")?,
        rotated_at: row.try_get("rotated_at")?,
        claim: row.try_get("claim")?,
        retries: row.try_get("retries")?,
        mismatches: row.try_get("mismatches")?,
        revoked_at: row.try_get("revoked_at")?,
        revoked_why: row.try_get("revoked_why")?,
        rare,
    })
}

/// Reads an entry of the feed, and its cursor.
pub(super) fn entry(
    names: &Names,
    row: &SqliteRow,
) -> Result<(FeedCursor, Revocation), StoreError> {
    let at = UnixTime::from_millis(row.try_get("at").map_err(StoreError::new)?);
    let tie: i64 = row.try_get("tie").map_err(StoreError::new)?;
    let target: &str = row.try_get("target").map_err(StoreError::new)?;
    let why: i64 = row.try_get("why").map_err(StoreError::new)?;
    let until = UnixTime::from_millis(row.try_get("until").map_err(StoreError::new)?);
    let (target, why) = (read_target(names, target)?, reason_of(why)?);
    let revocation = Revocation { target, at, why, until };
    Ok((FeedCursor { at, tie: tie.cast_unsigned() }, revocation))
}

/// Reads the consent of a user to an app.
pub(super) fn consent(
    row: &SqliteRow,
    client_id: ClientId,
    subject: Subject,
) -> Result<Consent, StoreError> {
    let scope: &str = row.try_get("scope").map_err(StoreError::new)?;
    let resource: Option<&str> = row.try_get("resource").map_err(StoreError::new)?;
    Ok(Consent {
        client_id,
        subject,
        scope: scope.parse().map_err(|_| StoreError::new("a stored scope is malformed"))?,
        resource: resource.map(str::parse).transpose().map_err(StoreError::new)?,
        given_at: UnixTime::from_millis(row.try_get("given_at").map_err(StoreError::new)?),
    })
}
