//! The limits that the database itself puts on statements, also on a host's pool.
//!
//! Without them, a statement that waits for a lock outlives its caller, and holds a process of the database.
//! A connection made with `connect_options`, or for a role with these settings, has them from the start. On
//! any other, a statement runs in a transaction that sets them. They end with it, so the host's own statements
//! keep their own limits.

use sqlx::postgres::PgRow;

use super::rows::column;
use crate::store::StoreError;

/// The settings of a connection that suits the store.
pub(super) const SETTINGS: [(&str, &str); 4] = [
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "5s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// Begins a transaction at the isolation level that the statements were written for, with each limit that the
/// connection lacks, in one message.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SELECT set_config(name, value, true) FROM (VALUES ('statement_timeout', '5s'), \
    ('lock_timeout', '5s'), ('idle_in_transaction_session_timeout', '10s')) AS limits (name, value) \
    WHERE current_setting(name) = '0'";

/// Limits the wait for a lock in a script, if the connection does not.
pub(super) const LIMIT_LOCKS: &str =
    "SELECT set_config('lock_timeout', '5s', true) WHERE current_setting('lock_timeout') = '0'; ";

/// The column that tells whether a connection lacks a limit.
pub(super) const UNLIMITED: &str = "(current_setting('lock_timeout') = '0' \
    OR current_setting('statement_timeout') = '0') AS unlimited";

/// Checks whether the connection that read `row` lacks a limit.
pub(super) fn is_unlimited(row: &PgRow) -> Result<bool, StoreError> {
    column(row, "unlimited")
}
