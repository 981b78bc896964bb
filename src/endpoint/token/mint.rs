//! Stage 6, mint: sign the access token (RFC 9068). Nothing is decided here.

use serde_json::{Map, Value};

use super::claim::Claimed;
use super::response::TokenResponse;
use super::scope_decision::GrantedScope;
use crate::clock::UnixTime;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::trace::Trace;
use crate::error::EndpointError;
use crate::jwt::SigningError;
use crate::jwt::access_token::{self, NewAccessToken};
use crate::secret::AccessToken;

impl<S: Sync, U: Sync, H: Sync> Context<S, U, H> {
    pub(super) async fn mint(
        &self,
        app: &AuthenticatedApp,
        claimed: Claimed,
        scope: GrantedScope,
        extra: &Map<String, Value>,
        expires_at: UnixTime,
        trace: &Trace<'_>,
    ) -> Result<TokenResponse, EndpointError> {
        let grant = claimed.grant();
        let token = NewAccessToken {
            subject: grant.subject.as_str(),
            audience: scope.audience(&self.issuer),
            client_id: app.client_id(),
            scope: scope.scope().as_str(),
            token_id: trace.token_id,
            issued_at: trace.now(),
            expires_at,
            grant_id: grant.grant_id,
            authorized_at: claimed.authorized_at(),
            auth_time: grant.auth_time,
            actor: grant.actor.as_ref(),
            device: grant.device.as_ref(),
            extra,
        };
        let payload = token.payload(&self.issuer);
        let keys = self.keys.at(trace.now());
        let signer = keys.signer().ok_or(SigningError::Signature)?;
        let access_token = AccessToken::new(signer.sign(access_token::TYPE, &payload).await?);
        let expires_in = expires_at.as_seconds().saturating_sub(trace.now().as_seconds());
        Ok(TokenResponse::new(access_token, expires_in, scope, claimed.into_refresh_token()))
    }
}
