//! The statements. Each change of state is one statement, which decides every race by itself and returns
//! its outcome.
//!
//! At READ COMMITTED, a statement that waited for a row sees its new version, and everything else as it was
//! when the statement began. So the facts that must not be missed are in the locked row: the generation and
//! the end of a grant, the instant of the clock, the withdrawal of a consent. Cutoffs and the state of the
//! app are read beside it, and every later statement compares them with `authorized_at`.
//!
//! * A *new grant* is dated by its caller, before its first check, but not after `now()`, the instant at which
//!   the transaction began, or the one after the latest revocation that the statement sees. Any other
//!   revocation is answered later, at a later instant. `clock_timestamp()` would not do: a statement that
//!   waited for a lock would survive a revocation that was answered meanwhile.
//! * A *revocation* advances the one row of the clock and holds it until its commit, so the feed is written
//!   in the order of its instants.
//!
//! Rows are locked in the order device, grant, clock, revocation, consent. Client ids and subjects of further issuers
//! begin with a tag ([`Names`](crate::store::sql::Names)).

use std::fmt;
use std::time::Duration;

use sqlx::SqlStr;

use super::issuers::Issuers;
use super::limits::UNLIMITED;
use super::pruning::{Prune, prune_all};
use super::roots::Roots;
use super::{app_changes, audit, devices, judging, new_grant, outcome, pending, trusted_issuers};
use crate::store::sql::{reason_code, statement};
use crate::store::{MAX_MISMATCHES, RevocationReason, TablePrefix};

/// The columns of a grant, in the order of [`insert_grant`](Statements::insert_grant).
pub(super) const GRANT_COLUMNS: &str = "grant_id, client_id, subject, actor, scope, resource, \
    device, auth_time, binding, salt_digest, authorized_at, code_expires_at, expires_at, \
    generation, rotated_at, claim, retries, mismatches, revoked_at, revoked_why, flow, \
    confirmation, bound_from, session, evidence, more";

/// The highest number of retries that a row counts.
const MAX_RETRIES: u8 = u8::MAX;

/// The prefix of the tables, and the difference of the clocks of the database's nodes.
pub(super) struct Tables<'a> {
    pub(super) prefix: &'a TablePrefix,
    pub(super) skew: Duration,
}

impl fmt::Display for Tables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)
    }
}

/// The statements with a fixed text.
pub(super) struct Statements {
    pub(super) check: SqlStr,
    pub(super) find_app: SqlStr,
    pub(super) insert_app: SqlStr,
    pub(super) insert_described: SqlStr,
    pub(super) update_app: SqlStr,
    pub(super) delete_app: SqlStr,
    pub(super) apps_version: SqlStr,
    pub(super) present: SqlStr,
    pub(super) list_apps: SqlStr,
    pub(super) unsearched_apps: SqlStr,
    pub(super) fill_searched: SqlStr,
    pub(super) count_self_registered: SqlStr,
    pub(super) insert_grant: SqlStr,
    pub(super) redeem_code: SqlStr,
    pub(super) rotate: SqlStr,
    pub(super) claim_assertion: SqlStr,
    pub(super) claim_with_token: SqlStr,
    pub(super) claim_with_grant: SqlStr,
    pub(super) find_grant: SqlStr,
    pub(super) find_grants: SqlStr,
    pub(super) find_with_void: SqlStr,
    pub(super) list_grants: String,
    pub(super) cut_off: SqlStr,
    pub(super) end_grant: SqlStr,
    pub(super) cut_off_device: SqlStr,
    pub(super) cut_off_session: SqlStr,
    pub(super) cut_off_evidence: SqlStr,
    pub(super) is_revoked: SqlStr,
    pub(super) is_one_revoked: SqlStr,
    pub(super) live_among: SqlStr,
    pub(super) revocations_since: SqlStr,
    pub(super) remember_consent: SqlStr,
    pub(super) find_consent: SqlStr,
    pub(super) list_consents: SqlStr,
    pub(super) withdraw_consent: SqlStr,
    pub(super) prune: [Prune; 3],
    pub(super) erase_consents: SqlStr,
    pub(super) erase_grants: SqlStr,
    pub(super) erase_revocations: SqlStr,
    pub(super) issuers: Issuers,
    pub(super) roots: Roots,
    pub(super) audit: audit::Statements,
    pub(super) devices: devices::Statements,
    pub(super) pending: pending::Statements,
    pub(super) trusted_issuers: trusted_issuers::Statements,
}

