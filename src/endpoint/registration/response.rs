//! The answer to a registration (RFC 7591 section 3.2.1).

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::app::{
    AppSettings, ApplicationType, ClientAuthentication, CustomApp, DroppedRedirectUri,
    SelfRegistration,
};
use crate::jwt::jwk_set_json;
use crate::protocol::redirect_uri::RedirectUri;
use crate::secret::{ClientSecret, RegistrationAccessToken};

/// A registered app, with all values as the server has set them.
///
/// `Debug` shows no secret.
#[non_exhaustive]
pub struct RegistrationResponse {
    /// The app, as the client may know it. It is not the app of the store if an administrator has edited that one and
    /// the client registers again.
    pub app: Arc<CustomApp>,
    /// The client secret, if this request generated one. It cannot be read again.
    pub client_secret: Option<ClientSecret>,
    /// The token with which the app manages its registration, if it may.
    pub access_token: Option<RegistrationAccessToken>,
    /// The URL at which the app manages its registration, if it may.
    pub configuration: Option<String>,
    /// The stated redirect URIs that the app does not have.
    pub dropped: Vec<DroppedRedirectUri>,
    /// The software statement of the request, if it counted.
    pub statement: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    client_id: &'a str,
    client_id_issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// Zero: it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_client_uri: Option<&'a str>,
    redirect_uris: Vec<&'a str>,
    token_endpoint_auth_method: &'static str,
    grant_types: &'static [&'static str],
    response_types: [&'static str; 1],
    client_name: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<&'a str>,
    #[serde(flatten)]
    facts: Facts<'a>,
    /// An extension: RFC 7591 section 3.2.1 allows more members.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dropped_redirect_uris: Vec<Dropped<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_statement: Option<&'a str>,
}

#[derive(Serialize)]
struct Dropped<'a> {
    uri: &'a str,
    problem: &'a str,
}

/// The facts beside the settings.
#[derive(Default, Serialize)]
struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    contacts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    software_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_type: Option<ApplicationType>,
}

impl<'a> Facts<'a> {
    fn of(registration: &'a SelfRegistration) -> Self {
        Self {
            client_uri: registration.client_uri.as_deref(),
            logo_uri: registration.logo_uri.as_deref(),
            tos_uri: registration.tos_uri.as_deref(),
            policy_uri: registration.policy_uri.as_deref(),
            contacts: &registration.contacts,
            software_id: registration.software_id.as_deref(),
            software_version: registration.software_version.as_deref(),
            application_type: registration.application_type,
        }
    }
}

impl RegistrationResponse {
    /// Returns the body of the response as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let settings = self.app.settings();
        let client_secret = self.client_secret.as_ref().map(ClientSecret::expose_secret);
        let token = self.access_token.as_ref().map(RegistrationAccessToken::expose_secret);
        let dropped = |it: &'_ DroppedRedirectUri| (it.uri.clone(), it.problem);
        let dropped: Vec<_> = self.dropped.iter().map(dropped).collect();
        let body = Body {
            client_id: self.app.client_id().as_str(),
            client_id_issued_at: self.app.created_at().as_seconds(),
            client_secret,
            client_secret_expires_at: client_secret.map(|_| 0),
            registration_access_token: token,
            registration_client_uri: self.configuration.as_deref(),
            redirect_uris: settings.redirect_uris().iter().map(RedirectUri::as_str).collect(),
            token_endpoint_auth_method: method(settings),
            grant_types: if settings.issues_refresh_token() {
                &["authorization_code", "refresh_token"]
            } else {
                &["authorization_code"]
            },
            response_types: ["code"],
            client_name: settings.name(),
            scope: settings.scope().to_string(),
            jwks: keys(settings),
            jwks_uri: keys_uri(settings),
            facts: self.app.registration().map(Facts::of).unwrap_or_default(),
            dropped_redirect_uris: dropped
                .iter()
                .map(|(uri, problem)| Dropped { uri, problem })
                .collect(),
            software_statement: self.statement.as_deref(),
        };
        // A record of strings and lists always has a JSON form.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

fn method(settings: &AppSettings) -> &'static str {
    match settings.authentication() {
        ClientAuthentication::ClientSecret | ClientAuthentication::ClientSecretBasic => {
            "client_secret_basic"
        }
        ClientAuthentication::ClientSecretPost => "client_secret_post",
        ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::PrivateKeyJwtUri(_) => {
            "private_key_jwt"
        }
        ClientAuthentication::None => "none",
    }
}

fn keys(settings: &AppSettings) -> Option<Value> {
    match settings.authentication() {
        ClientAuthentication::PrivateKeyJwt(keys) => {
            serde_json::from_str(&jwk_set_json(keys.iter())).ok()
        }
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost
        | ClientAuthentication::PrivateKeyJwtUri(_)
        | ClientAuthentication::None => None,
    }
}

fn keys_uri(settings: &AppSettings) -> Option<&str> {
    match settings.authentication() {
        ClientAuthentication::PrivateKeyJwtUri(uri) => Some(uri.as_str()),
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost
        | ClientAuthentication::PrivateKeyJwt(_)
        | ClientAuthentication::None => None,
    }
}

impl fmt::Debug for RegistrationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationResponse")
            .field("client_id", self.app.client_id())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}
