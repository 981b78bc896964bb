//! A file of the previous version: it is brought to the present one in place, and programs of both
//! versions work on it at the same time.

use grantor::app::Flow;
use grantor::ids::{ClientId, DeviceId, SessionId, Subject};
use grantor::protocol::Scope;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    FeedCursor, Grant, GrantFilter, GrantRefusal, GrantStore as _, InsertGrant, Page, Revocation,
    RevocationReason, RevocationTarget, Rotate, SqliteSettings, SqliteStore,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use crate::revision_2::{
    CENTURY, assert_kept, at, binding, id, redemption, rotation, salt, statements,
};
use crate::sandbox::Folder;
use crate::support::Tokio;

const ROWS: &str = include_str!("../fixtures/revision_2/sqlite.sql");
const ANSWERS: &str = include_str!("../fixtures/revision_2/sqlite_answers.jsonl");
const STATEMENTS: &str = include_str!("../fixtures/revision_2/sqlite_statements.json");

/// A file with the rows of the previous version, and a connection of a program of that version.
struct Upgrade {
    runtime: Tokio,
    folder: Folder,
    apps: Vec<ClientId>,
}

impl Upgrade {
    fn new() -> (Self, SqliteConnection) {
        let (runtime, folder) = (Tokio::new(), Folder::in_memory());
        let options = SqliteConnectOptions::new()
            .filename(folder.file("a.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let mut old = runtime.block_on(options.connect()).unwrap();
        runtime.block_on(sqlx::raw_sql(ROWS).execute(&mut old)).unwrap();
        let first = ANSWERS.lines().next().unwrap();
        let (_, apps): (String, Vec<ClientId>) = serde_json::from_str(first).unwrap();
        (Self { runtime, folder, apps }, old)
    }

    fn open(&self) -> SqliteStore {
        self.runtime.open(&self.folder.file("a.db"))
    }
}

#[test]
fn rows_of_every_state_keep_their_meaning() {
    let (upgrade, _old) = Upgrade::new();
    let file = upgrade.folder.file("a.db");
    let settings = SqliteSettings::new().without_migrations();
    let error = upgrade.runtime.block_on(SqliteStore::open(&file, settings)).unwrap_err();
    let cause = error.to_string();
    assert!(cause.contains("version 2"), "{cause}");
    upgrade.runtime.block_on(async {
        let opened: Vec<_> = (0..6)
            .map(|_| {
                let file = file.clone();
                upgrade
                    .runtime
                    .spawn(async move { SqliteStore::open(file, SqliteSettings::new()).await })
            })
            .collect();
        for store in opened {
            store.await.unwrap().unwrap();
        }
    });
    let store = upgrade.open();
    upgrade.runtime.block_on(assert_kept(&store, ANSWERS));
}

/// A grant with a device and a session, at generation 1.
async fn family(store: &SqliteStore, n: u8, client_id: &ClientId) -> Grant {
    let scope = Scope::parse("files.read").unwrap();
    let subject = Subject::new(format!("user {n}")).unwrap();
    let mut grant = Grant::new(id(n), client_id.clone(), subject, scope);
    (grant.binding, grant.salt_digest) = (binding(n), salt(n));
    grant.authorized_at = store.instant(at(0)).await.unwrap();
    (grant.code_expires_at, grant.expires_at) = (at(CENTURY), at(CENTURY));
    grant.device = Some(DeviceId::new(format!("device {n}")).unwrap());
    grant.circumstances.get_or_insert_default().session =
        Some(SessionId::new(format!("session {n}")).unwrap());
    (grant.generation, grant.rotated_at, grant.claim) = (1, at(0), 1);
    assert!(matches!(store.insert_grant(grant).await.unwrap(), InsertGrant::Inserted { .. }));
    store.find_grant(&id(n)).await.unwrap().unwrap()
}

/// Returns the targets that end grant `n`, each with its text in old tables, if any.
fn targets(n: u8, grant: &Grant) -> [(RevocationTarget, Option<String>); 8] {
    let (app, user) = (grant.client_id.clone(), grant.subject.clone());
    let device = grant.device.clone().unwrap();
    let session = grant.session().cloned().unwrap();
    let pair = RevocationTarget::AppAndSubject(app.clone(), user.clone());
    [
        (RevocationTarget::Everything, Some("*".to_owned())),
        (RevocationTarget::App(app.clone()), Some(format!("a:{app}"))),
        (RevocationTarget::Subject(user.clone()), Some(format!("s:{user}"))),
        (pair, Some(format!("p:{app}\n{user}"))),
        (RevocationTarget::NamedDevice(device.clone()), Some(format!("d:{device}"))),
        (RevocationTarget::Grant(id(n)), Some(format!("g:{}", id(n)))),
        (RevocationTarget::Device(app, user, device), None),
        (RevocationTarget::Session(session), None),
    ]
}

/// Rotates by the statement of the previous version.
async fn old_rotate(old: &mut SqliteConnection, grant: &Grant, generation: i64) -> bool {
    let sql = statements(STATEMENTS)("rotate");
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(grant.grant_id.as_bytes().to_vec())
        .bind(grant.client_id.as_str())
        .bind(grant.salt_digest.as_bytes().to_vec())
        .bind(generation)
        .bind(at(40).as_millis())
        .bind(3_i64)
        .bind(None::<i64>)
        .execute(old);
    done.await.unwrap().rows_affected() == 1
}

async fn old_is_revoked(old: &mut SqliteConnection, grant: &Grant) -> bool {
    let sql = statements(STATEMENTS)("is_revoked");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(grant.client_id.as_str())
        .bind(format!("g:{}", grant.grant_id))
        .bind(grant.authorized_at.as_millis())
        .bind(grant.subject.as_str())
        .bind(grant.device.as_ref().map(DeviceId::as_str))
        .bind(grant.grant_id.as_bytes().to_vec())
        .fetch_one(old);
    row.await.unwrap().get("is_revoked")
}

/// Reads the feed as the previous version does, which fails on a target that it does not know.
async fn old_feed(old: &mut SqliteConnection) -> Vec<String> {
    let sql = statements(STATEMENTS)("read_feed");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(0_i64).bind(0_i64).bind(1_000_i64);
    let rows = rows.fetch_all(old).await.unwrap();
    let targets: Vec<String> = rows.iter().map(|row| row.get("target")).collect();
    for target in &targets {
        let known = ["a:", "s:", "p:", "d:", "g:"].iter().any(|kind| target.starts_with(kind));
        assert!(known || target == "*", "{target}");
    }
    targets
}

/// Revokes as the previous version does: the target, then the row of a grant.
async fn old_revoke(old: &mut SqliteConnection, target: &RevocationTarget, text: String) {
    let clock =
        sqlx::query(AssertSqlSafe(statements(STATEMENTS)("load_clock"))).fetch_one(&mut *old);
    let clock = clock.await.unwrap();
    let (now, entered): (i64, i64) = (clock.get("clock"), clock.get("entered"));
    let until = at(CENTURY).as_millis();
    sqlx::query(AssertSqlSafe(statements(STATEMENTS)("enter_revocation")))
        .bind(text)
        .bind(now)
        .bind(entered + 1)
        .bind(7_i64)
        .bind(until)
        .execute(&mut *old)
        .await
        .unwrap();
    if let RevocationTarget::Grant(grant_id) = target {
        let end = sqlx::query(AssertSqlSafe(statements(STATEMENTS)("revoke_grant")));
        let end = end.bind(grant_id.as_bytes().to_vec()).bind(now).bind(7_i64);
        end.execute(&mut *old).await.unwrap();
    }
    let keep = sqlx::query(AssertSqlSafe(statements(STATEMENTS)("keep_clock")));
    keep.bind(now + 1).bind(entered + 1).execute(old).await.unwrap();
}

/// Statements that a connection of the previous version prepared before the migration go on after it.
#[test]
fn a_revocation_of_this_version_binds_programs_of_the_previous_one() {
    let (upgrade, mut old) = Upgrade::new();
    let old = &mut old;
    upgrade.runtime.block_on(async {
        let app = &upgrade.apps[0];
        let mut early =
            Grant::new(id(8), app.clone(), Subject::new("bob").unwrap(), Scope::empty());
        (early.salt_digest, early.authorized_at) = (salt(8), at(6));
        assert!(old_rotate(old, &early, 3).await);
        assert!(!old_is_revoked(old, &early).await);
        old_feed(old).await;
    });
    let store = &upgrade.open();
    upgrade.runtime.block_on(async {
        let version = sqlx::query(AssertSqlSafe(statements(STATEMENTS)("load_version")));
        let version = version.fetch_one(&mut *old).await.unwrap();
        assert_eq!(version.get::<i64, _>("version"), 2, "a program of that version may start");
        for (case, n) in (101_u8..109).enumerate() {
            let app = if case == 1 { &upgrade.apps[1] } else { &upgrade.apps[0] };
            let grant = family(store, n, app).await;
            assert!(!old_is_revoked(old, &grant).await);
            assert!(old_rotate(old, &grant, 1).await);
            let (target, text) = targets(n, &grant)[case].clone();
            let why = RevocationReason::Administrator;
            let revocation = Revocation { target, at: at(0), why, until: at(CENTURY) };
            store.revoke(&revocation).await.unwrap();
            assert!(store.is_revoked(&grant.facts()).await.unwrap());
            assert!(old_is_revoked(old, &grant).await, "{revocation:?}");
            assert!(!old_rotate(old, &grant, 2).await, "{revocation:?}");
            let feed = old_feed(old).await;
            assert!(text.is_none_or(|text| feed.contains(&text)), "{revocation:?}");
        }
    });
}

#[test]
fn a_revocation_of_the_previous_version_binds_programs_of_this_one() {
    let (upgrade, mut old) = Upgrade::new();
    let store = upgrade.open();
    upgrade.runtime.block_on(async {
        for (case, n) in (101_u8..107).enumerate() {
            let app = if case == 1 { &upgrade.apps[1] } else { &upgrade.apps[0] };
            let grant = family(&store, n, app).await;
            let (target, text) = targets(n, &grant)[case].clone();
            old_revoke(&mut old, &target, text.unwrap()).await;
            assert!(store.is_revoked(&grant.facts()).await.unwrap(), "{target:?}");
            let rotated = store.rotate(&rotation(n, app, 1, 0, 50)).await.unwrap();
            assert_eq!(rotated, Rotate::Refused(GrantRefusal::Revoked), "{target:?}");
            let feed = store.revocations_since(FeedCursor::default(), 1_000, at(0)).await.unwrap();
            assert!(feed.entries.iter().any(|entry| entry.target == target), "{target:?}");
        }
    });
}

#[test]
fn both_versions_make_and_rotate_grants_on_the_same_tables() {
    let (upgrade, mut old) = Upgrade::new();
    let store = upgrade.open();
    upgrade.runtime.block_on(async {
        let app = &upgrade.apps[0];
        for (n, actor) in [(110, None), (111, Some(app))] {
            sqlx::query(AssertSqlSafe(statements(STATEMENTS)("insert_grant")))
                .bind(id(n).as_bytes().to_vec())
                .bind(app.as_str())
                .bind("ann")
                .bind(0_i64)
                .bind(actor.map(ClientId::as_str))
                .bind("files.read")
                .bind(None::<String>)
                .bind(Some("phone"))
                .bind(None::<i64>)
                .bind(binding(n).as_bytes().to_vec())
                .bind(salt(n).as_bytes().to_vec())
                .bind(at(CENTURY / 2).as_millis())
                .bind(at(CENTURY).as_millis())
                .bind(at(CENTURY).as_millis())
                .bind(0_i64)
                .bind(0_i64)
                .bind(0_i64)
                .bind(0_i64)
                .bind(0_i64)
                .bind(None::<i64>)
                .bind(None::<i64>)
                .bind(14_i64)
                .execute(&mut old)
                .await
                .unwrap();
            let grant = store.find_grant(&id(n)).await.unwrap().unwrap();
            let flow = if actor.is_some() { Flow::JwtBearer } else { Flow::AuthorizationCode };
            assert_eq!(grant.made_by(), flow);
            store.redeem_code(&redemption(n, app)).await.unwrap();
            assert!(old_rotate(&mut old, &grant, 1).await);
            assert_eq!(store.rotate(&rotation(n, app, 2, 0, 50)).await.unwrap(), Rotate::Rotated);
            assert!(old_rotate(&mut old, &grant, 3).await);
            // Reuse that this version finds ends the grant for the other.
            assert_eq!(store.rotate(&rotation(n, app, 1, 0, 60)).await.unwrap(), Rotate::Reused);
            assert!(!old_rotate(&mut old, &grant, 4).await);
        }
        let grant = family(&store, 112, app).await;
        assert!(old_rotate(&mut old, &grant, 1).await);
        let found = store.find_grant(&id(112)).await.unwrap().unwrap();
        assert_eq!(found.circumstances, grant.circumstances);
        let of_session = GrantFilter::all().of_session(grant.session().cloned().unwrap());
        let listed = store.list_grants(&of_session, Page::first(10)).await.unwrap();
        assert_eq!(listed.items, [found]);
    });
}
