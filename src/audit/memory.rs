//! Audit events in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::{AuditEvent, AuditSink};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Subject};

/// A filter for audit events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a query is nothing until it is asked"]
pub struct AuditQuery {
    pub(crate) client_id: Option<ClientId>,
    pub(crate) subject: Option<Subject>,
    pub(crate) since: UnixTime,
    pub(crate) until: UnixTime,
    limit: usize,
}

impl AuditQuery {
    /// Selects every event.
    pub const fn all() -> Self {
        Self {
            client_id: None,
            subject: None,
            since: UnixTime::from_millis(i64::MIN),
            until: UnixTime::MAX,
            limit: usize::MAX,
        }
    }

    /// Selects events about this app only.
    pub fn app(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Selects events about this user only.
    pub fn subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Selects events at or after `instant`.
    pub const fn since(mut self, instant: UnixTime) -> Self {
        self.since = instant;
        self
    }

    /// Selects events at or before `instant`.
    pub const fn until(mut self, instant: UnixTime) -> Self {
        self.until = instant;
        self
    }

    /// Selects the newest `limit` events.
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    fn admits(&self, event: &AuditEvent) -> bool {
        (self.since..=self.until).contains(&event.at)
            && self.client_id.as_ref().is_none_or(|app| event.client_id.as_ref() == Some(app))
            && self.subject.as_ref().is_none_or(|user| event.subject.as_ref() == Some(user))
    }
}

/// A sink that keeps the newest events in memory, for tests, examples and pages that show recent
/// activity. Each process has its own.
#[derive(Debug)]
pub struct MemoryAudit {
    capacity: usize,
    events: Mutex<VecDeque<AuditEvent>>,
}

impl MemoryAudit {
    /// Creates a sink that keeps the newest `capacity` events.
    #[must_use]
    pub const fn with_capacity(capacity: usize) -> Self {
        Self { capacity, events: Mutex::new(VecDeque::new()) }
    }

    /// Returns the events that match `query`, newest first.
    #[must_use]
    pub fn find(&self, query: &AuditQuery) -> Vec<AuditEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_for = events.iter().rev().filter(|event| query.admits(event));
        asked_for.take(query.limit).cloned().collect()
    }
}

impl Default for MemoryAudit {
    /// Creates a sink that keeps the newest 10,000 events.
    fn default() -> Self {
        Self::with_capacity(10_000)
    }
}

impl AuditSink for MemoryAudit {
    fn record(&self, event: &AuditEvent) {
        self.record_owned(event.clone());
    }

    fn record_owned(&self, event: AuditEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push_back(event);
        while events.len() > self.capacity {
            events.pop_front();
        }
    }
}
