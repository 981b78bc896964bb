//! The settings that every format has in its own words.

use serde_json::Value;

use super::report::{Notes, quoted};
use crate::admin::ImportedApp;
use crate::app::{AppDraft, AppSettings, ClientAuthentication, Flow, GivenSecret};
use crate::clock::UnixTime;
use crate::ids::{ClientId, Resource};
use crate::jwt::VerifyingKeys;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::{Scope, ScopeToken};
use crate::protocol::uri::WebOrigin;
use crate::secret::ClientSecret;

/// A client secret with its expiry.
pub(super) type Secret = Option<(GivenSecret, Option<UnixTime>)>;

pub(super) const NO_OPENID: &str = "this server has no OpenID Connect";
pub(super) const NO_LOGOUT: &str = "this server sends no logout requests";
pub(super) const SHOWN_NOWHERE: &str = "this server's consent page shows name and description only";
pub(super) const BOOKKEEPING: &str = "the store keeps its own";
pub(super) const NO_REQUEST_OBJECT: &str = "this server takes no signed and no pushed requests";

/// The meaning of a redirect URI on loopback at the other server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ports {
    /// Its port is compared.
    Exact,
    /// On a loopback address, any port is accepted.
    AnyOnLoopback,
}

/// Reads the redirect URIs. One that is not safe is dropped.
pub(super) fn redirect_uris(
    listed: Vec<(String, String)>,
    ports: Ports,
    notes: &mut Notes,
) -> Vec<RedirectUri> {
    let mut uris = Vec::new();
    for (field, text) in listed {
        let parsed = match RedirectUri::parse(&text) {
            Err(_) if is_localhost(&text) => RedirectUri::loopback_with_localhost(&text),
            parsed => parsed,
        };
        match parsed {
            Ok(uri) if uris.contains(&uri) => notes.dropped(&field, "it is listed twice"),
            Ok(uri) => {
                if text.starts_with("http:") {
                    if ports == Ports::Exact {
                        notes.widened(
                            &field,
                            "any port of this loopback host is accepted (RFC 8252)",
                        );
                    } else if is_localhost(&text) {
                        notes.widened(&field, "any port of localhost is accepted");
                    }
                }
                uris.push(uri);
            }
            Err(_) if text.contains('*') => notes.dropped(
                &field,
                format!("{}: a wildcard is not accepted; list each URI", quoted(&text)),
            ),
            Err(invalid) => {
                notes.dropped(&field, format!("{}: {}", quoted(&text), invalid.problem));
            }
        }
    }
    uris
}

fn is_localhost(text: &str) -> bool {
    let rest = text.strip_prefix("http://localhost");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
}

/// Reads the origins of scripts.
pub(super) fn origins(listed: Vec<(String, String)>, notes: &mut Notes) -> Vec<WebOrigin> {
    let mut origins = Vec::new();
    for (field, text) in listed {
        // At Keycloak, the origins of the redirect URIs, which have access here, too.
        if text == "+" {
            continue;
        }
        let text = text.strip_suffix('/').unwrap_or(&text);
        match serde_json::from_value::<WebOrigin>(Value::from(text)) {
            Ok(origin) if origins.contains(&origin) => {}
            Ok(origin) => origins.push(origin),
            Err(_) => notes.dropped(&field, format!("{}: it is no origin", quoted(text))),
        }
    }
    origins
}

