//! The trusted issuers of a store with a fault.

use grantor::ids::EvidenceIssuer;
use grantor::store::{IssuerRecord, IssuerStore, PutIssuer, StoreError};

use super::{AlteredStore, EditsIssuersInTwoSteps, IgnoresIssuerVersions, KeepsRemovedIssuers};

impl AlteredStore {
    fn has_version(&self, issuer: &EvidenceIssuer, expected: Option<u64>) -> bool {
        let trusted = self.trusted.lock().unwrap();
        trusted.get(issuer).map(|stored| stored.version) == expected
    }
}

impl IssuerStore for AlteredStore {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        Ok(self.trusted.lock().unwrap().values().cloned().collect())
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        let issuer = record.settings.issuer();
        if self.is(EditsIssuersInTwoSteps) {
            let fits = self.has_version(issuer, expected);
            std::thread::yield_now();
            if fits {
                self.trusted.lock().unwrap().insert(issuer.clone(), record.clone());
            }
            return Ok(if fits { PutIssuer::Stored } else { PutIssuer::Conflict });
        }
        let put = async {
            let mut trusted = self.trusted.lock().unwrap();
            let found = trusted.get(issuer).map(|stored| stored.version);
            if found != expected && !self.is(IgnoresIssuerVersions) {
                return PutIssuer::Conflict;
            }
            trusted.insert(issuer.clone(), record.clone());
            PutIssuer::Stored
        };
        Ok(self.step(put).await)
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        let mut trusted = self.trusted.lock().unwrap();
        let is_there = trusted.contains_key(issuer);
        if !self.is(KeepsRemovedIssuers) {
            trusted.remove(issuer);
        }
        Ok(is_there)
    }
}
