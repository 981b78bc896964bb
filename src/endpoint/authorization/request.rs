//! The authorization request: RFC 6749 section 4.1.1, RFC 7636 section 4.3.
//!
//! The redirect URI is validated before any error is redirected: there is no open redirect through
//! an early error.

use std::fmt;
use std::sync::Arc;

use super::demands::Demands;
use super::response::AuthorizationError;
use crate::app::{CustomApp, Flow};
use crate::endpoint::context::Context;
use crate::endpoint::token::code_binding;
use crate::error::Rejection;
use crate::ids::{ClientId, Issuer, Resource, Source};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri::{self, ResolvedRedirectUri};
use crate::protocol::scope::{NarrowError, Scope};
use crate::secret::Digest;
use crate::store::Store;

/// The longest `state` that is sent back, in bytes as JSON spells it: so it stands in the ticket,
/// which beside the longest of everything else is not too long to be opened.
const MAX_STATE_BYTES: usize = 4_096;

/// An authorization request that is valid: the host may now find out who the user is, then ask for
/// a [`Prompt`](super::Prompt).
///
/// `Debug` does not show `state`, by which a client may know its session.
#[derive(Clone)]
pub struct AuthorizationRequest {
    pub(super) app: Arc<CustomApp>,
    pub(super) redirect_uri: ResolvedRedirectUri,
    /// To what the code will be bound.
    pub(super) binding: Digest,
    pub(super) state: Option<String>,
    pub(super) scope: Scope,
    pub(super) resource: Option<Resource>,
    /// What it demands of the login and of the prompt.
    pub(super) demands: Demands,
    /// As it came: after a login the browser comes back with it.
    query: String,
    pub(super) source: Option<Source>,
}

impl AuthorizationRequest {
    /// The app that asks.
    #[must_use]
    pub fn app(&self) -> &CustomApp {
        &self.app
    }

    /// What it asks for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where the response goes.
    #[must_use]
    pub fn redirect_uri(&self) -> &ResolvedRedirectUri {
        &self.redirect_uri
    }

    /// All its parameters.
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
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// Where errors go, once that is known.
struct Return {
    app: Arc<CustomApp>,
    redirect_uri: ResolvedRedirectUri,
    named: bool,
    state: Option<String>,
}

/// What is asked for.
struct Asked {
    binding: Digest,
    scope: Scope,
    resource: Option<Resource>,
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
        source: Option<&Source>,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let form = Form::parse(query.as_bytes()).map_err(|error| shown(Rejection::from(error)))?;
        let back = self.validate_return(&form).await?;
        match self.validate_parameters(&form, &back) {
            Ok(Asked { binding, scope, resource, demands }) => Ok(AuthorizationRequest {
                app: back.app,
                redirect_uri: back.redirect_uri,
                binding,
                state: back.state,
                scope,
                resource,
                demands,
                query: query.to_owned(),
                source: source.cloned(),
            }),
            Err(rejection) => {
                let (state, client_id) = (back.state.as_deref(), back.app.client_id());
                let issuer = &self.issuer;
                let to = &back.redirect_uri;
                Err(AuthorizationError::redirect(to, state, issuer, rejection, client_id))
            }
        }
    }

    /// The app and where its errors go. What is wrong here is shown to the user, never redirected.
    async fn validate_return(&self, form: &Form<'_>) -> Result<Return, AuthorizationError> {
        let once = |name| form.one(name).map_err(|doubled| shown(doubled.into()));
        let client_id = once("client_id")?.ok_or(Rejection::MissingParameter("client_id"));
        let client_id = client_id.map_err(shown)?;
        let requested = once("redirect_uri")?;
        let client_id = ClientId::new(client_id).map_err(|_| shown(Rejection::UnknownClient))?;
        let app = self.store.find_app(&client_id).await;
        let app = app.map_err(|error| AuthorizationError::show(error, Some(&client_id)))?;
        let app = app.ok_or_else(|| shown_for(&client_id, Rejection::UnknownClient))?;
        if !app.is_enabled() {
            return Err(shown_for(&client_id, Rejection::AppDisabled));
        }
        let registered = app.settings().redirect_uris();
        let redirect_uri = redirect_uri::resolve(registered, requested, &self.hosts)
            .map_err(|_| shown_for(&client_id, Rejection::RedirectUri))?;
        // A doubled state is an error that is redirected without one.
        let state = form.one("state").ok().flatten().filter(|state| fits_a_ticket(state));
        Ok(Return {
            app,
            redirect_uri,
            named: requested.is_some(),
            state: state.map(str::to_owned),
        })
    }

    fn validate_parameters(&self, form: &Form<'_>, back: &Return) -> Result<Asked, Rejection> {
        let app = &back.app;
        let settings = app.settings();
        if form.first_doubled().is_some() {
            return Err(Rejection::DuplicateParameter("a parameter"));
        }
        if form.get("state").is_some() && back.state.is_none() {
            return Err(Rejection::UnsupportedParameter("state"));
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
        let challenge = CodeChallenge::from_request(
            form.get("code_challenge"),
            form.get("code_challenge_method"),
        )
        .map_err(Rejection::CodeChallenge)?;
        let scope = settings.scope().narrow(form.get("scope").unwrap_or_default());
        let scope = scope.map_err(|error| match error {
            NarrowError::Invalid(_) => Rejection::MalformedScope,
            NarrowError::TooWide { .. } => Rejection::ScopeExceedsApp,
        })?;
        Ok(Asked {
            binding: code_binding(back.redirect_uri.as_str(), back.named, &challenge),
            scope,
            resource: asked_resource(form, app, &self.issuer)?,
            demands,
        })
    }
}

fn fits_a_ticket(state: &str) -> bool {
    const QUOTES: usize = 2;
    // JSON spells no byte with more than six.
    if state.len() <= MAX_STATE_BYTES / 6 {
        return true;
    }
    serde_json::to_string(state).is_ok_and(|json| json.len() <= MAX_STATE_BYTES + QUOTES)
}

/// The API for which the code is asked (RFC 8707 section 2.1).
fn asked_resource(
    form: &Form<'_>,
    app: &CustomApp,
    issuer: &Issuer,
) -> Result<Option<Resource>, Rejection> {
    let Some(text) = form.get("resource") else { return Ok(None) };
    let resource = Resource::new(text).map_err(|_| Rejection::MalformedResource)?;
    if text == issuer.as_str() || app.settings().resources().contains(&resource) {
        Ok(Some(resource))
    } else {
        Err(Rejection::ResourceNotAllowed)
    }
}

fn shown(rejection: Rejection) -> AuthorizationError {
    AuthorizationError::show(rejection, None)
}

fn shown_for(client_id: &ClientId, rejection: Rejection) -> AuthorizationError {
    AuthorizationError::show(rejection, Some(client_id))
}
