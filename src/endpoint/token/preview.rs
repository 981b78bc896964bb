//! A preview of a token: the stages *decide*, *ask host* and the claims of *mint*, without a request. Nothing is
//! claimed and nothing is signed.

use serde_json::{Map, Value};

use super::check_user::check_name;
use super::decide;
use super::grant::{Valid, client_credentials, jwt_bearer, valid_row};
use super::mint;
use super::request::Asked;
use crate::app::{CustomApp, Flow};
use crate::clock::UnixTime;
use crate::endpoint::authorization::{asked_resources, ends_at, requested_scope};
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::hooks::Hooks;
use crate::ids::{GrantId, Resource, Subject};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::{Scope, ScopeToken};
use crate::random::JTI_BYTES;
use crate::store::{Grant as GrantRow, Store};
use crate::users::UserDirectory;

/// The grant of a preview does not exist.
const NO_GRANT: GrantId = GrantId::from_bytes([0; 16]);
/// The claims that name one token or one grant. A preview has none.
const NAMES: [&str; 2] = ["jti", "grant_id"];
const OFFLINE_ACCESS: &str = "offline_access";

/// A token request for [`Admin::preview_token`](crate::admin::Admin::preview_token), as its parameters would say
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviewRequest<'a> {
    /// The flow.
    pub flow: Flow,
    /// The user: for the JWT bearer flow as the assertion would name the user, for the authorization code flow
    /// the subject of the user who approves. The client credentials flow has none.
    pub user: Option<&'a str>,
    /// The requested scope. `None` and an empty text ask for all that the app may have.
    pub scope: Option<&'a str>,
    /// The requested API. `None` and an empty text mean the app's default.
    pub resource: Option<&'a str>,
}

impl<'a> PreviewRequest<'a> {
    /// Creates a request without parameters.
    #[must_use]
    pub const fn new(flow: Flow) -> Self {
        Self { flow, user: None, scope: None, resource: None }
    }

    /// Sets the user.
    #[must_use]
    pub const fn with_user(self, user: &'a str) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Sets the requested scope.
    #[must_use]
    pub const fn with_scope(self, scope: &'a str) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Sets the requested API.
    #[must_use]
    pub const fn with_resource(self, resource: &'a str) -> Self {
        Self { resource: Some(resource), ..self }
    }

    fn user(&self) -> Result<&'a str, Rejection> {
        self.user.ok_or(Rejection::MissingParameter("user"))
    }

    fn resource(&self) -> Result<Option<Resource>, Rejection> {
        let named = self.resource.filter(|text| !text.is_empty()).map(Resource::new);
        named.transpose().map_err(|_| Rejection::MalformedResource)
    }
}

/// The answer to a [`PreviewRequest`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a request is granted or refused")]
pub enum TokenPreview {
    /// The app would get a token.
    Token(Box<PreviewedToken>),
    /// The token endpoint, or for the authorization code flow the authorization endpoint, would refuse the
    /// request.
    Refused(Rejection),
}

/// The content of a token that was not issued.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewedToken {
    /// The claims of the access token (RFC 9068 section 2.2) at this instant, without `jti` and `grant_id`: those
    /// name one token, and this is none. A token of the authorization code flow also has the claims that the login
    /// of the user adds, such as `auth_time`, `acr` and `device`.
    pub claims: Map<String, Value>,
    /// The scope of the token.
    pub scope: Scope,
    /// The scope tokens that were asked for and that the token does not have. If the request names no scope, it
    /// asks for all that the app may have.
    pub left_out: Vec<LeftOutScope>,
    /// When the access token would be issued.
    pub issued_at: UnixTime,
    /// When the access token would expire.
    pub expires_at: UnixTime,
    /// When the refresh token would end at the latest, if the app gets one.
    pub refresh_ends_at: Option<UnixTime>,
    /// Whether the claims include those of the host's hook
    /// ([`Hooks::preview_issue`](crate::hooks::Hooks::preview_issue)). Otherwise the hook may add claims, or refuse
    /// the token.
    pub includes_hook: bool,
}

/// A scope token that is left out of a token, or narrowed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOutScope {
    /// The scope token.
    pub token: ScopeToken,
    /// The rule that left it out.
    pub limit: ScopeLimit,
}

/// A rule that leaves a scope token out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeLimit {
    /// The app does not have it.
    App,
    /// The impersonation policy does not allow it.
    ImpersonationPolicy,
    /// `offline_access` asks for a refresh token, and is no scope of an access token (OpenID Connect Core 1.0
    /// section 11).
    OfflineAccess,
}

