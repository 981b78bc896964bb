//! Mints a token through every flow, and shows each to an API.
//!
//! `cargo run --example mint_tokens` tells what happens; with `-- --json` it prints the tokens
//! instead, one JSON object a line, and the public keys on the last line.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::AuthorizationServer;
use grantor::app::{AppCredentials, AppDraft, Flow, ImpersonationPolicy, JwtSettings};
use grantor::audit::{AuditQuery, MemoryAudit};
use grantor::catalog::ApiCatalog;
use grantor::endpoint::{Decision, FormRequest, Login, Prompted, TokenResponse};
use grantor::error::EndpointError;
use grantor::ids::{Group, Issuer, Resource, Subject};
use grantor::jwt::{Algorithm, PrivateKeyPem, SigningKey, VerifyingKeys};
use grantor::protocol::{CodeVerifier, RedirectUri, Scope};
use grantor::random::OsRandom;
use grantor::resource_server::BearerVerifier;
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::users::{Members, MemoryUsers, User};
use serde_json::{Value, json};

const ISSUER: &str = "https://as.example.com";
const API: &str = "https://api.example.com";
const CALLBACK: &str = "https://reports.example.com/callback";
const CATALOG: &str = r#"{ "endpoints": [
    { "method": "GET", "path": "/users/{id}", "scope": "GET/users/*", "title": "See users" },
    { "method": "GET", "path": "/files/{*path}", "scope": "GET/files/*", "title": "Read files" },
    { "method": "PUT", "path": "/files/{*path}", "scope": "PUT/files/*", "title": "Write files" }
] }"#;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let json = std::env::args().any(|argument| argument == "--json");
    for line in run(!json)? {
        if json {
            println!("{line}");
        }
    }
    Ok(())
}

/// Runs every flow, and tells what happens if `aloud`. Answers the tokens, then the public keys.
pub(crate) fn run(aloud: bool) -> Outcome<Vec<Value>> {
    let mut demo = Demo::new(aloud)?;
    pollster::block_on(async {
        demo.authorization_code_and_refresh().await?;
        demo.jwt_bearer().await?;
        demo.client_credentials().await
    })?;
    let jwks: Value = serde_json::from_str(&demo.server.jwk_set())?;
    demo.lines.push(json!({ "jwks": jwks }));
    Ok(demo.lines)
}

struct Demo {
    aloud: bool,
    lines: Vec<Value>,
    audit: Arc<MemoryAudit>,
    server: AuthorizationServer<MemoryStore, MemoryUsers>,
    /// What the API runs: it knows the server's name and its public keys.
    api: BearerVerifier,
}

impl Demo {
    fn new(aloud: bool) -> Outcome<Self> {
        let staff = || Group::new("staff");
        let users = MemoryUsers::new([
            User::new(Subject::new("ann")?).with_groups([staff()?]),
            User::new(Subject::new("root")?).with_groups([staff()?, Group::new("admins")?]),
        ]);
        let catalog: ApiCatalog = serde_json::from_str(CATALOG)?;
        let table = catalog.compile()?;
        let audit = Arc::new(MemoryAudit::default());
        let server = AuthorizationServer::builder(
            Issuer::new(ISSUER)?,
            ServerSecret::generate(&OsRandom::new())?,
            SigningKey::generate(Algorithm::ES256)?,
            MemoryStore::new(),
            users,
        )
        .audit(Arc::clone(&audit))
        .catalog(catalog)
        .build();
        let keys = VerifyingKeys::from_jwk_set(&server.jwk_set())?;
        let api = BearerVerifier::new(server.issuer().clone(), keys)
            .with_resource(Resource::new(API)?)
            .with_enforcement(table);
        Ok(Self { aloud, lines: Vec::new(), audit, server, api })
    }