/// Reads scope tokens.
pub(super) fn scope(listed: Vec<(String, String)>, notes: &mut Notes) -> Scope {
    let mut tokens = Vec::new();
    for (field, token) in listed {
        if ScopeToken::new(&token).is_err() {
            notes.dropped(&field, format!("{}: it is no scope token", quoted(&token)));
            continue;
        }
        if token == "openid" {
            notes.dropped(
                &field,
                "openid: this server issues no id tokens; the token stays in the scope, so that a request \
                 with it succeeds",
            );
        }
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    Scope::parse(&tokens.join(" ")).unwrap_or_else(|invalid| {
        notes.refused("scope", invalid.problem);
        Scope::default()
    })
}

/// Splits a text at spaces.
pub(super) fn words(field: &str, text: &str) -> Vec<(String, String)> {
    text.split_whitespace().map(|word| (field.to_owned(), word.to_owned())).collect()
}

/// Reads the APIs of a client.
pub(super) fn resources(listed: Vec<(String, String)>, notes: &mut Notes) -> Vec<Resource> {
    let mut resources: Vec<Resource> = Vec::new();
    for (field, text) in listed {
        match Resource::new(text.as_str()) {
            Ok(one) if resources.iter().any(|it| it.is_equivalent(&one)) => {}
            Ok(one) => resources.push(one),
            Err(invalid) => {
                notes.dropped(&field, format!("{}: {}", quoted(&text), invalid.problem));
            }
        }
    }
    resources
}

/// The flows of a client.
#[derive(Default)]
pub(super) struct Flows {
    pub(super) flows: Vec<Flow>,
    /// Whether the list has the grant type `refresh_token`.
    pub(super) refresh: bool,
}

impl Flows {
    pub(super) fn add(&mut self, flow: Flow) {
        if !self.flows.contains(&flow) {
            self.flows.push(flow);
        }
    }

    pub(super) fn uses_code(&self) -> bool {
        self.flows.contains(&Flow::AuthorizationCode)
    }

    /// Reads grant types by their names in RFC 7591.
    pub(super) fn of_grant_types(listed: Vec<(String, String)>, notes: &mut Notes) -> Self {
        let mut read = Self::default();
        for (field, name) in listed {
            match name.as_str() {
                "authorization_code" => read.add(Flow::AuthorizationCode),
                "client_credentials" => read.add(Flow::ClientCredentials),
                "urn:ietf:params:oauth:grant-type:device_code" => read.add(Flow::DeviceCode),
                "refresh_token" => read.refresh = true,
                "implicit" => notes.dropped(&field, IMPLICIT),
                "password" => notes.dropped(&field, PASSWORD),
                "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                    notes.undecided(&field, JWT_BEARER);
                }
                "urn:ietf:params:oauth:grant-type:token-exchange" => {
                    notes.undecided(&field, TOKEN_EXCHANGE);
                }
                _ => notes
                    .dropped(&field, format!("{}: this server has no such grant", quoted(&name))),
            }
        }
        read
    }
}

/// Notes that PKCE is required of a client that may have sent none.
pub(super) fn note_pkce(
    flows: &Flows,
    authentication: Option<&ClientAuthentication>,
    notes: &mut Notes,
) {
    if !flows.uses_code() {
        return;
    }
    notes.narrowed(
        "",
        if authentication == Some(&ClientAuthentication::None) {
            "PKCE is required, of every public app"
        } else {
            "PKCE is required; set `pkce` to optional if the app sends none"
        },
    );
}

/// Notes that a client that got refresh tokens gets none.
pub(super) fn note_refresh(field: &str, flows: &Flows, notes: &mut Notes) {
    if flows.refresh && !flows.uses_code() {
        notes.dropped(field, "no flow that is left returns refresh tokens");
    }
}

pub(super) const IMPLICIT: &str =
    "the implicit flow is not offered (RFC 9700 section 2.1.2): use the code flow with PKCE";
pub(super) const PASSWORD: &str =
    "the password grant is not offered (RFC 9700 section 2.4): use the code flow with PKCE";
const JWT_BEARER: &str = "the keys of assertions and the users that they may name are not in the client: add the \
                          flow jwt_bearer and `jwt` to the declaration";

const TOKEN_EXCHANGE: &str = "which tokens it may exchange, for which APIs and users, is not in the client: add the \
                              flow token_exchange and `delegation` to the declaration";

/// Returns a lifetime within its range, or `None` for the default.
pub(super) fn lifetime(field: &str, seconds: i64, max: u32, notes: &mut Notes) -> Option<u32> {
    match u32::try_from(seconds) {
        Ok(0) | Err(_) if seconds <= 0 => {
            notes.undecided(field, "no limit is stated: the default of this server applies");
            None
        }
        Ok(seconds) if seconds <= max => Some(seconds),
        _ => {
            notes.narrowed(field, format!("{seconds} s: the limit of {max} s applies"));
            Some(max)
        }
    }
}

/// Reads a JWK Set of public keys.
pub(super) fn keys(field: &str, json: &Value, notes: &mut Notes) -> Option<VerifyingKeys> {
    match VerifyingKeys::from_jwk_set(&json.to_string()) {
        Ok(keys) => {
            for passed_over in keys.passed_over() {
                notes.dropped(field, passed_over.to_string());
            }
            Some(keys)
        }
        Err(error) => {
            notes.refused(field, format!("the keys cannot be read: {error}"));
            None
        }
    }
}

