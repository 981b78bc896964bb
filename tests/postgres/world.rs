//! A server over a store, by default in PostgreSQL, and a client of its endpoints.

use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
use grantor::audit::{Action, Actor, AuditEvent, AuditSink, EventId, NewEvent, NoAudit};
use grantor::clock::{Clock as _, SystemClock, UnixTime};
use grantor::endpoint::{Approval, Decision, FormRequest, Login, NextStep};
use grantor::ids::{ClientId, GrantId, Issuer, Subject};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::observe::Outcome;
use grantor::protocol::{CodeVerifier, GrantType, RedirectUri, Scope};
use grantor::random::OsRandom;
use grantor::rate_limit::RateLimits;
use grantor::secret::Digest;
use grantor::server_secret::ServerSecret;
use grantor::store::{CachedApps, Grant, PostgresStore, Store};
use grantor::users::{MemoryUsers, User};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ISSUER: &str = "https://as.example.com";
const CALLBACK: &str = "https://app.example.com/cb";

pub(crate) struct World<S = PostgresStore> {
    pub(crate) runtime: Runtime,
    pub(crate) server: AuthorizationServer<CachedApps<S>, MemoryUsers>,
    pub(crate) client_id: ClientId,
    pub(crate) client_secret: String,
    pub(crate) signature_secret: String,
}

pub(crate) fn now() -> UnixTime {
    SystemClock::new().now()
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    grantor::random::SecureRandom::fill(&OsRandom::new(), &mut bytes).unwrap();
    bytes
}

/// Returns a grant of this app, not stored yet, with random bindings and salt.
pub(crate) fn grant(client_id: &ClientId, subject: &str) -> Grant {
    let subject = Subject::new(subject).unwrap();
    let id = GrantId::from_bytes(random_bytes());
    let mut grant = Grant::new(id, client_id.clone(), subject, Scope::empty());
    grant.binding = Digest::from_bytes(random_bytes());
    grant.salt_digest = Digest::from_bytes(random_bytes());
    grant.authorized_at = now();
    grant.code_expires_at = now().plus(Duration::from_secs(600));
    grant.expires_at = now().plus(Duration::from_secs(86_400));
    grant
}

/// Returns an event of the audit log with this app, this user and the current time.
pub(crate) fn event(client_id: &str, subject: &str) -> NewEvent {
    let action = Action::IssueToken { grant_type: Some(GrantType::JwtBearer) };
    let actor = Actor::App(ClientId::new(client_id).unwrap());
    let event = AuditEvent::new(now(), actor, action, Outcome::Success);
    let event = event.with_subject(&Subject::new(subject).unwrap());
    NewEvent { id: EventId::generate(event.at, &OsRandom::new()).unwrap(), event }
}

impl<S: Store> World<S> {
    /// Builds a server with an app of every flow and the user `ann`.
    pub(crate) fn new(runtime: Runtime, store: S) -> Self {
        Self::with_audit(runtime, store, NoAudit::new())
    }

    /// Builds the same server with an audit sink.
    pub(crate) fn with_audit(runtime: Runtime, store: S, audit: impl AuditSink + 'static) -> Self {
        let server = AuthorizationServer::builder(
            Issuer::new(ISSUER).unwrap(),
            ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap(),
            SigningKey::generate(Algorithm::ES256).unwrap(),
            // No other process changes the app meanwhile.
            CachedApps::new(store).bound(Duration::from_secs(3_600)),
            MemoryUsers::new([User::new(Subject::new("ann").unwrap())]),
        )
        .rate_limits(RateLimits::none())
        .audit(audit)
        .build();
        let settings = AppDraft::confidential("Reports")
            .flows([Flow::AuthorizationCode, Flow::JwtBearer, Flow::ClientCredentials])
            .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
            .scope(Scope::parse("a b").unwrap())
            .refresh_token(true)
            .jwt(JwtSettings::signature_secret().with_impersonation(ImpersonationPolicy::anyone()))
            .build()
            .unwrap();
        let app = runtime.block_on(server.admin("tester").register(settings)).unwrap();
        Self {
            client_id: app.client_id,
            client_secret: app.client_secret.unwrap().expose_secret().to_owned(),
            signature_secret: app.signature_secret.unwrap().expose_secret().to_owned(),
            runtime,
            server,
        }
    }

    /// Sends a token request. Returns the answer, or the error code of the refusal.
    pub(crate) fn post(&self, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", self.client_id.as_str())
            .append_pair("client_secret", &self.client_secret)
            .extend_pairs(parameters)
            .finish();
        let answer = self.runtime.block_on(self.server.token(&FormRequest::new(&body)));
        let answer = answer.map_err(|error| error.error_code().as_str().to_owned())?;
        Ok(serde_json::from_str(&answer.to_json()).unwrap())
    }

    /// Returns a code that `ann` approved, and its verifier.
    pub(crate) fn code(&self) -> (String, String) {
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id.as_str())
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("code_challenge", &verifier.challenge().to_string())
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "consent")
            .finish();
        let login = Login::new(Subject::new("ann").unwrap(), "session");
        let response = self.runtime.block_on(async {
            let request = self.server.authorization_request(&query, None).await.unwrap();
            match self.server.authorize(request, Some(&login)).await.unwrap() {
                NextStep::Redirect(response) => response,
                NextStep::LogIn(_) => panic!("the user has to log in"),
                NextStep::AskConsent(prompt) => {
                    let yes = Decision::Approve(Approval::default());
                    self.server.decide(&prompt.ticket, &login, yes, None).await.unwrap()
                }
            }
        });
        let url = url::Url::parse(response.location()).unwrap();
        let code = url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        (code, verifier.expose_secret().to_owned())
    }

    pub(crate) fn redeem(&self, code: &str, verifier: &str) -> Result<Value, String> {
        self.post(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ])
    }

    pub(crate) fn refresh(&self, refresh_token: &str) -> Result<Value, String> {
        self.post(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Gets a token for a new assertion.
    pub(crate) fn impersonate(&self) -> Result<Value, String> {
        let now = now().as_seconds();
        let claims = json!({
            "iss": self.client_id.as_str(), "sub": "ann", "aud": ISSUER,
            "iat": now, "exp": now + 120, "jti": format!("{:?}", random_bytes::<16>()),
        });
        let key = jsonwebtoken::EncodingKey::from_secret(self.signature_secret.as_bytes());
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        self.post(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ])
    }
}
