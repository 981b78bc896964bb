//! The statements of the store.
//!
//! The parameters of a statement are numbered; the code that binds them shows what they are.
//!
//! Client ids and subjects of further issuers begin with a tag ([`Names`](crate::store::sql::Names)).

use sqlx::SqlStr;

use crate::store::TablePrefix;
use crate::store::sql::{DEVICE_COLUMNS, FIRST_OF_GRANT, statement};

/// Whether something outside the row ends the grant `g`: its app is disabled or deleted, or a cutoff covers
/// it. One probe per target costs half as much as a list.
const VOID: &str = "\
(NOT EXISTS (SELECT 1 FROM {p}apps AS a WHERE a.client_id = g.client_id AND a.enabled = 1)
 OR EXISTS (SELECT 1 FROM {p}revocations AS r WHERE r.target = {all_g} AND r.at >= g.authorized_at)
 OR EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 'a:' || g.client_id AND r.at >= g.authorized_at)
 OR EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 's:' || g.subject AND r.at >= g.authorized_at)
 OR EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 'p:' || g.client_id || char(10) || g.subject AND r.at >= g.authorized_at)
 OR EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 'd:' || {tag_g} || g.device AND r.at >= g.authorized_at)
 OR EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 'device:' || g.client_id || char(10) || g.subject || char(10) || g.device
        AND r.since >= g.authorized_at)
 OR (g.more IS NOT NULL AND (EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 'session:' || {tag_g} || {session} AND r.since >= g.authorized_at)
   OR EXISTS (SELECT 1 FROM {p}revocations AS r
      WHERE r.target = 'evidence:' || {tag_g} || {evidence} AND r.since >= g.authorized_at))))";

/// Whether a cutoff covers a date: ?1 the date, ?2 app, ?3 user, ?4 device, ?5 session, ?6 evidence issuer.
const COVERED: &str = "\
(EXISTS (SELECT 1 FROM {p}revocations WHERE target = {all_2} AND at >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = 'a:' || ?2 AND at >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = 's:' || ?3 AND at >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = 'p:' || ?2 || char(10) || ?3 AND at >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = 'd:' || {tag_2} || ?4 AND at >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations
    WHERE target = 'device:' || ?2 || char(10) || ?3 || char(10) || ?4 AND since >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = 'session:' || {tag_2} || ?5 AND since >= ?1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = 'evidence:' || {tag_2} || ?6 AND since >= ?1))";

/// Whether a token itself is void. Takes, after the parameters of [`COVERED`], the grant as a target and its id.
const REVOKED: &str = "\
(NOT EXISTS (SELECT 1 FROM {p}apps WHERE client_id = ?2 AND enabled = 1)
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE target = ?7) OR {covered}
  OR EXISTS (SELECT 1 FROM {p}grants WHERE grant_id = ?8 AND revoked_at IS NOT NULL))";

/// The columns of the facts `f` that take the place of the parameters of [`REVOKED`].
const FACTS: [(&str, &str); 8] = [
    ("?1", "f.at"),
    ("?2", "f.app"),
    ("?3", "f.subject"),
    ("?4", "f.device"),
    ("?5", "f.session"),
    ("?6", "f.evidence"),
    ("?7", "f.target"),
    ("?8", "f.grant_id"),
];

/// The device of the grant `g`, or else that of the parameter.
const DEVICE_2: &str = "COALESCE(g.device, ?2)";
const DEVICE_7: &str = "COALESCE(g.device, ?7)";
/// The session of the grant `g`, as its index expresses it.
const SESSION: &str = "(g.more ->> '$.circumstances.session')";
const EVIDENCE: &str = "(g.more ->> '$.circumstances.evidence_issuer')";
/// Whether the grant `g` is bound to no key. The rule of the contract handles bound grants.
const UNBOUND: &str = "(g.more IS NULL OR g.more ->> '$.confirmation' IS NULL)";

const ROTATE_MANY: &str = "\
UPDATE {p}grants AS g
SET generation = g.generation + 1, rotated_at = n.now, claim = n.claim, retries = 0, room = NULL
FROM (SELECT substr(?1, 1 + 16 * key, 16) AS grant_id, substr(?2, 1 + 32 * key, 32) AS salt_digest,
    value ->> 0 AS client_id, value ->> 1 AS generation, value ->> 2 AS now, value ->> 3 AS claim,
    value ->> 4 AS idle FROM json_each(?3)) AS n
