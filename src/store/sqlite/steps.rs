//! Changes of grants, revocations, assertions and consents. Each function is one step of a transaction that
//! holds the write lock.
//!
//! A successful token request is one statement. Otherwise the row is read, the rule of the contract decides,
//! and the row is written back, in the same transaction.

use std::time::Duration;

use sqlx::Row as _;

use super::batch::{Batch, Failed};
use super::rows;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Resource, Subject};
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::sql::{Rare, differences, purpose_code, reason_code, reason_of, write_target};
use crate::store::{
    AssertionClaim, ClaimAssertion, CodeRedemption, Consent, Grant, GrantRefusal, InsertGrant,
    Pruned, RedeemCode, Revocation, RevocationReason, RevocationTarget, Revoked, Rotate, Rotation,
    StoreError,
};

/// The time for which a claimed assertion is kept beyond its expiry, in case a clock jumps back.
const ASSERTION_MARGIN: Duration = Duration::from_hours(1);
/// The greatest number of rows that a call to prune removes, because others wait for it.
pub(super) const MAX_PRUNED: usize = 1_000;
/// The greatest number of redeemed grants that a call to prune keeps for longer.
const MAX_MOVED: i64 = 10_000;
/// The bytes that `rotated_at` and `claim` will take in a pending row.
const ROOM: (i64, i64) = (6, 8);

/// Changes nothing, but makes the commit write.
pub(super) fn touch(batch: &mut Batch<'_>) -> Result<(), Failed> {
    let sql = batch.sql;
    batch.execute(sqlx::query(sql.touch.clone()))?;
    Ok(())
}

pub(super) fn redeem(
    batch: &mut Batch<'_>,
    redemption: &CodeRedemption,
) -> Result<RedeemCode, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    // The rule writes the key of a grant that becomes bound.
    if redemption.confirmation.is_none() || !redemption.binds {
        let redeemed = batch.execute(
            sqlx::query(sql.redeem.clone())
                .bind(&redemption.grant_id.as_bytes()[..])
                .bind(names.write(redemption.client_id.as_str()))
                .bind(&redemption.salt_digest.as_bytes()[..])
                .bind(&redemption.binding.as_bytes()[..])
                .bind(redemption.now.as_millis())
                .bind(redemption.claim.cast_signed())
                .bind(redemption.device.as_ref().map(DeviceId::as_str)),
        )?;
        if redeemed > 0 {
            return Ok(RedeemCode::Redeemed);
        }
    }
    let rule = |grant: &mut Grant, void| grant.redeem(redemption, void);
    let (grant_id, device) = (redemption.grant_id, redemption.device.as_ref());
    let answer = apply(batch, grant_id, device, redemption.now, rule)?;
    Ok(answer.unwrap_or(RedeemCode::Refused(GrantRefusal::Unknown)))
}

pub(super) fn rotate(batch: &mut Batch<'_>, rotation: &Rotation) -> Result<Rotate, Failed> {
    if batch.has_rotated(rotation) {
        return Ok(Rotate::Rotated);
    }
    let (sql, names) = (batch.sql, batch.names.clone());
    if is_plain(rotation) {
        let rotated = batch.execute(
            sqlx::query(sql.rotate.clone())
                .bind(&rotation.grant_id.as_bytes()[..])
                .bind(names.write(rotation.client_id.as_str()))
                .bind(&rotation.salt_digest.as_bytes()[..])
                .bind(rotation.generation)
                .bind(rotation.now.as_millis())
                .bind(rotation.claim.cast_signed())
                .bind(rotation.idle_age()),
        )?;
        if rotated > 0 {
            return Ok(Rotate::Rotated);
        }
    }
    let rule = |grant: &mut Grant, void| grant.rotate(rotation, void);
    let answer = apply(batch, rotation.grant_id, None, rotation.now, rule)?;
    Ok(answer.unwrap_or(Rotate::Refused(GrantRefusal::Unknown)))
}

