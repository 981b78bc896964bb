//! The statements that make a grant, or a token without a row. Each is dated before the first check of its
//! request, and refused if a revocation covers the date.

use super::statements::{GRANT_COLUMNS, PRESENT, Tables, everything, tag};

/// The parameters of a statement that hold the members of a new grant.
struct Born {
    app: &'static str,
    subject: &'static str,
    device: &'static str,
    session: &'static str,
    evidence: &'static str,
    /// The date, before the first check.
    given: &'static str,
}

/// Returns the common table expressions `dated`, with the date of a new grant, and `cut`, with a row if a
/// revocation covers it.
fn date(p: &Tables<'_>, born: &Born) -> String {
    let Born { app, subject, device, session, evidence, given } = born;
    format!(
        "dated AS (SELECT LEAST({given}, {PRESENT}) AS at FROM {p}clock AS clock \
             WHERE clock.id = 1), \
         cut AS (SELECT 1 FROM {p}revocations AS r WHERE r.target IN ({all}, 'a:' || {app}, \
             's:' || {subject}, 'p:' || {app} || chr(10) || {subject}, 'd:' || {tag} || {device}, \
             'device:' || {app} || chr(10) || {subject} || chr(10) || {device}, \
             'session:' || {tag} || {session}, 'evidence:' || {tag} || {evidence}) \
             AND COALESCE(r.at, r.since) >= (SELECT dated.at FROM dated) LIMIT 1)",
        all = everything(app),
        tag = tag(app),
    )
}

/// Returns the statement that inserts a grant, with its values from the parameter `$first` on. A grant that
/// was revoked before it had a row is inserted as revoked.
fn new_row(p: &Tables<'_>, first: usize, from: &str) -> String {
    let parameter = |at: usize| format!("${}", first + at);
    let before: Vec<_> = (0..10).map(parameter).collect();
    let after: Vec<_> = (10..17).map(parameter).collect();
    let (revoked_at, revoked_why, target) = (parameter(17), parameter(18), parameter(19));
    let rare: Vec<_> = (20..26).map(parameter).collect();
    let ends_at = parameter(27);
    format!(
        "INSERT INTO {p}grants ({GRANT_COLUMNS}, ends_at) SELECT {}, dated.at, {}, \
         COALESCE({revoked_at}, tomb.at), COALESCE({revoked_why}, tomb.why), {}, {ends_at} \
         FROM {from} CROSS JOIN dated \
         LEFT JOIN {p}revocations AS tomb ON tomb.target = {target}",
        before.join(", "),
        after.join(", "),
        rare.join(", "),
    )
}

/// The grant from `$1` on, as [`new_row`] has it, `$27` its date, and `$28` when its row is inert. A denial needs no valid date.
pub(super) fn insert_grant(p: &Tables<'_>) -> String {
    let born = Born {
        app: "$2",
        subject: "$3",
        device: "$7",
        session: "$24",
        evidence: "$25",
        given: "$27",
    };
    format!(
        "WITH {date}, app AS (SELECT 1 FROM {p}apps WHERE client_id = $2 AND enabled), \
         born AS ({row} WHERE $18::bigint IS NOT NULL OR NOT EXISTS (SELECT 1 FROM cut) \
             ON CONFLICT (grant_id) DO NOTHING RETURNING authorized_at) \
         SELECT EXISTS (SELECT 1 FROM app) AS active, \
             (SELECT authorized_at FROM born) AS authorized_at, \
             EXISTS (SELECT 1 FROM cut) \
                 AND NOT EXISTS (SELECT 1 FROM {p}grants WHERE grant_id = $1) AS overtaken",
        date = date(p, &born),
        row = new_row(p, 1, "app"),
    )
}

/// The row of the app, and that of an assertion that is claimed on `condition`. `$1` app, `$2` purpose, `$3`
/// `jti`, `$4` until when, `$5` now.
fn first_use(p: &Tables<'_>, condition: &str) -> String {
    format!(
        "app AS (SELECT 1 FROM {p}apps WHERE client_id = $1 AND enabled), \
         first AS (INSERT INTO {p}assertions AS a (client_id, purpose, jti, expires_at) \
             SELECT $1, $2, $3, $4 FROM app WHERE {condition} \
             ON CONFLICT (jti, purpose, client_id) DO UPDATE SET expires_at = EXCLUDED.expires_at \
             WHERE a.expires_at < $5 RETURNING 1)"
    )
}

pub(super) fn claim_assertion(p: &Tables<'_>) -> String {
    format!(
        "WITH {} SELECT EXISTS (SELECT 1 FROM app) AS active, \
         EXISTS (SELECT 1 FROM first) AS first",
        first_use(p, "true")
    )
}

/// The answer of a claim that gives access.
fn claimed(p: &Tables<'_>) -> String {
    format!(
        "SELECT EXISTS (SELECT 1 FROM app) AS active, EXISTS (SELECT 1 FROM first) AS first, \
         EXISTS (SELECT 1 FROM cut) AND NOT EXISTS (SELECT 1 FROM {p}assertions \
             WHERE jti = $3 AND purpose = $2 AND client_id = $1 AND expires_at >= $5) \
             AS overtaken, \
         dated.at AS authorized_at FROM dated"
    )
}

/// As [`first_use`]; `$6` the date, `$7` user, `$8` device, `$9` session, `$10` evidence issuer.
pub(super) fn claim_with_token(p: &Tables<'_>) -> String {
    let born = Born {
        app: "$1",
        subject: "$7",
        device: "$8",
        session: "$9",
        evidence: "$10",
        given: "$6",
    };
    let (date, first) = (date(p, &born), first_use(p, "NOT EXISTS (SELECT 1 FROM cut)"));
    format!("WITH {date}, {first} {}", claimed(p))
}

/// As [`first_use`]; the grant from `$6` on, as [`new_row`] has it, `$32` its date, and `$33` when its row is
/// inert.
pub(super) fn claim_with_grant(p: &Tables<'_>) -> String {
    let born = Born {
        app: "$1",
        subject: "$8",
        device: "$12",
        session: "$29",
        evidence: "$30",
        given: "$32",
    };
    let (date, first) = (date(p, &born), first_use(p, "NOT EXISTS (SELECT 1 FROM cut)"));
    let row = new_row(p, 6, "first");
    format!("WITH {date}, {first}, born AS ({row} RETURNING 1) {}", claimed(p))
}
