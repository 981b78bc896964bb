//! [`GrantStore`] on PostgreSQL.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{SqlStr, query};

use super::rows::{
    NewRow, bind_grant, column, confirmation_bytes, instant, read_grant, read_revocation,
};
use super::run::Statement;
use super::schema::{ADDITIONS, REVISION, SCHEMA_VERSION};
use super::{PostgresStore, outcome};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, GrantId, SessionId, Subject};
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::sql::{Names, purpose_code, reason_code, write_target};
use crate::store::{
    AccessFacts, AssertionClaim, ClaimAssertion, CodeRedemption, Consent, FeedCursor, Grant,
    GrantFilter, GrantRefusal, GrantStore, InsertGrant, Listing, Page, Pruned, RedeemCode,
    Revocation, RevocationFeed, RevocationReason, RevocationTarget, Revoked, Rotate, Rotation,
    StoreError,
};

/// The distance by which a reader that has seen everything is set back.
const OVERLAP: Duration = Duration::from_secs(5);
/// The greatest number of entries on a page of the feed.
const MAX_PAGE: usize = 1_000;
/// The time for which a claimed assertion is kept beyond its expiry, in case a clock jumps back.
const ASSERTION_MARGIN: Duration = Duration::from_hours(1);
/// The number of attempts to explain a refusal while the row keeps changing.
const MAX_LOOKS: usize = 20;

/// Returns the first instant after a revocation.
pub(super) fn after(revoked_at: UnixTime) -> UnixTime {
    revoked_at.plus(Duration::from_millis(1))
}

impl PostgresStore {
    pub(super) fn as_target(&self, grant_id: GrantId) -> String {
        write_target(&self.names, &RevocationTarget::Grant(grant_id))
    }

