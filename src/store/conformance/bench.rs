//! The words of the checks: a store under test, its cast, and shorthands.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Check, Runner, Violation};
use crate::app::{AppDraft, Credentials, CustomApp, Flow};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, GrantId, SessionId, Subject};
use crate::protocol::confirmation::Confirmation;
use crate::protocol::scope::Scope;
use crate::random::{self, OsRandom};
use crate::secret::Digest;
use crate::store::{
    AccessFacts, AssertionClaim, AssertionPurpose, ClaimAssertion, CodeRedemption, DeleteApp,
    FeedCursor, Grant, GrantRefusal, InsertApp, InsertGrant, RedeemCode, Revocation,
    RevocationReason, RevocationTarget, Rotate, Rotation, Store, StoreError, UpdateApp,
};

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// The lifetime of codes in these checks.
pub(super) const CODE_LIFE: i64 = MINUTE;
/// The lifetime of grants in these checks.
pub(super) const GRANT_LIFE: i64 = 24 * HOUR;

pub(super) const EXPIRED: Rotate = Rotate::Refused(GrantRefusal::Expired);
pub(super) const REVOKED: Rotate = Rotate::Refused(GrantRefusal::Revoked);
pub(super) const UNKNOWN: Rotate = Rotate::Refused(GrantRefusal::Unknown);

/// Returns the instant `millis` after the one at which every check begins.
pub(crate) fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_700_000_000_000 + millis)
}

/// Checks that two values are the same.
#[expect(clippy::needless_pass_by_value, reason = "answers and literals read better by value")]
pub(crate) fn same<T: PartialEq + Debug>(what: &str, actual: T, expected: T) -> Check {
    holds(actual == expected, || format!("{what}: {actual:?}; it must be {expected:?}"))
}

/// Checks that a condition holds.
pub(crate) fn holds<T: Into<String>>(condition: bool, otherwise: impl FnOnce() -> T) -> Check {
    if condition { Ok(()) } else { Err(Violation::new(otherwise())) }
}

pub(crate) fn random_bytes<const N: usize>() -> Check<[u8; N]> {
    random::array(&OsRandom::new()).map_err(|error| Violation::new(error.to_string()))
}

pub(super) fn random_digest() -> Check<Digest> {
    random_bytes().map(Digest::from_bytes)
}

/// Returns a key that no other check knows.
pub(super) fn key() -> Check<Confirmation> {
    random_digest().map(Confirmation::Key)
}

pub(super) fn new_app() -> Check<CustomApp> {
    let client_id =
        ClientId::generate(&OsRandom::new()).map_err(|error| Violation::new(error.to_string()))?;
    let settings = AppDraft::confidential("Conformance")
        .description("Made to be raced")
        .flow(Flow::ClientCredentials)
        .build()
        .map_err(|error| Violation::new(error.to_string()))?;
    Ok(CustomApp::new(client_id, settings, Credentials::default(), 1, at(0)))
}

/// The number of [`cutoffs`](Cast::cutoffs) of an attested cast.
pub(super) const CUTOFFS: usize = 8;

/// An app, a user and a device that no other check knows; perhaps a session and an evidence issuer.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) client_id: ClientId,
    pub(super) subject: Subject,
    pub(super) device: DeviceId,
    pub(super) session: Option<SessionId>,
    pub(super) evidence_issuer: Option<EvidenceIssuer>,
}

impl Cast {
    /// Returns a grant of this cast as the server makes it, not stored yet.
    pub(super) fn grant(&self) -> Check<Grant> {
        let id = GrantId::from_bytes(random_bytes()?);
        let (app, user) = (self.client_id.clone(), self.subject.clone());
        let mut grant = Grant::new(id, app, user, Scope::default());
        grant.device = Some(self.device.clone());
        if self.session.is_some() || self.evidence_issuer.is_some() {
            let circumstances = grant.circumstances.get_or_insert_default();
            circumstances.session.clone_from(&self.session);
            circumstances.evidence_issuer.clone_from(&self.evidence_issuer);
        }
        grant.auth_time = Some(at(-MINUTE));
        grant.binding = random_digest()?;
        grant.salt_digest = random_digest()?;
        grant.authorized_at = at(0);
        grant.code_expires_at = at(CODE_LIFE);
        grant.expires_at = at(GRANT_LIFE);
        Ok(grant)
    }

