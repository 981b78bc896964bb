//! The decision of the user becomes a row, once, and the row becomes a code.

use std::time::Duration;

use super::prompt::{Login, Ticket};
use super::response::{AuthorizationError, AuthorizationResponse};
use crate::app::{CustomApp, Flow};
use crate::clock::UnixTime;
use crate::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::grant_type::GrantType;
use crate::handle::GrantHandle;
use crate::ids::{ClientId, DeviceId, Subject};
use crate::redirect_uri;
use crate::scope::Scope;
use crate::secret::AuthorizationCode;
use crate::store::{Consent, Grant, InsertGrant, RevocationReason, Store};

/// What the user said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a user says yes or no")]
pub enum Decision {
    /// Yes.
    Approve(Approval),
    /// No.
    Deny,
}

impl Decision {
    /// Yes, to everything that was asked for, and the answer is remembered.
    #[must_use]
    pub fn approve() -> Self {
        Self::Approve(Approval::default())
    }
}

/// Yes, to how much, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Approval {
    /// What the user left ticked; `None` is everything that was asked for. Nothing at all, where
    /// something was asked for, counts as a no.
    pub scope: Option<Scope>,
    /// Whether the next request for no more than this skips the prompt. Default: yes.
    pub remember: bool,
    /// The device on which the app runs, if the host knows.
    pub device: Option<DeviceId>,
}

impl Default for Approval {
    fn default() -> Self {
        Self { scope: None, remember: true, device: None }
    }
}

impl Approval {
    /// Yes, but only to `scope`.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Whether the answer is remembered.
    #[must_use]
    pub fn with_remember(mut self, remember: bool) -> Self {
        self.remember = remember;
        self
    }

    /// On this device.
    #[must_use]
    pub fn with_device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Takes the decision that belongs to `ticket`. One decision gives one code, however often it
    /// is submitted: a form sent twice gets the very same code.
    pub(super) async fn decide(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
    ) -> Result<(AuthorizationResponse, ClientId), AuthorizationError> {
        let now = self.clock.now();
        let ticket = self.open_ticket(ticket, login, now)?;
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&ticket.client_id));
        let app = self.revalidate(&ticket).await.map_err(shown)?;
        let denied = || {
            let rejection = Rejection::ConsentDenied;
            let response = AuthorizationResponse::error(
                &ticket.redirect_uri,
                ticket.state.as_deref(),
                &self.issuer,
                &rejection,
            );
            AuthorizationError::redirect(response, rejection, Some(&ticket.client_id))
        };
        let grant = new_grant(&app, &ticket, login.subject(), &decision, now)?;
        let no = grant.revoked.is_some();
        let remembered = match &decision {
            Decision::Approve(approval) if approval.remember => Some(grant.scope.clone()),
            Decision::Approve(_) | Decision::Deny => None,
        };
        match self.store.insert_grant(grant).await.map_err(|error| shown(error.into()))? {
            InsertGrant::Inserted { .. } => {}
            InsertGrant::AlreadyDecided => {
                let first = self.first_decision(&ticket, now).await.map_err(shown)?;
                // The first decision stands; the same one again gets the same answer again.
                if first.is_none() && no {
                    return Err(denied());
                }
                if first.is_none() || no {
                    return Err(shown(Rejection::AlreadyDecided.into()));
                }
            }
        }
        if no {
            return Err(denied());
        }
        if let Some(scope) = remembered {
            self.remember(&app, login, scope, now).await.map_err(shown)?;
        }
        Ok((self.code_response(&ticket), ticket.client_id))
    }

    /// The approval where nobody need be asked: the same row, the same code.
    pub(super) async fn approve_unasked(
        &self,
        app: &CustomApp,
        ticket: &Ticket,
        login: &Login,
        now: UnixTime,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        let grant = new_grant(app, ticket, login.subject(), &Decision::approve(), now)?;
        match self.store.insert_grant(grant).await? {
            InsertGrant::Inserted { .. } => Ok(self.code_response(ticket)),
            InsertGrant::AlreadyDecided => {
                Err(Fault::StoreContract("a fresh grant id was taken").into())
            }
        }
    }

    /// What was right at the prompt may have changed since: the app, its flow, its redirect URIs.
    async fn revalidate(
        &self,
        ticket: &Ticket,
    ) -> Result<std::sync::Arc<CustomApp>, EndpointError> {
        let app = self.store.find_app(&ticket.client_id).await?;
        let app = app.ok_or(Rejection::UnknownClient)?;
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        if !app.settings().allows(Flow::AuthorizationCode) {
            return Err(Rejection::FlowNotAllowed(GrantType::AuthorizationCode).into());
        }
        let registered = app.settings().redirect_uris();
        redirect_uri::resolve(registered, Some(ticket.redirect_uri.as_str()), &self.hosts)
            .map_err(|_| Rejection::RedirectUri)?;
        Ok(app)
    }

    /// The grant of an earlier submission whose code is still to be redeemed; `None` for an earlier
    /// denial.
    async fn first_decision(
        &self,
        ticket: &Ticket,
        now: UnixTime,
    ) -> Result<Option<Grant>, EndpointError> {
        let grant = self.store.find_grant(&ticket.grant_id).await?;
        let grant = grant.ok_or(Fault::StoreContract("a decided grant has no row"))?;
        if grant.revoked.is_some_and(|(_, why)| why == RevocationReason::Denied) {
            return Ok(None);
        }
        let pending =
            grant.generation == 0 && grant.revoked.is_none() && grant.code_expires_at > now;
        if pending { Ok(Some(grant)) } else { Err(Rejection::AlreadyDecided.into()) }
    }

    async fn remember(
        &self,
        app: &CustomApp,
        login: &Login,
        scope: Scope,
        now: UnixTime,
    ) -> Result<(), EndpointError> {
        let (client_id, subject) = (app.client_id(), login.subject());
        let before = self.store.find_consent(client_id, subject).await?;
        let scope = before.map_or_else(|| scope.clone(), |before| before.scope.union(&scope));
        let consent = Consent {
            client_id: client_id.clone(),
            subject: subject.clone(),
            scope,
            given_at: now,
        };
        Ok(self.store.remember_consent(consent).await?)
    }

    fn code_response(&self, ticket: &Ticket) -> AuthorizationResponse {
        let handle = GrantHandle { grant_id: ticket.grant_id, salt: ticket.salt, generation: 0 };
        let code = AuthorizationCode::new(handle.seal(&self.handles, ticket.client_id.as_str()));
        let state = ticket.state.as_deref();
        AuthorizationResponse::code(&ticket.redirect_uri, state, &self.issuer, &code)
    }
}

