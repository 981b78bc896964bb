//! The record of a request: audit events, usage, counted failures and telemetry.

use std::sync::Arc;

use crate::app::policy::{Decision, DecisionRecord};
use crate::app::{CustomApp, Flow};
use crate::audit::{Action, Actor, AuditEvent, AuditSink};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{DeviceGrantRefusal as Device, EndpointError, ErrorCode, Rejection};
use crate::ids::{ClientId, EvidenceIssuer, GrantId, Resource, Subject};
use crate::jwt::{Parent, PriorActor};
use crate::observe::observation::Observation;
use crate::observe::{Outcome, Step};
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;

/// The content of a request's audit events. Endpoints write it, and only [`record`](Context::record)
/// reads it. No decision depends on it, except which budget a refusal is charged to.
#[derive(Clone, Debug)]
pub(crate) struct AuditTrail<'a> {
    /// The action that the request asks for.
    pub(crate) action: Action,
    subject: Option<Subject>,
    pub(crate) grant_id: Option<GrantId>,
    /// The flow that made the grant.
    pub(crate) flow: Option<Flow>,
    /// The scope and the API of the token.
    scope: Option<Scope>,
    resources: Option<Resources>,
    /// The rule of the policy engine that decided.
    decision: Option<Box<DecisionRecord>>,
    client_id: Option<ClientId>,
    /// The trusted issuer that has proved its identity.
    issuer: Option<EvidenceIssuer>,
    proof: Proof,
    /// Whether a failure was reserved, so that a refusal charges none.
    reserved_failure: bool,
    /// The URL at which a phone asks about its wipe, if the refusal of its refresh token shall tell it.
    pub(crate) wipe_check: Option<Arc<str>>,
    /// The step that the request has reached. A failure names it.
    step: Step,
    notes: Vec<Action>,
    observation: Option<&'a Observation>,
    /// Whether a sink listens. Without one, the names that only events have are not kept.
    is_recorded: bool,
    /// Whether the request found a user who has not decided yet: it is neither recorded nor counted.
    is_waiting: bool,
}

/// The means by which an app has proved its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    None,
    /// A code, token or assertion alone.
    Grant,
    /// Credentials of its own.
    Credentials,
}

/// The budgets that a refusal is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// None: the app has authenticated and is charged for the request.
    None,
    /// The source's. The app gets its request back, so that a dead or stolen token spends no budget of the
    /// app's other users.
    DeadGrant,
    /// None. The app gets its request back: anybody can ask for a device code in its name, and poll.
    NoGrantYet,
    /// Those of the client id and source, and of the source.
    OfClient,
    /// The source's.
    OfSource,
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
    pub(crate) fn new(action: Action, request: &FormRequest<'a>, sink: &dyn AuditSink) -> Self {
        let mut trail = Self {
            observation: request.observation(),
            is_recorded: sink.is_listening(),
            ..Self::of_question(action)
        };
        trail.enter(Step::Parse);
        trail
    }

    /// Returns the trail of a question, which is never recorded.
    pub(crate) const fn of_question(action: Action) -> Self {
        Self {
            action,
            subject: None,
            grant_id: None,
            flow: None,
            scope: None,
            resources: None,
            decision: None,
            client_id: None,
            issuer: None,
            proof: Proof::None,
            reserved_failure: false,
            wipe_check: None,
            step: Step::Parse,
            notes: Vec::new(),
            observation: None,
            is_recorded: true,
            is_waiting: false,
        }
    }

    /// Takes the decision of the policy engine.
    pub(crate) fn take_decision(&mut self) -> Option<DecisionRecord> {
        self.decision.take().map(|decision| *decision)
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
    pub(crate) fn authenticated(&mut self, app: &CustomApp, proof: Proof) {
        // Mostly the app has been claimed already.
        if self.client_id.as_ref() != Some(app.client_id()) {
            self.client_id = Some(app.client_id().clone());
        }
        self.proof = proof;
    }

    /// Notes that a token of the app `client_id` has proved the request.
    pub(crate) fn proven_by_token(&mut self, client_id: &ClientId) {
        self.client_id = Some(client_id.clone());
        self.proof = Proof::Grant;
    }

    /// Notes the trusted issuer that has proved the request.
    pub(crate) fn proven_issuer(&mut self, issuer: &EvidenceIssuer) {
        self.issuer = Some(issuer.clone());
    }

    /// Leaves the request out of the audit log.
    pub(crate) fn silence(&mut self) {
        self.is_recorded = false;
    }

    /// Leaves the request out of the audit log and the usage: a device asks again and again until its user decides.
    pub(crate) fn wait_for_user(&mut self) {
        self.silence();
        self.is_waiting = true;
    }

    /// Notes the user concerned, or the app that acts for itself.
    pub(crate) fn concerns(&mut self, subject: &Subject) {
        if self.is_recorded {
            self.subject = Some(subject.clone());
        }
    }

    /// Notes the scope and the API of the token.
    pub(crate) fn decided(&mut self, scope: &Scope, resource: Option<&Resource>) {
        if self.is_recorded {
            self.scope = Some(scope.clone());
            self.resources = resource.cloned().map(Resources::from);
        }
    }

    /// Notes the decision of the policy engine, and the actors before the app.
    pub(crate) fn decided_by(&mut self, decision: &Decision<'_>, actors: &[PriorActor]) {
        if self.is_recorded {
            self.decision = Some(Box::new(decision.record(actors)));
        }
    }

    /// Notes the grants that a derived token descends from, after the decision.
    pub(crate) fn descends_from(&mut self, via: &[Parent]) {
        if let Some(decision) = &mut self.decision {
            decision.via = via.iter().map(|parent| parent.grant_id).collect();
        }
    }

    /// Notes that the failure of this request is charged already.
    pub(crate) fn reserved_failure(&mut self) {
        self.reserved_failure = true;
    }

    /// Adds an event of its own to the event of the request.
    pub(crate) fn note(&mut self, action: Action) {
        self.notes.push(action);
    }

    fn failure(&self, rejection: &Rejection) -> Failure {
        let is_limit = rejection.error_code() == ErrorCode::TemporarilyUnavailable;
        if self.reserved_failure || self.proof == Proof::Credentials || is_limit {
            return Failure::None;
        }
        if self.proof == Proof::Grant {
            let is_dead = rejection.error_code() == ErrorCode::InvalidGrant
                || matches!(rejection, Rejection::DeviceGrant(Device::Expired | Device::Denied));
            let is_pending =
                matches!(rejection, Rejection::DeviceGrant(Device::Pending | Device::TooHasty));
            return if is_dead {
                Failure::DeadGrant
            } else if is_pending {
                Failure::NoGrantYet
            } else {
                Failure::None
            };
        }
        let is_forged = matches!(rejection, Rejection::Assertion(_) | Rejection::InvalidHandle(_))
            || rejection.is_token_state();
        if is_forged || rejection.error_code() == ErrorCode::InvalidClient {
            Failure::OfClient
        } else {
            Failure::OfSource
        }
    }

    /// Returns the app if it has proved its identity.
    fn proven_app(&self) -> Option<&ClientId> {
        self.client_id.as_ref().filter(|_| self.proof != Proof::None)
    }

    fn into_event(self, facts: &RequestFacts<'_>, action: Action, outcome: Outcome) -> AuditEvent {
        let app = self.proven_app().cloned().map(Actor::App);
        let issuer = || self.issuer.clone().map(Actor::Issuer);
        let actor = app.or_else(issuer).unwrap_or(Actor::Unknown);
        AuditEvent {
            client_id: self.client_id,
            subject: self.subject,
            grant_id: self.grant_id,
            source: facts.caller.source.cloned(),
            request_id: facts.caller.request_id.cloned(),
            flow: self.flow,
            scope: self.scope,
            resources: self.resources,
            decision: self.decision,
            ..AuditEvent::new(facts.now, actor, action, outcome)
        }
    }
}

