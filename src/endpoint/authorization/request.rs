//! The authorization request: RFC 6749 section 4.1.1, RFC 7636 section 4.3.
//!
//! The redirect URI is validated before any error is redirected, so an early error cannot cause an open
//! redirect.

use std::fmt;
use std::sync::Arc;

use super::demands::Demands;
use super::response::{AuthorizationError, ReturnTo};
use crate::app::{AppSettings, CustomApp, Flow, Pkce};
use crate::endpoint::caller::Caller;
use crate::endpoint::context::Context;
use crate::endpoint::token::code_binding;
use crate::error::Rejection;
use crate::ids::{ClientId, Issuer, RequestId, Resource, Source};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri::{self, ResolvedRedirectUri};
use crate::protocol::resources::Resources;
use crate::protocol::scope::{NarrowError, Scope};
use crate::secret::Digest;
use crate::store::Store;

/// The longest `state`, in bytes of its JSON form. The ticket carries it, and must not become too long
/// to be opened.
const MAX_STATE_BYTES: usize = 4_096;

/// The parameters that may repeat (RFC 8707 section 2).
const REPEATABLE: [&str; 1] = ["resource"];

/// A valid authorization request. The host finds out which user is logged in, and calls
/// [`authorize`](crate::AuthorizationServer::authorize).
///
/// `Debug` does not show `state`, which may name a session of the client.
#[derive(Clone)]
pub struct AuthorizationRequest {
    pub(super) app: Arc<CustomApp>,
    pub(super) redirect_uri: ResolvedRedirectUri,
    /// The digest that the code will be bound to.
    pub(super) binding: Digest,
    pub(super) state: Option<String>,
    pub(super) scope: Scope,
    pub(super) resources: Option<Resources>,
    /// Its requirements for login and consent.
    pub(super) demands: Demands,
    /// The original query, for the way back from a login.
    query: String,
    /// The digest of a text that only this browser has.
    pub(super) browser: Option<Digest>,
    pub(super) source: Option<Source>,
    pub(super) request_id: Option<RequestId>,
}

impl AuthorizationRequest {
    /// Returns the app that sent the request.
    #[must_use]
    pub fn app(&self) -> &CustomApp {
        &self.app
    }

    /// Returns the requested scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the redirect URI.
    #[must_use]
    pub fn redirect_uri(&self) -> &ResolvedRedirectUri {
        &self.redirect_uri
    }

    /// Names the browser: `browser` is a text that the host finds again in this browser only, before and
    /// after a login, such as a random cookie. A session that changes at the login does not do.
    ///
    /// A request that demands a visit to the login page (`prompt=login`, `prompt=select_account`,
    /// `max_age`) needs it: the way back is bound to the browser that was sent there. The HTTP layer
    /// names a cookie of its own.
    #[must_use]
    pub fn with_browser(mut self, browser: &str) -> Self {
        self.browser = Some(Digest::of_fields(&[browser.as_bytes()]));
        self
    }

    /// Returns true if the request may demand a visit to the login page from a user who is logged in.
    pub(crate) const fn may_demand_login(&self) -> bool {
        self.demands.visit()
    }

    /// Returns true if the user has to choose the account (`prompt=select_account`): the login page
    /// asks also a user who is logged in.
    #[must_use]
    pub const fn selects_account(&self) -> bool {
        self.demands.select_account()
    }

    /// Returns the account that the app expects: `login_hint` of OpenID Connect Core 1.0 section 3.1.2.1. It
    /// may be an email address, a subject or any other text. The app wrote it: prefill a field with it and
    /// decide nothing by it.
    #[must_use]
    pub fn login_hint(&self) -> Option<String> {
        self.hint("login_hint")
    }

    /// Returns the languages that the app prefers for pages, as BCP 47 tags with spaces between: `ui_locales`
    /// of OpenID Connect Core 1.0 section 3.1.2.1. The app wrote them.
    #[must_use]
    pub fn ui_locales(&self) -> Option<String> {
        self.hint("ui_locales")
    }

