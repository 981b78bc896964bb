//! The contents of the file, and several stores on one file.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::app::Flow;
use grantor::audit::{AuditQueue, NoAudit};
use grantor::ids::Subject;
use grantor::protocol::Scope;
use grantor::random::OsRandom;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    AppRegistry as _, ClaimAssertion, Consent, GrantFilter, GrantStore as _, InsertGrant, Page,
    RedeemCode, Rotate, SqliteSettings, SqliteStore, TablePrefix,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool};
use sqlx::{ConnectOptions as _, Row as _};

use crate::sandbox::Folder;
use crate::support::{Desk, HOUR, Tokio, app, at, claim, code, token, with};

fn connect(runtime: &Tokio, folder: &Folder) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.file("a.db")).create_if_missing(true);
    runtime.block_on(options.connect()).unwrap()
}

fn names(runtime: &Tokio, folder: &Folder) -> Vec<String> {
    let query = sqlx::query("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'");
    let rows = runtime.block_on(query.fetch_all(&mut connect(runtime, folder))).unwrap();
    rows.iter().map(|row| row.get("name")).collect()
}

/// Reads every byte of the files of the database, including its log.
fn dump(folder: &Folder) -> Vec<u8> {
    let files = fs::read_dir(folder.path()).unwrap();
    files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn holds(dump: &[u8], text: &[u8]) -> bool {
    dump.windows(text.len()).any(|window| window == text)
}

/// Returns a secret as text and as its bytes.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bare = secret.split_once('_').map_or(secret, |(_, bare)| bare);
    let mut forms = vec![secret.as_bytes().to_vec(), bare.as_bytes().to_vec()];
    forms.extend(URL_SAFE_NO_PAD.decode(bare));
    forms.extend(secret.rsplit('.').next().map(|part| part.as_bytes().to_vec()));
    forms
}

/// A thief of the file has no credential to present.
#[test]
fn no_issued_secret_is_in_the_file() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let store = Arc::new(runtime.open(&folder.file("a.db")));
    let audit = AuditQueue::new(&OsRandom::new()).unwrap();
    let written = audit.run(Arc::clone(&store), tokio::time::sleep, |_| unreachable!());
    let written = runtime.spawn(written);
    let world = runtime.world(&store, audit.clone());
    let app = world.register(app().flow(Flow::ClientCredentials));
    let mut handed_out = vec![app.secret.clone().unwrap()];
    handed_out.extend(app.signature_secret.clone());
    let (code, verifier) = world.code(&app);
    let mut tokens = world.redeem(&app, &code, &verifier);
    handed_out.extend([code, verifier]);
    for _ in 0..3 {
        let refresh_token = tokens.text("refresh_token").to_owned();
        handed_out.push(tokens.text("access_token").to_owned());
        tokens = world.refresh(&app, &refresh_token);
        handed_out.push(refresh_token);
    }
    handed_out.push(tokens.text("access_token").to_owned());
    assert!(handed_out.len() >= 10, "{}", handed_out.len());
    audit.close();
    runtime.block_on(written).unwrap();
    let dump = dump(&folder);
    assert!(holds(&dump, b"files.read") && holds(&dump, b"ann"), "this is not the file");
    assert!(holds(&dump, b"issue_token"), "there is no audit log");
    for secret in &handed_out {
        for form in forms(secret).iter().filter(|form| form.len() >= 8) {
            assert!(!holds(&dump, form), "an issued secret is in the file");
        }
    }
    // Looks for any 16 bytes of a handle, for the sake of its salt.
    let refresh_token = handed_out.iter().rev().find(|it| it.starts_with("grt_")).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(refresh_token.trim_start_matches("grt_")).unwrap();
    let found = (0..).zip(bytes.windows(16)).filter(|(_, window)| holds(&dump, window));
    let found: Vec<usize> = found.map(|(at, _)| at).collect();
    // The bytes beside the grant id in the file may by chance be those beside it in the handle.
    let spread = found.last().unwrap() - found[0];
    assert!(spread < 4, "the grant id is the only part of a handle in the file: {found:?}");
}

