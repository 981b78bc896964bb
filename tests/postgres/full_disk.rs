//! A full disk, either that of the tables or that of the write-ahead log.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::store::{GrantStore as _, PostgresStore};
use sqlx::Executor as _;

use super::cluster::{Cluster, new_store, own_cluster, pool, runtime};
use super::crash::{check_all, recover};
use super::sandbox::{Folder, command};
use super::world::{World, grant};
use super::writers::{Ledger, WRITERS, write};

/// A small file system in memory, which only root can make.
struct Mount(Folder);

impl Mount {
    fn of_bytes(cluster: &Cluster, bytes: u64) -> Option<Self> {
        let mount = Self(Folder::temporary());
        let mut mounting = command("mount");
        mounting.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(mount.0.path());
        if !mounting.output().is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: only root can make a file system that is full");
            return None;
        }
        if let Some((user, group)) = cluster.owner() {
            chown(mount.0.path(), Some(user), Some(group)).unwrap();
        }
        Some(mount)
    }

    /// A file that takes up the room.
    fn ballast(&self) -> PathBuf {
        self.0.file("ballast")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = command("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// Writes until the store has failed every writer, and returns the answers before that.
fn fill(world: &World, store: &PostgresStore) -> Ledger {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let ledger = Arc::clone(&ledger);
            let say = move |line: &str| ledger.lock().unwrap().enter(line);
            let write = write(store.clone(), world.app.id.clone(), || true, say);
            world
                .runtime()
                .spawn(async { tokio::time::timeout(Duration::from_mins(1), write).await })
        })
        .collect();
    for writer in writers {
        // A timeout here means that the disk is never full.
        assert!(world.runtime().block_on(writer).unwrap().unwrap().is_err());
    }
    Arc::try_unwrap(ledger).ok().unwrap().into_inner().unwrap()
}

/// Checks that the store goes on once there is room again.
fn goes_on(world: &World, store: &PostgresStore, ledger: &Ledger) {
    for _ in 0..16 {
        recover(world, store);
    }
    world.runtime().block_on(store.check()).unwrap();
    check_all(world, store, ledger);
    let (code, verifier) = world.code();
    let token = world.redeem(&code, &verifier).unwrap()["refresh_token"].to_string();
    world.refresh(token.trim_matches('"')).unwrap();
}

fn world(cluster: &Cluster, settings: &[(&str, &str)]) -> (World, PostgresStore) {
    let runtime = runtime();
    let pool = pool(&runtime, cluster.options().options(settings.iter().copied()), 8);
    let store = new_store(&runtime, &pool).with_timeout(Duration::from_secs(5));
    (World::new(runtime, store.clone()), store)
}

/// R21, T13: requests that need room fail without an effect, and reads go on. Once there is room again,
/// writes go on too.
#[test]
fn a_full_disk_of_the_tables_is_an_error_and_room_ends_it() {
    let Some(cluster) = own_cluster() else { return };
    let Some(mount) = Mount::of_bytes(&cluster, 6 << 20) else { return };
    let (admin, tablespace) =
        (runtime(), format!("CREATE TABLESPACE small LOCATION '{}'", mount.0.path().display()));
    let hosts = pool(&admin, cluster.options(), 1);
    admin.block_on(hosts.execute(sqlx::AssertSqlSafe(tablespace))).unwrap();
    fs::write(mount.ballast(), vec![7; 4 << 20]).unwrap();
    let (world, store) = world(&cluster, &[("default_tablespace", "small")]);
    let ledger = fill(&world, &store);
    assert!(log(&cluster).contains("No space left on device"));
    world.runtime().block_on(async {
        let refused = grant(&world.app.id, "ann");
        if store.insert_grant(refused.clone()).await.is_err() {
            assert!(store.find_grant(&refused.grant_id).await.unwrap().is_none());
        }
        let id = ledger.grants.keys().next().unwrap();
        assert!(store.find_grant(id).await.unwrap().is_some());
    });
    fs::remove_file(mount.ballast()).unwrap();
    goes_on(&world, &store, &ledger);
    eprintln!("{} grants answered before the disk was full, none lost", ledger.grants.len());
    drop(cluster);
    drop(mount);
}

/// R21, T13: PostgreSQL stops if the disk of its write-ahead log is full. Started again with room, it
/// has everything that was answered, and the same store goes on.
#[test]
fn a_full_disk_of_the_log_loses_nothing_that_was_answered() {
    let Some(cluster) = own_cluster() else { return };
    cluster.stop();
    let Some(mount) = Mount::of_bytes(&cluster, 48 << 20) else { return };
    let (wal, moved) = (cluster.file("data/pg_wal"), mount.0.file("pg_wal"));
    assert!(command("mv").args([&wal, &moved]).status().unwrap().success());
    std::os::unix::fs::symlink(&moved, &wal).unwrap();
    cluster.start();
    let (world, store) = world(&cluster, &[]);
    // Leaves only the rest of the present segment.
    fs::write(mount.ballast(), vec![7; room(mount.0.path())]).unwrap();
    let hosts = pool(world.runtime(), cluster.options(), 1);
    // Fills it sooner than grants alone. The statement may fail.
    let filler = "CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)";
    let _ = world.runtime().block_on(hosts.execute(filler));
    let ledger = fill(&world, &store);
    assert!(log(&cluster).contains("No space left on device"));
    fs::remove_file(mount.ballast()).unwrap();
    // PostgreSQL may be about to stop, or have stopped.
    let mut waited = 0;
    while world.runtime().block_on(store.check()).is_err() {
        waited += 1;
        assert!(waited < 1_000, "it does not recover");
        if !cluster.runs() {
            cluster.stop();
            cluster.start();
        }
    }
    goes_on(&world, &store, &ledger);
    eprintln!("{} grants answered before the log was full, none lost", ledger.grants.len());
    drop(cluster);
    drop(mount);
}

fn log(cluster: &Cluster) -> String {
    fs::read_to_string(cluster.log()).unwrap()
}

/// Returns the free bytes of the file system of `folder`.
fn room(folder: &Path) -> usize {
    let df = command("df").args(["--output=avail", "-B1"]).arg(folder).output().unwrap();
    String::from_utf8(df.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}
