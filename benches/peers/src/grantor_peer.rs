//! This library, over `MemoryStore`: as text, and over `http` types.

use std::sync::Arc;

use grantor::admin::ImportedApp;
use grantor::app::{AppSettings, RateQuota};
use grantor::audit::NoAudit;
use grantor::endpoint::{
    AuthorizationError, AuthorizationRequest, Caller, ConsentPrompt, FormRequest, Login, NextStep,
};
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, Interaction, Page};
use grantor::ids::{ClientId, Resource};
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::random::OsRandom;
use grantor::rate_limit::RateLimits;
use grantor::resource_server::{BearerVerifier, ResourceServer};
use grantor::users::{DirectoryError, UserDirectory};
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, RedirectUri, Scope, ServerSecret,
    SigningKey, Subject, User,
};
use http::request::Parts;
use http::{Request, Response, header};
use ring::signature::KeyPair as _;

use crate::peer::{self, Ask, CALLBACK, ES256_PEM, ISSUER, Peer, SCOPE, now_ready};
use crate::token::{TokenKey, key_pair};

const HS256_SECRET: &[u8] = b"an HS256 secret of forty bytes, no fewer";
/// The user of the browser, for the host of the HTTP layer.
const USER: &str = "x-user";

/// A directory in which every subject of that form is a user, so that only the library's memory is
/// counted.
pub(crate) struct Everyone;

impl UserDirectory for Everyone {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        Ok(subject.as_str().starts_with("user-").then(|| User::new(subject.clone())))
    }
}

type Server = AuthorizationServer<MemoryStore, Everyone, NoHooks>;

/// A server, its client and an API that introspects.
struct World {
    server: Arc<Server>,
    query: String,
    client: String,
    gateway: String,
    key: TokenKey,
    verifier: BearerVerifier,
}

fn signing_key(algorithm: Algorithm) -> SigningKey {
    if algorithm == Algorithm::ES256 {
        SigningKey::from_pem(algorithm, ES256_PEM).unwrap()
    } else {
        SigningKey::from_hmac_secret(HS256_SECRET).unwrap()
    }
}

fn settings(flows: &[Flow]) -> AppSettings {
    AppDraft::confidential("Reports")
        .flows(flows.iter().copied())
        .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
        .scope(Scope::parse(SCOPE).unwrap())
        .refresh_token(true)
        .require_consent(false)
        .build()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the token is verified with bare ring")]
fn token_key(algorithm: Algorithm) -> TokenKey {
    if algorithm == Algorithm::ES256 {
        let pair = key_pair(ES256_PEM, &ring::rand::SystemRandom::new());
        TokenKey::es256(pair.public_key().as_ref().to_vec())
    } else {
        TokenKey::hs256(HS256_SECRET)
    }
}

impl World {
    fn new(algorithm: Algorithm, cached_tokens: usize) -> Self {
        let api = Resource::new("https://api.example.com/").unwrap();
        let api = ResourceServer::new(api, ClientId::new("api").unwrap());
        // The limits are on, but too high to be reached.
        let quota = RateQuota::new(60_000_000, 10_000_000);
        let server = AuthorizationServer::builder(
            Issuer::new(ISSUER).unwrap(),
            ServerSecret::generate(&OsRandom::new()).unwrap(),
            signing_key(algorithm),
            MemoryStore::new(),
            Everyone,
        )
        .rate_limits(RateLimits::default().with_volume(quota))
        .audit(NoAudit::new())
        .resource_server(api.with_gateway(true))
        .build();
        let admin = server.admin("alice");
        let flows = [Flow::AuthorizationCode, Flow::ClientCredentials];
        let app = now_ready(admin.register(settings(&flows))).unwrap();
        let client_id = app.client_id.as_str().to_owned();
        let imported = ImportedApp::new(ClientId::new("api").unwrap(), settings(&flows));
        let gateway = now_ready(admin.import(imported)).unwrap();
        let keys = VerifyingKeys::new(vec![signing_key(algorithm).verifying_key()]).unwrap();
        Self {
            query: peer::query(&client_id),
            client: peer::basic(&client_id, app.client_secret.unwrap().expose_secret()),
            gateway: peer::basic("api", gateway.client_secret.unwrap().expose_secret()),
            key: token_key(algorithm),
            verifier: BearerVerifier::new(Issuer::new(ISSUER).unwrap(), keys)
                .with_cache(cached_tokens),
            server: Arc::new(server),
        }
    }

    fn check(&self, header: &str) -> bool {
        self.verifier.check(Some(header)).is_ok()
    }

    fn subject(&self, token: &str) -> String {
        let claims = self.key.verify(token);
        assert_eq!(claims["scope"], SCOPE);
        claims["sub"].as_str().unwrap().to_owned()
    }
}

/// The endpoints as text: queries and forms in, URLs and JSON out.
pub(crate) struct Text(World);

impl Text {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self(World::new(algorithm, 0))
    }

    /// Creates a server with an API that remembers `tokens` verified tokens.
    pub(crate) fn caching(algorithm: Algorithm, tokens: usize) -> Self {
        Self(World::new(algorithm, tokens))
    }
}

