//! A server in memory and the forms that its clients send.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use grantor::app::{
    AppOrigin, AppTemplate, ImpersonationPolicy, JwtSettings, MobileSecurity, RateQuota,
};
use grantor::audit::NoAudit;
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::clock::{Clock, SystemClock, UnixTime};
use grantor::endpoint::{Caller, ClientDocuments, Decision, FormRequest, Login, NextStep};
use grantor::fetch::{Fetch, FetchError};
use grantor::ids::ClientId;
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::protocol::{CodeVerifier, ScopeToken};
use grantor::random::OsRandom;
use grantor::rate_limit::RateLimits;
use grantor::resource_server::BearerVerifier;
use grantor::store::Store;
use grantor::store::conformance::Runner;
use grantor::test_kit::measure::AccessTokens;
use grantor::users::MemoryUsers;
use grantor::{
    Flow, Issuer, MemoryStore, Scope, ServerBuilder, ServerSecret, SigningKey, Subject, User,
};

use super::floor::Floor;
pub(crate) use crate::support::ISSUER;
use crate::support::{self, Server, code_app};

pub(super) const SCOPE: &str = "files.read files.write profile";
pub(crate) const HS256_SECRET: &[u8] = b"an HS256 secret of forty bytes, no fewer";
pub(crate) const ES256_PEM: &str = include_str!("../../tests/fixtures/test_only_p256_private.pem");
pub(crate) const EDDSA_PEM: &str =
    include_str!("../../tests/fixtures/test_only_ed25519_private.pem");
pub(crate) const RS256_PEM: &str =
    include_str!("../../tests/fixtures/test_only_rsa_2048_private.pem");

pub(crate) fn now() -> UnixTime {
    SystemClock::new().now()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a bench has keys for four algorithms")]
pub(crate) fn signing_key(algorithm: Algorithm) -> SigningKey {
    match algorithm {
        Algorithm::ES256 => SigningKey::from_pem(algorithm, ES256_PEM),
        Algorithm::EdDSA => SigningKey::from_pem(algorithm, EDDSA_PEM),
        Algorithm::RS256 => SigningKey::from_pem(algorithm, RS256_PEM),
        other => {
            assert_eq!(other, Algorithm::HS256, "there is no key for it");
            SigningKey::from_hmac_secret(HS256_SECRET)
        }
    }
    .unwrap()
}

pub(crate) fn server_secret() -> ServerSecret {
    ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

/// Returns the signed part of a JWT.
pub(crate) fn signed_part(token: &str) -> &str {
    token.rsplit_once('.').unwrap().0
}

/// Creates an issuer of access tokens with the claims of the authorization code flow.
pub(crate) fn access_tokens(algorithm: Algorithm) -> AccessTokens {
    AccessTokens::new(signing_key(algorithm), Issuer::new(ISSUER).unwrap(), client_id())
}

/// Returns an access token with the claims of the authorization code flow, and its `Authorization`
/// header.
pub(crate) fn token(algorithm: Algorithm) -> (String, String) {
    let token = access_tokens(algorithm).issue(now());
    let header = format!("Bearer {token}");
    (token, header)
}

pub(crate) fn client_id() -> ClientId {
    ClientId::new("6cRXgQpH3TqL0n0rXnQzZw").unwrap()
}

/// Creates a verifier of the server's tokens with a catalog and a cache of `capacity` tokens.
pub(crate) fn verifier(algorithm: Algorithm, capacity: usize) -> BearerVerifier {
    let endpoint =
        |method, path, scope| Endpoint::new(method, path, ScopeToken::new(scope).unwrap()).unwrap();
    let catalog = ApiCatalog::new([
        endpoint("GET", "/files/{id}", "files.read"),
        endpoint("PUT", "/files/{id}", "files.write"),
        endpoint("GET", "/users/{id}", "GET/users/*"),
        endpoint("GET", "/profile", "profile"),
    ]);
    let keys = VerifyingKeys::new(vec![signing_key(algorithm).verifying_key()]).unwrap();
    BearerVerifier::new(Issuer::new(ISSUER).unwrap(), keys)
        .with_enforcement(catalog.compile().unwrap())
        .with_cache(capacity)
}

/// Polls `future` once. Everything in memory is ready at once, and an executor would be measured
/// too.
pub(super) fn now_ready<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// Polls on this thread: see [`now_ready`].
pub(super) struct NowReady;

impl Runner for NowReady {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        now_ready(future)
    }
}

type Builder<S> = ServerBuilder<Arc<S>, Arc<MemoryUsers>>;

/// A server and an app with every flow and without a consent prompt.
pub(crate) struct World<S = MemoryStore> {
    server: Arc<Server<S>>,
    users: Arc<MemoryUsers>,
    algorithm: Algorithm,
    client_id: String,
    /// `&client_id=…&client_secret=…`
    credentials: String,
    /// `&install_tag_id=…`, if logins name a device.
    device: &'static str,
    login: Login,
    verifier: CodeVerifier,
    query: String,
    backend: jsonwebtoken::EncodingKey,
    assertions: std::cell::Cell<u64>,
}

impl World {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self::over(MemoryStore::new(), algorithm)
    }

    /// Creates a server with devices, and an app whose logins name one.
    pub(crate) fn with_a_device(algorithm: Algorithm) -> Self {
        let store = Arc::new(MemoryStore::new());
        let devices = Arc::clone(&store);
        let mut rules = MobileSecurity::default();
        rules.remote_wipe = true;
        let mut world = Self::made(store, algorithm, rules, |builder| builder.devices(devices));
        world.device = "&install_tag_id=phone";
        world
    }

    /// Creates a server and an app that describes itself in a document. With `adopted`, an administrator has made the
    /// app its own.
    pub(crate) fn with_a_document(algorithm: Algorithm, adopted: bool) -> Self {
        let template = AppTemplate::new(Scope::parse(SCOPE).unwrap()).refresh_token(true);
        let documents = ClientDocuments::new(template, Document).unwrap();
        let clock = SystemClock::new();
        let (store, key) = (Arc::new(MemoryStore::new()), signing_key(algorithm));
        let world = support::World::over(store, clock, NowReady, key, |builder| {
            let limits = RateLimits::none();
            builder.rate_limits(limits).audit(NoAudit::new()).client_documents(documents)
        });
        let ann = Subject::new("ann@example.com").unwrap();
        world.users.put(User::new(ann.clone()));
        let login = Login::new(ann, "session");
        let credentials = format!("&client_id={DOCUMENT}");
        let (server, users) = (world.server, world.users);
        let world = Self::of(server, users, algorithm, DOCUMENT, credentials, login);
        let server = &world.server;
        let request =
            now_ready(server.authorization_request(&world.query, Caller::default())).unwrap();
        let step = now_ready(server.authorize(request, Some(&world.login))).unwrap();
        let prompt = if let NextStep::AskConsent(prompt) = step { Some(prompt) } else { None };
        let ticket = prompt.unwrap().ticket;
        let yes = Decision::approve();
        now_ready(server.decide(&ticket, &world.login, yes, Caller::default())).unwrap();
        if adopted {
            let id = ClientId::new(DOCUMENT).unwrap();
            now_ready(server.admin("bench").set_origin(&id, AppOrigin::Registered)).unwrap();
        }
        world
    }
}