WHERE g.grant_id = n.grant_id AND g.client_id = n.client_id AND g.salt_digest = n.salt_digest
  AND g.generation = n.generation AND g.revoked_at IS NULL AND g.expires_at > n.now
  AND (n.idle IS NULL OR n.now - g.rotated_at < n.idle) AND {unbound} AND NOT {void}";

/// The columns of a grant.
const GRANT: &str = "g.grant_id, g.client_id, g.subject, g.actor, g.scope, g.resource, g.device, \
g.auth_time, g.binding, g.salt_digest, g.authorized_at, g.code_expires_at, g.expires_at, \
g.generation, g.rotated_at, g.claim, g.retries, g.mismatches, g.revoked_at, g.revoked_why, g.more";

/// The names in a target, which follow its kind.
const NAMES_OF_TARGET: &str = "substr(target, instr(target, ':') + 1)";

/// Returns [`REVOKED`] for the columns of the facts `f`.
fn revoked_of_facts() -> String {
    let revoked = REVOKED.replace("{covered}", COVERED);
    let revoked = revoked.replace("{all_2}", &everything("?2")).replace("{tag_2}", &tag("?2"));
    FACTS.iter().fold(revoked, |sql, (parameter, column)| sql.replace(parameter, column))
}

/// Returns the expression for the tag with which `name` begins.
fn tag(name: &str) -> String {
    format!(
        "(CASE unicode({name}) WHEN 10 THEN substr({name}, 1, instr(substr({name}, 2), char(10)) + 1) \
         ELSE '' END)"
    )
}

