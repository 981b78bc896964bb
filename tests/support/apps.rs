//! Apps of each kind, and what a client knows of its own.

use grantor::app::{AppCredentials, AppDraft, Flow};
use grantor::ids::ClientId;
use grantor::protocol::{CodeVerifier, RedirectUri, Scope};
use grantor::random::OsRandom;

use super::encode;

/// The redirect URI of [`code_app`] and [`public_app`].
pub(crate) const CALLBACK: &str = "https://app.example.com/cb";

/// The client id and the secrets of an app.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) id: ClientId,
    pub(crate) secret: Option<String>,
    pub(crate) signature_secret: Option<String>,
}

impl From<AppCredentials> for App {
    fn from(credentials: AppCredentials) -> Self {
        Self {
            id: credentials.client_id,
            secret: credentials.client_secret.map(|it| it.expose_secret().to_owned()),
            signature_secret: credentials.signature_secret.map(|it| it.expose_secret().to_owned()),
        }
    }
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
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

/// A fresh code verifier.
pub(crate) fn new_verifier() -> CodeVerifier {
    CodeVerifier::generate(&OsRandom::new()).unwrap()
}

/// The query of an authorization request for `app`. `more` replaces parameters of the same name.
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
