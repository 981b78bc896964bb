//! A host's own store in one file, and the conformance kit run over it.
//!
//! The tables are plain maps behind one lock, so that nothing distracts from what the contract
//! asks. In a database each method below is one statement or one transaction; the rules on one row
//! are [`Grant::redeem`] and [`Grant::rotate`], and a store that locks the row may call them.
//!
//! Run it with `cargo run --example custom_store --features test-kit`.
#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, GrantId, Subject};
use grantor::secret::Digest;
use grantor::store::conformance::Kit;
use grantor::store::{
    AccessFacts, AppQuery, AppRegistry, AssertionClaim, AssertionPurpose, ClaimAssertion,
    CodeRedemption, Consent, DeleteApp, FeedCursor, Grant, GrantFilter, GrantRefusal, GrantStore,
    InsertApp, InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation, RevocationFeed,
    RevocationReason, RevocationTarget, Revoked, Rotate, Rotation, StoreError, UpdateApp,
};

fn main() -> ExitCode {
    println!("This is a store of one lock over five maps, as a host might write it.");
    println!("The conformance kit now asks it for every promise of the contract,");
    println!("and lets 16 threads race on it. That takes a few seconds.");
    let report = Kit::new(CustomStore::default).with_rounds(300).run();
    println!("{report}.");
    if report.is_passed() {
        println!("The server may rely on this store.");
        ExitCode::SUCCESS
    } else {
        println!("The server must not rely on this store.");
        ExitCode::FAILURE
    }
}

/// The store. `&self` everywhere: interior mutability is the store's business.
#[derive(Debug, Default)]
pub(crate) struct CustomStore {
    tables: Mutex<Tables>,
}

/// What a database would hold. One place for all of it: a redemption asks in one step for the row,
/// for every cutoff, and for whether the app is enabled.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) apps: BTreeMap<ClientId, Arc<CustomApp>>,
    /// Counts the changes of the apps, so that a cache of another process learns of them.
    pub(crate) apps_version: u64,
    pub(crate) grants: BTreeMap<GrantId, Grant>,
    pub(crate) assertions: HashMap<(ClientId, AssertionPurpose, Digest), UnixTime>,
    /// Cutoffs, ended grants and tombstones, in the order in which the feed tells them. A store
    /// with many of them has an index by target as well.
    pub(crate) revocations: BTreeMap<FeedCursor, Revocation>,
    pub(crate) consents: HashMap<(ClientId, Subject), Consent>,
    /// The store's clock: the latest instant that it was given or has made.
    clock: UnixTime,
    entered: u64,
}

impl CustomStore {
    /// Every method takes the lock once and holds it to its end, and none awaits while it does: so
    /// every method is one atomic step, and a dropped future leaves it done or not begun.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Whether an app is registered and enabled.
    fn is_active(&self, client_id: &ClientId) -> bool {
        self.apps.get(client_id).is_some_and(|app| app.is_enabled())
    }

    /// The single predicate, but for the grant's own row: its app must be enabled, and no
    /// revocation may cover it. Grants and tokens, codes and refresh tokens all ask here.
    pub(crate) fn is_void(&self, facts: &AccessFacts<'_>) -> bool {
        !self.is_active(facts.client_id)
            || self.revocations.values().any(|revocation| revocation.voids(facts))
    }

    /// The instant of a decision. The host's clock may run backwards; this one does not.
    pub(crate) fn decide_at(&mut self, now: UnixTime) -> UnixTime {
        self.clock = self.clock.max(now);
        self.clock
    }

    /// Enters a revocation at an instant that no earlier decision exceeds and every later decision
    /// does: the clock moves on by a millisecond.
    pub(crate) fn enter(&mut self, mut revocation: Revocation) -> Revoked {
        let at = self.decide_at(revocation.at);
        self.clock = at.plus(Duration::from_millis(1));
        self.entered += 1;
        revocation.at = at;
        self.revocations.insert(FeedCursor { at, tie: self.entered }, revocation);
        Revoked { at }
    }

