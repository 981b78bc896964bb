//! The audit log: one typed event for each success and each refusal.
//!
//! An [`AuditEvent`] records the actor, the action, the app, the user, the source and the outcome.
//! A refusal also records the step, the reason and the setting that decided. Events hold names and
//! never secrets.
//!
//! The server passes events to the host's [`AuditSink`]. An [`AuditQueue`] writes them to an
//! [`AuditStore`] in a database.
//!
//! ```
//! use grantor::audit::{Action, Actor, AuditEvent, AuditQuery, AuditSink, MemoryAudit};
//! use grantor::clock::UnixTime;
//! use grantor::ids::{ClientId, Subject};
//! use grantor::observe::{Outcome, Step};
//! use grantor::protocol::GrantType;
//!
//! let audit = MemoryAudit::default();
//! let app = ClientId::new("reports")?;
//! let event = AuditEvent::new(
//!     UnixTime::from_seconds(1_700_000_000),
//!     Actor::App(app.clone()),
//!     Action::IssueToken { grant_type: Some(GrantType::JwtBearer) },
//!     Outcome::refused(Step::Grant, "not_permitted", Some("jwt.impersonation")),
//! );
//! audit.record(&event.with_subject(&Subject::new("root@example.com")?));
//!
//! let refused = audit.find(&AuditQuery::all().app(app).limit(10));
//! assert_eq!(refused[0].outcome.reason(), Some("not_permitted"));
//! # Ok::<(), grantor::ids::InvalidId>(())
//! ```
//!
//! # In a database
//!
//! An [`AuditStore`] keeps events and usage for all processes, across restarts. Every store
//! that ships implements it, and a host can implement it; [`MemoryStore`](crate::store::MemoryStore) keeps the newest events only. An [`AuditQueue`] is the sink before it: a request
//! only pushes its event, and a future that the host spawns writes events in batches.
//!
//! ```
//! use grantor::audit::{
//!     Action, Actor, AuditEvent, AuditQuery, AuditQueue, AuditSink, AuditStore,
//! };
//! use grantor::clock::UnixTime;
//! use grantor::ids::ClientId;
//! use grantor::observe::Outcome;
//! use grantor::protocol::GrantType;
//! use grantor::random::OsRandom;
//! use grantor::store::{MemoryStore, Page};
//! use std::sync::Arc;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let log = Arc::new(MemoryStore::new());
//! let audit = AuditQueue::new(&OsRandom::new())?;
//! // `ServerBuilder::audit` takes a clone of `audit`.
//! let writing = tokio::spawn(audit.run(Arc::clone(&log), tokio::time::sleep, |error| {
//!     eprintln!("writing the audit log failed: {error}");
//! }));
//!
//! let app = ClientId::new("reports")?;
//! let action = Action::IssueToken { grant_type: Some(GrantType::ClientCredentials) };
//! let actor = Actor::App(app.clone());
//! audit.record(&AuditEvent::new(UnixTime::EPOCH, actor, action, Outcome::Success));
//!
//! // At shutdown: write the rest, then end the task.
//! audit.close();
//! writing.await?;
//! let page = log.find_events(&AuditQuery::all(), Page::first(100)).await?;
//! assert_eq!(page.items[0].client_id.as_ref(), Some(&app));
//! assert_eq!(log.usage_of(&app).await?.issued[&GrantType::ClientCredentials], 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A crash loses the events that are still queued: a fraction of a second if the store keeps up.
//! See `docs/decisions/0020-the-audit-log-is-written-behind.md`.

mod action;
pub(crate) mod log;
mod memory;
mod sink;
#[cfg(feature = "tracing")]
mod tracing;
pub(crate) mod usage;

use serde::{Deserialize, Serialize};

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::tracing::TracingAudit;
pub use action::{Action, Actor};
#[cfg(feature = "test-kit")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-kit")))]
pub use log::conformance;
pub use log::{
    AuditQueue, AuditStore, AuditWriter, EventId, NewEvent, StoredEvent, prune_events_regularly,
};
pub use memory::{AuditQuery, MemoryAudit};
pub(crate) use sink::Shielded;
pub use sink::{AuditSink, NoAudit};
pub use usage::{AppUsage, DayUsage, UsageHistory};

use crate::app::Flow;
use crate::app::policy::DecisionRecord;
use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, RequestId, Source, Subject};
use crate::observe::Outcome;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;

/// A code was replayed, and its grant was revoked.
pub(crate) const CODE_REPLAYED: &str = "code_replayed";
/// A code was presented with wrong bindings too often and became void.
pub(crate) const CODE_GUESSED: &str = "code_guessed";
/// A spent refresh token was replayed, and its grant was revoked.
pub(crate) const REFRESH_TOKEN_REUSED: &str = "refresh_token_reused";
/// An assertion was replayed.
pub(crate) const ASSERTION_REPLAYED: &str = "assertion_replayed";
/// The claimed client id is not one of an app.
pub(crate) const UNKNOWN_CLIENT: &str = "unknown_client";
/// The source has failed too often.
pub(crate) const TOO_MANY_FAILURES: &str = "too_many_failures";

