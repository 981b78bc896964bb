//! [`GrantStore`] over the host's tables.
//!
//! Each change to a grant is a transaction with the write lock. It reads the row, applies
//! [`Grant::redeem`] or [`Grant::rotate`], and writes the row back. No other writer comes between,
//! so the rules of the contract need not be repeated in SQL.

use std::time::Duration;

use grantor::Subject;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, DeviceId, GrantId, Resource, SessionId};
use grantor::server_secret::{RootPrint, RootsClaim};
use grantor::store::{
    AccessFacts, AssertionClaim, ClaimAssertion, CodeRedemption, Consent, FeedCursor, Grant,
    GrantFilter, GrantRefusal, GrantStore, InsertGrant, Listing, Page, Pruned, RedeemCode,
    Revocation, RevocationFeed, RevocationReason, RevocationTarget, Revoked, Rotate, Rotation,
    StoreError,
};
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use crate::store::{
    HostStore, IS_ACTIVE, IS_COVERED, commit, enter, from_json, is_overtaken, reach, targets,
    to_json,
};

/// The record of a grant: its JSON in `?2` without the parts that have columns.
const RECORD: &str = "json_remove(?2, '$.client_id', '$.subject', '$.scope', '$.device', \
    '$.authorized_at', '$.expires_at', '$.generation', '$.revoked')";
/// The distance that a reader of the whole feed is set back.
const OVERLAP: Duration = Duration::from_secs(5);
/// The time that an assertion id is kept beyond its expiry, in case the host's clock is set back.
const HOUR: Duration = Duration::from_hours(1);

async fn is_active(
    connection: &mut SqliteConnection,
    client_id: &ClientId,
) -> Result<bool, StoreError> {
    let select = format!("SELECT {IS_ACTIVE}");
    let row = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(client_id.as_str())
        .fetch_one(connection)
        .await;
    row.and_then(|row| row.try_get(0)).map_err(StoreError::new)
}

/// Inserts the row of a grant, and returns false if the id exists. A user unknown to the host
/// violates `NOT NULL` and is an error, because the server looks users up first.
async fn make_row(connection: &mut SqliteConnection, grant: &Grant) -> Result<bool, StoreError> {
    let insert = format!(
        "INSERT INTO grants (grant_id, application_id, user_id, scope, device, authorized_at, \
             expires_at, inert_at, generation, ended_at, ended_why, record) \
         SELECT ?1, a.id, (SELECT id FROM users WHERE public_id = ?2 ->> 'subject'), \
             ?2 ->> 'scope', ?2 ->> 'device', ?2 ->> 'authorized_at', ?2 ->> 'expires_at', ?3, \
             ?2 ->> 'generation', ?2 ->> '$.revoked[0]', ?2 ->> '$.revoked[1]', {RECORD} \
         FROM live_applications AS a WHERE a.client_id = ?2 ->> 'client_id' \
         ON CONFLICT (grant_id) DO NOTHING"
    );
    let insert = sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(&grant.grant_id.as_bytes()[..])
        .bind(to_json(grant)?)
        .bind(grant.inert_at().as_millis());
    let done = insert.execute(connection).await.map_err(StoreError::new)?;
    Ok(done.rows_affected() > 0)
}

