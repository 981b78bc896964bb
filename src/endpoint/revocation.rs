//! The revocation endpoint: RFC 7009. An app gives a token back. Its grant ends, with every token of
//! it.

use std::time::Duration;

use crate::app::CustomApp;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::presented_token::PresentedToken;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::ids::GrantId;
use crate::jwt::AccessTokenClaims;
use crate::observe::Step;
use crate::server_secret::handle::{GrantHandle, HandleKind};
use crate::store::{Revocation, RevocationReason, RevocationTarget, Store};

/// How long a revocation is kept after the last expiry. The clock of an API may be this far behind.
const MARGIN: Duration = Duration::from_mins(1);

/// A token that this server issued to the app that presents it.
enum OwnToken {
    Refresh(GrantHandle),
    Access(Box<AccessTokenClaims>),
}

impl OwnToken {
    /// Returns the grant, by which the uses of a public app are counted.
    fn grant(&self) -> &GrantId {
        match self {
            Self::Refresh(handle) => &handle.grant_id,
            Self::Access(claims) => &claims.grant_id,
        }
    }
}

impl<S: Store, U: Sync, H: Hooks> Context<S, U, H> {
    /// Answers a revocation request, and records how it ended.
    pub(crate) async fn revoke(&self, request: &FormRequest<'_>) -> Answered<()> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::RevokeToken, request, &*self.audit);
        let result = self.give_back(request, &facts, &mut trail).await;
        self.record(&facts, trail, result).and(|result| match result {
            // RFC 7009 section 2.2: an invalid token is already revoked, and the answer does not tell
            // if the token belongs to another app.
            Err(EndpointError::Rejected { rejection, .. }) if rejection.is_token_state() => Ok(()),
            // Section 2.2.1: the token may still be valid, and the client has to repeat the request.
            Err(EndpointError::Failed(fault)) => Err(EndpointError::Unavailable(fault)),
            result => result,
        })
    }

    async fn give_back(
        &self,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(), EndpointError> {
        let form = request.form()?;
        let PresentedToken { credentials, token } = PresentedToken::read(request, &form)?;
        trail.enter(Step::Client);
        let client = self.authenticate(credentials, None, facts, trail).await?;
        trail.enter(Step::Grant);
        let prove = |app: &_, trail: &mut _| self.recognise(app, token, facts, trail);
        let (_, token) =
            self.admit(client, prove, |token| Some(token.grant().as_bytes()), facts, trail)?;
        let (grant_id, until) = match token {
            OwnToken::Refresh(handle) => self.end_of_refresh_token(&handle, trail).await?,
            OwnToken::Access(claims) => self.end_of_access_token(&claims).await?,
        };
        trail.enter(Step::Claim);
        // Revokes even if the grant has ended: the repeated request completes one that failed.
        let revocation = Revocation {
            target: RevocationTarget::Grant(grant_id),
            at: facts.now,
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
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<OwnToken, EndpointError> {
        if HandleKind::RefreshToken.begins(token) {
            return Ok(OwnToken::Refresh(self.open_refresh_token(app.client_id(), token)?));
        }
        // The host that issued it may have another clock, so its times do not matter.
        let claims = self.recognise_access_token(token, facts.now)?;
        trail.grant_id = Some(claims.grant_id);
        trail.concerns(&claims.subject);
        if claims.client_id != *app.client_id() {
            return Err(Rejection::ForeignToken.into());
        }
        Ok(OwnToken::Access(Box::new(claims)))
    }

    /// Returns the grant of a refresh token, live or spent, and when everything of it has expired.
    async fn end_of_refresh_token(
        &self,
        handle: &GrantHandle,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(GrantId, UnixTime), EndpointError> {
        trail.grant_id = Some(handle.grant_id);
        let grant = self.grant_of(handle).await?;
        trail.concerns(&grant.subject);
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