impl Statements {
    pub(super) fn new(p: &Tables<'_>) -> Self {
        Self {
            check: statement(format!(
                "SELECT schema_version, CAST(to_jsonb(c) ->> 'revision' AS int4) AS revision, \
                 CAST(to_jsonb(c) ->> 'additions' AS int4) AS additions, \
                 current_setting('transaction_read_only') AS read_only, {UNLIMITED} \
                 FROM {p}clock AS c WHERE id = 1"
            )),
            find_app: statement(seen(p, ", document", "LEFT JOIN {p}apps ON client_id = $1")),
            insert_app: statement(app_changes::insert_app(p)),
            insert_described: statement(app_changes::insert_described(p)),
            update_app: statement(app_changes::update_app(p)),
            delete_app: statement(app_changes::delete_app(p)),
            apps_version: statement(seen(
                p,
                &format!(", counted, {UNLIMITED}"),
                "JOIN {p}app_changes AS changes ON changes.id = 1",
            )),
            present: statement(seen(p, "", "")),
            list_apps: statement(app_changes::list_apps(p)),
            unsearched_apps: statement(app_changes::unsearched_apps(p)),
            fill_searched: statement(app_changes::fill_searched(p)),
            count_self_registered: statement(app_changes::count_self_registered(p)),
            insert_grant: statement(new_grant::insert_grant(p)),
            redeem_code: statement(redeem_code(p)),
            rotate: statement(rotate(p)),
            claim_assertion: statement(new_grant::claim_assertion(p)),
            claim_with_token: statement(new_grant::claim_with_token(p)),
            claim_with_grant: statement(new_grant::claim_with_grant(p)),
            find_grant: statement(find_grants(p, "$1")),
            find_grants: statement(find_grants(p, "ANY($1)")),
            find_with_void: statement(format!(
                "SELECT {GRANT_COLUMNS}, NOT ({}) AS void FROM {p}grants g WHERE grant_id = $1",
                is_valid(p, "g.client_id", "COALESCE(g.device, $3)", "$2")
            )),
            list_grants: format!("SELECT {GRANT_COLUMNS} FROM {p}grants WHERE client_id > "),
            cut_off: statement(format!(
                "WITH tick AS ({}) {} SELECT $1, tick.at, $2, $3 FROM tick {}",
                tick(p, "true"),
                INSERT_REVOCATION.replace("{p}", &p.to_string()),
                REPLACE_REVOCATION
            )),
            end_grant: statement(end_grant(p)),
            cut_off_device: statement(end_many(
                p,
                "client_id = $5 AND subject = $6 AND device = $7",
            )),
            cut_off_session: statement(end_many(
                p,
                "session = $5 AND client_id > $6 AND ($7::text IS NULL OR client_id < $7)",
            )),
            cut_off_evidence: statement(format!(
                "WITH tick AS ({}) {} SELECT $1, tick.at, $2, $3 FROM tick {}",
                tick(p, "true"),
                INSERT_SINCE.replace("{p}", &p.to_string()),
                REPLACE_REVOCATION
            )),
            is_revoked: statement(judging::is_revoked(p)),
            is_one_revoked: statement(judging::is_one_revoked(p)),
            live_among: statement(live_among(p)),
            revocations_since: statement(format!(
                "SELECT {REAL_TIME} AS now, r.target, r.at, r.why, r.until FROM (SELECT 1) AS one \
                 LEFT JOIN (SELECT target, COALESCE(at, since) AS at, why, until \
                     FROM {p}revocations WHERE COALESCE(at, since) > $1 AND {own} = $3 \
                     ORDER BY COALESCE(at, since) LIMIT $2) AS r ON true ORDER BY r.at",
                own = tag(NAMES_OF_TARGET),
            )),
            remember_consent: statement(remember_consent(p)),
            find_consent: statement(format!(
                "SELECT scope, resource, given_at FROM {p}consents \
                 WHERE client_id = $1 AND subject = $2 AND scope IS NOT NULL"
            )),
            list_consents: statement(list_consents(p)),
            withdraw_consent: statement(withdraw_consent(p)),
            prune: prune_all(p),
            erase_consents: statement(format!(
                "DELETE FROM {p}consents WHERE subject = $1 RETURNING 1"
            )),
            erase_grants: statement(erase_grants(p)),
            erase_revocations: statement(erase_revocations(p)),
            issuers: Issuers::new(p),
            roots: Roots::new(p),
            audit: audit::Statements::new(p),
            devices: devices::Statements::new(p),
            pending: pending::Statements::new(p),
            trusted_issuers: trusted_issuers::Statements::new(p),
        }
    }
}

