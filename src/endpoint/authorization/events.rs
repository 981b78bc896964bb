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
        if let Err(error) = &answer {
            self.record_refusal(Action::Authorize, None, error, source);
        }
        answer
    }

    pub(crate) async fn authorize(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<NextStep, AuthorizationError> {
        let client_id = request.app.client_id().clone();
        let source = request.source.clone();
        let answer = self.next_step(request, login).await;
        match &answer {
            Ok(step) => {
                let action = match step {
                    NextStep::LogIn(_) => Action::RequireLogin,
                    NextStep::AskConsent(_) => Action::Authorize,
                    NextStep::Redirect(_) => Action::IssueCode,
                };
                self.record_success(action, login, &client_id, source.as_ref());
            }
            Err(error) => {
                self.record_refusal(Action::Authorize, login, error, source.as_ref());
            }
        }
        answer
    }

    pub(crate) async fn decide(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        source: Option<&Source>,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        let answer = self.store_decision(ticket, login, decision).await;
        match &answer {
            Ok((_, client_id)) => {
                self.record_success(Action::IssueCode, Some(login), client_id, source);
            }
            Err(AuthorizationError::Redirect {
                rejection: Rejection::ConsentDenied,
                client_id: Some(client_id),
                ..
            }) => self.record_success(Action::DenyAuthorization, Some(login), client_id, source),
            Err(error) => self.record_refusal(Action::IssueCode, Some(login), error, source),
        }
        answer.map(|(response, _)| response)
    }

    fn record_success(
        &self,
        action: Action,
        login: Option<&Login>,
        client_id: &ClientId,
        source: Option<&Source>,
    ) {
        let event = AuditEvent::new(self.clock.now(), actor(login), action, Outcome::Success);
        self.audit.record(&event.with_app(client_id).with_source(source));
    }

    pub(crate) fn record_refusal(
        &self,
        action: Action,
        login: Option<&Login>,
        error: &AuthorizationError,
        source: Option<&Source>,
    ) {
        let refused = |rejection: &Rejection| {
            Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
        };
        let (outcome, client_id) = match error {
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
        let mut event = AuditEvent::new(self.clock.now(), actor(login), action, outcome);
        event.client_id.clone_from(client_id);
        self.audit.record(&event.with_source(source));
    }
}

fn actor(login: Option<&Login>) -> Actor {
    login.map_or(Actor::Unknown, |login| Actor::User(login.subject().clone()))
}