/// Returns the expression for the target that covers everything of the issuer whose client id is `app`.
fn everything(app: &str) -> String {
    format!("(CASE unicode({app}) WHEN 10 THEN '*:' || {} ELSE '*' END)", tag(app))
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        /// Every statement of the store.
        pub(super) struct Statements {
            $($(#[$doc])* pub(super) $name: SqlStr,)*
        }

        impl Statements {
            /// Creates the statements for tables with the prefix.
            pub(super) fn new(prefix: &TablePrefix) -> Self {
                let prefix = prefix.without_schema();
                let fill = |sql: &str| {
                    let sql = sql.replace("{many}", ROTATE_MANY);
                    let sql = sql.replace("{void_7}", &VOID.replace("g.device", DEVICE_7));
                    let sql = sql.replace("{void_2}", &VOID.replace("g.device", DEVICE_2));
                    let sql = sql.replace("{void}", VOID).replace("{grant}", GRANT);
                    let sql = sql.replace("{device}", DEVICE_COLUMNS);
                    let sql = sql.replace("{first_of_grant}", FIRST_OF_GRANT);
                    let sql = sql.replace("{revoked_f}", &revoked_of_facts());
                    let sql = sql.replace("{revoked}", REVOKED).replace("{covered}", COVERED);
                    let sql = sql.replace("{unbound}", UNBOUND).replace("{session}", SESSION);
                    let sql = sql.replace("{evidence}", EVIDENCE);
                    let sql = sql.replace("{all_g}", &everything("g.client_id"));
                    let sql = sql.replace("{tag_g}", &tag("g.client_id"));
                    let sql = sql.replace("{all_1}", &everything("?1"));
                    let sql = sql.replace("{all_2}", &everything("?2"));
                    let sql = sql.replace("{tag_2}", &tag("?2"));
                    let sql = sql.replace("{tag_target}", &tag(NAMES_OF_TARGET));
                    statement(sql.replace("{p}", prefix))
                };
                Self { $($name: fill($sql),)* }
            }
        }
    };
}

statements! {
    load_clock = "SELECT clock, entered FROM {p}meta WHERE id = 1";
    keep_clock = "UPDATE {p}meta SET clock = max(clock, ?1), entered = ?2 WHERE id = 1";
    touch = "UPDATE {p}meta SET clock = clock WHERE id = 1";

    find_app = "\
SELECT record, (SELECT clock FROM {p}meta WHERE id = 1) AS clock FROM {p}apps WHERE client_id = ?1";
    insert_app = "\
INSERT INTO {p}apps (client_id, version, enabled, record, folded, marks, folded_version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?2) ON CONFLICT (client_id) DO NOTHING";
    update_app = "\
UPDATE {p}apps SET version = ?2, enabled = ?3, record = ?4, folded = ?5, marks = ?6, folded_version = ?2
WHERE client_id = ?1 AND version = ?7";
    delete_app = "DELETE FROM {p}apps WHERE client_id = ?1 AND version = ?2";
    /// Whether the app described itself at this version.
    was_described = "\
SELECT 1 FROM {p}apps WHERE client_id = ?1 AND version = ?2
  AND record ->> '$.origin' IN ('self_registered', 'document')";
    count_self_registered = "\
SELECT count(*) AS apps FROM (SELECT 1 FROM {p}apps WHERE record ->> '$.origin' = 'self_registered'
  AND record ->> '$.origin' IS NOT NULL AND client_id > ?1 AND (?2 IS NULL OR client_id < ?2) LIMIT ?3)";
    count_app = "UPDATE {p}meta SET apps = apps + 1 WHERE id = 1";
    count_app_of = "UPDATE {p}issuers SET app_changes = app_changes + 1 WHERE id = ?1";
    apps_version = "SELECT apps, clock FROM {p}meta WHERE id = 1";
    apps_version_of = "\
SELECT i.app_changes AS apps, m.clock FROM {p}issuers AS i, {p}meta AS m WHERE i.id = ?1 AND m.id = 1";
    /// Takes the names as a JSON array.
    find_issuers = "\
SELECT id, issuer FROM {p}issuers WHERE issuer IN (SELECT value FROM json_each(?1))";
    insert_issuer = "\
INSERT INTO {p}issuers (id, issuer, app_changes) SELECT COALESCE(max(id), 0) + 1, ?1, 0
FROM {p}issuers WHERE true ON CONFLICT (issuer) DO NOTHING";
    delete_consents_of_app = "DELETE FROM {p}consents WHERE client_id = ?1";
    /// ?1 and ?4 enclose the names of the issuer, ?2 enabled, ?3 the largest answer, ?5 a pattern for the folded
    /// text, ?6 the marks that are compared, ?7 those of them that the app has. The inner statement reads the index only,
    /// apart from apps of an earlier program. The pattern comes first, because few apps match it: SQLite
    /// goes from left to right.
    list_apps = "\
SELECT record FROM {p}apps WHERE client_id IN (
  SELECT s.client_id FROM {p}apps AS s INDEXED BY {p}apps_search
  WHERE s.client_id > ?1 AND (?4 IS NULL OR s.client_id < ?4) AND (
    (s.folded GLOB ?5 OR ?5 IS NULL OR s.folded IS NULL) AND s.marks & ?6 = ?7 AND s.folded_version = s.version
    OR s.folded_version IS NOT s.version
      AND (?2 IS NULL OR (SELECT a.enabled FROM {p}apps AS a WHERE a.client_id = s.client_id) = ?2))
  ORDER BY s.client_id LIMIT ?3) ORDER BY client_id";
    unsearched_apps = "\
SELECT client_id, version, record FROM {p}apps INDEXED BY {p}apps_search
WHERE client_id > ?1 AND folded_version IS NOT version ORDER BY client_id LIMIT ?2";
    fill_searched = "\
UPDATE {p}apps SET folded = ?3, marks = ?4, folded_version = version WHERE client_id = ?1 AND version = ?2";

    /// The state on which a new grant depends.
    ground = "\
SELECT EXISTS (SELECT 1 FROM {p}apps WHERE client_id = ?1 AND enabled = 1) AS is_active,
  EXISTS (SELECT 1 FROM {p}grants WHERE grant_id = ?2) AS is_taken,
  (SELECT at FROM {p}revocations WHERE target = ?3) AS ended_at,
  (SELECT why FROM {p}revocations WHERE target = ?3) AS ended_why";
    insert_grant = "\
INSERT INTO {p}grants (grant_id, client_id, subject, subject_key, actor, scope, resource, device,
  auth_time, binding, salt_digest, authorized_at, code_expires_at, expires_at, generation,
  rotated_at, claim, retries, mismatches, revoked_at, revoked_why, room, more, ends_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
  ?21, zeroblob(?22), ?23, ?24)";
    redeem = "\
UPDATE {p}grants AS g SET generation = 1, rotated_at = ?5, claim = ?6, room = NULL,
  device = COALESCE(g.device, ?7)
