//! The default store: everything in the memory of one process.

mod apps;
mod audit;
mod devices;
mod grant_row;
mod instants;
mod ledger;
mod listing;
mod pending;
mod slots;
mod table;
mod terms;
mod trusted_issuers;

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use foldhash::fast::RandomState;

use self::apps::Registered;
use self::audit::Log;
use self::devices::Devices;
use self::grant_row::GrantRow;
use self::ledger::Ledger;
use self::listing::FirstOf;
use self::pending::Pending;
use self::table::{GrantIdHasher, Row, Shards};
use self::trusted_issuers::TrustedIssuers;
use super::store_clock::StoreClock;
use super::{
    AccessFacts, AssertionClaim, AssertionPurpose, ClaimAssertion, CodeRedemption, Consent,
    FeedCursor, Grant, GrantFilter, GrantRefusal, GrantStore, InsertGrant, Listing, Page, Pruned,
    RedeemCode, Revocation, RevocationFeed, RevocationReason, RevocationTarget, Revoked, Rotate,
    Rotation, StoreError,
};
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Subject};
use crate::secret::Digest;

/// How long a claimed assertion is remembered beyond its expiry, should a clock jump back.
const ASSERTION_MARGIN: Duration = Duration::from_hours(1);

/// A store in the memory of this process: fast, and lost with it.
///
/// It serves one issuer of one process whose grants need not survive a restart, and tests. Every
/// insertion removes a few inert rows, so that grants, assertions, revocations and devices stay bounded
/// without [`prune`](GrantStore::prune), which frees their memory sooner. Consents stay until they are
/// withdrawn or their app is deleted. As an [`AuditStore`](crate::audit::AuditStore) it keeps the newest
/// 10,000 events.
///
/// ```
/// use grantor::ids::GrantId;
/// use grantor::store::{GrantStore, MemoryStore};
///
/// # pollster::block_on(async {
/// let store = MemoryStore::new();
/// assert!(store.find_grant(&GrantId::from_bytes([7; 16])).await?.is_none());
/// # Ok::<(), grantor::store::StoreError>(())
/// # }).unwrap();
/// ```
//
// Locks are taken in the order of the fields, and no lock outlives the method that took it.
#[derive(Default)]
pub struct MemoryStore {
    /// Every token reads it.
    apps: ShardedLock<Apps>,
    /// Counts the changes of the apps: added to while they are locked.
    apps_version: AtomicU64,
    assertions: Shards<AssertionKey, Claimed, RandomState>,
    grants: Shards<GrantId, GrantRow, BuildHasherDefault<GrantIdHasher>>,
    consents: RwLock<HashMap<(ClientId, Subject), Consent>>,
    devices: RwLock<Devices>,
    pending: RwLock<Pending>,
    trusted_issuers: RwLock<TrustedIssuers>,
    ledger: RwLock<Ledger>,
    clock: StoreClock,
    /// The instant of the latest cutoff: a grant that was authorized later need not ask the ledger.
    latest_cutoff: AtomicI64,
    log: Mutex<Log>,
}

/// Only administrators add to it, so its hash need not withstand chosen keys.
type Apps = HashMap<ClientId, Registered, RandomState>;

type AssertionKey = (Digest, ClientId, AssertionPurpose);

/// A claimed assertion and its expiry.
struct Claimed {
    expires_at: UnixTime,
}

impl Row for Claimed {
    type Queued = UnixTime;

    fn inert_at(&self) -> UnixTime {
        self.expires_at.plus(ASSERTION_MARGIN)
    }
}

