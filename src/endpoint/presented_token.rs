//! A token that is presented to be ended or asked about (RFC 7009 section 2.1, RFC 7662 section
//! 2.1): read, and recognised as one that this server gave.

use crate::clock::UnixTime;
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::context::{Context, STORE_CLOCK_MARGIN};
use crate::endpoint::form_request::{FormRequest, refuse_doubled};
use crate::error::{EndpointError, Rejection};
use crate::ids::ClientId;
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::{AccessTokenClaims, AccessTokenError};
use crate::protocol::form::Form;
use crate::server_secret::handle::{GrantHandle, HandleKind};
use crate::store::{Grant, Store};

/// The parameters that are read. The hint is not: what a token is, it says itself.
const KNOWN: [&str; 6] = [
    "token",
    "token_type_hint",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
];

/// A request that is about a token, whose parameters are all there, each once.
pub(crate) struct PresentedToken<'f> {
    pub(crate) credentials: PresentedCredentials<'f>,
    pub(crate) token: &'f str,
}

impl<'f> PresentedToken<'f> {
    /// The order of refusals is that of a token request: all of these come before anybody is
    /// authenticated.
    pub(crate) fn read(request: &FormRequest<'_>, form: &'f Form<'_>) -> Result<Self, Rejection> {
        refuse_doubled(form, &KNOWN)?;
        let token = form.get("token").ok_or(Rejection::MissingParameter("token"))?;
        Ok(Self { credentials: PresentedCredentials::read(request, form)?, token })
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// What an access token of this server says, for whichever API it is.
    pub(crate) fn read_access_token(
        &self,
        token: &str,
        now: UnixTime,
    ) -> Result<AccessTokenClaims, Rejection> {
        let keys = self.keys.at(now);
        let rules = AccessTokenRules {
            keys: keys.verifying(),
            issuer: &self.issuer,
            audiences: None,
            // Another process signed it by a clock of its own.
            clock_skew: STORE_CLOCK_MARGIN,
        };
        match rules.verify(token, now) {
            // The margin is for tokens that seem to come from the future.
            Ok(claims) if claims.expires_at <= now => Err(Rejection::ExpiredToken),
            Ok(claims) => Ok(claims),
            Err(AccessTokenError::Exp) => Err(Rejection::ExpiredToken),
            Err(_) => Err(Rejection::UnknownToken),
        }
    }

    /// What a refresh token of the app `client_id` says.
    pub(crate) fn open_refresh_token(
        &self,
        client_id: &ClientId,
        token: &str,
    ) -> Result<GrantHandle, Rejection> {
        GrantHandle::open(&self.handles, HandleKind::RefreshToken, client_id.as_str(), token)
            .map_err(|_| Rejection::UnknownToken)
    }

    /// The grant of an opened refresh token. One whose salt is not that of the row was sealed with
    /// the server's secret, and not by this server.
    pub(crate) async fn grant_of(&self, handle: &GrantHandle) -> Result<Grant, EndpointError> {
        let grant = self.store.find_grant(&handle.grant_id).await?;
        let salt = handle.salt.digest(&handle.grant_id);
        let grant = grant.filter(|grant| grant.salt_digest.matches(&salt));
        Ok(grant.ok_or(Rejection::UnknownToken)?)
    }
}
