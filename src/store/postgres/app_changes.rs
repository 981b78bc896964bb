//! The statements that change apps, and the count of those that registered themselves.

use super::statements::Tables;

/// The origin of an app, as its index expresses it; NULL for one that an administrator registered.
pub(super) const ORIGIN: &str = "(CAST(document AS jsonb) ->> 'origin')";

/// A condition that every app meets. The index for searches has it, so that no statement without it uses that index
/// instead of the primary key.
pub(super) const IS_SEARCHED: &str = "octet_length(client_id) > 0";

/// As [`insert_described`], and counts the app.
pub(super) fn insert_app(p: &Tables<'_>) -> String {
    counted(p, &insert_described(p), None)
}

/// `$1` client id, `$2` enabled, `$3` version, `$4` the record, `$5` the folded text, `$6` the marks.
pub(super) fn insert_described(p: &Tables<'_>) -> String {
    format!(
        "INSERT INTO {p}apps \
             (client_id, enabled, version, document, folded, marks, folded_version) \
         VALUES ($1, $2, $3, $4, $5, $6, $3) ON CONFLICT (client_id) DO NOTHING RETURNING 1"
    )
}

/// As [`insert_described`], and `$7` the expected version.
pub(super) fn update_app(p: &Tables<'_>) -> String {
    let update = format!(
        "UPDATE {p}apps SET enabled = $2, version = $3, document = $4, \
             folded = $5, marks = $6, folded_version = $3 \
         WHERE client_id = $1 AND version = $7 RETURNING 1"
    );
    counted(p, &update, Some("$7"))
}

/// `$1` client id, `$2` the expected version.
pub(super) fn delete_app(p: &Tables<'_>) -> String {
    let delete = format!("DELETE FROM {p}apps WHERE client_id = $1 AND version = $2 RETURNING 1");
    counted(p, &delete, Some("$2"))
}

/// `$1` a text before the names, `$2` enabled, `$3` the largest answer, `$4` a text after the names or NULL, `$5` the
/// folded text, `$6` the marks that are compared, `$7` those of them that the app has. The inner statement reads the
/// index for searches only, and the rows of apps that an earlier program has written.
pub(super) fn list_apps(p: &Tables<'_>) -> String {
    format!(
        "SELECT document FROM {p}apps WHERE client_id = ANY(ARRAY(\
             SELECT s.client_id FROM {p}apps s \
             WHERE {IS_SEARCHED} AND s.client_id > $1 AND ($4::text IS NULL OR s.client_id < $4) \
             AND CASE WHEN s.folded_version = s.version THEN s.marks & $6 = $7 \
                 AND ($5::text IS NULL OR s.folded IS NULL OR strpos(s.folded, $5) > 0) \
                 ELSE $2::bool IS NULL \
                 OR (SELECT a.enabled FROM {p}apps a WHERE a.client_id = s.client_id) = $2 END \
             ORDER BY s.client_id LIMIT $3)) ORDER BY client_id"
    )
}

/// `$1` a client id as the table has it, `$2` the largest answer.
pub(super) fn unsearched_apps(p: &Tables<'_>) -> String {
    format!(
        "SELECT client_id, version, document FROM {p}apps \
         WHERE client_id > $1 AND folded_version IS DISTINCT FROM version \
         ORDER BY client_id LIMIT $2"
    )
}

/// Arrays: `$1` client ids, `$2` versions, `$3` folded texts, `$4` marks.
pub(super) fn fill_searched(p: &Tables<'_>) -> String {
    format!(
        "UPDATE {p}apps AS a SET folded = n.folded, marks = n.marks, folded_version = n.version \
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) \
             AS n (client_id, version, folded, marks) \
         WHERE a.client_id = n.client_id AND a.version = n.version"
    )
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