/// Reads a secret in clear. `is_masked` forms and empty ones are as absent.
pub(super) fn plain_secret(field: &str, text: &str, notes: &mut Notes) -> Option<GivenSecret> {
    if !text.is_empty() && text.chars().all(|c| c == '*') {
        notes.dropped(field, "it is masked in the export");
        return None;
    }
    let secret = GivenSecret::Plain(ClientSecret::new(text));
    match secret.problem() {
        None => Some(secret),
        Some(_) if text.is_empty() => None,
        Some(problem) => {
            notes.refused(field, problem);
            None
        }
    }
}

/// The parts of an app that every format has.
pub(super) struct Basics {
    pub(super) client_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) enabled: bool,
    pub(super) authentication: Option<ClientAuthentication>,
    pub(super) secret: Secret,
    /// The member of the secret, for the note that it is missing.
    pub(super) secret_field: &'static str,
}

impl Basics {
    /// Returns the app with the settings that `complete` adds, unless one cannot be kept.
    pub(super) fn finish(
        self,
        flows: &Flows,
        uris: Vec<RedirectUri>,
        notes: &mut Notes,
        complete: impl FnOnce(AppDraft) -> AppDraft,
    ) -> Option<ImportedApp> {
        let Some(id) = self.client_id else {
            notes.refused("", "it has no client id");
            return None;
        };
        let client_id = match ClientId::new(id.as_str()) {
            Ok(client_id) => client_id,
            Err(invalid) => {
                notes.refused("", format!("its client id cannot be kept: {}", invalid.problem));
                return None;
            }
        };
        if flows.flows.is_empty() {
            notes.refused("", "no flow is left that this server offers");
            return None;
        }
        if flows.uses_code() && uris.is_empty() {
            notes.refused("", "no redirect URI is left for the code flow");
            return None;
        }
        let authentication = self.authentication?;
        let name =
            text("name", self.name.as_deref().filter(|name| !name.trim().is_empty()), 100, notes);
        let name = name.unwrap_or_else(|| id.chars().take(100).collect());
        let description = text("description", self.description.as_deref(), 1_000, notes);
        let uses_secret = match &authentication {
            ClientAuthentication::PrivateKeyJwt(_)
            | ClientAuthentication::PrivateKeyJwtUri(_)
            | ClientAuthentication::None => false,
            ClientAuthentication::ClientSecret
            | ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretPost => true,
        };
        let draft = AppDraft::confidential(name)
            .description(description.unwrap_or_default())
            .authentication(authentication)
            .flows(flows.flows.iter().copied())
            .redirect_uris(if flows.uses_code() { uris } else { Vec::new() });
        let draft = complete(draft);
        let mut sound = true;
        for invalid in draft.problems() {
            notes.refused("", invalid.to_string());
            sound = false;
        }
        let settings: AppSettings = draft.build().ok().filter(|_| sound)?;
        let mut app = ImportedApp::new(client_id, settings).with_enabled(self.enabled);
        match self.secret {
            Some((secret, expires_at)) if uses_secret => {
                note_secret(self.secret_field, &secret, notes);
                app = app.with_client_secret(secret, expires_at);
            }
            Some(_) => notes.dropped(self.secret_field, "the app does not authenticate with it"),
            None if uses_secret => notes.undecided(
                self.secret_field,
                "the export has no usable secret: add `client_secret` to the declaration",
            ),
            None => {}
        }
        Some(app)
    }
}

fn note_secret(field: &str, secret: &GivenSecret, notes: &mut Notes) {
    match secret {
        GivenSecret::Plain(secret) if secret.expose_secret().len() < 22 => notes.undecided(
            field,
            "the secret has under 22 bytes and may be guessed: rotate it",
        ),
        GivenSecret::Plain(_) => {}
        GivenSecret::Sha256(_) | GivenSecret::Sha512(_) => notes.undecided(
            field,
            "a digest is kept until the first success; if the secret is short, it may be guessed: rotate it",
        ),
        GivenSecret::Slow(_) => notes.undecided(
            field,
            "a slow digest: the host checks it by Hooks::check_slow_digest until the first success",
        ),
    }
}

/// Returns a text for people, shortened and without control characters.
fn text(field: &str, given: Option<&str>, max: usize, notes: &mut Notes) -> Option<String> {
    let given = given?;
    let clean: String = given
        .chars()
        .map(|c| if c.is_control() && (c != '\n' || max == 100) { ' ' } else { c })
        .take(max)
        .collect();
    if clean != given {
        notes.dropped(
            field,
            format!("a part of it: at most {max} characters, without control characters"),
        );
    }
    Some(clean)
}
