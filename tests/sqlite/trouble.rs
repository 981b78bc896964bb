//! A full disk, a read-only file, an empty pool, a clock that jumps.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grantor::audit::NoAudit;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    GrantStore as _, InsertGrant, RedeemCode, Revocation, RevocationReason, RevocationTarget,
    Rotate, SqliteSettings, SqliteStore, StoreError,
};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

use crate::sandbox::{Folder, command, wait_until};
use crate::support::{Desk, HOUR, Tokio, app, at, code, token, with};

fn cause(error: &StoreError) -> String {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        cause = format!("{cause} {error}");
        source = error.source();
    }
    cause
}

/// A small file system in memory, which only root can make.
struct Mount(Folder);

impl Mount {
    fn of_bytes(bytes: u64) -> Option<Self> {
        let folder = Folder::in_memory();
        let done = command("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder.path())
            .output()
            .ok()?;
        done.status.success().then_some(Self(folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = command("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// Inserts grants until the store fails. Returns their number and the error.
fn fill(runtime: &Tokio, desk: &Desk) -> (usize, StoreError) {
    for number in 0..200_000 {
        let waves: Vec<_> = (0..32)
            .map(|_| {
                let (store, grant) = (Arc::clone(&desk.store), desk.grant());
                runtime.spawn(async move {
                    let id = grant.grant_id;
                    (id, store.insert_grant(grant).await)
                })
            })
            .collect();
        for wave in waves {
            let (id, answer) = runtime.block_on(wave).unwrap();
            let found = runtime.block_on(desk.store.find_grant(&id)).unwrap();
            assert_eq!(found.is_some(), answer.is_ok(), "only answered grants are there");
            if let Err(error) = answer {
                return (number, error);
            }
        }
    }
    unreachable!("nothing is ever full")
}

/// Checks a store with a full disk, and again once there is room.
fn survives_a_full_disk(runtime: &Tokio, desk: &Desk, make_room: impl FnOnce()) {
    let family = desk.family();
    let pending = desk.grant();
    for grant in [&family, &pending] {
        let inserted = runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
        assert!(matches!(inserted, InsertGrant::Inserted { .. }));
    }
    let (_, error) = fill(runtime, desk);
    assert!(cause(&error).contains("full"), "{error}:{}", cause(&error));
    // Reads go on.
    let found = runtime.block_on(desk.store.find_grant(&family.grant_id)).unwrap();
    assert_eq!(found.unwrap().generation, 1);
    assert!(!runtime.block_on(desk.store.is_revoked(&pending.facts())).unwrap());
    make_room();
    let rotated = runtime.block_on(desk.store.rotate(&token(&family, 1))).unwrap();
    assert_eq!(rotated, Rotate::Rotated);
    let redeemed = runtime.block_on(desk.store.redeem_code(&code(&pending))).unwrap();
    assert_eq!(redeemed, RedeemCode::Redeemed);
    runtime.block_on(desk.store.insert_grant(desk.grant())).unwrap();
    runtime.block_on(desk.store.check()).unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_room_ends_it() {
    let Some(mount) = Mount::of_bytes(3 << 20) else {
        skipped("only root can make a file system that is full");
        return;
    };
    let runtime = Tokio::new();
    let ballast = mount.0.file("ballast");
    fs::write(&ballast, vec![7; 1 << 20]).unwrap();
    let desk = runtime.desk(&mount.0.file("full.db"));
    survives_a_full_disk(&runtime, &desk, || fs::remove_file(&ballast).unwrap());
    drop(desk);
}

/// If the host limits the size of the file, pruning makes room.
#[test]
fn a_full_file_is_an_error_and_pruning_ends_it() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let options = options(&folder.file("a.db")).pragma("max_page_count", "150");
    let pool = runtime.block_on(async { SqlitePool::connect_lazy_with(options) });
    let store = runtime.block_on(SqliteStore::with_pool(pool, SqliteSettings::new())).unwrap();
    let desk = Desk::new(&runtime, store);
    // These expire early. The grants that are checked later do not.
    let short = |grant| with(grant, |grant| grant.expires_at = at(60_000));
    for _ in 0..200 {
        runtime.block_on(desk.store.insert_grant(short(desk.grant()))).unwrap();
    }
    let store = Arc::clone(&desk.store);
    survives_a_full_disk(&runtime, &desk, || {
        let pruned = runtime.block_on(store.prune(at(HOUR), 1_000)).unwrap();
        assert_eq!((pruned.removed, pruned.more), (200, false));
    });
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).create_if_missing(true)
}

#[test]
fn a_file_that_cannot_be_written_is_refused_at_once() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    drop(runtime.desk(&file));
    let open = |options: SqliteConnectOptions| {
        runtime.block_on(async {
            let pool = SqlitePool::connect_lazy_with(options);
            SqliteStore::with_pool(pool, SqliteSettings::new()).await
        })
    };
    let error = open(options(&file).read_only(true)).unwrap_err();
    assert!(cause(&error).contains("readonly"), "{}", cause(&error));
    // Each connection would get its own database in memory.
    let error = open(SqliteConnectOptions::new().in_memory(true)).unwrap_err();
    assert!(cause(&error).contains("in memory"), "{}", cause(&error));
    let missing = folder.file("missing").join("a.db");
    assert!(runtime.block_on(SqliteStore::open(missing, SqliteSettings::new())).is_err());
}

/// If another program keeps the file locked, the store answers an error. It goes on afterwards.
#[test]
fn a_file_that_is_locked_for_long_is_an_error_until_it_is_free() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let grant = desk.grant();
    runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
    let other = options(&folder.file("a.db"));
    let mut other = runtime.block_on(sqlx::ConnectOptions::connect(&other)).unwrap();
    runtime.block_on(sqlx::query("BEGIN IMMEDIATE").execute(&mut other)).unwrap();
    let error = runtime.block_on(desk.store.redeem_code(&code(&grant))).unwrap_err();
    assert!(cause(&error).contains("locked"), "{}", cause(&error));
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut other)).unwrap();
    let redeemed = runtime.block_on(desk.store.redeem_code(&code(&grant))).unwrap();
    assert_eq!(redeemed, RedeemCode::Redeemed);
}

/// A store over one connection, with a pool that soon gives up.
struct Impatient {
    pool: SqlitePool,
    store: Arc<SqliteStore>,
}

impl Impatient {
    /// Opens a store over the file of another store. A busy machine may need several tries.
    fn open(runtime: &Tokio, file: &Path) -> Self {
        let wait = Duration::from_millis(500);
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(wait);
        let pool = runtime.block_on(async { pool.connect_lazy_with(options(file)) });
        let mut store = None;
        wait_until("the store is open", || {
            let opened = SqliteStore::with_pool(pool.clone(), SqliteSettings::new());
            store = runtime.block_on(opened).ok();
            store.is_some()
        });
        Self { pool, store: Arc::new(store.unwrap()) }
    }

