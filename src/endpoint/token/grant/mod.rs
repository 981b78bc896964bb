//! Stage 3, validate the grant: what the request presents becomes a [`ValidGrant`]. One file a
//! grant. Nothing changes here, except that a code with wrong bindings is counted and that a spent
//! code or refresh token revokes its grant: both are the store's own answers to a redemption or
//! rotation that cannot succeed.

mod authorization_code;
mod client_credentials;
mod jwt_bearer;
mod refresh_token;

use super::request::PresentedGrant;
use crate::clock::UnixTime;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::ids::{ClientId, DeviceId, GrantId, Resource, Subject};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::server_secret::handle::{GrantHandle, HandleKind, Salt};
use crate::store::{AssertionClaim, CodeRedemption, Grant, GrantRefusal, Rotation, Store};
use crate::users::{User, UserDirectory};

pub(crate) use authorization_code::code_binding;
pub(super) use authorization_code::refused as code_refused;
pub(super) use jwt_bearer::impersonation_row;
pub(crate) use refresh_token::check_flow;
pub(super) use refresh_token::refused as rotation_refused;

/// A grant that holds as far as could be read. What was read may be stale: the claim decides.
#[derive(Debug)]
pub(super) struct ValidGrant {
    pub(super) grant_type: GrantType,
    pub(super) grant_id: GrantId,
    pub(super) subject: Subject,
    pub(super) user: Option<User>,
    pub(super) actor: Option<ClientId>,
    /// What was granted, or for a grant without a row what the app may have.
    pub(super) scope: Scope,
    /// The scope that the grant itself asks for, where the request names none.
    pub(super) asked_scope: Option<String>,
    pub(super) resource: GrantedResource,
    pub(super) device: Option<DeviceId>,
    /// When the user had last logged in, where the grant tells.
    pub(super) auth_time: Option<UnixTime>,
    /// When everything that descends from it ends.
    pub(super) ends_at: UnixTime,
    pub(super) claim: PendingClaim,
}

impl ValidGrant {
    /// A grant that stands in a row, of which `scope` is still to be had.
    fn of_row(
        grant_type: GrantType,
        row: Grant,
        user: User,
        scope: Scope,
        claim: PendingClaim,
    ) -> Self {
        Self {
            grant_type,
            grant_id: row.grant_id,
            subject: row.subject,
            user: Some(user),
            actor: row.actor,
            scope,
            asked_scope: None,
            resource: GrantedResource::Fixed(row.resource),
            device: row.device,
            auth_time: row.auth_time,
            ends_at: row.expires_at,
            claim,
        }
    }
}

/// For which API a grant is.
#[derive(Debug)]
pub(super) enum GrantedResource {
    /// The user decided on a request for this one; `None` is the app's default.
    Fixed(Option<Resource>),
    /// No user decided: the request may choose among those of the app.
    Open,
}

/// The one atomic store call that makes the request the owner of its grant.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a request, which a box would not save")]
pub(super) enum PendingClaim {
    /// Redeem the code.
    Code { redemption: CodeRedemption, salt: Salt, authorized_at: UnixTime },
    /// Rotate the refresh token.
    RefreshToken { rotation: Rotation, salt: Salt, authorized_at: UnixTime },
    /// Use the assertion up; the salt where a refresh token is given.
    Assertion { claim: AssertionClaim, salt: Option<Salt> },
    /// Client credentials claim nothing.
    Nothing,
}

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    pub(super) async fn validate_grant(
        &self,
        app: &AuthenticatedApp,
        presented: PresentedGrant<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<ValidGrant, EndpointError> {
        match presented {
            PresentedGrant::AuthorizationCode { code, redirect_uri, verifier } => {
                self.validate_code(app, code, redirect_uri, verifier, trace).await
            }
            PresentedGrant::RefreshToken { refresh_token } => {
                self.validate_refresh_token(app, refresh_token, trace).await
            }
            PresentedGrant::JwtBearer { assertion } => {
                self.validate_assertion(app, assertion, trace).await
            }
            PresentedGrant::ClientCredentials => Ok(client_credentials::validate(app, trace)?),
        }
    }

    /// The grant to which a code or refresh token of `app` leads, as it reads now. The handle itself
    /// proves a public app: this server gave it to no other.
    async fn open_grant(
        &self,
        app: &AuthenticatedApp,
        grant_type: GrantType,
        kind: HandleKind,
        text: &str,
        trace: &mut Trace<'_>,
    ) -> Result<(GrantHandle, Grant), EndpointError> {
        let handle = GrantHandle::open(&self.handles, kind, app.client_id().as_str(), text)
            .map_err(|_| Rejection::NotOurHandle(grant_type))?;
        self.admit(app, trace)?;
        trace.grant_id = Some(handle.grant_id);
        let grant = self.store.find_grant(&handle.grant_id).await?;
        let grant = grant.ok_or(Rejection::GrantRefused(grant_type, GrantRefusal::Unknown))?;
        trace.subject = Some(grant.subject.clone());
        Ok((handle, grant))
    }

    /// The user as whom the token acts, if the account still may be used.
    async fn active_user(&self, subject: &Subject) -> Result<User, EndpointError> {
        let user = self.users.find_user(subject).await?;
        user.filter(|user| user.active && user.subject == *subject)
            .ok_or(Rejection::InactiveUser.into())
    }
}
