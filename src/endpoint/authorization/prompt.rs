//! What a consent page needs, and the sealed ticket that travels through the browser between the
//! prompt and the decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::login::{Login, LoginNeeded};
use super::request::AuthorizationRequest;
use super::response::{AuthorizationError, AuthorizationResponse};
use crate::app::{ClientType, CustomApp};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::{ClientId, GrantId, Resource, Subject};
use crate::protocol::redirect_uri::ResolvedRedirectUri;
use crate::protocol::scope::Scope;
use crate::random;
use crate::secret::Digest;
use crate::server_secret::handle::{HandleKind, Salt, new_grant_names};
use crate::store::{Store, StoreError};

/// One thing that the app asks for, as a consent page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedScope {
    /// The scope token, to be sent back where the user may tick scopes one by one.
    pub token: String,
    /// What it allows, as the catalog says; empty where no catalog knows it.
    pub titles: Vec<String>,
}

/// What a consent page needs. All of it is text from the administrator: escape it.
///
/// `Debug` does not show the ticket.
#[derive(Clone)]
#[non_exhaustive]
pub struct Prompt {
    /// The name of the app.
    pub app_name: String,
    /// What the app does.
    pub app_description: String,
    /// Where the user is sent afterwards.
    pub redirect_uri: ResolvedRedirectUri,
    /// What the app asks for.
    pub scopes: Vec<RequestedScope>,
    /// For which API, if the request named one (RFC 8707).
    pub resource: Option<Resource>,
    /// The user who is asked.
    pub subject: Subject,
    /// What the form of the consent page sends back, in a hidden field. Good once, until
    /// `expires_at`, for this user in this session.
    pub ticket: String,
    /// When the ticket expires.
    pub expires_at: UnixTime,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt")
            .field("app_name", &self.app_name)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .field("subject", &self.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What comes of a valid request.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host has to handle all of them")]
pub enum Prompted {
    /// The user has to log in first, or again.
    LogIn(LoginNeeded),
    /// The user is asked.
    Ask(Prompt),
    /// The user need not be asked; the browser is sent back with a code.
    Redirect(AuthorizationResponse),
}

/// What is to be decided: the request, sealed for one user in one session.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) grant_id: GrantId,
    pub(super) salt: Salt,
    pub(super) client_id: ClientId,
    pub(super) redirect_uri: ResolvedRedirectUri,
    pub(super) binding: Digest,
    pub(super) state: Option<String>,
    pub(super) scope: Scope,
    pub(super) resource: Option<Resource>,
    pub(super) expires_at: UnixTime,
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Has the user log in, asks the user, or decides at once where neither is needed.
    pub(super) async fn prompt(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<Prompted, AuthorizationError> {
        if login.is_some_and(Login::names_no_session) {
            return Err(AuthorizationError::show(Fault::EmptySession, None));
        }
        let now = self.clock.now();
        let client_id = request.app.client_id().clone();
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&client_id));
        // The user may have taken long to log in.
        let app = self.revalidate(&client_id, &request.redirect_uri).await.map_err(shown)?;
        let Some(login) = self.login_that_will_do(&request, login, now)? else {
            return self.login_needed(request, now).map(Prompted::LogIn);
        };
        let demands = request.demands;
        let mut ticket = self.ticket(request, now).map_err(|error| shown(error.into()))?;
        let asked = demands.consent
            || self.must_ask(&app, &ticket, login).await.map_err(|error| shown(error.into()))?;
        if !asked {
            if let Some(response) = self.approve_unasked(&app, &ticket, login, now).await? {
                return Ok(Prompted::Redirect(response));
            }
            // The names in the ticket are those of the row that came to nothing.
            let names = new_grant_names(&*self.random).map_err(|error| shown(error.into()))?;
            (ticket.grant_id, ticket.salt) = names;
        }
        if demands.no_page {
            return Err(self.refused(&ticket, Rejection::ConsentRequired));
        }
        Ok(Prompted::Ask(Prompt {
            app_name: app.settings().name().to_owned(),
            app_description: app.settings().description().to_owned(),
            scopes: self.requested_scopes(&ticket.scope),
            resource: ticket.resource.clone(),
            subject: login.subject().clone(),
            ticket: self.seal_ticket(&ticket, login),
            expires_at: ticket.expires_at,
            redirect_uri: ticket.redirect_uri,
        }))
    }

    fn ticket(
        &self,
        request: AuthorizationRequest,
        now: UnixTime,
    ) -> Result<Ticket, random::RandomError> {
        // Never longer than the grant lives: while the ticket is good, the decision stands in a row.
        let grant_life = request.app.settings().refresh_token_lifetime().into();
        let lifetime = self.ticket_lifetime.min(Duration::from_secs(grant_life));
        let (grant_id, salt) = new_grant_names(&*self.random)?;
        Ok(Ticket {
            grant_id,
            salt,
            client_id: request.app.client_id().clone(),
            redirect_uri: request.redirect_uri,
            binding: request.binding,
            state: request.state,
            scope: request.scope,
            resource: request.resource,
            expires_at: now.plus(lifetime),
        })
    }

    /// Whether the user has to be asked, as things stand.
    pub(super) async fn must_ask(
        &self,
        app: &CustomApp,
        ticket: &Ticket,
        login: &Login,
    ) -> Result<bool, StoreError> {
        if never_skips(app, &ticket.redirect_uri) {
            return Ok(true);
        }
        if !app.settings().requires_consent() {
            return Ok(false);
        }
        // Consent is remembered for the app's default API only.
        if ticket.resource.is_some() {
            return Ok(true);
        }
        let consent = self.store.find_consent(app.client_id(), login.subject()).await?;
        Ok(consent.is_none_or(|consent| !consent.scope.covers(&ticket.scope)))
    }

    fn requested_scopes(&self, scope: &Scope) -> Vec<RequestedScope> {
        match &self.catalog {
            Some(catalog) => catalog
                .texts(scope)
                .into_iter()
                .map(|text| RequestedScope {
                    token: text.token.to_owned(),
                    titles: text.endpoints.iter().map(|it| it.title().to_owned()).collect(),
                })
                .collect(),
            None => scope
                .tokens()
                .map(|token| RequestedScope { token: token.to_owned(), titles: Vec::new() })
                .collect(),
        }
    }

    fn seal_ticket(&self, ticket: &Ticket, login: &Login) -> String {
        // A record of strings and numbers always has a JSON form.
        let payload = serde_json::to_vec(ticket).unwrap_or_default();
        self.handles.seal(HandleKind::Ticket, &login.binding(), &[&payload])
    }

    /// The ticket, be it expired, if it was made for this user in this session.
    pub(super) fn open_ticket(&self, ticket: &str, login: &Login) -> Result<Ticket, Rejection> {
        let read = |payload: &[u8]| serde_json::from_slice(payload).ok();
        self.handles
            .open(HandleKind::Ticket, &login.binding(), ticket, read)
            .map_err(|_| Rejection::InvalidTicket)
    }
}

/// RFC 8252 section 8.6: any program on the device might pose as a public app that is reached by a
/// custom scheme or on loopback, so that its user is always asked.
fn never_skips(app: &CustomApp, redirect_uri: &ResolvedRedirectUri) -> bool {
    app.settings().client_type() == ClientType::Public
        && redirect_uri.is_loopback_or_custom_scheme()
}
