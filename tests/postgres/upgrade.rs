//! Tables of the previous version: they are brought to the present one in place, and programs of both
//! versions work on them at the same time.

use std::sync::atomic::{AtomicU32, Ordering};

use grantor::app::Flow;
use grantor::ids::{ClientId, DeviceId, SessionId, Subject};
use grantor::protocol::Scope;
use grantor::store::{
    FeedCursor, Grant, GrantFilter, GrantRefusal, GrantStore as _, InsertGrant, Page,
    PostgresStore, Revocation, RevocationReason, RevocationTarget, Rotate, TablePrefix,
};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::cluster::{PATIENCE, database, pool, runtime};
use super::revision_2::{
    CENTURY, assert_kept, at, binding, id, redemption, rotation, salt, statements,
};

const ROWS: &str = include_str!("../fixtures/revision_2/postgres.sql");
const ANSWERS: &str = include_str!("../fixtures/revision_2/postgres_answers.jsonl");
const STATEMENTS: &str = include_str!("../fixtures/revision_2/postgres_statements.json");

/// A schema of its own that holds the rows of the previous version.
struct Upgrade {
    runtime: tokio::runtime::Runtime,
    store: PostgresStore,
    /// The connections of a program of the previous version.
    old: PgPool,
    apps: Vec<ClientId>,
}

impl Upgrade {
    fn new(options: PgConnectOptions) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("old{}_{number}", std::process::id());
        let runtime = runtime();
        let own = pool(&runtime, options.clone(), 8);
        let old = pool(&runtime, options.options([("search_path", schema.as_str())]), 2);
        let rows =
            format!("CREATE SCHEMA {schema}; {}", ROWS.replace("public.", &format!("{schema}.")));
        runtime.block_on(own.execute(AssertSqlSafe(rows))).unwrap();
        let prefix = TablePrefix::new(&format!("{schema}.grantor_")).unwrap();
        let store = PostgresStore::with_prefix(own, prefix).with_timeout(PATIENCE);
        let first = ANSWERS.lines().next().unwrap();
        let (_, apps): (String, Vec<ClientId>) = serde_json::from_str(first).unwrap();
        Self { runtime, store, old, apps }
    }

    fn migrate(&self) {
        self.runtime.block_on(self.store.migrate()).unwrap();
    }
}

#[test]
fn rows_of_every_state_keep_their_meaning() {
    let Some(database) = database() else { return };
    let upgrade = Upgrade::new(database.options());
    upgrade.runtime.block_on(async {
        let store = &upgrade.store;
        let error = store.check().await.unwrap_err();
        let cause = error.to_string();
        assert!(cause.contains("earlier version"), "{cause}");
        let migrations: Vec<_> = (0..6)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap();
        }
        store.check().await.unwrap();
        assert_kept(store, ANSWERS).await;
    });
}

/// A process that starts over tables of the present version waits for none of their locks.
#[test]
fn tables_that_are_up_to_date_are_not_locked() {
    let Some(database) = database() else { return };
    let upgrade = Upgrade::new(database.options());
    upgrade.migrate();
    upgrade.runtime.block_on(async {
        let mut host = upgrade.old.begin().await.unwrap();
        host.execute("LOCK TABLE grantor_grants, grantor_revocations").await.unwrap();
        upgrade.store.migrate().await.unwrap();
        host.rollback().await.unwrap();
    });
}

#[test]
fn tables_of_a_later_version_are_refused_and_unchanged() {
    let Some(database) = database() else { return };
    for later in ["revision = 4", "schema_version = 3"] {
        let upgrade = Upgrade::new(database.options());
        upgrade.migrate();
        upgrade.runtime.block_on(async {
            let later = format!(
                "UPDATE grantor_clock SET {later}; ALTER TABLE grantor_audit DROP COLUMN issuer; \
                 ALTER TABLE grantor_revocations ALTER COLUMN at SET NOT NULL"
            );
            upgrade.old.execute(AssertSqlSafe(later)).await.unwrap();
            let before = columns(&upgrade.old).await;
            let error = upgrade.store.migrate().await.unwrap_err();
            let cause = error.to_string();
            assert!(cause.contains("later version"), "{cause}");
            assert_eq!(columns(&upgrade.old).await, before);
        });
    }
}

/// Returns each column of the tables, and whether it may be NULL.
async fn columns(old: &PgPool) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', table_name, column_name, is_nullable) \
        FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1";
    let columns = sqlx::query(sql).fetch_all(old).await.unwrap();
    assert!(!columns.is_empty());
    columns.iter().map(|row| row.get(0)).collect()
}