impl HostStore {
    /// Applies a rule to the row of a grant. A redemption is judged with the device that it brings. If the
    /// rule revokes the grant, also records it in the feed.
    async fn apply<T>(
        &self,
        grant_id: GrantId,
        redemption: Option<&CodeRedemption>,
        now: UnixTime,
        rule: impl FnOnce(&mut Grant, bool) -> T + Send,
    ) -> Result<Option<T>, StoreError> {
        let mut transaction = self.begin().await?;
        let id = &grant_id.as_bytes()[..];
        let row =
            sqlx::query("SELECT document, app_is_active FROM grant_records WHERE grant_id = ?1")
                .bind(id)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(StoreError::new)?;
        let Some(row) = row else { return Ok(None) };
        let before: Grant = from_json(&row, "document")?;
        let facts = redemption.map_or_else(|| before.facts(), |it| before.facts_of_redemption(it));
        let (covering, as_target) = targets(&facts)?;
        // The grant is void if a cutoff covers it or its app is disabled or deleted.
        let void = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT NOT ?1 OR {IS_COVERED}")))
            .bind(row.try_get::<bool, _>("app_is_active").map_err(StoreError::new)?)
            .bind(covering)
            .bind(before.authorized_at.as_millis())
            .bind(as_target)
            .fetch_one(&mut *transaction)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(StoreError::new)?;
        let mut grant = before.clone();
        let answer = rule(&mut grant, void);
        if grant == before {
            return Ok(Some(answer));
        }
        let update = format!(
            "UPDATE grants SET generation = ?2 ->> 'generation', ended_at = ?2 ->> '$.revoked[0]', \
             ended_why = ?2 ->> '$.revoked[1]', device = ?2 ->> 'device', inert_at = ?3, \
             record = {RECORD} \
             WHERE grant_id = ?1"
        );
        let update = sqlx::query(sqlx::AssertSqlSafe(update)).bind(id).bind(to_json(&grant)?);
        let update = update.bind(grant.inert_at().as_millis());
        update.execute(&mut *transaction).await.map_err(StoreError::new)?;
        // The revocation is in the feed when the call returns.
        if let (Some((_, why)), None) = (grant.revoked, before.revoked) {
            let target = RevocationTarget::Grant(grant_id);
            let until = grant.expires_at;
            enter(&mut transaction, &Revocation { target, at: now, why, until }).await?;
        }
        commit(transaction).await?;
        Ok(Some(answer))
    }

    /// Checks one token, parents apart.
    async fn is_void(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        let (covering, as_target) = targets(facts)?;
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT NOT {IS_ACTIVE} OR {IS_COVERED} OR EXISTS (SELECT 1 FROM grant_records \
             WHERE grant_id = ?5 AND (ended_at IS NOT NULL OR NOT app_is_active))"
        )))
        .bind(facts.client_id.as_str())
        .bind(covering)
        .bind(facts.authorized_at.as_millis())
        .bind(as_target)
        .bind(&facts.grant_id.as_bytes()[..])
        .fetch_one(&self.readers)
        .await;
        row.and_then(|row| row.try_get(0)).map_err(StoreError::new)
    }
}

