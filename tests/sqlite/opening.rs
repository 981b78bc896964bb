//! Opening a file: the reasons for which it cannot be opened, its rights, and the roots that it knows.

use std::fs;
use std::path::Path;

use grantor::store::conformance::Runner as _;
use grantor::store::{AnyStore, GrantStore as _, SqliteSettings, SqliteStore};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::roots;
use crate::sandbox::Folder;
use crate::support::Tokio;

fn refusal(runtime: &Tokio, file: &Path, settings: SqliteSettings) -> String {
    runtime.block_on(SqliteStore::open(file, settings)).unwrap_err().to_string()
}

/// Z15: each reason has a text of its own, which names the file.
#[test]
fn a_file_that_cannot_be_opened_says_why() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let at = |name: &str| folder.file(name);
    fs::write(at("plain"), "x").unwrap();
    fs::write(at("text.db"), "This is no database, and long enough to be looked at.").unwrap();
    fs::create_dir(at("folder.db")).unwrap();
    runtime.block_on(runtime.open(&at("later.db")).close());
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(at("later.db"));
        let mut connection = options.connect().await.unwrap();
        let later = sqlx::query("UPDATE grantor_meta SET revision = 9");
        later.execute(&mut connection).await.unwrap();
    });
    let cases = [
        (at("none").join("a.db"), "there is no folder"),
        (at("plain").join("a.db"), "is not a folder"),
        (at("folder.db"), "it is a folder"),
        (at("text.db"), "file is not a database"),
    ];
    let mut texts = Vec::new();
    for (file, reason) in cases {
        let text = refusal(&runtime, &file, SqliteSettings::new());
        assert!(text.contains(reason) && text.contains(&*file.display().to_string()), "{text}");
        texts.push(text);
    }
    let later = refusal(&runtime, &at("later.db"), SqliteSettings::new());
    assert!(later.contains("a later version of this crate (they are of version 9"), "{later}");
    let none = refusal(&runtime, &at("new.db"), SqliteSettings::new().without_migrations());
    assert!(none.contains("no tables") && none.contains("schema_sql"), "{none}");
    texts.extend([later, none]);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 6);
}

/// Z33: a URL opens the file, with its tables, and `close` releases it.
#[test]
fn a_url_opens_a_file() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    runtime.block_on(async {
        let store = AnyStore::open(&format!("sqlite:{}", file.display())).await.unwrap();
        store.check().await.unwrap();
        assert!(matches!(&store, AnyStore::Sqlite(apps) if apps.store().commits() > 0));
        let schema = store.schema().unwrap();
        assert!(schema.starts_with("SQLite, version "), "{schema}");
        store.close().await;
        store.check().await.unwrap_err();
        assert!(!folder.file("a.db-wal").exists());
        let refused = AnyStore::open(&format!("sqlite:{}", folder.path().display())).await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("it is a folder"), "{text}");
    });
}

/// N14: only the owner has rights to the database and the files beside it, also if the process would
/// give more to new files. A file that an administrator has made keeps its own.
#[cfg(unix)]
#[test]
fn a_new_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let mode = |name: &str| fs::metadata(folder.file(name)).unwrap().permissions().mode() & 0o7777;
    let store = runtime.open(&folder.file("a.db"));
    runtime.block_on(store.check()).unwrap();
    for name in ["a.db", "a.db-wal", "a.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    fs::write(folder.file("b.db"), "").unwrap();
    fs::set_permissions(folder.file("b.db"), fs::Permissions::from_mode(0o660)).unwrap();
    let store = runtime.open(&folder.file("b.db"));
    runtime.block_on(store.check()).unwrap();
    assert_eq!(mode("b.db"), 0o660);
}

/// Z39: the tables of a host and those of the server share a private file, and write to it in turn.
#[cfg(unix)]
#[test]
fn a_pool_for_the_host_opens_a_private_file_that_the_store_shares() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    runtime.block_on(async {
        let pool = SqliteStore::open_pool(folder.file("a.db")).await.unwrap();
        sqlx::query("CREATE TABLE notes (text TEXT) STRICT").execute(&pool).await.unwrap();
        let store = SqliteStore::with_pool(pool.clone(), SqliteSettings::new()).await.unwrap();
        for _ in 0..20 {
            let note = sqlx::query("INSERT INTO notes VALUES ('a')").execute(&pool);
            let (noted, checked) = tokio::join!(note, store.check());
            noted.unwrap();
            checked.unwrap();
        }
        for name in ["a.db", "a.db-wal", "a.db-shm"] {
            let mode = fs::metadata(folder.file(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}");
        }
        let missing = SqliteStore::open_pool(folder.file("none").join("a.db")).await.unwrap_err();
        assert!(missing.to_string().contains("there is no folder"), "{missing}");
    });
}

/// Z2: a server that lacks the roots of the file does not start.
#[test]
fn a_file_knows_the_roots_under_which_it_was_written() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let open = async |name: &str| {
        SqliteStore::open(folder.file(name), SqliteSettings::new()).await.unwrap()
    };
    runtime.block_on(roots::the_store_knows_its_roots(async || open("a.db").await));
    for round in 0..10 {
        let name = format!("race-{round}.db");
        runtime.block_on(async {
            let (one, other) = (open(&name).await, open(&name).await);
            roots::one_of_two_first_servers_starts(one, other).await;
        });
    }
}
