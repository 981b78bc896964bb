//! [`IssuerStore`] in memory.

use std::collections::BTreeMap;

use super::{MemoryStore, read, write};
use crate::ids::EvidenceIssuer;
use crate::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};

/// The records by their issuers.
pub(super) type TrustedIssuers = BTreeMap<EvidenceIssuer, IssuerRecord>;

impl IssuerStore for MemoryStore {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        Ok(read(&self.trusted_issuers).values().cloned().collect())
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        let mut records = write(&self.trusted_issuers);
        let issuer = record.settings.issuer();
        if records.get(issuer).map(|stored| stored.version) != expected {
            return Ok(PutIssuer::Conflict);
        }
        records.insert(issuer.clone(), record.clone());
        Ok(PutIssuer::Stored)
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        Ok(write(&self.trusted_issuers).remove(issuer).is_some())
    }
}