    /// Applies a rule to the row, judged with `device` if it has none, after a statement changed nothing.
    /// Returns `None` if the rule would now change the row, because it changed between the two reads.
    async fn diagnose<T>(
        &self,
        grant_id: GrantId,
        device: Option<&DeviceId>,
        unknown: T,
        rule: impl FnOnce(&mut Grant, bool) -> T,
        is_refusal: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>, StoreError> {
        let target = self.as_target(grant_id);
        let make = || {
            query(self.sql.find_with_void.clone())
                .bind(&grant_id.as_bytes()[..])
                .bind(target.as_str())
                .bind(device.map(DeviceId::as_str))
        };
        let Some(row) = self.row(make).await? else { return Ok(Some(unknown)) };
        let Some(mut grant) = read_grant(&self.names, &row)? else { return Ok(Some(unknown)) };
        let answer = rule(&mut grant, column(&row, "void")?);
        Ok(Some(answer).filter(is_refusal))
    }

    async fn try_redeem(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let target = self.as_target(redemption.grant_id);
        let redeem = || {
            query(self.sql.redeem_code.clone())
                .bind(&redemption.grant_id.as_bytes()[..])
                .bind(self.names.write(redemption.client_id.as_str()))
                .bind(&redemption.salt_digest.as_bytes()[..])
                .bind(&redemption.binding.as_bytes()[..])
                .bind(redemption.claim.cast_signed())
                .bind(redemption.now.as_millis())
                .bind(target.as_str())
                .bind(confirmation_bytes(redemption.confirmation))
                .bind(redemption.binds)
                .bind(redemption.device.as_ref().map(DeviceId::as_str))
                .bind(redemption.polling.map(|polling| polling.retry_ages().0))
                .bind(redemption.polling.map(|polling| polling.retry_ages().1))
        };
        for _ in 0..MAX_LOOKS {
            if let Some(row) = self.row(redeem).await? {
                return match column(&row, "outcome")? {
                    outcome::REDEEMED => Ok(RedeemCode::Redeemed),
                    outcome::RETRIED => Ok(RedeemCode::Retried),
                    outcome::MISMATCH | outcome::VOIDED => Ok(RedeemCode::Mismatch),
                    outcome::REPLAYED | outcome::REPLAYED_AGAIN => Ok(RedeemCode::AlreadyRedeemed),
                    _ => Err(unknown_outcome()),
                };
            }
            let unknown = RedeemCode::Refused(GrantRefusal::Unknown);
            let rule = |grant: &mut Grant, void| grant.redeem(redemption, void);
            let is_refusal =
                |answer: &RedeemCode| matches!(answer, RedeemCode::Refused(_) | RedeemCode::Spent);
            let (grant_id, device) = (redemption.grant_id, redemption.device.as_ref());
            let answer = self.diagnose(grant_id, device, unknown, rule, is_refusal).await?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
        Err(StoreError::new("the grant changes faster than it can be read"))
    }

    async fn try_rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        use Rotate::{Overtaken, Refused, WrongKey};
        let target = self.as_target(rotation.grant_id);
        let (least, most) = rotation.retry_ages();
        let rotate = || {
            query(self.sql.rotate.clone())
                .bind(&rotation.grant_id.as_bytes()[..])
                .bind(self.names.write(rotation.client_id.as_str()))
                .bind(&rotation.salt_digest.as_bytes()[..])
                .bind(i64::from(rotation.generation))
                .bind(rotation.claim.cast_signed())
                .bind(rotation.now.as_millis())
                .bind(least)
                .bind(rotation.idle_age())
                .bind(target.as_str())
                .bind(confirmation_bytes(rotation.confirmation))
                .bind(rotation.binds)
                .bind(most)
                .bind(rotation.proves_reuse)
        };
        // Generation 0 is a code, and the last one has no successor. Both are refused.
        let may_turn = !matches!(rotation.generation, 0 | u32::MAX);
        for _ in 0..MAX_LOOKS {
            if may_turn && let Some(row) = self.row(rotate).await? {
                return match column(&row, "outcome")? {
                    outcome::ROTATED => Ok(Rotate::Rotated),
                    outcome::RETRIED => Ok(Rotate::Retried { retries: retries(&row)? }),
                    outcome::AHEAD => Ok(Rotate::Ahead),
                    outcome::REUSED => Ok(Rotate::Reused),
                    _ => Err(unknown_outcome()),
                };
            }
            let unknown = Refused(GrantRefusal::Unknown);
            let rule = |grant: &mut Grant, void| grant.rotate(rotation, void);
            let is_refusal = |it: &Rotate| matches!(it, Refused(_) | WrongKey | Overtaken);
            let answer = self.diagnose(rotation.grant_id, None, unknown, rule, is_refusal).await?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
        Err(StoreError::new("the grant changes faster than it can be read"))
    }
}

fn retries(row: &PgRow) -> Result<u8, StoreError> {
    u8::try_from(column::<i16>(row, "retries")?).map_err(StoreError::new)
}

fn unknown_outcome() -> StoreError {
    StoreError::new("a statement returned an unknown outcome")
}

/// Binds the facts of a token without a row, which begins with its claim.
fn bind_facts<'q>(
    names: &Names,
    statement: Statement<'q>,
    facts: &AccessFacts<'q>,
) -> Statement<'q> {
    statement
        .bind(facts.authorized_at.as_millis())
        .bind(names.write(facts.subject.as_str()))
        .bind(facts.device.map(DeviceId::as_str))
        .bind(facts.session.map(SessionId::as_str))
        .bind(facts.evidence_issuer.map(EvidenceIssuer::as_str))
}

impl GrantStore for PostgresStore {
    fn seen(&self) -> UnixTime {
        self.seen.newest()
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        self.seen.reached(instant)
    }

    async fn instant(&self, _now: UnixTime) -> Result<UnixTime, StoreError> {
        let row = self.one_row(|| query(self.sql.present.clone())).await?;
        let present = instant(&row, "seen")?;
        self.seen.learn(present);
        Ok(present)
    }

