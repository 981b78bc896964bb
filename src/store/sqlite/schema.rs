//! The tables, and their upgrades.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::opening::is_known;
use super::statements::Statements;
use crate::store::StoreError;
use crate::store::sql::{Searched, statement};

/// The scripts, each from one version to the next; the first creates version 1. `{p}` is the prefix.
///
/// * A random key has an index of its own, so that rows lie in the order of insertion, pages are full, and
///   a rotation touches one of them.
/// * `room` pads a pending grant to its later size, so that a row never outgrows its page.
/// * `subject_key` is four bytes of a digest. An index over it takes a third of one over names.
/// * The index of an app's grants has the last four characters of its client id, for the same reason.
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
    // Programs of version 2 compare `version` for equality, and work on these tables.
    "\
ALTER TABLE {p}meta ADD COLUMN revision INTEGER NOT NULL DEFAULT 3;
ALTER TABLE {p}grants ADD COLUMN more TEXT; -- what few grants have, as JSON
-- When a pending row is inert. Pruning moves it to `expires_at` if the code was redeemed.
ALTER TABLE {p}grants ADD COLUMN ends_at INTEGER;
DROP INDEX {p}grants_expires_at;
CREATE INDEX {p}grants_ends_at ON {p}grants (COALESCE(ends_at, expires_at));
CREATE INDEX {p}grants_session ON {p}grants (more ->> '$.circumstances.session')
  WHERE more ->> '$.circumstances.session' IS NOT NULL;
CREATE TABLE {p}revocations_3 (
  target  TEXT    PRIMARY KEY NOT NULL,
  at      INTEGER,          -- NULL for a target that programs of version 2 cannot read
  tie     INTEGER NOT NULL,
  why     INTEGER NOT NULL,
  until   INTEGER NOT NULL,
  since   INTEGER           -- instead of `at`
) WITHOUT ROWID;
INSERT INTO {p}revocations_3 SELECT target, at, tie, why, until, NULL FROM {p}revocations;
DROP TABLE {p}revocations;
ALTER TABLE {p}revocations_3 RENAME TO {p}revocations;
CREATE UNIQUE INDEX {p}revocations_feed ON {p}revocations (at, tie);
CREATE UNIQUE INDEX {p}revocations_told ON {p}revocations (COALESCE(at, since), tie);
CREATE INDEX {p}revocations_until ON {p}revocations (until);
ALTER TABLE {p}consents ADD COLUMN resource TEXT;
ALTER TABLE {p}audit ADD COLUMN issuer INTEGER;
CREATE TABLE {p}roots (
  print TEXT    PRIMARY KEY NOT NULL, -- a fingerprint, from which no root follows
  place INTEGER NOT NULL              -- grows with each
) WITHOUT ROWID;
CREATE TABLE {p}issuers (
  id          INTEGER PRIMARY KEY CHECK (id > 0),
  issuer      TEXT    NOT NULL UNIQUE,
  app_changes INTEGER NOT NULL
);
",
    // An addition: programs of revision 3 do not ask for it, and work on these tables.
    "\
ALTER TABLE {p}meta ADD COLUMN additions INTEGER NOT NULL DEFAULT 4;
CREATE TABLE {p}usage_days (
  client_id TEXT    NOT NULL,
  day       INTEGER NOT NULL, -- since 1970, in UTC
  kind      INTEGER NOT NULL,
  counted   INTEGER NOT NULL,
  PRIMARY KEY (client_id, day, kind)
) WITHOUT ROWID;
CREATE INDEX {p}usage_days_day ON {p}usage_days (day);
CREATE INDEX {p}grants_app ON {p}grants (substr(client_id, -4), grant_id);
",
    // The next addition.
    "\
CREATE TABLE {p}devices (
  client_id    TEXT    NOT NULL,
  subject      TEXT    NOT NULL,
  device       TEXT    NOT NULL,
  name         TEXT,
  first_seen   INTEGER NOT NULL,
  last_seen    INTEGER NOT NULL,
  installed_at INTEGER NOT NULL, -- the date of the first grant of this installation
  wipe         INTEGER NOT NULL, -- 0 none, 1 requested, 2 notified, 3 done
  ordered_at   INTEGER,
  ordered_by   TEXT,
  wiped_at     INTEGER,          -- when the device was told, or has reported
  policy       TEXT,
  grant_id     BLOB    NOT NULL, -- under which it was last seen
  salt_digest  BLOB    NOT NULL,
  keep_until   INTEGER NOT NULL,
  PRIMARY KEY (client_id, subject, device)
) WITHOUT ROWID;
CREATE INDEX {p}devices_subject ON {p}devices (subject, client_id, device);
CREATE INDEX {p}devices_grant_id ON {p}devices (grant_id);
CREATE INDEX {p}devices_keep_until ON {p}devices (keep_until);
CREATE INDEX {p}devices_to_be_wiped ON {p}devices (client_id, subject, device)
  WHERE wipe IN (1, 2);
