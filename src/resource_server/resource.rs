//! The APIs that accept tokens, as the authorization server knows them.
//!
//! The host passes the list to the server builder. Their apps may introspect tokens (RFC 7662) and
//! read the revocation feed.

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, Resource};
use crate::protocol::scope::Scope;
use crate::protocol::uri;

/// A resource server (RFC 6749 section 1.1): an API that accepts tokens.
///
/// ```
/// use grantor::ids::{ClientId, Resource};
/// use grantor::protocol::Scope;
/// use grantor::resource_server::ResourceServer;
///
/// let files = Resource::new("https://api.example.com/files")?;
/// let server = ResourceServer::new(files, ClientId::new("files-api")?)
///     .with_name("Files")
///     .with_scopes(Scope::parse("files.read files.write")?);
///
/// let json = serde_json::to_string(&server)?;
/// assert_eq!(serde_json::from_str::<ResourceServer>(&json)?, server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "protected_resource")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ResourceServer {
    /// The identifier: the `resource` of RFC 8707 and the `aud` of its tokens. A request may name it
    /// in another case of scheme and host, with the default port, or with the `/` of an empty path.
    pub identifier: Resource,
    /// The confidential app that it authenticates as for introspection.
    pub client_id: ClientId,
    /// The display name.
    #[serde(default)]
    pub name: String,
    /// The scopes that it knows. Introspection reveals no others. Empty means all.
    #[serde(default)]
    pub scopes: Scope,
    /// Whether it is the host's gateway, which may introspect tokens for every API.
    #[serde(default)]
    pub gateway: bool,
}

impl ResourceServer {
    /// Creates a resource server that authenticates as `client_id` and may introspect only its own
    /// tokens.
    #[must_use]
    pub fn new(identifier: Resource, client_id: ClientId) -> Self {
        Self { identifier, client_id, name: String::new(), scopes: Scope::empty(), gateway: false }
    }

    /// Returns true if `audience` names this API, in any equivalent spelling.
    pub(crate) fn is_named(&self, audience: &str) -> bool {
        uri::is_equivalent(self.identifier.as_str(), audience)
    }

    /// Sets the display name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the scopes that it knows.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scope) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets whether it is the host's gateway, which may introspect tokens for every API.
    #[must_use]
    pub const fn with_gateway(mut self, gateway: bool) -> Self {
        self.gateway = gateway;
        self
    }
}