impl MemoryStore {
    /// The number of events in the audit log. The oldest make room for new ones, and stay counted.
    pub const MAX_EVENTS: usize = 10_000;

    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the apps, and keeps each of them as it is.
    fn apps(&self) -> ShardedLockReadGuard<'_, Apps> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn apps_mut(&self) -> ShardedLockWriteGuard<'_, Apps> {
        self.apps.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks whether a token with these facts is void, parents apart.
    fn is_void(&self, facts: &AccessFacts<'_>) -> bool {
        if active(&self.apps(), facts.client_id).is_none() || self.is_cut_off(facts) {
            return true;
        }
        let shard = self.grants.lock(first_byte(facts.grant_id));
        match shard.find(&facts.grant_id) {
            Some(row) => row.is_revoked(),
            None => read(&self.ledger).end_of(facts.grant_id).is_some(),
        }
    }

    /// Checks whether a cutoff voids a token with these facts.
    fn is_cut_off(&self, facts: &AccessFacts<'_>) -> bool {
        facts.authorized_at.as_millis() <= self.latest_cutoff.load(Ordering::SeqCst)
            && read(&self.ledger).is_cut_off(facts)
    }

    /// Puts a cutoff in force: the revocation of anything but a grant.
    fn cut_off(&self, revocation: &Revocation) -> Revoked {
        let mut ledger = write(&self.ledger);
        // Under the lock, so that the feed is written in the order of its instants.
        let at = self.clock.revocation(revocation.at);
        ledger.enter(Revocation { at, ..revocation.clone() }, revocation.at);
        self.latest_cutoff.store(at.as_millis(), Ordering::SeqCst);
        Revoked { at }
    }

    /// Ends a grant for good, with or without a row.
    fn end_grant(&self, grant_id: GrantId, revocation: &Revocation) -> Revoked {
        let mut shard = self.grants.lock(first_byte(grant_id));
        let mut ledger = write(&self.ledger);
        let at = self.clock.revocation(revocation.at);
        if let Some(row) = shard.find_mut(&grant_id) {
            row.edit(grant_id, |grant| grant.revoke(revocation.why, at));
        }
        ledger.enter(Revocation { at, ..revocation.clone() }, revocation.at);
        Revoked { at }
    }

    /// Applies `rule` to the row of a grant, and says whether it is void, for a redemption with the device that
    /// it brings. An end goes into the feed.
    fn apply<T>(
        &self,
        grant_id: GrantId,
        redemption: Option<&CodeRedemption>,
        now: UnixTime,
        rule: impl FnOnce(&mut GrantRow, bool) -> T,
    ) -> Option<T> {
        // Held to the end: once an app is disabled, none of its rows changes.
        let apps = self.apps();
        let mut shard = self.grants.lock(first_byte(grant_id));
        let row = shard.find_mut(&grant_id)?;
        let mut facts = row.facts(grant_id);
        if let Some(redemption) = redemption {
            facts.device = facts.device.or(redemption.device.as_ref());
        }
        let void = active(&apps, facts.client_id).is_none() || self.is_cut_off(&facts);
        let had_ended = row.is_revoked();
        let answer = rule(row, void);
        if let Some((_, why)) = row.revoked()
            && !had_ended
        {
            let expires_at = row.expires_at();
            let target = RevocationTarget::Grant(grant_id);
            let mut ledger = write(&self.ledger);
            let at = self.clock.revocation(now);
            ledger.enter(Revocation { target, at, why, until: expires_at }, now);
        }
        Some(answer)
    }

    /// Checks whether a revocation in force covers the date of a new grant. A revocation that is not in
    /// force yet is at or after the date, and voids the grant.
    fn is_overtaken(&self, grant: &Grant) -> bool {
        self.clock.reach(grant.authorized_at);
        grant.revoked.is_none() && self.is_cut_off(&grant.facts())
    }

    /// Makes a row, unless one exists. A grant that was revoked before it had a row is revoked at birth.
    fn make_row(&self, app: &Registered, mut grant: Grant) -> NewRow {
        let authorized_at = grant.authorized_at;
        let mut shard = self.grants.lock_to_insert(first_byte(grant.grant_id), authorized_at);
        let place = shard.place(grant.grant_id);
        if place.row().is_some() {
            return NewRow::Taken;
        }
        if self.is_overtaken(&grant) {
            return NewRow::Revoked;
        }
        if let Some(end) = read(&self.ledger).end_of(grant.grant_id) {
            grant.revoke(end.why, end.at);
        }
        // The row shares the names that the app holds.
        let own_scope = app.app.settings().scope();
        grant.client_id.clone_from(app.app.client_id());
        if grant.scope == *own_scope {
            grant.scope.clone_from(own_scope);
        }
        place.put(GrantRow::new(grant, &app.terms));
        NewRow::Made { authorized_at }
    }
}

enum NewRow {
    Made { authorized_at: UnixTime },
    Taken,
    Revoked,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl GrantStore for MemoryStore {
    fn seen(&self) -> UnixTime {
        self.clock.present()
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        self.clock.reach(instant);
        instant
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        Ok(self.clock.reach(now))
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        // Held until the row exists: a later end of the app covers it.
        let apps = self.apps();
        let Some(app) = active(&apps, &grant.client_id) else {
            return Ok(InsertGrant::AppInactive);
        };
        Ok(match self.make_row(app, grant) {
            NewRow::Made { authorized_at } => InsertGrant::Inserted { authorized_at },
            NewRow::Taken => InsertGrant::AlreadyDecided,
            NewRow::Revoked => InsertGrant::Revoked,
        })
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let rule = |row: &mut GrantRow, void| {
            row.edit(redemption.grant_id, |grant| grant.redeem(redemption, void))
        };
        Ok(self
            .apply(redemption.grant_id, Some(redemption), redemption.now, rule)
            .unwrap_or(RedeemCode::Refused(GrantRefusal::Unknown)))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        let rule = |row: &mut GrantRow, void| row.rotate(rotation, void);
        Ok(self
            .apply(rotation.grant_id, None, rotation.now, rule)
            .unwrap_or(Rotate::Refused(GrantRefusal::Unknown)))
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        let apps = self.apps();
        let Some(app) = active(&apps, &claim.client_id) else {
            return Ok(ClaimAssertion::AppInactive);
        };
        let [byte, ..] = *claim.jti.as_bytes();
        let mut shard = self.assertions.lock_to_insert(byte, claim.now);
        let place = shard.place((claim.jti, claim.client_id.clone(), claim.purpose));
        if place.row().is_some_and(|claimed| claimed.expires_at >= claim.now) {
            return Ok(ClaimAssertion::Replayed);
        }
        let authorized_at = match &claim.grant {
            Some(grant) if claim.makes_row => match self.make_row(app, grant.clone()) {
                NewRow::Made { authorized_at } => authorized_at,
                NewRow::Taken => return Err(StoreError::new("there is a grant with this id")),
                NewRow::Revoked => return Ok(ClaimAssertion::Revoked),
            },
            Some(grant) if self.is_overtaken(grant) => return Ok(ClaimAssertion::Revoked),
            Some(grant) => grant.authorized_at,
            None => claim.now,
        };
        place.put(Claimed { expires_at: claim.expires_at });
        Ok(ClaimAssertion::First { authorized_at })
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let shard = self.grants.lock(first_byte(*grant_id));
        Ok(shard.find(grant_id).map(|row| row.to_grant(*grant_id)))
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        let mut first = FirstOf::new(page);
        for shard in self.grants.iter() {
            for (grant_id, row) in shard.rows() {
                if !first.wants(grant_id) {
                    continue;
                }
                let grant = row.to_grant(*grant_id);
                if filter.admits(&grant) {
                    first.put(*grant_id, grant);
                }
            }
        }
        Ok(first.into_listing())
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        Ok(match revocation.target {
            RevocationTarget::Grant(grant_id) => self.end_grant(grant_id, revocation),
            RevocationTarget::Everything
            | RevocationTarget::App(_)
            | RevocationTarget::Subject(_)
            | RevocationTarget::AppAndSubject(..)
            | RevocationTarget::Device(..)
            | RevocationTarget::NamedDevice(_)
            | RevocationTarget::Session(_)
            | RevocationTarget::EvidenceIssuer(_) => self.cut_off(revocation),
        })
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        Ok(facts.lineage().any(|facts| self.is_void(&facts)))
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        Ok(read(&self.ledger).read_on(cursor, limit, now))
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        let mut consents = write(&self.consents);
        // Held until the consent is written: a cutoff comes either before it or after it.
        let ledger = read(&self.ledger);
        if !ledger.ends(&consent) {
            consents.insert((consent.client_id.clone(), consent.subject.clone()), consent);
        }
        Ok(())
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        let key = (client_id.clone(), subject.clone());
        Ok(read(&self.consents).get(&key).cloned())
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        let mut first = FirstOf::new(page);
        for ((client_id, of), consent) in &*read(&self.consents) {
            if of == subject && first.wants(client_id) {
                first.put(client_id.clone(), consent.clone());
            }
        }
        Ok(first.into_listing())
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        // Held until the cutoff is in force: no reader sees one without the other.
        let mut consents = write(&self.consents);
        consents.remove(&(client_id.clone(), subject.clone()));
        Ok(self.cut_off(&Revocation {
            target: RevocationTarget::AppAndSubject(client_id.clone(), subject.clone()),
            at: now,
            why: RevocationReason::ConsentWithdrawn,
            until,
        }))
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let tables: [&dyn Fn(usize) -> Pruned; 3] = [
            &|limit| self.assertions.prune(now, limit),
            &|limit| self.grants.prune(now, limit),
            &|limit| write(&self.ledger).prune(now, limit),
        ];
        let mut total = Pruned { removed: 0, more: false };
        for prune in tables {
            let pruned = prune(limit.saturating_sub(total.removed));
            total.removed += pruned.removed;
            total.more |= pruned.more;
        }
        Ok(total)
    }
}

fn active<'a>(apps: &'a Apps, client_id: &ClientId) -> Option<&'a Registered> {
    apps.get(client_id).filter(|it| it.app.is_enabled())
}

fn first_byte(grant_id: GrantId) -> u8 {
    let [byte, ..] = *grant_id.as_bytes();
    byte
}

/// Reads the guarded value. No code panics while it holds a lock, so a poisoned one is intact.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