UPDATE {p}meta SET additions = 5;
",
    // The next addition.
    "\
CREATE TABLE {p}pending (
  issuer     INTEGER NOT NULL, -- 0 for the first
  key        BLOB    NOT NULL, -- a keyed digest
  sealed     BLOB    NOT NULL, -- encrypted
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (issuer, key)
) WITHOUT ROWID;
CREATE INDEX {p}pending_expires_at ON {p}pending (expires_at);
UPDATE {p}meta SET additions = 6;
",
    // The next addition.
    "\
CREATE INDEX {p}apps_origin ON {p}apps (record ->> '$.origin', client_id)
  WHERE record ->> '$.origin' IS NOT NULL;
UPDATE {p}meta SET additions = 7;
",
    // The next addition.
    "\
CREATE TABLE {p}trusted_issuers (
  issuer  INTEGER NOT NULL, -- of the server; 0 for the first
  name    TEXT    NOT NULL, -- `iss` of the trusted one
  version INTEGER NOT NULL,
  record  TEXT    NOT NULL, -- JSON
  PRIMARY KEY (issuer, name)
) WITHOUT ROWID;
UPDATE {p}meta SET additions = 8;
",
    // The next addition. Its columns are filled by `fill_searched`.
    "\
ALTER TABLE {p}apps ADD COLUMN folded TEXT;            -- for searches; NULL if it is too long
ALTER TABLE {p}apps ADD COLUMN marks INTEGER;
ALTER TABLE {p}apps ADD COLUMN folded_version INTEGER; -- for which the two were written
CREATE INDEX {p}apps_search ON {p}apps
  (client_id, marks, folded_version, version, folded);
UPDATE {p}meta SET additions = 9;
",
];

/// The last script after which earlier programs no longer work on the tables, or ask for its number. The scripts
/// after it are additions: a program also works on tables with further ones.
pub(super) const REVISION: usize = 3;

/// Returns the scripts after `version`, in order, for tables with the prefix.
pub(super) fn scripts_after(version: usize, prefix: &str) -> String {
    let scripts = MIGRATIONS.iter().skip(version);
    scripts.map(|script| script.replace("{p}", prefix)).collect()
}

/// Creates or upgrades the tables in one transaction.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    prefix: &str,
) -> Result<(), StoreError> {
    if version(connection, prefix).await.is_ok_and(|version| is_known(version).is_ok()) {
        return Ok(());
    }
    // If several processes open a file at once, one of them migrates, and the others wait.
    let mut transaction =
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::new)?;
    let version = version(&mut transaction, prefix).await?;
    let scripts = scripts_after(usize::try_from(version.last).unwrap_or(usize::MAX), prefix);
    if !scripts.is_empty() {
        let run = sqlx::raw_sql(statement(scripts)).execute(&mut *transaction).await;
        run.map_err(StoreError::new)?;
    }
    transaction.commit().await.map_err(StoreError::new)
}

/// The number of apps that one transaction of [`fill_searched`] writes.
const FILLED: i64 = 500;

/// Writes the columns for searches of the apps that a program without them has written.
pub(super) async fn fill_searched(
    connection: &mut SqliteConnection,
    sql: &Statements,
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let unsearched = sqlx::query(sql.unsearched_apps.clone()).bind(after.as_str()).bind(FILLED);
        let rows = unsearched.fetch_all(&mut *connection).await.map_err(StoreError::new)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("client_id").map_err(StoreError::new)?;
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::new)?;
        for row in &rows {
            let record = row.try_get("record").map_err(StoreError::new)?;
            let Some(searched) = Searched::of_document(record) else { continue };
            let fill = sqlx::query(sql.fill_searched.clone())
                .bind(row.try_get::<&str, _>("client_id").map_err(StoreError::new)?)
                .bind(row.try_get::<i64, _>("version").map_err(StoreError::new)?)
                .bind(searched.folded)
                .bind(searched.marks);
            fill.execute(&mut *transaction).await.map_err(StoreError::new)?;
        }
        transaction.commit().await.map_err(StoreError::new)?;
    }
}

/// The numbers that tables state; 0 if there are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    /// The number that programs compare.
    pub(super) revision: i64,
    /// The number of the last script that ran.
    pub(super) last: i64,
}

/// Returns the version of the tables.
pub(super) async fn version(
    connection: &mut SqliteConnection,
    prefix: &str,
) -> Result<Version, StoreError> {
    let columns =
        sqlx::query("SELECT name FROM pragma_table_info(?1)").bind(format!("{prefix}meta"));
    let columns = columns.fetch_all(&mut *connection).await.map_err(StoreError::new)?;
    let names = columns.iter().map(|row| row.try_get::<String, _>("name"));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(StoreError::new)?;
    if names.is_empty() {
        return Ok(Version { revision: 0, last: 0 });
    }
    // `version` stayed 2 when `revision` was added, and `revision` 3 when `additions` was.
    let value = |name: &'static str| if names.iter().any(|it| it == name) { name } else { "0" };
    let (revision, additions) = (value("revision"), value("additions"));
    let select = format!(
        "SELECT max(version, {revision}) AS revision, max(version, {revision}, {additions}) AS last \
         FROM {prefix}meta WHERE id = 1"
    );
    let row = sqlx::query(statement(select)).fetch_one(connection).await;
    let row = row.map_err(StoreError::new)?;
    let read = |name| row.try_get(name).map_err(StoreError::new);
    Ok(Version { revision: read("revision")?, last: read("last")? })
}
