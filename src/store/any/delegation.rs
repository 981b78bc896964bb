//! Passes each call to the store that was chosen.

use std::sync::Arc;
use std::time::Duration;

use super::AnyStore;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Subject};
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::{
    AccessFacts, AppQuery, AppRegistry, AppsVersion, AssertionClaim, ClaimAssertion,
    CodeRedemption, Consent, DeleteApp, FeedCursor, Grant, GrantFilter, GrantStore, InsertApp,
    InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation, RevocationFeed, Revoked, Rotate,
    Rotation, StoreError, UpdateApp,
};

/// Makes the same call on any of the stores. Futures of the databases are boxed: beside a query an allocation
/// is nothing, and the future over memory stays small.
macro_rules! on_any {
    ($any:ident.$method:ident($($argument:expr),*)) => {
        match $any {
            $crate::store::AnyStore::Memory(store) => store.$method($($argument),*),
            #[cfg(feature = "sqlite")]
            $crate::store::AnyStore::Sqlite(store) => store.$method($($argument),*),
            #[cfg(feature = "postgres")]
            $crate::store::AnyStore::Postgres(store) => store.$method($($argument),*),
        }
    };
    ($any:ident.$method:ident($($argument:expr),*).await) => {
        match $any {
            $crate::store::AnyStore::Memory(store) => store.$method($($argument),*).await,
            #[cfg(feature = "sqlite")]
            $crate::store::AnyStore::Sqlite(store) => Box::pin(store.$method($($argument),*)).await,
            #[cfg(feature = "postgres")]
            $crate::store::AnyStore::Postgres(store) => Box::pin(store.$method($($argument),*)).await,
        }
    };
}

pub(crate) use on_any;

impl AppRegistry for AnyStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        on_any!(self.find_app(client_id).await)
    }

    async fn read_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        on_any!(self.read_app(client_id).await)
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        on_any!(self.insert_app(app).await)
    }

    async fn update_app(&self, app: CustomApp, expected: u64) -> Result<UpdateApp, StoreError> {
        on_any!(self.update_app(app, expected).await)
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected: u64,
    ) -> Result<DeleteApp, StoreError> {
        on_any!(self.delete_app(client_id, expected).await)
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        on_any!(self.list_apps(query, page).await)
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        on_any!(self.count_self_registered_apps(most).await)
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        on_any!(self.refresh().await)
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        on_any!(self.apps_version().await)
    }
}

impl GrantStore for AnyStore {
    fn seen(&self) -> UnixTime {
        on_any!(self.seen())
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        on_any!(self.reached(instant))
    }

    fn clock_skew(&self) -> Duration {
        on_any!(self.clock_skew())
    }

    fn schema(&self) -> Option<String> {
        on_any!(self.schema())
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        on_any!(self.instant(now).await)
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        on_any!(self.insert_grant(grant).await)
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        on_any!(self.redeem_code(redemption).await)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        on_any!(self.rotate(rotation).await)
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        on_any!(self.claim_assertion(claim).await)
    }

    fn known_grant(&self, grant_id: &GrantId) -> Option<Grant> {
        on_any!(self.known_grant(grant_id))
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        on_any!(self.find_grant(grant_id).await)
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        on_any!(self.list_grants(filter, page).await)
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        on_any!(self.revoke(revocation).await)
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        on_any!(self.is_revoked(facts).await)
    }

    async fn live_among(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        on_any!(self.live_among(grants).await)
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        on_any!(self.revocations_since(cursor, limit, now).await)
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        on_any!(self.remember_consent(consent).await)
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        on_any!(self.find_consent(client_id, subject).await)
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        on_any!(self.list_consents(subject, page).await)
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        on_any!(self.withdraw_consent(client_id, subject, now, until).await)
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        on_any!(self.claim_roots(claim).await)
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        on_any!(self.prune(now, limit).await)
    }
}
