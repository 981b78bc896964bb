//! A server in memory with a clock that stands still, and a client that speaks forms and JSON.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::admin::ImportedApp;
use grantor::app::{AppDraft, AppSettings, Flow};
use grantor::audit::{AuditEvent, AuditQuery, MemoryAudit};
use grantor::clock::{Clock as _, ManualClock, UnixTime};
use grantor::endpoint::{
    Approval, AuthorizationError, Decision, Introspection, Login, Prompt, Prompted, TokenResponse,
};
use grantor::error::EndpointError;
use grantor::hooks::{Hooks, NoHooks};
use grantor::ids::{ClientId, DeviceId, Group, Issuer, Source, Subject};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::protocol::{CodeVerifier, RedirectUri, Scope};
use grantor::random::OsRandom;
use grantor::server_secret::ServerSecret;
use grantor::store::{AccessFacts, GrantStore as _, MemoryStore};
use grantor::users::{MemoryUsers, User};
use grantor::{AuthorizationServer, ServerBuilder};
use pollster::block_on;
use serde_json::Value;

use crate::wire::{Answered, Wire};

/// The name of the server.
pub(crate) const ISSUER: &str = "https://as.example.com";
/// The redirect URI of [`code_app`].
pub(crate) const CALLBACK: &str = "https://app.example.com/cb";
/// The instant at which every test begins.
pub(crate) const START: i64 = 1_700_000_000;
/// The root of the server's secret.
pub(crate) const ROOT: &[u8] = b"0123456789abcdef0123456789abcdef";

pub(crate) type Builder = ServerBuilder<Arc<MemoryStore>, Arc<MemoryUsers>>;

/// A server with the users `ann` and `bob` of group `staff`, `root` of group `admins`, and `gone`,
/// who is not active.
pub(crate) struct World<H = NoHooks> {
    pub(crate) server: Arc<AuthorizationServer<Arc<MemoryStore>, Arc<MemoryUsers>, H>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) users: Arc<MemoryUsers>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) source: Source,
    pub(crate) wire: Wire,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }
}

