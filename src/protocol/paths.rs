//! The paths of the endpoints: one list for the HTTP layer, which mounts them, and for the metadata,
//! which names them.

use crate::ids::Issuer;

/// One of the server's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerEndpoint {
    /// Authorization requests of browsers (RFC 6749 section 3.1).
    Authorization,
    /// The user's decision, from a consent page.
    Decision,
    /// Token requests (RFC 6749 section 3.2).
    Token,
    /// Token revocation (RFC 7009).
    Revocation,
    /// Token introspection (RFC 7662).
    Introspection,
    /// The end of all access of a user, on the request of a trusted issuer (global token revocation).
    GlobalRevocation,
    /// The feed of revocations for resource servers.
    Revocations,
    /// Requests of devices for a code (RFC 8628 section 3.1).
    DeviceAuthorization,
    /// The page at which a user enters the code of a device (RFC 8628 section 3.3).
    DeviceVerification,
    /// The question of a phone whether it has to wipe its data.
    DeviceWipeCheck,
    /// The report of a phone that it has wiped its data.
    DeviceWipeSuccess,
    /// The rules of an app, for its installations on phones.
    DevicePolicy,
    /// The registration of apps by themselves (RFC 7591).
    Registration,
    /// The registration of an app, for the app (RFC 7592).
    ClientConfiguration,
    /// The server's public keys (RFC 7517 section 5).
    JwkSet,
    /// The server's metadata (RFC 8414).
    Metadata,
    /// The metadata of the APIs at the server's own origin (RFC 9728).
    ResourceMetadata,
}

impl ServerEndpoint {
    /// Every endpoint.
    pub const ALL: [Self; 17] = [
        Self::Authorization,
        Self::Decision,
        Self::Token,
        Self::Revocation,
        Self::Introspection,
        Self::GlobalRevocation,
        Self::Revocations,
        Self::DeviceAuthorization,
        Self::DeviceVerification,
        Self::DeviceWipeCheck,
        Self::DeviceWipeSuccess,
        Self::DevicePolicy,
        Self::Registration,
        Self::ClientConfiguration,
        Self::JwkSet,
        Self::Metadata,
        Self::ResourceMetadata,
    ];

    /// The endpoints of a server with the device grant.
    pub(crate) const OF_DEVICE_GRANT: [Self; 2] =
        [Self::DeviceAuthorization, Self::DeviceVerification];

    /// The endpoints whose requests the host's pages see.
    #[cfg(feature = "axum")]
    pub(crate) const OF_PAGES: [Self; 3] =
        [Self::Authorization, Self::Decision, Self::DeviceVerification];

    /// The endpoints of a server with devices.
    pub(crate) const OF_DEVICES: [Self; 3] =
        [Self::DeviceWipeCheck, Self::DeviceWipeSuccess, Self::DevicePolicy];

    /// Returns its stable name, for logs and counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Decision => "decision",
            Self::Token => "token",
            Self::Revocation => "revocation",
            Self::Introspection => "introspection",
            Self::GlobalRevocation => "global_revocation",
            Self::Revocations => "revocations",
            Self::DeviceAuthorization => "device_authorization",
            Self::DeviceVerification => "device_verification",
            Self::DeviceWipeCheck => "device_wipe_check",
            Self::DeviceWipeSuccess => "device_wipe_success",
            Self::DevicePolicy => "device_policy",
            Self::Registration => "registration",
            Self::ClientConfiguration => "client_configuration",
            Self::JwkSet => "jwk_set",
            Self::Metadata => "metadata",
            Self::ResourceMetadata => "resource_metadata",
        }
    }

    /// Returns the methods that it supports except `HEAD` and `OPTIONS`, as in `Allow`.
    #[must_use]
    pub const fn methods(self) -> &'static str {
        match self {
            Self::Authorization | Self::DeviceVerification => "GET, POST",
            Self::Decision
            | Self::Token
            | Self::Revocation
            | Self::Introspection
            | Self::GlobalRevocation
            | Self::DeviceAuthorization
            | Self::DeviceWipeCheck
            | Self::DeviceWipeSuccess
            | Self::Registration => "POST",
            Self::ClientConfiguration => "GET, PUT, DELETE",
            Self::Revocations
            | Self::DevicePolicy
            | Self::JwkSet
            | Self::Metadata
            | Self::ResourceMetadata => "GET",
        }
    }
}