/// The row of a decision, as a rule: a denial is a grant revoked at birth.
fn new_grant(
    app: &CustomApp,
    ticket: &Ticket,
    subject: &Subject,
    decision: &Decision,
    now: UnixTime,
) -> Result<Grant, Rejection> {
    let settings = app.settings();
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    // The app may have lost scope since the prompt.
    let offered = ticket.scope.intersection(settings.scope());
    let (scope, device) = match decision {
        Decision::Approve(Approval { scope: Some(scope), device, .. }) => {
            if !ticket.scope.covers(scope) {
                return Err(Rejection::ScopeExceedsGrant);
            }
            (scope.intersection(&offered), device.clone())
        }
        Decision::Approve(Approval { scope: None, device, .. }) => (offered, device.clone()),
        Decision::Deny => (Scope::empty(), None),
    };
    let nothing_left = scope.is_empty() && !ticket.scope.is_empty();
    let mut grant = Grant::new(ticket.grant_id, app.client_id().clone(), subject.clone(), scope);
    grant.resource.clone_from(&ticket.resource);
    grant.device = device;
    grant.binding = ticket.binding;
    grant.salt_digest = ticket.salt.digest(&ticket.grant_id);
    grant.authorized_at = now;
    grant.code_expires_at = now.plus(seconds(settings.code_lifetime()));
    grant.expires_at = if settings.issues_refresh_token() {
        now.plus(seconds(settings.refresh_token_lifetime()))
    } else {
        grant.code_expires_at.plus(seconds(settings.access_token_lifetime())).max(ticket.expires_at)
    };
    if *decision == Decision::Deny || nothing_left {
        grant.revoke(RevocationReason::Denied, now);
    }
    Ok(grant)
}