    /// Takes the connection out of the pool.
    fn take(&self, runtime: &Tokio) -> PoolConnection<Sqlite> {
        let mut held = None;
        wait_until("the connection is free", || {
            held = runtime.block_on(self.pool.acquire()).ok();
            held.is_some()
        });
        held.unwrap()
    }
}

/// Writes do not need the pool. Reads fail while it is empty.
#[test]
fn an_empty_pool_is_an_error_until_a_connection_comes_back() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let patient = runtime.desk(&file);
    let impatient = Impatient::open(&runtime, &file);
    let desk = Desk { store: Arc::clone(&impatient.store), client_id: patient.client_id };
    let grant = desk.grant();
    let held = impatient.take(&runtime);
    runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
    let redeemed = runtime.block_on(desk.store.redeem_code(&code(&grant))).unwrap();
    assert_eq!(redeemed, RedeemCode::Redeemed);
    let error = runtime.block_on(desk.store.is_revoked(&grant.facts())).unwrap_err();
    assert!(cause(&error).contains("timed out"), "{}", cause(&error));
    assert!(runtime.block_on(desk.store.find_grant(&grant.grant_id)).is_err());
    runtime.block_on(async { drop(held) });
    let mut is_revoked = None;
    wait_until("the connection is back", || {
        is_revoked = runtime.block_on(desk.store.is_revoked(&grant.facts())).ok();
        is_revoked.is_some()
    });
    assert_eq!(is_revoked, Some(false));
}

/// A server issues nothing and spends nothing while its store cannot read. The client can ask again.
#[test]
fn a_server_over_an_empty_pool_issues_nothing_and_spends_nothing() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let patient = runtime.world(&Arc::new(runtime.open(&file)), NoAudit::new());
    let app = patient.register(app());
    let (code, verifier) = patient.code(&app);
    let mut tokens = patient.redeem(&app, &code, &verifier);
    let impatient = Impatient::open(&runtime, &file);
    let world = runtime.world(&impatient.store, NoAudit::new());
    for _ in 0..3 {
        let refresh_token = tokens.text("refresh_token").to_owned();
        let held = impatient.take(&runtime);
        world.refresh(&app, &refresh_token).assert_error(500, "server_error");
        // A connection goes back by a task of the runtime.
        runtime.block_on(async { drop(held) });
        // The client asks again until the connection is back.
        tokens = loop {
            let answer = world.refresh(&app, &refresh_token);
            match answer.status {
                200 => break answer,
                status => assert_eq!(status, 500),
            }
        };
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    assert!(pollster::block_on(SqliteStore::open(&file, SqliteSettings::new())).is_err());
    let desk = runtime.desk(&file);
    let grant = desk.grant();
    assert!(pollster::block_on(desk.store.find_grant(&grant.grant_id)).is_err());
    // The writer has its own thread.
    let inserted = pollster::block_on(desk.store.insert_grant(grant)).unwrap();
    assert!(matches!(inserted, InsertGrant::Inserted { .. }));
}

/// The file holds the clock, so a clock that jumps back while the process is down revives nothing.
#[test]
fn a_clock_that_jumps_back_across_a_restart_revives_nothing() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let desk = runtime.desk(&file);
    let late = with(desk.family(), |grant| grant.authorized_at = at(HOUR));
    runtime.block_on(desk.store.insert_grant(late.clone())).unwrap();
    let client_id = desk.client_id.clone();
    drop(desk);

    let store = Arc::new(runtime.open(&file));
    let everything = Revocation {
        target: RevocationTarget::Everything,
        at: at(0),
        why: RevocationReason::Administrator,
        until: at(24 * HOUR),
    };
    let revoked = runtime.block_on(store.revoke(&everything)).unwrap();
    assert!(revoked.at >= at(HOUR), "a revocation is dated before an earlier decision");
    assert!(runtime.block_on(store.is_revoked(&late.facts())).unwrap());
    drop(store);

    let desk = Desk { store: Arc::new(runtime.open(&file)), client_id };
    let grant = desk.dated(&runtime, desk.grant());
    let answer = runtime.block_on(desk.store.insert_grant(grant)).unwrap();
    let InsertGrant::Inserted { authorized_at } = answer else { unreachable!("a new id") };
    assert!(authorized_at > revoked.at, "an instant is before an earlier revocation");
    let early = desk.grant();
    assert!(runtime.block_on(desk.store.is_revoked(&early.facts())).unwrap());
}

#[expect(clippy::print_stderr, reason = "a test says that it was skipped")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