    fn schema(&self) -> Option<String> {
        Some(format!(
            "PostgreSQL, version {SCHEMA_VERSION}, revision {REVISION}, additions {ADDITIONS}"
        ))
    }

    fn clock_skew(&self) -> Duration {
        self.host_skew
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        let new = NewRow::new(&self.names, &grant)?;
        let row = self.one_row(|| bind_grant(query(self.sql.insert_grant.clone()), &new)).await?;
        if !column(&row, "active")? {
            return Ok(InsertGrant::AppInactive);
        }
        let authorized_at: Option<i64> = column(&row, "authorized_at")?;
        Ok(match authorized_at.map(UnixTime::from_millis) {
            Some(authorized_at) => InsertGrant::Inserted { authorized_at },
            None if column(&row, "overtaken")? => InsertGrant::Revoked,
            None => InsertGrant::AlreadyDecided,
        })
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        self.try_redeem(redemption).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        let answer = self.try_rotate(rotation).await;
        match answer {
            Ok(Rotate::Rotated | Rotate::Retried { .. } | Rotate::Ahead) => {
                self.known.rotated(rotation.grant_id, rotation.generation.saturating_add(1));
            }
            _ => self.known.forget(&rotation.grant_id),
        }
        answer
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        let row = claim.grant.as_ref().filter(|_| claim.makes_row);
        let new = row.map(|grant| NewRow::new(&self.names, grant)).transpose()?;
        let make = || {
            let sql = match (&new, &claim.grant) {
                (Some(_), _) => &self.sql.claim_with_grant,
                (None, Some(_)) => &self.sql.claim_with_token,
                (None, None) => &self.sql.claim_assertion,
            };
            let statement = query(sql.clone())
                .bind(self.names.write(claim.client_id.as_str()))
                .bind(purpose_code(claim.purpose))
                .bind(&claim.jti.as_bytes()[..])
                .bind(claim.expires_at.as_millis())
                .bind(claim.now.as_millis());
            match (&new, &claim.grant) {
                (Some(new), _) => bind_grant(statement, new),
                (None, Some(grant)) => bind_facts(&self.names, statement, &grant.facts()),
                (None, None) => statement,
            }
        };
        let row = self.one_row(make).await?;
        let gives_access = claim.grant.is_some();
        Ok(if !column::<bool>(&row, "active")? {
            ClaimAssertion::AppInactive
        } else if column(&row, "first")? {
            let authorized_at =
                if gives_access { instant(&row, "authorized_at")? } else { claim.now };
            ClaimAssertion::First { authorized_at }
        } else if gives_access && column(&row, "overtaken")? {
            ClaimAssertion::Revoked
        } else {
            ClaimAssertion::Replayed
        })
    }

    fn known_grant(&self, grant_id: &GrantId) -> Option<Grant> {
        self.known.find(grant_id)
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let found = self.find(*grant_id).await?;
        if let Some(grant) = &found {
            self.known.saw(grant);
        }
        Ok(found)
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.page_of_grants(filter, page).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let target = write_target(&self.names, &revocation.target);
        let why = reason_code(revocation.why);
        let (at, until) = (revocation.at.as_millis(), revocation.until.as_millis());
        let cutoff = |sql: &SqlStr| query(sql.clone()).bind(target.as_str()).bind(why).bind(until);
        let make = || match &revocation.target {
            RevocationTarget::Grant(grant_id) => query(self.sql.end_grant.clone())
                .bind(grant_id.as_bytes().to_vec())
                .bind(at)
                .bind(why)
                .bind(target.as_str())
                .bind(until)
                .bind(self.names.floor())
                .bind(self.names.ceiling()),
            RevocationTarget::Everything
            | RevocationTarget::App(_)
            | RevocationTarget::Subject(_)
            | RevocationTarget::AppAndSubject(..)
            | RevocationTarget::NamedDevice(_) => cutoff(&self.sql.cut_off),
            RevocationTarget::Device(client_id, subject, device) => {
                cutoff(&self.sql.cut_off_device)
                    .bind(at)
                    .bind(self.names.write(client_id.as_str()))
                    .bind(self.names.write(subject.as_str()))
                    .bind(device.as_str())
            }
            RevocationTarget::Session(session) => {
                let cutoff = cutoff(&self.sql.cut_off_session).bind(at).bind(session.as_str());
                cutoff.bind(self.names.floor()).bind(self.names.ceiling())
            }
            RevocationTarget::EvidenceIssuer(_) => cutoff(&self.sql.cut_off_evidence),
        };
        let at = instant(&self.one_row(make).await?, "at")?;
        if !matches!(revocation.target, RevocationTarget::Grant(_)) {
            self.seen.saw(after(at));
        }
        Ok(Revoked { at })
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        self.is_void(facts).await
    }

