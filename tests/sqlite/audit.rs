//! The audit log and usage in the file.

use std::sync::Arc;
use std::time::Duration;

use grantor::audit::conformance::AuditKit;
use grantor::audit::{Action, Actor, AuditEvent, AuditQuery, AuditStore as _, EventId, NewEvent};
use grantor::clock::ManualClock;
use grantor::ids::{ClientId, Subject};
use grantor::observe::Outcome;
use grantor::protocol::GrantType;
use grantor::random::OsRandom;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    FeedCursor, GrantStore as _, InsertGrant, Page, Pruning, SqliteSettings, SqliteStore,
    TablePrefix, prune_regularly,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};

use crate::contract::Shared;
use crate::sandbox::{Folder, wait_until};
use crate::support::{Desk, HOUR, Tokio, at, with};

fn host(runtime: &Tokio, folder: &Folder) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.file("a.db")).create_if_missing(true);
    runtime.block_on(options.connect()).unwrap()
}

fn event(millis: i64, client_id: &ClientId, subject: &str) -> NewEvent {
    let action = Action::IssueToken { grant_type: Some(GrantType::JwtBearer) };
    let actor = Actor::App(client_id.clone());
    let event = AuditEvent::new(at(millis), actor, action, Outcome::Success);
    let event = event.with_subject(&Subject::new(subject).unwrap());
    NewEvent { id: EventId::generate(event.at, &OsRandom::new()).unwrap(), event }
}

fn keeps_the_log(folder: Folder, rounds: usize) {
    let runner = Shared::new();
    let report = AuditKit::new(runner.stores(folder)).with_runner(runner).with_rounds(rounds).run();
    assert!(report.is_passed(), "{report}");
}

#[test]
fn the_store_keeps_the_audit_log() {
    keeps_the_log(Folder::in_memory(), 100);
}

#[test]
fn the_store_keeps_the_audit_log_on_a_disk() {
    keeps_the_log(Folder::on_disk(), 5);
}

/// Opening a file brings the tables of the first version to the present one and keeps their rows.
#[test]
fn a_file_of_the_first_version_gets_the_tables_of_the_log() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let schema = SqliteStore::schema_sql(&TablePrefix::default());
    let (first, rest) = schema.split_once("CREATE TABLE grantor_audit ").unwrap();
    assert!(rest.contains("UPDATE grantor_meta SET version = 2"));
    let mut host = host(&runtime, &folder);
    runtime.block_on(sqlx::raw_sql(sqlx::AssertSqlSafe(first)).execute(&mut host)).unwrap();
    runtime
        .block_on(
            sqlx::raw_sql(
                "INSERT INTO grantor_revocations VALUES ('s:ann', 5, 1, 7, 9);
                 UPDATE grantor_meta SET clock = 5, entered = 1",
            )
            .execute(&mut host),
        )
        .unwrap();
    let open = |settings| runtime.block_on(SqliteStore::open(folder.file("a.db"), settings));
    let error = open(SqliteSettings::new().without_migrations()).unwrap_err();
    let cause = error.to_string();
    assert!(cause.contains("version 1"), "{cause}");

    for _ in 0..2 {
        let store = open(SqliteSettings::new()).unwrap();
        let feed = store.revocations_since(FeedCursor::default(), 10, at(0));
        assert_eq!(runtime.block_on(feed).unwrap().entries.len(), 1);
        let app = ClientId::new("app").unwrap();
        runtime.block_on(store.append(&[event(0, &app, "ann")])).unwrap();
    }
    let version = sqlx::query("SELECT version FROM grantor_meta").fetch_one(&mut host);
    assert_eq!(runtime.block_on(version).unwrap().get::<i64, _>(0), 2);
}

/// A file of revision 3 gets what was added, and programs of revision 3 find the numbers that they ask for. A
/// program also works on a file with further additions.
#[test]
fn a_file_of_revision_3_gets_the_additions_and_programs_without_them_go_on() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let schema = SqliteStore::schema_sql(&TablePrefix::default());
    let added = "ALTER TABLE grantor_meta ADD COLUMN additions";
    let (before, _) = schema.split_once(added).unwrap();
    let mut host = host(&runtime, &folder);
    let mut run = |sql: &str| {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        runtime.block_on(sqlx::raw_sql(sql).fetch_all(&mut host)).unwrap()
    };
    run(before);
    let open = |settings| runtime.block_on(SqliteStore::open(folder.file("a.db"), settings));
    let cause = open(SqliteSettings::new().without_migrations()).unwrap_err().to_string();
    assert!(cause.contains("of version 3, and this crate needs "), "{cause}");
    let app = ClientId::new("app").unwrap();
    for _ in 0..2 {
        let store = open(SqliteSettings::new()).unwrap();
        runtime.block_on(store.append(&[event(0, &app, "ann")])).unwrap();
        let history = runtime.block_on(store.usage_history(&app, at(0), at(0))).unwrap();
        assert_eq!(history.days.len(), 1);
    }
    let asked =
        run("SELECT version, max(version, revision) AS last FROM grantor_meta WHERE id = 1");
    assert_eq!((asked[0].get::<i64, _>(0), asked[0].get::<i64, _>(1)), (2, 3));
    run("UPDATE grantor_meta SET additions = 9");
    assert!(open(SqliteSettings::new()).is_ok());
}

