//! The next step of a valid request: log in, ask for consent, or redirect with a code.

use super::login::{Login, LoginNeeded};
use super::request::AuthorizationRequest;
use super::response::{AuthorizationError, AuthorizationResponse};
use super::ticket::Ticket;
use crate::app::{ClientType, CustomApp};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::{Resource, Subject};
use crate::protocol::redirect_uri::ResolvedRedirectUri;
use crate::protocol::scope::Scope;
use crate::server_secret::handle::new_grant_names;
use crate::store::{Store, StoreError};

/// A requested scope token, as a consent page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedScope {
    /// The scope token. A page that lets the user choose sends back the chosen ones.
    pub token: String,
    /// The titles of what it allows, from the catalog; empty if no catalog knows it.
    pub titles: Vec<String>,
}

/// The content of a consent page. Escape every text: administrators wrote them.
///
/// `Debug` does not show the ticket.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConsentPrompt {
    /// The name of the app.
    pub app_name: String,
    /// The description of the app.
    pub app_description: String,
    /// The URI that the browser is redirected to afterwards.
    pub redirect_uri: ResolvedRedirectUri,
    /// The requested scope.
    pub scopes: Vec<RequestedScope>,
    /// The API, if the request names one (RFC 8707).
    pub resource: Option<Resource>,
    /// The user.
    pub subject: Subject,
    /// The value of a hidden field that the form sends back. Valid once, until `expires_at`, for this
    /// user in this session.
    pub ticket: String,
    /// When the ticket expires.
    pub expires_at: UnixTime,
}

impl std::fmt::Debug for ConsentPrompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentPrompt")
            .field("app_name", &self.app_name)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .field("subject", &self.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The next step of a valid request.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host has to handle all of them")]
pub enum NextStep {
    /// The user has to log in first, or again.
    LogIn(LoginNeeded),
    /// The user is asked for consent.
    AskConsent(ConsentPrompt),
    /// The browser is redirected with a code, because no consent is needed.
    Redirect(AuthorizationResponse),
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Finds the next step, and decides at once if neither login nor consent is needed.
    pub(super) async fn next_step(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<NextStep, AuthorizationError> {
        if login.is_some_and(Login::names_no_session) {
            return Err(AuthorizationError::show(Fault::EmptySession, None));
        }
        let now = self.clock.now();
        let client_id = request.app.client_id().clone();
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&client_id));
        // The user may have taken long to log in.
        let app = self.revalidate(&client_id, &request.redirect_uri).await.map_err(shown)?;
        let Some(login) = self.sufficient_login(&request, login, now)? else {
            return self.login_needed(request, now).map(NextStep::LogIn);
        };
        let demands = request.demands;
        let mut ticket = self.new_ticket(request, now).map_err(|error| shown(error.into()))?;
        let asked = demands.consent
            || self.must_ask(&app, &ticket, login).await.map_err(|error| shown(error.into()))?;
        if !asked {
            if let Some(response) = self.approve_unasked(&app, &ticket, login, now).await? {
                return Ok(NextStep::Redirect(response));
            }
            // The ticket has the names of the row that was just revoked.
            let names = new_grant_names(&*self.random).map_err(|error| shown(error.into()))?;
            (ticket.grant_id, ticket.salt) = names;
        }
        if demands.no_page {
            return Err(ticket.return_to(&self.issuer).refuse(Rejection::ConsentRequired));
        }
        Ok(NextStep::AskConsent(ConsentPrompt {
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

    /// Returns whether the user has to be asked now.
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
}

/// Returns whether consent is never skipped: any program on the device may impersonate a public app
/// with a custom scheme or loopback redirect (RFC 8252 section 8.6).
fn never_skips(app: &CustomApp, redirect_uri: &ResolvedRedirectUri) -> bool {
    app.settings().client_type() == ClientType::Public
        && redirect_uri.is_loopback_or_custom_scheme()
}