/// Checks whether the fast statements apply: generation 0 is the code, the last one has no successor, and
/// the rule writes the key of a grant that becomes bound.
pub(super) fn is_plain(rotation: &Rotation) -> bool {
    (1..u32::MAX).contains(&rotation.generation)
        && (rotation.confirmation.is_none() || !rotation.binds)
}

/// Applies `rule` to the row of a grant, judged with `device` if it has none, and enters its end into the feed.
fn apply<T>(
    batch: &mut Batch<'_>,
    grant_id: GrantId,
    device: Option<&DeviceId>,
    now: UnixTime,
    rule: impl FnOnce(&mut Grant, bool) -> T,
) -> Result<Option<T>, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let id = &grant_id.as_bytes()[..];
    let judge = sqlx::query(sql.judge_grant.clone()).bind(id).bind(device.map(DeviceId::as_str));
    let Some(row) = batch.find(judge)? else { return Ok(None) };
    let void = row.try_get("is_void")?;
    let Some(before) = rows::grant(&names, &row)? else { return Ok(None) };
    let mut grant = before.clone();
    let answer = rule(&mut grant, void);
    if grant == before {
        return Ok(Some(answer));
    }
    batch.execute(
        sqlx::query(sql.change_grant.clone())
            .bind(id)
            .bind(grant.generation)
            .bind(grant.rotated_at.as_millis())
            .bind(grant.claim.cast_signed())
            .bind(grant.retries)
            .bind(grant.mismatches)
            .bind(grant.revoked.map(|(at, _)| at.as_millis()))
            .bind(grant.revoked.map(|(_, why)| reason_code(why)))
            .bind(Rare::of(&grant).to_document()?)
            .bind(grant.device.as_ref().map(DeviceId::as_str)),
    )?;
    if let Some((_, why)) = grant.revoked
        && before.revoked.is_none()
    {
        let target = RevocationTarget::Grant(grant_id);
        batch.enter(&Revocation { target, at: now, why, until: grant.expires_at })?;
    }
    Ok(Some(answer))
}

pub(super) fn insert_grant(batch: &mut Batch<'_>, grant: &Grant) -> Result<InsertGrant, Failed> {
    Ok(match make_row(batch, grant)? {
        NewRow::Made { authorized_at } => InsertGrant::Inserted { authorized_at },
        NewRow::Taken => InsertGrant::AlreadyDecided,
        NewRow::Revoked => InsertGrant::Revoked,
        NewRow::AppInactive => InsertGrant::AppInactive,
    })
}

enum NewRow {
    Made { authorized_at: UnixTime },
    Taken,
    Revoked,
    AppInactive,
}

/// Checks whether a revocation in force covers the date of a new grant. Every later one is at or after it.
fn is_overtaken(batch: &mut Batch<'_>, grant: &Grant) -> Result<bool, Failed> {
    if !batch.reach(grant.authorized_at)? || grant.revoked.is_some() {
        return Ok(false);
    }
    let (sql, names) = (batch.sql, batch.names.clone());
    let covered = sqlx::query(sql.is_covered.clone());
    let row = batch.one(rows::bind_covered(&names, covered, &grant.facts()))?;
    Ok(row.try_get("is_covered")?)
}

