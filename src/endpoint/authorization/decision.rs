//! The decision of the user becomes a row, once, and the row becomes a code.

use std::sync::Arc;
use std::time::Duration;

use super::login::Login;
use super::prompt::Ticket;
use super::response::{AuthorizationError, AuthorizationResponse};
use crate::app::{CustomApp, Flow};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::ClientId;
use crate::protocol::grant_type::GrantType;
use crate::protocol::redirect_uri::{self, ResolvedRedirectUri};
use crate::protocol::scope::Scope;
use crate::secret::AuthorizationCode;
use crate::server_secret::handle::GrantHandle;
use crate::store::{
    Consent, Grant, InsertGrant, Revocation, RevocationReason, RevocationTarget, Store,
};

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
    /// Whether the next request for no more than this skips the prompt. Default: yes. A request that
    /// names a `resource` is asked about every time.
    pub remember: bool,
}

impl Default for Approval {
    fn default() -> Self {
        Self { scope: None, remember: true }
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
        let ticket = self.open_ticket(ticket, login)?;
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&ticket.client_id));
        if ticket.expires_at <= now {
            return Err(shown(Rejection::TicketExpired.into()));
        }
        let app = self.revalidate(&ticket.client_id, &ticket.redirect_uri).await.map_err(shown)?;
        let grant = self.decided_grant(&app, &ticket, login, &decision, now)?;
        let denied = grant.revoked.is_some();
        let inserted = self.store.insert_grant(grant.clone()).await;
        let grant = match inserted.map_err(|error| shown(error.into()))? {
            InsertGrant::Inserted { authorized_at } => Grant { authorized_at, ..grant },
            InsertGrant::AlreadyDecided => {
                self.first_decision(&ticket, denied, now).await.map_err(shown)?
            }
            InsertGrant::AppInactive => return Err(shown(Rejection::AppDisabled.into())),
        };
        if denied {
            return Err(self.refused(&ticket, Rejection::ConsentDenied));
        }
        // What is remembered is the scope: a yes for one API would skip the prompt for another.
        let remembers = matches!(decision, Decision::Approve(Approval { remember: true, .. }));
        if remembers && ticket.resource.is_none() {
            self.remember(grant).await.map_err(shown)?;
        }
        Ok((self.code_response(&ticket), ticket.client_id))
    }

    /// The approval where nobody need be asked: the same row, the same code. `None` where the user has
    /// to be asked after all: a withdrawal ends every grant that is older than itself, and one that
    /// came between the look at the consent and the row left this one alive.
    pub(super) async fn approve_unasked(
        &self,
        app: &CustomApp,
        ticket: &Ticket,
        login: &Login,
        now: UnixTime,
    ) -> Result<Option<AuthorizationResponse>, AuthorizationError> {
        let grant = self.decided_grant(app, ticket, login, &Decision::approve(), now)?;
        let (target, until) = (RevocationTarget::Grant(grant.grant_id), grant.expires_at);
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&ticket.client_id));
        match self.store.insert_grant(grant).await.map_err(|error| shown(error.into()))? {
            InsertGrant::Inserted { .. } => {}
            InsertGrant::AlreadyDecided => {
                return Err(shown(Fault::StoreContract("a fresh grant id was taken").into()));
            }
            InsertGrant::AppInactive => return Err(shown(Rejection::AppDisabled.into())),
        }
        if !self.must_ask(app, ticket, login).await.map_err(|error| shown(error.into()))? {
            return Ok(Some(self.code_response(ticket)));
        }
        let why = RevocationReason::ConsentWithdrawn;
        let revocation = Revocation { target, at: now, why, until };
        self.store.revoke(&revocation).await.map_err(|error| shown(error.into()))?;
        Ok(None)
    }

    /// What was right at the request may have changed since: the app, its flow, its redirect URIs.
    pub(super) async fn revalidate(
        &self,
        client_id: &ClientId,
        redirect_uri: &ResolvedRedirectUri,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let app = self.store.find_app(client_id).await?;
        let app = app.ok_or(Rejection::UnknownClient)?;
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        if !app.settings().allows(Flow::AuthorizationCode) {
            return Err(Rejection::FlowNotAllowed(GrantType::AuthorizationCode).into());
        }
        let registered = app.settings().redirect_uris();
        redirect_uri::resolve(registered, Some(redirect_uri.as_str()), &self.hosts)
            .map_err(|_| Rejection::RedirectUri)?;
        Ok(app)
    }

    /// The grant of an earlier submission that said the same: its code is still to be redeemed, or
    /// it was a denial too. The first decision stands.
    async fn first_decision(
        &self,
        ticket: &Ticket,
        denied: bool,
        now: UnixTime,
    ) -> Result<Grant, EndpointError> {
        let grant = self.store.find_grant(&ticket.grant_id).await?;
        let grant = grant.ok_or(Fault::StoreContract("a decided grant has no row"))?;
        let was_denied = grant.revoked.is_some_and(|(_, why)| why == RevocationReason::Denied);
        let stands = if denied || was_denied {
            denied == was_denied
        } else {
            // A form sent again must not remember a consent that was withdrawn since.
            grant.generation == 0
                && grant.code_expires_at > now
                && !self.store.is_revoked(&grant.facts()).await?
        };
        if stands { Ok(grant) } else { Err(Rejection::AlreadyDecided.into()) }
    }

    /// Remembers what stands in the row, which a form sent again may not have said, as of the instant
    /// in the row: a withdrawal since then wins, also over the union with what it has forgotten.
    async fn remember(&self, grant: Grant) -> Result<(), EndpointError> {
        let before = self.store.find_consent(&grant.client_id, &grant.subject).await?;
        let scope = match before {
            Some(before) => before.scope.union(&grant.scope),
            None => grant.scope,
        };
        let Grant { client_id, subject, authorized_at: given_at, .. } = grant;
        let consent = Consent { client_id, subject, scope, given_at };
        Ok(self.store.remember_consent(consent).await?)
    }

    /// The row of a decision, or why there is none: what the form cannot ask for is shown, what the
    /// app has lost the app is told.
    fn decided_grant(
        &self,
        app: &CustomApp,
        ticket: &Ticket,
        login: &Login,
        decision: &Decision,
        now: UnixTime,
    ) -> Result<Grant, AuthorizationError> {
        new_grant(app, ticket, login, decision, now).map_err(|rejection| {
            if rejection == Rejection::ScopeWithdrawn {
                self.refused(ticket, rejection)
            } else {
                AuthorizationError::show(rejection, Some(&ticket.client_id))
            }
        })
    }

    /// The app is told, as the ticket says where.
    pub(super) fn refused(&self, ticket: &Ticket, rejection: Rejection) -> AuthorizationError {
        let (state, client_id) = (ticket.state.as_deref(), &ticket.client_id);
        AuthorizationError::redirect(
            &ticket.redirect_uri,
            state,
            &self.issuer,
            rejection,
            client_id,
        )
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
    login: &Login,
    decision: &Decision,
    now: UnixTime,
) -> Result<Grant, Rejection> {
    let settings = app.settings();
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let nothing = Scope::empty();
    let approved = match decision {
        Decision::Approve(Approval { scope, .. }) => scope.as_ref().unwrap_or(&ticket.scope),
        Decision::Deny => &nothing,
    };
    if !ticket.scope.covers(approved) {
        return Err(Rejection::ScopeExceedsGrant);
    }
    // The app may have lost scope since the prompt.
    let scope = approved.intersection(settings.scope());
    if scope.is_empty() && !approved.is_empty() {
        return Err(Rejection::ScopeWithdrawn);
    }
    let denied = *decision == Decision::Deny || (approved.is_empty() && !ticket.scope.is_empty());
    let (client_id, subject) = (app.client_id().clone(), login.subject().clone());
    let mut grant = Grant::new(ticket.grant_id, client_id, subject, scope);
    grant.resource.clone_from(&ticket.resource);
    grant.device = login.device().cloned();
    grant.auth_time = login.auth_time();
    grant.binding = ticket.binding;
    grant.salt_digest = ticket.salt.digest(&ticket.grant_id);
    grant.authorized_at = now;
    grant.code_expires_at = now.plus(seconds(settings.code_lifetime()));
    let expires_at = if settings.issues_refresh_token() {
        now.plus(seconds(settings.refresh_token_lifetime()))
    } else {
        grant.code_expires_at.plus(seconds(settings.access_token_lifetime()))
    };
    // As long as the ticket is good the row tells that it was decided, though lifetimes were edited.
    grant.expires_at = expires_at.max(ticket.expires_at);
    if denied {
        grant.revoke(RevocationReason::Denied, now);
    }
    Ok(grant)
}
