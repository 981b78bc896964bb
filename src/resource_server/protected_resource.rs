//! The metadata of an API that accepts tokens (RFC 9728). They lead a client from the API to its authorization
//! server.

use serde::Serialize;

use super::ResourceServer;
use crate::ids::{Issuer, Resource};
use crate::protocol::paths::{Paths, ServerEndpoint, origin, resource_path};
use crate::protocol::scope::Scope;

/// An API, as its metadata describe it (RFC 9728 section 2): its identifier, its authorization server, its scopes.
///
/// The identifier is the public URL of the API. The metadata and their URL follow from it alone, so they are the same
/// behind a proxy, under another host name and in a nested router.
///
/// ```
/// use grantor::ids::{Issuer, Resource};
/// use grantor::protocol::Scope;
/// use grantor::resource_server::ProtectedResource;
///
/// let issuer = Issuer::new("https://as.example.com")?;
/// let notes = ProtectedResource::new(Resource::new("https://notes.example.com/mcp")?, issuer)
///     .with_name("Notes")
///     .with_scopes(Scope::parse("notes.read notes.write")?);
/// assert_eq!(
///     notes.metadata_url().as_deref(),
///     Some("https://notes.example.com/.well-known/oauth-protected-resource/mcp"),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A [`BearerVerifier`](super::BearerVerifier) takes it by
/// [`with_protected_resource`](super::BearerVerifier::with_protected_resource). The authorization server in the same
/// process serves the metadata of a registered [`ResourceServer`] at its own origin. Any other API serves them itself,
/// with `axum_router` (feature `axum`), or [`metadata_json`](Self::metadata_json) at
/// [`metadata_path`](Self::metadata_path).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    identifier: Resource,
    issuer: Issuer,
    name: String,
    scopes: Scope,
}

#[derive(Serialize)]
struct Metadata<'a> {
    resource: &'a str,
    authorization_servers: [&'a str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "str::is_empty")]
    resource_name: &'a str,
}

impl ProtectedResource {
    /// Creates the description of the API `identifier`, which accepts tokens of `issuer`.
    #[must_use]
    pub fn new(identifier: Resource, issuer: Issuer) -> Self {
        Self { identifier, issuer, name: String::new(), scopes: Scope::empty() }
    }

    /// Returns the description of a registered API.
    #[must_use]
    pub fn registered(server: &ResourceServer, issuer: &Issuer) -> Self {
        Self::new(server.identifier.clone(), issuer.clone())
            .with_name(server.name.clone())
            .with_scopes(server.scopes.clone())
    }

    /// Sets the display name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the scopes that a client may need. `offline_access` is left out: it is no right at an API.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scope) -> Self {
        self.scopes = scopes.without_offline_access();
        self
    }

    /// Returns the identifier.
    #[must_use]
    pub const fn identifier(&self) -> &Resource {
        &self.identifier
    }

    /// Returns the public URL of the metadata, for the `resource_metadata` of challenges (RFC 9728 section 5.1). `None`
    /// if the identifier is not a URL with a host, or has a query.
    #[must_use]
    pub fn metadata_url(&self) -> Option<String> {
        let path = self.metadata_path()?;
        Some(format!("{}{path}", origin(self.identifier.as_str())))
    }

    /// Returns the path of the metadata at the API's host: `/.well-known/oauth-protected-resource`, then the path of
    /// the identifier without a lone slash (RFC 9728 section 3.1). `None` as for the URL.
    #[must_use]
    pub fn metadata_path(&self) -> Option<String> {
        let paths = Paths::default();
        self.metadata_path_below(paths.get(ServerEndpoint::ResourceMetadata)?)
    }

    /// Returns the path of the metadata below a well-known path.
    pub(crate) fn metadata_path_below(&self, well_known: &str) -> Option<String> {
        let identifier = self.identifier.as_str();
        let has_host = identifier.contains("://");
        let path = resource_path(identifier).filter(|_| has_host)?;
        Some(format!("{well_known}{path}"))
    }

    /// Returns the metadata as JSON.
    #[must_use]
    pub fn metadata_json(&self) -> String {
        let metadata = Metadata {
            resource: self.identifier.as_str(),
            authorization_servers: [self.issuer.as_str()],
            scopes_supported: self.scopes.tokens().collect(),
            bearer_methods_supported: ["header"],
            resource_name: &self.name,
        };
        // A record of strings and lists always has a JSON form.
        serde_json::to_string(&metadata).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(identifier: &str) -> ProtectedResource {
        let issuer = Issuer::new("https://as.example.com").unwrap();
        ProtectedResource::new(Resource::new(identifier).unwrap(), issuer)
    }

    /// M17: the URL of the metadata follows from the identifier, and each spelling has its own path.
    #[test]
    fn the_url_of_the_metadata_follows_from_the_identifier() {
        let known = ".well-known/oauth-protected-resource";
        for (identifier, url) in [
            ("https://h", format!("https://h/{known}")),
            ("https://h/", format!("https://h/{known}")),
            ("https://h:8443/mcp", format!("https://h:8443/{known}/mcp")),
            ("https://h/a/mcp/", format!("https://h/{known}/a/mcp/")),
            ("http://[::1]:9/mcp", format!("http://[::1]:9/{known}/mcp")),
        ] {
            assert_eq!(api(identifier).metadata_url(), Some(url), "{identifier}");
        }
        for without in ["https://h/mcp?x", "https://h?x", "urn:example:api"] {
            let (url, path) = (api(without).metadata_url(), api(without).metadata_path());
            assert_eq!((url, path), (None, None), "{without}");
        }
    }

    /// M17: the metadata name the authorization server and the scopes, without `offline_access`.
    #[test]
    fn the_metadata_name_no_offline_access() {
        let scopes = Scope::parse("notes.read offline_access").unwrap();
        let json = api("https://h/mcp").with_name("Notes").with_scopes(scopes).metadata_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "resource": "https://h/mcp",
                "authorization_servers": ["https://as.example.com"],
                "scopes_supported": ["notes.read"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Notes",
            })
        );
    }
}
