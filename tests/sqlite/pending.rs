//! Pending records in a file, and polls of the device grant.

use std::sync::Arc;
use std::time::Duration;

use grantor::app::{AppDraft, Flow};
use grantor::endpoint::{Caller, Decision, DeviceGrant, FormRequest, Login};
use grantor::ids::ClientId;
use grantor::jwt::{Algorithm, SigningKey};
use grantor::secret::Digest;
use grantor::store::conformance::Runner as _;
use grantor::store::{
    Keep, PendingRecord, PendingStore as _, SqliteSettings, SqliteStore, TablePrefix,
};
use grantor::users::{MemoryUsers, User};
use grantor::{AuthorizationServer, Issuer, ServerSecret, Subject};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::sandbox::Folder;
use crate::support::{Tokio, at};

/// A file without pending records gets their table, and a program that has it open goes on.
#[test]
fn a_file_of_the_addition_before_gets_pending_records_and_programs_without_them_go_on() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let schema = SqliteStore::schema_sql(&TablePrefix::default());
    let (before, _) = schema.split_once("CREATE TABLE grantor_pending").unwrap();
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut old = runtime.block_on(options.connect()).unwrap();
    let run = sqlx::raw_sql(sqlx::AssertSqlSafe(before.to_owned())).execute(&mut old);
    runtime.block_on(run).unwrap();
    let open = SqliteStore::open(&file, SqliteSettings::new().without_migrations());
    let cause = runtime.block_on(open).unwrap_err().to_string();
    assert!(cause.contains("of version 5, and this crate needs "), "{cause}");
    for round in 0..2 {
        let desk = runtime.desk(&file);
        let key = Digest::from_bytes([round; 32]);
        let record = PendingRecord { key, sealed: vec![round], expires_at: at(60_000) };
        let kept = runtime.block_on(desk.store.keep(&record, at(0))).unwrap();
        assert_eq!(kept, Keep::Kept);
        let ticked = sqlx::query("UPDATE grantor_meta SET clock = clock + 1 WHERE version = 2");
        runtime.block_on(ticked.execute(&mut old)).unwrap();
    }
}

type Server = AuthorizationServer<Arc<SqliteStore>, MemoryUsers>;

/// Starts a server with the device grant over `store`.
fn server(store: &Arc<SqliteStore>) -> Server {
    AuthorizationServer::builder(
        Issuer::new("https://as.example.com").unwrap(),
        ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap(),
        SigningKey::generate(Algorithm::ES256).unwrap(),
        Arc::clone(store),
        MemoryUsers::new([User::new(Subject::new("ann").unwrap())]),
    )
    .device_grant(DeviceGrant::new(Arc::clone(store)).interval(Duration::from_secs(1)))
    .build()
}

/// Polls, and returns the refresh token or the error code.
async fn poll(server: &Server, app: &ClientId, device_code: &str) -> Result<String, &'static str> {
    let body = format!(
        "client_id={app}&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={device_code}"
    );
    match server.token(&FormRequest::new(&body)).await {
        Ok(tokens) => Ok(tokens.refresh_token.unwrap().expose_secret().to_owned()),
        Err(refused) => Err(refused.error_code().as_str()),
    }
}

/// D19: each step is answered by a server that was started after the step before.
#[test]
fn a_device_goes_on_after_every_restart() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let file = folder.file("a.db");
    let start = || server(&runtime.desk(&file).store);
    let draft = AppDraft::public("Television").flow(Flow::DeviceCode).refresh_token(true);
    let app = runtime.block_on(start().admin("tester").register(draft.build().unwrap()));
    let app = app.unwrap().client_id;
    let body = format!("client_id={app}");
    let codes = runtime.block_on(start().device_authorization(&FormRequest::new(&body))).unwrap();
    let polled = || runtime.block_on(poll(&start(), &app, codes.device_code.expose_secret()));
    assert_eq!(polled(), Err("authorization_pending"));
    let login = Login::new(Subject::new("ann").unwrap(), "session");
    let caller = Caller::default();
    let (server, typed) = (start(), codes.user_code());
    let prompt = runtime.block_on(server.enter_user_code(&typed, &login, caller)).unwrap();
    let server = start();
    let decided = server.decide_device(&prompt.ticket, &login, Decision::approve(), caller);
    assert!(runtime.block_on(decided).unwrap().approved);
    let first = polled();
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(polled(), first);
}

/// D10: a poll of a pending device code writes nothing: the file has no further commit.
#[test]
fn polling_a_pending_device_code_commits_nothing() {
    let (folder, runtime) = (Folder::in_memory(), Tokio::new());
    let desk = runtime.desk(&folder.file("a.db"));
    let server = server(&desk.store);
    runtime.block_on(async {
        let draft = AppDraft::public("Television").flow(Flow::DeviceCode).build().unwrap();
        let app = server.admin("tester").register(draft).await.unwrap().client_id;
        let body = format!("client_id={app}");
        let codes = server.device_authorization(&FormRequest::new(&body)).await.unwrap();
        let before = desk.store.commits();
        for _ in 0..100 {
            let code = poll(&server, &app, codes.device_code.expose_secret()).await.unwrap_err();
            assert!(["authorization_pending", "slow_down"].contains(&code), "{code}");
        }
        assert_eq!(desk.store.commits(), before);
    });
}
