//! [`GrantStore`] on SQLite: the writer makes changes, the readers answer queries.

use super::batch::Batch;
use super::schema::MIGRATIONS;
use super::{SqliteStore, reads, steps};
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Subject};
use crate::server_secret::{RootPrint, RootsClaim};
use crate::store::{
    AccessFacts, AssertionClaim, ClaimAssertion, CodeRedemption, Consent, FeedCursor, Grant,
    GrantFilter, GrantStore, InsertGrant, Listing, Page, Pruned, RedeemCode, Revocation,
    RevocationFeed, Revoked, Rotate, Rotation, StoreError,
};

impl GrantStore for SqliteStore {
    fn seen(&self) -> UnixTime {
        self.clock.present()
    }

    fn reached(&self, instant: UnixTime) -> UnixTime {
        self.clock.reach(instant);
        instant
    }

    fn schema(&self) -> Option<String> {
        Some(format!("SQLite, version {}", MIGRATIONS.len()))
    }

    async fn instant(&self, now: UnixTime) -> Result<UnixTime, StoreError> {
        reads::present(self).await?;
        Ok(self.clock.reach(now))
    }

    async fn insert_grant(&self, grant: Grant) -> Result<InsertGrant, StoreError> {
        self.run(move |batch| steps::insert_grant(batch, &grant)).await
    }

    async fn redeem_code(&self, redemption: &CodeRedemption) -> Result<RedeemCode, StoreError> {
        let redemption = redemption.clone();
        self.run(move |batch| steps::redeem(batch, &redemption)).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Rotate, StoreError> {
        self.queue.rotate(self.names.clone(), rotation.clone()).await
    }

    async fn claim_assertion(&self, claim: &AssertionClaim) -> Result<ClaimAssertion, StoreError> {
        let claim = claim.clone();
        self.run(move |batch| steps::claim(batch, &claim)).await
    }

    async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        reads::find_grant(self, grant_id).await
    }

    async fn list_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        reads::list_grants(self, filter, page).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, StoreError> {
        let revocation = revocation.clone();
        let revoked = self.run(move |batch| steps::revoke(batch, &revocation)).await?;
        Ok(self.saw_revocation(revoked))
    }

    async fn is_revoked(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        reads::is_revoked(self, facts).await
    }

    async fn live_among(&self, grants: &[Grant]) -> Result<Vec<GrantId>, StoreError> {
        reads::live_among(self, grants).await
    }

    async fn revocations_since(
        &self,
        cursor: FeedCursor,
        limit: usize,
        now: UnixTime,
    ) -> Result<RevocationFeed, StoreError> {
        reads::revocations_since(self, cursor, limit, now).await
    }

    async fn remember_consent(&self, consent: Consent) -> Result<(), StoreError> {
        self.run(move |batch| steps::remember(batch, &consent)).await
    }

    async fn find_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
    ) -> Result<Option<Consent>, StoreError> {
        reads::find_consent(self, client_id, subject).await
    }

    async fn list_consents(
        &self,
        subject: &Subject,
        page: Page<ClientId>,
    ) -> Result<Listing<Consent, ClientId>, StoreError> {
        reads::list_consents(self, subject, page).await
    }

    async fn withdraw_consent(
        &self,
        client_id: &ClientId,
        subject: &Subject,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<Revoked, StoreError> {
        let (client_id, subject) = (client_id.clone(), subject.clone());
        let withdraw =
            move |batch: &mut Batch<'_>| steps::withdraw(batch, &client_id, &subject, now, until);
        let revoked = self.run(withdraw).await?;
        Ok(self.saw_revocation(revoked))
    }

    async fn claim_roots(&self, claim: &RootsClaim) -> Result<Vec<RootPrint>, StoreError> {
        let claim = claim.clone();
        self.run(move |batch| steps::claim_roots(batch, &claim)).await
    }

    async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        self.run(move |batch| steps::prune(batch, now, limit)).await
    }
}
