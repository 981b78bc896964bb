//! The APIs that accept tokens, as the authorization server knows them.
//!
//! The host lists them when it puts the server together; an app that stands in the list may ask
//! about tokens (RFC 7662) and read the feed of revocations.

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, Resource};
use crate::protocol::scope::Scope;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ResourceServer {
    /// Its name on the wire: `resource` of RFC 8707, `aud` of the tokens that are meant for it.
    pub identifier: Resource,
    /// The app as which it authenticates when it asks about tokens: a confidential one.
    pub client_id: ClientId,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// The scopes that it knows: what is introspected tells it of no other. Empty: of all.
    #[serde(default)]
    pub scopes: Scope,
    /// Whether it is the host's gateway, which may ask about everyone's tokens.
    #[serde(default)]
    pub gateway: bool,
}

impl ResourceServer {
    /// The API `identifier`, which authenticates as the app `client_id` and asks about its own
    /// tokens only.
    #[must_use]
    pub fn new(identifier: Resource, client_id: ClientId) -> Self {
        Self { identifier, client_id, name: String::new(), scopes: Scope::empty(), gateway: false }
    }

    /// The same, with a name for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same, knowing these scopes and no other.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scope) -> Self {
        self.scopes = scopes;
        self
    }

    /// The same, as the host's gateway or not. A gateway may ask about everyone's tokens.
    #[must_use]
    pub const fn with_gateway(mut self, gateway: bool) -> Self {
        self.gateway = gateway;
        self
    }
}
