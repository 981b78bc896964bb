//! The token endpoint: RFC 6749 section 3.2. This file is the pipeline; each stage is a file.
//!
//! ```text
//! bytes -> parse -> authenticate client -> validate grant -> decide scopes -> claim -> mint -> respond
//! ```
//!
//! Every stage returns a value that only it can make, so they cannot be called in another order.
//! Everything is decided before the claim, and the claim decides every race: a failure before it
//! has changed nothing, and nothing is signed before it.

mod claim;
mod grant;
mod mint;
mod request;
mod response;
mod scope_decision;

use serde_json::{Map, Value};

pub use response::TokenResponse;

pub(crate) use grant::{check_flow, code_binding};

use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use crate::jwt::RESERVED_CLAIMS;
use crate::observe::Step;
use crate::store::Store;
use crate::users::UserDirectory;

use grant::ValidGrant;
use request::TokenRequest;
use scope_decision::GrantedScope;

impl<S: Store, U: UserDirectory, H: Hooks> Context<S, U, H> {
    /// Answers a token request, and records how it ended.
    pub(crate) async fn token(
        &self,
        request: &FormRequest<'_>,
    ) -> Result<TokenResponse, EndpointError> {
        let action = Action::IssueToken { grant_type: None };
        let mut trace = Trace::new(action, self.clock.now(), request);
        let answer = self.respond(request, &mut trace).await;
        self.record(trace, &answer);
        answer
    }

    async fn respond(
        &self,
        request: &FormRequest<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<TokenResponse, EndpointError> {
        trace.token_id = self.token_ids.next(&*self.random)?;
        let form = request.form()?;
        let TokenRequest { credentials, grant, scope, resource } =
            TokenRequest::read(request, &form)?;
        trace.action = Action::IssueToken { grant_type: Some(grant.grant_type()) };

        trace.enter(Step::Client);
        let app = self.authenticate(credentials, grant.assertion(), trace).await?;
        trace.enter(Step::Grant);
        let grant = self.validate_grant(&app, grant, trace).await?;
        trace.enter(Step::Scope);
        let scope = scope_decision::decide(&app, &grant, &self.issuer, scope, resource.as_ref())?;
        trace.enter(Step::Hook);
        let expires_at = expiry(&app, &grant, trace.now());
        let extra = self.ask_host(&app, &grant, &scope, expires_at, trace).await?;
        trace.enter(Step::Claim);
        let claimed = self.claim(&app, grant, &scope, trace).await?;
        trace.enter(Step::Mint);
        self.mint(&app, claimed, scope, &extra, expires_at, trace).await
    }

    /// The claims that the host adds, unless it vetoes.
    async fn ask_host(
        &self,
        app: &AuthenticatedApp,
        grant: &ValidGrant,
        scope: &GrantedScope,
        expires_at: UnixTime,
        trace: &Trace<'_>,
    ) -> Result<Map<String, Value>, EndpointError> {
        let decision = IssueDecision {
            app,
            grant_type: grant.grant_type,
            grant_id: grant.grant_id,
            subject: &grant.subject,
            user: grant.user.as_ref(),
            actor: grant.actor.as_ref(),
            scope: scope.scope(),
            resource: scope.resource(),
            device: grant.device.as_ref(),
            now: trace.now(),
            expires_at,
        };
        match self.hooks.before_issue(&decision).await? {
            HookAnswer::Issue => Ok(Map::new()),
            HookAnswer::Veto(reason) => Err(Rejection::Vetoed(reason).into()),
            HookAnswer::IssueWith(claims) => Ok(checked(claims)?),
        }
    }
}

/// The most that a host may add to a token, as JSON, in bytes.
const MAX_ADDED_CLAIMS: usize = 3 * 1024;

/// The claims of the host, if a token may have them.
fn checked(claims: Map<String, Value>) -> Result<Map<String, Value>, HookError> {
    if let Some(name) = claims.keys().find(|name| RESERVED_CLAIMS.contains(&name.as_str())) {
        return Err(HookError::ReservedClaim(name.clone()));
    }
    // A map of strings and values always has a JSON form.
    let length = serde_json::to_string(&claims).map_or(usize::MAX, |json| json.len());
    if length > MAX_ADDED_CLAIMS { Err(HookError::TooManyClaims) } else { Ok(claims) }
}

/// When the access token expires: never after the grant from which it descends.
fn expiry(app: &AuthenticatedApp, grant: &ValidGrant, now: UnixTime) -> UnixTime {
    let lifetime = app.settings().access_token_lifetime().into();
    now.plus(std::time::Duration::from_secs(lifetime)).min(grant.ends_at)
}
