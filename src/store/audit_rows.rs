//! The rows of the audit log and of usage, which every store keeps. The `audit` room converts them to events.

use crate::clock::UnixTime;
use crate::protocol::grant_type::GrantType;

/// A row of the log.
#[derive(Clone)]
pub(crate) struct AuditRow {
    pub(crate) event_id: [u8; 16],
    pub(crate) at: i64,
    pub(crate) client_id: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) severity: i16,
    /// The event as JSON.
    pub(crate) event: String,
    /// The change of usage when it is appended. Not stored.
    pub(crate) usage: Option<UsageStep>,
}

/// A change of the usage of an app.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum UsageStep {
    /// `times` more tokens by this grant type, or with `None` more refusals.
    Count { client_id: String, issued: Option<GrantType>, times: i64 },
    /// The app was deleted.
    Forget { client_id: String },
}

/// A row of usage.
pub(crate) struct UsageRow {
    /// `None`: refusals.
    pub(crate) issued: Option<GrantType>,
    pub(crate) counted: u64,
    pub(crate) last_at: UnixTime,
}

/// A selection of rows of the log.
pub(crate) struct AuditFilter<'a> {
    pub(crate) client_id: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    /// The range of ids.
    pub(crate) ids: ([u8; 16], [u8; 16]),
    pub(crate) since: i64,
    pub(crate) until: i64,
    pub(crate) before: Option<[u8; 16]>,
    pub(crate) limit: usize,
}
