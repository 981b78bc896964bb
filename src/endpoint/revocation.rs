//! The revocation endpoint: RFC 7009. An app gives a token back, and the grant that it came from
//! ends, with every token of it.

use std::time::Duration;

use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::presented_token::PresentedToken;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::ids::GrantId;
use crate::observe::Step;
use crate::server_secret::handle::HandleKind;
use crate::store::{Revocation, RevocationReason, RevocationTarget, Store};

/// How long beyond the last expiry a revocation is kept: the most by which the clock of an API may
/// differ.
const MARGIN: Duration = Duration::from_secs(60);

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers a revocation request, and records how it ended.
    pub(crate) async fn revoke(&self, request: &FormRequest<'_>) -> Result<(), EndpointError> {
        let now = self.clock.now();
        let mut trace = Trace::new(Action::RevokeToken, now, request);
        let answer = self.give_back(request, &mut trace).await;
        self.record(trace, &answer);
        match answer {
            // RFC 7009 section 2.2: a token that is worth nothing has reached what was asked for,
            // and nobody learns whether there is one that is another's.
            Err(EndpointError::Rejected { rejection, .. }) if rejection.is_of_token() => Ok(()),
            // Section 2.2.1: the token may live on, and the app has to ask again.
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
        let app = self.authenticate(credentials, None, trace).await?;
        trace.enter(Step::Grant);
        let (grant_id, until) = if HandleKind::RefreshToken.begins(token) {
            self.end_of_refresh_token(&app, token, trace).await?
        } else {
            self.end_of_access_token(&app, token, trace).await?
        };
        trace.enter(Step::Claim);
        // Whether the grant ended before does not matter: the same again settles what a failure left
        // open.
        let revocation = Revocation {
            target: RevocationTarget::Grant(grant_id),
            at: trace.now(),
            why: RevocationReason::Client,
            until: until.plus(MARGIN),
        };
        self.store.revoke(&revocation).await?;
        Ok(())
    }

    /// The grant of a refresh token, live or spent, and when everything of it has expired.
    async fn end_of_refresh_token(
        &self,
        app: &AuthenticatedApp,
        token: &str,
        trace: &mut Trace<'_>,
    ) -> Result<(GrantId, UnixTime), EndpointError> {
        let handle = self.open_refresh_token(app.client_id(), token)?;
        // It proves a public app: this server gave it to no other.
        self.admit(app, trace)?;
        trace.grant_id = Some(handle.grant_id);
        let grant = self.grant_of(&handle).await?;
        trace.subject = Some(grant.subject);
        Ok((grant.grant_id, grant.expires_at))
    }

    /// The grant of an access token, with a row or without, and when everything of it has expired.
    async fn end_of_access_token(
        &self,
        app: &AuthenticatedApp,
        token: &str,
        trace: &mut Trace<'_>,
    ) -> Result<(GrantId, UnixTime), EndpointError> {
        let claims = self.read_access_token(token, trace.now())?;
        trace.grant_id = Some(claims.grant_id);
        trace.subject = Some(claims.subject);
        if claims.client_id != *app.client_id() {
            return Err(Rejection::ForeignToken.into());
        }
        self.admit(app, trace)?;
        let grant = self.store.find_grant(&claims.grant_id).await?;
        // Without a row it is the only token of its grant.
        Ok((claims.grant_id, grant.map_or(claims.expires_at, |grant| grant.expires_at)))
    }
}