/// Returns a statement that reads the present instant of the store, and `columns` of what is joined.
pub(super) fn seen(p: &Tables<'_>, columns: &str, join: &str) -> String {
    let join = join.replace("{p}", &p.to_string());
    format!("SELECT {PRESENT} AS seen{columns} FROM {p}clock AS clock {join} WHERE clock.id = 1")
}

/// The names in a target, which follow its kind.
const NAMES_OF_TARGET: &str = "substr(target, strpos(target, ':') + 1)";

/// Returns the expression for the tag with which `name` begins.
pub(super) fn tag(name: &str) -> String {
    format!(
        "(CASE ascii({name}) WHEN 10 THEN chr(10) || split_part({name}, chr(10), 2) || chr(10) \
         ELSE '' END)"
    )
}

/// Returns the expression for the target that covers everything of the issuer whose client id is `app`.
pub(super) fn everything(app: &str) -> String {
    format!("(CASE ascii({app}) WHEN 10 THEN '*:' || {} ELSE '*' END)", tag(app))
}

/// The clock of the database, which advances within a statement.
const REAL_TIME: &str = "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)";

/// The present instant of the store: after every revocation that the statement sees, and not after any other.
pub(super) const PRESENT: &str =
    "GREATEST(CAST(floor(extract(epoch FROM now()) * 1000) AS bigint), clock.at + 1)";

const INSERT_REVOCATION: &str = "INSERT INTO {p}revocations AS r (target, at, why, until)";
/// Inserts a target that programs of revision 2 cannot read. Their feed skips rows without `at`.
pub(super) const INSERT_SINCE: &str = "INSERT INTO {p}revocations AS r (target, since, why, until)";

/// A target has one row. Instants only grow, because the clock is locked.
pub(super) const REPLACE_REVOCATION: &str = "ON CONFLICT (target) DO UPDATE \
    SET at = EXCLUDED.at, since = EXCLUDED.since, why = EXCLUDED.why, \
    until = GREATEST(r.until, EXCLUDED.until) RETURNING COALESCE(r.at, r.since) AS at";

/// Returns the statement that advances the clock if `condition` holds, to the instant of a revocation. That
/// is not before the present of any node.
pub(super) fn tick(p: &Tables<'_>, condition: &str) -> String {
    let skew = p.skew.as_millis();
    format!(
        "UPDATE {p}clock SET at = GREATEST({REAL_TIME} + {skew}, {p}clock.at + 1) \
         WHERE id = 1 AND {condition} RETURNING at"
    )
}

/// Returns the predicate on a row `g` of a grant, apart from its own end: its app is enabled and no
/// revocation covers it. `app` is an expression for its client id, `device` one for its device, `target` the
/// parameter with the grant as a target.
//
// Scalar subqueries, because `EXISTS` would become a join that may begin with all apps.
fn is_valid(p: &Tables<'_>, app: &str, device: &str, target: &str) -> String {
    format!(
        "(SELECT a.enabled FROM {p}apps a WHERE a.client_id = {app}) IS TRUE \
         AND (SELECT 1 FROM {p}revocations r \
             WHERE r.target IN ({all}, 'a:' || g.client_id, 's:' || g.subject, \
                 'p:' || g.client_id || chr(10) || g.subject, 'd:' || {tag} || {device}, \
                 'device:' || g.client_id || chr(10) || g.subject || chr(10) || {device}, \
                 'session:' || {tag} || g.session, 'evidence:' || {tag} || g.evidence, {target}) \
             AND (COALESCE(r.at, r.since) >= g.authorized_at OR r.target = {target}) \
             LIMIT 1) IS NULL",
        all = everything("g.client_id"),
        tag = tag("g.client_id"),
    )
}

fn find_grants(p: &Tables<'_>, ids: &str) -> String {
    format!("SELECT {GRANT_COLUMNS} FROM {p}grants WHERE grant_id = {ids}")
}

/// The row `g` that a handle names, by primary key. `IS TRUE` keeps the planner from the index by app.
const IS_NAMED: &str = "g.grant_id = $1 AND (g.client_id = $2) IS TRUE AND g.salt_digest = $3";

