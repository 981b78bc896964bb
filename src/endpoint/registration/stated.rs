//! The body of a registration: what the app states of itself, and what others state of it.

use serde::Deserialize;
use serde_json::Value;

use super::settings::{Registration, RegistrationAccess};
use crate::app::{
    AppDraft, AppSettings, AuthenticationMethodName, ClientAuthentication, ClientMetadata,
    DescribedApp, DroppedRedirectUri, Flow, InvalidApp, SelfRegistration,
};
use crate::clock::UnixTime;
use crate::error::RegistrationRefusal;
use crate::ids::Issuer;
use crate::jwt::software_statement::{Statement, StatementError, verify_statement};
use crate::secret::ClientSecret;

/// The name of an app that states none.
const UNNAMED: &str = "An app without a name";

/// The words of the metadata that the server replaces by its default if it does not know the value.
const REPLACED: [&str; 2] = ["token_endpoint_auth_method", "application_type"];

/// The body of a registration or of an update.
pub(super) struct Stated {
    pub(super) metadata: ClientMetadata,
    pub(super) client_secret: Option<ClientSecret>,
    software_statement: Option<String>,
    /// A member that only the server may set, if there is one.
    set_by_server: Option<&'static str>,
}

/// An app as its registration makes it.
pub(super) struct Described {
    pub(super) settings: AppSettings,
    pub(super) registration: SelfRegistration,
    pub(super) dropped: Vec<DroppedRedirectUri>,
    /// The software statement as it was presented.
    pub(super) statement: Option<String>,
}

impl Described {
    /// Returns the settings as far as an app that has `present` by now may still use them. Returns `None` if it can no
    /// longer use them at all.
    ///
    /// Of an app that no administrator has changed they are all left: its client id follows from them.
    pub(super) fn left_of(&self, present: &AppSettings) -> Option<AppSettings> {
        let of_flow = present.allows(Flow::AuthorizationCode);
        if !of_flow || present.authentication() != self.settings.authentication() {
            return None;
        }
        let draft = AppDraft::from(&self.settings);
        let uris = self.settings.redirect_uris().iter();
        let uris = uris.filter(|uri| present.redirect_uris().contains(uri)).cloned();
        let scope = self.settings.scope().intersection(present.scope());
        if scope.is_empty() != self.settings.scope().is_empty() {
            return None;
        }
        let refreshes = self.settings.issues_refresh_token() && present.issues_refresh_token();
        draft.redirect_uris(uris).scope(scope).refresh_token(refreshes).build().ok()
    }
}

/// The members that client metadata alone do not have.
#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    software_statement: Option<Value>,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    registration_access_token: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    registration_client_uri: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    client_secret_expires_at: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    client_id_issued_at: Option<serde::de::IgnoredAny>,
}

impl Stated {
    /// Parses a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, RegistrationRefusal> {
        if body.len() > ClientMetadata::MAX_BYTES {
            return Err(RegistrationRefusal::TooLarge);
        }
        let metadata = parse(body)?;
        let not_text = |_| InvalidApp::new("client_secret", "must be a text");
        let beside: Beside = serde_json::from_slice(body).map_err(not_text)?;
        let software_statement = match beside.software_statement {
            None | Some(Value::Null) => None,
            Some(Value::String(statement)) => Some(statement),
            Some(_) => return Err(RegistrationRefusal::SoftwareStatement),
        };
        let set_by_server = [
            ("registration_access_token", beside.registration_access_token.is_some()),
            ("registration_client_uri", beside.registration_client_uri.is_some()),
            ("client_secret_expires_at", beside.client_secret_expires_at.is_some()),
            ("client_id_issued_at", beside.client_id_issued_at.is_some()),
        ];
        Ok(Self {
            metadata,
            client_secret: beside.client_secret.map(ClientSecret::new),
            software_statement,
            set_by_server: set_by_server.into_iter().find(|(_, is)| *is).map(|(name, _)| name),
        })
    }

    /// Checks the members that an update must or must not have (RFC 7592 section 2.2).
    pub(super) fn check_update_of(&self, client_id: &str) -> Result<(), RegistrationRefusal> {
        if self.metadata.client_id.as_deref() != Some(client_id) {
            return Err(InvalidApp::new("client_id", "must be that of the app").into());
        }
        match self.set_by_server {
            Some(member) => Err(InvalidApp::new(member, "must be absent").into()),
            None => Ok(()),
        }
    }

    /// Returns the app that the rules make of this.
    pub(super) fn described(
        self,
        rules: &Registration,
        issuer: &Issuer,
        fetches_keys: bool,
        now: UnixTime,
    ) -> Result<Described, RegistrationRefusal> {
        let mut metadata = self.metadata;
        let mut vouched = None;
        if let RegistrationAccess::SoftwareStatement(issuers) = &rules.access {
            let text = self.software_statement;
            let text = text.ok_or(RegistrationRefusal::NoSoftwareStatement)?;
            let verified = verify_statement(&text, issuers, issuer.as_str(), now);
            let Statement { issuer, claims } = verified.map_err(|error| match error {
                StatementError::Invalid => RegistrationRefusal::SoftwareStatement,
                StatementError::Unapproved => RegistrationRefusal::UnapprovedSoftwareStatement,
            })?;
            metadata = overruled(metadata, parse(&claims)?);
            vouched = Some((issuer, text));
        }
        if !rules.narrows_scope {
            metadata.scope = None;
        }
        // RFC 7591 section 2: the default of the method.
        let default = AuthenticationMethodName::ClientSecretBasic;
        let DescribedApp { mut settings, dropped, .. } =
            rules.template.describe(&metadata, UNNAMED, default)?;
        if metadata.token_endpoint_auth_method.is_none() {
            // Such a client has not chosen, and many send the secret in the body without regard to the answer.
            let either = ClientAuthentication::ClientSecret;
            settings = AppDraft::from(settings).authentication(either).build()?;
        }
        if matches!(settings.authentication(), ClientAuthentication::PrivateKeyJwtUri(_))
            && !fetches_keys
        {
            return Err(InvalidApp::new("jwks_uri", "is not fetched here: `jwks` is read").into());
        }
        if let Some(first) = dropped.first()
            && !rules.drops_redirect_uris
        {
            let problem = format!("must list usable URIs only, and of one {}", first.problem);
            return Err(InvalidApp::new("redirect_uris", problem).into());
        }
        let (statement_issuer, statement) = vouched.unzip();
        let registration =
            SelfRegistration { statement_issuer, ..SelfRegistration::stated(&metadata) };
        Ok(Described { settings, registration, dropped, statement })
    }
}

