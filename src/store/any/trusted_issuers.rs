//! [`IssuerStore`] on the store that was chosen.

use super::{AnyStore, on_any};
use crate::ids::EvidenceIssuer;
use crate::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};

impl IssuerStore for AnyStore {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        on_any!(self.list_issuers().await)
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        on_any!(self.put_issuer(record, expected).await)
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        on_any!(self.remove_issuer(issuer).await)
    }
}