    /// Returns an impersonation: a grant that begins with its refresh token.
    pub(super) fn impersonation(&self) -> Check<Grant> {
        let grant = self.grant()?;
        let (flow, rotated_at) = (Some(Flow::JwtBearer), grant.authorized_at);
        Ok(Grant { flow, generation: 1, rotated_at, ..grant })
    }

    /// Returns a target of every kind that covers the grants of this cast, single grants apart.
    pub(super) fn cutoffs(&self) -> Vec<RevocationTarget> {
        let Self { client_id, subject, device, session, evidence_issuer } = self;
        let mut targets = vec![
            RevocationTarget::Everything,
            RevocationTarget::App(client_id.clone()),
            RevocationTarget::Subject(subject.clone()),
            RevocationTarget::AppAndSubject(client_id.clone(), subject.clone()),
            RevocationTarget::Device(client_id.clone(), subject.clone(), device.clone()),
            RevocationTarget::NamedDevice(device.clone()),
        ];
        targets.extend(session.clone().map(RevocationTarget::Session));
        targets.extend(evidence_issuer.clone().map(RevocationTarget::EvidenceIssuer));
        targets
    }
}

/// Returns the code of `grant`, presented by its app with its key.
pub(super) fn code(grant: &Grant, millis: i64) -> CodeRedemption {
    CodeRedemption {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        confirmation: grant.confirmation,
        binds: true,
        device: None,
        polling: None,
        claim: 1,
        now: at(millis),
    }
}

/// Returns a refresh token of `grant`, presented by its app with its key. No grace.
pub(super) fn token(grant: &Grant, generation: u32, millis: i64) -> Rotation {
    Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 0,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        confirmation: grant.confirmation,
        binds: true,
        claim: 2,
        now: at(millis),
    }
}

/// Returns an assertion that expires in five minutes, presented as a grant. It gives no access.
pub(super) fn claim(client_id: &ClientId) -> Check<AssertionClaim> {
    Ok(AssertionClaim {
        makes_row: false,
        client_id: client_id.clone(),
        purpose: AssertionPurpose::Grant,
        jti: random_digest()?,
        expires_at: at(5 * MINUTE),
        grant: None,
        now: at(0),
    })
}

/// Returns the revocation of `target`, in force for as long as any grant of these checks lives.
pub(super) fn end(target: RevocationTarget, millis: i64) -> Revocation {
    Revocation {
        target,
        at: at(millis),
        why: RevocationReason::Administrator,
        until: at(millis + GRANT_LIFE),
    }
}

/// A store under test.
pub(super) struct Bench<'k, S, R> {
    pub(super) store: S,
    pub(super) runner: &'k R,
    pub(super) rounds: usize,
}

impl<'k, S: Store, R: Runner> Bench<'k, S, R> {
    pub(super) fn new(store: S, runner: &'k R, rounds: usize) -> Self {
        Self { store, runner, rounds }
    }

    /// Waits for a call to the store.
    pub(super) fn wait<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Check<T> {
        Ok(self.runner.block_on(call)?)
    }

    /// Returns a cast with its app registered.
    pub(super) fn cast(&self) -> Check<Cast> {
        let app = new_app()?;
        let name = app.client_id().as_str();
        let invalid = |error: crate::ids::InvalidId| Violation::new(error.to_string());
        let cast = Cast {
            client_id: app.client_id().clone(),
            subject: Subject::new(format!("user of {name}")).map_err(invalid)?,
            device: DeviceId::new(format!("device of {name}")).map_err(invalid)?,
            session: None,
            evidence_issuer: None,
        };
        same("a new app", self.wait(self.store.insert_app(app))?, InsertApp::Inserted)?;
        Ok(cast)
    }