impl GrantStore for HostStore {
    fn seen(&self) -> UnixTime {
        self.newest()
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        // A date that the database does not know must not be after a later revocation, so it is one
        // that the database's clock has reached.
        instant.min(self.newest())
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        let mut transaction = self.begin().await?;
        let present = reach(&mut transaction, now).await?;
        commit(transaction).await?;
        Ok(self.saw(present))
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        let mut transaction = self.begin().await?;
        // The app must be enabled at the instant at which the row is made.
        if !is_active(&mut transaction, &grant.client_id).await? {
            return Ok(InsertGrant::AppInactive);
        }
        let overtaken = is_overtaken(&mut transaction, &grant).await?;
        // The other results change nothing: the clock is rolled back, too.
        if !make_row(&mut transaction, &grant).await? {
            return Ok(InsertGrant::AlreadyDecided);
        }
        if overtaken {
            return Ok(InsertGrant::Revoked);
        }
        commit(transaction).await?;
        Ok(InsertGrant::Inserted { authorized_at: grant.authorized_at })
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let rule = |grant: &mut Grant, void| grant.redeem(redemption, void);
        let answer =
            self.apply(redemption.grant_id, Some(redemption), redemption.now, rule).await?;
        Ok(answer.unwrap_or(RedeemCode::Refused(GrantRefusal::Unknown)))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        let rule = |grant: &mut Grant, void| grant.rotate(rotation, void);
        let answer = self.apply(rotation.grant_id, None, rotation.now, rule).await?;
        Ok(answer.unwrap_or(Rotate::Refused(GrantRefusal::Unknown)))
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        let mut transaction = self.begin().await?;
        if !is_active(&mut transaction, &claim.client_id).await? {
            return Ok(ClaimAssertion::AppInactive);
        }
        // A returned row means that this call is the first before `expires_at`.
        let first = sqlx::query(
            "INSERT INTO spent_assertions (jti, client_id, purpose, expires_at) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT (jti, client_id, purpose) DO UPDATE \
             SET expires_at = excluded.expires_at WHERE expires_at < ?5 RETURNING 1",
        )
        .bind(&claim.jti.as_bytes()[..])
        .bind(claim.client_id.as_str())
        .bind(to_json(&claim.purpose)?)
        .bind(claim.expires_at.as_millis())
        .bind(claim.now.as_millis())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(StoreError::new)?;
        if first.is_none() {
            return Ok(ClaimAssertion::Replayed);
        }
        let mut authorized_at = claim.now;
        // The grant exists from that same instant, or not at all.
        if let Some(grant) = &claim.grant {
            authorized_at = grant.authorized_at;
            // The transaction is rolled back, so the assertion stays unused.
            if is_overtaken(&mut transaction, grant).await? {
                return Ok(ClaimAssertion::Revoked);
            }
            if claim.makes_row && !make_row(&mut transaction, grant).await? {
                return Err(StoreError::new("the grant id is taken"));
            }
        }
        commit(transaction).await?;
        Ok(ClaimAssertion::First { authorized_at })
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let found = sqlx::query("SELECT document FROM grant_records WHERE grant_id = ?1")
            .bind(&grant_id.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::new)?;
        found.map(|row| from_json(&row, "document")).transpose()
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        let rows = sqlx::query(
            "SELECT document FROM grant_records WHERE grant_id > ?1 \
             AND (?2 IS NULL OR client_id = ?2) AND (?3 IS NULL OR subject = ?3) \
             AND (?4 IS NULL OR device = ?4) \
             AND (?5 IS NULL OR (ended_at IS NULL AND expires_at > ?5)) \
             AND (?7 IS NULL OR document ->> '$.circumstances.session' = ?7) \
             ORDER BY grant_id LIMIT ?6",
        )
        .bind(page.after.as_ref().map_or(&[][..], |after| &after.as_bytes()[..]))
        .bind(filter.client_id.as_ref().map(ClientId::as_str))
        .bind(filter.subject.as_ref().map(Subject::as_str))
        .bind(filter.device.as_ref().map(DeviceId::as_str))
        .bind(filter.live_at.map(UnixTime::as_millis))
        // One more than the page holds, to detect the last page.
        .bind(i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1))
        .bind(filter.session.as_ref().map(SessionId::as_str))
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::new)?;
        let grants = rows.iter().map(|row| from_json(row, "document")).collect::<Result<_, _>>()?;
        Ok(Listing::first_of(grants, page.limit, |last: &Grant| last.grant_id))
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let mut transaction = self.begin().await?;
        // One row, for any number of tokens. It is also the tombstone of a grant without a row.
        let revoked = enter(&mut transaction, revocation).await?;
        if let RevocationTarget::Grant(grant_id) = &revocation.target {
            sqlx::query(
                "UPDATE grants SET ended_at = ?2, ended_why = ?3 ->> '$' \
                 WHERE grant_id = ?1 AND ended_at IS NULL",
            )
            .bind(&grant_id.as_bytes()[..])
            .bind(revoked.at.as_millis())
            .bind(to_json(&revocation.why)?)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::new)?;
        }
        commit(transaction).await?;
        Ok(self.saw_revocation(revoked))
    }

    /// Reads everything in one statement, and so at one instant.
    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        // A derived token is void if anything that it descends from is.
        for facts in facts.lineage() {
            if self.is_void(&facts).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        let rows = sqlx::query(
            "SELECT json_object('target', json(target), 'at', at, 'why', why, 'until', until) \
             AS revocation FROM cutoffs WHERE at > ?1 ORDER BY at LIMIT ?2",
        )
        .bind(cursor.at.as_millis())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::new)?;
        let entries = rows.iter().take(limit).map(|row| from_json(row, "revocation"));
        let entries = entries.collect::<Result<Vec<Revocation>, _>>()?;
        let more = rows.len() > limit;
        // With one writer no entry becomes visible after a later one. The cursor is still set back
        // by some seconds, but not beyond what was read, because the clock of the reader may be
        // ahead.
        let last = entries.last().map_or(cursor, |entry| FeedCursor { at: entry.at, tie: 0 });
        let back = FeedCursor { at: now.minus(OVERLAP), tie: 0 };
        Ok(RevocationFeed { entries, next: if more { last } else { last.min(back) }, more })
    }

    /// Stores the consent in one step with the check of `Revocation::ends`.
    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        let Consent { client_id, subject, scope, resource, given_at } = consent;
        let covering = [
            to_json(&RevocationTarget::Everything)?,
            to_json(&RevocationTarget::App(client_id.clone()))?,
            to_json(&RevocationTarget::Subject(subject.clone()))?,
            to_json(&RevocationTarget::AppAndSubject(client_id.clone(), subject.clone()))?,
        ];
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "INSERT INTO consents (application_id, user_id, scope, given_at, resource) \
             SELECT a.id, u.id, ?6, ?3, ?7 FROM live_applications AS a JOIN users AS u \
             WHERE a.client_id = ?1 AND u.public_id = ?5 AND NOT {IS_COVERED} \
             ON CONFLICT (application_id, user_id) DO UPDATE \
             SET scope = excluded.scope, given_at = excluded.given_at, \
                 resource = excluded.resource"
        )))
        .bind(client_id.as_str())
        .bind(to_json(&covering)?)
        .bind(given_at.as_millis())
        // The revocation of a grant does not end a consent.
        .bind(None::<String>)
        .bind(subject.as_str())
        .bind(scope.as_str())
        .bind(resource.as_ref().map(Resource::as_str))
        .execute(&self.writer)
        .await
        .map_err(StoreError::new)?;
        Ok(())
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        let found = sqlx::query(
            "SELECT json_object('client_id', a.client_id, 'subject', u.public_id, \
                 'scope', c.scope, 'resource', c.resource, 'given_at', c.given_at) AS consent \
             FROM consents AS c JOIN live_applications AS a ON a.id = c.application_id \
             JOIN users AS u ON u.id = c.user_id WHERE a.client_id = ?1 AND u.public_id = ?2",
        )
        .bind(client_id.as_str())
        .bind(subject.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(StoreError::new)?;
        found.map(|row| from_json(&row, "consent")).transpose()
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        let rows = sqlx::query(
            "SELECT json_object('client_id', a.client_id, 'subject', u.public_id, \
                 'scope', c.scope, 'resource', c.resource, 'given_at', c.given_at) AS consent \
             FROM consents AS c JOIN live_applications AS a ON a.id = c.application_id \
             JOIN users AS u ON u.id = c.user_id WHERE u.public_id = ?1 AND a.client_id > ?2 \
             ORDER BY a.client_id LIMIT ?3",
        )
        .bind(subject.as_str())
        .bind(page.after.as_ref().map_or("", ClientId::as_str))
        // One more than the page holds, to detect the last page.
        .bind(i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1))
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::new)?;
        let consents =
            rows.iter().map(|row| from_json(row, "consent")).collect::<Result<_, _>>()?;
        Ok(Listing::first_of(consents, page.limit, |last: &Consent| last.client_id.clone()))
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let mut transaction = self.begin().await?;
        // Deletes the consent and revokes in one step.
        sqlx::query(
            "DELETE FROM consents \
             WHERE application_id = (SELECT id FROM live_applications WHERE client_id = ?1) \
             AND user_id = (SELECT id FROM users WHERE public_id = ?2)",
        )
        .bind(client_id.as_str())
        .bind(subject.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::new)?;
        let target = RevocationTarget::AppAndSubject(client_id.clone(), subject.clone());
        let why = RevocationReason::ConsentWithdrawn;
        let revoked = enter(&mut transaction, &Revocation { target, at: now, why, until }).await?;
        commit(transaction).await?;
        Ok(self.saw_revocation(revoked))
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        self.apply_roots(claim).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let mut transaction = self.begin().await?;
        let tables = [
            ("spent_assertions", "jti, client_id, purpose", "expires_at", now.minus(HOUR)),
            ("grants", "grant_id", "inert_at", now),
            ("cutoffs", "target", "until", now),
        ];
        let (mut removed, mut more) = (0, false);
        for (table, key, end, until) in tables {
            let inert = format!("FROM {table} WHERE {end} <= ?1");
            let delete = format!(
                "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} {inert} ORDER BY {end} LIMIT ?2)"
            );
            let room = i64::try_from(limit.saturating_sub(removed)).unwrap_or(i64::MAX);
            let delete =
                sqlx::query(sqlx::AssertSqlSafe(delete)).bind(until.as_millis()).bind(room);
            let gone = delete.execute(&mut *transaction).await.map_err(StoreError::new)?;
            removed += usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX);
            let left = format!("SELECT EXISTS (SELECT 1 {inert})");
            let left = sqlx::query(sqlx::AssertSqlSafe(left))
                .bind(until.as_millis())
                .fetch_one(&mut *transaction);
            let left: bool = left.await.and_then(|row| row.try_get(0)).map_err(StoreError::new)?;
            more |= left;
        }
        commit(transaction).await?;
        Ok(Pruned { removed, more })
    }
}
