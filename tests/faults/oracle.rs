//! The tables of the database, read without the servers.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};

use super::cluster::runtime;
use super::sandbox::wait_until;

const GRANTS: &str =
    "SELECT grant_id, CAST(generation AS bigint), revoked_at IS NOT NULL FROM grantor_grants";
const REVOCATIONS: &str = "SELECT target FROM grantor_revocations";
const ASSERTIONS: &str = "SELECT jti FROM grantor_assertions";

/// The row of a grant.
pub(crate) struct Row {
    pub(crate) generation: i64,
    pub(crate) is_revoked: bool,
}

/// The contents of the tables at one time.
pub(crate) struct Tables {
    grants: HashMap<String, Row>,
    targets: HashSet<String>,
    assertions: HashSet<Vec<u8>>,
}

/// Reads the three tables through a connection of either kind.
macro_rules! read {
    ($options:expr) => {
        runtime().block_on(async {
            let mut connection = $options.connect().await.unwrap();
            let rows = sqlx::query(GRANTS).fetch_all(&mut connection).await.unwrap();
            let grants = rows.iter().map(|row| {
                let id: Vec<u8> = row.get(0);
                let (generation, is_revoked) = (row.get(1), row.get(2));
                (URL_SAFE_NO_PAD.encode(id), Row { generation, is_revoked })
            });
            let grants = grants.collect();
            let targets = sqlx::query(REVOCATIONS).fetch_all(&mut connection).await.unwrap();
            let assertions = sqlx::query(ASSERTIONS).fetch_all(&mut connection).await.unwrap();
            Tables {
                grants,
                targets: targets.iter().map(|row| row.get(0)).collect(),
                assertions: assertions.iter().map(|row| row.get(0)).collect(),
            }
        })
    };
}

impl Tables {
    pub(crate) fn of_postgres(options: &PgConnectOptions) -> Self {
        read!(options)
    }

    pub(crate) fn of_sqlite(file: &std::path::Path) -> Self {
        read!(SqliteConnectOptions::new().filename(file))
    }

    pub(crate) fn grant(&self, id: &str) -> Option<&Row> {
        self.grants.get(id)
    }

    /// Checks whether a grant is revoked, in its row or by its id in the feed.
    pub(crate) fn is_revoked(&self, id: &str) -> bool {
        self.grants.get(id).is_some_and(|row| row.is_revoked)
            || self.targets.contains(&format!("g:{id}"))
    }

    pub(crate) fn has_assertion(&self, digest: &[u8; 32]) -> bool {
        self.assertions.contains(&digest[..])
    }
}

/// Makes a cluster read only, or writable again, and waits until all connections know.
pub(crate) fn set_read_only(options: &PgConnectOptions, on: bool) {
    let (own, value) = ("SET default_transaction_read_only = off", if on { "on" } else { "off" });
    let alter = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    runtime().block_on(async {
        let mut connection = options.connect().await.unwrap();
        for statement in [own, &alter, "SELECT pg_reload_conf()"] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
    });
    // PostgreSQL signals its connections before it makes one that shows the new setting. They read it
    // before their next statement.
    wait_until("the setting has changed", || {
        runtime().block_on(async {
            let mut fresh = options.connect().await.unwrap();
            let shown = sqlx::query("SHOW default_transaction_read_only").fetch_one(&mut fresh);
            shown.await.unwrap().get::<String, _>(0) == value
        })
    });
}
