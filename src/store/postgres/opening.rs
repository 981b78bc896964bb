//! The reasons for which a database cannot be opened, and what to do about them. None quotes the URL, which
//! may hold a password.

use sqlx::postgres::PgConnectOptions;

use crate::store::{StoreError, TablePrefix};

pub(super) const LATER_TABLES: &str = "the tables were made by a later version of this crate, and this one leaves them alone: run that \
     version";
pub(super) const EARLIER_TABLES: &str =
    "the tables were made by an earlier version of this crate: call PostgresStore::migrate";
pub(super) const READ_ONLY: &str =
    "the database can only be read: it is a standby, or was set to be read only";

#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error("the URL of the database is malformed: {0}")]
    Url(sqlx::Error),
    #[error("the URL of the database is malformed: it does not begin with postgres://")]
    Scheme,
    #[error("no connection to PostgreSQL at {place}, database {database}, as {user}: {cause}")]
    Connection { place: String, database: String, user: String, cause: sqlx::Error },
    #[error(
        "the tables {prefix}* cannot be created or upgraded: {cause}; the role needs CREATE on the schema \
         and on its tables, or create them with PostgresStore::schema_sql"
    )]
    Tables { prefix: String, cause: sqlx::Error },
    #[error(
        "the tables {prefix}* are missing or incomplete: {cause}; call PostgresStore::migrate, or create \
         them with PostgresStore::schema_sql"
    )]
    NoTables { prefix: String, cause: sqlx::Error },
}

/// Parses a URL. Another scheme would shift its parts, and a password into the name of the database.
pub(super) fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(StoreError::new(NotOpened::Scheme));
    }
    url.parse().map_err(|error| StoreError::new(NotOpened::Url(error)))
}

pub(super) fn not_connected(options: &PgConnectOptions, cause: sqlx::Error) -> StoreError {
    let port = options.get_port();
    let place = match options.get_socket() {
        Some(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
        None => format!("{}:{port}", options.get_host()),
    };
    let user = options.get_username().to_owned();
    let database = options.get_database().unwrap_or(&user).to_owned();
    StoreError::new(NotOpened::Connection { place, database, user, cause })
}

pub(super) fn not_migrated(prefix: &TablePrefix, cause: sqlx::Error) -> StoreError {
    StoreError::new(NotOpened::Tables { prefix: prefix.to_string(), cause })
}

pub(super) fn no_tables(prefix: &TablePrefix, cause: sqlx::Error) -> StoreError {
    StoreError::new(NotOpened::NoTables { prefix: prefix.to_string(), cause })
}
