//! The next step of a valid request: log in, ask for consent, or redirect with a code.

use super::decide::Access;
use super::login::{Login, LoginNeeded};
use super::request::AuthorizationRequest;
use super::response::{AuthorizationError, AuthorizationResponse};
use super::ticket::Ticket;
use crate::app::{ClientType, CustomApp, DocumentUrl};
use crate::catalog::Endpoint;
use crate::clock::UnixTime;
use crate::endpoint::client_documents::{FoundApp, Standing};
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::{Resource, Subject};
use crate::protocol::redirect_uri::ResolvedRedirectUri;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::server_secret::handle::new_grant_names;
use crate::store::{Consent, Store, StoreError};

/// A requested scope token, as a consent page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedScope {
    /// The scope token. A page that lets the user choose sends back the chosen ones.
    pub token: String,
    /// The titles of what it allows, from the catalog; empty if no catalog knows it.
    pub titles: Vec<String>,
    /// Whether the user agreed to it before and has not withdrawn that.
    pub agreed: bool,
}

/// The party that vouches for the name and the description of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Voucher {
    /// The administrator who registered the app.
    Administrator,
    /// No party: the app describes itself, and its name may be that of another. Show the hosts, which it cannot
    /// choose freely.
    Unverified(SelfDescription),
}

impl Voucher {
    fn of(app: &CustomApp, redirect_uri: &ResolvedRedirectUri) -> Self {
        if !app.origin().is_self_described() {
            return Self::Administrator;
        }
        let url = app.metadata_document().and_then(|_| DocumentUrl::of(app.client_id()));
        Self::Unverified(SelfDescription {
            client_host: url.map(|url| url.host().to_owned()),
            redirect_host: redirect_uri.host().map(str::to_owned),
            only_loopback: redirect_uri.is_loopback(),
        })
    }
}

/// The facts about an app that describes itself, for its consent page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelfDescription {
    /// The host of the document that describes the app. Show it first: its owner is the party to trust. `None` if the
    /// app registered itself.
    pub client_host: Option<String>,
    /// The host that gets the answer. `None` for a custom scheme: a program on the user's device gets it.
    pub redirect_host: Option<String>,
    /// Whether the answer goes only to the user's own device, also if the app has other redirect URIs. Then every
    /// program there can use this client id: warn the user, who alone knows which program sent the browser here.
    pub only_loopback: bool,
}