/// A grant with a device and a session, at generation 1.
async fn family(store: &PostgresStore, n: u8, client_id: &ClientId) -> Grant {
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
    let text = |text: String| Some(text);
    [
        (RevocationTarget::Everything, text("*".to_owned())),
        (RevocationTarget::App(app.clone()), text(format!("a:{app}"))),
        (RevocationTarget::Subject(user.clone()), text(format!("s:{user}"))),
        (
            RevocationTarget::AppAndSubject(app.clone(), user.clone()),
            text(format!("p:{app}\n{user}")),
        ),
        (RevocationTarget::NamedDevice(device.clone()), text(format!("d:{device}"))),
        (RevocationTarget::Grant(id(n)), text(format!("g:{}", id(n)))),
        (RevocationTarget::Device(app, user, device), None),
        (RevocationTarget::Session(session), None),
    ]
}

/// Rotates by the statement of the previous version; `None` if it changed nothing.
async fn old_rotate(old: &PgPool, grant: &Grant, generation: i64) -> Option<i16> {
    let sql = statements(STATEMENTS)("rotate");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(grant.grant_id.as_bytes().to_vec())
        .bind(grant.client_id.as_str())
        .bind(grant.salt_digest.as_bytes().to_vec())
        .bind(generation)
        .bind(3_i64)
        .bind(at(40).as_millis())
        .bind(30_000_i64)
        .bind(5_i16)
        .bind(None::<i64>)
        .bind(format!("g:{}", grant.grant_id))
        .fetch_optional(old)
        .await
        .unwrap();
    rows.map(|row| row.get("outcome"))
}

async fn old_is_revoked(old: &PgPool, grant: &Grant) -> bool {
    let sql = statements(STATEMENTS)("is_revoked");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(grant.grant_id.as_bytes().to_vec())
        .bind(grant.client_id.as_str())
        .bind(grant.subject.as_str())
        .bind(grant.device.as_ref().map(DeviceId::as_str))
        .bind(format!("g:{}", grant.grant_id))
        .bind(grant.authorized_at.as_millis())
        .fetch_one(old);
    row.await.unwrap().get("revoked")
}

/// Reads the feed as the previous version does, which fails on a target that it does not know.
async fn old_feed(old: &PgPool) -> Vec<String> {
    let sql = statements(STATEMENTS)("revocations_since");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(0_i64).bind(1_000_i64).fetch_all(old);
    let targets: Vec<String> = rows.await.unwrap().iter().map(|row| row.get("target")).collect();
    for target in &targets {
        let known = ["a:", "s:", "p:", "d:", "g:"].iter().any(|kind| target.starts_with(kind));
        assert!(known || target == "*", "{target}");
    }
    targets
}

/// Statements that a connection of the previous version prepared before the migration go on after it.
#[test]
fn a_revocation_of_this_version_binds_programs_of_the_previous_one() {
    let Some(database) = database() else { return };
    let upgrade = Upgrade::new(database.options());
    let (store, old) = (&upgrade.store, &upgrade.old);
    upgrade.runtime.block_on(async {
        let before = store_grant_of_fixture(old).await;
        assert!(!before);
        store.migrate().await.unwrap();
        let check = sqlx::query(AssertSqlSafe(statements(STATEMENTS)("check"))).fetch_one(old);
        assert_eq!(check.await.unwrap().get::<i32, _>("schema_version"), 2);
        for (case, n) in (101_u8..109).enumerate() {
            let app = if case == 1 { &upgrade.apps[1] } else { &upgrade.apps[0] };
            let grant = family(store, n, app).await;
            assert!(!old_is_revoked(old, &grant).await);
            assert_eq!(old_rotate(old, &grant, 1).await, Some(6), "rotated");
            let (target, text) = targets(n, &grant)[case].clone();
            let why = RevocationReason::Administrator;
            let revocation = Revocation { target, at: at(0), why, until: at(CENTURY) };
            store.revoke(&revocation).await.unwrap();
            assert!(store.is_revoked(&grant.facts()).await.unwrap());
            assert!(old_is_revoked(old, &grant).await, "{revocation:?}");
            assert_eq!(old_rotate(old, &grant, 2).await, None, "{revocation:?}");
            let feed = old_feed(old).await;
            assert!(text.is_none_or(|text| feed.contains(&text)), "{revocation:?}");
        }
    });
}

