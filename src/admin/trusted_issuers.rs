//! Administration of trusted issuers.

use std::sync::Arc;

use super::{Admin, AdminError};
use crate::app::{CustomApp, InvalidApp, TrustedIssuer};
use crate::audit::Action;
use crate::endpoint::token::{EvidenceCheck, ExchangeQuestion};
use crate::endpoint::trusted_issuers::TrustedIssuers;
use crate::error::Fault;
use crate::ids::{ClientId, EvidenceIssuer};
use crate::store::{IssuerRecord, PutIssuer, RevocationReason, RevocationTarget, Revoked, Store};

/// Trusted issuers. The server needs a [store](crate::ServerBuilder::trusted_issuers) of them.
impl<S: Store> Admin<'_, S> {
    /// Checks whether the server has a [store](crate::ServerBuilder::trusted_issuers) of trusted issuers.
    #[must_use]
    pub fn has_trusted_issuers(&self) -> bool {
        self.parts.issuers.is_some()
    }

    /// Lists the trusted issuers in the order of their names on the wire. As JSON, their settings serve as an export,
    /// too: they hold no secrets.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoTrustedIssuers`] and [`AdminError::Store`].
    pub async fn trusted_issuers(&self) -> Result<Vec<IssuerRecord>, AdminError> {
        Ok(self.issuers()?.store().list().await?)
    }

    /// Trusts another issuer.
    ///
    /// # Errors
    ///
    /// [`AdminError::Invalid`] if a setting is out of its range, there are [`TrustedIssuer::MAX`] already, or the
    /// issuer is this server and trusted for users: a server must not accept evidence of its own;
    /// [`AdminError::AlreadyExists`], [`AdminError::NoTrustedIssuers`], [`AdminError::Random`] and
    /// [`AdminError::Store`].
    pub async fn add_trusted_issuer(
        &self,
        settings: TrustedIssuer,
    ) -> Result<IssuerRecord, AdminError> {
        let issuer = settings.issuer().clone();
        let result = self.add_issuer(settings).await;
        self.audited(Action::AddTrustedIssuer { issuer }, None, result)
    }

    /// Replaces the settings of a trusted issuer if the record is still at the version that was read. Those of an issuer
    /// that the host's configuration declares go back to the declared ones when it is [applied](Self::apply) again.
    ///
    /// Access that was granted on its evidence stays. To end it, [revoke](Self::revoke)
    /// [`RevocationTarget::EvidenceIssuer`].
    ///
    /// # Errors
    ///
    /// As [`add_trusted_issuer`](Self::add_trusted_issuer), and [`AdminError::NotFound`] and
    /// [`AdminError::Conflict`].
    pub async fn edit_trusted_issuer(
        &self,
        expected_version: u64,
        settings: TrustedIssuer,
    ) -> Result<IssuerRecord, AdminError> {
        let issuer = settings.issuer().clone();
        let result = self.edit_issuer(expected_version, settings).await;
        self.audited(Action::EditTrustedIssuer { issuer }, None, result)
    }

    /// Ends the trust in an issuer, and all access that was granted on its evidence. Another process that has read the
    /// record within the last second may accept evidence once more: to be certain, [revoke](Self::revoke)
    /// [`RevocationTarget::EvidenceIssuer`] again after a second.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::NoTrustedIssuers`] and [`AdminError::Store`]. After the last the trust
    /// may have ended without the access.
    pub async fn remove_trusted_issuer(
        &self,
        issuer: &EvidenceIssuer,
    ) -> Result<Revoked, AdminError> {
        let result = self.remove_issuer(issuer).await;
        self.audited(Action::RemoveTrustedIssuer { issuer: issuer.clone() }, None, result)
    }

    /// Checks an assertion of a trusted issuer as the token endpoint would for the app, and returns the decision with
    /// its rule. Nothing is used up or issued, and the credentials of the app are not asked for.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::NoTrustedIssuers`], [`AdminError::Directory`] and
    /// [`AdminError::Store`].
    pub async fn check_evidence(
        &self,
        client_id: &ClientId,
        assertion: &str,
    ) -> Result<EvidenceCheck, AdminError> {
        self.issuers()?;
        let app: Arc<CustomApp> = self.existing(client_id).await?;
        let checked = self.parts.inquiries.check_evidence(app, assertion).await;
        checked.map_err(failed_check)
    }

    /// Checks an exchange (RFC 8693) as the token endpoint would for the app, and returns the decision with its rule. The
    /// subject token may be one of a trusted issuer, or an access token of this server.
    ///
    /// Nothing is used up or issued, no event tells of the question, and the credentials of the app are not asked for. A
    /// revoked token is refused. Whether a token that is good once was used before is not looked up.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Directory`] and [`AdminError::Store`].
    pub async fn check_exchange(
        &self,
        client_id: &ClientId,
        question: &ExchangeQuestion<'_>,
    ) -> Result<EvidenceCheck, AdminError> {
        let app: Arc<CustomApp> = self.existing(client_id).await?;
        let checked = self.parts.inquiries.check_exchange(app, question).await;
        checked.map_err(failed_check)
    }

    fn issuers(&self) -> Result<&TrustedIssuers, AdminError> {
        self.parts.issuers.ok_or(AdminError::NoTrustedIssuers)
    }

    async fn add_issuer(&self, settings: TrustedIssuer) -> Result<IssuerRecord, AdminError> {
        let issuers = self.issuers()?;
        self.check_issuer(&settings)?;
        if issuers.store().list().await?.len() >= TrustedIssuer::MAX {
            return Err(InvalidApp::new("issuer", "is one more than the server trusts: 100").into());
        }
        let version = CustomApp::first_version(self.parts.random)?;
        let updated_at = self.parts.clock.now();
        let record = IssuerRecord { settings, version, updated_at, declared: false };
        let put = issuers.store().put(&record, None).await;
        issuers.forget().await;
        match put? {
            PutIssuer::Stored => Ok(record),
            PutIssuer::Conflict => Err(AdminError::AlreadyExists),
        }
    }

    async fn edit_issuer(
        &self,
        expected: u64,
        settings: TrustedIssuer,
    ) -> Result<IssuerRecord, AdminError> {
        let issuers = self.issuers()?;
        self.check_issuer(&settings)?;
        let now = self.parts.clock.now();
        let version = expected.saturating_add(1);
        let all = issuers.store().list().await?;
        let before = all.iter().find(|it| it.settings.issuer() == settings.issuer());
        // The configuration that declares it sets the settings again at the next start.
        let declared = before.is_some_and(|it| it.declared);
        let record = IssuerRecord { settings, version, updated_at: now, declared };
        let put = issuers.store().put(&record, Some(expected)).await;
        issuers.forget().await;
        match put? {
            PutIssuer::Stored => Ok(record),
            PutIssuer::Conflict => {
                let issuer = record.settings.issuer();
                let all = issuers.store().list().await?;
                let found = all.iter().find(|it| it.settings.issuer() == issuer);
                let found = found.ok_or(AdminError::NotFound)?.version;
                Err(AdminError::Conflict { expected, found })
            }
        }
    }

    async fn remove_issuer(&self, issuer: &EvidenceIssuer) -> Result<Revoked, AdminError> {
        let issuers = self.issuers()?;
        let removed = issuers.store().remove(issuer).await;
        issuers.forget().await;
        if !removed? {
            return Err(AdminError::NotFound);
        }
        // After the trust has ended here, so that nothing is granted between.
        let target = RevocationTarget::EvidenceIssuer(issuer.clone());
        self.end_access(target, RevocationReason::Administrator).await
    }

    pub(super) fn check_issuer(&self, settings: &TrustedIssuer) -> Result<(), InvalidApp> {
        settings.check()?;
        let is_own = settings.issuer().as_str() == self.parts.inquiries.issuer().as_str();
        if is_own && (settings.id_jag().is_some() || settings.subject_tokens().is_some()) {
            return Err(InvalidApp::new("issuer", "must not be this server"));
        }
        Ok(())
    }
}

fn failed_check(fault: Fault) -> AdminError {
    if let Fault::Store(error) = fault {
        AdminError::Store(error)
    } else if let Fault::Directory(error) = fault {
        AdminError::Directory(error)
    } else {
        AdminError::Preview(fault)
    }
}
