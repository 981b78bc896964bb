//! What is known of a request so far, at whichever endpoint: what its audit events say in the end.

use crate::app::CustomApp;
use crate::audit::{Action, Actor, AuditEvent};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::error::{EndpointError, ErrorCode, Rejection};
use crate::ids::{ClientId, GrantId, Source, Subject};
use crate::observe::observation::Observation;
use crate::observe::{Outcome, Step};
use crate::random::JTI_BYTES;

/// What is known of a request so far.
#[derive(Debug)]
pub(crate) struct Trace<'a> {
    now: UnixTime,
    source: Option<&'a Source>,
    /// What it is to bring about.
    pub(crate) action: Action,
    observation: Option<&'a Observation>,
    /// Where it is: tells at which step something failed.
    step: Step,
    client_id: Option<ClientId>,
    authenticated: bool,
    pub(crate) subject: Option<Subject>,
    pub(crate) grant_id: Option<GrantId>,
    /// The `jti` of the token, if there will be one. It names the request to the store, too. Drawn
    /// before anything else.
    pub(crate) token_id: [u8; JTI_BYTES],
    notes: Vec<Action>,
}

impl<'a> Trace<'a> {
    pub(crate) fn new(action: Action, now: UnixTime, request: &FormRequest<'a>) -> Self {
        let mut trace = Self {
            now,
            source: request.origin(),
            observation: request.observation(),
            action,
            step: Step::Parse,
            client_id: None,
            authenticated: false,
            subject: None,
            grant_id: None,
            token_id: [0; JTI_BYTES],
            notes: Vec::new(),
        };
        trace.enter(Step::Parse);
        trace
    }

    pub(crate) fn enter(&mut self, step: Step) {
        self.step = step;
        if let Some(observation) = self.observation {
            observation.enter(step);
        }
    }

    pub(crate) const fn now(&self) -> UnixTime {
        self.now
    }

    pub(crate) const fn source(&self) -> Option<&'a Source> {
        self.source
    }

    /// The random id of the request, non-negative as a signed 64-bit column.
    pub(crate) fn claim_id(&self) -> u64 {
        self.token_id.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes) >> 1)
    }

    /// A grant id for a token whose grant has no row: it is the only one of its grant.
    pub(crate) const fn rowless_grant_id(&self) -> GrantId {
        GrantId::from_bytes(self.token_id)
    }

    pub(crate) fn claim_client_id(&mut self, client_id: &ClientId) {
        self.client_id = Some(client_id.clone());
    }

    pub(crate) fn authenticated(&mut self, app: &CustomApp) {
        self.client_id = Some(app.client_id().clone());
        self.authenticated = true;
    }

    /// Something worth an event of its own happened on the way.
    pub(crate) fn note(&mut self, action: Action) {
        self.notes.push(action);
    }

    fn event(&self, action: Action, outcome: Outcome) -> AuditEvent {
        let actor = match &self.client_id {
            Some(client_id) if self.authenticated => Actor::App(client_id.clone()),
            _ => Actor::Unknown,
        };
        let mut event = AuditEvent::new(self.now, actor, action, outcome);
        event.client_id.clone_from(&self.client_id);
        event.subject.clone_from(&self.subject);
        event.grant_id = self.grant_id;
        event.source = self.source.cloned();
        event
    }
}

impl<S, U, H> Context<S, U, H> {
    /// Records how the request of `trace` ended: its own event, and one for each note.
    pub(crate) fn record<T>(&self, mut trace: Trace<'_>, answer: &Result<T, EndpointError>) {
        let outcome = match answer {
            Ok(_) => Outcome::Success,
            Err(EndpointError::Rejected { rejection, .. }) => {
                // What should have proved who the app is, and did not. A token that has expired is
                // one that this server signed: nobody guessed it.
                let proof =
                    matches!(rejection, Rejection::Assertion(_) | Rejection::InvalidHandle(_))
                        || rejection.is_token_state() && *rejection != Rejection::ExpiredToken;
                let unproven = rejection.error_code() == ErrorCode::InvalidClient
                    || proof && !trace.authenticated;
                if let (true, Some(client_id)) = (unproven, &trace.client_id) {
                    self.limiter.charge_failure(client_id.as_str(), trace.source, trace.now);
                }
                Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
            }
            Err(EndpointError::Failed(fault) | EndpointError::Unavailable(fault)) => {
                Outcome::failed(trace.step, fault)
            }
        };
        for note in std::mem::take(&mut trace.notes) {
            self.audit.record(&trace.event(note, Outcome::Success));
        }
        let event = trace.event(trace.action.clone(), outcome);
        if let Some(observation) = trace.observation {
            let grant_type = if let Action::IssueToken { grant_type } = trace.action {
                grant_type
            } else {
                None
            };
            observation.end(trace.client_id.as_ref(), grant_type, &event.outcome);
        }
        self.usage.record(&event);
        self.audit.record(&event);
    }
}
