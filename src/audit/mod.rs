//! The audit log: one typed event for every success and every refusal.
//!
//! An [`AuditEvent`] says who did what to which app, as which user, from where, and how it ended; a
//! refusal says at which step, why, and which setting decided. Events hold names and never secrets.
//! They go to the [`AuditSink`] of the host; an [`AuditQueue`] brings them to an [`AuditStore`] in a database.
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
//! An [`AuditStore`] keeps both, so that they are the sum over all processes and their lives: a
//! store in SQL beside its other tables, [`MemoryAuditStore`] in memory, or one of your own. An
//! [`AuditQueue`] is the [`AuditSink`] before it: the middle of a request
//! only pushes, and a future that the host spawns writes what has gathered.
//!
//! ```
//! use grantor::audit::{
//!     Action, Actor, AuditEvent, AuditQuery, AuditQueue, AuditSink, AuditStore, MemoryAuditStore,
//! };
//! use grantor::clock::UnixTime;
//! use grantor::ids::ClientId;
//! use grantor::observe::Outcome;
//! use grantor::protocol::GrantType;
//! use grantor::random::OsRandom;
//! use grantor::store::Page;
//! use std::sync::Arc;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let log = Arc::new(MemoryAuditStore::new());
//! let audit = AuditQueue::new(&OsRandom::new())?;
//! // `ServerBuilder::audit` takes a clone of `audit`.
//! let writing = tokio::spawn(audit.run(Arc::clone(&log), tokio::time::sleep, |error| {
//!     eprintln!("the audit log has to wait: {error}");
//! }));
//!
//! let app = ClientId::new("reports")?;
//! let action = Action::IssueToken { grant_type: Some(GrantType::ClientCredentials) };
//! let actor = Actor::App(app.clone());
//! audit.record(&AuditEvent::new(UnixTime::EPOCH, actor, action, Outcome::Success));
//!
//! // At the end of the process: what is left is written, and then the task ends.
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
//! What a crash can lose is what the queue holds, which is a fraction of a second where the store
//! keeps up: `docs/decisions/0020-the-audit-log-is-written-behind.md`.

pub(crate) mod log;
mod memory;
#[cfg(feature = "tracing")]
mod tracing;
pub(crate) mod usage;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::tracing::TracingAudit;
#[cfg(feature = "test-kit")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-kit")))]
pub use log::conformance;
pub use log::{
    AuditQueue, AuditStore, EventId, MemoryAuditStore, NewEvent, StoredEvent,
    prune_events_regularly,
};
pub use memory::{AuditQuery, MemoryAudit};
pub use usage::{AppUsage, Usage};

use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId, Source, Subject};
use crate::observe::Outcome;
use crate::protocol::grant_type::GrantType;
use crate::store::RevocationTarget;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "actor", content = "actor_name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// An app that is registered and has authenticated; a public app, which cannot, by its name.
    App(ClientId),
    /// A user, as the host authenticated it.
    User(Subject),
    /// An administrator, as the host calls it.
    Administrator(Arc<str>),
    /// This server, of its own accord.
    Server,
    /// Nobody that was authenticated. The event's app is then only what was claimed.
    Unknown,
}

impl Actor {
    /// Its kind, as it is serialized: `app`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::User(_) => "user",
            Self::Administrator(_) => "administrator",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::App(client_id) => Some(client_id.as_str()),
            Self::User(subject) => Some(subject.as_str()),
            Self::Administrator(name) => Some(name),
            Self::Server | Self::Unknown => None,
        }
    }
}

/// What was done, or was to be done: the [`Outcome`] tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// A request at the token endpoint.
    IssueToken {
        /// What it presented, if that was understood.
        grant_type: Option<GrantType>,
    },
    /// A spent refresh token got the same successor again, within its grace; beside the
    /// [`IssueToken`](Self::IssueToken) event.
    RetryRefresh,
    /// A refresh token was ahead of the store: the store lost writes, such as by a restored backup.
    DetectRewind,
    /// An app authenticated with a client secret that a rotation has superseded. Once this stays
    /// away, the old secret can go.
    UseSupersededSecret,
    /// The digest of a client secret was renewed under the newest pepper.
    RenewDigest,
    /// A request at the authorization endpoint; success is a prompt for the user.
    Authorize,
    /// A request at the authorization endpoint, for which somebody has to log in first, or again.
    DemandLogin,
    /// The user, or what the user agreed to before, approved: a code was issued.
    IssueCode,
    /// The user said no.
    DenyAuthorization,
    /// A request at the introspection endpoint; success is an active token, a refusal says why the
    /// answer was that there is none.
    Introspect,
    /// A request at the revocation endpoint. It is answered alike where there was nothing to revoke:
    /// the refusal says why.
    RevokeToken,
    /// An API read on in the feed of revocations.
    ReadRevocations,
    /// An app was registered.
    RegisterApp,
    /// An app that has a client id elsewhere was registered.
    ImportApp,
    /// The settings of an app were edited.
    EditApp {
        /// The settings that differ, as they are called in JSON.
        changed: Vec<String>,
    },
    /// An app got a new client secret.
    RotateClientSecret,
    /// The client secrets that a rotation has superseded were ended.
    EndSupersededSecrets,
    /// An app got a new signature secret.
    RegenerateSignatureSecret,
    /// An app was enabled.
    EnableApp,
    /// An app was disabled.
    DisableApp,
    /// An app was deleted.
    DeleteApp,
    /// Access was ended before its time.
    Revoke {
        /// Whose.
        target: RevocationTarget,
    },
    /// What a user had agreed to was forgotten, and the access with it.
    WithdrawConsent,
    /// Events are missing from a durable log: its queue was full when they came.
    MissEvents {
        /// How many.
        missing: u64,
    },
}