    /// A user lets an app in; the app keeps its access by refresh tokens.
    async fn authorization_code_and_refresh(&mut self) -> Outcome {
        self.say("\n== Authorization code with PKCE ==\n");
        let draft = AppDraft::confidential("Reports")
            .description("Writes the reports of the month.")
            .flow(Flow::AuthorizationCode)
            .redirect_uri(RedirectUri::parse(CALLBACK)?)
            .refresh_token(true);
        let scope = "GET/files/* GET/users/*";
        let app = self.register(draft, scope).await?;

        // The app sends the browser to the authorization endpoint with this query.
        let verifier = CodeVerifier::generate(&OsRandom::new())?;
        let query = form(&[
            ("response_type", "code"),
            ("client_id", app.client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("state", "af0ifjsldkj"),
            ("code_challenge", &verifier.challenge().to_string()),
            ("code_challenge_method", "S256"),
        ]);
        let request = self.server.authorization_request(&query, None).await?;
        // The host finds out who the user is, shows a consent page, and takes the answer.
        let login = Login::new(Subject::new("ann")?, "the anti-forgery token of her session");
        let Prompted::Ask(prompt) = self.server.prompt(request, Some(&login)).await? else {
            return Err("nobody was asked".into());
        };
        let titles: Vec<_> = prompt.scopes.iter().flat_map(|scope| &scope.titles).collect();
        self.say(&format!("{} asks {}: {titles:?}", prompt.app_name, prompt.subject));
        let yes = Decision::approve();
        let response = self.server.decide(&prompt.ticket, &login, yes, None).await?;
        let code = parameter(response.location(), "code")?;
        self.say("She agrees. The browser goes back to the app with a code.");

        let grant = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.expose_secret()),
        ];
        let first = self.post(&app, &grant).await?;
        self.minted("authorization_code", &first, "ann", &app, scope)?;
        self.call("GET", "/users/ann", &first, 200)?;
        self.call("PUT", "/files/report.txt", &first, 403)?;

        self.say("\n== Refresh ==\n");
        let oldest = refresh_token(&first)?;
        let second = self.refresh(&app, oldest).await?;
        self.minted("refresh_token", &second, "ann", &app, scope)?;

        let again = self.refresh(&app, oldest).await?;
        ensure(refresh_token(&again)? == refresh_token(&second)?, "the successor is the same")?;
        self.say("The app lost the answer and asks again: it gets the very same refresh token.");

