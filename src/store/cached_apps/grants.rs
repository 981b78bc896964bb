//! Grants are not cached here: every call goes to the store.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::CachedApps;
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Subject};
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::{
    AccessFacts, AssertionClaim, ClaimAssertion, CodeRedemption, Consent, FeedCursor, Grant,
    GrantFilter, GrantStore, InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation,
    RevocationFeed, RevocationTarget, Revoked, Rotate, Rotation, StoreError,
};

impl<S: GrantStore> GrantStore for CachedApps<S> {
    /// Returns what the latest poll has seen, and not more: a token by client credentials rests on a cached
    /// app, which is as old.
    fn seen(&self) -> UnixTime {
        let own = UnixTime::from_millis(self.own.load(Ordering::Acquire));
        self.known.seen().max(own)
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        self.store.reached(instant)
    }

    fn schema(&self) -> Option<String> {
        self.store.schema()
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        self.store.instant(now).await
    }

    fn clock_skew(&self) -> Duration {
        self.store.clock_skew()
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        self.store.insert_grant(grant).await
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        self.store.redeem_code(redemption).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        self.store.rotate(rotation).await
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        self.store.claim_assertion(claim).await
    }

    fn known_grant(&self, grant_id: &GrantId) -> Option<Grant> {
        self.store.known_grant(grant_id)
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.store.find_grant(grant_id).await
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        self.store.list_grants(filter, page).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let revoked = self.store.revoke(revocation).await?;
        let of_grant = matches!(revocation.target, RevocationTarget::Grant(_));
        Ok(if of_grant { revoked } else { self.saw_revocation(revoked) })
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        self.store.is_revoked(facts).await
    }

    async fn live_among(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        self.store.live_among(grants).await
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        self.store.revocations_since(cursor, limit, now).await
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        self.store.remember_consent(consent).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        self.store.find_consent(client_id, subject).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        self.store.list_consents(subject, page).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let revoked = self.store.withdraw_consent(client_id, subject, now, until).await?;
        Ok(self.saw_revocation(revoked))
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        self.store.claim_roots(claim).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.store.prune(now, limit).await
    }
}