WHERE g.grant_id = ?1 AND g.client_id = ?2 AND g.salt_digest = ?3 AND g.binding = ?4
  AND g.generation = 0 AND g.revoked_at IS NULL AND g.code_expires_at > ?5 AND g.expires_at > ?5
  AND {unbound} AND NOT {void_7}";
    rotate = "\
UPDATE {p}grants AS g
SET generation = g.generation + 1, rotated_at = ?5, claim = ?6, retries = 0, room = NULL
WHERE g.grant_id = ?1 AND g.client_id = ?2 AND g.salt_digest = ?3 AND g.generation = ?4
  AND g.revoked_at IS NULL AND g.expires_at > ?5 AND (?7 IS NULL OR ?5 - g.rotated_at < ?7)
  AND {unbound} AND NOT {void}";
    /// Rotates many, as [`rotate`](Self::rotate). Takes their ids, their salts, and the rest as JSON.
    rotate_many = ROTATE_MANY;
    /// The same, and returns their ids.
    rotate_some = "{many} RETURNING grant_id";
    /// A grant, and whether it is void, on the device ?2 if it has none.
    judge_grant = "SELECT {grant}, {void_2} AS is_void FROM {p}grants AS g WHERE g.grant_id = ?1";
    change_grant = "\
UPDATE {p}grants SET generation = ?2, rotated_at = ?3, claim = ?4, retries = ?5, mismatches = ?6,
  revoked_at = ?7, revoked_why = ?8, room = CASE WHEN ?4 = 0 THEN room END, more = ?9,
  device = ?10
WHERE grant_id = ?1";
    revoke_grant = "\
UPDATE {p}grants SET revoked_at = ?2, revoked_why = ?3 WHERE grant_id = ?1 AND revoked_at IS NULL
  AND client_id > ?4 AND (?5 IS NULL OR client_id < ?5)";
    /// Ends rows for programs of revision 2, which do not know the target.
    revoke_device = "\
UPDATE {p}grants SET revoked_at = ?1, revoked_why = ?2
WHERE revoked_at IS NULL AND client_id = ?3 AND subject_key = ?4 AND subject = ?5 AND device = ?6";
    revoke_session = "\
UPDATE {p}grants AS g SET revoked_at = ?1, revoked_why = ?2
WHERE g.revoked_at IS NULL AND {session} = ?3
  AND g.client_id > ?4 AND (?5 IS NULL OR g.client_id < ?5)";
    find_grant = "SELECT {grant} FROM {p}grants AS g WHERE g.grant_id = ?1";
    list_grants = "\
SELECT {grant} FROM {p}grants AS g WHERE g.grant_id > ?1
  AND g.client_id > ?7 AND (?8 IS NULL OR g.client_id < ?8)
  AND (?2 IS NULL OR g.client_id = ?2) AND (?3 IS NULL OR g.device = ?3)
  AND (?4 IS NULL OR (g.revoked_at IS NULL AND g.expires_at > ?4))
  AND (?6 IS NULL OR {session} = ?6) ORDER BY g.grant_id LIMIT ?5";
    list_grants_of_app = "\
SELECT {grant} FROM {p}grants AS g WHERE substr(g.client_id, -4) = substr(?2, -4)
  AND g.grant_id > ?1 AND g.client_id = ?2 AND (?3 IS NULL OR g.device = ?3)
  AND (?4 IS NULL OR (g.revoked_at IS NULL AND g.expires_at > ?4))
  AND (?6 IS NULL OR {session} = ?6) ORDER BY g.grant_id LIMIT ?5";
    list_grants_of_subject = "\
SELECT {grant} FROM {p}grants AS g WHERE g.grant_id > ?1
  AND (?2 IS NULL OR g.client_id = ?2) AND (?3 IS NULL OR g.device = ?3)
  AND (?4 IS NULL OR (g.revoked_at IS NULL AND g.expires_at > ?4))
  AND (?6 IS NULL OR {session} = ?6)
  AND g.subject_key = ?7 AND g.subject = ?8 ORDER BY g.grant_id LIMIT ?5";

    find_assertion = "\
SELECT EXISTS (SELECT 1 FROM {p}apps WHERE client_id = ?1 AND enabled = 1) AS is_active,
  EXISTS (SELECT 1 FROM {p}assertions
    WHERE jti = ?3 AND client_id = ?1 AND purpose = ?2 AND expires_at >= ?4) AS is_spent";
    spend_assertion = "\
INSERT INTO {p}assertions (client_id, purpose, jti, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (jti, client_id, purpose) DO UPDATE SET expires_at = excluded.expires_at";

    enter_revocation = "\
INSERT INTO {p}revocations (target, at, tie, why, until, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (target) DO UPDATE SET at = excluded.at, tie = excluded.tie, why = excluded.why,
  until = max(until, excluded.until), since = excluded.since";
    is_covered = "SELECT {covered} AS is_covered";
    is_revoked = "SELECT {revoked} AS is_revoked";
    /// Judges a token and its parents, each an array of JSON with the parameters of `{revoked}`; the id is in
    /// hexadecimal.
    is_one_revoked = "\
SELECT EXISTS (SELECT 1 FROM (SELECT value ->> 0 AS at, value ->> 1 AS app, value ->> 2 AS subject,
    value ->> 3 AS device, value ->> 4 AS session, value ->> 5 AS evidence, value ->> 6 AS target,
    unhex(value ->> 7) AS grant_id FROM json_each(?1)) AS f
  WHERE {revoked_f}) AS is_revoked";
    /// Takes the ids in hexadecimal as a JSON array.
    live_among = "\
SELECT g.grant_id FROM {p}grants AS g
WHERE g.grant_id IN (SELECT unhex(value) FROM json_each(?1))
  AND g.client_id > ?2 AND (?3 IS NULL OR g.client_id < ?3)
  AND g.revoked_at IS NULL AND NOT {void}";
    read_feed = "\
SELECT target, COALESCE(at, since) AS at, tie, why, until FROM {p}revocations
WHERE COALESCE(at, since) >= ?1 AND (COALESCE(at, since), tie) > (?1, ?2)
  AND {tag_target} = ?4
