//! The trusted issuers: their records and keys, at hand for a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{IssuerKeys, TrustedIssuer};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::fetches::Need;
use crate::error::EndpointError;
use crate::ids::Source;
use crate::jwt::VerifyingKeys;
use crate::jwt::evidence::UnverifiedToken;
use crate::store::{SharedIssuers, Store, StoreError};

/// The age at which the records are read again before they are used: the time after which an edit by another process
/// holds here.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The trusted issuers of a server that has any.
pub(crate) struct TrustedIssuers {
    store: Box<dyn SharedIssuers>,
    /// Locked during a read, so that there is one at a time.
    known: async_lock::Mutex<Known>,
}

#[derive(Default)]
struct Known {
    records: Arc<[Arc<TrustedIssuer>]>,
    read_at: Option<UnixTime>,
}

/// A token of a trusted issuer, not verified, with the record of the issuer and the keys that verify it.
#[derive(Debug)]
pub(crate) struct Trust<'a> {
    pub(crate) token: &'a UnverifiedToken<'a>,
    pub(crate) record: Arc<TrustedIssuer>,
    /// The keys that were fetched, if the record has a URL.
    fetched: Option<Arc<VerifyingKeys>>,
}

impl Trust<'_> {
    /// Returns the keys; `None` if they are not at hand.
    pub(crate) fn keys(&self) -> Option<&VerifyingKeys> {
        match self.record.keys() {
            IssuerKeys::Keys(keys) => Some(keys),
            IssuerKeys::Uri(_) => self.fetched.as_deref(),
        }
    }
}

impl TrustedIssuers {
    pub(crate) fn new(store: impl SharedIssuers + 'static) -> Self {
        Self { store: Box::new(store), known: async_lock::Mutex::default() }
    }

    pub(crate) fn store(&self) -> &dyn SharedIssuers {
        &*self.store
    }

    /// Returns every record, at most a second old.
    pub(crate) async fn all(&self, now: UnixTime) -> Result<Arc<[Arc<TrustedIssuer>]>, StoreError> {
        let mut known = self.known.lock().await;
        let age = known.read_at.map(|at| now.millis_since(at).unsigned_abs());
        if age.is_none_or(|age| u128::from(age) >= FRESH_FOR.as_millis()) {
            let records = self.store.list().await?;
            known.records = records.into_iter().map(|it| Arc::new(it.settings)).collect();
            known.read_at = Some(now);
        }
        Ok(Arc::clone(&known.records))
    }

    /// Lets the next request read the records: an edit by this process holds at once.
    pub(crate) async fn forget(&self) {
        self.known.lock().await.read_at = None;
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Finds the record of the issuer that a token names, if the server trusts it. Nothing is verified.
    pub(crate) async fn issuer_of(
        &self,
        token: Option<&UnverifiedToken<'_>>,
        now: UnixTime,
    ) -> Result<Option<Arc<TrustedIssuer>>, StoreError> {
        let name = token.and_then(UnverifiedToken::issuer);
        let Some((issuers, name)) = self.issuers.as_ref().zip(name) else { return Ok(None) };
        // Boxed, so that servers without it pay nothing for its state.
        let records = Box::pin(issuers.all(now)).await?;
        Ok(records.iter().find(|record| record.issuer().as_str() == name).cloned())
    }

    /// Returns the record with the keys that verify `token`. Keys at a URL are fetched again if none has the name that
    /// the token states: the issuer may have a new one.
    pub(crate) async fn trust<'a>(
        &self,
        record: Arc<TrustedIssuer>,
        token: &'a UnverifiedToken<'a>,
        source: Option<&Source>,
        now: UnixTime,
    ) -> Result<Trust<'a>, EndpointError> {
        let IssuerKeys::Uri(uri) = record.keys() else {
            return Ok(Trust { token, record, fetched: None });
        };
        let mut fetched = Box::pin(self.keys_of_issuer(uri, Need::Use, source, now)).await?;
        let lacks_key = |keys: &Arc<_>| token.lacks_key(keys, record.algorithms());
        if fetched.as_ref().is_some_and(lacks_key) {
            fetched = Box::pin(self.keys_of_issuer(uri, Need::Newer, source, now)).await?;
        }
        Ok(Trust { token, record, fetched })
    }

    /// Checks whether an issuer is trusted for identity assertions (ID-JAG).
    pub(crate) async fn trusts_id_jag(&self) -> bool {
        let Some(issuers) = &self.issuers else { return false };
        let now = self.clock.now();
        let records = issuers.all(now).await;
        // A store that fails must not fail the metadata.
        records.is_ok_and(|all| all.iter().any(|it| it.id_jag().is_some() && !it.has_expired(now)))
    }
}

impl fmt::Debug for TrustedIssuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuers").finish_non_exhaustive()
    }
}