impl<H: Hooks + 'static> World<H> {
    /// A server put together as `configure` says.
    pub(crate) fn with(
        configure: impl FnOnce(Builder) -> ServerBuilder<Arc<MemoryStore>, Arc<MemoryUsers>, H>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(UnixTime::from_seconds(START)));
        let audit = Arc::new(MemoryAudit::default());
        let store = Arc::new(MemoryStore::new());
        let user = |name: &str, group: &str| {
            User::new(subject(name)).with_groups([Group::new(group).unwrap()])
        };
        let users = Arc::new(MemoryUsers::new([
            user("ann", "staff"),
            user("bob", "staff"),
            user("root", "admins"),
            user("gone", "staff").with_active(false),
        ]));
        let builder = AuthorizationServer::builder(
            Issuer::new(ISSUER).unwrap(),
            ServerSecret::new(ROOT).unwrap(),
            SigningKey::generate(Algorithm::ES256).unwrap(),
            Arc::clone(&store),
            Arc::clone(&users),
        )
        .clock(Arc::clone(&clock))
        .audit(Arc::clone(&audit));
        let source = Source::new("192.0.2.7").unwrap();
        let server = Arc::new(configure(builder).build());
        Self { server, clock, audit, users, store, source, wire: Wire::default() }
    }

    /// Registers an app.
    pub(crate) fn register(&self, draft: AppDraft) -> App {
        let settings: AppSettings = draft.build().unwrap();
        let credentials = block_on(self.server.admin("tester").register(settings)).unwrap();
        App {
            secret: credentials.client_secret.map(|secret| secret.expose_secret().to_owned()),
            signature_secret: credentials
                .signature_secret
                .map(|secret| secret.expose_secret().to_owned()),
            id: credentials.client_id,
        }
    }

    /// A token request as `app`: with its secret in the body, or with its name only.
    pub(crate) fn post(&self, app: &App, parameters: &[(&str, &str)]) -> Answer {
        let mut form = vec![("client_id", app.id.as_str())];
        form.extend(app.secret.as_deref().map(|secret| ("client_secret", secret)));
        form.extend(parameters);
        self.post_form(None, &encode(&form))
    }

    /// A token request of these bytes.
    pub(crate) fn post_form(&self, authorization: Option<&str>, body: &str) -> Answer {
        Answer::from(self.send_form("/oauth/token", authorization, body))
    }

    /// The prompt for a request that is valid and has to be asked about.
    pub(crate) fn prompt(&self, query: &str, login: &Login) -> Prompt {
        let request = block_on(self.server.authorization_request(query, None)).unwrap();
        match block_on(self.server.prompt(request, Some(login))).unwrap() {
            Prompted::Ask(prompt) => prompt,
            Prompted::Redirect(_) => panic!("nobody was asked"),
            Prompted::LogIn(_) => panic!("somebody has to log in"),
        }
    }

    /// The parameters of the redirect that answers `query` when `ann` approves whatever is asked.
    pub(crate) fn approve(
        &self,
        query: &str,
    ) -> Result<HashMap<String, String>, AuthorizationError> {
        let request = block_on(self.server.authorization_request(query, None))?;
        let response = match block_on(self.server.prompt(request, Some(&ann())))? {
            Prompted::LogIn(_) => panic!("somebody has to log in"),
            Prompted::Redirect(response) => response,
            Prompted::Ask(prompt) => {
                let yes = Decision::Approve(Approval::default().with_remember(false));
                block_on(self.server.decide(&prompt.ticket, &ann(), yes, None))?
            }
        };
        Ok(parameters(response.location()))
    }

    /// A code for `app`, which `ann` approved, and its verifier.
    pub(crate) fn code(&self, app: &App) -> (String, String) {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let page = self.visit(&code_query(app, &verifier, &[]), "ann");
        let answer = if page.status == 303 { page } else { self.consent(&page) };
        let code = parameters(answer.header("location").unwrap()).remove("code").unwrap();
        (code, verifier.expose_secret().to_owned())
    }

    /// What `ann` gets who agrees to everything on a consent page.
    fn consent(&self, page: &Answered) -> Answered {
        let parts: Vec<_> = page.body.split('|').collect();
        let mut form = vec![("ticket", parts[1]), ("decision", "approve")];
        form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
        let request = http::Request::post(parts[0])
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", "ann");
        self.send(request.body(encode(&form)).unwrap())
    }

    /// Redeems a code of [`code_app`].
    pub(crate) fn redeem(&self, app: &App, code: &str, verifier: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.post(app, &form)
    }

    /// The tokens of a whole code flow.
    pub(crate) fn tokens(&self, app: &App) -> Answer {
        let (code, verifier) = self.code(app);
        let answer = self.redeem(app, &code, &verifier);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Refreshes.
    pub(crate) fn refresh(&self, app: &App, refresh_token: &str) -> Answer {
        self.post(app, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The present instant.
    pub(crate) fn clock_now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The newest events first.
    pub(crate) fn events(&self) -> Vec<AuditEvent> {
        self.audit.find(&AuditQuery::all())
    }
}

/// An app and its secrets, as a client knows them.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) id: ClientId,
    pub(crate) secret: Option<String>,
    pub(crate) signature_secret: Option<String>,
}

/// What came back over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    /// A string of the body; the test fails if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Whether it is this error with this status.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json["error"].as_str()), (status, Some(error)), "{self:?}");
        assert!(self.json.get("access_token").is_none());
    }

    /// The claims of the access token, not verified.
    pub(crate) fn claims(&self) -> Value {
        let payload = self.text("access_token").split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}

/// What came back with a JSON body, or with none.
impl From<Answered> for Answer {
    fn from(answer: Answered) -> Self {
        let json = if answer.body.is_empty() { Value::Null } else { answer.json() };
        let retry_after = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
        Self { status: answer.status, json, retry_after }
    }
}