    /// Returns a cast whose grants name a session and an evidence issuer.
    pub(super) fn attested_cast(&self) -> Check<Cast> {
        let cast = self.cast()?;
        let name = cast.client_id.as_str();
        let invalid = |error: crate::ids::InvalidId| Violation::new(error.to_string());
        let session = SessionId::new(format!("session: {name}")).map_err(invalid)?;
        let issuer = EvidenceIssuer::new(format!("https://idp/{name}")).map_err(invalid)?;
        Ok(Cast { session: Some(session), evidence_issuer: Some(issuer), ..cast })
    }

    pub(super) fn delete(&self, client_id: &ClientId) -> Check<DeleteApp> {
        let version = self.app(client_id)?.version();
        self.wait(self.store.delete_app(client_id, version))
    }

    pub(super) fn app(&self, client_id: &ClientId) -> Check<Arc<CustomApp>> {
        let found = self.wait(self.store.find_app(client_id))?;
        found.ok_or_else(|| Violation::new("a registered app is not found"))
    }

    pub(super) fn enable(&self, client_id: &ClientId, enabled: bool) -> Check {
        let app = self.app(client_id)?;
        let edited = app.edited(at(0), |edit| *edit.enabled = enabled);
        let answer = self.wait(self.store.update_app(edited, app.version()))?;
        same("an update of the stored version", answer, UpdateApp::Updated)
    }

    /// Asks for the store's instant. `millis` is the host's.
    pub(super) fn instant(&self, millis: i64) -> Check<UnixTime> {
        self.wait(self.store.instant(at(millis)))
    }

    /// Returns `grant` dated now.
    pub(super) fn dated(&self, grant: Grant) -> Check<Grant> {
        Ok(Grant { authorized_at: self.instant(0)?, ..grant })
    }

    /// Returns a claim that makes the row of `grant`, dated now.
    pub(super) fn claim_of(&self, grant: Grant) -> Check<AssertionClaim> {
        let grant = self.dated(grant)?;
        let one = claim(&grant.client_id)?;
        Ok(AssertionClaim { grant: Some(grant), makes_row: true, ..one })
    }

    /// Stores `grant` as a decision of now, and returns it with the date that the store gave it.
    pub(super) fn decide(&self, grant: Grant) -> Check<Grant> {
        let grant = self.dated(grant)?;
        match self.wait(self.store.insert_grant(grant.clone()))? {
            InsertGrant::Inserted { authorized_at } => Ok(Grant { authorized_at, ..grant }),
            InsertGrant::AlreadyDecided => Err(Violation::new("a new grant id is taken")),
            InsertGrant::AppInactive => Err(Violation::new("an enabled app is inactive")),
            InsertGrant::Revoked => Err(Violation::new("the present instant is revoked")),
        }
    }

    /// Returns a grant of `cast` whose code is pending.
    pub(super) fn pending(&self, cast: &Cast) -> Check<Grant> {
        self.decide(cast.grant()?)
    }

    /// Returns a grant of `cast` whose code was redeemed: its refresh token is at generation 1.
    pub(super) fn family(&self, cast: &Cast) -> Check<Grant> {
        let grant = self.pending(cast)?;
        same("a fresh code", self.redeem(&code(&grant, 0))?, RedeemCode::Redeemed)?;
        Ok(Grant { generation: 1, rotated_at: at(0), claim: 1, ..grant })
    }

    pub(super) fn redeem(&self, redemption: &CodeRedemption) -> Check<RedeemCode> {
        self.wait(self.store.redeem_code(redemption))
    }

    pub(super) fn rotate(&self, rotation: &Rotation) -> Check<Rotate> {
        self.wait(self.store.rotate(rotation))
    }

    pub(super) fn claim(&self, claim: &AssertionClaim) -> Check<ClaimAssertion> {
        self.wait(self.store.claim_assertion(claim))
    }

    /// Returns the instant of a claim that is the first of its assertion.
    pub(super) fn first(&self, what: &str, claim: &AssertionClaim) -> Check<UnixTime> {
        match self.claim(claim)? {
            ClaimAssertion::First { authorized_at } => Ok(authorized_at),
            other @ (ClaimAssertion::Replayed
            | ClaimAssertion::Revoked
            | ClaimAssertion::AppInactive) => {
                Err(Violation::new(format!("{what}: {other:?}; it must be the first")))
            }
        }
    }

