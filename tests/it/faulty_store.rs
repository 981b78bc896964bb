//! A store that fails on request: before a call has taken effect, or after it, as if its answer was
//! lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::app::CustomApp;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, GrantId, Subject};
use grantor::store::{
    AccessFacts, AppQuery, AppRegistry, AppsVersion, AssertionClaim, ClaimAssertion,
    CodeRedemption, Consent, DeleteApp, FeedCursor, Grant, GrantFilter, GrantStore, InsertApp,
    InsertGrant, Listing, MemoryStore, Page, Pruned, RedeemCode, Revocation, RevocationFeed,
    Revoked, Rotate, Rotation, StoreError, UpdateApp,
};

use tokio::sync::Barrier;

use crate::support::{Answer, App, Server, World, ask, body_of, new_key};

/// The text of the failure; no client may read it.
pub(crate) const PLANTED: &str = "planted failure of the store";

/// The methods of the two traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    FindApp,
    InsertApp,
    UpdateApp,
    DeleteApp,
    ListApps,
    CountApps,
    AppsVersion,
    Instant,
    InsertGrant,
    RedeemCode,
    Rotate,
    ClaimAssertion,
    FindGrant,
    ListGrants,
    Revoke,
    IsRevoked,
    RevocationsSince,
    RememberConsent,
    FindConsent,
    ListConsents,
    WithdrawConsent,
    Prune,
}

/// Delegates to a store in memory, records every call, and fails the planned one.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<MemoryStore>,
    calls: Mutex<Vec<Method>>,
    plan: Mutex<Option<Plan>>,
    meanwhile: Mutex<Option<Meanwhile>>,
    crowd: Mutex<Option<(Method, Arc<Barrier>)>>,
    clock_skew: Duration,
    is_away: AtomicBool,
}

/// A step of another process right after a call, before its answer is read.
struct Meanwhile {
    method: Method,
    act: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after {:?}", self.method)
    }
}

#[derive(Debug)]
struct Plan {
    method: Method,
    /// The number of calls of the method that succeed first.
    passes: usize,
    done: bool,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<MemoryStore>) -> Self {
        let (calls, plan) = (Mutex::default(), Mutex::default());
        let (meanwhile, crowd) = (Mutex::default(), Mutex::default());
        let (clock_skew, is_away) = (Duration::ZERO, AtomicBool::new(false));
        Self { inner, calls, plan, meanwhile, crowd, clock_skew, is_away }
    }

    /// As a store that hosts share whose clocks differ by up to `clock_skew`.
    pub(crate) fn shared_by_hosts(self, clock_skew: Duration) -> Self {
        Self { clock_skew, ..self }
    }

    /// Holds each call of `method` until `calls` of them wait.
    pub(crate) fn hold(&self, method: Method, calls: usize) {
        *self.crowd.lock().unwrap() = Some((method, Arc::new(Barrier::new(calls))));
    }

    /// Calls `act` right after the next call of `method`, so that its answer is stale.
    pub(crate) fn meanwhile(&self, method: Method, act: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Meanwhile { method, act: Box::new(act) });
    }

    /// Fails every call, or none any more.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Fails the `nth` call of `method` from now on (1 is the next) without effect.
    pub(crate) fn fail_before(&self, method: Method, nth: usize) {
        self.plan(method, nth, false);
    }

    /// Performs the `nth` call of `method` from now on (1 is the next), and then fails.
    pub(crate) fn fail_after(&self, method: Method, nth: usize) {
        self.plan(method, nth, true);
    }

    fn plan(&self, method: Method, nth: usize, done: bool) {
        *self.plan.lock().unwrap() = Some(Plan { method, passes: nth - 1, done });
    }

    /// Returns the calls since the last time, and forgets them.
    pub(crate) fn take_calls(&self) -> Vec<Method> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Checks if this call fails; if so, whether it takes effect before.
    fn due(&self, method: Method) -> Option<bool> {
        self.calls.lock().unwrap().push(method);
        if self.is_away.load(Ordering::SeqCst) {
            return Some(false);
        }
        let mut plan = self.plan.lock().unwrap();
        let planned = plan.as_mut().filter(|plan| plan.method == method)?;
        match planned.passes.checked_sub(1) {
            Some(fewer) => {
                planned.passes = fewer;
                None
            }
            None => plan.take().map(|plan| plan.done),
        }
    }

    async fn call<T: Send>(
        &self,
        method: Method,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let crowd = self.crowd.lock().unwrap().clone().filter(|(held, _)| *held == method);
        if let Some((_, barrier)) = crowd {
            barrier.wait().await;
        }
        match self.due(method) {
            None => {
                let answer = inner.await;
                let due = self.meanwhile.lock().unwrap().take_if(|it| it.method == method);
                if let Some(Meanwhile { act, .. }) = due {
                    act();
                }
                answer
            }
            Some(done) => {
                if done {
                    inner.await?;
                }
                Err(StoreError::new(PLANTED))
            }
        }
    }
}

