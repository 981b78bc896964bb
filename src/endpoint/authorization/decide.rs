//! The decision of the user becomes a row once, and the code is a handle of that row.

use std::time::Duration;

use super::login::Login;
use super::response::{AuthorizationError, AuthorizationResponse};
use super::ticket::Ticket;
use crate::app::{AppSettings, CustomApp, DocumentProblem, Flow, MetadataDocument};
use crate::clock::UnixTime;
use crate::endpoint::client_documents::{FoundApp, Standing};
use crate::endpoint::context::{Context, STORE_CLOCK_MARGIN};
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::{ClientId, GrantId, Issuer, Resource, Source};
use crate::protocol::grant_type::GrantType;
use crate::protocol::redirect_uri::{self, ResolvedRedirectUri};
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::secret::{AuthorizationCode, Digest};
use crate::server_secret::handle::{GrantHandle, Salt};
use crate::store::{
    Consent, Grant, InsertGrant, Revocation, RevocationReason, RevocationTarget, Store, StoreError,
};

/// The decision of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a user approves or denies")]
pub enum Decision {
    /// The user approved.
    Approve(Approval),
    /// The user denied.
    Deny,
}

impl Decision {
    /// Approves the whole request, and remembers it.
    #[must_use]
    pub fn approve() -> Self {
        Self::Approve(Approval::default())
    }
}

/// The access that a user or a remembered consent decided on, for the audit log.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) grant_id: GrantId,
    pub(super) scope: Scope,
    pub(super) resources: Option<Resources>,
}

impl Access {
    fn of(grant: &Grant) -> Self {
        let (scope, resources) = (grant.scope.clone(), grant.resources.clone());
        Self { grant_id: grant.grant_id, scope, resources }
    }
}

/// A decision that is stored, and the way back to the app.
#[derive(Debug)]
pub(super) struct StoredDecision {
    pub(super) client_id: ClientId,
    pub(super) access: Access,
    pub(super) approved: bool,
    pub(super) answer: Result<AuthorizationResponse, AuthorizationError>,
}

impl StoredDecision {
    /// Returns a denial.
    fn denied(ticket: Ticket, access: Access, issuer: &Issuer) -> Self {
        let answer = Err(ticket.return_to(issuer).refuse(Rejection::ConsentDenied));
        Self { client_id: ticket.client_id, access, approved: false, answer }
    }
}

/// The scope of an approval, and whether it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Approval {
    /// The approved scope; `None` approves the whole request. An empty scope counts as a denial, unless
    /// the request has no scope.
    pub scope: Option<Scope>,
    /// Whether later requests within this scope skip the consent prompt. Default: yes. A request with a
    /// `resource` never skips it.
    pub remember: bool,
}

impl Default for Approval {
    fn default() -> Self {
        Self { scope: None, remember: true }
    }
}

