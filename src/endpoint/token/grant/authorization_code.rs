//! The authorization code grant: RFC 6749 section 4.1.3, RFC 7636 section 4.6.

use super::{PendingClaim, ValidGrant};
use crate::app::{CustomApp, Flow};
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::GrantId;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::{CodeChallenge, CodeVerifier, CodeVerifierError};
use crate::protocol::redirect_uri::{self, InstanceHosts};
use crate::secret::Digest;
use crate::server_secret::handle::HandleKind;
use crate::store::{CodeRedemption, Grant, RedeemCode, RevocationReason, Store};
use crate::users::UserDirectory;

const GRANT: GrantType = GrantType::AuthorizationCode;

/// To what a code is bound: the redirect URI, whether the authorization request named it, and the
/// code challenge. The app is bound by the handle itself.
pub(crate) fn code_binding(redirect_uri: &str, named: bool, challenge: &CodeChallenge) -> Digest {
    let named: &[u8] = if named { b"named" } else { b"default" };
    Digest::of_fields(&[named, redirect_uri.as_bytes(), challenge.as_bytes()])
}

/// The binding that the token request proves, as a rule on the grant that was read.
fn proven_binding(
    app: &CustomApp,
    hosts: &InstanceHosts,
    grant: &Grant,
    redirect_uri: Option<&str>,
    challenge: &CodeChallenge,
) -> Digest {
    let Some(uri) = redirect_uri else {
        let uri = redirect_uri::resolve(app.settings().redirect_uris(), None, hosts);
        return code_binding(uri.as_ref().map_or("", |uri| uri.as_str()), false, challenge);
    };
    // RFC 6749 section 4.1.3: a URI that was named before must be named again.
    let named = code_binding(uri, true, challenge);
    if grant.binding.matches(&named) {
        return named;
    }
    let default = code_binding(uri, false, challenge);
    if grant.binding.matches(&default) { default } else { named }
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    pub(super) async fn validate_code(
        &self,
        app: &AuthenticatedApp,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        trace: &mut Trace<'_>,
    ) -> Result<ValidGrant, EndpointError> {
        if !app.settings().allows(Flow::AuthorizationCode) {
            return Err(Rejection::FlowNotAllowed(GRANT).into());
        }
        let verifier = CodeVerifier::from_request(verifier).map_err(|error| match error {
            CodeVerifierError::Missing => Rejection::VerifierMissing,
            CodeVerifierError::Malformed => Rejection::VerifierMalformed,
        })?;
        let (handle, grant) = self.open_grant(app, GRANT, HandleKind::Code, code, trace).await?;
        let redemption = CodeRedemption {
            grant_id: handle.grant_id,
            client_id: app.client_id().clone(),
            binding: proven_binding(app, &self.hosts, &grant, redirect_uri, &verifier.challenge()),
            salt_digest: handle.salt.digest(&handle.grant_id),
            claim: trace.claim_id(),
            now: trace.now(),
        };
        if grant.generation > 0 || !grant.binding.matches(&redemption.binding) {
            return Err(self.refuse_code(&redemption).await);
        }
        let user = self.active_user(&grant.subject).await?;
        let (scope, authorized_at) = (grant.scope.clone(), grant.authorized_at);
        let claim = PendingClaim::Code { redemption, salt: handle.salt, authorized_at };
        Ok(ValidGrant::of_row(GRANT, grant, user, scope, claim))
    }

    /// A code that is spent or whose bindings are wrong: the store revokes or counts, whatever else
    /// is wrong with the request.
    async fn refuse_code(&self, redemption: &CodeRedemption) -> EndpointError {
        match self.store.redeem_code(redemption).await {
            Ok(RedeemCode::Mismatch) => self.mismatch(&redemption.grant_id).await.into(),
            Ok(answer) => refused(answer).map_or_else(
                || Fault::StoreContract("a code was redeemed twice or unbound").into(),
                EndpointError::from,
            ),
            Err(error) => error.into(),
        }
    }

    /// A mismatch that was counted: read again whether it was the one that made the code void, which
    /// an administrator wants to know of. A store that cannot tell is no reason to fail.
    async fn mismatch(&self, grant_id: &GrantId) -> Rejection {
        let revoked =
            self.store.find_grant(grant_id).await.ok().flatten().and_then(|it| it.revoked);
        match revoked {
            Some((_, RevocationReason::CodeGuessed)) => Rejection::CodeGuessed,
            _ => Rejection::BindingMismatch,
        }
    }
}

/// Why a redemption gave nothing; `None` if it gave the code.
pub(in super::super) const fn refused(answer: RedeemCode) -> Option<Rejection> {
    match answer {
        RedeemCode::Redeemed => None,
        RedeemCode::AlreadyRedeemed => Some(Rejection::CodeReplayed),
        RedeemCode::Mismatch => Some(Rejection::BindingMismatch),
        RedeemCode::Refused(refusal) => Some(Rejection::GrantRefused(GRANT, refusal)),
    }
}