#[test]
fn an_erased_user_is_not_in_the_log_either() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let ann = Subject::new("ann").unwrap();
    let events: Vec<_> = (0..900)
        .map(|millis| event(millis, &desk.client_id, if millis % 2 == 0 { "ann" } else { "bob" }))
        .collect();
    runtime.block_on(desk.store.append(&events)).unwrap();
    let erasure = desk.store.erase_subject(&ann, at(1_000), at(HOUR));
    assert_eq!(runtime.block_on(erasure).unwrap(), 450);
    let query = "SELECT count(*) FROM grantor_audit WHERE subject = 'ann' OR event LIKE '%ann%'";
    let left = runtime.block_on(sqlx::query(query).fetch_one(&mut host(&runtime, &folder)));
    assert_eq!(left.unwrap().get::<i64, _>(0), 0);
    let all = AuditQuery::all();
    let page = desk.store.find_events(&all, Page::first(200));
    assert_eq!(runtime.block_on(page).unwrap().items.len(), 200);
    let usage = runtime.block_on(desk.store.usage_of(&desk.client_id)).unwrap();
    assert_eq!(usage.issued[&GrantType::JwtBearer], 900, "usage names no user");
}

/// Each query uses its own index.
#[test]
fn events_are_found_without_reading_the_log() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let _desk = runtime.desk(&folder.file("a.db"));
    let mut host = host(&runtime, &folder);
    for (narrowed, index) in [
        ("", "sqlite_autoindex_grantor_audit_1"),
        ("AND client_id = ?1 ", "grantor_audit_client_id"),
        ("AND subject = ?1 ", "grantor_audit_subject"),
    ] {
        let query = format!(
            "EXPLAIN QUERY PLAN SELECT event FROM grantor_audit WHERE event_id >= ?2 \
             AND event_id <= ?3 AND at >= ?4 AND at <= ?5 AND event_id < ?6 {narrowed}\
             ORDER BY event_id DESC LIMIT ?7"
        );
        let rows =
            runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut host)).unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        assert!(plan.len() == 1 && plan[0].contains(index), "{plan:?}");
    }
}

/// A call removes 1,000 rows at most, also with a higher limit, and says that one is left.
#[test]
fn a_call_removes_a_thousand_rows_at_most() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk: Desk = runtime.desk(&folder.file("a.db"));
    let inserts: Vec<_> = (0..1_001)
        .map(|_| {
            let grant = with(desk.family(), |it| it.expires_at = at(1_000));
            let store = Arc::clone(&desk.store);
            runtime.spawn(async move { store.insert_grant(grant).await })
        })
        .collect();
    for insert in inserts {
        runtime.block_on(insert).unwrap().unwrap();
    }
    let events: Vec<_> = (0..1_001).map(|_| event(0, &desk.client_id, "ann")).collect();
    runtime.block_on(desk.store.append(&events)).unwrap();
    for (removed, more) in [(1_000, true), (1, false)] {
        let rows = runtime.block_on(desk.store.prune(at(1_000), usize::MAX)).unwrap();
        assert_eq!((rows.removed, rows.more), (removed, more));
        let rows = runtime.block_on(desk.store.prune_events(at(1_000), usize::MAX)).unwrap();
        assert_eq!((rows.removed, rows.more), (removed, more));
    }
}

/// The task removes all expired rows, in as many batches as that takes, and no other row.
#[test]
fn expired_rows_go_by_the_ready_made_task() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk: Desk = runtime.desk(&folder.file("a.db"));
    let clock = Arc::new(ManualClock::new(at(0)));
    let live = desk.family();
    let expired: Vec<_> =
        (0..50).map(|_| with(desk.family(), |it| it.expires_at = at(1_000))).collect();
    for grant in expired.iter().chain([&live]) {
        let inserted = runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
        assert!(matches!(inserted, InsertGrant::Inserted { .. }));
    }
    let pruning = Pruning::new().interval(Duration::from_millis(5)).batch(7);
    let pruning = pruning.clock(Arc::clone(&clock));
    let failed = |error: &_| unreachable!("{error:?}");
    let store = Arc::clone(&desk.store);
    let task = runtime.spawn(prune_regularly(store, pruning, tokio::time::sleep, failed));
    let is_there = |grant: &grantor::store::Grant| {
        runtime.block_on(desk.store.find_grant(&grant.grant_id)).unwrap().is_some()
    };
    std::thread::sleep(Duration::from_millis(50));
    assert!(expired.iter().all(is_there));
    clock.set(at(1_000));
    wait_until("all expired rows are gone", || !expired.iter().any(is_there));
    assert!(is_there(&live));
    task.abort();
}