impl Approval {
    /// Approves `scope` only.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Sets whether the approval is remembered.
    #[must_use]
    pub fn with_remember(mut self, remember: bool) -> Self {
        self.remember = remember;
        self
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Stores the decision that belongs to `ticket`. A form that is sent twice gets the same code.
    pub(super) async fn store_decision(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        source: Option<&Source>,
    ) -> Result<StoredDecision, AuthorizationError> {
        let now = self.clock.now();
        let ticket = self.open_ticket(ticket, login)?;
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&ticket.client_id));
        if ticket.expires_at <= now {
            return Err(shown(Rejection::TicketExpired.into()));
        }
        let date = self.date_of(login, now).await.map_err(|error| shown(error.into()))?;
        let found = self.revalidate(&ticket.client_id, &ticket.redirect_uri, source).await;
        let found = found.map_err(shown)?;
        if ticket.described != found.app.description_digest() {
            return Err(shown(Rejection::ClientDocument(DocumentProblem::Changed).into()));
        }
        // A document may have been slow, and the code lives from now on.
        let decided_at = self.clock.now();
        let grant = self.decided_grant(&found.app, &ticket, login, &decision, decided_at)?;
        let grant = Grant { authorized_at: date, ..grant };
        let denied = grant.revoked.is_some();
        if denied && found.standing == Standing::New {
            // A denial writes no row of an app, so it has none of its own.
            return Ok(StoredDecision::denied(ticket, Access::of(&grant), &self.issuer));
        }
        let app = if denied {
            found.app
        } else {
            self.keep_described(found, login.subject(), source).await.map_err(shown)?
        };
        let inserted = self.insert_decided(&app, &grant).await;
        let grant = match inserted.map_err(shown)? {
            InsertGrant::Inserted { authorized_at } => Grant { authorized_at, ..grant },
            InsertGrant::AlreadyDecided => {
                self.first_decision(&ticket, denied, now).await.map_err(shown)?
            }
            InsertGrant::Revoked => return Err(shown(Rejection::Overtaken.into())),
            InsertGrant::AppInactive => return Err(shown(Rejection::AppDisabled.into())),
        };
        let access = Access::of(&grant);
        // A consent has no API: an approval for one would skip the prompt for another.
        let remembers = matches!(decision, Decision::Approve(Approval { remember: true, .. }));
        if remembers && !denied && ticket.resources.is_none() {
            self.remember(&app, grant).await.map_err(shown)?;
        }
        if denied {
            return Ok(StoredDecision::denied(ticket, access, &self.issuer));
        }
        let answer = Ok(self.code_response(&ticket));
        Ok(StoredDecision { client_id: ticket.client_id, access, approved: true, answer })
    }

    /// Returns the date of a decision: an instant from before the check of the login. If the host does not
    /// state one, the check began at most the margin before now.
    ///
    /// It is taken before the app is looked up, which may fetch a slow document: a revocation that is called
    /// meanwhile ends what the user decides on.
    pub(crate) async fn date_of(
        &self,
        login: &Login,
        now: UnixTime,
    ) -> Result<UnixTime, StoreError> {
        match login.moment() {
            Some(moment) => Ok(moment.instant()),
            None => Ok(self.store.instant(now).await?.minus(STORE_CLOCK_MARGIN)),
        }
    }

    /// Approves without consent prompt. Returns `None` if the user has to be asked after all: access was
    /// revoked or the consent withdrawn meanwhile. A withdrawal that was called before the login was checked,
    /// and is answered now, does not end this grant by itself.
    pub(super) async fn approve_unasked(
        &self,
        app: &CustomApp,
        ticket: &Ticket,
        login: &Login,
        now: UnixTime,
    ) -> Result<Option<(AuthorizationResponse, Access)>, AuthorizationError> {
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&ticket.client_id));
        let date = self.date_of(login, now).await.map_err(|error| shown(error.into()))?;
        let grant = self.decided_grant(app, ticket, login, &Decision::approve(), now)?;
        let grant = Grant { authorized_at: date, ..grant };
        let (target, until) = (RevocationTarget::Grant(grant.grant_id), grant.expires_at);
        let access = Access::of(&grant);
        let inserted = self.store.insert_grant(grant.clone()).await;
        match inserted.map_err(|error| shown(error.into()))? {
            InsertGrant::Inserted { .. } => {}
            InsertGrant::Revoked => return Ok(None),
            // The consent has gone with the row of a described app. Only a user brings it back.
            InsertGrant::AppInactive if self.is_without_row(app).await.map_err(shown)? => {
                return Ok(None);
            }
            InsertGrant::AlreadyDecided => {
                return Err(shown(Fault::StoreContract("a fresh grant id was taken").into()));
            }
            InsertGrant::AppInactive => return Err(shown(Rejection::AppDisabled.into())),
        }
        if !self.must_ask(app, ticket, login).await.map_err(|error| shown(error.into()))? {
            return Ok(Some((self.code_response(ticket), access)));
        }
        let why = RevocationReason::ConsentWithdrawn;
        let revocation = Revocation { target, at: now, why, until };
        self.store.revoke(&revocation).await.map_err(|error| shown(error.into()))?;
        Ok(None)
    }

    /// Checks the app, its flow and its redirect URIs again, which may have changed since the request.
    pub(super) async fn revalidate(
        &self,
        client_id: &ClientId,
        redirect_uri: &ResolvedRedirectUri,
        source: Option<&Source>,
    ) -> Result<FoundApp, EndpointError> {
        let found = self.find_client(client_id, source).await?;
        let app = &found.app;
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        if !app.settings().allows(Flow::AuthorizationCode) {
            return Err(Rejection::FlowNotAllowed(GrantType::AuthorizationCode).into());
        }
        let registered = app.settings().redirect_uris();
        redirect_uri::resolve(registered, Some(redirect_uri.as_str()), &self.hosts)
            .map_err(|_| Rejection::RedirectUri)?;
        Ok(found)
    }

    /// Returns the grant of an earlier submission with the same decision: a denial, or an approval with
    /// an unredeemed code. A different decision is refused.
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
            // A repeated form must not remember a consent that was withdrawn meanwhile.
            grant.generation == 0
                && grant.code_expires_at > now
                && !self.store.is_revoked(&grant.facts()).await?
        };
        if stands { Ok(grant) } else { Err(Rejection::AlreadyDecided.into()) }
    }

    /// Remembers the consent in the row, dated as the row: a repeated form may say something else, and
    /// a later withdrawal wins, also over the union with the earlier consent.
    ///
    /// A consent to a description is never dated before it, so that it counts. The row has that date since before the
    /// grant was inserted, so a later withdrawal still wins. If the row has another description by now, that of another
    /// process, the consent is not remembered: it would count for the other.
    async fn remember(&self, app: &CustomApp, grant: Grant) -> Result<(), EndpointError> {
        let before = self.store.find_consent(&grant.client_id, &grant.subject).await?;
        let before = before.filter(|before| app.counts_consent_of(before.given_at));
        let resource = grant.resources.as_ref().map(Resources::first).cloned();
        let scope = match before.filter(|before| before.is_for(resource.as_ref())) {
            Some(before) => before.scope.union(&grant.scope),
            None => grant.scope,
        };
        if app.metadata_document().is_some() {
            let row = self.store.read_app(app.client_id()).await?;
            if row.is_none_or(|row| row.settings() != app.settings()) {
                return Ok(());
            }
        }
        let Grant { client_id, subject, authorized_at, .. } = grant;
        let since = app.metadata_document().map(MetadataDocument::since);
        let given_at = since.map_or(authorized_at, |since| since.max(authorized_at));
        let consent = Consent { client_id, subject, scope, resource, given_at };
        Ok(self.store.remember_consent(consent).await?)
    }

    /// Returns the row of a decision, without its date. If the app has lost the scope, the app gets the error; otherwise
    /// the user does.
    fn decided_grant(
        &self,
        app: &CustomApp,
        ticket: &Ticket,
        login: &Login,
        decision: &Decision,
        now: UnixTime,
    ) -> Result<Grant, AuthorizationError> {
        let resources = self.granted_resources(app, ticket.resources.clone());
        let skew = self.store.clock_skew();
        let code_lifetime = seconds(app.settings().code_lifetime());
        let to_decide = ToDecide {
            grant_id: ticket.grant_id,
            salt: ticket.salt,
            scope: &ticket.scope,
            binding: ticket.binding,
            decidable_until: ticket.expires_at,
            // The host that redeems it may have a clock that is ahead.
            redeemable_until: now.plus(code_lifetime).plus(skew),
        };
        let row = decided_row(app, &to_decide, login, decision, resources, now);
        row.map_err(|rejection| {
            if rejection == Rejection::ScopeWithdrawn {
                ticket.return_to(&self.issuer).refuse(rejection)
            } else {
                AuthorizationError::show(rejection, Some(&ticket.client_id))
            }
        })
    }

    /// Returns the API of a request that names none: the app's default, else the issuer. The grant and the
    /// consent keep it, so a later edit of the default changes neither.
    pub(super) fn default_api(&self, app: &CustomApp) -> Option<Resource> {
        let own = || self.own_api.as_ref().map(Resources::first);
        app.settings().default_resource().or_else(own).cloned()
    }

    /// Returns the APIs of a grant for which `asked` were requested.
    pub(crate) fn granted_resources(
        &self,
        app: &CustomApp,
        asked: Option<Resources>,
    ) -> Option<Resources> {
        asked.or_else(|| match app.settings().default_resource() {
            Some(default) => Some(default.clone().into()),
            None => self.own_api.clone(),
        })
    }

    fn code_response(&self, ticket: &Ticket) -> AuthorizationResponse {
        let handle = GrantHandle { grant_id: ticket.grant_id, salt: ticket.salt, generation: 0 };
        let code = AuthorizationCode::new(handle.seal(&self.handles, ticket.client_id.as_str()));
        ticket.return_to(&self.issuer).respond(&code)
    }
}

