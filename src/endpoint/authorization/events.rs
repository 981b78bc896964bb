//! Audit events of the authorization endpoint: one for each request and each decision.

use super::authorize::NextStep;
use super::decide::Decision;
use super::login::Login;
use super::request::AuthorizationRequest;
use super::response::{AuthorizationError, AuthorizationResponse};
use crate::audit::{Action, Actor, AuditEvent};
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Rejection};
use crate::ids::{ClientId, Source};
use crate::observe::{Outcome, Step};
use crate::store::Store;

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    pub(crate) async fn authorization_request(
        &self,
        query: &str,
        source: Option<&Source>,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        let answer = self.read_authorization_request(query, source).await;
        // `authorize` records the success, because it knows the user.
        answer.map_err(|error| self.refuse(Action::Authorize, None, error, source))
    }

    pub(crate) async fn authorize(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<NextStep, AuthorizationError> {
        let client_id = request.app.client_id().clone();
        let source = request.source.clone();
        let step = self
            .next_step(request, login)
            .await
            .map_err(|error| self.refuse(Action::Authorize, login, error, source.as_ref()))?;
        let action = match step {
            NextStep::LogIn(_) => Action::RequireLogin,
            NextStep::AskConsent(_) => Action::Authorize,
            NextStep::Redirect(_) => Action::IssueCode,
        };
        self.record_success(action, login, &client_id, source.as_ref());
        Ok(step)
    }

    pub(crate) async fn decide(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        source: Option<&Source>,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        match self.store_decision(ticket, login, decision).await {
            Ok((response, client_id)) => {
                self.record_success(Action::IssueCode, Some(login), &client_id, source);
                Ok(response)
            }
            Err(error) => {
                if let AuthorizationError::Redirect {
                    rejection: Rejection::ConsentDenied,
                    client_id: Some(client_id),
                    ..
                } = &error
                {
                    let action = Action::DenyAuthorization;
                    self.record_success(action, Some(login), client_id, source);
                    return Err(error);
                }
                Err(self.refuse(Action::IssueCode, Some(login), error, source))
            }
        }
    }

    fn record_success(
        &self,
        action: Action,
        login: Option<&Login>,
        client_id: &ClientId,
        source: Option<&Source>,
    ) {
        let event = AuditEvent::new(self.clock.now(), actor(login), action, Outcome::Success);
        self.record_event(&event.with_app(client_id).with_source(source));
    }

    /// Records a refusal. One that the user sees is charged to the source; if the source has failed too
    /// often, the user sees that instead.
    pub(crate) fn refuse(
        &self,
        action: Action,
        login: Option<&Login>,
        mut error: AuthorizationError,
        source: Option<&Source>,
    ) -> AuthorizationError {
        let now = self.clock.now();
        if let AuthorizationError::Show { error: shown @ EndpointError::Rejected { .. }, .. } =
            &mut error
            && let Err(retry) = self.limiter.reserve_failure(None, source, now)
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
        let mut event = AuditEvent::new(now, actor(login), action, outcome);
        event.client_id.clone_from(client_id);
        self.record_event(&event.with_source(source));
        error
    }
}

fn actor(login: Option<&Login>) -> Actor {
    login.map_or(Actor::Unknown, |login| Actor::User(login.subject().clone()))
}