/// The paths of the endpoints, below the path of the issuer. An endpoint without a path is not
/// mounted, and the metadata do not name it.
///
/// ```
/// use grantor::protocol::{Paths, ServerEndpoint};
///
/// let paths = Paths::default()
///     .with(ServerEndpoint::Token, "/token")?
///     .without(ServerEndpoint::Introspection);
/// assert_eq!(paths.get(ServerEndpoint::Token), Some("/token"));
/// assert_eq!(paths.get(ServerEndpoint::Revocation), Some("/oauth/revoke"));
/// assert_eq!(paths.get(ServerEndpoint::Introspection), None);
/// # Ok::<(), grantor::protocol::InvalidPath>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths([Option<Box<str>>; ServerEndpoint::ALL.len()]);

/// A path that cannot be mounted: it does not begin with a slash, or holds something other than
/// letters, digits, `-`, `.`, `_`, `~` and slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("a path begins with a slash and holds only letters, digits, -, ., _, ~ and slashes")]
pub struct InvalidPath;

impl Default for Paths {
    /// `/oauth/authorize`, `/oauth/decision`, `/oauth/token`, `/oauth/revoke`, `/oauth/introspect`,
    /// `/oauth/global-token-revocation`, `/oauth/revocations`, `/oauth/device_authorization`, `/oauth/device`, `/oauth/device/wipe/check`,
    /// `/oauth/device/wipe/success`, `/oauth/device/policy`, `/oauth/register`, `/oauth/register/client`, `/oauth/jwks`,
    /// and the two well-known paths. The first two of devices are mounted only if the server has the
    /// [device grant](crate::ServerBuilder::device_grant), the others only if it
    /// [has devices](crate::ServerBuilder::devices), those of registration only if it
    /// [registers apps](crate::ServerBuilder::registration), and that of issuers only if it offers
    /// [global token revocation](crate::ServerBuilder::global_token_revocation).
    fn default() -> Self {
        let path = |endpoint| match endpoint {
            ServerEndpoint::Authorization => "/oauth/authorize",
            ServerEndpoint::Decision => "/oauth/decision",
            ServerEndpoint::Token => "/oauth/token",
            ServerEndpoint::Revocation => "/oauth/revoke",
            ServerEndpoint::Introspection => "/oauth/introspect",
            ServerEndpoint::GlobalRevocation => "/oauth/global-token-revocation",
            ServerEndpoint::Revocations => "/oauth/revocations",
            ServerEndpoint::DeviceAuthorization => "/oauth/device_authorization",
            ServerEndpoint::DeviceVerification => "/oauth/device",
            ServerEndpoint::DeviceWipeCheck => "/oauth/device/wipe/check",
            ServerEndpoint::DeviceWipeSuccess => "/oauth/device/wipe/success",
            ServerEndpoint::DevicePolicy => "/oauth/device/policy",
            ServerEndpoint::Registration => "/oauth/register",
            ServerEndpoint::ClientConfiguration => "/oauth/register/client",
            ServerEndpoint::JwkSet => "/oauth/jwks",
            ServerEndpoint::Metadata => "/.well-known/oauth-authorization-server",
            ServerEndpoint::ResourceMetadata => "/.well-known/oauth-protected-resource",
        };
        Self(ServerEndpoint::ALL.map(|endpoint| Some(path(endpoint).into())))
    }
}

impl Paths {
    /// Mounts `endpoint` at `path`.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`].
    pub fn with(mut self, endpoint: ServerEndpoint, path: &str) -> Result<Self, InvalidPath> {
        if !is_plain_path(path) {
            return Err(InvalidPath);
        }
        self.set(endpoint, Some(path.into()));
        Ok(self)
    }

    /// Leaves `endpoint` unmounted.
    #[must_use]
    pub fn without(mut self, endpoint: ServerEndpoint) -> Self {
        self.set(endpoint, None);
        self
    }

    fn set(&mut self, endpoint: ServerEndpoint, path: Option<Box<str>>) {
        if let Some(own) = self.0.get_mut(endpoint as usize) {
            *own = path;
        }
    }

    /// Returns the path of `endpoint`, below the path of the issuer.
    #[must_use]
    pub fn get(&self, endpoint: ServerEndpoint) -> Option<&str> {
        self.0.get(endpoint as usize)?.as_deref()
    }