impl From<Result<TokenResponse, EndpointError>> for Answer {
    fn from(result: Result<TokenResponse, EndpointError>) -> Self {
        Self::of(result, TokenResponse::to_json)
    }
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// The user `ann`, in her session.
pub(crate) fn ann() -> Login {
    Login::new(subject("ann"), "session of ann")
}

/// A confidential app with the code flow, refresh tokens and the scope `a b c`.
pub(crate) fn code_app() -> AppDraft {
    AppDraft::confidential("Reports")
        .description("Writes reports.")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
        .scope(scope("a b c"))
        .refresh_token(true)
}

/// The query of an authorization request for `app`, with `more` parameters.
pub(crate) fn code_query(app: &App, verifier: &CodeVerifier, more: &[(&str, &str)]) -> String {
    let challenge = verifier.challenge().to_string();
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", app.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    parameters.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    parameters.extend(more);
    encode(&parameters)
}

/// Form-encodes.
pub(crate) fn encode(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The parameters in the query of a URL.
pub(crate) fn parameters(location: &str) -> HashMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

/// `Authorization: Basic` with a form-encoded id and secret (RFC 6749 section 2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// The code of an error that is shown to the user; the test fails if it is redirected.
#[track_caller]
pub(crate) fn shown(error: &AuthorizationError) -> &'static str {
    assert_eq!(error.location(), None);
    let AuthorizationError::Show { error, .. } = error else { panic!("not shown: {error:?}") };
    error.error_code().as_str()
}

/// Where an error is redirected, without its query, and the parameters; the test fails if it is
/// shown.
#[track_caller]
pub(crate) fn redirected(error: &AuthorizationError) -> (String, HashMap<String, String>) {
    let location = error.location().unwrap_or_else(|| panic!("not redirected: {error:?}"));
    (location.split('?').next().unwrap().to_owned(), parameters(location))
}

/// A fresh verifier.
pub(crate) fn new_verifier() -> CodeVerifier {
    CodeVerifier::generate(&OsRandom::new()).unwrap()
}

impl World {
    /// A server that counts no failures and no requests.
    pub(crate) fn unlimited() -> Self {
        Self::with(|builder| builder.rate_limits(grantor::rate_limit::RateLimits::none()))
    }
}

impl<H: Hooks + 'static> World<H> {
    /// The newest event is a refusal for this reason, at this step, by this setting.
    #[track_caller]
    pub(crate) fn assert_refused(&self, step: &str, reason: &str, setting: Option<&str>) {
        let outcome = self.events()[0].outcome.clone();
        assert_eq!(outcome.as_str(), "refused", "{outcome:?}");
        let found = (outcome.step().unwrap().as_str(), outcome.reason(), outcome.setting());
        assert_eq!(found, (step, Some(reason), setting));
    }
}

impl<H: Hooks + 'static> World<H> {
    /// Another process on the same store, users, clock and audit log, with `secret`.
    pub(crate) fn sibling(&self, secret: ServerSecret) -> Sibling {
        AuthorizationServer::builder(
            Issuer::new(ISSUER).unwrap(),
            secret,
            SigningKey::generate(Algorithm::ES256).unwrap(),
            Arc::clone(&self.store),
            Arc::clone(&self.users),
        )
        .clock(Arc::clone(&self.clock))
        .audit(Arc::clone(&self.audit))
        .rate_limits(grantor::rate_limit::RateLimits::none())
        .build()
    }

    /// How many events of this action there are.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.events().iter().filter(|event| event.action.as_str() == action).count()
    }
}

/// A server beside that of a [`World`].
pub(crate) type Sibling = AuthorizationServer<Arc<MemoryStore>, Arc<MemoryUsers>>;

/// The body of a token request as `app`.
pub(crate) fn body_of(app: &App, parameters: &[(&str, &str)]) -> String {
    let mut form = vec![("client_id", app.id.as_str())];
    form.extend(app.secret.as_deref().map(|secret| ("client_secret", secret)));
    form.extend(parameters);
    encode(&form)
}

