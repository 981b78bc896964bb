//! A store over the tables of an existing host: users and applications with integer ids, foreign
//! keys, a tenant, and columns for the data that the host displays.
//!
//! * `schema.sql` has the tables. Read it first.
//! * `store.rs` has the parts that every method uses: the write lock, the clock, cutoffs, the
//!   predicate.
//! * `apps.rs` and `grants.rs` have the two traits. Each change is one statement or one
//!   transaction. Comments name the rule of the contract that a line keeps.
//!
//! At the end the conformance kit checks the store, a server uses it, and a plain join shows the
//! result. A host without tables of its own should use `SqliteStore` or `PostgresStore`, which are
//! faster.
//!
//! Run it with `cargo run --example custom_sql_store --all-features`.
#![expect(clippy::print_stdout, reason = "the example reports its results")]

mod apps;
mod grants;
mod store;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use grantor::app::AppCredentials;
use grantor::endpoint::{Caller, Decision, FormRequest, Login, NextStep, TokenResponse};
use grantor::jwt::Algorithm;
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use grantor::secret::RefreshToken;
use grantor::store::conformance::{Kit, Runner};
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, RedirectUri, Scope, ServerSecret, SigningKey,
    Subject,
};
use sqlx::Row as _;
use tokio::runtime::Runtime;

use crate::store::HostStore;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;
type Server = AuthorizationServer<Arc<HostStore>, Arc<HostStore>>;

fn main() -> Outcome {
    let runtime = Arc::new(Runtime::new()?);
    let folder = Folder::new()?;
    println!("The conformance kit checks a store over a host's tables against every rule of");
    println!("the contract, with races between 16 threads and futures dropped at every await.");
    ask_the_kit(&runtime, &folder.0)?;
    runtime.block_on(use_it(&folder.0.join("host.db")))
}

/// A runner on tokio that knows the store made last.
#[derive(Clone)]
struct OnTokio(Arc<Runtime>, Arc<Mutex<Option<HostStore>>>);

impl Runner for OnTokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// Waits for the rollback of a dropped future. The next user of its connection finds it done.
    fn settle(&self) {
        let store = self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(store) = store {
            // Dropped inside the runtime, because the pool does its work there.
            self.block_on(async { drop(store.writer.acquire().await) });
        }
    }
}

fn ask_the_kit(runtime: &Arc<Runtime>, folder: &Path) -> Outcome {
    let runner = OnTokio(Arc::clone(runtime), Arc::default());
    let (maker, folder, made) = (runner.clone(), folder.to_path_buf(), AtomicU32::new(0));
    let make_store = move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let store = maker.block_on(empty_store(&folder.join(format!("{number}.db"))));
        #[expect(clippy::expect_used, reason = "a panic fails the check")]
        let store = store.expect("a new database");
        *maker.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(store.clone());
        store
    };
    let report = Kit::new(make_store).with_runner(runner).with_rounds(ROUNDS).run();
    println!("{report}.\n");
    if report.is_passed() {
        Ok(())
    } else {
        Err("the store breaks the contract; do not use it".into())
    }
}

/// The number of rounds of each race. The tests of a real store run thousands.
const ROUNDS: usize = 40;

/// Creates a database without apps. The kit uses users that no host has, so this store signs them
/// up with the app that they use.
async fn empty_store(file: &Path) -> Result<HostStore, sqlx::Error> {
    let store = HostStore::create(file).await?;
    sqlx::raw_sql(
        "INSERT INTO tenants (id, name) VALUES (1, 'The kit'); \
         CREATE TRIGGER users_sign_up AFTER INSERT ON applications BEGIN \
           INSERT OR IGNORE INTO users (public_id) VALUES ('user of ' || NEW.client_id); END;",
    )
    .execute(&store.writer)
    .await?;
    Ok(store)
}