    /// Returns the URL of `endpoint` of the server `issuer`.
    #[must_use]
    pub fn url(&self, issuer: &Issuer, endpoint: ServerEndpoint) -> Option<String> {
        self.full(issuer, endpoint).map(|path| format!("{}{path}", origin(issuer.as_str())))
    }

    /// Returns the path of `endpoint` on the server's host. The issuer's own path comes first, but after
    /// a well-known path (RFC 8414 section 3.1).
    #[must_use]
    pub fn full(&self, issuer: &Issuer, endpoint: ServerEndpoint) -> Option<String> {
        let own = self.get(endpoint)?;
        let of_issuer = path(issuer.as_str());
        Some(match endpoint {
            ServerEndpoint::Metadata => format!("{own}{of_issuer}"),
            // The path of the resource follows.
            ServerEndpoint::ResourceMetadata => own.to_owned(),
            ServerEndpoint::Authorization
            | ServerEndpoint::Decision
            | ServerEndpoint::Token
            | ServerEndpoint::Revocation
            | ServerEndpoint::Introspection
            | ServerEndpoint::GlobalRevocation
            | ServerEndpoint::Revocations
            | ServerEndpoint::DeviceAuthorization
            | ServerEndpoint::DeviceVerification
            | ServerEndpoint::DeviceWipeCheck
            | ServerEndpoint::DeviceWipeSuccess
            | ServerEndpoint::DevicePolicy
            | ServerEndpoint::Registration
            | ServerEndpoint::ClientConfiguration
            | ServerEndpoint::JwkSet => format!("{of_issuer}{own}"),
        })
    }
}

/// Checks whether a path needs no escape and is not that of another host.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(allowed)
}

/// Returns scheme, host and port of a URL with an authority.
pub(crate) fn origin(url: &str) -> &str {
    let (origin, _) = url.split_at(after_authority(url));
    origin
}

/// Returns the path of a URL with an authority, without a slash at its end, and its query.
pub(crate) fn path(url: &str) -> &str {
    let (_, path) = url.split_at(after_authority(url));
    path.trim_end_matches('/')
}

/// Returns the path of the metadata of the API `url`, below the well-known path (RFC 9728 section 3.1):
/// its own path, without a lone slash after the host. A URL with a query has none.
pub(crate) fn resource_path(url: &str) -> Option<&str> {
    let (_, path) = url.split_at(after_authority(url));
    match path {
        "/" => Some(""),
        path => Some(path).filter(|path| !path.contains('?')),
    }
}

fn after_authority(url: &str) -> usize {
    let start = url.find("://").map_or(url.len(), |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    rest.find(['/', '?']).map_or(url.len(), |at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(issuer: &str, endpoint: ServerEndpoint) -> String {
        Paths::default().url(&Issuer::new(issuer).unwrap(), endpoint).unwrap()
    }

    /// M1: the metadata URL of an issuer with a path is the well-known path, then its own.
    #[test]
    fn the_path_of_the_issuer_follows_the_well_known_path() {
        for issuer in ["https://as.example.com", "https://as.example.com/"] {
            let metadata = url(issuer, ServerEndpoint::Metadata);
            assert_eq!(metadata, "https://as.example.com/.well-known/oauth-authorization-server");
            assert_eq!(url(issuer, ServerEndpoint::Token), "https://as.example.com/oauth/token");
        }
        let tenant = "http://127.0.0.1:8089/tenant/7";
        assert_eq!(
            url(tenant, ServerEndpoint::Metadata),
            "http://127.0.0.1:8089/.well-known/oauth-authorization-server/tenant/7"
        );
        assert_eq!(
            url(tenant, ServerEndpoint::JwkSet),
            "http://127.0.0.1:8089/tenant/7/oauth/jwks"
        );
    }

    #[test]
    fn a_path_is_a_plain_path() {
        let set = |path| Paths::default().with(ServerEndpoint::Token, path);
        assert!(set("/a/b-c.d_e~f").is_ok() && set("/").is_ok());
        for bad in ["", "token", "//host/token", "/{token}", "/to ken", "/t?x", "/t%20", "/ü"] {
            assert_eq!(set(bad), Err(InvalidPath), "{bad}");
        }
    }

    #[test]
    fn every_endpoint_has_a_path_at_its_index() {
        for (at, endpoint) in ServerEndpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, at);
            assert!(Paths::default().get(endpoint).is_some_and(|path| path.starts_with('/')));
        }
    }
}