#[test]
fn tables_begin_as_the_host_says_and_two_prefixes_share_a_file() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let open = |prefix: &str| {
        let settings = SqliteSettings::new().with_table_prefix(TablePrefix::new(prefix).unwrap());
        runtime.block_on(SqliteStore::open(folder.file("a.db"), settings))
    };
    let one = Desk::new(&runtime, open("oauth_").unwrap());
    assert!(names(&runtime, &folder).iter().all(|name| name.starts_with("oauth_")));
    let other = Desk::new(&runtime, open("second_").unwrap());
    let grant = one.grant();
    runtime.block_on(one.store.insert_grant(grant.clone())).unwrap();
    assert!(runtime.block_on(other.store.find_grant(&grant.grant_id)).unwrap().is_none());
    assert!(open("a_schema.oauth_").is_err());
}

#[test]
fn a_host_may_make_the_tables_itself() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let settings = SqliteSettings::new().without_migrations();
    let open = || runtime.block_on(SqliteStore::open(folder.file("a.db"), settings.clone()));
    assert!(open().is_err(), "there are no tables yet");
    let schema = SqliteStore::schema_sql(&TablePrefix::default());
    let mut host = connect(&runtime, &folder);
    runtime.block_on(sqlx::raw_sql(sqlx::AssertSqlSafe(schema)).execute(&mut host)).unwrap();
    Desk::new(&runtime, open().unwrap());
    // As a later version of this crate leaves it.
    let later = sqlx::query("UPDATE grantor_meta SET version = 99");
    runtime.block_on(later.execute(&mut host)).unwrap();
    for settings in [settings.clone(), SqliteSettings::new()] {
        assert!(runtime.block_on(SqliteStore::open(folder.file("a.db"), settings)).is_err());
    }
}

/// After a store is closed under load, everything that was answered is in one file, which no process
/// holds open.
#[test]
fn a_store_that_is_closed_leaves_one_file_with_all_that_was_answered() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let insert_until_closed = |desk: Desk| async move {
        let mut answered = Vec::new();
        loop {
            let grant = desk.grant();
            let id = grant.grant_id;
            match desk.store.insert_grant(grant).await {
                Ok(_) => answered.push(id),
                Err(_) => break answered,
            }
            // The readers end as the writer does.
            if desk.store.find_grant(&id).await.is_err() {
                break answered;
            }
        }
    };
    let busy: Vec<_> = (0..8).map(|_| runtime.spawn(insert_until_closed(desk.clone()))).collect();
    while desk.store.commits() < 50 {
        std::thread::yield_now();
    }
    runtime.block_on(desk.store.close());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let answered: Vec<_> = busy.into_iter().flat_map(|it| runtime.block_on(it).unwrap()).collect();
    assert!(answered.len() >= 50, "{}", answered.len());
    assert!(runtime.block_on(desk.store.check()).is_err());
    runtime.block_on(desk.store.close());

    fs::rename(folder.file("a.db"), folder.file("b.db")).unwrap();
    let store = runtime.open(&folder.file("b.db"));
    for id in answered {
        assert!(runtime.block_on(store.find_grant(&id)).unwrap().is_some(), "{id:?}");
    }
}

#[test]
fn a_pool_that_the_host_brought_stays_open() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(folder.file("a.db"));
        let pool = SqlitePool::connect_lazy_with(options.create_if_missing(true));
        let store = SqliteStore::with_pool(pool.clone(), SqliteSettings::new()).await.unwrap();
        store.close().await;
        assert!(store.check().await.is_err());
        assert!(!pool.is_closed());
        sqlx::query("SELECT count(*) FROM grantor_grants").fetch_one(&pool).await.unwrap();
    });
}