/// A request that a user decides on.
pub(crate) struct ToDecide<'a> {
    pub(crate) grant_id: GrantId,
    pub(crate) salt: Salt,
    /// The requested scope.
    pub(crate) scope: &'a Scope,
    /// The digest of the bindings of the code.
    pub(crate) binding: Digest,
    /// When the last ticket of the request expires.
    pub(crate) decidable_until: UnixTime,
    /// When the code expires.
    pub(crate) redeemable_until: UnixTime,
}

/// Returns the row of a decision. A denial is a grant that is revoked from the start.
pub(crate) fn decided_row(
    app: &CustomApp,
    request: &ToDecide<'_>,
    login: &Login,
    decision: &Decision,
    resources: Option<Resources>,
    now: UnixTime,
) -> Result<Grant, Rejection> {
    let settings = app.settings();
    let nothing = Scope::empty();
    let approved = match decision {
        Decision::Approve(Approval { scope, .. }) => scope.as_ref().unwrap_or(request.scope),
        Decision::Deny => &nothing,
    };
    if !request.scope.covers(approved) {
        return Err(Rejection::ScopeExceedsGrant);
    }
    // The app may have lost scope since the consent prompt.
    let scope = approved.intersection(settings.scope());
    if scope.is_empty() && !approved.is_empty() {
        return Err(Rejection::ScopeWithdrawn);
    }
    let denied = *decision == Decision::Deny || (approved.is_empty() && !request.scope.is_empty());
    let (client_id, subject) = (app.client_id().clone(), login.subject().clone());
    let mut grant = Grant::new(request.grant_id, client_id, subject, scope);
    grant.resources = resources;
    grant.device = login.device().cloned();
    grant.auth_time = login.auth_time();
    grant.circumstances = login.circumstances().cloned().map(Box::new);
    grant.binding = request.binding;
    grant.salt_digest = request.salt.digest(&request.grant_id);
    grant.code_expires_at = request.redeemable_until;
    let expires_at = ends_at(settings, now, grant.code_expires_at);
    // The row must outlive the ticket even if lifetimes were edited, to refuse a second decision.
    grant.expires_at = expires_at.max(request.decidable_until);
    if denied {
        grant.expires_at = request.decidable_until;
        grant.revoke(RevocationReason::Denied, now);
    }
    Ok(grant)
}

/// Returns when everything ends that descends from a grant of `now`.
pub(crate) fn ends_at(
    settings: &AppSettings,
    now: UnixTime,
    code_expires_at: UnixTime,
) -> UnixTime {
    if settings.issues_refresh_token() {
        now.plus(seconds(settings.refresh_token_lifetime()))
    } else {
        code_expires_at.plus(seconds(settings.access_token_lifetime()))
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