    pub(super) fn revoke(&self, revocation: &Revocation) -> Check<UnixTime> {
        Ok(self.wait(self.store.revoke(revocation))?.at)
    }

    pub(super) fn find(&self, grant: &Grant) -> Check<Option<Grant>> {
        self.wait(self.store.find_grant(&grant.grant_id))
    }

    pub(super) fn row(&self, grant: &Grant) -> Check<Grant> {
        self.find(grant)?.ok_or_else(|| Violation::new("a stored grant is not found"))
    }

    /// Checks what the store knows without a read of the grant with this row.
    pub(super) fn knows_no_more_than(&self, row: &Grant) -> Check {
        let Some(known) = self.store.known_grant(&row.grant_id) else { return Ok(()) };
        holds(known.generation <= row.generation, || "a known generation is still to come")?;
        let known = Grant {
            binding: row.binding,
            confirmation: row.confirmation,
            bound_from: row.bound_from,
            code_expires_at: row.code_expires_at,
            generation: row.generation,
            rotated_at: row.rotated_at,
            claim: row.claim,
            retries: row.retries,
            mismatches: row.mismatches,
            revoked: row.revoked,
            ..known
        };
        same("what is known of a grant", &known, row)
    }

    pub(super) fn is_revoked(&self, facts: &AccessFacts<'_>) -> Check<bool> {
        self.wait(self.store.is_revoked(facts))
    }

    pub(super) fn live_among(&self, grants: &[Grant]) -> Check<Vec<GrantId>> {
        self.wait(self.store.live_among(grants))
    }

    /// Checks that a grant gives nothing any more, and that the tokens it gave are void.
    pub(super) fn is_dead(&self, what: &str, grant: &Grant, millis: i64) -> Check {
        let revoked = self.is_revoked(&grant.facts())?;
        holds(revoked, || format!("{what}: the predicate does not say that it is revoked"))?;
        let Some(row) = self.find(grant)? else { return Ok(()) };
        if row.generation == 0 {
            let answer = self.redeem(&code(&row, millis))?;
            same(&format!("{what}: its code"), answer, RedeemCode::Refused(GrantRefusal::Revoked))
        } else {
            let answer = self.rotate(&token(&row, row.generation, millis))?;
            same(&format!("{what}: its live refresh token"), answer, REVOKED)
        }
    }

    /// Checks that a family is alive, and rotates it once.
    pub(super) fn is_alive(&self, what: &str, grant: &Grant, millis: i64) -> Check {
        let revoked = self.is_revoked(&grant.facts())?;
        holds(!revoked, || format!("{what}: the predicate says that it is revoked"))?;
        let row = self.row(grant)?;
        if row.generation == 0 {
            let answer = self.redeem(&code(&row, millis))?;
            same(&format!("{what}: its code"), answer, RedeemCode::Redeemed)
        } else {
            let answer = self.rotate(&token(&row, row.generation, millis))?;
            same(&format!("{what}: its live refresh token"), answer, Rotate::Rotated)
        }
    }

    /// Reads the feed from `cursor` until there is no more, `limit` entries at a time.
    pub(super) fn read_feed(
        &self,
        mut cursor: FeedCursor,
        limit: usize,
        millis: i64,
    ) -> Check<(Vec<Revocation>, FeedCursor)> {
        let mut entries = Vec::new();
        // Far more pages than any check makes: a feed must come to its end.
        for _ in 0..100_000 {
            let page = self.wait(self.store.revocations_since(cursor, limit, at(millis)))?;
            holds(page.entries.len() <= limit, || {
                format!("a page of the feed holds {} entries of {limit}", page.entries.len())
            })?;
            entries.extend(page.entries);
            cursor = page.next;
            if !page.more {
                return Ok((entries, cursor));
            }
        }
        Err(Violation::new("the feed says without end that there is more"))
    }
}