ORDER BY COALESCE(at, since), tie LIMIT ?3";

    remember_consent = "\
INSERT INTO {p}consents (client_id, subject, scope, given_at, resource) SELECT ?1, ?2, ?3, ?4, ?5
WHERE NOT EXISTS (SELECT 1 FROM {p}revocations WHERE target = {all_1} AND at >= ?4)
  AND NOT EXISTS (SELECT 1 FROM {p}revocations WHERE target = 'a:' || ?1 AND at >= ?4)
  AND NOT EXISTS (SELECT 1 FROM {p}revocations WHERE target = 's:' || ?2 AND at >= ?4)
  AND NOT EXISTS (SELECT 1 FROM {p}revocations
    WHERE target = 'p:' || ?1 || char(10) || ?2 AND at >= ?4)
ON CONFLICT (client_id, subject) DO UPDATE SET scope = excluded.scope, given_at = excluded.given_at,
  resource = excluded.resource";
    find_consent = "SELECT scope, given_at, resource FROM {p}consents WHERE client_id = ?1 AND subject = ?2";
    list_consents = "\
SELECT client_id, scope, given_at, resource FROM {p}consents
WHERE subject = ?1 AND client_id > ?2 ORDER BY client_id LIMIT ?3";
    delete_consent = "DELETE FROM {p}consents WHERE client_id = ?1 AND subject = ?2";

    erase_consents = "DELETE FROM {p}consents WHERE subject = ?1";
    /// Removes cutoffs of the user at one app. The cutoff of the user covers them. ?1 the plain user, ?2 the tag.
    erase_revocations = "\
DELETE FROM {p}revocations
WHERE target >= 'p:' || ?2 AND target < 'p;' AND {tag_target} = ?2
  AND substr(replace(target, ?2, ''), instr(replace(target, ?2, ''), char(10)) + 1) = ?1";
    /// Removes cutoffs of the user's devices, likewise.
    erase_device_revocations = "\
DELETE FROM {p}revocations
WHERE target >= 'device:' || ?2 AND target < 'device;' AND {tag_target} = ?2
  AND instr(substr(replace(target, ?2, ''), instr(replace(target, ?2, ''), char(10)) + 1),
    ?1 || char(10)) = 1";
    find_erasable = "\
SELECT id, grant_id, authorized_at, expires_at FROM {p}grants
WHERE subject_key = ?1 AND subject = ?2 AND authorized_at <= ?3 LIMIT ?4";
    erase_grant = "DELETE FROM {p}grants WHERE id = ?1";

    /// Takes many rows as a JSON array of arrays.
    append_audit = "\
INSERT INTO {p}audit (event_id, at, client_id, subject, severity, event, issuer)
SELECT unhex(json_extract(value, '$[0]')), json_extract(value, '$[1]'),
  json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]'),
  json_extract(value, '$[5]'), ?2 FROM json_each(?1) WHERE true