    /// Applies a rule to the row of a grant and, if the rule ended the grant, tells the feed.
    pub(crate) fn apply<T>(
        &mut self,
        grant_id: GrantId,
        now: UnixTime,
        rule: impl FnOnce(&mut Grant, bool) -> T,
    ) -> Option<T> {
        let mut grant = self.grants.get(&grant_id)?.clone();
        let had_ended = grant.revoked.is_some();
        let void = self.is_void(&grant.facts());
        let answer = rule(&mut grant, void);
        if let Some((_, why)) = grant.revoked
            && !had_ended
        {
            let target = RevocationTarget::Grant(grant_id);
            self.enter(Revocation { target, at: now, why, until: grant.expires_at });
        }
        self.grants.insert(grant_id, grant);
        Some(answer)
    }
}

impl AppRegistry for CustomStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        Ok(self.lock().apps.get(client_id).cloned())
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        let mut tables = self.lock();
        // In SQL: INSERT .. ON CONFLICT DO NOTHING, and look at the number of rows.
        if tables.apps.contains_key(app.client_id()) {
            return Ok(InsertApp::AlreadyExists);
        }
        tables.apps.insert(app.client_id().clone(), Arc::new(app));
        tables.apps_version += 1;
        Ok(InsertApp::Inserted)
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        let mut tables = self.lock();
        // In SQL: UPDATE .. WHERE client_id = $1 AND version = $2.
        Ok(match tables.apps.get_mut(app.client_id()) {
            None => UpdateApp::NotFound,
            Some(stored) if stored.version() != expected_version => UpdateApp::Conflict,
            Some(stored) => {
                *stored = Arc::new(app);
                // In the same statement or transaction: whoever reads the one finds the other.
                tables.apps_version += 1;
                UpdateApp::Updated
            }
        })
    }

    async fn delete_app(&self, client_id: &ClientId) -> Result<DeleteApp, StoreError> {
        let mut tables = self.lock();
        tables.consents.retain(|(of_app, _), _| of_app != client_id);
        Ok(match tables.apps.remove(client_id) {
            Some(_) => {
                tables.apps_version += 1;
                DeleteApp::Deleted
            }
            None => DeleteApp::NotFound,
        })
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        let tables = self.lock();
        let wanted = tables.apps.values().filter(|app| query.admits(app)).map(Arc::clone);
        Ok(read_page(wanted, &page, |app| app.client_id().clone()))
    }

    async fn apps_version(&self) -> Result<u64, StoreError> {
        Ok(self.lock().apps_version)
    }
}

