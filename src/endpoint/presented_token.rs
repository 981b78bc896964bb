//! The token of a revocation or introspection request (RFC 7009 section 2.1, RFC 7662 section 2.1).

use std::sync::Arc;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::{FormRequest, refuse_duplicates};
use crate::error::{EndpointError, Rejection};
use crate::ids::ClientId;
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::{AccessTokenClaims, AccessTokenError, VerifyingKeys};
use crate::protocol::form::Form;
use crate::server_secret::handle::{GrantHandle, HandleKind};
use crate::store::{Grant, Store};

/// The names of the parameters, beside those of client authentication. The hint is ignored: a token
/// shows its own type.
const PARAMETERS: [&str; 2] = ["token", "token_type_hint"];

/// A request about a token, with each parameter present at most once.
pub(crate) struct PresentedToken<'f> {
    pub(crate) credentials: PresentedCredentials<'f>,
    pub(crate) token: &'f str,
}

impl<'f> PresentedToken<'f> {
    /// Reads the parameters, with the order of refusals of a token request: all of these come before
    /// client authentication.
    pub(crate) fn read(request: &FormRequest<'_>, form: &'f Form<'_>) -> Result<Self, Rejection> {
        refuse_duplicates(
            form,
            PARAMETERS.into_iter().chain(PresentedCredentials::PARAMETERS),
            &[],
        )?;
        let token = form.get("token").ok_or(Rejection::MissingParameter("token"))?;
        Ok(Self { credentials: PresentedCredentials::read(request, form)?, token })
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Reads the claims of an access token of this server, for any API, that is valid at `now`. Another host
    /// may have issued it, whose clock is ahead.
    ///
    /// A token that was read before costs no signature check. The caller asks the store whether it was revoked.
    pub(crate) fn read_access_token(
        &self,
        token: &str,
        now: UnixTime,
    ) -> Result<Arc<AccessTokenClaims>, Rejection> {
        let verify = |keys: &VerifyingKeys| self.verify_access_token(token, keys);
        self.introspected.check(token, now, verify, |claims| self.check_times(claims, now))
    }

    /// Checks that a recognised access token is valid at `now`.
    pub(crate) fn check_times(
        &self,
        claims: &AccessTokenClaims,
        now: UnixTime,
    ) -> Result<(), Rejection> {
        match claims.check_times(now, self.host_skew()) {
            // The skew is for `iat` in the future, not for `exp`.
            Ok(()) if claims.expires_at > now => Ok(()),
            Ok(()) | Err(AccessTokenError::Exp) => Err(Rejection::ExpiredToken),
            Err(_) => Err(Rejection::UnknownToken),
        }
    }

    /// Reads the claims of an access token of this server, for any API, regardless of its times.
    pub(crate) fn recognise_access_token(
        &self,
        token: &str,
        now: UnixTime,
    ) -> Result<AccessTokenClaims, Rejection> {
        self.verify_access_token(token, self.keys.at(now).verifying())
    }

    fn verify_access_token(
        &self,
        token: &str,
        keys: &VerifyingKeys,
    ) -> Result<AccessTokenClaims, Rejection> {
        let rules = AccessTokenRules {
            keys,
            issuer: &self.issuer,
            audiences: None,
            clock_skew: Duration::ZERO,
        };
        rules.verify_at_any_time(token).map_err(|_| Rejection::UnknownToken)
    }

    /// Opens a refresh token of the app `client_id`.
    pub(crate) fn open_refresh_token(
        &self,
        client_id: &ClientId,
        token: &str,
    ) -> Result<GrantHandle, Rejection> {
        GrantHandle::open(&self.handles, HandleKind::RefreshToken, client_id.as_str(), token)
            .map_err(|_| Rejection::UnknownToken)
    }

    /// Reads the grant of an opened refresh token. A salt that differs from the row's means that the
    /// token was forged with a leaked server secret.
    pub(crate) async fn grant_of(&self, handle: &GrantHandle) -> Result<Grant, EndpointError> {
        let grant = self.store.find_grant(&handle.grant_id).await?;
        let salt = handle.salt.digest(&handle.grant_id);
        let grant = grant.filter(|grant| grant.salt_digest.matches(&salt));
        Ok(grant.ok_or(Rejection::UnknownToken)?)
    }
}
