//! The program of a flow of an app, before it is written in a language.

use std::borrow::Cow;

use crate::app::{AssertionKeys, ClientAuthentication, CustomApp, Flow, JtiRule, JwtSettings};
use crate::jwt::{Algorithm, VerifyingKeys};
use crate::protocol::redirect_uri::InstanceHosts;

/// The longest that a program lets an assertion live, in seconds.
const ASSERTION_SECONDS: u32 = 60;

pub(super) const CLIENT_SECRET: &str = "OAUTH_CLIENT_SECRET";
pub(super) const SIGNATURE_SECRET: &str = "OAUTH_SIGNATURE_SECRET";
pub(super) const CLIENT_KEY_FILE: &str = "OAUTH_CLIENT_KEY_FILE";
pub(super) const ASSERTION_KEY_FILE: &str = "OAUTH_ASSERTION_KEY_FILE";
pub(super) const USER: &str = "OAUTH_USER";

/// The server that a program asks.
pub(in super::super) struct Server<'a> {
    pub(in super::super) issuer: &'a str,
    pub(in super::super) authorize: Option<String>,
    pub(in super::super) token: Option<String>,
    pub(in super::super) hosts: &'a InstanceHosts,
}

/// A value of a parameter or a claim.
#[derive(Clone)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    /// An environment variable.
    Environment(&'static str),
    /// A variable that the program sets before.
    Local(&'static str),
}

impl<'a> Value<'a> {
    fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }
}

/// The key that signs an assertion.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) id: Option<String>,
    /// The environment variable that names the file of a private key.
    pub(super) file: &'static str,
}

/// An assertion that the program signs, as the variable `name`.
pub(super) struct Assertion<'a> {
    pub(super) name: &'static str,
    pub(super) claims: Vec<(&'a str, Value<'a>)>,
    pub(super) has_id: bool,
    pub(super) seconds: u32,
    pub(super) key: Key,
}

/// The way to a code: the program prints a URL, and reads the code that came back.
pub(super) struct CodeRequest<'a> {
    pub(super) url: String,
    pub(super) issuer: &'a str,
    /// All but state and challenge, which the program makes.
    pub(super) query: Vec<(&'static str, Cow<'a, str>)>,
}

/// A program: sign, get a code, send a token request.
pub(super) struct Program<'a> {
    pub(super) assertions: Vec<Assertion<'a>>,
    pub(super) code: Option<CodeRequest<'a>>,
    /// The client id for the `Authorization` header, form-encoded (RFC 6749 section 2.3.1).
    pub(super) basic: Option<String>,
    pub(super) url: &'a str,
    pub(super) form: Vec<(&'static str, Value<'a>)>,
}

impl<'a> Program<'a> {
    /// Returns the program of a flow, or `None` if the server has no endpoint for it, or the flow is more than one
    /// token request.
    pub(super) fn of(app: &'a CustomApp, flow: Flow, server: &'a Server<'_>) -> Option<Self> {
        let settings = app.settings();
        let mut program = Self {
            assertions: Vec::new(),
            code: None,
            basic: None,
            url: server.token.as_deref()?,
            form: Vec::new(),
        };
        let scope = settings.scope().as_str();
        match flow {
            Flow::AuthorizationCode => {
                let uri = redirect_uri(settings.redirect_uris().first()?.as_str(), server.hosts);
                let mut query = vec![
                    ("response_type", "code".into()),
                    ("client_id", app.client_id().as_str().into()),
                    ("redirect_uri", uri.clone()),
                ];
                if !scope.is_empty() {
                    query.push(("scope", scope.into()));
                }
                let url = server.authorize.clone()?;
                program.code = Some(CodeRequest { url, issuer: server.issuer, query });
                program.form = vec![
                    ("grant_type", Value::text("authorization_code")),
                    ("code", Value::Local("code")),
                    ("redirect_uri", Value::text(uri)),
                    ("code_verifier", Value::Local("verifier")),
                ];
            }
            Flow::JwtBearer => {
                program.form = vec![
                    ("grant_type", Value::text("urn:ietf:params:oauth:grant-type:jwt-bearer")),
                    ("assertion", Value::Local("assertion")),
                ];
                program.assertions.push(grant_assertion(app, server)?);
            }
            Flow::ClientCredentials => {
                program.form = vec![("grant_type", Value::text("client_credentials"))];
            }
            Flow::DeviceCode | Flow::TokenExchange => return None,
        }
        let impersonation = settings.jwt().and_then(|jwt| jwt.impersonation().scope.as_ref());
        let scope = match impersonation.filter(|_| flow == Flow::JwtBearer) {
            Some(allowed) => settings.scope().intersection(allowed).as_str().to_owned().into(),
            None => Cow::Borrowed(scope),
        };
        if flow != Flow::AuthorizationCode && !scope.is_empty() {
            program.form.push(("scope", Value::Text(scope)));
        }
        let alone = settings.jwt().is_some_and(JwtSettings::assertion_authenticates);
        if flow != Flow::JwtBearer || !alone {
            program.authenticate(app, server);
        }
        Some(program)
    }