/// Runs an authorization server over the host's tables.
async fn use_it(file: &Path) -> Outcome {
    let store = Arc::new(HostStore::create(file).await?);
    let people = "INSERT INTO tenants (id, name) VALUES (1, 'Harbour'), (2, 'Mill'); \
         INSERT INTO users (tenant_id, public_id, email) \
         VALUES (1, 'u-ann', 'ann@harbour.example'), (2, 'u-bob', 'bob@mill.example');";
    sqlx::raw_sql(people).execute(&store.writer).await?;
    let server = start(&store).await?;

    println!(
        "An administrator registers two apps. The host assigns one of them to a tenant in SQL."
    );
    let (reports, mail) = (register(&server, "Reports").await?, register(&server, "Mail").await?);
    let give = "UPDATE applications SET tenant_id = 2 WHERE client_id = ?1";
    sqlx::query(give).bind(mail.client_id.as_str()).execute(&store.writer).await?;

    println!(
        "Ann approves both apps, Bob one. One of Ann's apps refreshes, then replays the spent token."
    );
    let first = let_in(&server, &reports, "u-ann").await?;
    let second = refresh(&server, &reports, first.refresh_token.as_ref()).await?;
    refresh(&server, &reports, second.refresh_token.as_ref()).await?;
    let again = refresh(&server, &reports, first.refresh_token.as_ref()).await;
    ensure(again.is_err(), "a spent refresh token is refused")?;
    let_in(&server, &mail, "u-ann").await?;
    let of_bob = let_in(&server, &reports, "u-bob").await?;

    println!("An operator disables an app in SQL. From that instant it gets no tokens.");
    let switch_off = "UPDATE applications SET is_enabled = 0, version = version + 1 \
         WHERE client_id = ?1";
    sqlx::query(switch_off).bind(reports.client_id.as_str()).execute(&store.writer).await?;
    let refused = refresh(&server, &reports, of_bob.refresh_token.as_ref()).await;
    ensure(refused.is_err(), "a disabled app is refused")?;

    println!("A server with other secrets does not start over these tables.");
    ensure(start(&store).await.is_err(), "another root is refused")?;

    println!("\nA join of the host's tables:\n");
    let rows = sqlx::query(
        "SELECT t.name AS tenant, u.email, a.name AS app, g.scope, \
           printf('%d', g.generation) AS generation, \
           coalesce(g.ended_why, iif(a.is_enabled, 'live', 'app disabled')) AS state, \
           strftime('%Y-%m-%dT%H:%M:%SZ', g.authorized_at / 1000, 'unixepoch') AS since \
         FROM grants AS g JOIN users AS u ON u.id = g.user_id \
         JOIN applications AS a ON a.id = g.application_id JOIN tenants AS t ON t.id = a.tenant_id \
         ORDER BY u.email, a.name",
    )
    .fetch_all(&store.readers)
    .await?;
    for row in &rows {
        let cells: Vec<&str> =
            (0..row.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>()?;
        println!("{}", cells.join(" | "));
    }
    ensure(rows.len() == 3, "three grants")?;
    let ended: &str = rows.get(1).ok_or("a second grant")?.try_get("state")?;
    ensure(ended == "refresh_token_reused", "the replayed family is revoked")
}

/// Starts a server with a secret of its own. The secret of a real one is in a `KeyFile`.
async fn start(store: &Arc<HostStore>) -> Outcome<Server> {
    let builder = AuthorizationServer::builder(
        Issuer::new("https://as.example.com")?,
        ServerSecret::generate(&OsRandom::new())?,
        SigningKey::generate(Algorithm::ES256)?,
        Arc::clone(store),
        Arc::clone(store),
    );
    Ok(builder.start().await?)
}

async fn register(server: &Server, name: &str) -> Outcome<AppCredentials> {
    let draft = AppDraft::public(name)
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse("https://app.example.com/callback")?)
        .scope(Scope::parse("files.read")?)
        .refresh_token(true);
    Ok(server.admin("console").register(draft.build()?).await?)
}

/// Runs the authorization code flow with a user who approves and wants to be remembered.
async fn let_in(server: &Server, app: &AppCredentials, user: &str) -> Outcome<TokenResponse> {
    let verifier = CodeVerifier::generate(&OsRandom::new())?;
    let query = format!(
        "response_type=code&client_id={}&code_challenge={}&code_challenge_method=S256",
        app.client_id,
        verifier.challenge(),
    );
    let request = server.authorization_request(&query, Caller::default()).await?;
    // Before the host checks the session, so that a revocation meanwhile covers the decision.
    let moment = server.moment().await?;
    let login = Login::new(Subject::new(user)?, "something that only this session knows");
    let login = login.with_moment(moment);
    let NextStep::AskConsent(prompt) = server.authorize(request, Some(&login)).await? else {
        return Err("the user was not asked for consent".into());
    };
    let decision = Decision::approve();
    let answer = server.decide(&prompt.ticket, &login, decision, Caller::default()).await?;
    let url = url::Url::parse(answer.location())?;
    let code = url.query_pairs().find(|(name, _)| name == "code").ok_or("no code")?.1;
    let body = format!(
        "grant_type=authorization_code&client_id={}&code={code}&code_verifier={}",
        app.client_id,
        verifier.expose_secret(),
    );
    Ok(server.token(&FormRequest::new(&body)).await?)
}

async fn refresh(
    server: &Server,
    app: &AppCredentials,
    token: Option<&RefreshToken>,
) -> Outcome<TokenResponse> {
    let token = token.ok_or("no refresh token")?.expose_secret();
    let (client_id, grant_type) = (&app.client_id, "refresh_token");
    let body = format!("grant_type={grant_type}&client_id={client_id}&refresh_token={token}");
    Ok(server.token(&FormRequest::new(&body)).await?)
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("check failed: {what}").into()) }
}

/// A temporary folder, in memory if possible, because the kit makes many databases and races on
/// each.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Outcome<Self> {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let path = parent.join(format!("grantor-custom-sql-store-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover folder stays in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