/// Inserts a row, unless there is one. A grant that was revoked before it had a row is inserted as revoked.
fn make_row(batch: &mut Batch<'_>, grant: &Grant) -> Result<NewRow, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let ground = batch.one(
        sqlx::query(sql.ground.clone())
            .bind(names.write(grant.client_id.as_str()))
            .bind(&grant.grant_id.as_bytes()[..])
            .bind(write_target(&names, &RevocationTarget::Grant(grant.grant_id))),
    )?;
    if !ground.try_get("is_active")? {
        return Ok(NewRow::AppInactive);
    }
    if ground.try_get("is_taken")? {
        return Ok(NewRow::Taken);
    }
    if is_overtaken(batch, grant)? {
        return Ok(NewRow::Revoked);
    }
    let mut grant = grant.clone();
    if let (Some(at), Some(why)) = (ground.try_get("ended_at")?, ground.try_get("ended_why")?) {
        grant.revoke(reason_of(why)?, UnixTime::from_millis(at));
    }
    let ends_at = grant.inert_at().as_millis();
    let (of_rotation, of_claim) = ROOM;
    let is_pending = i64::from(grant.rotated_at == UnixTime::EPOCH);
    let room = is_pending * of_rotation + i64::from(grant.claim == 0) * of_claim;
    batch.execute(
        sqlx::query(sql.insert_grant.clone())
            .bind(&grant.grant_id.as_bytes()[..])
            .bind(names.write(grant.client_id.as_str()))
            .bind(names.write(grant.subject.as_str()))
            .bind(rows::subject_key(&names.write(grant.subject.as_str())))
            .bind(grant.actor.as_ref().map(ClientId::as_str))
            .bind(grant.scope.as_str())
            .bind(grant.resources.as_ref().map(ToString::to_string))
            .bind(grant.device.as_ref().map(DeviceId::as_str))
            .bind(grant.auth_time.map(UnixTime::as_millis))
            .bind(&grant.binding.as_bytes()[..])
            .bind(&grant.salt_digest.as_bytes()[..])
            .bind(grant.authorized_at.as_millis())
            .bind(grant.code_expires_at.as_millis())
            .bind(grant.expires_at.as_millis())
            .bind(grant.generation)
            .bind(grant.rotated_at.as_millis())
            .bind(grant.claim.cast_signed())
            .bind(grant.retries)
            .bind(grant.mismatches)
            .bind(grant.revoked.map(|(at, _)| at.as_millis()))
            .bind(grant.revoked.map(|(_, why)| reason_code(why)))
            .bind(room)
            .bind(Rare::of(&grant).to_document()?)
            .bind(ends_at),
    )?;
    Ok(NewRow::Made { authorized_at: grant.authorized_at })
}

pub(super) fn claim(
    batch: &mut Batch<'_>,
    claim: &AssertionClaim,
) -> Result<ClaimAssertion, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let purpose = purpose_code(claim.purpose);
    let found = batch.one(
        sqlx::query(sql.find_assertion.clone())
            .bind(names.write(claim.client_id.as_str()))
            .bind(purpose)
            .bind(&claim.jti.as_bytes()[..])
            .bind(claim.now.as_millis()),
    )?;
    if !found.try_get("is_active")? {
        return Ok(ClaimAssertion::AppInactive);
    }
    if found.try_get("is_spent")? {
        return Ok(ClaimAssertion::Replayed);
    }
    // The row comes first, so that nothing is written if it cannot be inserted.
    let authorized_at = match &claim.grant {
        Some(grant) if claim.makes_row => match make_row(batch, grant)? {
            NewRow::Made { authorized_at } => authorized_at,
            NewRow::Taken => return Err(StoreError::new("there is a grant with this id").into()),
            NewRow::Revoked => return Ok(ClaimAssertion::Revoked),
            NewRow::AppInactive => return Ok(ClaimAssertion::AppInactive),
        },
        Some(grant) if is_overtaken(batch, grant)? => return Ok(ClaimAssertion::Revoked),
        Some(grant) => grant.authorized_at,
        None => claim.now,
    };
    batch.execute(
        sqlx::query(sql.spend_assertion.clone())
            .bind(names.write(claim.client_id.as_str()))
            .bind(purpose)
            .bind(&claim.jti.as_bytes()[..])
            .bind(claim.expires_at.as_millis()),
    )?;
    Ok(ClaimAssertion::First { authorized_at })
}