ON CONFLICT (event_id) DO NOTHING RETURNING event_id";
    /// Takes many rows as a JSON array of arrays.
    count_usage = "\
INSERT INTO {p}usage (client_id, kind, counted, last_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
ON CONFLICT (client_id, kind) DO UPDATE SET counted = counted + excluded.counted,
  last_at = max(last_at, excluded.last_at)";
    /// Likewise.
    count_days = "\
INSERT INTO {p}usage_days (client_id, day, kind, counted)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
ON CONFLICT (client_id, day, kind) DO UPDATE SET counted = counted + excluded.counted";
    forget_usage = "DELETE FROM {p}usage WHERE client_id = ?1";
    forget_days = "DELETE FROM {p}usage_days WHERE client_id = ?1";
    /// Takes the apps as a JSON array.
    find_usage = "\
SELECT client_id, kind, counted, last_at FROM {p}usage
WHERE client_id IN (SELECT value FROM json_each(?1))";
    /// The usage over all time, and then by day.
    find_history = "\
SELECT NULL AS day, kind, counted, last_at FROM {p}usage WHERE client_id = ?1
UNION ALL SELECT day, kind, counted, 0 FROM {p}usage_days
WHERE client_id = ?1 AND day >= ?2 AND day <= ?3";
    find_audit = "\
SELECT event_id, at, client_id, subject, severity, event FROM {p}audit WHERE ";
    prune_audit = "\
DELETE FROM {p}audit WHERE id IN (SELECT id
  FROM {p}audit WHERE event_id < ?1 AND issuer IS ?3 ORDER BY event_id LIMIT ?2)";
    /// After the day and the limit, the range of the issuer's client ids.
    prune_days = "\
DELETE FROM {p}usage_days WHERE (client_id, day, kind) IN (SELECT client_id, day, kind
  FROM {p}usage_days WHERE day < ?1 AND client_id > ?3 AND (?4 IS NULL OR client_id < ?4)
  ORDER BY day LIMIT ?2)";
    has_old_audit = "\
SELECT EXISTS (SELECT 1 FROM {p}audit WHERE event_id < ?1 AND issuer IS ?2)
  OR EXISTS (SELECT 1 FROM {p}usage_days
    WHERE day < ?3 AND client_id > ?4 AND (?5 IS NULL OR client_id < ?5)) AS has_old";
    erase_audit = "\
DELETE FROM {p}audit WHERE id IN (SELECT id FROM {p}audit WHERE subject = ?1 LIMIT ?2)";

    /// The key of a device is ?1 app, ?2 user, ?3 device. A device that is to be wiped is left as it is.
    see_device = "\
INSERT INTO {p}devices (client_id, subject, device, name, first_seen, last_seen, wipe, grant_id,
  salt_digest, keep_until, installed_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, ?6, ?7, ?8, ?9)
ON CONFLICT (client_id, subject, device) DO UPDATE SET name = COALESCE(excluded.name, name),
  last_seen = max(last_seen, excluded.last_seen), installed_at = CASE wipe
    WHEN 0 THEN min(installed_at, excluded.installed_at) ELSE excluded.installed_at END, policy = CASE wipe WHEN 0 THEN policy END,
  wipe = 0, ordered_at = NULL, ordered_by = NULL, wiped_at = NULL, grant_id = excluded.grant_id,
  salt_digest = excluded.salt_digest, keep_until = max(keep_until, excluded.keep_until)
