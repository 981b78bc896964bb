//! The statements that remove inert rows.

use sqlx::SqlStr;

use super::statements::Tables;
use crate::store::sql::statement;

/// The statements that remove inert rows of one table, and that look for more.
pub(super) struct Prune {
    pub(super) remove: SqlStr,
    pub(super) is_left: SqlStr,
}

/// Returns the statements for the three tables with rows that become inert.
pub(super) fn prune_all(p: &Tables<'_>) -> [Prune; 3] {
    [
        prune(&format!("{p}assertions"), "jti, purpose, client_id", "expires_at"),
        prune_grants(p),
        prune(&format!("{p}revocations"), "target", "until"),
    ]
}

/// Prunes as [`prune`] does, and keeps the redeemed grants among the due rows until they expire. A
/// redemption leaves that to this statement, because it would have to write every index of the row.
fn prune_grants(p: &Tables<'_>) -> Prune {
    let ends = "COALESCE(ends_at, expires_at)";
    Prune {
        remove: statement(format!(
            "WITH due AS (SELECT grant_id, generation, expires_at FROM {p}grants \
                 WHERE {ends} <= $1 ORDER BY {ends} LIMIT $2 FOR UPDATE SKIP LOCKED), \
             kept AS (UPDATE {p}grants SET ends_at = expires_at WHERE grant_id IN \
                 (SELECT grant_id FROM due WHERE generation > 0 AND expires_at > $1) \
                 RETURNING 1), \
             gone AS (DELETE FROM {p}grants WHERE grant_id IN \
                 (SELECT grant_id FROM due WHERE generation = 0 OR expires_at <= $1) \
                 RETURNING 1) \
             SELECT (SELECT count(*) FROM kept) AS kept, (SELECT count(*) FROM gone) AS gone"
        )),
        is_left: statement(format!(
            "SELECT EXISTS (SELECT 1 FROM {p}grants WHERE {ends} <= $1 \
                 AND (generation = 0 OR expires_at <= $1)) AS is_left"
        )),
    }
}

/// `$1` the instant, `$2` the greatest number of rows. Rows that others have locked wait for the next batch.
pub(super) fn prune(table: &str, key: &str, end: &str) -> Prune {
    Prune {
        remove: statement(format!(
            "WITH inert AS (SELECT {key} FROM {table} \
                 WHERE {end} <= $1 ORDER BY {end} LIMIT $2 FOR UPDATE SKIP LOCKED), \
             gone AS (DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM inert) RETURNING 1) \
             SELECT CAST(0 AS bigint) AS kept, (SELECT count(*) FROM gone) AS gone"
        )),
        is_left: statement(format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE {end} <= $1) AS is_left"
        )),
    }
}
