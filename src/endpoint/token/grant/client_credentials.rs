//! The client credentials grant: RFC 6749 section 4.4.

use std::time::Duration;

use super::{GrantedResource, PendingClaim, ValidGrant};
use crate::app::{ClientType, Flow};
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::trace::Trace;
use crate::error::Rejection;
use crate::ids::Subject;
use crate::protocol::grant_type::GrantType;

const GRANT: GrantType = GrantType::ClientCredentials;

/// The app acts for itself: no user, no row, no claim.
pub(super) fn validate(
    app: &AuthenticatedApp,
    trace: &mut Trace<'_>,
) -> Result<ValidGrant, Rejection> {
    let settings = app.settings();
    if !settings.allows(Flow::ClientCredentials) || settings.client_type() == ClientType::Public {
        return Err(Rejection::FlowNotAllowed(GRANT));
    }
    let grant_id = trace.rowless_grant_id();
    trace.grant_id = Some(grant_id);
    let subject = Subject::from(app.client_id());
    trace.subject = Some(subject.clone());
    let lifetime = Duration::from_secs(settings.access_token_lifetime().into());
    Ok(ValidGrant {
        grant_type: GRANT,
        grant_id,
        subject,
        user: None,
        actor: None,
        scope: settings.scope().clone(),
        asked_scope: None,
        resource: GrantedResource::Open,
        device: None,
        auth_time: None,
        ends_at: trace.now().plus(lifetime),
        claim: PendingClaim::Nothing,
    })
}
