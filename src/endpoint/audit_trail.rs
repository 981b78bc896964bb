//! The record of a request: audit events, usage, counted failures and telemetry.

use crate::app::CustomApp;
use crate::audit::{Action, Actor, AuditEvent};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, ErrorCode, Rejection};
use crate::ids::{ClientId, GrantId, Subject};
use crate::observe::observation::Observation;
use crate::observe::{Outcome, Step};

/// The content of a request's audit events. Endpoints write it, and only [`record`](Context::record)
/// reads it: no decision depends on it.
#[derive(Debug)]
pub(crate) struct AuditTrail<'a> {
    /// The action that the request asks for.
    pub(crate) action: Action,
    pub(crate) subject: Option<Subject>,
    pub(crate) grant_id: Option<GrantId>,
    client_id: Option<ClientId>,
    authenticated: bool,
    /// The step that the request has reached. A failure names it.
    step: Step,
    notes: Vec<Action>,
    observation: Option<&'a Observation>,
}

/// The result of an endpoint, and the app that the request claimed to come from, if any.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) result: Result<T, EndpointError>,
    pub(crate) client_id: Option<ClientId>,
}

impl<T> Answered<T> {
    /// Replaces the result after it was recorded.
    pub(crate) fn and<U>(
        self,
        replace: impl FnOnce(Result<T, EndpointError>) -> Result<U, EndpointError>,
    ) -> Answered<U> {
        Answered { result: replace(self.result), client_id: self.client_id }
    }
}

impl<'a> AuditTrail<'a> {
    pub(crate) fn new(action: Action, request: &FormRequest<'a>) -> Self {
        let mut trail = Self {
            action,
            subject: None,
            grant_id: None,
            client_id: None,
            authenticated: false,
            step: Step::Parse,
            notes: Vec::new(),
            observation: request.observation(),
        };
        trail.enter(Step::Parse);
        trail
    }

    /// Notes that the request has reached `step`.
    pub(crate) fn enter(&mut self, step: Step) {
        self.step = step;
        if let Some(observation) = self.observation {
            observation.enter(step);
        }
    }

    /// Notes the app that the request claims to come from.
    pub(crate) fn claimed(&mut self, client_id: &ClientId) {
        self.client_id = Some(client_id.clone());
    }

    /// Notes that `app` has proved its identity.
    pub(crate) fn authenticated(&mut self, app: &CustomApp) {
        self.client_id = Some(app.client_id().clone());
        self.authenticated = true;
    }

    /// Adds an event of its own to the event of the request.
    pub(crate) fn note(&mut self, action: Action) {
        self.notes.push(action);
    }

    /// Whether a refusal counts as a failed guess: client authentication failed, or so did the code,
    /// token or assertion that alone should have proved the app. An expired token is no guess,
    /// because this server signed it.
    fn is_guess(&self, rejection: &Rejection) -> bool {
        let proof = matches!(rejection, Rejection::Assertion(_) | Rejection::InvalidHandle(_))
            || rejection.is_token_state() && *rejection != Rejection::ExpiredToken;
        rejection.error_code() == ErrorCode::InvalidClient || proof && !self.authenticated
    }

    fn event(&self, facts: &RequestFacts<'_>, action: Action, outcome: Outcome) -> AuditEvent {
        let actor = match &self.client_id {
            Some(client_id) if self.authenticated => Actor::App(client_id.clone()),
            _ => Actor::Unknown,
        };
        let mut event = AuditEvent::new(facts.now, actor, action, outcome);
        event.client_id.clone_from(&self.client_id);
        event.subject.clone_from(&self.subject);
        event.grant_id = self.grant_id;
        event.source = facts.source.cloned();
        event
    }
}

impl<S, U, H> Context<S, U, H> {
    /// Records how a request ended: its own event, and one for each note.
    pub(crate) fn record<T>(
        &self,
        facts: &RequestFacts<'_>,
        mut trail: AuditTrail<'_>,
        result: Result<T, EndpointError>,
    ) -> Answered<T> {
        let outcome = match &result {
            Ok(_) => Outcome::Success,
            Err(EndpointError::Rejected { rejection, .. }) => {
                if let (true, Some(client_id)) = (trail.is_guess(rejection), &trail.client_id) {
                    self.limiter.charge_failure(client_id.as_str(), facts.source, facts.now);
                }
                Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
            }
            Err(EndpointError::Failed(fault) | EndpointError::Unavailable(fault)) => {
                Outcome::failed(trail.step, fault)
            }
        };
        for note in std::mem::take(&mut trail.notes) {
            self.audit.record(&trail.event(facts, note, Outcome::Success));
        }
        let event = trail.event(facts, trail.action.clone(), outcome);
        if let Some(observation) = trail.observation {
            let grant_type = if let Action::IssueToken { grant_type } = trail.action {
                grant_type
            } else {
                None
            };
            observation.end(trail.client_id.as_ref(), grant_type, &event.outcome);
        }
        self.usage.record(&event);
        self.audit.record(&event);
        Answered { result, client_id: trail.client_id }
    }
}
