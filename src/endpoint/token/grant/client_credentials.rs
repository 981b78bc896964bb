//! The client credentials grant: RFC 6749 section 4.4.

use std::time::Duration;

use super::{Claimed, Grant, Offer, OfferedResource, Origin, ProofContext, Right, Valid};
use crate::app::{ClientType, CustomApp, Flow};
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::decide::Decided;
use crate::error::{EndpointError, Rejection};
use crate::ids::{ClientId, GrantId, Subject};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::store::Store;
use crate::users::UserDirectory;

pub(in crate::endpoint::token) struct ClientCredentials;

/// The right of an app that acts for itself. There is nothing to claim.
pub(in crate::endpoint::token) struct OwnRight {
    authorized_at: UnixTime,
}

impl Grant for ClientCredentials {
    const TYPE: GrantType = GrantType::ClientCredentials;
    const PARAMETERS: &'static [&'static str] = &[];
    type Presented<'f> = ();
    type Proof<'f> = ();
    type Right = OwnRight;

    fn read<'f>(_: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection> {
        Ok(())
    }

    fn prove<'f>(
        (): Self::Presented<'f>,
        app: &CustomApp,
        _: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        Ok(check_flow(app)?)
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        (): Self::Proof<'_>,
        app: &AuthenticatedApp,
        _: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<OwnRight>, EndpointError> {
        let grant_id = facts.rowless_grant_id();
        trail.grant_id = Some(grant_id);
        let (origin, offer) = own_access(app, &app.own_client_id(), grant_id, facts.now);
        trail.concerns(&origin.subject);
        trail.flow = Some(Flow::ClientCredentials);
        Ok(Valid::new(origin, offer, OwnRight { authorized_at: facts.date }))
    }
}

/// Checks that the app has this grant.
pub(in crate::endpoint::token) fn check_flow(app: &CustomApp) -> Result<(), Rejection> {
    let settings = app.settings();
    let confidential = settings.client_type() == ClientType::Confidential;
    if confidential && app.may_use(Flow::ClientCredentials) {
        Ok(())
    } else {
        Err(Rejection::FlowNotAllowed(ClientCredentials::TYPE))
    }
}

/// Returns the access of an app that acts for itself. `client_id` is equal to that of the app.
pub(in crate::endpoint::token) fn own_access(
    app: &CustomApp,
    client_id: &ClientId,
    grant_id: GrantId,
    now: UnixTime,
) -> (Origin, Offer) {
    let settings = app.settings();
    let lifetime = Duration::from_secs(settings.access_token_lifetime().into());
    let origin = Origin {
        grant_id,
        subject: Subject::from(client_id),
        user: None,
        actor: None,
        device: None,
        auth_time: None,
        circumstances: None,
        via: Vec::new(),
    };
    let offer = Offer {
        scope: settings.scope().clone(),
        signed_scope: None,
        resource: OfferedResource::Open,
        ends_at: now.plus(lifetime),
    };
    (origin, offer)
}

impl Right for OwnRight {
    async fn claim<S: Store>(
        self,
        _: &S,
        _: &Decided<'_>,
        _: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        Ok(Claimed { authorized_at: self.authorized_at, successor: None })
    }
}
