//! Audit events in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::{AuditEvent, AuditSink};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Subject};

/// Which audit events to read.
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
    /// Every event.
    pub const fn all() -> Self {
        Self {
            client_id: None,
            subject: None,
            since: UnixTime::from_millis(i64::MIN),
            until: UnixTime::MAX,
            limit: usize::MAX,
        }
    }

    /// Only events about this app.
    pub fn app(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Only events about this user.
    pub fn subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Only events at this instant or later.
    pub const fn since(mut self, instant: UnixTime) -> Self {
        self.since = instant;
        self
    }

    /// Only events at this instant or earlier.
    pub const fn until(mut self, instant: UnixTime) -> Self {
        self.until = instant;
        self
    }

    /// Only the newest `limit` of them.
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

/// Keeps the newest audit events in memory: for tests, examples, and a page that shows what just
/// happened. Each process has its own, and it goes with the process.
#[derive(Debug)]
pub struct MemoryAudit {
    capacity: usize,
    events: Mutex<VecDeque<AuditEvent>>,
}

impl MemoryAudit {
    /// Keeps the newest `capacity` events.
    #[must_use]
    pub const fn with_capacity(capacity: usize) -> Self {
        Self { capacity, events: Mutex::new(VecDeque::new()) }
    }

    /// The events that `query` asks for, newest first.
    #[must_use]
    pub fn find(&self, query: &AuditQuery) -> Vec<AuditEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_for = events.iter().rev().filter(|event| query.admits(event));
        asked_for.take(query.limit).cloned().collect()
    }
}

impl Default for MemoryAudit {
    /// Keeps the newest 10,000 events.
    fn default() -> Self {
        Self::with_capacity(10_000)
    }
}

impl AuditSink for MemoryAudit {
    fn record(&self, event: &AuditEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push_back(event.clone());
        while events.len() > self.capacity {
            events.pop_front();
        }
    }
}