/// Parses client metadata. An unknown word, such as an authentication method that the server lacks, counts as absent:
/// the default replaces it, and the answer tells.
fn parse(json: &[u8]) -> Result<ClientMetadata, InvalidApp> {
    match ClientMetadata::parse(json) {
        Err(invalid) if REPLACED.contains(&invalid.field()) => {
            // The object was parsed already, each member once.
            let Ok(mut object) = serde_json::from_slice::<Value>(json) else { return Err(invalid) };
            let members = object.as_object_mut().ok_or_else(|| invalid.clone())?;
            for name in REPLACED {
                let word = members.get(name).filter(|word| word.is_string()).cloned();
                let alone = word.map(|word| serde_json::json!({ name: word }).to_string());
                if alone.is_some_and(|alone| ClientMetadata::parse(alone.as_bytes()).is_err()) {
                    members.remove(name);
                }
            }
            ClientMetadata::parse(object.to_string().as_bytes())
        }
        parsed => parsed,
    }
}

/// Returns the metadata of a request, overruled by those of its software statement (RFC 7591 section 2.3).
fn overruled(plain: ClientMetadata, by: ClientMetadata) -> ClientMetadata {
    fn list(plain: Vec<String>, by: Vec<String>) -> Vec<String> {
        if by.is_empty() { plain } else { by }
    }
    let mut metadata = plain;
    if by.jwks.is_some() || by.jwks_uri.is_some() {
        (metadata.jwks, metadata.jwks_uri) = (by.jwks, by.jwks_uri);
    }
    metadata.redirect_uris = list(metadata.redirect_uris, by.redirect_uris);
    metadata.contacts = list(metadata.contacts, by.contacts);
    metadata.token_endpoint_auth_method =
        by.token_endpoint_auth_method.or(metadata.token_endpoint_auth_method);
    metadata.grant_types = by.grant_types.or(metadata.grant_types);
    metadata.response_types = by.response_types.or(metadata.response_types);
    metadata.client_name = by.client_name.or(metadata.client_name);
    metadata.client_uri = by.client_uri.or(metadata.client_uri);
    metadata.logo_uri = by.logo_uri.or(metadata.logo_uri);
    metadata.scope = by.scope.or(metadata.scope);
    metadata.tos_uri = by.tos_uri.or(metadata.tos_uri);
    metadata.policy_uri = by.policy_uri.or(metadata.policy_uri);
    metadata.software_id = by.software_id.or(metadata.software_id);
    metadata.software_version = by.software_version.or(metadata.software_version);
    metadata.application_type = by.application_type.or(metadata.application_type);
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ApplicationType;

    /// Y6: an unknown word is replaced by the default, and any other unusable value refuses the whole.
    #[test]
    fn an_unknown_word_counts_as_absent() {
        let parsed = |json: &str| Stated::parse(json.as_bytes()).map(|stated| stated.metadata);
        let replaced = parsed(
            r#"{"token_endpoint_auth_method":"tls_client_auth","application_type":"native","client_name":"A"}"#,
        )
        .unwrap();
        assert_eq!(replaced.token_endpoint_auth_method, None);
        assert_eq!(replaced.application_type, Some(ApplicationType::Native));
        assert_eq!(replaced.client_name.as_deref(), Some("A"));
        let both = parsed(r#"{"token_endpoint_auth_method":"x","application_type":"y"}"#).unwrap();
        assert_eq!((both.token_endpoint_auth_method, both.application_type), (None, None));
        for bad in [
            r#"{"token_endpoint_auth_method":1}"#,
            r#"{"token_endpoint_auth_method":"x","client_uri":"javascript:alert(1)"}"#,
            r#"{"client_secret":1}"#,
            r#"{"software_statement":{}}"#,
            r#"{"a":1,"a":1}"#,
            "[]",
            "",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_body_has_its_documented_bound() {
        let body = |length: usize| {
            let name = "x".repeat(length - r#"{"unknown":""}"#.len());
            Stated::parse(format!(r#"{{"unknown":"{name}"}}"#).as_bytes()).err()
        };
        assert_eq!(body(ClientMetadata::MAX_BYTES), None);
        assert_eq!(body(ClientMetadata::MAX_BYTES + 1), Some(RegistrationRefusal::TooLarge));
    }
}
