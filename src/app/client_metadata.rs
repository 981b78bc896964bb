//! Client metadata: the words in which an app describes itself (RFC 7591 section 2).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::InvalidApp;
use crate::jwt::VerifyingKeys;
use crate::protocol::scope::Scope;

/// The longest URL and redirect URI, in bytes.
const MAX_URL: usize = 2_000;
/// The largest number of entries of a list, except for redirect URIs.
const MAX_LIST: usize = 20;
/// The longest other text, in bytes.
const MAX_TEXT: usize = 255;
/// The longest name, in characters.
const MAX_NAME: usize = 100;

/// The metadata of a client, strictly parsed: every value comes from a stranger.
///
/// A `null`, and an empty text, count as absent. Members that are not listed here are ignored, also names in
/// other languages (`client_name#de`). A known member with an unusable value refuses the whole, except for
/// redirect URIs, which an [`AppTemplate`](super::AppTemplate) judges one by one.
///
/// ```
/// use grantor::app::{AuthenticationMethodName, ClientMetadata};
///
/// let metadata = ClientMetadata::parse(
///     br#"{
///         "client_name": "Editor",
///         "redirect_uris": ["http://127.0.0.1/callback"],
///         "token_endpoint_auth_method": "none"
///     }"#,
/// )?;
/// assert_eq!(metadata.client_name.as_deref(), Some("Editor"));
/// assert_eq!(metadata.token_endpoint_auth_method, Some(AuthenticationMethodName::None));
///
/// let refused = ClientMetadata::parse(br#"{"logo_uri": "javascript:alert(1)"}"#).unwrap_err();
/// assert_eq!(refused.field(), "logo_uri");
/// # Ok::<(), grantor::app::InvalidApp>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientMetadata {
    /// The client id, in a document at that URL and in an update of a registration.
    pub client_id: Option<String>,
    /// Whether it has `client_secret` or `client_secret_expires_at`. The value is not kept.
    pub states_secret: bool,
    /// The redirect URIs as written: at most 50, each 2,000 bytes.
    pub redirect_uris: Vec<String>,
    /// How the app wants to authenticate.
    pub token_endpoint_auth_method: Option<AuthenticationMethodName>,
    /// The grant types that the app wants to use, as written.
    pub grant_types: Option<Vec<String>>,
    /// The response types that the app wants to use, as written.
    pub response_types: Option<Vec<String>>,
    /// The name for users: 1 to 100 characters, none of them a control, bidirectional or invisible one.
    pub client_name: Option<String>,
    /// The page of the app.
    pub client_uri: Option<String>,
    /// The logo. A page that shows it from there tells the app's host about each user.
    pub logo_uri: Option<String>,
    /// The scope that the app wants.
    pub scope: Option<Scope>,
    /// The people responsible for the app.
    pub contacts: Vec<String>,
    /// The terms of service.
    pub tos_uri: Option<String>,
    /// The policy on the use of data.
    pub policy_uri: Option<String>,
    /// The URL of the app's keys. Excludes [`jwks`](Self::jwks).
    pub jwks_uri: Option<String>,
    /// The app's public keys.
    pub jwks: Option<VerifyingKeys>,
    /// The identifier that all installations of the software share.
    pub software_id: Option<String>,
    /// The version of the software.
    pub software_version: Option<String>,
    /// The kind of the app (OpenID Connect Dynamic Client Registration 1.0 section 2). No rule depends on it.
    pub application_type: Option<ApplicationType>,
}

/// A value of `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthenticationMethodName {
    /// A public app.
    None,
    /// The client secret in the `Authorization` header.
    ClientSecretBasic,
    /// The client secret in the body.
    ClientSecretPost,
    /// An assertion that the app signs (RFC 7523 section 2.2).
    PrivateKeyJwt,
}

/// A value of `application_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApplicationType {
    /// An app on a server or in a browser.
    Web,
    /// An app on a device.
    Native,
}

impl ClientMetadata {
    /// The longest accepted JSON, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The largest number of redirect URIs.
    pub const MAX_REDIRECT_URIS: usize = 50;

    /// Parses the JSON object of a registration or of a document.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the first member that is not usable, or `metadata` if the text is no JSON object, is
    /// longer than 16 KiB, or has a member twice.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidApp> {
        if json.len() > Self::MAX_BYTES {
            return Err(InvalidApp::new("metadata", "must have at most 16384 bytes"));
        }
        let malformed =
            |_| InvalidApp::new("metadata", "must be a JSON object without a duplicate member");
        let members: Members = serde_json::from_slice(json).map_err(malformed)?;
        let has = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
        let redirect_uris =
            members.list("redirect_uris", Self::MAX_REDIRECT_URIS, MAX_URL)?.unwrap_or_default();
        let metadata = Self {
            client_id: members.text("client_id", MAX_TEXT)?,
            states_secret: has("client_secret") || has("client_secret_expires_at"),
            redirect_uris,
            token_endpoint_auth_method: members.known("token_endpoint_auth_method")?,
            grant_types: members.list("grant_types", MAX_LIST, MAX_TEXT)?,
            response_types: members.list("response_types", MAX_LIST, MAX_TEXT)?,
            client_name: members.name("client_name")?,
            client_uri: members.url("client_uri")?,
            logo_uri: members.url("logo_uri")?,
            scope: members.scope("scope")?,
            contacts: members.list("contacts", MAX_LIST, MAX_TEXT)?.unwrap_or_default(),
            tos_uri: members.url("tos_uri")?,
            policy_uri: members.url("policy_uri")?,
            jwks_uri: members.url("jwks_uri")?,
            jwks: members.keys("jwks")?,
            software_id: members.text("software_id", MAX_TEXT)?,
            software_version: members.text("software_version", MAX_TEXT)?,
            application_type: members.known("application_type")?,
        };
        if metadata.jwks.is_some() && metadata.jwks_uri.is_some() {
            return Err(InvalidApp::new("jwks_uri", "must not be beside `jwks`"));
        }
        Ok(metadata)
    }
}

