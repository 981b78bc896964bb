//! Grants that live now, for pages that show who has granted what.

use std::collections::BTreeSet;

use super::{Admin, AdminError};
use crate::audit::Action;
use crate::ids::GrantId;
use crate::store::{
    Grant, GrantFilter, Listing, Page, RevocationReason, RevocationTarget, Revoked, Store,
    StoreError,
};

impl<S: Store> Admin<'_, S> {
    /// Lists the grants of `filter` that live now, in the order of their ids: redeemed, not expired, and ended
    /// neither by themselves nor by a revocation of something wider nor because their app is disabled.
    ///
    /// It takes at most two calls of the store and reads at most 200 grants. A page may have fewer items than
    /// its limit, even none, and name a key to go on after.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if a read fails.
    pub async fn live_grants(
        &self,
        filter: &GrantFilter,
        page: Page<GrantId>,
    ) -> Result<Listing<Grant, GrantId>, StoreError> {
        let filter = filter.clone().live_at(self.parts.clock.now());
        let all = Page { limit: Page::<()>::MAX_LIMIT, after: page.after };
        let read = self.parts.store.list_grants(&filter, all).await?;
        let mut items = live(self.parts.store, read.items).await?;
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let last = items.last().filter(|_| more).map(|grant| grant.grant_id);
        Ok(Listing::new(items, last.or(read.next)))
    }

    /// Finds a grant, live or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub async fn find_grant(&self, grant_id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.parts.store.find_grant(grant_id).await
    }

    /// Checks whether `grant` lives now, as [`live_grants`](Self::live_grants) would.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the read fails.
    pub async fn is_live(&self, grant: &Grant) -> Result<bool, StoreError> {
        let is_listed = GrantFilter::all().live_at(self.parts.clock.now()).admits(grant);
        Ok(is_listed && !live(self.parts.store, vec![grant.clone()]).await?.is_empty())
    }

    /// Revokes one grant, as [`revoke`](Self::revoke) with its id. The audit log also has its app and its user.
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`].
    pub async fn revoke_grant(&self, grant: &Grant) -> Result<Revoked, AdminError> {
        let target = RevocationTarget::Grant(grant.grant_id);
        let action = Action::Revoke { target: target.clone() };
        let result = self.end_access(target, RevocationReason::Administrator).await;
        let event = self.event(action, &result);
        let event = event.with_app(&grant.client_id).with_subject(&grant.subject);
        self.parts.record(&event.with_grant(grant.grant_id));
        result
    }
}

/// Returns those of `grants`, which `store` has just listed as live, that are redeemed and that nothing else has
/// ended.
pub(super) async fn live<S: Store>(
    store: &S,
    mut grants: Vec<Grant>,
) -> Result<Vec<Grant>, StoreError> {
    // Generation 0 is a code that the app has not redeemed.
    grants.retain(|grant| grant.generation > 0);
    if !grants.is_empty() {
        let live: BTreeSet<_> = store.live_among(&grants).await?.into_iter().collect();
        grants.retain(|grant| live.contains(&grant.grant_id));
    }
    Ok(grants)
}