    fn authenticate(&mut self, app: &'a CustomApp, server: &'a Server<'_>) {
        let id = app.client_id().as_str();
        let in_form = ("client_id", Value::text(id));
        match app.settings().authentication() {
            ClientAuthentication::ClientSecretBasic => {
                self.basic = Some(url::form_urlencoded::byte_serialize(id.as_bytes()).collect());
            }
            ClientAuthentication::ClientSecret | ClientAuthentication::ClientSecretPost => {
                let secret = ("client_secret", Value::Environment(CLIENT_SECRET));
                self.form.extend([in_form, secret]);
            }
            method @ (ClientAuthentication::PrivateKeyJwt(_)
            | ClientAuthentication::PrivateKeyJwtUri(_)) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                self.form.push(("client_assertion_type", Value::text(kind)));
                self.form.push(("client_assertion", Value::Local("client_assertion")));
                let claims = vec![
                    ("iss", Value::text(id)),
                    ("sub", Value::text(id)),
                    ("aud", Value::text(server.issuer)),
                ];
                let longest = app.settings().client_assertion_lifetime();
                let key = if let ClientAuthentication::PrivateKeyJwt(keys) = method {
                    key_of(keys, &[], CLIENT_KEY_FILE)
                } else {
                    Key { algorithm: Algorithm::RS256, id: None, file: CLIENT_KEY_FILE }
                };
                self.assertions.push(Assertion {
                    name: "client_assertion",
                    claims,
                    has_id: true,
                    seconds: longest.unwrap_or(ASSERTION_SECONDS).min(ASSERTION_SECONDS),
                    key,
                });
            }
            ClientAuthentication::None => self.form.push(in_form),
        }
    }
}

fn grant_assertion<'a>(app: &'a CustomApp, server: &'a Server<'_>) -> Option<Assertion<'a>> {
    let jwt = app.settings().jwt()?;
    let issuer = jwt.issuer().unwrap_or(app.client_id().as_str());
    let key = match jwt.assertion_keys() {
        AssertionKeys::Keys(keys) => key_of(keys, jwt.algorithms(), ASSERTION_KEY_FILE),
        AssertionKeys::SignatureSecret => {
            Key { algorithm: Algorithm::HS256, id: None, file: ASSERTION_KEY_FILE }
        }
    };
    Some(Assertion {
        name: "assertion",
        claims: vec![
            ("iss", Value::text(issuer)),
            (jwt.user_claim(), Value::Environment(USER)),
            ("aud", Value::text(jwt.audience().unwrap_or(server.issuer))),
        ],
        has_id: jwt.jti() == JtiRule::Required,
        seconds: jwt.max_lifetime().min(ASSERTION_SECONDS),
        key,
    })
}

/// Returns the first key, with an algorithm that it may use.
fn key_of(keys: &VerifyingKeys, allowed: &[Algorithm], file: &'static str) -> Key {
    let fits = |algorithm: &Algorithm| allowed.is_empty() || allowed.contains(algorithm);
    let rsa = allowed.first().copied().unwrap_or(Algorithm::RS256);
    let mut keys = keys.iter().map(|key| (key, key.algorithm().unwrap_or(rsa)));
    let found = keys.find(|(_, algorithm)| fits(algorithm));
    Key {
        algorithm: found.map_or(rsa, |(_, algorithm)| algorithm),
        id: found.and_then(|(key, _)| Some(key.key_id()?.as_str().to_owned())),
        file,
    }
}

/// Returns the redirect URI as a request sends it.
fn redirect_uri<'a>(registered: &'a str, hosts: &InstanceHosts) -> Cow<'a, str> {
    match hosts.names().next() {
        Some(host) if registered.contains("%%HOST%%") => {
            registered.replacen("%%HOST%%", host, 1).into()
        }
        _ => registered.into(),
    }
}
