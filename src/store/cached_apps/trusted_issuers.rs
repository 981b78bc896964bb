//! Trusted issuers are cached by the server, not here: every call goes to the store.

use super::CachedApps;
use crate::ids::EvidenceIssuer;
use crate::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};

impl<S: IssuerStore> IssuerStore for CachedApps<S> {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        self.store.list_issuers().await
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        self.store.put_issuer(record, expected).await
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        self.store.remove_issuer(issuer).await
    }
}
