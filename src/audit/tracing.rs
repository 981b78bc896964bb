//! Audit events as `tracing` events.

use super::{Action, AuditEvent, AuditSink, Severity};
use crate::ids::{ClientId, Source, Subject};
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;

/// Hands every audit event to the `tracing` subscriber of the process, with target
/// `grantor::audit`, at the level of its [`Severity`].
///
/// Fields, absent where they do not apply: `action`, `outcome`, `step`, `reason`, `setting`,
/// `actor`, `actor_name`, `client_id`, `subject`, `grant_id`, `source`, `grant_type`; and
/// always `at`, the instant of the event in RFC 3339, and `detail`, the action with all it holds.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingAudit;

impl TracingAudit {
    /// A sink that hands every event to `tracing`.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AuditSink for TracingAudit {
    fn record(&self, event: &AuditEvent) {
        let grant_type = if let Action::IssueToken { grant_type } = event.action {
            grant_type.map(GrantType::as_str)
        } else {
            None
        };
        // A level is part of the static call site, so there is one for each.
        macro_rules! emit {
            ($level:ident) => {
                ::tracing::event!(
                    target: "grantor::audit",
                    ::tracing::Level::$level,
                    at = %event.at,
                    action = event.action.as_str(),
                    outcome = event.outcome.as_str(),
                    step = event.outcome.step().map(Step::as_str),
                    reason = event.outcome.reason(),
                    setting = event.outcome.setting(),
                    actor = event.actor.kind(),
                    actor_name = event.actor.name(),
                    client_id = event.client_id.as_ref().map(ClientId::as_str),
                    subject = event.subject.as_ref().map(Subject::as_str),
                    grant_id = event.grant_id.map(::tracing::field::display),
                    source = event.source.as_ref().map(Source::as_str),
                    grant_type = grant_type,
                    detail = ?event.action,
                )
            };
        }
        match event.severity() {
            Severity::Info => emit!(INFO),
            Severity::Warning => emit!(WARN),
            Severity::Error => emit!(ERROR),
        }
    }
}