/// Returns the common table expressions that enter the end of a grant, if `turned` has ended it.
fn tell(p: &Tables<'_>, ended: &str, target: &str) -> String {
    let tick = tick(p, &format!("EXISTS (SELECT 1 FROM turned WHERE outcome IN ({ended}))"));
    let insert = INSERT_REVOCATION.replace("{p}", &p.to_string());
    format!(
        "tick AS ({tick}), told AS ({insert} \
         SELECT {target}, tick.at, turned.revoked_why, turned.expires_at \
         FROM tick CROSS JOIN turned {REPLACE_REVOCATION})"
    )
}

/// `$1` grant, `$2` app, `$3` salt, `$4` binding, `$5` claim, `$6` now, `$7` the grant as a target, `$8`
/// the key that the request proves, `$9` whether it binds, `$10` its device, `$11` and `$12` the ages between
/// which a polled code is answered again, else NULL.
fn redeem_code(p: &Tables<'_>) -> String {
    let (replayed, guessed) =
        (reason_code(RevocationReason::CodeReplayed), reason_code(RevocationReason::CodeGuessed));
    let (redeemed, mismatch, voided) = (outcome::REDEEMED, outcome::MISMATCH, outcome::VOIDED);
    let (ended, again) = (outcome::REPLAYED, outcome::REPLAYED_AGAIN);
    let is_bound =
        "g.binding = $4 AND (g.confirmation IS NULL OR g.confirmation IS NOT DISTINCT FROM $8)";
    let is_redeemed = format!("g.generation = 0 AND {is_bound}");
    let is_guessed = format!("g.mismatches + 1 >= {MAX_MISMATCHES}");
    let retried = outcome::RETRIED;
    let is_polled = "$11::bigint IS NOT NULL";
    let is_retry = format!(
        "{is_polled} AND g.generation = 1 AND {is_bound} AND g.revoked_at IS NULL \
         AND g.expires_at > $6 AND $6 - g.rotated_at > $11 AND $6 - g.rotated_at < $12"
    );
    format!(
        "WITH turned AS (UPDATE {p}grants AS g SET \
             generation = CASE WHEN {is_redeemed} THEN 1 ELSE g.generation END, \
             rotated_at = CASE WHEN {is_redeemed} THEN $6 ELSE g.rotated_at END, \
             claim = CASE WHEN {is_redeemed} THEN $5 ELSE g.claim END, \
             confirmation = CASE WHEN {is_redeemed} THEN CASE WHEN $9 THEN $8 END \
                 ELSE g.confirmation END, \
             bound_from = CASE WHEN {is_redeemed} THEN NULL ELSE g.bound_from END, \
             device = CASE WHEN {is_redeemed} THEN COALESCE(g.device, $10) ELSE g.device END, \
             mismatches = CASE WHEN g.generation = 0 AND NOT ({is_bound}) \
                 THEN g.mismatches + 1 ELSE g.mismatches END, \
             retries = CASE WHEN {is_retry} THEN LEAST(g.retries + 1, {MAX_RETRIES}) \
                 ELSE g.retries END, \
             revoked_at = CASE WHEN {is_redeemed} OR ({is_retry}) THEN NULL \
                 WHEN g.generation > 0 THEN COALESCE(g.revoked_at, $6) \
                 WHEN {is_guessed} THEN $6 END, \
             revoked_why = CASE WHEN {is_redeemed} OR ({is_retry}) THEN NULL \
                 WHEN g.generation > 0 THEN COALESCE(g.revoked_why, {replayed}) \
                 WHEN {is_guessed} THEN {guessed} END, \
             outcome = CASE WHEN {is_redeemed} THEN {redeemed} WHEN {is_retry} THEN {retried} \
                 WHEN g.generation > 0 AND g.revoked_at IS NULL THEN {ended} \
                 WHEN g.generation > 0 THEN {again} \
                 WHEN {is_guessed} THEN {voided} ELSE {mismatch} END \
             WHERE {IS_NAMED} \
             AND ((g.generation > 0 AND g.binding = $4 AND NOT ({is_polled})) \
                 OR ({is_retry} AND {valid}) OR (g.generation = 0 AND g.revoked_at IS NULL \
                     AND g.code_expires_at > $6 AND g.expires_at > $6 AND {valid})) \
             RETURNING g.outcome, g.revoked_why, g.expires_at), \
         {tell} SELECT outcome FROM turned",
        valid = is_valid(p, "$2", "COALESCE(g.device, $10)", "$7"),
        tell = tell(p, &format!("{ended}, {voided}"), "$7"),
    )
}

