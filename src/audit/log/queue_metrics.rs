//! The metrics of an audit queue.

use super::{AuditQueue, AuditWriter};
use crate::ids::Issuer;
use crate::observe::MetricsText;

impl<'a> MetricsText<'a> {
    /// Adds an audit queue: its events that are not yet in the log, those dropped, and the state of its
    /// [writer](AuditWriter). `issuer` is the label, for a process with a queue for each issuer. Queues with
    /// the same label are added up.
    pub fn with_audit_queue(mut self, issuer: Option<&'a Issuer>, queue: &AuditQueue) -> Self {
        let levels = self.queue_levels(issuer);
        levels.queued += queue.pending() as u64;
        levels.dropped += queue.dropped();
        let writer = queue.writer();
        for state in AuditWriter::ALL {
            *levels.writers.entry(state.as_str()).or_default() += u64::from(state == writer);
        }
        self
    }
}
