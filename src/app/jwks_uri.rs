//! The URL of an app's keys.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::InvalidApp;
use super::client_metadata::is_https;

/// The `https` URL at which an app publishes its keys as a JWK Set: `jwks_uri` of RFC 7591 section 2.
///
/// ```
/// use grantor::app::JwksUri;
///
/// assert!(JwksUri::new("https://app.example/jwks.json").is_ok());
/// assert!(JwksUri::new("http://app.example/jwks.json").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JwksUri(Arc<str>);

impl JwksUri {
    /// The longest accepted URL, in bytes.
    pub const MAX_BYTES: usize = 2_000;

    /// Checks `text` and takes it unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] if it is longer than 2,000 bytes, or no `https` URL without user information and fragment.
    pub fn new(text: &str) -> Result<Self, InvalidApp> {
        if text.len() > Self::MAX_BYTES || !is_https(text) {
            return Err(InvalidApp::new(
                "jwks_uri",
                "must be an https URL of at most 2000 bytes, without user information and fragment",
            ));
        }
        Ok(Self(text.into()))
    }

    /// Returns the URL as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the host, in lower case.
    pub(crate) fn host(&self) -> Option<String> {
        url::Url::parse(&self.0).ok()?.host_str().map(str::to_owned)
    }
}

impl TryFrom<String> for JwksUri {
    type Error = InvalidApp;

    fn try_from(text: String) -> Result<Self, InvalidApp> {
        Self::new(&text)
    }
}

impl From<JwksUri> for String {
    fn from(uri: JwksUri) -> Self {
        uri.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwks_uri_is_https_and_bounded() {
        let long = |bytes: usize| format!("https://app.example/{}", "k".repeat(bytes - 20));
        assert!(JwksUri::new(&long(2_000)).is_ok());
        assert!(JwksUri::new(&long(2_001)).is_err());
        for bad in ["", "http://a.example/", "https://u@a.example/", "https://a.example/#f"] {
            assert_eq!(JwksUri::new(bad).unwrap_err().field(), "jwks_uri", "{bad}");
        }
        let written = serde_json::to_string(&JwksUri::new("https://a.example/k").unwrap()).unwrap();
        assert_eq!(written, "\"https://a.example/k\"");
        assert!(serde_json::from_str::<JwksUri>("\"javascript:1\"").is_err());
    }
}
