//! The refresh token grant: RFC 6749 section 6, RFC 9700 section 4.14.2.

use super::jwt_bearer::decide_own;
use super::{Claimed, Grant, ProofContext, Right, Valid, narrowed, required, valid_row};
use crate::app::{ClientType, CustomApp, Flow, JwtSettings};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::decide::Decided;
use crate::error::{EndpointError, Fault, Rejection};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::server_secret::handle::{GrantHandle, HandleKind, Salt};
use crate::store::{Grant as GrantRow, Rotate, Rotation, Store};
use crate::users::UserDirectory;

pub(in crate::endpoint::token) struct RefreshToken;

/// The right to rotate a refresh token.
pub(in crate::endpoint::token) struct RotationRight {
    rotation: Rotation,
    salt: Salt,
    authorized_at: UnixTime,
}

impl Grant for RefreshToken {
    const TYPE: GrantType = GrantType::RefreshToken;
    const PARAMETERS: &'static [&'static str] = &["refresh_token"];
    type Presented<'f> = &'f str;
    type Proof<'f> = GrantHandle;
    type Right = RotationRight;

    fn read<'f>(form: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection> {
        required(form, "refresh_token")
    }

    fn prove<'f>(
        refresh_token: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        if !app.settings().issues_refresh_token() {
            return Err(Rejection::RefreshNotAllowed.into());
        }
        Ok(against.open(app, Self::TYPE, HandleKind::RefreshToken, refresh_token)?)
    }

    fn name<'p>(handle: &'p Self::Proof<'_>) -> Option<&'p [u8]> {
        Some(handle.grant_id.as_bytes())
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        handle: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<RotationRight>, EndpointError> {
        // A device is seen by the row as it is.
        let known = match facts.device {
            None => context.known_row(&handle, trail),
            Some(_) => None,
        };
        let is_known = known.is_some();
        let row = match known {
            Some(row) => row,
            None => context.row_of(&handle, Self::TYPE, trail).await?,
        };
        let settings = app.settings();
        let mut rotation = Rotation {
            grant_id: handle.grant_id,
            client_id: app.own_client_id(),
            salt_digest: handle.salt.digest(&handle.grant_id),
            generation: handle.generation,
            confirmation: None,
            binds: settings.client_type() == ClientType::Public,
            grace_millis: i64::from(settings.refresh_grace()) * 1000,
            skew_millis: i64::try_from(context.store.clock_skew().as_millis()).unwrap_or(i64::MAX),
            idle_millis: settings.refresh_token_idle_lifetime().map(|s| i64::from(s) * 1000),
            proves_reuse: true,
            claim: facts.claim_id(),
            now: facts.now,
        };
        if !is_known && row.has_spent(&rotation) {
            return Err(refuse(&context.store, &rotation).await);
        }
        // The row was read after the request began. Requests that spend the token from here on overlap this
        // one, which may reach the store after its client has given it up and gone on. Of a row that is known without
        // a read, another process may have spent the token before: the store then forgets it, and the next request
        // with the token reads the row.
        rotation.proves_reuse = rotation.grace_millis == 0;
        check_flow(app, &row)?;
        let user = context.active_user(&row.subject).await?;
        let scope = match settings.jwt().filter(|_| row.made_by() == Flow::JwtBearer) {
            Some(_) => {
                let decision = decide_own(app, &user);
                trail.decided_by(&decision, &[]);
                Rejection::by_policy(&decision)?;
                Some(narrowed(&row.scope, decision.scope().as_deref())?)
            }
            None => None,
        };
        let sighting = context.due_sighting(&row, &rotation, facts).await?;
        let authorized_at = row.authorized_at;
        let right = RotationRight { rotation, salt: handle.salt, authorized_at };
        let mut valid = valid_row(row, user, scope, right);
        valid.see_on(sighting);
        Ok(valid)
    }
}

impl Right for RotationRight {
    async fn claim<S: Store>(
        self,
        store: &S,
        _: &Decided<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        let Self { rotation, salt, authorized_at } = self;
        let answer = store.rotate(&rotation).await?;
        if let Some(error) = refused(answer) {
            return Err(error);
        }
        match answer {
            // Many requests at once are one event.
            Rotate::Retried { retries: 1 } => trail.note(Action::RetryRefresh),
            Rotate::Ahead => trail.note(Action::DetectRewind),
            Rotate::Rotated
            | Rotate::Retried { .. }
            | Rotate::Reused
            | Rotate::Overtaken
            | Rotate::WrongKey
            | Rotate::Refused(_) => {}
        }
        let generation = rotation.generation.saturating_add(1);
        Ok(Claimed::with_successor(authorized_at, rotation.grant_id, salt, generation))
    }
}

/// Checks that the app still has refresh tokens, and the flow that made the grant.
pub(crate) fn check_flow(app: &CustomApp, row: &GrantRow) -> Result<(), Rejection> {
    let (settings, flow) = (app.settings(), row.made_by());
    let (grant_type, refresh) = match flow {
        Flow::AuthorizationCode => (GrantType::AuthorizationCode, true),
        Flow::JwtBearer => {
            let refresh = settings.jwt().is_some_and(JwtSettings::issues_refresh_token);
            (GrantType::JwtBearer, refresh)
        }
        Flow::ClientCredentials => (GrantType::ClientCredentials, false),
        Flow::DeviceCode => (GrantType::DeviceCode, true),
        Flow::TokenExchange => (GrantType::TokenExchange, false),
    };
    if app.is_document_gone() {
        Err(Rejection::DocumentGone)
    } else if !settings.issues_refresh_token() || !refresh {
        Err(Rejection::RefreshNotAllowed)
    } else if app.may_use(flow) {
        Ok(())
    } else {
        Err(Rejection::FlowNotAllowed(grant_type))
    }
}

/// Refuses a spent refresh token. The store revokes its grant, even if more is wrong with the
/// request.
async fn refuse<S: Store>(store: &S, rotation: &Rotation) -> EndpointError {
    match store.rotate(rotation).await {
        Ok(answer) => refused(answer)
            .unwrap_or_else(|| Fault::StoreContract("a generation became live again").into()),
        Err(error) => error.into(),
    }
}

/// Returns why a rotation failed; `None` if it gave a successor.
fn refused(answer: Rotate) -> Option<EndpointError> {
    Some(match answer {
        Rotate::Rotated | Rotate::Retried { .. } | Rotate::Ahead => return None,
        Rotate::Reused => Rejection::RefreshTokenReused.into(),
        // If the client still waits, it asks again, and is judged by the row as it is then.
        Rotate::Overtaken => EndpointError::Unavailable(Fault::Overtaken),
        Rotate::WrongKey => Rejection::WrongKey.into(),
        Rotate::Refused(refusal) => Rejection::GrantRefused(RefreshToken::TYPE, refusal).into(),
    })
}
