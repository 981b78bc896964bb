//! A custom store in one file, checked by the conformance kit.
//!
//! The tables are plain maps behind one lock, to keep the focus on the contract. In a database each
//! method below is one statement or one transaction. The rules for one row are [`Grant::redeem`]
//! and [`Grant::rotate`]; a store that locks the row may call them.
//!
//! Run it with `cargo run --example custom_store --features test-kit`.
#![expect(clippy::print_stdout, reason = "the example reports its results")]

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantor::Subject;
use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, GrantId};
use grantor::secret::Digest;
use grantor::store::conformance::Kit;
use grantor::store::{
    AccessFacts, AppQuery, AppRegistry, AppsVersion, AssertionClaim, AssertionPurpose,
    ClaimAssertion, CodeRedemption, Consent, DeleteApp, FeedCursor, Grant, GrantFilter,
    GrantRefusal, GrantStore, InsertApp, InsertGrant, Listing, Page, Pruned, RedeemCode,
    Revocation, RevocationFeed, RevocationReason, RevocationTarget, Revoked, Rotate, Rotation,
    StoreError, UpdateApp,
};

fn main() -> ExitCode {
    println!("This store keeps five maps behind one lock.");
    println!("The conformance kit checks every rule of the store contract,");
    println!("with races between 16 threads. This takes a few seconds.");
    let report = Kit::new(CustomStore::default).with_rounds(300).run();
    println!("{report}.");
    if report.is_passed() {
        println!("The store fulfils the contract.");
        ExitCode::SUCCESS
    } else {
        println!("The store breaks the contract. Do not use it.");
        ExitCode::FAILURE
    }
}

/// A store in memory. The methods take `&self`, so interior mutability is up to the store.
#[derive(Debug, Default)]
pub(crate) struct CustomStore {
    tables: Mutex<Tables>,
}

/// The tables of the store, behind one lock, because a redemption checks the row, every cutoff and
/// the state of the app in one step.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) apps: BTreeMap<ClientId, Arc<CustomApp>>,
    /// Counts changes to apps, so that caches in other processes detect them.
    pub(crate) apps_version: u64,
    pub(crate) grants: BTreeMap<GrantId, Grant>,
    pub(crate) assertions: HashMap<(ClientId, AssertionPurpose, Digest), UnixTime>,
    /// Cutoffs, revoked grants and tombstones in the order of the feed. A store with many of them
    /// also needs an index by target.
    pub(crate) revocations: BTreeMap<FeedCursor, Revocation>,
    pub(crate) consents: HashMap<(ClientId, Subject), Consent>,
    /// The store's clock: the latest instant that it was given or has made.
    clock: UnixTime,
    entered: u64,
}

impl CustomStore {
    /// Locks the tables. Every method locks once and does not await under the lock, so every method
    /// is one atomic step, and a dropped future has taken effect or not started.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Counts a change of an app, by the app before an update or removal and after an insertion. Strangers change the
    /// apps that describe themselves, so the caches of other processes stay as they are.
    pub(crate) fn count_change_of(&mut self, app: &CustomApp) {
        self.apps_version += u64::from(!app.origin().is_self_described());
    }

    /// Returns true if the app is registered and enabled.
    fn is_active(&self, client_id: &ClientId) -> bool {
        self.apps.get(client_id).is_some_and(|app| app.is_enabled())
    }

    /// Checks everything that voids a grant or token, except the grant's own row: its app must be
    /// enabled, and no revocation may cover it.
    pub(crate) fn is_void(&self, facts: &AccessFacts<'_>) -> bool {
        !self.is_active(facts.client_id)
            || self.revocations.values().any(|revocation| revocation.voids(facts))
    }

    /// Makes `instant` an instant of the store's clock, and returns the present one. It never runs
    /// backwards, even if the host's clock does. A database with a clock of its own asks that one.
    pub(crate) fn reach(&mut self, instant: UnixTime) -> UnixTime {
        self.clock = self.clock.max(instant);
        self.clock
    }

    /// Checks whether a revocation covers the date of a new grant: it was answered while the host
    /// still checked. A later revocation is at or after the date, and voids the grant.
    pub(crate) fn is_overtaken(&mut self, grant: &Grant) -> bool {
        self.reach(grant.authorized_at);
        let facts = grant.facts();
        // The end of the grant itself is not a cutoff. It makes a row that is revoked.
        let mut cutoffs = self.revocations.values();
        grant.revoked.is_none()
            && cutoffs.any(|revocation| {
                !matches!(revocation.target, RevocationTarget::Grant(_)) && revocation.voids(&facts)
            })
    }

    /// Records a revocation at an instant not before any earlier date, and moves the clock on by a
    /// millisecond so that every later instant is after it.
    pub(crate) fn enter(&mut self, mut revocation: Revocation) -> Revoked {
        let at = self.reach(revocation.at);
        self.clock = at.plus(Duration::from_millis(1));
        self.entered += 1;
        revocation.at = at;
        self.revocations.insert(FeedCursor { at, tie: self.entered }, revocation);
        Revoked { at }
    }