impl ScopeLimit {
    /// Returns the setting that decided, by its name in JSON, if an administrator can change it.
    #[must_use]
    pub const fn setting(self) -> Option<&'static str> {
        match self {
            Self::App => Rejection::ScopeExceedsApp.setting(),
            Self::ImpersonationPolicy => Rejection::ScopeExceedsPolicy.setting(),
            Self::OfflineAccess => None,
        }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Context<S, U, H> {
    /// Previews the answer to `request` of an authenticated app.
    pub(crate) async fn preview(
        &self,
        app: &CustomApp,
        request: &PreviewRequest<'_>,
    ) -> Result<TokenPreview, Fault> {
        match self.previewed(app, request).await {
            Ok(token) => Ok(TokenPreview::Token(Box::new(token))),
            Err(EndpointError::Rejected { rejection, .. }) => Ok(TokenPreview::Refused(rejection)),
            Err(EndpointError::Failed(fault) | EndpointError::Unavailable(fault)) => Err(fault),
        }
    }

    async fn previewed(
        &self,
        app: &CustomApp,
        request: &PreviewRequest<'_>,
    ) -> Result<PreviewedToken, EndpointError> {
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        let (settings, now) = (app.settings(), self.clock.now());
        let scope = request.scope.filter(|text| !text.is_empty());
        let asked = Asked { scope, resource: request.resource()? };
        let (grant_type, refreshes, valid, asked) = match request.flow {
            flow @ (Flow::AuthorizationCode | Flow::DeviceCode) => {
                let grant_type = if flow == Flow::DeviceCode {
                    GrantType::DeviceCode
                } else {
                    GrantType::AuthorizationCode
                };
                if !settings.allows(flow) {
                    return Err(Rejection::FlowNotAllowed(grant_type).into());
                }
                let valid = self.approved(app, request, now).await?;
                let asked = Asked { scope: None, resource: None };
                (grant_type, settings.issues_refresh_token(), valid, asked)
            }
            Flow::JwtBearer => {
                let jwt = jwt_bearer::settings(app)?;
                let name = request.user()?;
                check_name(app, jwt, name)?;
                let user = jwt_bearer::named_user(&self.users, jwt, name).await?;
                let user = user.ok_or(Rejection::UnknownUser)?;
                let scope = jwt_bearer::permitted_scope(app, &jwt_bearer::decide_own(app, &user))?;
                let origin = jwt_bearer::origin(app, user, NO_GRANT);
                let offer = jwt_bearer::offer(app, jwt, scope, now);
                let refreshes = jwt_bearer::issues_refresh_token(app, jwt);
                (GrantType::JwtBearer, refreshes, Valid::without_right(origin, offer), asked)
            }
            // An exchange gives what its subject token leaves over, and there is none to preview.
            Flow::TokenExchange => return Err(Rejection::UnsupportedParameter("flow").into()),
            Flow::ClientCredentials => {
                client_credentials::check_flow(app)?;
                let (origin, offer) =
                    client_credentials::own_access(app, app.client_id(), NO_GRANT, now);
                (GrantType::ClientCredentials, false, Valid::without_right(origin, offer), asked)
            }
        };
        let (origin, offer, ()) = valid.into_parts();
        let refresh_ends_at = refreshes.then_some(offer.ends_at);
        origin.check_subject(app.client_id())?;
        let apis = decide::Apis { issuer: &self.issuer, servers: &self.resource_servers };
        let decided = decide::decide(app, offer, &asked, &apis, now)?;
        let extra = self.ask_host_for_preview(grant_type, app, &origin, &decided, now).await?;
        let includes_hook = extra.is_some();
        let extra = extra.unwrap_or_default();
        let token = mint::claims(app, &origin, &decided, &extra, [0; JTI_BYTES], now, now);
        // The server has just written this object.
        let mut claims: Map<String, Value> =
            serde_json::from_slice(&token.payload(&self.issuer)).unwrap_or_default();
        claims.retain(|name, _| !NAMES.contains(&name.as_str()));
        Ok(PreviewedToken {
            claims,
            left_out: left_out(app, request.scope.unwrap_or_default(), decided.scope()),
            issued_at: now,
            expires_at: decided.expires_at(),
            refresh_ends_at,
            includes_hook,
            scope: decided.into_scope(),
        })
    }

    /// Returns the grant of a user who approves all of `request`, and redeems the code at once.
    async fn approved(
        &self,
        app: &CustomApp,
        request: &PreviewRequest<'_>,
        now: UnixTime,
    ) -> Result<Valid<()>, EndpointError> {
        let settings = app.settings();
        let scope = requested_scope(settings, request.scope.unwrap_or_default())?;
        let resources = asked_resources(request.resource.into_iter(), settings, &self.issuer)?;
        let subject = Subject::new(request.user()?).map_err(|_| Rejection::InactiveUser)?;
        let user = self.active_user(&subject).await?;
        let mut row = GrantRow::new(NO_GRANT, app.client_id().clone(), subject, scope);
        row.resources = self.granted_resources(app, resources);
        row.expires_at = ends_at(settings, now, now);
        Ok(valid_row(row, user, None, ()))
    }
}

/// Returns the tokens of a request, or without one of the app's scope, that `granted` does not cover.
fn left_out(app: &CustomApp, asked: &str, granted: &Scope) -> Vec<LeftOutScope> {
    let settings = app.settings();
    let asked = Scope::parse(asked).unwrap_or_default();
    let names_some = asked.tokens().any(|token| token != OFFLINE_ACCESS);
    let offline = asked.tokens().filter(|token| *token == OFFLINE_ACCESS);
    let rest = if names_some { &asked } else { settings.scope() };
    let rest = rest.tokens().filter(|token| *token != OFFLINE_ACCESS);
    let limited = |token: &str| {
        let token = ScopeToken::new(token).ok()?;
        let limit = if token.as_str() == OFFLINE_ACCESS {
            ScopeLimit::OfflineAccess
        } else if granted.covers_token(&token) {
            return None;
        } else if settings.scope().covers_token(&token) {
            ScopeLimit::ImpersonationPolicy
        } else {
            ScopeLimit::App
        };
        Some(LeftOutScope { token, limit })
    };
    rest.chain(offline).filter_map(limited).collect()
}