/// A request as text. The kind says which endpoint the host has routed it to.
pub(crate) enum TextRequest {
    Authorization(String, Login),
    Token(String),
    Introspection(String),
}

impl Peer for Text {
    type Request = TextRequest;
    type Answer = String;

    fn authorization(&mut self, user: &str) -> TextRequest {
        let login = Login::new(Subject::new(user).unwrap(), "session");
        TextRequest::Authorization(self.0.query.clone(), login)
    }

    fn request(&mut self, ask: Ask<'_>) -> TextRequest {
        let form = peer::form(ask);
        if let Ask::Introspect { .. } = ask {
            TextRequest::Introspection(form)
        } else {
            TextRequest::Token(form)
        }
    }

    fn answer(&mut self, request: TextRequest) -> String {
        let World { server, client, gateway, .. } = &self.0;
        match request {
            TextRequest::Authorization(query, login) => {
                let request = now_ready(server.authorization_request(&query, Caller::default()));
                let step = now_ready(server.authorize(request.unwrap(), Some(&login))).unwrap();
                let NextStep::Redirect(redirect) = step else { panic!("not a redirect") };
                redirect.location().to_owned()
            }
            TextRequest::Token(form) => {
                let request = FormRequest::new(&form).authorization(client);
                now_ready(server.token(&request)).unwrap().to_json()
            }
            TextRequest::Introspection(form) => {
                let request = FormRequest::new(&form).authorization(gateway);
                now_ready(server.introspect(&request)).unwrap().to_json()
            }
        }
    }

    fn text(answer: String) -> String {
        answer
    }

    fn check(&mut self, header: &str) -> bool {
        self.0.check(header)
    }

    fn subject(&mut self, token: &str) -> String {
        self.0.subject(token)
    }
}

/// A host that reads the user from a header.
struct Browser;

fn page(text: String) -> Page {
    Page::new(text.into_bytes())
}

impl Interaction for Browser {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let user = request.headers.get(USER).and_then(|user| user.to_str().ok());
        let subject = user.map(Subject::new).transpose().map_err(DirectoryError::new)?;
        Ok(subject.map(|subject| Login::new(subject, "session")))
    }

    async fn login_page(&self, _: &Parts, _: &AuthorizationRequest, _: &str) -> Page {
        page("log in".to_owned())
    }

    async fn consent_page(&self, _: &Parts, prompt: &ConsentPrompt, _: &str) -> Page {
        page(prompt.ticket.clone())
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        page(error.to_string())
    }
}

/// The HTTP layer: `http` requests in, `http` responses out.
pub(crate) struct Http {
    world: World,
    endpoints: HttpEndpoints<MemoryStore, Everyone, NoHooks, Browser>,
}

impl Http {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let world = World::new(algorithm, 0);
        let endpoints = HttpEndpoints::new(Arc::clone(&world.server), Browser);
        Self { world, endpoints }
    }
}

/// Returns a `POST` request with a form.
pub(crate) fn post(path: &str, authorization: &str, form: String) -> Request<String> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, authorization)
        .body(form)
        .unwrap()
}

/// Returns the authorization request of a browser in which `user` is logged in.
pub(crate) fn get(path: &str, query: &str, user: &str) -> Request<String> {
    Request::get([path, "?", query].concat()).header(USER, user).body(String::new()).unwrap()
}

impl Peer for Http {
    type Request = Request<String>;
    type Answer = Response<Vec<u8>>;

    fn authorization(&mut self, user: &str) -> Request<String> {
        get("/oauth/authorize", &self.world.query, user)
    }

    fn request(&mut self, ask: Ask<'_>) -> Request<String> {
        let form = peer::form(ask);
        if let Ask::Introspect { .. } = ask {
            post("/oauth/introspect", &self.world.gateway, form)
        } else {
            post("/oauth/token", &self.world.client, form)
        }
    }

    fn answer(&mut self, request: Request<String>) -> Response<Vec<u8>> {
        now_ready(self.endpoints.handle(request)).expect("a route")
    }

    fn text(answer: Response<Vec<u8>>) -> String {
        if let Some(location) = answer.headers().get(header::LOCATION) {
            return location.to_str().unwrap().to_owned();
        }
        String::from_utf8(answer.into_body()).unwrap()
    }

    fn check(&mut self, header: &str) -> bool {
        self.world.check(header)
    }

    fn subject(&mut self, token: &str) -> String {
        self.world.subject(token)
    }
}
