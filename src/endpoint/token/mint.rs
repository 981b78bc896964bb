//! Stage *mint*: signs the access token (RFC 9068). Nothing is decided here.

use serde_json::{Map, Value};

use super::decide::Decided;
use super::grant::{Claimed, Origin};
use super::response::TokenResponse;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::EndpointError;
use crate::jwt::KeyUse;
use crate::jwt::access_token::{self, NewAccessToken};
use crate::random::JTI_BYTES;
use crate::secret::{AccessToken, RefreshToken};

impl<S: Sync, U: Sync, H: Sync> Context<S, U, H> {
    pub(super) async fn mint(
        &self,
        app: &CustomApp,
        origin: &Origin,
        decided: Decided<'_>,
        claimed: &Claimed,
        extra: &Map<String, Value>,
        facts: &RequestFacts<'_>,
    ) -> Result<TokenResponse, EndpointError> {
        let now = facts.now;
        // Not sealed before this point: a request that claimed nothing has none.
        let refresh_token = claimed
            .successor()
            .map(|handle| RefreshToken::new(handle.seal(&self.handles, app.client_id().as_str())));
        let (token_id, authorized_at) = (facts.token_id(), claimed.authorized_at());
        let token = claims(app, origin, &decided, extra, token_id, authorized_at, now);
        let payload = token.payload(&self.issuer);
        let signed = self.keys.sign(KeyUse::AccessToken, now, access_token::TYPE, &payload);
        let access_token = AccessToken::new(signed.await?);
        let expires_in = decided.expires_at().as_seconds().saturating_sub(now.as_seconds());
        Ok(TokenResponse::new(access_token, expires_in, decided.into_scope(), refresh_token))
    }
}

/// Returns the claims of an access token.
pub(super) fn claims<'a>(
    app: &'a CustomApp,
    origin: &'a Origin,
    decided: &'a Decided<'_>,
    extra: &'a Map<String, Value>,
    token_id: [u8; JTI_BYTES],
    authorized_at: UnixTime,
    now: UnixTime,
) -> NewAccessToken<'a> {
    NewAccessToken {
        subject: origin.subject.as_str(),
        audience: decided.audience(),
        further_audiences: decided.further_resources(),
        client_id: app.client_id(),
        scope: decided.scope().as_str(),
        token_id,
        issued_at: now,
        expires_at: decided.expires_at(),
        grant_id: origin.grant_id,
        authorized_at,
        auth_time: origin.auth_time,
        actor: origin.actor.as_ref(),
        device: origin.device.as_ref(),
        circumstances: origin.circumstances.as_deref(),
        via: &origin.via,
        extra,
    }
}