    /// Returns the classes of authentication that the app prefers, with spaces between: `acr_values` of OpenID
    /// Connect Core 1.0 section 3.1.2.1. The app wrote them, and [`Login::with_acr`](super::Login::with_acr)
    /// states which one was reached.
    #[must_use]
    pub fn acr_values(&self) -> Option<String> {
        self.hint("acr_values")
    }

    fn hint(&self, name: &str) -> Option<String> {
        let form = self.form().ok()?;
        form.get(name).filter(|hint| !hint.is_empty()).map(str::to_owned)
    }

    pub(super) fn return_to<'a>(&'a self, issuer: &'a Issuer) -> ReturnTo<'a> {
        ReturnTo {
            client_id: self.app.client_id(),
            redirect_uri: &self.redirect_uri,
            state: self.state.as_deref(),
            issuer,
        }
    }

    /// Returns all parameters.
    pub(super) fn form(&self) -> Result<Form<'_>, AuthorizationError> {
        Form::parse(self.query.as_bytes()).map_err(|error| shown(Rejection::from(error)))
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client_id", self.app.client_id())
            .field("redirect_uri", &self.redirect_uri)
            .field("scope", &self.scope)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

/// The app and redirect URI of a request. From here on, errors are redirected.
struct Destination {
    app: Arc<CustomApp>,
    redirect_uri: ResolvedRedirectUri,
    /// Whether the request names the redirect URI.
    named: bool,
    state: Option<String>,
}

/// The other parameters of a request.
struct Asked {
    binding: Digest,
    scope: Scope,
    resources: Option<Resources>,
    demands: Demands,
}

impl<S: Store, U, H> Context<S, U, H>
where
    U: Sync,
    H: Sync,
{
    /// Reads and validates an authorization request.
    pub(super) async fn read_authorization_request(
        &self,
        query: &str,
        caller: Caller<'_>,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let form = Form::parse(query.as_bytes()).map_err(|error| shown(Rejection::from(error)))?;
        let destination = self.validate_destination(&form, caller.source).await?;
        match self.validate_parameters(&form, &destination) {
            Ok(Asked { binding, scope, resources, demands }) => Ok(AuthorizationRequest {
                app: destination.app,
                redirect_uri: destination.redirect_uri,
                binding,
                state: destination.state,
                scope,
                resources,
                demands,
                query: query.to_owned(),
                browser: None,
                source: caller.source.cloned(),
                request_id: caller.request_id.cloned(),
            }),
            Err(rejection) => {
                let return_to = ReturnTo {
                    client_id: destination.app.client_id(),
                    redirect_uri: &destination.redirect_uri,
                    state: destination.state.as_deref(),
                    issuer: &self.issuer,
                };
                Err(return_to.refuse(rejection))
            }
        }
    }

    /// Finds the app and its redirect URI. Errors are shown to the user, never redirected.
    async fn validate_destination(
        &self,
        form: &Form<'_>,
        source: Option<&Source>,
    ) -> Result<Destination, AuthorizationError> {
        let once = |name| form.one(name).map_err(|duplicate| shown(duplicate.into()));
        let client_id = once("client_id")?.ok_or(Rejection::MissingParameter("client_id"));
        let client_id = client_id.map_err(shown)?;
        let requested = once("redirect_uri")?;
        let client_id = ClientId::new(client_id).map_err(|_| shown(Rejection::UnknownClient))?;
        let found = self.find_client(&client_id, source).await;
        let app = found.map_err(|error| AuthorizationError::show(error, Some(&client_id)))?.app;
        if !app.is_enabled() {
            return Err(shown_for(&client_id, Rejection::AppDisabled));
        }
        let registered = app.settings().redirect_uris();
        let redirect_uri = redirect_uri::resolve(registered, requested, &self.hosts)
            .map_err(|_| shown_for(&client_id, Rejection::RedirectUri))?;
        // A duplicate `state` is refused by a redirect without `state`.
        let state = form.one("state").ok().flatten().filter(|state| fits_a_ticket(state));
        Ok(Destination {
            app,
            redirect_uri,
            named: requested.is_some(),
            state: state.map(str::to_owned),
        })
    }

    fn validate_parameters(
        &self,
        form: &Form<'_>,
        destination: &Destination,
    ) -> Result<Asked, Rejection> {
        let app = &destination.app;
        let settings = app.settings();
        if form.first_duplicate(&REPEATABLE).is_some() {
            return Err(Rejection::DuplicateParameter("a parameter"));
        }
        if form.get("state").is_some() && destination.state.is_none() {
            return Err(Rejection::StateTooLong);
        }
        match form.get("response_type") {
            None => return Err(Rejection::MissingParameter("response_type")),
            Some("code") => {}
            Some(_) => return Err(Rejection::UnsupportedResponseType),
        }
        if !settings.allows(Flow::AuthorizationCode) {
            return Err(Rejection::FlowNotAllowed(GrantType::AuthorizationCode));
        }
        if form.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Rejection::UnsupportedParameter("response_mode"));
        }
        for unsupported in ["request", "request_uri"] {
            if form.get(unsupported).is_some() {
                return Err(Rejection::UnsupportedParameter(unsupported));
            }
        }
        let demands = Demands::read(form)?;
        let challenge = code_challenge(form, settings.pkce())?;
        let scope = requested_scope(settings, form.get("scope").unwrap_or_default())?;
        Ok(Asked {
            binding: code_binding(
                destination.redirect_uri.as_str(),
                destination.named,
                challenge.as_ref(),
            ),
            scope,
            resources: asked_resources(form.all("resource"), settings, &self.issuer)?,
            demands,
        })
    }
}

