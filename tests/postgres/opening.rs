//! Opening a database: the reasons for which it cannot be opened, and the roots that it knows.

use std::net::TcpListener;

use grantor::store::{AnyStore, AppRegistry as _, CachedApps, PostgresStore, StoreError};
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions as _, Executor as _};

use super::cluster::{database, new_prefix, new_store, own_cluster, pool, runtime};
use super::roots;

const PASSWORD: &str = "planted-password";

/// Returns the text of an error, which must not hold the password of the URL.
fn told<T>(answer: Result<T, StoreError>) -> String {
    let Err(error) = answer else { panic!("it was opened") };
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
    error.to_string()
}

/// Z15: each reason has a text of its own that says what to do, and none holds the password.
#[test]
fn a_database_that_cannot_be_opened_says_why() {
    let Some(cluster) = own_cluster() else { return };
    let (runtime, prefix) = (runtime(), new_prefix());
    let socket = cluster.folder().display().to_string().replace('/', "%2F");
    let url = |user: &str, database: &str| {
        format!("postgres://{user}:{PASSWORD}@{socket}:5432/{database}")
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let opened = |url: &str| told(runtime.block_on(PostgresStore::connect(url)));
    let texts = [
        opened(&url("grantor", "nowhere")),
        opened(&url("stranger", "postgres")),
        opened(&format!("postgres://grantor:{PASSWORD}@{free}/auth")),
        opened(&format!("postgres://grantor:{PASSWORD}@host:port/auth")),
        opened(&format!("grantor:{PASSWORD}")),
    ];
    let parts = [
        "database nowhere, as grantor: error returned from database: database \"nowhere\" does not",
        "role \"stranger\" does not exist",
        &format!("no connection to PostgreSQL at {free}, database auth, as grantor: error"),
        "the URL of the database is malformed: ",
        "it does not begin with postgres://",
    ];
    for (text, part) in texts.iter().zip(parts) {
        assert!(text.contains(part), "{text}");
    }
    runtime.block_on(async {
        let own = PgPoolOptions::new().connect_lazy_with(cluster.options());
        own.execute("CREATE ROLE plain LOGIN").await.unwrap();
        let plain = PgPoolOptions::new().connect_lazy_with(cluster.options().username("plain"));
        let store = PostgresStore::with_prefix(plain, prefix.clone());
        let no_right = told(store.migrate().await);
        assert!(
            no_right.contains(&format!("the tables {prefix}* cannot be created")),
            "{no_right}"
        );
        assert!(no_right.contains("permission denied for schema public"), "{no_right}");
        assert!(no_right.contains("schema_sql"), "{no_right}");

        let store = PostgresStore::with_prefix(own.clone(), prefix.clone());
        let none = told(store.check().await);
        assert!(none.contains(&format!("the tables {prefix}* are missing")), "{none}");
        store.migrate().await.unwrap();
        let later = format!("UPDATE {prefix}clock SET revision = 9");
        own.execute(sqlx::AssertSqlSafe(later)).await.unwrap();
        for later in [told(store.check().await), told(store.migrate().await)] {
            assert!(later.contains("a later version of this crate"), "{later}");
        }
    });
}

/// Z33: a URL opens the database, with its tables; errors show no password; `close` ends the connections.
#[test]
fn a_url_opens_a_database() {
    let Some(cluster) = own_cluster() else { return };
    let url = cluster.options().application_name("any store").to_url_lossy();
    runtime().block_on(async {
        let store = AnyStore::open(url.as_str()).await.unwrap();
        store.check().await.unwrap();
        store.apps_version().await.unwrap();
        let text = told(AnyStore::open(&format!("postgres://a:{PASSWORD}@host:port/b")).await);
        assert!(text.contains("URL of the database is malformed"), "{text}");
        store.close().await;
        store.check().await.unwrap_err();
        let others = PgPoolOptions::new().connect_lazy_with(cluster.options());
        let left = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'any store'";
        // The server forgets a connection a little after it was told.
        while !others.fetch_all(left).await.unwrap().is_empty() {}
        // The host's own pool stays open.
        let store = AnyStore::from(PostgresStore::new(others.clone()));
        store.close().await;
        store.check().await.unwrap();
    });
}

/// Z2: a server that lacks the roots of the database does not start.
#[test]
fn a_database_knows_the_roots_under_which_it_was_written() {
    let Some(database) = database() else { return };
    let runtime = runtime();
    let pool = pool(&runtime, database.options(), 4);
    let store = new_store(&runtime, &pool);
    let open = async || CachedApps::new(store.clone());
    runtime.block_on(roots::the_store_knows_its_roots(open));
    for _ in 0..10 {
        let store = new_store(&runtime, &pool);
        let other = store.clone();
        runtime.block_on(roots::one_of_two_first_servers_starts(store, other));
    }
}