pub(super) fn revoke(batch: &mut Batch<'_>, revocation: &Revocation) -> Result<Revoked, Failed> {
    let revoked = batch.enter(revocation)?;
    let (at, why) = (revoked.at.as_millis(), reason_code(revocation.why));
    let (sql, names) = (batch.sql, batch.names.clone());
    match &revocation.target {
        RevocationTarget::Grant(grant_id) => {
            let end = sqlx::query(sql.revoke_grant.clone()).bind(&grant_id.as_bytes()[..]);
            batch.execute(end.bind(at).bind(why).bind(names.floor()).bind(names.ceiling()))?;
        }
        RevocationTarget::Device(client_id, subject, device) => {
            batch.execute(
                sqlx::query(sql.revoke_device.clone())
                    .bind(at)
                    .bind(why)
                    .bind(names.write(client_id.as_str()))
                    .bind(rows::subject_key(&names.write(subject.as_str())))
                    .bind(names.write(subject.as_str()))
                    .bind(device.as_str()),
            )?;
        }
        RevocationTarget::Session(session) => {
            let end = sqlx::query(sql.revoke_session.clone()).bind(at).bind(why);
            let end = end.bind(session.as_str()).bind(names.floor()).bind(names.ceiling());
            batch.execute(end)?;
        }
        RevocationTarget::Everything
        | RevocationTarget::App(_)
        | RevocationTarget::Subject(_)
        | RevocationTarget::AppAndSubject(..)
        | RevocationTarget::NamedDevice(_)
        | RevocationTarget::EvidenceIssuer(_) => {}
    }
    Ok(revoked)
}

pub(super) fn remember(batch: &mut Batch<'_>, consent: &Consent) -> Result<(), Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    batch.execute(
        sqlx::query(sql.remember_consent.clone())
            .bind(names.write(consent.client_id.as_str()))
            .bind(names.write(consent.subject.as_str()))
            .bind(consent.scope.as_str())
            .bind(consent.given_at.as_millis())
            .bind(consent.resource.as_ref().map(Resource::as_str)),
    )?;
    Ok(())
}

pub(super) fn withdraw(
    batch: &mut Batch<'_>,
    client_id: &ClientId,
    subject: &Subject,
    now: UnixTime,
    until: UnixTime,
) -> Result<Revoked, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let delete = sqlx::query(sql.delete_consent.clone());
    batch.execute(
        delete.bind(names.write(client_id.as_str())).bind(names.write(subject.as_str())),
    )?;
    Ok(batch.enter(&Revocation {
        target: RevocationTarget::AppAndSubject(client_id.clone(), subject.clone()),
        at: now,
        why: RevocationReason::ConsentWithdrawn,
        until,
    })?)
}

pub(super) fn claim_roots(
    batch: &mut Batch<'_>,
    claim: &RootsClaim,
) -> Result<Vec<RootPrint>, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let find = sqlx::query(sql.find_roots.clone()).bind(names.floor()).bind(names.ceiling());
    let rows = batch.all(find)?;
    let mut before = Vec::new();
    for row in &rows {
        let print: &str = row.try_get("print")?;
        let print = names.read(print).unwrap_or_default();
        before.push(print.parse().map_err(StoreError::new)?);
    }
    let mut after = before.clone();
    let missing = claim.apply(&mut after);
    let (gone, new) = differences(&before, &after);
    for print in gone {
        batch
            .execute(sqlx::query(sql.forget_root.clone()).bind(names.write(&print.to_string())))?;
    }
    for print in new {
        batch.execute(
            sqlx::query(sql.remember_root.clone()).bind(names.write(&print.to_string())),
        )?;
    }
    Ok(missing)
}

pub(super) fn prune(batch: &mut Batch<'_>, now: UnixTime, limit: usize) -> Result<Pruned, Failed> {
    let sql = batch.sql;
    let hour_ago = now.minus(ASSERTION_MARGIN).as_millis();
    let now = now.as_millis();
    let mut left = i64::try_from(limit.min(MAX_PRUNED)).unwrap_or(0);
    let mut removed = 0;
    batch.execute(sqlx::query(sql.keep_redeemed.clone()).bind(now).bind(MAX_MOVED))?;
    let tables = [
        (&sql.prune_assertions, hour_ago),
        (&sql.prune_grants, now),
        (&sql.prune_revocations, now),
    ];
    for (delete, until) in tables {
        let gone = batch.execute(sqlx::query(delete.clone()).bind(until).bind(left))?;
        left -= i64::try_from(gone).unwrap_or(0);
        removed += usize::try_from(gone).unwrap_or(0);
    }
    let row = batch.one(sqlx::query(sql.has_inert.clone()).bind(hour_ago).bind(now))?;
    Ok(Pruned { removed, more: row.try_get("has_inert")? })
}