/// The members of a JSON object, each once.
struct Members(BTreeMap<String, Value>);

impl std::ops::Deref for Members {
    type Target = BTreeMap<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Members {
    /// Returns a member that is present.
    fn present(&self, name: &'static str) -> Option<&Value> {
        self.get(name).filter(|value| !value.is_null() && **value != "")
    }

    fn text(&self, name: &'static str, most: usize) -> Result<Option<String>, InvalidApp> {
        let Some(value) = self.present(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| text.len() <= most && !has_hidden(text));
        match text {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(InvalidApp::new(name, text_rule(most))),
        }
    }

    fn name(&self, name: &'static str) -> Result<Option<String>, InvalidApp> {
        let refused = || {
            let rule = "must be a text of at most 100 characters, none of them a control, \
                        bidirectional or invisible one";
            InvalidApp::new(name, rule)
        };
        let Some(value) = self.present(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(refused)?.trim();
        if text.chars().count() > MAX_NAME || has_hidden(text) {
            return Err(refused());
        }
        let is_joiner = |it: char| matches!(it, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
        if !text.is_empty() && text.chars().all(|it| it.is_whitespace() || is_joiner(it)) {
            return Err(refused());
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn list(
        &self,
        name: &'static str,
        most: usize,
        longest: usize,
    ) -> Result<Option<Vec<String>>, InvalidApp> {
        let Some(value) = self.present(name) else { return Ok(None) };
        let refused = || {
            let rule = format!("must be a list of at most {most} texts of at most {longest} bytes");
            InvalidApp::new(name, rule)
        };
        let entries = value.as_array().filter(|entries| entries.len() <= most);
        let text = |entry: &Value| {
            let text = entry.as_str().filter(|text| text.len() <= longest && !has_hidden(text));
            text.map(str::to_owned).ok_or_else(refused)
        };
        entries.ok_or_else(refused)?.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    fn url(&self, name: &'static str) -> Result<Option<String>, InvalidApp> {
        let text = self.text(name, MAX_URL)?;
        if text.as_deref().is_some_and(|text| !is_https(text)) {
            let rule = "must be an https URL without user information and fragment";
            return Err(InvalidApp::new(name, rule));
        }
        Ok(text)
    }

    fn scope(&self, name: &'static str) -> Result<Option<Scope>, InvalidApp> {
        let Some(value) = self.present(name) else { return Ok(None) };
        let scope = value.as_str().and_then(|text| Scope::parse(text).ok());
        let rule = "must be at most 128 scope tokens with spaces between";
        scope.map(Some).ok_or_else(|| InvalidApp::new(name, rule))
    }

    fn keys(&self, name: &'static str) -> Result<Option<VerifyingKeys>, InvalidApp> {
        let Some(value) = self.present(name) else { return Ok(None) };
        let keys = VerifyingKeys::from_jwk_set(&value.to_string());
        keys.map(Some).map_err(|error| InvalidApp::new(name, format!("is not usable: {error}")))
    }

    /// Reads a word of a list.
    fn known<T: for<'de> Deserialize<'de>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, InvalidApp> {
        let Some(value) = self.present(name) else { return Ok(None) };
        T::deserialize(value)
            .map(Some)
            .map_err(|_| InvalidApp::new(name, "has a value that is not supported"))
    }
}

fn text_rule(most: usize) -> String {
    format!(
        "must be a text of at most {most} bytes, without control, bidirectional and invisible characters"
    )
}

/// Checks whether `text` is an `https` URL that reads the same for every parser.
pub(super) fn is_https(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte);
    let is_plain = text.starts_with("https://") && text.bytes().all(plain);
    is_plain
        && url::Url::parse(text).is_ok_and(|url| {
            url.host_str().is_some() && url.username().is_empty() && url.password().is_none()
        })
}

/// Checks whether `text` has a character that a page shows otherwise than it is written: a control character,
/// one that turns the direction of writing, one without a shape, or a separator of lines. U+200C, U+200D, U+FE0E and
/// U+FE0F pass, since names in some scripts and emoji have them.
fn has_hidden(text: &str) -> bool {
    text.chars().any(|character| {
        character.is_control()
            || matches!(
                character,
                '\u{ad}'
                    | '\u{34f}'
                    | '\u{61c}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{180b}'..='\u{180f}'
                    | '\u{200b}'
                    | '\u{200e}'
                    | '\u{200f}'
                    | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{2800}'
                    | '\u{3164}'
                    | '\u{fe00}'..='\u{fe0d}'
                    | '\u{feff}'
                    | '\u{ffa0}'
                    | '\u{fff9}'..='\u{fffb}'
                    | '\u{e0000}'..='\u{e0fff}'
            )
    })
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneEach;

        impl<'de> Visitor<'de> for OneEach {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member appears twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(OneEach)
    }
}

#[cfg(test)]
#[path = "client_metadata_tests.rs"]
mod tests;