/// A public app with the code flow, refresh tokens and the scope `a b c`.
pub(crate) fn public_app() -> AppDraft {
    AppDraft::public("Phone")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
        .scope(scope("a b c"))
        .refresh_token(true)
}

/// A confidential app that acts for itself, with the scope `a b c`.
pub(crate) fn machine_app() -> AppDraft {
    AppDraft::confidential("Machine").flow(Flow::ClientCredentials).scope(scope("a b c"))
}

impl<H: Hooks + 'static> World<H> {
    /// Whether the store refuses the access token of `answer` now.
    pub(crate) fn is_revoked(&self, answer: &Answer) -> bool {
        let claims = answer.claims();
        let text = |name: &str| claims[name].as_str().unwrap();
        let device = claims["device"].as_str().map(|name| DeviceId::new(name).unwrap());
        let facts = AccessFacts {
            grant_id: text("grant_id").parse().unwrap(),
            client_id: &ClientId::new(text("client_id")).unwrap(),
            subject: &subject(text("sub")),
            device: device.as_ref(),
            authorized_at: UnixTime::from_millis(claims["authorized_at"].as_i64().unwrap()),
        };
        block_on(self.store.is_revoked(&facts)).unwrap()
    }

    /// The newest event.
    pub(crate) fn last_event(&self) -> AuditEvent {
        self.audit.find(&AuditQuery::all().limit(1)).remove(0)
    }

    /// Changes the settings of `app`.
    pub(crate) fn edit(&self, app: &App, change: impl FnOnce(AppDraft) -> AppDraft) {
        let admin = self.server.admin("tester");
        let before = block_on(admin.find(&app.id)).unwrap().unwrap();
        let draft = change(AppDraft::from(before.settings()));
        block_on(admin.edit(&app.id, before.version(), draft)).unwrap();
    }
}

impl Answer {
    fn of<T>(result: Result<T, EndpointError>, body: impl FnOnce(&T) -> String) -> Self {
        let (status, json, retry_after) = match result {
            Ok(response) => (200, body(&response), None),
            Err(error) => (error.status(), error.to_json(), error.retry_after()),
        };
        Self { status, json: serde_json::from_str(&json).unwrap(), retry_after }
    }
}

/// A revocation is answered without a body.
impl From<Result<(), EndpointError>> for Answer {
    fn from(result: Result<(), EndpointError>) -> Self {
        Self::of(result, |()| "null".to_owned())
    }
}

impl From<Result<Introspection, EndpointError>> for Answer {
    fn from(result: Result<Introspection, EndpointError>) -> Self {
        Self::of(result, Introspection::to_json)
    }
}

impl<H: Hooks + 'static> World<H> {
    /// Registers an app under this client id.
    pub(crate) fn import(&self, client_id: &str, draft: AppDraft) -> App {
        let id = ClientId::new(client_id).unwrap();
        let import = ImportedApp::new(id.clone(), draft.build().unwrap());
        let credentials = block_on(self.server.admin("tester").import(import)).unwrap();
        let secret = credentials.client_secret.map(|it| it.expose_secret().to_owned());
        App { id, secret, signature_secret: None }
    }

    /// A revocation request of these bytes.
    pub(crate) fn revoke_form(&self, authorization: Option<&str>, body: &str) -> Answer {
        Answer::from(self.send_form("/oauth/revoke", authorization, body))
    }

    /// Gives `token` back as `app`.
    pub(crate) fn revoke(&self, app: &App, token: &str) -> Answer {
        self.revoke_form(None, &body_of(app, &[("token", token)]))
    }

    /// An introspection request of these bytes.
    pub(crate) fn introspect_form(&self, authorization: Option<&str>, body: &str) -> Answer {
        Answer::from(self.send_form("/oauth/introspect", authorization, body))
    }

    /// Asks about `token` as `app`.
    pub(crate) fn introspect(&self, app: &App, token: &str) -> Answer {
        self.introspect_form(None, &body_of(app, &[("token", token)]))
    }
}