        let third = self.refresh(&app, refresh_token(&second)?).await?;
        self.say("The app refreshes again. Then somebody presents the oldest refresh token:");
        let refused = self.refresh(&app, oldest).await;
        self.refused(refused, "invalid_grant", "refresh_token_reused")?;
        self.say("One of the two is a thief, so that the newest refresh token is revoked as well:");
        let refused = self.refresh(&app, refresh_token(&third)?).await;
        self.refused(refused, "invalid_grant", "grant_revoked")?;
        let header = bearer(&third);
        let checked = self.api.check_with(self.server.store(), Some(header.as_str())).await;
        ensure(checked.is_err_and(|it| it.status() == 401), "the access token is revoked, too")?;
        self.say("So are the access tokens: an API that asks the store answers 401.");
        Ok(())
    }

    /// A back end acts as a user, inside what its administrator allowed.
    async fn jwt_bearer(&mut self) -> Outcome {
        self.say("\n== JWT bearer: impersonation ==\n");
        let private_key = SigningKey::generate_pem(Algorithm::ES256)?;
        let public_key =
            SigningKey::from_pem(Algorithm::ES256, private_key.expose_secret())?.verifying_key();
        let staff_but_admins =
            ImpersonationPolicy::members(Members::groups([Group::new("staff")?]))
                .except(Members::groups([Group::new("admins")?]));
        let draft = AppDraft::confidential("Archive")
            .flow(Flow::JwtBearer)
            .jwt(JwtSettings::keys(public_key.into()).with_impersonation(staff_but_admins));
        let app = self.register(draft, "GET/files/*").await?;

        let assertion = sign_assertion(&app, "ann", &private_key)?;
        let token = self.assert(&app, &assertion).await?;
        self.minted("jwt_bearer", &token, "ann", &app, "GET/files/*")?;
        self.call("GET", "/files/2026/report.txt", &token, 200)?;
        self.call("GET", "/users/ann", &token, 403)?;

        self.say("The same assertion again:");
        let refused = self.assert(&app, &assertion).await;
        self.refused(refused, "invalid_grant", "assertion_replayed")?;
        self.say("The app would act as root, who is staff but an administrator, too:");
        let refused = self.assert(&app, &sign_assertion(&app, "root", &private_key)?).await;
        self.refused(refused, "invalid_grant", "impersonation_excepted")
    }

    /// An app acts for itself.
    async fn client_credentials(&mut self) -> Outcome {
        self.say("\n== Client credentials ==\n");
        let draft = AppDraft::confidential("Nightly job").flow(Flow::ClientCredentials);
        let app = self.register(draft, "GET/files/* PUT/files/*").await?;
        let grant = [("grant_type", "client_credentials"), ("scope", "PUT/files/nightly/*")];
        let token = self.post(&app, &grant).await?;
        let sub = app.client_id.as_str();
        self.minted("client_credentials", &token, sub, &app, "PUT/files/nightly/*")?;
        self.call("PUT", "/files/nightly/log.txt", &token, 200)?;
        self.call("PUT", "/files/report.txt", &token, 403)
    }

    async fn register(&self, draft: AppDraft, scope: &str) -> Outcome<AppCredentials> {
        let api = Resource::new(API)?;
        let draft = draft.scope(Scope::parse(scope)?).resources([api.clone()]);
        let settings = draft.default_resource(Some(api)).build()?;
        let name = settings.name().to_owned();
        let app = self.server.admin("example").register(settings).await?;
        self.say(&format!("Registered the app {name} with the client id {}.", app.client_id));
        Ok(app)
    }

    /// What the app sends to the token endpoint.
    async fn post(
        &self,
        app: &AppCredentials,
        grant: &[(&str, &str)],
    ) -> Result<TokenResponse, EndpointError> {
        let secret = app.client_secret.as_ref().map_or("", |secret| secret.expose_secret());
        let client = [("client_id", app.client_id.as_str()), ("client_secret", secret)];
        let body = form(&[&client[..], grant].concat());
        self.server.token(&FormRequest::new(&body)).await
    }

    async fn refresh(
        &self,
        app: &AppCredentials,
        token: &str,
    ) -> Result<TokenResponse, EndpointError> {
        self.post(app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn assert(
        &self,
        app: &AppCredentials,
        assertion: &str,
    ) -> Result<TokenResponse, EndpointError> {
        let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        self.post(app, &[("grant_type", grant_type), ("assertion", assertion)]).await
    }

    /// Shows what a token says, and keeps it with what it should say.
    fn minted(
        &mut self,
        flow: &str,
        response: &TokenResponse,
        sub: &str,
        app: &AppCredentials,
        scope: &str,
    ) -> Outcome {
        let token = response.access_token.expose_secret();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap_or_default())?;
        let claims: Value = serde_json::from_slice(&payload)?;
        self.say(&format!("The access token says {claims:#}"));
        let client_id = &app.client_id;
        let expected = json!({
            "sub": sub, "client_id": client_id, "scope": scope, "aud": API, "iss": ISSUER,
        });
        for (name, value) in expected.as_object().into_iter().flatten() {
            ensure(claims.get(name) == Some(value), name)?;
        }
        let mut line = json!({ "flow": flow, "access_token": token, "expected": expected });
        if let (Some(refresh_token), Some(fields)) = (&response.refresh_token, line.as_object_mut())
        {
            fields.insert("refresh_token".to_owned(), refresh_token.expose_secret().into());
        }
        self.lines.push(line);
        Ok(())
    }

    /// Sends a request with the token to the API, which looks at the token and at its catalog.
    fn call(&self, method: &str, path: &str, token: &TokenResponse, status: u16) -> Outcome {
        let answer = self.api.authorize(method, path, Some(bearer(token).as_str()));
        let got = answer.map_or_else(|challenge| challenge.status(), |_| 200);
        self.say(&format!("{method} {path}: the API answers {got}."));
        ensure(got == status, "the API decides as its catalog says")
    }

    /// Shows what a refused app is told, and what the audit log knows.
    fn refused(
        &self,
        answer: Result<TokenResponse, EndpointError>,
        code: &str,
        reason: &str,
    ) -> Outcome {
        let Err(error) = answer else { return Err("a token was issued".into()) };
        self.say(&format!("  {} {}", error.status(), error.to_json()));
        ensure(error.error_code().as_str() == code, code)?;
        let events = self.audit.find(&AuditQuery::all().limit(1));
        let outcome = events.first().map(|event| &event.outcome).ok_or("nothing was audited")?;
        let setting = outcome.setting().map(|it| format!(", by {it}")).unwrap_or_default();
        self.say(&format!("  (the audit log: {}{setting})", outcome.reason().unwrap_or_default()));
        ensure(outcome.reason() == Some(reason), reason)
    }

    fn say(&self, text: &str) {
        if self.aloud {
            println!("{text}");
        }
    }
}

/// What a back end signs to act as `user`, with whatever JWT library it has.
fn sign_assertion(app: &AppCredentials, user: &str, key: &PrivateKeyPem) -> Outcome<String> {
    let claims = json!({
        "iss": app.client_id,
        "sub": user,
        "aud": ISSUER,
        "exp": jsonwebtoken::get_current_timestamp() + 60,
        "jti": CodeVerifier::generate(&OsRandom::new())?.expose_secret(),
    });
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    let key = jsonwebtoken::EncodingKey::from_ec_pem(key.expose_secret().as_bytes())?;
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn parameter(location: &str, name: &str) -> Outcome<String> {
    let url = url::Url::parse(location)?;
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).ok_or_else(|| format!("there is no {name}").into())
}

fn bearer(response: &TokenResponse) -> String {
    format!("Bearer {}", response.access_token.expose_secret())
}

fn refresh_token(response: &TokenResponse) -> Outcome<&str> {
    let token = response.refresh_token.as_ref().ok_or("there is no refresh token")?;
    Ok(token.expose_secret())
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("not as expected: {what}").into()) }
}