    async fn live_among(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        self.live_of(grants).await
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        _now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let read = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let make = || {
            let since = query(self.sql.revocations_since.clone()).bind(cursor.at.as_millis());
            since.bind(read).bind(self.names.tag())
        };
        let rows = self.run(make).await.map_err(StoreError::new)?;
        let mut entries = Vec::new();
        let mut now = cursor.at;
        for row in &rows {
            now = instant(row, "now")?;
            entries.extend(read_revocation(&self.names, row)?);
        }
        let more = entries.len() > limit;
        entries.truncate(limit);
        // Each revocation has its own instant, and none becomes visible after a later one.
        let last = entries.last().map_or(cursor, |entry| FeedCursor { at: entry.at, tie: 0 });
        let back = FeedCursor { at: now.minus(OVERLAP), tie: 0 };
        let next = if more { last } else { last.min(back) };
        Ok(RevocationFeed { entries, next, more })
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        self.keep_consent(consent).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        self.consent_of(client_id, subject).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        self.consents_of(subject, page).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        _now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let pair = RevocationTarget::AppAndSubject(client_id.clone(), subject.clone());
        let target = write_target(&self.names, &pair);
        let make = || {
            query(self.sql.withdraw_consent.clone())
                .bind(target.as_str())
                .bind(reason_code(RevocationReason::ConsentWithdrawn))
                .bind(until.as_millis())
                .bind(self.names.write(client_id.as_str()))
                .bind(self.names.write(subject.as_str()))
        };
        let rows = match self.run(make).await {
            // The app was deleted meanwhile, with its consents. The cutoff still has to be written.
            Err(error) if super::run::lacks_its_app(&error) => self.run(make).await,
            answer => answer,
        };
        let rows = rows.map_err(StoreError::new)?;
        let row = rows.first().ok_or_else(|| StoreError::new("the clock has no row"))?;
        let at = instant(row, "at")?;
        self.seen.saw(after(at));
        Ok(Revoked { at })
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        self.claim(claim).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let [assertions, grants, revocations] = &self.sql.prune;
        let tables = [(assertions, now.minus(ASSERTION_MARGIN)), (grants, now), (revocations, now)];
        let mut total = Pruned { removed: 0, more: false };
        for (prune, end) in tables {
            let left = limit.saturating_sub(total.removed);
            let mut removed = 0;
            loop {
                let room = i64::try_from(left - removed).unwrap_or(i64::MAX);
                let remove = || query(prune.remove.clone()).bind(end.as_millis()).bind(room);
                let row = self.one_row(remove).await?;
                removed += usize::try_from(column::<i64>(&row, "gone")?).unwrap_or(0);
                // Rows that are kept for longer are no answer to the caller.
                if removed >= left || column::<i64>(&row, "kept")? == 0 {
                    break;
                }
            }
            total.removed += removed;
            if removed >= left && !total.more {
                let is_left = || query(prune.is_left.clone()).bind(end.as_millis());
                total.more = column(&self.one_row(is_left).await?, "is_left")?;
            }
        }
        Ok(total)
    }
}
