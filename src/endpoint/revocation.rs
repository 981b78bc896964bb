//! The revocation endpoint: RFC 7009. An app gives a token back. Its grant ends, with every token of
//! it.

use std::time::Duration;

use crate::app::CustomApp;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::presented_token::PresentedToken;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::ids::GrantId;
use crate::jwt::AccessTokenClaims;
use crate::observe::Step;
use crate::server_secret::handle::{GrantHandle, HandleKind};
use crate::store::{Revocation, RevocationReason, RevocationTarget, Store};

/// How long a revocation is kept after the last expiry. The clock of an API may be this far behind.
const MARGIN: Duration = Duration::from_secs(60);

/// A token that this server issued to the app that presents it.
enum OwnToken {
    Refresh(GrantHandle),
    Access(Box<AccessTokenClaims>),
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers a revocation request, and records how it ended.
    pub(crate) async fn revoke(&self, request: &FormRequest<'_>) -> Result<(), EndpointError> {
        let now = self.clock.now();
        let mut trace = Trace::new(Action::RevokeToken, now, request);
        let answer = self.give_back(request, &mut trace).await;
        self.record(trace, &answer);
        match answer {
            // RFC 7009 section 2.2: an invalid token is already revoked, and the answer does not tell
            // if the token belongs to another app.
            Err(EndpointError::Rejected { rejection, .. }) if rejection.is_token_state() => Ok(()),
            // Section 2.2.1: the token may still be valid, and the client has to repeat the request.
            Err(EndpointError::Failed(fault)) => Err(EndpointError::Unavailable(fault)),
            answer => answer,
        }
    }

    async fn give_back(
        &self,
        request: &FormRequest<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<(), EndpointError> {
        let form = request.form()?;
        let PresentedToken { credentials, token } = PresentedToken::read(request, &form)?;
        trace.enter(Step::Client);
        let client = self.authenticate(credentials, None, trace).await?;
        trace.enter(Step::Grant);
        let prove = |app: &_, trace: &mut _| self.recognise(app, token, trace);
        let (_, token) = self.admit(client, prove, trace)?;
        let (grant_id, until) = match token {
            OwnToken::Refresh(handle) => self.end_of_refresh_token(&handle, trace).await?,
            OwnToken::Access(claims) => self.end_of_access_token(&claims).await?,
        };
        trace.enter(Step::Claim);
        // Revokes even if the grant has ended: the repeated request completes one that failed.
        let revocation = Revocation {
            target: RevocationTarget::Grant(grant_id),
            at: trace.now(),
            why: RevocationReason::Client,
            until: until.plus(MARGIN),
        };
        self.store.revoke(&revocation).await?;
        Ok(())
    }

    /// Checks that `token` was issued to `app`. For a public app this is the proof of its identity.
    fn recognise(
        &self,
        app: &CustomApp,
        token: &str,
        trace: &mut Trace<'_>,
    ) -> Result<OwnToken, EndpointError> {
        if HandleKind::RefreshToken.begins(token) {
            return Ok(OwnToken::Refresh(self.open_refresh_token(app.client_id(), token)?));
        }
        let claims = self.read_access_token(token, trace.now())?;
        trace.grant_id = Some(claims.grant_id);
        trace.subject = Some(claims.subject.clone());
        if claims.client_id != *app.client_id() {
            return Err(Rejection::ForeignToken.into());
        }
        Ok(OwnToken::Access(Box::new(claims)))
    }

    /// Returns the grant of a refresh token, live or spent, and when everything of it has expired.
    async fn end_of_refresh_token(
        &self,
        handle: &GrantHandle,
        trace: &mut Trace<'_>,
    ) -> Result<(GrantId, UnixTime), EndpointError> {
        trace.grant_id = Some(handle.grant_id);
        let grant = self.grant_of(handle).await?;
        trace.subject = Some(grant.subject);
        Ok((grant.grant_id, grant.expires_at))
    }

    /// Returns the grant of an access token, with or without a row, and when everything of it has
    /// expired.
    async fn end_of_access_token(
        &self,
        claims: &AccessTokenClaims,
    ) -> Result<(GrantId, UnixTime), EndpointError> {
        let grant = self.store.find_grant(&claims.grant_id).await?;
        // Without a row it is the only token of its grant.
        Ok((claims.grant_id, grant.map_or(claims.expires_at, |grant| grant.expires_at)))
    }
}
