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

/// The number of an app's counts on one day.
pub(crate) struct DayRow {
    /// The number of days since 1970.
    pub(crate) day: i64,
    /// `None`: refusals.
    pub(crate) issued: Option<GrantType>,
    pub(crate) counted: u64,
}

/// The counts over all time, and those of days.
pub(crate) type HistoryRows = (Vec<UsageRow>, Vec<DayRow>);

/// Returns the number of whole days between 1970 and an instant in milliseconds, in UTC.
pub(crate) const fn day_of(millis: i64) -> i64 {
    millis.div_euclid(DAY_MILLIS)
}

/// The length of a day.
pub(crate) const DAY_MILLIS: i64 = 86_400_000;

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
