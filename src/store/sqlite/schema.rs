//! The tables, and how they come to be.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use crate::store::StoreError;
use crate::store::sql::statement;

/// One script a version; the first makes version 1. `{p}` is the prefix of the tables.
///
/// * A table whose key is random keeps it in an index of its own: rows then lie in the order in
///   which they were made, pages are full, and rotation touches one of them.
/// * `room` keeps the place of what a pending grant does not have yet, so that a row never outgrows
///   its page.
/// * `subject_key` are four bytes of a digest: an index over them takes a third of one over names.
pub(super) const MIGRATIONS: &[&str] = &[
    "\
CREATE TABLE {p}meta (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL, -- of these tables
  clock   INTEGER NOT NULL, -- the store's clock: it never runs backwards
  entered INTEGER NOT NULL, -- counts revocations
  apps    INTEGER NOT NULL  -- counts the changes of apps
);
CREATE TABLE {p}apps (
  client_id TEXT    PRIMARY KEY NOT NULL,
  version   INTEGER NOT NULL,
  enabled   INTEGER NOT NULL,
  record    TEXT    NOT NULL  -- the app as JSON: digests and sealed secrets
);
CREATE TABLE {p}grants (
  id              INTEGER PRIMARY KEY,
  grant_id        BLOB    NOT NULL UNIQUE,
  client_id       TEXT    NOT NULL,
  subject         TEXT    NOT NULL,
  subject_key     INTEGER NOT NULL,
  actor           TEXT,
  scope           TEXT    NOT NULL,
  resource        TEXT,
  device          TEXT,
  auth_time       INTEGER,
  binding         BLOB    NOT NULL, -- a digest
  salt_digest     BLOB    NOT NULL,
  authorized_at   INTEGER NOT NULL, -- milliseconds, as every instant here
  code_expires_at INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  generation      INTEGER NOT NULL,
  rotated_at      INTEGER NOT NULL,
  claim           INTEGER NOT NULL,
  retries         INTEGER NOT NULL,
  mismatches      INTEGER NOT NULL,
  revoked_at      INTEGER,
  revoked_why     INTEGER,
  room            BLOB
);
CREATE INDEX {p}grants_expires_at ON {p}grants (expires_at);
CREATE INDEX {p}grants_subject_key ON {p}grants (subject_key);
CREATE TABLE {p}revocations (
  target  TEXT    PRIMARY KEY NOT NULL,
  at      INTEGER NOT NULL,
  tie     INTEGER NOT NULL,
  why     INTEGER NOT NULL,
  until   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX {p}revocations_feed ON {p}revocations (at, tie);
CREATE INDEX {p}revocations_until ON {p}revocations (until);
CREATE TABLE {p}assertions (
  jti        BLOB    NOT NULL, -- a digest
  client_id  TEXT    NOT NULL,
  purpose    INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (jti, client_id, purpose)
) WITHOUT ROWID;
CREATE INDEX {p}assertions_expires_at ON {p}assertions (expires_at);
CREATE TABLE {p}consents (
  client_id TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  scope     TEXT    NOT NULL,
  given_at  INTEGER NOT NULL,
  PRIMARY KEY (client_id, subject)
) WITHOUT ROWID;
CREATE INDEX {p}consents_subject ON {p}consents (subject);
INSERT INTO {p}meta (id, version, clock, entered, apps) VALUES (1, 1, 0, 0, 0);
",
    "\
CREATE TABLE {p}audit (
  id        INTEGER PRIMARY KEY,
  event_id  BLOB    NOT NULL UNIQUE, -- in the order of the instants
  at        INTEGER NOT NULL,
  client_id TEXT,
  subject   TEXT,
  severity  INTEGER NOT NULL,
  event     TEXT    NOT NULL  -- the event as JSON
);
CREATE INDEX {p}audit_client_id ON {p}audit (client_id, event_id) WHERE client_id IS NOT NULL;
CREATE INDEX {p}audit_subject ON {p}audit (subject, event_id) WHERE subject IS NOT NULL;
CREATE TABLE {p}usage (
  client_id TEXT    NOT NULL,
  kind      INTEGER NOT NULL,
  counted   INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  PRIMARY KEY (client_id, kind)
) WITHOUT ROWID;
UPDATE {p}meta SET version = 2;
",
];

/// The scripts after version `version`, in order, for tables that begin with `prefix`.
pub(super) fn scripts_after(version: usize, prefix: &str) -> String {
    let scripts = MIGRATIONS.iter().skip(version);
    scripts.map(|script| script.replace("{p}", prefix)).collect()
}

/// Checks that these tables are of a version that this crate reads and writes.
pub(super) fn is_known(version: i64) -> Result<(), StoreError> {
    if usize::try_from(version) == Ok(MIGRATIONS.len()) {
        Ok(())
    } else {
        Err(StoreError::new(format!(
            "the tables are of version {version}, this crate's of {}",
            MIGRATIONS.len()
        )))
    }
}

/// Makes the tables, or brings them to the present version, in one transaction.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    prefix: &str,
) -> Result<(), StoreError> {
    // Of several processes that open a new file one makes the tables, and the others wait.
    let mut transaction =
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::new)?;
    let present = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let present = sqlx::query(present).bind(format!("{prefix}meta"));
    let present = present.fetch_optional(&mut *transaction).await.map_err(StoreError::new)?;
    let version: i64 = if present.is_some() {
        let row = sqlx::query(statement(format!("SELECT version FROM {prefix}meta WHERE id = 1")))
            .fetch_one(&mut *transaction)
            .await;
        row.and_then(|row| row.try_get("version")).map_err(StoreError::new)?
    } else {
        0
    };
    let scripts = scripts_after(usize::try_from(version).unwrap_or(usize::MAX), prefix);
    if !scripts.is_empty() {
        sqlx::raw_sql(statement(scripts))
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::new)?;
    }
    transaction.commit().await.map_err(StoreError::new)
}
