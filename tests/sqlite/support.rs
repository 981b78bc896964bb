//! A runtime, a server and grants for the tests.

use std::path::Path;
use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::app::{AppCredentials, AppDraft, Flow};
use grantor::audit::{AuditSink, NoAudit};
use grantor::clock::UnixTime;
use grantor::endpoint::{FormRequest, Login, NextStep, TokenResponse};
use grantor::ids::{ClientId, GrantId, Issuer, Subject};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::protocol::{CodeVerifier, RedirectUri, Scope};
use grantor::random::OsRandom;
use grantor::secret::Digest;
use grantor::server_secret::ServerSecret;
use grantor::store::conformance::Runner;
use grantor::store::{
    AssertionClaim, AssertionPurpose, CodeRedemption, Grant, Rotation, SqliteSettings, SqliteStore,
};
use grantor::users::{MemoryUsers, User};
use tokio::runtime::{Builder, Runtime};

pub(crate) type Server = AuthorizationServer<Arc<SqliteStore>, MemoryUsers>;

/// A runtime on which the checks of the kit block.
pub(crate) struct Tokio(Runtime);

impl Tokio {
    pub(crate) fn new() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
    }

    pub(crate) fn open(&self, file: &Path) -> SqliteStore {
        self.block_on(SqliteStore::open(file, SqliteSettings::new())).unwrap()
    }

    /// Opens a store and registers an app.
    pub(crate) fn desk(&self, file: &Path) -> Desk {
        self.block_on(Desk::new(self.open(file)))
    }

    pub(crate) fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }
}

impl Runner for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

pub(crate) fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(1_700_000_000_000 + millis)
}

pub(crate) const HOUR: i64 = 3_600_000;

/// A store with a registered app.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) client_id: ClientId,
}

impl Desk {
    pub(crate) async fn new(store: SqliteStore) -> Self {
        let store = Arc::new(store);
        let client_id = register(&server(&store), app()).await.client_id;
        Self { store, client_id }
    }

    /// Returns a grant as the server makes it, not stored yet. Its id determines its bindings.
    pub(crate) fn grant(&self) -> Grant {
        grant(&self.client_id, GrantId::generate(&OsRandom::new()).unwrap())
    }

    /// Returns a grant with its refresh token at generation 1.
    pub(crate) fn family(&self) -> Grant {
        with(self.grant(), |grant| (grant.generation, grant.rotated_at) = (1, at(0)))
    }
}

pub(crate) fn app() -> AppDraft {
    AppDraft::confidential("Reports")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse("https://app.example.com/cb").unwrap())
        .scope(Scope::parse("files.read files.write").unwrap())
        .refresh_token(true)
        .require_consent(false)
}

/// Builds a server with the user `ann` over `store`.
pub(crate) fn server(store: &Arc<SqliteStore>) -> Server {
    server_with(store, NoAudit::new())
}

/// Builds the same server with an audit sink.
pub(crate) fn server_with(store: &Arc<SqliteStore>, audit: impl AuditSink + 'static) -> Server {
    AuthorizationServer::builder(
        Issuer::new("https://as.example.com").unwrap(),
        ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap(),
        SigningKey::generate(Algorithm::ES256).unwrap(),
        Arc::clone(store),
        MemoryUsers::new([User::new(Subject::new("ann").unwrap())]),
    )
    .audit(audit)
    .build()
}

pub(crate) async fn register(server: &Server, draft: AppDraft) -> AppCredentials {
    server.admin("tester").register(draft.build().unwrap()).await.unwrap()
}

/// A code flow of the user `ann`, with its code, verifier and first answer.
pub(crate) struct Session {
    pub(crate) code: String,
    pub(crate) verifier: String,
    pub(crate) response: TokenResponse,
}

pub(crate) async fn log_in(server: &Server, app: &AppCredentials) -> TokenResponse {
    log_in_and_tell(server, app).await.response
}

pub(crate) async fn log_in_and_tell(server: &Server, app: &AppCredentials) -> Session {
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let query = format!(
        "response_type=code&client_id={}&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb\
         &state=s&code_challenge={}&code_challenge_method=S256",
        app.client_id,
        verifier.challenge()
    );
    let request = server.authorization_request(&query, None).await.unwrap();
    let login = Login::new(Subject::new("ann").unwrap(), "session");
    let prompted = server.authorize(request, Some(&login)).await.unwrap();
    let NextStep::Redirect(redirect) = prompted else { unreachable!("the app needs no consent") };
    let (_, rest) = redirect.location().split_once("code=").unwrap();
    let code = rest.split('&').next().unwrap().to_owned();
    let verifier = verifier.expose_secret().to_owned();
    let form = format!(
        "grant_type=authorization_code&code={code}&code_verifier={verifier}&client_id={}\
         &client_secret={}&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb",
        app.client_id,
        app.client_secret.as_ref().unwrap().expose_secret()
    );
    let response = server.token(&FormRequest::new(&form)).await.unwrap();
    Session { code, verifier, response }
}

/// Returns a digest that the id determines.
pub(crate) fn digest(grant_id: GrantId) -> Digest {
    Digest::from_bytes([*grant_id.as_bytes(), *grant_id.as_bytes()].concat().try_into().unwrap())
}

pub(crate) fn grant(client_id: &ClientId, grant_id: GrantId) -> Grant {
    let subject = Subject::new("ann").unwrap();
    let scope = Scope::parse("files.read files.write").unwrap();
    let mut grant = Grant::new(grant_id, client_id.clone(), subject, scope);
    (grant.binding, grant.salt_digest) = (digest(grant_id), digest(grant_id));
    grant.authorized_at = at(0);
    grant.code_expires_at = at(60_000);
    grant.expires_at = at(24 * HOUR);
    grant
}

/// Returns the grant after `change`.
pub(crate) fn with(mut grant: Grant, change: impl FnOnce(&mut Grant)) -> Grant {
    change(&mut grant);
    grant
}

pub(crate) fn code(grant: &Grant) -> CodeRedemption {
    CodeRedemption {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        binding: grant.binding,
        salt_digest: grant.salt_digest,
        confirmation: None,
        binds: true,
        claim: 1,
        now: at(1),
    }
}

pub(crate) fn token(grant: &Grant, generation: u32) -> Rotation {
    Rotation {
        grant_id: grant.grant_id,
        client_id: grant.client_id.clone(),
        salt_digest: grant.salt_digest,
        generation,
        grace_millis: 0,
        max_retries: 5,
        idle_millis: None,
        confirmation: None,
        binds: true,
        claim: 2,
        now: at(2),
    }
}

/// Returns the claim of an assertion. `id` determines the `jti`.
pub(crate) fn claim(client_id: &ClientId, id: GrantId) -> AssertionClaim {
    AssertionClaim {
        client_id: client_id.clone(),
        purpose: AssertionPurpose::Grant,
        jti: digest(id),
        expires_at: at(HOUR),
        grant: None,
        now: at(0),
    }
}