/// The severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Normal operation, including most refusals.
    Info,
    /// A sign of an attack or of lost data: a replay, a reuse, a rewound store, dropped events.
    Warning,
    /// A failure.
    Error,
}

/// A record of one action and its outcome.
///
/// Serializes as one flat JSON object: `{"at": …, "actor": "app", "action": "issue_token", "outcome":
/// "refused", "step": "grant", …}`. Creation and cloning count references and copy no text, except
/// the causes of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The time of the event.
    pub at: UnixTime,
    /// The actor.
    #[serde(flatten)]
    pub actor: Actor,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The app concerned. If the actor is [`Actor::Unknown`], the unverified client id of the
    /// request.
    pub client_id: Option<ClientId>,
    /// The user concerned.
    pub subject: Option<Subject>,
    /// The grant concerned.
    pub grant_id: Option<GrantId>,
    /// The source of the request, if the host reported it.
    pub source: Option<Source>,
    /// The source from which a device asked, in the events of the user who enters its code and decides: `source` is
    /// then that of the user. A stranger's device that a user was tricked into approving shows up here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_source: Option<Source>,
    /// The id of the request. Over HTTP every request has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The flow that made the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// The scope: of the token, or of the grant that the user decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The APIs: of the token, or of the grant that the user decided on (RFC 8707). A token for the
    /// server's own API names none.
    #[serde(default, rename = "resource", skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The decision of the [policy engine](crate::app::policy), if the app asked to act on behalf of a user or as a
    /// workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<DecisionRecord>>,
    /// The number of requests that the event stands for, usually 1. Equal refusals become one event with
    /// their number, which has the rest from the newest of them. Serialized only if it is not 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(count: &u64) -> bool {
    *count == 1
}

const fn one() -> u64 {
    1
}

impl AuditEvent {
    /// Creates an event. An app as the actor is also the app concerned, a user also the user
    /// concerned.
    #[must_use]
    pub fn new(at: UnixTime, actor: Actor, action: Action, outcome: Outcome) -> Self {
        let (client_id, subject) = match &actor {
            Actor::App(client_id) => (Some(client_id.clone()), None),
            Actor::User(subject) => (None, Some(subject.clone())),
            Actor::Administrator(_) | Actor::Issuer(_) | Actor::Server | Actor::Unknown => {
                (None, None)
            }
        };
        Self {
            at,
            actor,
            action,
            outcome,
            client_id,
            subject,
            grant_id: None,
            source: None,
            device_source: None,
            request_id: None,
            flow: None,
            scope: None,
            resources: None,
            decision: None,
            count: 1,
        }
    }

    /// Sets the app concerned.
    #[must_use]
    pub fn with_app(mut self, client_id: &ClientId) -> Self {
        self.client_id = Some(client_id.clone());
        self
    }

    /// Sets the user concerned.
    #[must_use]
    pub fn with_subject(mut self, subject: &Subject) -> Self {
        self.subject = Some(subject.clone());
        self
    }

    /// Sets the grant concerned.
    #[must_use]
    pub fn with_grant(mut self, grant_id: GrantId) -> Self {
        self.grant_id = Some(grant_id);
        self
    }

    /// Sets the source of the request.
    #[must_use]
    pub fn with_source(mut self, source: Option<&Source>) -> Self {
        self.source = source.cloned();
        self
    }

    /// Sets the source from which a device asked for the code that the user of the event enters or decides on.
    #[must_use]
    pub fn with_device_source(mut self, source: Option<&Source>) -> Self {
        self.device_source = source.cloned();
        self
    }

    /// Sets the id of the request.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<&RequestId>) -> Self {
        self.request_id = request_id.cloned();
        self
    }

    /// Sets what was decided or issued: the grant, the flow that made it, its scope and its APIs.
    #[must_use]
    pub fn with_access(
        mut self,
        grant_id: GrantId,
        flow: Flow,
        scope: &Scope,
        resources: Option<&Resources>,
    ) -> Self {
        self.grant_id = Some(grant_id);
        self.flow = Some(flow);
        self.scope = Some(scope.clone());
        self.resources = resources.cloned();
        self
    }

    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        const WARNINGS: [&str; 4] =
            [CODE_REPLAYED, CODE_GUESSED, REFRESH_TOKEN_REUSED, ASSERTION_REPLAYED];
        match &self.outcome {
            Outcome::Failed { .. } => Severity::Error,
            Outcome::Refused { reason, .. } if WARNINGS.contains(&&**reason) => Severity::Warning,
            Outcome::Success
                if matches!(
                    self.action,
                    Action::DetectRewind | Action::DropEvents { .. } | Action::LoseEvents { .. }
                ) =>
            {
                Severity::Warning
            }
            Outcome::Success | Outcome::Refused { .. } => Severity::Info,
        }
    }
}

#[cfg(test)]
mod tests;
