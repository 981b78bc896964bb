//! Mints tokens through every flow and presents them to an API.
//!
//! `cargo run --example mint_tokens` explains each step. With `-- --json` it prints the tokens
//! instead, one JSON object per line, with the public keys on the last line.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

use std::error::Error;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::app::{AppCredentials, ImpersonationPolicy, JwtSettings};
use grantor::audit::{AuditQuery, MemoryAudit};
use grantor::catalog::ApiCatalog;
use grantor::endpoint::{Caller, Decision, FormRequest, Login, NextStep, TokenResponse};
use grantor::error::EndpointError;
use grantor::ids::{Group, Resource};
use grantor::jwt::{Algorithm, PrivateKeyPem, VerifyingKeys};
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use grantor::resource_server::BearerVerifier;
use grantor::users::{Members, MemoryUsers};
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, RedirectUri, Scope, ServerSecret,
    SigningKey, Subject, User,
};
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

/// Runs every flow and explains the steps if `verbose`. Returns the tokens and the public keys.
pub(crate) fn run(verbose: bool) -> Outcome<Vec<Value>> {
    let mut demo = Demo::new(verbose)?;
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
    verbose: bool,
    lines: Vec<Value>,
    audit: Arc<MemoryAudit>,
    server: AuthorizationServer<MemoryStore, MemoryUsers>,
    /// The verifier of the API. It knows only the issuer and its public keys.
    api: BearerVerifier,
}

impl Demo {
    fn new(verbose: bool) -> Outcome<Self> {
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
        Ok(Self { verbose, lines: Vec::new(), audit, server, api })
    }

    /// Runs the authorization code flow: a user approves an app, which keeps its access by refreshing.
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
        let request = self.server.authorization_request(&query, Caller::default()).await?;
        // The host authenticates the user, shows a consent page and receives the decision.
        let moment = self.server.moment().await?;
        let login = Login::new(Subject::new("ann")?, "the anti-forgery token of her session");
        let login = login.with_moment(moment);
        let NextStep::AskConsent(prompt) = self.server.authorize(request, Some(&login)).await?
        else {
            return Err("the user was not asked for consent".into());
        };
        let titles: Vec<_> = prompt.scopes.iter().flat_map(|scope| &scope.titles).collect();
        self.say(&format!(
            "{} asks {} for consent to {titles:?}.",
            prompt.app_name, prompt.subject
        ));
        let yes = Decision::approve();
        let response = self.server.decide(&prompt.ticket, &login, yes, Caller::default()).await?;
        let code = parameter(response.location(), "code")?;
        self.say("The user approves. The browser returns to the app with a code.");

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
        self.say("The app lost the response and retries: it gets the same refresh token.");

        let third = self.refresh(&app, refresh_token(&second)?).await?;
        self.say("The app refreshes again. Then the oldest refresh token is replayed:");
        let refused = self.refresh(&app, oldest).await;
        self.refused(refused, "invalid_grant", "refresh_token_reused")?;
        self.say("The server cannot tell the app from a thief, so the newest refresh token is revoked too:");
        let refused = self.refresh(&app, refresh_token(&third)?).await;
        self.refused(refused, "invalid_grant", "grant_revoked")?;
        let header = bearer(&third);
        let checked = self.api.check_with(self.server.store(), Some(header.as_str())).await;
        ensure(checked.is_err_and(|it| it.status() == 401), "the access token is revoked too")?;
        self.say(
            "The access tokens are revoked as well: an API that checks the store answers 401.",
        );
        Ok(())
    }

    /// Runs the JWT bearer grant: a backend acts as a user, within the app's impersonation policy.
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

        self.say("The app replays the assertion:");
        let refused = self.assert(&app, &assertion).await;
        self.refused(refused, "invalid_grant", "assertion_replayed")?;
        self.say(
            "The app asserts root, a staff member excluded by the policy as an administrator:",
        );
        let refused = self.assert(&app, &sign_assertion(&app, "root", &private_key)?).await;
        self.refused(refused, "invalid_grant", "impersonation_excepted")
    }

    /// Runs the client credentials grant: an app acts for itself.
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
        self.say(&format!("Registered the app \"{name}\" with client id {}.", app.client_id));
        Ok(app)
    }

    /// Sends a token request of the app.
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

    /// Shows the claims of a token, checks them and adds the token to the output.
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
        self.say(&format!("Claims of the access token: {claims:#}"));
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

    /// Sends a request with the token to the API, which checks the token and its catalog.
    fn call(&self, method: &str, path: &str, token: &TokenResponse, status: u16) -> Outcome {
        let answer = self.api.authorize(method, path, Some(bearer(token).as_str()));
        let got = answer.map_or_else(|challenge| challenge.status(), |_| 200);
        self.say(&format!("{method} {path}: the API answers {got}."));
        ensure(got == status, "the API decides as its catalog says")
    }

    /// Shows the error response to the app and the reason in the audit log.
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
        self.say(&format!("  (audit log: {}{setting})", outcome.reason().unwrap_or_default()));
        ensure(outcome.reason() == Some(reason), reason)
    }

    fn say(&self, text: &str) {
        if self.verbose {
            println!("{text}");
        }
    }
}

/// Signs an assertion that names `user`. The backend may use any JWT library.
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
    if holds { Ok(()) } else { Err(format!("check failed: {what}").into()) }
}
