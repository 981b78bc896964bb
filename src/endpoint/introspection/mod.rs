//! The introspection endpoint: RFC 7662.

mod response;

use std::time::Duration;

pub use response::{ActiveToken, Introspection};

use crate::app::CustomApp;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::presented_token::PresentedToken;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::check_flow;
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::jwt::AccessTokenClaims;
use crate::observe::Step;
use crate::resource_server::resource::ResourceServer;
use crate::server_secret::handle::{GrantHandle, HandleKind};
use crate::store::{AccessFacts, Grant, Store};

impl<S: Store, U: Sync, H: Hooks> Context<S, U, H> {
    /// Answers an introspection request, and records how it ended.
    pub(crate) async fn introspect(&self, request: &FormRequest<'_>) -> Answered<Introspection> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::Introspect, request, &*self.audit);
        let result = self.examine(request, &facts, &mut trail).await;
        self.record(&facts, trail, result).and(|result| match result {
            Ok(active) => Ok(Introspection::Active(Box::new(active))),
            Err(EndpointError::Rejected { rejection, .. }) if rejection.is_token_state() => {
                Ok(Introspection::Inactive)
            }
            Err(error) => Err(error),
        })
    }

    async fn examine(
        &self,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<ActiveToken, EndpointError> {
        let form = request.form()?;
        let PresentedToken { credentials, token } = PresentedToken::read(request, &form)?;
        trail.enter(Step::Client);
        let app = self.authenticate_confidential(credentials, facts, trail).await?;
        if app.origin().is_self_described() {
            return Err(Rejection::SelfDescribedApp.into());
        }
        trail.enter(Step::Grant);
        let servers: Vec<_> = self.resource_servers_of(app.client_id()).collect();
        if HandleKind::RefreshToken.begins(token) {
            let everyones = servers.iter().any(|server| server.gateway);
            self.examine_refresh_token(&app, everyones, token, facts, trail).await
        } else {
            self.examine_access_token(&servers, token, facts, trail).await
        }
    }

    /// Tells an administrator what this server knows of a token, as it tells a gateway. It is not audited.
    pub(crate) async fn introspect_any(&self, token: &str) -> Result<Introspection, EndpointError> {
        match self.examine_any(token).await {
            Ok(active) => Ok(Introspection::Active(Box::new(active))),
            Err(EndpointError::Rejected { rejection, .. }) if rejection.is_token_state() => {
                Ok(Introspection::Inactive)
            }
            Err(error) => Err(error),
        }
    }

    async fn examine_any(&self, token: &str) -> Result<ActiveToken, EndpointError> {
        let now = self.clock.now();
        if HandleKind::RefreshToken.begins(token) {
            let (handle, grant) = self.open_anyones(token).await?;
            return self.live_refresh_token(None, &handle, grant, now).await;
        }
        let claims = self.read_access_token(token, now)?;
        self.check_access(&claims).await?;
        Ok(ActiveToken::from(&*claims))
    }

    async fn examine_access_token(
        &self,
        servers: &[&ResourceServer],
        token: &str,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<ActiveToken, EndpointError> {
        let claims = self.read_access_token(token, facts.now)?;
        trail.grant_id = Some(claims.grant_id);
        trail.concerns(&claims.subject);
        let mut active = ActiveToken::from(&*claims);
        show_to(servers, &mut active)?;
        self.check_access(&claims).await?;
        Ok(active)
    }

    /// Checks that the access behind a token has not ended.
    async fn check_access(&self, claims: &AccessTokenClaims) -> Result<(), EndpointError> {
        if self.store.is_revoked(&AccessFacts::from(claims)).await? {
            return Err(Rejection::RevokedToken.into());
        }
        Ok(())
    }

    async fn examine_refresh_token(
        &self,
        app: &AuthenticatedApp,
        everyones: bool,
        token: &str,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<ActiveToken, EndpointError> {
        let (handle, grant) = match self.open_refresh_token(app.client_id(), token) {
            Ok(handle) => {
                let grant = self.grant_of(&handle).await?;
                (handle, grant)
            }
            Err(_) if everyones => self.open_anyones(token).await?,
            Err(rejection) => return Err(rejection.into()),
        };
        trail.grant_id = Some(grant.grant_id);
        trail.concerns(&grant.subject);
        self.live_refresh_token(Some(&**app), &handle, grant, facts.now).await
    }

    /// Returns the claims of the refresh token, if it is the live one of `grant`. `caller` may be its app.
    async fn live_refresh_token(
        &self,
        caller: Option<&CustomApp>,
        handle: &GrantHandle,
        grant: Grant,
        now: UnixTime,
    ) -> Result<ActiveToken, EndpointError> {
        let caller = caller.filter(|app| grant.client_id == *app.client_id());
        let found = match caller {
            Some(_) => None,
            None => self.store.find_app(&grant.client_id).await?,
        };
        let owner = caller.or(found.as_deref()).ok_or(Rejection::RevokedToken)?;
        let skew = self.store.clock_skew();
        let expires_at = check_live(owner, handle, &grant, skew, now)?;
        if self.store.is_revoked(&grant.facts()).await? {
            return Err(Rejection::RevokedToken.into());
        }
        Ok(ActiveToken::refresh_token(&self.issuer, grant, expires_at))
    }

    /// Opens a refresh token of any app. The token names its grant, and must open for the app of that
    /// grant.
    async fn open_anyones(&self, token: &str) -> Result<(GrantHandle, Grant), EndpointError> {
        let claimed = GrantHandle::claimed_grant_id(HandleKind::RefreshToken, token);
        let claimed = claimed.ok_or(Rejection::UnknownToken)?;
        let grant = self.store.find_grant(&claimed).await?.ok_or(Rejection::UnknownToken)?;
        let handle = self.open_refresh_token(&grant.client_id, token)?;
        let salt = handle.salt.digest(&grant.grant_id);
        if handle.grant_id != grant.grant_id || !grant.salt_digest.matches(&salt) {
            return Err(Rejection::UnknownToken.into());
        }
        Ok((handle, grant))
    }
}

/// Reduces `token` to the part that the calling API may see: everything for a gateway; otherwise its
/// own names and scopes, if it is in the audience (RFC 7662 section 2.2).
fn show_to(servers: &[&ResourceServer], token: &mut ActiveToken) -> Result<(), Rejection> {
    if servers.iter().any(|server| server.gateway) {
        return Ok(());
    }
    let meant: Vec<_> = servers
        .iter()
        .filter(|server| token.audience.iter().any(|name| server.is_named(name)))
        .collect();
    let known = meant.iter().map(|server| server.scopes.clone());
    let known = known.reduce(|all, scopes| all.union(&scopes)).ok_or(Rejection::ForeignToken)?;
    token.audience.retain(|name| meant.iter().any(|server| server.is_named(name)));
    if meant.iter().all(|server| !server.scopes.is_empty()) {
        token.scope = token.scope.intersection(&known);
    }
    Ok(())
}

/// Returns when the refresh token expires, if it is the live one of `grant` and has not expired. The
/// store knows whether it was revoked.
fn check_live(
    owner: &CustomApp,
    handle: &GrantHandle,
    grant: &Grant,
    clock_skew: Duration,
    now: UnixTime,
) -> Result<UnixTime, Rejection> {
    // An administrator disabled the flow or refresh tokens of the app, and may enable them again.
    check_flow(owner, grant).map_err(|_| Rejection::RevokedToken)?;
    if handle.generation != grant.generation {
        return Err(Rejection::SpentToken);
    }
    let idle = owner.settings().refresh_token_idle_lifetime();
    // As a rotation judges it, whose host may have another clock than the one before.
    let idle = idle.map(|idle| Duration::from_secs(idle.into()).saturating_add(clock_skew));
    let idle_until = idle.map_or(grant.expires_at, |idle| grant.rotated_at.plus(idle));
    let expires_at = grant.expires_at.min(idle_until);
    if expires_at <= now { Err(Rejection::ExpiredToken) } else { Ok(expires_at) }
}