/// `$1` grant, `$2` app, `$3` salt, `$4` generation, `$5` claim, `$6` now, `$7` and `$12` the ages between
/// which a retry is answered, `$8` the age at which it has lain idle, `$9` the grant as a target, `$10` the key
/// that the request proves, `$11` whether it binds, `$13` whether a spent generation proves reuse.
///
/// A wrong key matches no row, unless a handle from before the binding proves reuse.
fn rotate(p: &Tables<'_>) -> String {
    let why = reason_code(RevocationReason::RefreshTokenReused);
    let (rotated, retried) = (outcome::ROTATED, outcome::RETRIED);
    let (ahead, reused) = (outcome::AHEAD, outcome::REUSED);
    let is_live = "$4 >= g.generation";
    let is_retry = "$4 + 1 = g.generation AND $6 - g.rotated_at > $7 \
         AND $6 - g.rotated_at < $12";
    let binds = format!("{is_live} AND $11 AND g.confirmation IS NULL AND $10 IS NOT NULL");
    format!(
        "WITH turned AS (UPDATE {p}grants AS g SET \
             generation = CASE WHEN {is_live} THEN $4 + 1 ELSE g.generation END, \
             rotated_at = CASE WHEN {is_live} THEN $6 ELSE g.rotated_at END, \
             claim = CASE WHEN {is_live} THEN $5 ELSE g.claim END, \
             confirmation = CASE WHEN {binds} THEN $10 ELSE g.confirmation END, \
             bound_from = CASE WHEN {binds} THEN $4 + 1 ELSE g.bound_from END, \
             retries = CASE WHEN {is_live} THEN 0 WHEN {is_retry} THEN LEAST(g.retries + 1, {MAX_RETRIES}) \
                 ELSE g.retries END, \
             revoked_at = CASE WHEN {is_live} OR ({is_retry}) THEN NULL ELSE $6 END, \
             revoked_why = CASE WHEN {is_live} OR ({is_retry}) THEN NULL ELSE {why} END, \
             outcome = CASE WHEN $4 > g.generation THEN {ahead} WHEN {is_live} THEN {rotated} \
                 WHEN {is_retry} THEN {retried} ELSE {reused} END \
             WHERE {IS_NAMED} \
             AND g.revoked_at IS NULL AND g.expires_at > $6 \
             AND ($8 IS NULL OR g.generation = 0 OR $6 - g.rotated_at < $8) \
             AND (g.confirmation IS NULL OR g.confirmation IS NOT DISTINCT FROM $10 \
                 OR ($4 < g.bound_from AND NOT ({is_retry}))) \
             AND ($13 OR {is_live} OR ({is_retry})) AND {valid} \
             RETURNING g.outcome, g.retries, g.revoked_why, g.expires_at), \
         {tell} SELECT outcome, retries FROM turned",
        valid = is_valid(p, "$2", "g.device", "$9"),
        tell = tell(p, &reused.to_string(), "$9"),
    )
}

/// `$1` grant, `$2` now, `$3` why, `$4` the grant as a target, `$5` until when, `$6` and `$7` the range of the
/// issuer's client ids. The row is locked before the clock, as when reuse ends a grant.
fn end_grant(p: &Tables<'_>) -> String {
    let insert = INSERT_REVOCATION.replace("{p}", &p.to_string());
    format!(
        "WITH ended AS (UPDATE {p}grants SET revoked_at = $2, revoked_why = $3 \
             WHERE grant_id = $1 AND revoked_at IS NULL \
             AND client_id > $6 AND ($7::text IS NULL OR client_id < $7) RETURNING 1), \
         tick AS ({}) {insert} SELECT $4, tick.at, $3, $5 FROM tick {REPLACE_REVOCATION}",
        tick(p, "(SELECT count(*) FROM ended) >= 0")
    )
}