impl<S, U, H> Context<S, U, H> {
    /// Records how a request ended: its own event, and one for each note.
    pub(crate) fn record<T>(
        &self,
        facts: &RequestFacts<'_>,
        mut trail: AuditTrail<'_>,
        mut result: Result<T, EndpointError>,
    ) -> Answered<T> {
        if let Err(EndpointError::Rejected { rejection, .. }) = &result
            && let Some(limited) = self.charge_failure(facts, &trail, rejection)
        {
            result = Err(limited);
        }
        let outcome = match &result {
            Ok(_) => Outcome::Success,
            Err(EndpointError::Rejected { rejection, .. }) => {
                Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
            }
            Err(EndpointError::Failed(fault) | EndpointError::Unavailable(fault)) => {
                Outcome::failed(trail.step, fault)
            }
        };
        if let Some(observation) = trail.observation {
            let grant_type = if let Action::IssueToken { grant_type } = trail.action {
                grant_type
            } else {
                None
            };
            observation.end(trail.client_id.as_ref(), grant_type, &outcome);
        }
        if let Some(client_id) = trail.proven_app().filter(|_| !trail.is_waiting) {
            self.usage.record_request(facts.now, client_id, &trail.action, &outcome);
        }
        if !trail.is_recorded {
            return Answered { result, client_id: trail.client_id };
        }
        for note in std::mem::take(&mut trail.notes) {
            self.record_event(trail.clone().into_event(facts, note, Outcome::Success));
        }
        let (client_id, action) = (trail.client_id.clone(), trail.action.clone());
        self.record_event(trail.into_event(facts, action, outcome));
        Answered { result, client_id }
    }

    /// Charges a refusal to its sender. Returns the refusal that replaces it, if the sender has failed too
    /// often.
    fn charge_failure(
        &self,
        facts: &RequestFacts<'_>,
        trail: &AuditTrail<'_>,
        rejection: &Rejection,
    ) -> Option<EndpointError> {
        let reserve = |client_id: Option<&ClientId>| {
            let client_id = client_id.map(ClientId::as_str);
            self.limiter.reserve_failure(client_id, facts.caller.source, facts.now).err()
        };
        let failure = trail.failure(rejection);
        if matches!(failure, Failure::DeadGrant | Failure::NoGrantYet)
            && let Some(client_id) = &trail.client_id
        {
            self.limiter.give_back_volume(client_id);
        }
        let refused = match failure {
            Failure::None | Failure::NoGrantYet => None,
            Failure::DeadGrant => {
                let _ = reserve(None);
                None
            }
            Failure::OfClient => reserve(trail.client_id.as_ref()),
            Failure::OfSource => reserve(None),
        };
        refused.map(|retry| EndpointError::limited(Rejection::TooManyFailures, retry))
    }

    /// Records an event, or counts it if it repeats others.
    pub(crate) fn record_event(&self, event: AuditEvent) {
        for repeated in self.repeats.due(event.at) {
            self.audit.record_owned(repeated);
        }
        if self.repeats.admits(&event) {
            self.audit.record_owned(event);
        }
    }
}