/// The client id of the app that describes itself.
const DOCUMENT: &str = "https://app.example.com/client";

/// Answers with the document of [`DOCUMENT`].
struct Document;

impl Fetch for Document {
    async fn fetch(
        &self,
        _: http::Request<Vec<u8>>,
        _: usize,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        let document = serde_json::json!({
            "client_id": DOCUMENT, "redirect_uris": ["https://app.example.com/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let answer = http::Response::builder().header("content-type", "application/json");
        answer.body(document.to_string().into_bytes()).map_err(FetchError::new)
    }
}

impl<S: Store + 'static> World<S> {
    pub(crate) fn over(store: S, algorithm: Algorithm) -> Self {
        Self::made(store, algorithm, MobileSecurity::default(), |builder| builder)
    }

    fn made(
        store: impl Into<Arc<S>>,
        algorithm: Algorithm,
        rules: MobileSecurity,
        configure: impl FnOnce(Builder<S>) -> Builder<S>,
    ) -> Self {
        let ann = Subject::new("ann@example.com").unwrap();
        let (clock, key) = (SystemClock::new(), signing_key(algorithm));
        // The limits are on, but too high to be reached.
        let limits = RateLimits::default().with_volume(RateQuota::new(60_000_000, 1_000_000));
        let world = support::World::over(store, clock, NowReady, key, |builder| {
            configure(builder.rate_limits(limits).audit(NoAudit::new()))
        });
        world.users.put(User::new(ann.clone()));
        let backend_keys =
            VerifyingKeys::from_pem(include_str!("../../tests/fixtures/test_only_p256_public.pem"));
        let jwt = JwtSettings::keys(backend_keys.unwrap())
            .with_impersonation(ImpersonationPolicy::anyone());
        let app = world.register(
            code_app()
                .flows([Flow::AuthorizationCode, Flow::JwtBearer, Flow::ClientCredentials])
                .scope(Scope::parse(SCOPE).unwrap())
                .require_consent(false)
                .mobile_security(rules)
                .jwt(jwt),
        );
        let credentials = format!("&client_id={}&client_secret={}", app.id, app.secret.unwrap());
        let (server, users, login) = (world.server, world.users, Login::new(ann, "session"));
        Self::of(server, users, algorithm, app.id.as_str(), credentials, login)
    }

    /// Asks in the name of the same app, for another user.
    pub(crate) fn of_another_user(&self) -> Self {
        let bob = Subject::new("bob@example.com").unwrap();
        self.users.put(User::new(bob.clone()));
        let (server, users) = (Arc::clone(&self.server), Arc::clone(&self.users));
        let (id, credentials) = (&self.client_id, self.credentials.clone());
        Self::of(server, users, self.algorithm, id, credentials, Login::new(bob, "session"))
    }

    /// Asks in the name of an app.
    fn of(
        server: Arc<Server<S>>,
        users: Arc<MemoryUsers>,
        algorithm: Algorithm,
        client_id: &str,
        credentials: String,
        login: Login,
    ) -> Self {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let query = format!(
            "response_type=code&client_id={client_id}&redirect_uri=https%3A%2F%2Fapp.example.com\
             %2Fcb&scope=files.read+files.write+profile&state=af0ifjsldkj&code_challenge={}&\
             code_challenge_method=S256",
            verifier.challenge()
        );
        Self {
            server,
            users,
            algorithm,
            credentials,
            client_id: client_id.to_owned(),
            device: "",
            login,
            verifier,
            query,
            backend: jsonwebtoken::EncodingKey::from_ec_pem(ES256_PEM.as_bytes()).unwrap(),
            assertions: std::cell::Cell::new(0),
        }
    }

    /// Runs a token request, from form text to JSON text.
    pub(crate) fn token(&self, form: &str) -> String {
        now_ready(self.server.token(&FormRequest::new(form))).unwrap().to_json()
    }

    /// Runs an authorization request, from query text to URL, and returns the code.
    pub(crate) fn authorize(&self) -> String {
        let request =
            now_ready(self.server.authorization_request(&self.query, Caller::default())).unwrap();
        let NextStep::Redirect(response) =
            now_ready(self.server.authorize(request, Some(&self.login))).unwrap()
        else {
            return String::new();
        };
        response.location().rsplit('=').next().unwrap().to_owned()
    }

    pub(crate) fn authorize_and_redeem(&self) -> String {
        self.token(&self.code_form(&self.authorize()))
    }

    pub(crate) fn code_form(&self, code: &str) -> String {
        let redirect_uri = "&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&code_verifier=";
        let verifier = self.verifier.expose_secret();
        let begin = "grant_type=authorization_code&code=";
        [begin, code, redirect_uri, verifier, self.device, &self.credentials].concat()
    }

    pub(crate) fn refresh_form(&self, answer: &str) -> String {
        // The last value of the response. The client must cost almost nothing, because it is not
        // measured.
        let refresh_token = answer.rsplit('"').nth(1).unwrap();
        ["grant_type=refresh_token&refresh_token=", refresh_token, &self.credentials].concat()
    }

    pub(crate) fn client_credentials_form(&self) -> String {
        ["grant_type=client_credentials", &self.credentials].concat()
    }

    pub(crate) fn jwt_bearer_form(&self) -> String {
        let number = self.assertions.get();
        self.assertions.set(number + 1);
        let now = now().as_seconds();
        let claims = serde_json::json!({
            "iss": self.client_id, "sub": "ann@example.com", "aud": ISSUER,
            "iat": now, "exp": now + 120, "jti": format!("assertion-{number}"),
        });
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        let assertion = jsonwebtoken::encode(&header, &claims, &self.backend).unwrap();
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}{}",
            self.credentials
        )
    }

    /// Returns the bare signature of the access token in `answer`.
    pub(crate) fn floor_of(&self, answer: &str) -> Floor {
        // The first value of the response.
        Floor::sign(self.algorithm, signed_part(answer.split('"').nth(3).unwrap()))
    }
}

/// Returns the assertion in a form.
pub(crate) fn assertion_of(form: &str) -> &str {
    let (_, rest) = form.split_once("assertion=").unwrap();
    rest.split_once('&').unwrap().0
}