/// The content of a consent page. Escape every text: administrators wrote them, or strangers, as
/// [`vouched_by`](Self::vouched_by) says.
///
/// `Debug` does not show the ticket.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConsentPrompt {
    /// The name of the app.
    pub app_name: String,
    /// The description of the app.
    pub app_description: String,
    /// The party that vouches for both.
    pub vouched_by: Voucher,
    /// The URI that the browser is redirected to afterwards.
    pub redirect_uri: ResolvedRedirectUri,
    /// The requested scope.
    pub scopes: Vec<RequestedScope>,
    /// The APIs that the request names (RFC 8707).
    pub resources: Vec<Resource>,
    /// Whether an approval can be remembered. If not, the app is always asked again, or asks for an API
    /// of its own choice, and the page offers no such box.
    pub can_be_remembered: bool,
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
    /// Finds the next step, and decides at once if neither login nor consent is needed. Also returns the
    /// access that the step gives or asks for.
    pub(super) async fn next_step(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<(NextStep, Option<Access>), AuthorizationError> {
        if login.is_some_and(Login::names_no_session) {
            return Err(AuthorizationError::show(Fault::EmptySession, None));
        }
        let now = self.clock.now();
        let client_id = request.app.client_id().clone();
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&client_id));
        // The user may have taken long to log in.
        let source = request.source.clone();
        let found = self.revalidate(&client_id, &request.redirect_uri, source.as_ref()).await;
        let FoundApp { app, standing } = found.map_err(shown)?;
        let Some(login) = self.sufficient_login(&request, login, now)? else {
            let needed = self.login_needed(request, now)?;
            return Ok((NextStep::LogIn(needed), None));
        };
        if login.subject().is_client(&client_id) {
            return Err(shown(Rejection::SubjectIsClientId.into()));
        }
        let demands = request.demands;
        let mut ticket =
            self.new_ticket(request, &app, now).map_err(|error| shown(error.into()))?;
        // No consent was given to a description that no row has.
        let asked = demands.consent
            || standing != Standing::Stored
            || self.must_ask(&app, &ticket, login).await.map_err(|error| shown(error.into()))?;
        if !asked {
            let approved = self.approve_unasked(&app, &ticket, login, now).await?;
            if let Some((response, access)) = approved {
                return Ok((NextStep::Redirect(response), Some(access)));
            }
            // The ticket has the names of the row that was just revoked.
            let names = new_grant_names(&*self.random).map_err(|error| shown(error.into()))?;
            (ticket.grant_id, ticket.salt) = names;
        }
        if demands.no_page {
            return Err(ticket.return_to(&self.issuer).refuse(Rejection::ConsentRequired));
        }
        let before = self.store.find_consent(&client_id, login.subject()).await;
        let before = before.map_err(|error| shown(error.into()))?;
        let before = before.filter(|before| app.counts_consent_of(before.given_at));
        let agreed = before.filter(|_| standing == Standing::Stored).map(|before| before.scope);
        let access = Access {
            grant_id: ticket.grant_id,
            scope: ticket.scope.clone(),
            resources: ticket.resources.clone(),
        };
        let prompt = ConsentPrompt {
            app_name: app.settings().name().to_owned(),
            app_description: app.settings().description().to_owned(),
            vouched_by: Voucher::of(&app, &ticket.redirect_uri),
            can_be_remembered: can_be_remembered(&app, &ticket),
            scopes: self.requested_scopes(&ticket.scope, &agreed.unwrap_or_default()),
            resources: ticket.resources.iter().flat_map(Resources::iter).cloned().collect(),
            subject: login.subject().clone(),
            ticket: self.seal_ticket(&ticket, login),
            expires_at: ticket.expires_at,
            redirect_uri: ticket.redirect_uri,
        };
        Ok((NextStep::AskConsent(prompt), Some(access)))
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
        // Consent is remembered for the app's default API only, as it was when the user agreed.
        if ticket.resources.is_some() {
            return Ok(true);
        }
        let consent = self.store.find_consent(app.client_id(), login.subject()).await?;
        let covers = |consent: Consent| {
            consent.scope.covers(&ticket.scope)
                && consent.is_for(self.default_api(app).as_ref())
                && app.counts_consent_of(consent.given_at)
        };
        Ok(!consent.is_some_and(covers))
    }

    /// Returns the requested scope, as a consent page shows it.
    pub(crate) fn requested_scopes(&self, scope: &Scope, agreed: &Scope) -> Vec<RequestedScope> {
        let requested = |token: &str, titles| RequestedScope {
            token: token.to_owned(),
            titles,
            agreed: Scope::parse(token).is_ok_and(|token| agreed.covers(&token)),
        };
        let Some(catalog) = &self.catalog else {
            return scope.tokens().map(|token| requested(token, Vec::new())).collect();
        };
        let titles =
            |endpoints: &[&Endpoint]| endpoints.iter().map(|it| it.title().to_owned()).collect();
        let texts = catalog.texts(scope).into_iter();
        texts.map(|text| requested(text.token, titles(&text.endpoints))).collect()
    }
}

/// Returns whether a remembered approval would skip the prompt next time.
fn can_be_remembered(app: &CustomApp, ticket: &Ticket) -> bool {
    // An app that requires no consent is asked only if it wants to be.
    app.settings().requires_consent()
        && ticket.resources.is_none()
        && !never_skips(app, &ticket.redirect_uri)
}

/// Returns whether consent is never skipped: any program on the device may impersonate a public app
/// with a custom scheme or loopback redirect (RFC 8252 section 8.6), and a stranger's app that lists the redirect URI
/// of another would get by its own what the user gave to that one.
fn never_skips(app: &CustomApp, redirect_uri: &ResolvedRedirectUri) -> bool {
    let settings = app.settings();
    (settings.client_type() == ClientType::Public && redirect_uri.is_loopback_or_custom_scheme())
        || (app.origin().is_self_described()
            && settings.redirect_uris().iter().any(|uri| uri.host() != redirect_uri.host()))
}
