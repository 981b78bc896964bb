//! Audit events of the authorization endpoint: one for each request and each decision.

use super::authorize::NextStep;
use super::decide::{Access, Decision, StoredDecision};
use super::login::Login;
use super::request::AuthorizationRequest;
use super::response::{AuthorizationError, AuthorizationResponse};
use crate::app::Flow;
use crate::audit::{Action, Actor, AuditEvent};
use crate::endpoint::caller::Caller;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Rejection};
use crate::ids::ClientId;
use crate::observe::{Outcome, Step};
use crate::store::Store;

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    pub(crate) async fn authorization_request(
        &self,
        query: &str,
        caller: Caller<'_>,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let answer = self.read_authorization_request(query, caller).await;
        // `authorize` records the success, because it knows the user.
        answer.map_err(|error| self.refuse(Action::Authorize, None, error, caller))
    }

    pub(crate) async fn authorize(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<NextStep, AuthorizationError> {
        let client_id = request.app.client_id().clone();
        let (source, request_id) = (request.source.clone(), request.request_id.clone());
        let caller = Caller { source: source.as_ref(), request_id: request_id.as_ref() };
        let step = self.next_step(request, login).await;
        let (step, access) =
            step.map_err(|error| self.refuse(Action::Authorize, login, error, caller))?;
        let action = match step {
            NextStep::LogIn(_) => Action::RequireLogin,
            NextStep::AskConsent(_) => Action::Authorize,
            NextStep::Redirect(_) => Action::IssueCode,
        };
        self.record_success(action, login, &client_id, access.as_ref(), caller);
        Ok(step)
    }

    pub(crate) async fn decide(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        caller: Caller<'_>,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        let stored = self.store_decision(ticket, login, decision, caller.source).await;
        let StoredDecision { client_id, access, approved, answer } =
            stored.map_err(|error| self.refuse(Action::IssueCode, Some(login), error, caller))?;
        let action = if approved { Action::IssueCode } else { Action::DenyAuthorization };
        self.record_success(action, Some(login), &client_id, Some(&access), caller);
        answer
    }

    fn record_success(
        &self,
        action: Action,
        login: Option<&Login>,
        client_id: &ClientId,
        access: Option<&Access>,
        caller: Caller<'_>,
    ) {
        if !self.audit.is_listening() {
            return;
        }
        let event = AuditEvent::new(self.clock.now(), actor(login), action, Outcome::Success);
        let mut event = event.with_app(client_id).with_source(caller.source);
        if let Some(Access { grant_id, scope, resources }) = access {
            let flow = Flow::AuthorizationCode;
            event = event.with_access(*grant_id, flow, scope, resources.as_ref());
        }
        self.record_event(event.with_request_id(caller.request_id));
    }

    /// Records a refusal. One that the user sees is charged to the source; if the source has failed too
    /// often, the user sees that instead.
    pub(crate) fn refuse(
        &self,
        action: Action,
        login: Option<&Login>,
        mut error: AuthorizationError,
        caller: Caller<'_>,
    ) -> AuthorizationError {
        let now = self.clock.now();
        if let AuthorizationError::Show { error: shown @ EndpointError::Rejected { .. }, .. } =
            &mut error
            && let Err(retry) = self.limiter.reserve_failure(None, caller.source, now)
        {
            *shown = EndpointError::limited(Rejection::TooManyFailures, retry);
        }
        let refused = |rejection: &Rejection| {
            Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
        };
        let (outcome, client_id) = match &error {
            AuthorizationError::Redirect { rejection, client_id, .. } => {
                (refused(rejection), client_id)
            }
            AuthorizationError::Show { error, client_id } => match error {
                EndpointError::Rejected { rejection, .. } => (refused(rejection), client_id),
                EndpointError::Failed(fault) | EndpointError::Unavailable(fault) => {
                    (Outcome::failed(Step::Claim, fault), client_id)
                }
            },
        };
        if !self.audit.is_listening() {
            return error;
        }
        let mut event = AuditEvent::new(now, actor(login), action, outcome);
        event.client_id.clone_from(client_id);
        let event = event.with_source(caller.source).with_request_id(caller.request_id);
        self.record_event(event);
        error
    }
}

fn actor(login: Option<&Login>) -> Actor {
    login.map_or(Actor::Unknown, |login| Actor::User(login.subject().clone()))
}
