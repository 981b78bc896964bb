//! Stage 5, claim: one atomic store call makes this request, and no other, the owner of its code,
//! rotation or assertion. Nothing is signed before.

use super::grant::{self, PendingClaim, ValidGrant};
use super::scope_decision::GrantedScope;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::{Context, STORE_CLOCK_MARGIN};
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::ids::GrantId;
use crate::secret::RefreshToken;
use crate::server_secret::handle::{GrantHandle, Salt};
use crate::store::{AssertionPurpose, ClaimAssertion, Rotate, Store};

/// Proof that the request owns its grant. Only [`claim`](Context::claim) makes one.
#[derive(Debug)]
pub(super) struct Claimed {
    grant: ValidGrant,
    authorized_at: UnixTime,
    refresh_token: Option<RefreshToken>,
}

impl Claimed {
    pub(super) const fn grant(&self) -> &ValidGrant {
        &self.grant
    }

    /// The instant of the decision, with which cutoffs are compared.
    pub(super) const fn authorized_at(&self) -> UnixTime {
        self.authorized_at
    }

    pub(super) fn into_refresh_token(self) -> Option<RefreshToken> {
        self.refresh_token
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    pub(super) async fn claim(
        &self,
        app: &AuthenticatedApp,
        mut grant: ValidGrant,
        scope: &GrantedScope,
        trace: &mut Trace<'_>,
    ) -> Result<Claimed, EndpointError> {
        let successor = |grant_id: GrantId, salt: Salt, generation: u32| {
            let handle = GrantHandle { grant_id, salt, generation };
            RefreshToken::new(handle.seal(&self.handles, app.client_id().as_str()))
        };
        let pending = std::mem::replace(&mut grant.claim, PendingClaim::Nothing);
        let (authorized_at, refresh_token) = match pending {
            PendingClaim::Code { redemption, salt, authorized_at } => {
                let answer = self.store.redeem_code(&redemption).await?;
                if let Some(rejection) = grant::code_refused(answer) {
                    return Err(rejection.into());
                }
                let issued = app.settings().issues_refresh_token();
                (authorized_at, issued.then(|| successor(redemption.grant_id, salt, 1)))
            }
            PendingClaim::RefreshToken { rotation, salt, authorized_at } => {
                let answer = self.store.rotate(&rotation).await?;
                if let Some(rejection) = grant::rotation_refused(answer) {
                    return Err(rejection.into());
                }
                match answer {
                    Rotate::Retried => trace.note(Action::RetryRefresh),
                    Rotate::Ahead => trace.note(Action::DetectRewind),
                    Rotate::Rotated | Rotate::Reused | Rotate::Refused(_) => {}
                }
                let generation = rotation.generation.saturating_add(1);
                (authorized_at, Some(successor(rotation.grant_id, salt, generation)))
            }
            PendingClaim::Assertion { mut claim, salt } => {
                let client_id = app.client_id();
                claim.grant = salt.map(|salt| {
                    let issuer = &self.issuer;
                    grant::impersonation_row(&grant, client_id, scope, issuer, salt, trace.now())
                });
                let authorized_at = match self.store.claim_assertion(&claim).await? {
                    ClaimAssertion::First { authorized_at } => authorized_at,
                    ClaimAssertion::Replayed => {
                        return Err(Rejection::AssertionReplayed(AssertionPurpose::Grant).into());
                    }
                    ClaimAssertion::AppInactive => return Err(Rejection::AppDisabled.into()),
                };
                (authorized_at, salt.map(|salt| successor(grant.grant_id, salt, 1)))
            }
            // No store call fixed the instant, so it is set back by what clocks may differ.
            PendingClaim::Nothing => (trace.now().minus(STORE_CLOCK_MARGIN), None),
        };
        Ok(Claimed { grant, authorized_at, refresh_token })
    }
}
