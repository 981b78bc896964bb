//! The refresh token grant: RFC 6749 section 6, RFC 9700 section 4.14.2.

use super::{PendingClaim, ValidGrant};
use crate::app::{AppSettings, Flow, JwtSettings};
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Fault, Rejection};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::server_secret::handle::HandleKind;
use crate::store::{Grant, Rotate, Rotation, Store};
use crate::users::UserDirectory;

const GRANT: GrantType = GrantType::RefreshToken;
/// How often a lost answer is given again.
const MAX_RETRIES: u8 = 5;

/// Whether the app still has refresh tokens, and the flow through which the grant was made, as a rule.
pub(crate) fn check_flow(settings: &AppSettings, grant: &Grant) -> Result<(), Rejection> {
    let (flow, grant_type, refresh) = if grant.actor.is_some() {
        let refresh = settings.jwt().is_some_and(JwtSettings::issues_refresh_token);
        (Flow::JwtBearer, GrantType::JwtBearer, refresh)
    } else {
        (Flow::AuthorizationCode, GrantType::AuthorizationCode, true)
    };
    if !settings.issues_refresh_token() || !refresh {
        Err(Rejection::RefreshNotAllowed)
    } else if settings.allows(flow) {
        Ok(())
    } else {
        Err(Rejection::FlowNotAllowed(grant_type))
    }
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    pub(super) async fn validate_refresh_token(
        &self,
        app: &AuthenticatedApp,
        refresh_token: &str,
        trace: &mut Trace<'_>,
    ) -> Result<ValidGrant, EndpointError> {
        let settings = app.settings();
        if !settings.issues_refresh_token() {
            return Err(Rejection::RefreshNotAllowed.into());
        }
        let kind = HandleKind::RefreshToken;
        let (handle, grant) = self.open_grant(app, GRANT, kind, refresh_token, trace).await?;
        let rotation = Rotation {
            grant_id: handle.grant_id,
            client_id: app.client_id().clone(),
            salt_digest: handle.salt.digest(&handle.grant_id),
            generation: handle.generation,
            grace_millis: i64::from(settings.refresh_grace()) * 1000,
            max_retries: MAX_RETRIES,
            idle_millis: settings.refresh_token_idle_lifetime().map(|s| i64::from(s) * 1000),
            claim: trace.claim_id(),
            now: trace.now(),
        };
        if rotation.generation < grant.generation && !grant.is_retry(&rotation) {
            return Err(self.refuse_rotation(&rotation).await);
        }
        check_flow(settings, &grant)?;
        let user = self.active_user(&grant.subject).await?;
        let scope = match settings.jwt().filter(|_| grant.actor.is_some()) {
            Some(jwt) => {
                let policy = jwt.impersonation();
                policy.permits(&user).map_err(Rejection::ImpersonationDenied)?;
                narrowed(&grant.scope, policy.scope.as_ref())?
            }
            None => grant.scope.clone(),
        };
        let authorized_at = grant.authorized_at;
        let claim = PendingClaim::RefreshToken { rotation, salt: handle.salt, authorized_at };
        Ok(ValidGrant::of_row(GRANT, grant, user, scope, claim))
    }

    /// A spent refresh token: the store revokes its grant, whatever else is wrong with the request.
    async fn refuse_rotation(&self, rotation: &Rotation) -> EndpointError {
        match self.store.rotate(rotation).await {
            Ok(answer) => refused(answer).map_or_else(
                || Fault::StoreContract("a generation became live again").into(),
                EndpointError::from,
            ),
            Err(error) => error.into(),
        }
    }
}

/// What of `scope` a narrower one still allows. Where that is nothing, there is no token: one
/// without scope would still say that the app acts as the user.
pub(super) fn narrowed(scope: &Scope, limit: Option<&Scope>) -> Result<Scope, Rejection> {
    let Some(limit) = limit else { return Ok(scope.clone()) };
    let left = scope.intersection(limit);
    let withdrawn = left.is_empty() && !scope.is_empty();
    if withdrawn { Err(Rejection::ScopeWithdrawn) } else { Ok(left) }
}

/// Why a rotation gave nothing; `None` if it gave a successor.
pub(in super::super) const fn refused(answer: Rotate) -> Option<Rejection> {
    match answer {
        Rotate::Rotated | Rotate::Retried | Rotate::Ahead => None,
        Rotate::Reused => Some(Rejection::RefreshTokenReused),
        Rotate::Refused(refusal) => Some(Rejection::GrantRefused(GRANT, refusal)),
    }
}