impl Action {
    /// Its stable name, as it is serialized: `issue_token`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::IssueToken { .. } => "issue_token",
            Self::RetryRefresh => "retry_refresh",
            Self::DetectRewind => "detect_rewind",
            Self::UseSupersededSecret => "use_superseded_secret",
            Self::RenewDigest => "renew_digest",
            Self::Authorize => "authorize",
            Self::DemandLogin => "demand_login",
            Self::IssueCode => "issue_code",
            Self::DenyAuthorization => "deny_authorization",
            Self::Introspect => "introspect",
            Self::RevokeToken => "revoke_token",
            Self::ReadRevocations => "read_revocations",
            Self::RegisterApp => "register_app",
            Self::ImportApp => "import_app",
            Self::EditApp { .. } => "edit_app",
            Self::RotateClientSecret => "rotate_client_secret",
            Self::EndSupersededSecrets => "end_superseded_secrets",
            Self::RegenerateSignatureSecret => "regenerate_signature_secret",
            Self::EnableApp => "enable_app",
            Self::DisableApp => "disable_app",
            Self::DeleteApp => "delete_app",
            Self::Revoke { .. } => "revoke",
            Self::WithdrawConsent => "withdraw_consent",
            Self::MissEvents { .. } => "miss_events",
        }
    }
}

/// The reason of a refusal that revoked a grant because its code came again.
pub(crate) const CODE_REPLAYED: &str = "code_replayed";
/// The reason of a refusal that made a code void after too many wrong bindings.
pub(crate) const CODE_GUESSED: &str = "code_guessed";
/// The reason of a refusal that revoked a grant because a spent refresh token came again.
pub(crate) const REFRESH_TOKEN_REUSED: &str = "refresh_token_reused";
/// The reason of a refusal because an assertion came again.
pub(crate) const ASSERTION_REPLAYED: &str = "assertion_replayed";

/// How much attention an event deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// It is the daily business, refusals included.
    Info,
    /// It hints at an attack or at lost data: a replay, a reuse, a rewound store.
    Warning,
    /// Something broke.
    Error,
}

/// Something happened, or was refused.
///
/// Serializes as one flat object: `{"at": …, "actor": "app", "action": "issue_token", "outcome":
/// "refused", "step": "grant", …}`. Making and cloning one counts references and copies no text,
/// save the causes of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When.
    pub at: UnixTime,
    /// Who did it.
    #[serde(flatten)]
    pub actor: Actor,
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The app that it is about. Where the actor is [`Actor::Unknown`], what the request claimed.
    pub client_id: Option<ClientId>,
    /// The user that it is about.
    pub subject: Option<Subject>,
    /// The grant that it is about.
    pub grant_id: Option<GrantId>,
    /// Where the request came from, if the host told.
    pub source: Option<Source>,
}

impl AuditEvent {
    /// An event about whoever `actor` is: an app is its own app, a user its own subject.
    #[must_use]
    pub fn new(at: UnixTime, actor: Actor, action: Action, outcome: Outcome) -> Self {
        let (client_id, subject) = match &actor {
            Actor::App(client_id) => (Some(client_id.clone()), None),
            Actor::User(subject) => (None, Some(subject.clone())),
            Actor::Administrator(_) | Actor::Server | Actor::Unknown => (None, None),
        };
        Self { at, actor, action, outcome, client_id, subject, grant_id: None, source: None }
    }

    /// The same event, about this app.
    #[must_use]
    pub fn with_app(mut self, client_id: &ClientId) -> Self {
        self.client_id = Some(client_id.clone());
        self
    }

    /// The same event, about this user.
    #[must_use]
    pub fn with_subject(mut self, subject: &Subject) -> Self {
        self.subject = Some(subject.clone());
        self
    }

    /// The same event, about this grant.
    #[must_use]
    pub fn with_grant(mut self, grant_id: GrantId) -> Self {
        self.grant_id = Some(grant_id);
        self
    }

    /// The same event, with where the request came from.
    #[must_use]
    pub fn with_source(mut self, source: Option<&Source>) -> Self {
        self.source = source.cloned();
        self
    }

    /// How much attention it deserves.
    #[must_use]
    pub fn severity(&self) -> Severity {
        const WARNINGS: [&str; 4] =
            [CODE_REPLAYED, CODE_GUESSED, REFRESH_TOKEN_REUSED, ASSERTION_REPLAYED];
        match &self.outcome {
            Outcome::Failed { .. } => Severity::Error,
            Outcome::Refused { reason, .. } if WARNINGS.contains(reason) => Severity::Warning,
            Outcome::Success
                if matches!(self.action, Action::DetectRewind | Action::MissEvents { .. }) =>
            {
                Severity::Warning
            }
            Outcome::Success | Outcome::Refused { .. } => Severity::Info,
        }
    }
}

/// Where audit events go.
///
/// Called in the middle of a request: it must not block. A sink that writes to a disk or a network
/// hands a clone of the event to a queue, as [`AuditQueue`] does.
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Takes note of `event`.
    fn record(&self, event: &AuditEvent);
}

impl<T: AuditSink + ?Sized> AuditSink for Arc<T> {
    fn record(&self, event: &AuditEvent) {
        T::record(self, event);
    }
}

/// Every sink of the list gets every event, in order.
impl AuditSink for Vec<Arc<dyn AuditSink>> {
    fn record(&self, event: &AuditEvent) {
        for sink in self {
            sink.record(event);
        }
    }
}

/// Forgets every event.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoAudit;

impl NoAudit {
    /// A sink that forgets every event.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AuditSink for NoAudit {
    fn record(&self, _: &AuditEvent) {}
}

#[cfg(test)]
mod tests;