/// Returns a statement that enters a target and ends the rows that `condition` selects, for programs of
/// revision 2, which do not know the target. `$1` target, `$2` why, `$3` until when, `$4` now.
fn end_many(p: &Tables<'_>, condition: &str) -> String {
    let insert = INSERT_SINCE.replace("{p}", &p.to_string());
    format!(
        "WITH ended AS (UPDATE {p}grants SET revoked_at = $4, revoked_why = $2 \
             WHERE grant_id IN (SELECT grant_id FROM {p}grants \
                 WHERE {condition} AND revoked_at IS NULL ORDER BY grant_id FOR UPDATE) \
             RETURNING 1), \
         tick AS ({}) {insert} SELECT $1, tick.at, $2, $3 FROM tick {REPLACE_REVOCATION}",
        tick(p, "(SELECT count(*) FROM ended) >= 0")
    )
}

/// `$1` grants, `$2` and `$3` the range of the issuer's client ids. The row of a grant shows its own end.
fn live_among(p: &Tables<'_>) -> String {
    format!(
        "SELECT grant_id FROM {p}grants g WHERE grant_id = ANY($1) \
         AND client_id > $2 AND ($3::text IS NULL OR client_id < $3) \
         AND revoked_at IS NULL AND {}",
        is_valid(p, "g.client_id", "g.device", "NULL::text")
    )
}

/// `$1` app, `$2` user, `$3` scope, `$4` when it was given, `$5` the API. A withdrawal that this statement does not see is
/// in the row with which it conflicts.
fn remember_consent(p: &Tables<'_>) -> String {
    format!(
        "INSERT INTO {p}consents AS c (client_id, subject, scope, given_at, resource) \
         SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM {p}revocations \
             WHERE target IN ({all}, 'a:' || $1, 's:' || $2, 'p:' || $1 || chr(10) || $2) \
             AND at >= $4) \
         ON CONFLICT (client_id, subject) DO UPDATE \
             SET scope = EXCLUDED.scope, given_at = EXCLUDED.given_at, \
                 resource = EXCLUDED.resource \
             WHERE c.scope IS NOT NULL OR c.given_at < EXCLUDED.given_at",
        all = everything("$1"),
    )
}

/// `$1` user, `$2` the last client id of the page before, `$3` how many.
fn list_consents(p: &Tables<'_>) -> String {
    format!(
        "SELECT client_id, scope, resource, given_at FROM {p}consents \
         WHERE subject = $1 AND client_id > $2 AND scope IS NOT NULL \
         ORDER BY client_id LIMIT $3"
    )
}

/// `$1` the pair as a target, `$2` why, `$3` until when, `$4` app, `$5` user. The row of the consent stays
/// and states when it was withdrawn, for a concurrent consent.
fn withdraw_consent(p: &Tables<'_>) -> String {
    let insert = INSERT_REVOCATION.replace("{p}", &p.to_string());
    format!(
        "WITH tick AS ({}), \
         cut AS ({insert} SELECT $1, tick.at, $2, $3 FROM tick {REPLACE_REVOCATION}), \
         forgotten AS (INSERT INTO {p}consents (client_id, subject, scope, given_at) \
             SELECT a.client_id, $5, NULL, cut.at FROM cut CROSS JOIN {p}apps AS a \
             WHERE a.client_id = $4 \
             ON CONFLICT (client_id, subject) DO UPDATE \
                 SET scope = NULL, given_at = EXCLUDED.given_at RETURNING 1) \
         SELECT at FROM cut",
        tick(p, "true")
    )
}

/// `$1` user, `$2` the greatest number of rows.
fn erase_grants(p: &Tables<'_>) -> String {
    format!(
        "DELETE FROM {p}grants WHERE grant_id IN (SELECT grant_id FROM {p}grants \
             WHERE subject = $1 ORDER BY grant_id LIMIT $2 FOR UPDATE) RETURNING 1"
    )
}

/// `$1` the plain user, `$2` the instant at which all access as the user was revoked, which covers the removed
/// rows: of the user at one app, or on one device. `$3` the issuer's tag.
fn erase_revocations(p: &Tables<'_>) -> String {
    format!(
        "DELETE FROM {p}revocations WHERE target IN (SELECT target FROM {p}revocations \
             WHERE (target >= 'p:' AND target < 'p;' OR target >= 'device:' AND target < 'device;') \
             AND {own} = $3 AND split_part(replace(target, $3, ''), chr(10), 2) = $1 \
             AND COALESCE(at, since) <= $2 ORDER BY target FOR UPDATE)",
        own = tag(NAMES_OF_TARGET),
    )
}
