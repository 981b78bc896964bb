//! The tables, as scripts that may run any number of times.

use super::app_changes::{IS_SEARCHED, ORIGIN};
use crate::store::TablePrefix;

/// The number that programs compare for equality. It changes when they no longer work on the tables.
pub(super) const SCHEMA_VERSION: i32 = 2;
/// The number of the last change of the tables. Programs of revision 2 work on those of revision 3.
pub(super) const REVISION: i32 = 3;

/// The number of the last addition, on which programs without it work. A program also works on tables with
/// further additions.
pub(super) const ADDITIONS: i32 = 6;

/// Adapts a script to the server that calls itself `version`.
pub(super) fn script_for(version: &str, script: &str) -> String {
    // CockroachDB refuses the collation, and compares byte by byte without.
    if version.starts_with("CockroachDB") {
        script.replace(" COLLATE \"C\"", "")
    } else {
        script.to_owned()
    }
}

/// Returns the statements that create the missing tables and indexes.
///
/// The parts lock different tables, so that two in one transaction may deadlock with requests.
pub(super) fn schema_sql(prefix: &TablePrefix) -> String {
    [tables(prefix), search(prefix), revision_3(prefix), additions(prefix)].concat()
}

/// Returns the statements that create the tables of revision 2.
///
/// Names are compared by bytes, in every locale. Pages keep space for changed rows, and no column that
/// changes is indexed, so a rotation writes no index.
pub(super) fn tables(prefix: &TablePrefix) -> String {
    let index = prefix.without_schema();
    format!(
        r#"CREATE TABLE IF NOT EXISTS {prefix}clock (
    id smallint PRIMARY KEY CHECK (id = 1),
    schema_version int4 NOT NULL,
    at bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO {prefix}clock (id, schema_version, at) VALUES (1, {SCHEMA_VERSION}, 0)
    ON CONFLICT (id) DO NOTHING;
CREATE TABLE IF NOT EXISTS {prefix}apps (
    client_id text COLLATE "C" PRIMARY KEY,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    document text NOT NULL
);
CREATE TABLE IF NOT EXISTS {prefix}app_changes (
    id smallint PRIMARY KEY CHECK (id = 1),
    counted bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO {prefix}app_changes (id, counted) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;
CREATE TABLE IF NOT EXISTS {prefix}grants (
    grant_id bytea PRIMARY KEY,
    client_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    actor text COLLATE "C",
    scope text COLLATE "C" NOT NULL,
    resource text COLLATE "C",
    device text COLLATE "C",
    auth_time bigint,
    binding bytea NOT NULL,
    salt_digest bytea NOT NULL,
    authorized_at bigint NOT NULL,
    code_expires_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    generation bigint NOT NULL,
    rotated_at bigint NOT NULL,
    claim bigint NOT NULL,
    retries smallint NOT NULL,
    mismatches smallint NOT NULL,
    revoked_at bigint,
    revoked_why smallint,
    outcome smallint NOT NULL DEFAULT 0
) WITH (fillfactor = 85);
CREATE INDEX IF NOT EXISTS {index}grants_of_app ON {prefix}grants (client_id);
CREATE INDEX IF NOT EXISTS {index}grants_of_subject ON {prefix}grants (subject);
CREATE INDEX IF NOT EXISTS {index}grants_on_device ON {prefix}grants (device)
    WHERE device IS NOT NULL;
CREATE TABLE IF NOT EXISTS {prefix}assertions (
    jti bytea NOT NULL,
    purpose smallint NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (jti, purpose, client_id)
);
CREATE INDEX IF NOT EXISTS {index}assertions_by_end ON {prefix}assertions (expires_at);
CREATE TABLE IF NOT EXISTS {prefix}revocations (
    target text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL,
    why smallint NOT NULL,
    until bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {index}revocations_in_order ON {prefix}revocations (at);
CREATE INDEX IF NOT EXISTS {index}revocations_by_end ON {prefix}revocations (until);
CREATE TABLE IF NOT EXISTS {prefix}consents (
    client_id text COLLATE "C" NOT NULL
        REFERENCES {prefix}apps (client_id) ON DELETE CASCADE,
    subject text COLLATE "C" NOT NULL,
    scope text COLLATE "C",
    given_at bigint NOT NULL,
    PRIMARY KEY (client_id, subject)
);
CREATE INDEX IF NOT EXISTS {index}consents_of_subject ON {prefix}consents (subject);
CREATE TABLE IF NOT EXISTS {prefix}audit (
    event_id bytea PRIMARY KEY,
    at bigint NOT NULL,
    client_id text COLLATE "C",
    subject text COLLATE "C",
    severity smallint NOT NULL,
    event text NOT NULL
);
CREATE INDEX IF NOT EXISTS {index}audit_of_app ON {prefix}audit (client_id, event_id)
    WHERE client_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS {index}audit_of_subject ON {prefix}audit (subject, event_id)
    WHERE subject IS NOT NULL;
CREATE TABLE IF NOT EXISTS {prefix}usage (
    client_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    counted bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (client_id, kind)
) WITH (fillfactor = 50);
UPDATE {prefix}clock SET schema_version = {SCHEMA_VERSION}
    WHERE id = 1 AND schema_version < {SCHEMA_VERSION};
"#
    )
}

/// Returns the statements that add the columns for searches to the apps. They are a part of their own, because requests
/// lock the apps before other tables, or after them.
pub(super) fn search(prefix: &TablePrefix) -> String {
    let index = prefix.without_schema();
    format!(
        r#"ALTER TABLE {prefix}apps
    ADD COLUMN IF NOT EXISTS folded text COLLATE "C",
    ADD COLUMN IF NOT EXISTS marks bigint,
    ADD COLUMN IF NOT EXISTS folded_version bigint;
CREATE INDEX IF NOT EXISTS {index}apps_search ON {prefix}apps (client_id)
    INCLUDE (marks, folded_version, version, folded) WHERE {IS_SEARCHED};
"#
    )
}

/// Returns the statements that bring tables of revision 2 to revision 3. No row is rewritten.
///
/// Tables are locked in the order in which statements lock rows: grants, clock, revocations. The first
/// statement admits one process at a time.
pub(super) fn revision_3(prefix: &TablePrefix) -> String {
    let index = prefix.without_schema();
    format!(
        r#"ALTER TABLE {prefix}grants
    ADD COLUMN IF NOT EXISTS flow smallint,
    ADD COLUMN IF NOT EXISTS confirmation bytea,
    ADD COLUMN IF NOT EXISTS bound_from bigint,
    ADD COLUMN IF NOT EXISTS session text COLLATE "C",
    ADD COLUMN IF NOT EXISTS evidence text COLLATE "C",
    ADD COLUMN IF NOT EXISTS more text,
    ADD COLUMN IF NOT EXISTS ends_at bigint;
DROP INDEX IF EXISTS {prefix}grants_by_end;
CREATE INDEX IF NOT EXISTS {index}grants_at_end ON {prefix}grants ((COALESCE(ends_at, expires_at)));
CREATE INDEX IF NOT EXISTS {index}grants_of_session ON {prefix}grants (session)
    WHERE session IS NOT NULL;
ALTER TABLE {prefix}clock ADD COLUMN IF NOT EXISTS revision int4 NOT NULL DEFAULT {REVISION};
ALTER TABLE {prefix}revocations ADD COLUMN IF NOT EXISTS since bigint;
ALTER TABLE {prefix}revocations ALTER COLUMN at DROP NOT NULL;
CREATE INDEX IF NOT EXISTS {index}revocations_told ON {prefix}revocations ((COALESCE(at, since)));
ALTER TABLE {prefix}consents ADD COLUMN IF NOT EXISTS resource text COLLATE "C";
ALTER TABLE {prefix}audit ADD COLUMN IF NOT EXISTS issuer int4;
CREATE TABLE IF NOT EXISTS {prefix}roots (
    print text COLLATE "C" PRIMARY KEY,
    place bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS {prefix}issuers (
    id int4 PRIMARY KEY CHECK (id > 0),
    issuer text COLLATE "C" NOT NULL UNIQUE,
    app_changes bigint NOT NULL
);
"#
    )
}

/// Returns the statements that add to the tables of revision 3. The first admits one process at a time.
pub(super) fn additions(prefix: &TablePrefix) -> String {
    let index = prefix.without_schema();
    format!(
        r#"ALTER TABLE {prefix}clock ADD COLUMN IF NOT EXISTS additions int4 NOT NULL DEFAULT {ADDITIONS};
CREATE TABLE IF NOT EXISTS {prefix}usage_days (
    client_id text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    kind smallint NOT NULL,
    counted bigint NOT NULL,
    PRIMARY KEY (client_id, day, kind)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS {index}usage_days_by_day ON {prefix}usage_days (day);
CREATE TABLE IF NOT EXISTS {prefix}devices (
    client_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    name text,
    first_seen bigint NOT NULL,
    last_seen bigint NOT NULL,
    installed_at bigint NOT NULL,
    wipe smallint NOT NULL,
    ordered_at bigint,
    ordered_by text,
    wiped_at bigint,
    policy text,
    grant_id bytea NOT NULL,
    salt_digest bytea NOT NULL,
    keep_until bigint NOT NULL,
    outcome smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (client_id, subject, device)
);
CREATE INDEX IF NOT EXISTS {index}devices_of_subject
    ON {prefix}devices (subject, client_id, device);
CREATE INDEX IF NOT EXISTS {index}devices_of_grant ON {prefix}devices (grant_id);
CREATE INDEX IF NOT EXISTS {index}devices_by_end ON {prefix}devices (keep_until);
CREATE INDEX IF NOT EXISTS {index}devices_to_be_wiped
    ON {prefix}devices (client_id, subject, device) WHERE wipe IN (1, 2);
CREATE TABLE IF NOT EXISTS {prefix}pending (
    issuer int4 NOT NULL,
    key bytea NOT NULL,
    sealed bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (issuer, key)
);
CREATE INDEX IF NOT EXISTS {index}pending_by_end ON {prefix}pending (expires_at);
CREATE INDEX IF NOT EXISTS {index}apps_by_origin ON {prefix}apps ({ORIGIN}, client_id)
    WHERE {ORIGIN} IS NOT NULL;
CREATE TABLE IF NOT EXISTS {prefix}trusted_issuers (
    issuer int4 NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (issuer, name)
);
UPDATE {prefix}clock SET additions = {ADDITIONS} WHERE id = 1 AND additions < {ADDITIONS};
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PostgresStore::schema_sql` tells the host to split the script there.
    #[test]
    fn the_first_two_alter_tables_begin_the_other_parts() {
        let prefix = TablePrefix::default();
        assert!(!tables(&prefix).contains("ALTER TABLE"));
        assert!(search(&prefix).starts_with("ALTER TABLE"));
        assert_eq!(search(&prefix).matches("ALTER TABLE").count(), 1);
        assert!(revision_3(&prefix).starts_with("ALTER TABLE grantor_grants"));
    }

    #[test]
    fn cockroachdb_gets_the_same_tables_without_the_collation() {
        let prefix = TablePrefix::default();
        let schema = schema_sql(&prefix);
        let version = "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu";
        assert_eq!(script_for(version, &schema), schema);
        let version = "CockroachDB CCL v25.2.0 (x86_64-pc-linux-gnu)";
        assert_eq!(script_for(version, &schema), schema.replace(" COLLATE \"C\"", ""));
        assert!(!script_for(version, &schema).contains("COLLATE"));
    }
}