fn fits_a_ticket(state: &str) -> bool {
    const QUOTES: usize = 2;
    // JSON escapes a byte with at most six.
    if state.len() <= MAX_STATE_BYTES / 6 {
        return true;
    }
    serde_json::to_string(state).is_ok_and(|json| json.len() <= MAX_STATE_BYTES + QUOTES)
}

/// Returns the code challenge. Only an app that is set so may leave out both parameters.
fn code_challenge(form: &Form<'_>, pkce: Pkce) -> Result<Option<CodeChallenge>, Rejection> {
    let (challenge, method) = (form.get("code_challenge"), form.get("code_challenge_method"));
    if pkce == Pkce::Optional && challenge.is_none() && method.is_none() {
        return Ok(None);
    }
    CodeChallenge::from_request(challenge, method).map(Some).map_err(Rejection::CodeChallenge)
}

/// Returns the scope that the code is requested for.
pub(crate) fn requested_scope(settings: &AppSettings, asked: &str) -> Result<Scope, Rejection> {
    settings.narrow(settings.scope(), asked).map_err(|error| match error {
        NarrowError::Invalid(_) => Rejection::MalformedScope,
        NarrowError::TooWide { .. } => Rejection::ScopeExceedsApp,
    })
}

/// Returns the APIs that the code is requested for (RFC 8707 section 2.1), in their registered
/// spellings.
pub(crate) fn asked_resources<'f>(
    texts: impl Iterator<Item = &'f str>,
    settings: &AppSettings,
    issuer: &Issuer,
) -> Result<Option<Resources>, Rejection> {
    let mut all = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        let asked = Resource::new(text).map_err(|_| Rejection::MalformedResource)?;
        let registered = settings.registered_resource(&asked).cloned();
        let own = || Resource::new(issuer.as_str()).ok().filter(|own| own.is_equivalent(&asked));
        all.push(registered.or_else(own).ok_or(Rejection::ResourceNotAllowed)?);
    }
    Resources::collect(all).map_err(|_| Rejection::ResourcesTooLong)
}

fn shown(rejection: Rejection) -> AuthorizationError {
    AuthorizationError::show(rejection, None)
}

fn shown_for(client_id: &ClientId, rejection: Rejection) -> AuthorizationError {
    AuthorizationError::show(rejection, Some(client_id))
}