impl GrantStore for CustomStore {
    async fn insert_grant(&self, mut grant: Grant) -> Result<InsertGrant, StoreError> {
        let mut tables = self.lock();
        // In the same step: an app that is enabled again finds no decision of when it was not.
        if !tables.is_active(&grant.client_id) {
            return Ok(InsertGrant::AppInactive);
        }
        // The id comes from a ticket that travelled through a browser: it may come back twice.
        if tables.grants.contains_key(&grant.grant_id) {
            return Ok(InsertGrant::AlreadyDecided);
        }
        let authorized_at = tables.decide_at(grant.authorized_at);
        grant.authorized_at = authorized_at;
        tables.grants.insert(grant.grant_id, grant);
        Ok(InsertGrant::Inserted { authorized_at })
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let rule = |grant: &mut Grant, void| grant.redeem(redemption, void);
        let answer = self.lock().apply(redemption.grant_id, redemption.now, rule);
        Ok(answer.unwrap_or(RedeemCode::Refused(GrantRefusal::Unknown)))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        let rule = |grant: &mut Grant, void| grant.rotate(rotation, void);
        let answer = self.lock().apply(rotation.grant_id, rotation.now, rule);
        Ok(answer.unwrap_or(Rotate::Refused(GrantRefusal::Unknown)))
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        let mut tables = self.lock();
        if !tables.is_active(&claim.client_id) {
            return Ok(ClaimAssertion::AppInactive);
        }
        let key = (claim.client_id.clone(), claim.purpose, claim.jti);
        if tables.assertions.get(&key).is_some_and(|expires_at| *expires_at >= claim.now) {
            return Ok(ClaimAssertion::Replayed);
        }
        let authorized_at = tables.decide_at(claim.now);
        if let Some(grant) = &claim.grant {
            if tables.grants.contains_key(&grant.grant_id) {
                return Err(StoreError::new("there is a grant with this id"));
            }
            let mut grant = grant.clone();
            grant.authorized_at = authorized_at;
            tables.grants.insert(grant.grant_id, grant);
        }
        tables.assertions.insert(key, claim.expires_at);
        Ok(ClaimAssertion::First { authorized_at })
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        Ok(self.lock().grants.get(grant_id).cloned())
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        let tables = self.lock();
        let wanted = tables.grants.values().filter(|grant| filter.admits(grant)).cloned();
        Ok(read_page(wanted, &page, |grant| grant.grant_id))
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let mut tables = self.lock();
        // One entry, however many tokens it covers. It also is the tombstone of a grant that has
        // no row, and a grant that has one is marked so that whoever reads it sees why.
        let revoked = tables.enter(revocation.clone());
        if let RevocationTarget::Grant(grant_id) = &revocation.target
            && let Some(grant) = tables.grants.get_mut(grant_id)
        {
            grant.revoke(revocation.why, revoked.at);
        }
        Ok(revoked)
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        let tables = self.lock();
        // A derived token is void if anything that it descends from is.
        Ok(facts.lineage().any(|facts| {
            let row = tables.grants.get(&facts.grant_id);
            row.is_some_and(|grant| grant.revoked.is_some()) || tables.is_void(&facts)
        }))
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        let tables = self.lock();
        let mut later = tables.revocations.range((Excluded(cursor), Unbounded));
        let page: Vec<_> = later.by_ref().take(limit).collect();
        let more = later.next().is_some();
        let last = page.last().map_or(cursor, |(cursor, _)| **cursor);
        // Behind one lock nothing is being written while it is read. In a database an entry may
        // become visible after a later one did: a reader that has seen everything is set back.
        let back = FeedCursor { at: now.minus(Duration::from_secs(5)), tie: 0 };
        let next = if more { last } else { last.min(back) };
        let entries = page.into_iter().map(|(_, revocation)| revocation.clone()).collect();
        Ok(RevocationFeed { entries, next, more })
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        let mut tables = self.lock();
        // In SQL: INSERT .. SELECT .. WHERE NOT EXISTS a revocation that came after it, in a
        // transaction that a withdrawal cannot overlap.
        if !tables.revocations.values().any(|revocation| revocation.ends(&consent)) {
            let key = (consent.client_id.clone(), consent.subject.clone());
            tables.consents.insert(key, consent);
        }
        Ok(())
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        Ok(self.lock().consents.get(&(client_id.clone(), subject.clone())).cloned())
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let mut tables = self.lock();
        tables.consents.remove(&(client_id.clone(), subject.clone()));
        Ok(tables.enter(Revocation {
            target: RevocationTarget::AppAndSubject(client_id.clone(), subject.clone()),
            at: now,
            why: RevocationReason::ConsentWithdrawn,
            until,
        }))
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let mut tables = self.lock();
        // The budget goes down with every row; a row that is inert when it is used up is `more`.
        let (mut removed, mut more) = (0, false);
        let mut keep = |inert: bool| {
            let remove = inert && removed < limit;
            removed += usize::from(remove);
            more |= inert && !remove;
            !remove
        };
        // An assertion is remembered for an hour longer, should the host's clock jump back.
        let hour_ago = now.minus(Duration::from_secs(3_600));
        tables.assertions.retain(|_, expires_at| keep(*expires_at <= hour_ago));
        tables.grants.retain(|_, grant| keep(grant.expires_at <= now));
        tables.revocations.retain(|_, revocation| keep(revocation.until <= now));
        Ok(Pruned { removed, more })
    }
}

/// Cuts a page out of items that come in the order of their keys.
fn read_page<T, K: Clone + Ord>(
    items: impl Iterator<Item = T>,
    page: &Page<K>,
    key: impl Fn(&T) -> K,
) -> Listing<T, K> {
    let seen = |item: &T| page.after.as_ref().is_some_and(|after| key(item) <= *after);
    let mut rest = items.skip_while(seen);
    let items: Vec<T> = rest.by_ref().take(page.limit).collect();
    let next = if rest.next().is_some() { items.last().map(&key) } else { None };
    Listing::new(items, next)
}