    /// Applies a rule to the row of a grant. A redemption is judged with the device that it brings. If the
    /// rule revokes the grant, also records it in the feed.
    pub(crate) fn apply<T>(
        &mut self,
        grant_id: GrantId,
        redemption: Option<&CodeRedemption>,
        now: UnixTime,
        rule: impl FnOnce(&mut Grant, bool) -> T,
    ) -> Option<T> {
        let mut grant = self.grants.get(&grant_id)?.clone();
        let had_ended = grant.revoked.is_some();
        let facts = redemption.map_or_else(|| grant.facts(), |it| grant.facts_of_redemption(it));
        let void = self.is_void(&facts);
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
        // In SQL: INSERT .. ON CONFLICT DO NOTHING, then check the number of rows.
        if tables.apps.contains_key(app.client_id()) {
            return Ok(InsertApp::AlreadyExists);
        }
        tables.count_change_of(&app);
        tables.apps.insert(app.client_id().clone(), Arc::new(app));
        Ok(InsertApp::Inserted)
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        let mut tables = self.lock();
        // In SQL: UPDATE .. WHERE client_id = $1 AND version = $2.
        Ok(match tables.apps.get(app.client_id()).cloned() {
            None => UpdateApp::NotFound,
            Some(stored) if stored.version() != expected_version => UpdateApp::Conflict,
            Some(stored) => {
                // In the same statement or transaction, so that a reader of the version sees the
                // change.
                tables.count_change_of(&stored);
                tables.apps.insert(app.client_id().clone(), Arc::new(app));
                UpdateApp::Updated
            }
        })
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        let mut tables = self.lock();
        // In SQL: DELETE .. WHERE client_id = $1 AND version = $2.
        Ok(match tables.apps.get(client_id).cloned() {
            None => DeleteApp::NotFound,
            Some(stored) if stored.version() != expected_version => DeleteApp::Conflict,
            Some(stored) => {
                tables.count_change_of(&stored);
                tables.apps.remove(client_id);
                tables.consents.retain(|(of_app, _), _| of_app != client_id);
                DeleteApp::Deleted
            }
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

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        let tables = self.lock();
        Ok(AppsVersion { version: tables.apps_version, seen: tables.clock })
    }
}

impl GrantStore for CustomStore {
    fn seen(&self) -> UnixTime {
        self.lock().clock
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        // Without a clock of its own, the store believes the host.
        self.lock().reach(instant);
        instant
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        Ok(self.lock().reach(now))
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        let mut tables = self.lock();
        // In the same step, so that an app that is enabled again has no grants from while it was
        // disabled.
        if !tables.is_active(&grant.client_id) {
            return Ok(InsertGrant::AppInactive);
        }
        // The id comes from a ticket that passed through a browser, and may arrive twice.
        if tables.grants.contains_key(&grant.grant_id) {
            return Ok(InsertGrant::AlreadyDecided);
        }
        if tables.is_overtaken(&grant) {
            return Ok(InsertGrant::Revoked);
        }
        let authorized_at = grant.authorized_at;
        tables.grants.insert(grant.grant_id, grant);
        Ok(InsertGrant::Inserted { authorized_at })
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let rule = |grant: &mut Grant, void| grant.redeem(redemption, void);
        let answer = self.lock().apply(redemption.grant_id, Some(redemption), redemption.now, rule);
        Ok(answer.unwrap_or(RedeemCode::Refused(GrantRefusal::Unknown)))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        let rule = |grant: &mut Grant, void| grant.rotate(rotation, void);
        let answer = self.lock().apply(rotation.grant_id, None, rotation.now, rule);
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
        let mut authorized_at = claim.now;
        if let Some(grant) = &claim.grant {
            if claim.makes_row && tables.grants.contains_key(&grant.grant_id) {
                return Err(StoreError::new("the grant id is taken"));
            }
            if tables.is_overtaken(grant) {
                return Ok(ClaimAssertion::Revoked);
            }
            authorized_at = grant.authorized_at;
            if claim.makes_row {
                tables.grants.insert(grant.grant_id, grant.clone());
            }
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
        // One entry, for any number of tokens. It is also the tombstone of a grant without a row.
        // An existing row is marked with the reason.
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
        // With one lock, no write runs during a read. In a database an entry may become visible
        // after a later one, so a reader that has seen everything restarts a few seconds back.
        let back = FeedCursor { at: now.minus(Duration::from_secs(5)), tie: 0 };
        let next = if more { last } else { last.min(back) };
        let entries = page.into_iter().map(|(_, revocation)| revocation.clone()).collect();
        Ok(RevocationFeed { entries, next, more })
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        let mut tables = self.lock();
        // In SQL: INSERT .. SELECT .. WHERE NOT EXISTS a later revocation, in a transaction that no
        // withdrawal overlaps.
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

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        let tables = self.lock();
        let mut wanted: Vec<_> = tables
            .consents
            .values()
            .filter(|consent| consent.subject == *subject)
            .cloned()
            .collect();
        wanted.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        Ok(read_page(wanted.into_iter(), &page, |consent| consent.client_id.clone()))
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
        // Each removed row counts against the limit. If a row is left to remove, `more` is true.
        let (mut removed, mut more) = (0, false);
        let mut keep = |inert: bool| {
            let remove = inert && removed < limit;
            removed += usize::from(remove);
            more |= inert && !remove;
            !remove
        };
        // Assertion ids are kept for one more hour, in case the host's clock is set back.
        let hour_ago = now.minus(Duration::from_hours(1));
        tables.assertions.retain(|_, expires_at| keep(*expires_at <= hour_ago));
        tables.grants.retain(|_, grant| keep(grant.inert_at() <= now));
        tables.revocations.retain(|_, revocation| keep(revocation.until <= now));
        Ok(Pruned { removed, more })
    }
}

/// Returns one page of items that are sorted by key.
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
