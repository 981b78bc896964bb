//! The receivers of audit events.

use std::fmt;
use std::sync::Arc;

use super::AuditEvent;
use crate::observe::panics::caught;

/// A receiver of audit events.
///
/// The server calls it in the middle of a request, so it must not block. If it panics, the event is lost
/// and the request goes on. A sink that writes to a
/// disk or network pushes a clone of the event to a queue, as [`AuditQueue`](super::AuditQueue) does.
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Records an event.
    fn record(&self, event: &AuditEvent);

    /// Records an event that the server needs no longer. A sink that keeps events saves a clone here. Default: calls
    /// [`record`](Self::record).
    fn record_owned(&self, event: AuditEvent) {
        self.record(&event);
    }

    /// Returns false while the sink ignores every event. The server then builds none.
    fn is_listening(&self) -> bool {
        true
    }
}

impl<T: AuditSink + ?Sized> AuditSink for Arc<T> {
    fn is_listening(&self) -> bool {
        T::is_listening(self)
    }

    fn record(&self, event: &AuditEvent) {
        T::record(self, event);
    }

    fn record_owned(&self, event: AuditEvent) {
        T::record_owned(self, event);
    }
}

/// A sink whose panics end no request. The event is lost.
#[derive(Debug)]
pub(crate) struct Shielded<T>(pub(crate) T);

impl<T: AuditSink> AuditSink for Shielded<T> {
    fn record(&self, event: &AuditEvent) {
        let _ = caught(|| self.0.record(event));
    }

    fn record_owned(&self, event: AuditEvent) {
        let _ = caught(|| self.0.record_owned(event));
    }

    fn is_listening(&self) -> bool {
        caught(|| self.0.is_listening()).unwrap_or(true)
    }
}

/// Passes every event to each sink of the list, in order.
impl AuditSink for Vec<Arc<dyn AuditSink>> {
    fn record(&self, event: &AuditEvent) {
        for sink in self {
            sink.record(event);
        }
    }

    fn record_owned(&self, event: AuditEvent) {
        if let Some((last, others)) = self.split_last() {
            for sink in others {
                sink.record(&event);
            }
            last.record_owned(event);
        }
    }

    fn is_listening(&self) -> bool {
        self.iter().any(AuditSink::is_listening)
    }
}

/// A sink that discards every event.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoAudit;

impl NoAudit {
    /// Creates the sink.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AuditSink for NoAudit {
    fn record(&self, _: &AuditEvent) {}

    fn is_listening(&self) -> bool {
        false
    }
}
