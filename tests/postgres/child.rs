//! Other processes over the database of a test.

use std::env;

use grantor::ids::ClientId;
use grantor::store::{PostgresStore, TablePrefix};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::{Builder, Runtime};

use super::cluster::{PATIENCE, patient};
pub(crate) use super::other_process::{Child, micros, say, told};

const DATABASE: &str = "GRANTOR_TEST_CHILD_DATABASE";
const PREFIX: &str = "GRANTOR_TEST_CHILD_PREFIX";
const APP: &str = "GRANTOR_TEST_CHILD_APP";

impl Child {
    /// Starts `test`, which calls [`Task::find`].
    pub(crate) fn start(
        test: &str,
        options: &PgConnectOptions,
        prefix: &TablePrefix,
        client_id: &ClientId,
    ) -> Self {
        let (url, prefix) = (options.to_url_lossy(), prefix.to_string());
        Self::with(test, &[(DATABASE, url.as_str()), (PREFIX, &prefix), (APP, client_id.as_str())])
    }
}

/// The task that a child finds in its environment.
pub(crate) struct Task {
    pub(crate) runtime: Runtime,
    pub(crate) store: PostgresStore,
    pub(crate) client_id: ClientId,
}

impl Task {
    /// Reads the task. Returns `None` if this process is not a child.
    pub(crate) fn find(connections: u32, settings: &[(&str, &str)]) -> Option<Self> {
        let [database, prefix, app] = [DATABASE, PREFIX, APP].map(|name| env::var(name).ok());
        let options: PgConnectOptions = database?.parse().unwrap();
        // The thread that reads lines does not run the requests.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = patient(options).options(settings.iter().copied());
        let pool = {
            let _inside = runtime.enter();
            let pool = PgPoolOptions::new().max_connections(connections);
            let pool = pool.acquire_timeout(PATIENCE).test_before_acquire(false);
            pool.connect_lazy_with(options)
        };
        let store = PostgresStore::with_prefix(pool, TablePrefix::new(&prefix?).unwrap())
            .with_timeout(PATIENCE);
        Some(Self { runtime, store, client_id: ClientId::new(app?).unwrap() })
    }
}
