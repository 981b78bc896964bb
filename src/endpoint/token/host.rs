//! Stage *ask host*: the hook adds claims or vetoes.

use serde_json::{Map, Value};

use super::decide::Decided;
use super::grant::Origin;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Rejection};
use crate::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use crate::jwt::RESERVED_CLAIMS;
use crate::protocol::grant_type::GrantType;

/// The longest JSON form of the claims that a host adds, in bytes.
const MAX_ADDED_CLAIMS: usize = 3 * 1024;

impl<S: Sync, U: Sync, H: Hooks> Context<S, U, H> {
    /// Returns the claims that the host adds, unless it vetoes.
    pub(super) async fn ask_host(
        &self,
        grant_type: GrantType,
        app: &CustomApp,
        origin: &Origin,
        decided: &Decided<'_>,
        now: UnixTime,
    ) -> Result<Map<String, Value>, EndpointError> {
        let decision = decision(grant_type, app, origin, decided, now);
        admitted(self.hooks.before_issue(&decision).await?)
    }

    /// Returns the claims that the host would add, unless it would veto; `None` if the host does not tell.
    pub(super) async fn ask_host_for_preview(
        &self,
        grant_type: GrantType,
        app: &CustomApp,
        origin: &Origin,
        decided: &Decided<'_>,
        now: UnixTime,
    ) -> Result<Option<Map<String, Value>>, EndpointError> {
        let decision = decision(grant_type, app, origin, decided, now);
        self.hooks.preview_issue(&decision).await?.map(admitted).transpose()
    }
}

fn decision<'a>(
    grant_type: GrantType,
    app: &'a CustomApp,
    origin: &'a Origin,
    decided: &'a Decided<'_>,
    now: UnixTime,
) -> IssueDecision<'a> {
    IssueDecision {
        app,
        grant_type,
        grant_id: origin.grant_id,
        subject: &origin.subject,
        user: origin.user.as_ref(),
        actor: origin.actor.as_ref(),
        scope: decided.scope(),
        resource: decided.resource(),
        further_resources: decided.further_resources(),
        device: origin.device.as_ref(),
        now,
        expires_at: decided.expires_at(),
    }
}

fn admitted(answer: HookAnswer) -> Result<Map<String, Value>, EndpointError> {
    match answer {
        HookAnswer::Issue => Ok(Map::new()),
        HookAnswer::Veto(reason) => Err(Rejection::Vetoed(reason).into()),
        HookAnswer::IssueWith(claims) => Ok(checked(claims)?),
    }
}

/// Checks that a token may have these claims.
fn checked(claims: Map<String, Value>) -> Result<Map<String, Value>, HookError> {
    if let Some(name) = claims.keys().find(|name| RESERVED_CLAIMS.contains(&name.as_str())) {
        return Err(HookError::ReservedClaim(name.clone()));
    }
    if claims.get("may_act").is_some_and(|it| !is_may_act(it)) {
        return Err(HookError::MalformedMayAct);
    }
    // A map of strings and values always has a JSON form.
    let length = serde_json::to_string(&claims).map_or(usize::MAX, |json| json.len());
    if length > MAX_ADDED_CLAIMS { Err(HookError::TooManyClaims) } else { Ok(claims) }
}

/// Checks that a claim `may_act` names an app, so that an exchange can match it.
fn is_may_act(claim: &Value) -> bool {
    let Some(members) = claim.as_object() else { return false };
    members.iter().all(|(name, value)| {
        ["sub", "client_id", "iss"].contains(&name.as_str()) && value.is_string()
    }) && (members.contains_key("sub") || members.contains_key("client_id"))
}