/// A second process on the store of `world` whose connection fails on request. Secret, users, clock
/// and audit log are the same.
pub(crate) fn faulty_server(world: &World) -> Server<FaultyStore> {
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    world.beside(new_key(), store, Arc::clone(&world.users)).build()
}

/// Sends a token request as `app`.
pub(crate) fn post(server: &Server<FaultyStore>, app: &App, parameters: &[(&str, &str)]) -> Answer {
    ask(server, &body_of(app, parameters))
}

impl AppRegistry for FaultyStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        self.call(Method::FindApp, self.inner.find_app(client_id)).await
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        self.call(Method::InsertApp, self.inner.insert_app(app)).await
    }

    async fn update_app(&self, app: CustomApp, version: u64) -> Result<UpdateApp, StoreError> {
        self.call(Method::UpdateApp, self.inner.update_app(app, version)).await
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        version: u64,
    ) -> Result<DeleteApp, StoreError> {
        self.call(Method::DeleteApp, self.inner.delete_app(client_id, version)).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        self.call(Method::ListApps, self.inner.list_apps(query, page)).await
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        self.call(Method::CountApps, self.inner.count_self_registered_apps(most)).await
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        self.call(Method::AppsVersion, self.inner.apps_version()).await
    }
}

impl GrantStore for FaultyStore {
    fn seen(&self) -> UnixTime {
        self.inner.seen()
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        self.inner.reached(instant)
    }

    fn clock_skew(&self) -> Duration {
        self.clock_skew
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        self.call(Method::Instant, self.inner.instant(now)).await
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        self.call(Method::InsertGrant, self.inner.insert_grant(grant)).await
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        self.call(Method::RedeemCode, self.inner.redeem_code(redemption)).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        self.call(Method::Rotate, self.inner.rotate(rotation)).await
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        self.call(Method::ClaimAssertion, self.inner.claim_assertion(claim)).await
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.call(Method::FindGrant, self.inner.find_grant(grant_id)).await
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.call(Method::ListGrants, self.inner.list_grants(filter, page)).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        self.call(Method::Revoke, self.inner.revoke(revocation)).await
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        self.call(Method::IsRevoked, self.inner.is_revoked(facts)).await
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        let inner = self.inner.revocations_since(cursor, limit, now);
        self.call(Method::RevocationsSince, inner).await
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        self.call(Method::RememberConsent, self.inner.remember_consent(consent)).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        self.call(Method::FindConsent, self.inner.find_consent(client_id, subject)).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        self.call(Method::ListConsents, self.inner.list_consents(subject, page)).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let inner = self.inner.withdraw_consent(client_id, subject, now, until);
        self.call(Method::WithdrawConsent, inner).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.call(Method::Prune, self.inner.prune(now, limit)).await
    }
}
