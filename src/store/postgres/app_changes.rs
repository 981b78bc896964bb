//! The statements that change apps, and the count of those that registered themselves.

use super::statements::Tables;

/// The origin of an app, as its index expresses it; NULL for one that an administrator registered.
pub(super) const ORIGIN: &str = "(CAST(document AS jsonb) ->> 'origin')";

/// As [`insert_described`], and counts the app.
pub(super) fn insert_app(p: &Tables<'_>) -> String {
    counted(p, &insert_described(p), None)
}

/// `$1` client id, `$2` enabled, `$3` version, `$4` the record.
pub(super) fn insert_described(p: &Tables<'_>) -> String {
    format!(
        "INSERT INTO {p}apps (client_id, enabled, version, document) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (client_id) DO NOTHING RETURNING 1"
    )
}

/// `$1` client id, `$2` enabled, `$3` version, `$4` the record, `$5` the expected version.
pub(super) fn update_app(p: &Tables<'_>) -> String {
    let update = format!(
        "UPDATE {p}apps SET enabled = $2, version = $3, document = $4 \
         WHERE client_id = $1 AND version = $5 RETURNING 1"
    );
    counted(p, &update, Some("$5"))
}

/// `$1` client id, `$2` the expected version.
pub(super) fn delete_app(p: &Tables<'_>) -> String {
    let delete = format!("DELETE FROM {p}apps WHERE client_id = $1 AND version = $2 RETURNING 1");
    counted(p, &delete, Some("$2"))
}

/// `$1` a text before all names of the issuer, `$2` one after all of them or NULL, `$3` the largest answer.
pub(super) fn count_self_registered(p: &Tables<'_>) -> String {
    format!(
        "SELECT count(*) AS apps FROM (SELECT 1 FROM {p}apps WHERE {ORIGIN} = 'self_registered' \
             AND client_id > $1 AND ($2::text IS NULL OR client_id < $2) LIMIT $3) AS own"
    )
}

/// Returns a statement that changes an app and counts the change. `$1` is its client id. An app that described itself
/// at the version `before` is not counted: the statement sees it as it was, because a version never comes again.
fn counted(p: &Tables<'_>, change: &str, before: Option<&str>) -> String {
    let is_counted = before.map_or_else(String::new, |version| {
        format!(
            " AND NOT EXISTS (SELECT 1 FROM {p}apps WHERE client_id = $1 AND version = {version} \
                 AND {ORIGIN} IN ('self_registered', 'document'))"
        )
    });
    format!(
        "WITH changed AS ({change}), \
         counted AS (UPDATE {p}app_changes SET counted = counted + 1 \
             WHERE id = 1 AND ascii($1) <> 10 AND EXISTS (SELECT 1 FROM changed){is_counted}), \
         counted_of AS (UPDATE {p}issuers SET app_changes = app_changes + 1 \
             WHERE id = CASE ascii($1) WHEN 10 THEN CAST(split_part($1, chr(10), 2) AS int4) END \
             AND EXISTS (SELECT 1 FROM changed){is_counted}) \
         SELECT 1 FROM changed"
    )
}
