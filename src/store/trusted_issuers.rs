//! The trusted issuers of a server, for servers that accept evidence of others.

use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::app::TrustedIssuer;
use crate::clock::UnixTime;
use crate::ids::EvidenceIssuer;

/// A trusted issuer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct IssuerRecord {
    /// The settings.
    pub settings: TrustedIssuer,
    /// The version, which starts at a random number of at most 52 bits and grows by one with each edit.
    pub version: u64,
    /// The time of the last edit.
    pub updated_at: UnixTime,
    /// Whether the host's configuration declares it.
    #[serde(default)]
    pub declared: bool,
}

/// The answer of [`IssuerStore::put_issuer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutIssuer {
    /// This call stored the record.
    Stored,
    /// The record has another version than the expected one, there is none, or there is one already. Nothing was
    /// stored.
    Conflict,
}

/// Storage of one issuer for the [trusted issuers](TrustedIssuer). Every method reads and writes the primary.
///
/// There are few, at most [`TrustedIssuer::MAX`], and a server keeps them in memory for a second.
pub trait IssuerStore: Send + Sync {
    /// Lists every record, in the order of the issuers' names.
    ///
    /// # Contract
    ///
    /// The answer is not older than the call: it shows every edit that was answered before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot tell.
    fn list_issuers(&self) -> impl Future<Output = Result<Vec<IssuerRecord>, StoreError>> + Send;

    /// Stores a new record (`expected` is `None`), or replaces the one with the version `expected`.
    ///
    /// # Contract
    ///
    /// * Of any number of calls with one issuer and one `expected` exactly one answers [`PutIssuer::Stored`].
    /// * A call that answers [`PutIssuer::Conflict`] has changed nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the record may or may not be stored.
    fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<PutIssuer, StoreError>> + Send;

    /// Removes a record, at any version. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it may or may not be removed.
    fn remove_issuer(
        &self,
        issuer: &EvidenceIssuer,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl<T: IssuerStore> IssuerStore for Arc<T> {
    async fn list_issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        T::list_issuers(self).await
    }

    async fn put_issuer(
        &self,
        record: &IssuerRecord,
        expected: Option<u64>,
    ) -> Result<PutIssuer, StoreError> {
        T::put_issuer(self, record, expected).await
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<bool, StoreError> {
        T::remove_issuer(self, issuer).await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`IssuerStore`] with boxed futures, so that a server without it does not name its type.
pub(crate) trait SharedIssuers: Send + Sync {
    fn list(&self) -> Boxed<'_, Vec<IssuerRecord>>;
    fn put<'a>(&'a self, record: &'a IssuerRecord, expected: Option<u64>) -> Boxed<'a, PutIssuer>;
    fn remove<'a>(&'a self, issuer: &'a EvidenceIssuer) -> Boxed<'a, bool>;
}

impl<T: IssuerStore> SharedIssuers for T {
    fn list(&self) -> Boxed<'_, Vec<IssuerRecord>> {
        Box::pin(self.list_issuers())
    }

    fn put<'a>(&'a self, record: &'a IssuerRecord, expected: Option<u64>) -> Boxed<'a, PutIssuer> {
        Box::pin(self.put_issuer(record, expected))
    }

    fn remove<'a>(&'a self, issuer: &'a EvidenceIssuer) -> Boxed<'a, bool> {
        Box::pin(self.remove_issuer(issuer))
    }
}
