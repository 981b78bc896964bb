//! Audit events as `tracing` events.

use super::{Action, AuditEvent, AuditSink, Severity};
use crate::ids::{ClientId, Issuer, Source, Subject};
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;

/// A sink that emits each event through `tracing` with target `grantor::audit`, at the level of its
/// [`Severity`].
///
/// The fields `at` (RFC 3339) and `detail` (the whole action) are always present. Fields that are
/// present if they apply: `action`, `outcome`, `step`, `reason`, `setting`, `actor`, `actor_name`,
/// `client_id`, `subject`, `grant_id`, `source`, `device_source`, `grant_type`, `count`, `issuer`.
#[derive(Clone, Debug, Default)]
pub struct TracingAudit {
    issuer: Option<Issuer>,
}

impl TracingAudit {
    /// Creates the sink.
    #[must_use]
    pub const fn new() -> Self {
        Self { issuer: None }
    }

    /// Adds the field `issuer` to each event, for a process with several issuers. Default: no such field.
    #[must_use]
    pub fn with_issuer(mut self, issuer: Issuer) -> Self {
        self.issuer = Some(issuer);
        self
    }
}

impl AuditSink for TracingAudit {
    fn record(&self, event: &AuditEvent) {
        let grant_type = if let Action::IssueToken { grant_type } = event.action {
            grant_type.map(GrantType::as_str)
        } else {
            None
        };
        // The level is part of the static call site, so each level has its own.
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
                    device_source = event.device_source.as_ref().map(Source::as_str),
                    grant_type = grant_type,
                    issuer = self.issuer.as_ref().map(Issuer::as_str),
                    count = (event.count != 1).then_some(event.count),
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