WHERE wipe NOT IN (1, 2)";
    /// Removes the other devices of the user that were seen longest ago, beyond ?4.
    crowd_out_devices = "\
DELETE FROM {p}devices WHERE client_id = ?1 AND subject = ?2 AND device IN (
  SELECT device FROM {p}devices
  WHERE client_id = ?1 AND subject = ?2 AND device <> ?3 AND wipe NOT IN (1, 2)
  ORDER BY last_seen DESC, device DESC LIMIT -1 OFFSET ?4)";
    find_device = "\
SELECT {device} FROM {p}devices WHERE client_id = ?1 AND subject = ?2 AND device = ?3";
    find_device_of = "\
SELECT {device} FROM {p}devices WHERE grant_id = ?1
  AND client_id > ?2 AND (?3 IS NULL OR client_id < ?3) {first_of_grant}";
    list_devices = "SELECT {device} FROM {p}devices WHERE ";
    change_device = "\
UPDATE {p}devices SET wipe = ?4, ordered_at = ?5, ordered_by = ?6, wiped_at = ?7, keep_until = ?8
WHERE client_id = ?1 AND subject = ?2 AND device = ?3";
    note_policy = "\
UPDATE {p}devices SET policy = ?4 WHERE client_id = ?1 AND subject = ?2 AND device = ?3";
    prune_devices = "\
DELETE FROM {p}devices WHERE (client_id, subject, device) IN (SELECT client_id, subject, device
  FROM {p}devices WHERE keep_until <= ?1 ORDER BY keep_until LIMIT ?2)";
    has_old_devices = "SELECT EXISTS (SELECT 1 FROM {p}devices WHERE keep_until <= ?1) AS has_old";
    erase_devices = "DELETE FROM {p}devices WHERE subject = ?1 AND wipe NOT IN (1, 2)";

    keep_pending = "\
INSERT INTO {p}pending (issuer, key, sealed, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (issuer, key) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at
WHERE expires_at <= ?5";
    find_pending = "\
SELECT sealed FROM {p}pending WHERE issuer = ?1 AND key = ?2 AND expires_at > ?3";
    prune_pending = "\
DELETE FROM {p}pending WHERE (issuer, key) IN (SELECT issuer, key
  FROM {p}pending WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    list_trusted_issuers = "\
SELECT record FROM {p}trusted_issuers WHERE issuer = ?1 ORDER BY name";
    /// The fifth parameter is the one of `edit_trusted_issuer`.
    add_trusted_issuer = "\
INSERT INTO {p}trusted_issuers (issuer, name, version, record) SELECT ?1, ?2, ?3, ?4 WHERE ?5 IS NULL
ON CONFLICT (issuer, name) DO NOTHING";
    edit_trusted_issuer = "\
UPDATE {p}trusted_issuers SET version = ?3, record = ?4
WHERE issuer = ?1 AND name = ?2 AND version = ?5";
    remove_trusted_issuer = "DELETE FROM {p}trusted_issuers WHERE issuer = ?1 AND name = ?2";
    has_old_pending = "SELECT EXISTS (SELECT 1 FROM {p}pending WHERE expires_at <= ?1) AS has_old";

    find_roots = "\
SELECT print FROM {p}roots WHERE print > ?1 AND (?2 IS NULL OR print < ?2) ORDER BY place";
    forget_root = "DELETE FROM {p}roots WHERE print = ?1";
    remember_root = "\
INSERT INTO {p}roots (print, place) SELECT ?1, COALESCE(max(place), 0) + 1 FROM {p}roots WHERE true";

    prune_assertions = "\
DELETE FROM {p}assertions WHERE (jti, client_id, purpose) IN (SELECT jti, client_id, purpose
  FROM {p}assertions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    /// Moves redeemed grants from the end of their code to their own. No redemption writes an index.
    keep_redeemed = "\
UPDATE {p}grants SET ends_at = expires_at WHERE id IN (SELECT id FROM {p}grants
  WHERE COALESCE(ends_at, expires_at) <= ?1 AND generation > 0 AND expires_at > ?1
  ORDER BY COALESCE(ends_at, expires_at) LIMIT ?2)";
    prune_grants = "\
DELETE FROM {p}grants WHERE id IN (SELECT id FROM {p}grants
  WHERE COALESCE(ends_at, expires_at) <= ?1 AND (generation = 0 OR expires_at <= ?1)
  ORDER BY COALESCE(ends_at, expires_at) LIMIT ?2)";
    prune_revocations = "\
DELETE FROM {p}revocations WHERE target IN (SELECT target
  FROM {p}revocations WHERE until <= ?1 ORDER BY until LIMIT ?2)";
    has_inert = "\
SELECT EXISTS (SELECT 1 FROM {p}assertions WHERE expires_at <= ?1)
  OR EXISTS (SELECT 1 FROM {p}grants
    WHERE COALESCE(ends_at, expires_at) <= ?2 AND (generation = 0 OR expires_at <= ?2))
  OR EXISTS (SELECT 1 FROM {p}revocations WHERE until <= ?2) AS has_inert";
}