/// Two stores on one file, as in two processes, have one winner and one clock.
#[test]
fn two_stores_on_one_file_have_one_winner() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desks = {
        let desk = runtime.desk(&folder.file("a.db"));
        let store = Arc::new(runtime.open(&folder.file("a.db")));
        [desk.clone(), Desk { store, client_id: desk.client_id }]
    };
    for _ in 0..200 {
        let grant = desks[0].grant();
        runtime.block_on(desks[0].store.insert_grant(grant.clone())).unwrap();
        let contenders: Vec<_> = (0..8)
            .map(|contender| {
                let (desk, grant) = (desks[contender % 2].clone(), grant.clone());
                runtime.spawn(async move {
                    let redeemed = desk.store.redeem_code(&code(&grant)).await.unwrap();
                    let one = claim(&desk.client_id, grant.grant_id);
                    (redeemed, desk.store.claim_assertion(&one).await.unwrap())
                })
            })
            .collect();
        let answers: Vec<_> =
            contenders.into_iter().map(|it| runtime.block_on(it).unwrap()).collect();
        let redeemed = answers.iter().filter(|(it, _)| *it == RedeemCode::Redeemed).count();
        let first = answers.iter().filter(|(_, it)| matches!(it, ClaimAssertion::First { .. }));
        assert_eq!((redeemed, first.count()), (1, 1));
    }
    // The store enforces a change of the other store at once, before its cache expires.
    let app = runtime.block_on(desks[1].store.find_app(&desks[1].client_id)).unwrap().unwrap();
    assert!(app.is_enabled());
    let world = runtime.world(&desks[0].store, NoAudit::new());
    runtime.block_on(world.server.admin("tester").disable(&desks[0].client_id)).unwrap();
    let refused = runtime.block_on(desks[1].store.insert_grant(desks[1].grant())).unwrap();
    assert_eq!(refused, InsertGrant::AppInactive);
}

#[test]
fn an_erased_user_is_in_no_table_and_what_they_had_is_void() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let (ann, bob) = (Subject::new("ann").unwrap(), Subject::new("bob").unwrap());
    let mut of_ann = Vec::new();
    for number in 0..450 {
        let grant = if number % 2 == 0 { desk.family() } else { desk.grant() };
        runtime.block_on(desk.store.insert_grant(grant.clone())).unwrap();
        of_ann.push(grant);
    }
    let of_bob = with(desk.family(), |grant| grant.subject = bob.clone());
    runtime.block_on(desk.store.insert_grant(of_bob.clone())).unwrap();
    for subject in [&ann, &bob] {
        let (client_id, subject) = (desk.client_id.clone(), subject.clone());
        let consent = Consent {
            client_id,
            subject,
            scope: Scope::default(),
            resource: None,
            given_at: at(0),
        };
        runtime.block_on(desk.store.remember_consent(consent)).unwrap();
    }
    let withdrawal = desk.store.withdraw_consent(&desk.client_id, &ann, at(0), at(HOUR));
    runtime.block_on(withdrawal).unwrap();
    let erasure = desk.store.erase_subject(&ann, at(1), at(HOUR));
    assert_eq!(runtime.block_on(erasure).unwrap(), of_ann.len());

    for grant in &of_ann {
        assert!(runtime.block_on(desk.store.is_revoked(&grant.facts())).unwrap());
    }
    // A replayed ticket revives nothing.
    runtime.block_on(desk.store.insert_grant(of_ann[1].clone())).unwrap();
    assert_eq!(runtime.block_on(desk.store.find_grant(&of_ann[1].grant_id)).unwrap(), None);
    let anew = desk.dated(&runtime, of_ann[1].clone());
    runtime.block_on(desk.store.insert_grant(anew)).unwrap();
    assert!(
        runtime
            .block_on(desk.store.find_grant(&of_ann[1].grant_id))
            .unwrap()
            .unwrap()
            .revoked
            .is_some()
    );
    runtime.block_on(desk.store.erase_subject(&ann, at(2), at(HOUR))).unwrap();
    let filter = GrantFilter::all().of_subject(ann.clone());
    let listing = runtime.block_on(desk.store.list_grants(&filter, Page::first(10))).unwrap();
    assert_eq!(listing.items, []);
    runtime.block_on(desk.store.prune(at(HOUR), 1_000)).unwrap();
    let mut host = connect(&runtime, &folder);
    // The random names of tombstones may contain any letters.
    for (table, named) in [
        ("grants", "subject = 'ann'"),
        ("consents", "subject = 'ann'"),
        ("revocations", "target = 's:ann' OR target LIKE 'p:%' || char(10) || 'ann'"),
    ] {
        let query = format!("SELECT count(*) FROM grantor_{table} WHERE {named}");
        let row =
            runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(&mut host)).unwrap();
        assert_eq!(row.get::<i64, _>(0), 0, "{table}");
    }
    let bob_lives = runtime.block_on(desk.store.rotate(&token(&of_bob, 1))).unwrap();
    assert_eq!(bob_lives, Rotate::Rotated);
    assert!(runtime.block_on(desk.store.find_consent(&desk.client_id, &bob)).unwrap().is_some());
}
