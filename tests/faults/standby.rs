//! A streaming replica of a cluster, which can fall behind and be promoted.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};

use super::cluster::{Cluster, USER, runtime};
use super::sandbox::{signal, wait_until};

const PORT: u16 = 5_433;

/// The replica. Its files lie beside those of its primary.
pub(crate) struct Standby<'a> {
    cluster: &'a Cluster,
    server: Child,
}

impl<'a> Standby<'a> {
    /// Copies the primary and starts to stream from it.
    pub(crate) fn of(cluster: &'a Cluster) -> Self {
        let data = cluster.file("standby");
        let copied = cluster
            .client("pg_basebackup")
            .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let log = std::fs::File::create(cluster.file("standby.log")).unwrap();
        let server = cluster
            .program("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", &format!("port={PORT}"), "-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "max_connections=200", "-c", "dynamic_shared_memory_type=mmap", "-k"])
            .arg(cluster.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let standby = Self { cluster, server };
        wait_until("the replica answers", || {
            runtime().block_on(standby.options().connect()).is_ok()
        });
        standby
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass();
        options.socket(self.cluster.folder()).port(PORT).username(USER).database("postgres")
    }

    /// The socket on which it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.cluster.file(&format!(".s.PGSQL.{PORT}"))
    }

    /// Waits until it has everything that the primary has written.
    pub(crate) fn catch_up(&self) {
        let written = text(&self.cluster.options(), "SELECT pg_current_wal_lsn()::text");
        let has_all = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}'::pg_lsn)::text");
        wait_until("the replica has caught up", || text(&self.options(), &has_all) == "true");
    }

    /// Ends the stream. From now on the replica misses every write.
    pub(crate) fn fall_behind(&self) {
        execute(&self.options(), "ALTER SYSTEM SET primary_conninfo = ''");
        execute(&self.options(), "SELECT pg_reload_conf()");
        let receivers = "SELECT count(*)::text FROM pg_stat_wal_receiver";
        wait_until("the stream has ended", || text(&self.options(), receivers) == "0");
    }

    /// Makes it the primary.
    pub(crate) fn promote(&self) {
        assert_eq!(text(&self.options(), "SELECT pg_promote(true, 100)::text"), "true");
    }

    /// Returns the instant of the last commit that it replayed, in milliseconds. A primary keeps it until
    /// it is restarted.
    pub(crate) fn last_replayed(&self) -> i64 {
        let at = "SELECT floor(extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000)::bigint::text";
        text(&self.options(), at).parse().unwrap()
    }
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        signal("QUIT", &[self.server.id()]);
        let _ = self.server.wait();
    }
}

fn text(options: &PgConnectOptions, query: &str) -> String {
    runtime().block_on(async {
        let mut connection = options.connect().await.unwrap();
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(&mut connection);
        row.await.unwrap().get(0)
    })
}

fn execute(options: &PgConnectOptions, statement: &str) {
    runtime().block_on(async {
        let mut connection = options.connect().await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    });
}