/// Has the previous version judge a grant of the fixture.
async fn store_grant_of_fixture(old: &PgPool) -> bool {
    let sql = statements(STATEMENTS)("find_grant");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id(8).as_bytes().to_vec()).fetch_one(old);
    let row = row.await.unwrap();
    let client_id = ClientId::new(row.get::<String, _>("client_id")).unwrap();
    let subject = Subject::new(row.get::<String, _>("subject")).unwrap();
    let mut grant = Grant::new(id(8), client_id, subject, Scope::empty());
    (grant.salt_digest, grant.authorized_at) =
        (salt(8), grantor::clock::UnixTime::from_millis(row.get("authorized_at")));
    assert_eq!(old_rotate(old, &grant, 3).await, Some(6));
    old_is_revoked(old, &grant).await
}

#[test]
fn a_revocation_of_the_previous_version_binds_programs_of_this_one() {
    let Some(database) = database() else { return };
    let upgrade = Upgrade::new(database.options());
    let (store, old) = (&upgrade.store, &upgrade.old);
    upgrade.migrate();
    upgrade.runtime.block_on(async {
        for (case, n) in (101_u8..107).enumerate() {
            let app = if case == 1 { &upgrade.apps[1] } else { &upgrade.apps[0] };
            let grant = family(store, n, app).await;
            let (target, text) = targets(n, &grant)[case].clone();
            let text = text.unwrap();
            let (why, until) = (7_i16, at(CENTURY).as_millis());
            let revoke = if let RevocationTarget::Grant(grant_id) = target {
                sqlx::query(AssertSqlSafe(statements(STATEMENTS)("end_grant")))
                    .bind(grant_id.as_bytes().to_vec())
                    .bind(at(0).as_millis())
                    .bind(why)
                    .bind(text)
                    .bind(until)
            } else {
                let sql = statements(STATEMENTS)("cut_off");
                sqlx::query(AssertSqlSafe(sql)).bind(text).bind(why).bind(until)
            };
            revoke.fetch_one(old).await.unwrap();
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
    let Some(database) = database() else { return };
    let upgrade = Upgrade::new(database.options());
    let (store, old) = (&upgrade.store, &upgrade.old);
    upgrade.migrate();
    upgrade.runtime.block_on(async {
        // The script of the previous version, as a process of it runs it on starting.
        old.execute(AssertSqlSafe(statements(STATEMENTS)("schema"))).await.unwrap();
        store.check().await.unwrap();
        let app = &upgrade.apps[0];
        for (n, actor) in [(110, None), (111, Some(app))] {
            let sql = statements(STATEMENTS)("insert_grant");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(id(n).as_bytes().to_vec())
                .bind(app.as_str())
                .bind("ann")
                .bind(actor.map(ClientId::as_str))
                .bind("files.read")
                .bind(None::<String>)
                .bind(Some("phone"))
                .bind(None::<i64>)
                .bind(binding(n).as_bytes().to_vec())
                .bind(salt(n).as_bytes().to_vec())
                .bind(at(CENTURY).as_millis())
                .bind(at(CENTURY).as_millis())
                .bind(0_i64)
                .bind(0_i64)
                .bind(0_i64)
                .bind(0_i16)
                .bind(0_i16)
                .bind(None::<i64>)
                .bind(None::<i16>)
                .bind(format!("g:{}", id(n)))
                .fetch_one(old);
            assert!(row.await.unwrap().get::<Option<i64>, _>("authorized_at").is_some());
            let grant = store.find_grant(&id(n)).await.unwrap().unwrap();
            let flow = if actor.is_some() { Flow::JwtBearer } else { Flow::AuthorizationCode };
            assert_eq!(grant.made_by(), flow);
            store.redeem_code(&redemption(n, app)).await.unwrap();
            assert_eq!(old_rotate(old, &grant, 1).await, Some(6));
            assert_eq!(store.rotate(&rotation(n, app, 2, 0, 50)).await.unwrap(), Rotate::Rotated);
            assert_eq!(old_rotate(old, &grant, 3).await, Some(6));
            // Reuse that one version finds ends the grant for the other.
            assert_eq!(store.rotate(&rotation(n, app, 1, 0, 60)).await.unwrap(), Rotate::Reused);
            assert_eq!(old_rotate(old, &grant, 4).await, None);
        }
        let grant = family(store, 112, app).await;
        assert_eq!(old_rotate(old, &grant, 1).await, Some(6));
        assert_eq!(old_rotate(old, &grant, 1).await, Some(7), "retried");
        let found = store.find_grant(&id(112)).await.unwrap().unwrap();
        assert_eq!(found.circumstances, grant.circumstances);
        let of_session = GrantFilter::all().of_session(grant.session().cloned().unwrap());
        let listed = store.list_grants(&of_session, Page::first(10)).await.unwrap();
        assert_eq!(listed.items, [found]);
    });
}
