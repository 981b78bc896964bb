//! Redirect URIs: which an app may register, and how a request resolves to one of them
//! (RFC 6749 section 3.1.2).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use registration::{Parts, is_host_name, is_port};

mod registration;

const HOST: &str = "%%HOST%%";

/// A text that may not be registered as a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid redirect URI: {problem}")]
#[non_exhaustive]
pub struct InvalidRedirectUri {
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Why no registered redirect URI answers a request. The request must not be redirected anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// The app has registered none.
    #[error("the app has no redirect URI")]
    NoneRegistered,
    /// The requested URI is not one of the registered.
    #[error("redirect_uri is not registered")]
    NotRegistered,
    /// The request names none, and there is not exactly one that could be meant.
    #[error("redirect_uri is missing")]
    Missing,
}

/// The host names under which this instance is reached, the canonical one first; none by default.
///
/// DNS names or IPv4 addresses, in lower case, without port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceHosts(Arc<[Box<str>]>);

impl InstanceHosts {
    /// Takes the host names as they are.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] when one is not a host name in lower case.
    pub fn new<T: AsRef<str>>(
        names: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidRedirectUri> {
        let check = |name: T| match name.as_ref() {
            name if !is_host_name(name) => Err("a host name is malformed"),
            name if name.bytes().any(|b| b.is_ascii_uppercase()) => {
                Err("a host name is not in lower case")
            }
            name => Ok(Box::from(name)),
        };
        let names: Result<Arc<[_]>, _> = names.into_iter().map(check).collect();
        names.map(Self).map_err(|problem| InvalidRedirectUri { problem })
    }

    /// The host names, the canonical one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// A registered redirect URI, of one of three kinds (RFC 8252, RFC 9700 section 4.1):
///
/// * **exact**: `https`, or an app's own scheme (`com.example.app:/done`, `myapp://127.0.0.1/path`).
///   A requested URI is the same, byte for byte.
/// * **loopback**: `http` on `127.0.0.1` or `[::1]`. A requested URI may have any port, or none; the
///   rest is the same, byte for byte (RFC 8252 section 7.3). `localhost` is accepted only where
///   [`RedirectUri::loopback_with_localhost`] says so.
/// * **host template**: `https://%%HOST%%/done`. `%%HOST%%` stands for one of the [`InstanceHosts`];
///   the rest is the same, byte for byte.
///
/// Nothing is ever decoded, normalized or lower-cased before it is compared.
///
/// ```
/// use grantor::protocol::{InstanceHosts, RedirectUri, resolve_redirect_uri};
///
/// let registered = [RedirectUri::parse("http://127.0.0.1/done")?];
/// let hosts = InstanceHosts::default();
/// let resolved =
///     resolve_redirect_uri(&registered, Some("http://127.0.0.1:53682/done"), &hosts)?;
/// assert_eq!(
///     resolved.with_query([("code", "x y")]),
///     "http://127.0.0.1:53682/done?code=x+y",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Serialized as its text; a loopback URI that allows `localhost` as
/// `{"uri": "http://localhost/done", "allow_localhost": true}`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct RedirectUri {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Https,
    CustomScheme,
    Loopback { allow_localhost: bool },
    HostTemplate,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Flagged(Flagged),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flagged {
    uri: String,
    #[serde(default)]
    allow_localhost: bool,
}

impl RedirectUri {
    /// The longest that is accepted, in bytes.
    pub const MAX_BYTES: usize = 2000;

    /// Takes a URI for registration.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] when it is relative, too long, or unsafe: a fragment, user
    /// information, a wildcard, a dot segment, a character or escape that no URI has, a scheme that
    /// no app owns, `http` off loopback, a port outside 1 to 65535, or `%%HOST%%` anywhere else than
    /// as the whole host of an `https` URI.
    pub fn parse(text: &str) -> Result<Self, InvalidRedirectUri> {
        Self::classify(text, false).map_err(|problem| InvalidRedirectUri { problem })
    }

    /// Takes a loopback URI whose host may also be `localhost`, when registered and when requested.
    ///
    /// RFC 8252 section 8.3 advises against it: a host file or a resolver may send `localhost`
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] when it is not `http` on `127.0.0.1`, `[::1]` or `localhost`, or fails
    /// what [`parse`](Self::parse) demands.
    pub fn loopback_with_localhost(text: &str) -> Result<Self, InvalidRedirectUri> {
        Self::classify(text, true).map_err(|problem| InvalidRedirectUri { problem })
    }

    fn classify(text: &str, allow_localhost: bool) -> Result<Self, &'static str> {
        let parts = Parts::of(text)?;
        let kind = match parts.scheme {
            "https" => match parts.host {
                HOST => Kind::HostTemplate,
                _ => Kind::Https,
            },
            "http" => match parts.host {
                "127.0.0.1" | "[::1]" => Kind::Loopback { allow_localhost },
                "localhost" if allow_localhost => Kind::Loopback { allow_localhost },
                "localhost" => return Err("localhost must be allowed expressly"),
                _ => return Err("http is allowed on loopback only"),
            },
            _ => Kind::CustomScheme,
        };
        if allow_localhost && !matches!(kind, Kind::Loopback { .. }) {
            return Err("it is not a loopback URI");
        }
        if parts.is_web() && parts.host != HOST && url::Url::parse(text).is_err() {
            return Err("it is not a URL");
        }
        Ok(Self { text: text.into(), kind })
    }

    /// The URI as it was registered, `%%HOST%%` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI to which a response goes, if `requested` is this one.
    #[must_use]
    pub fn matches(&self, requested: &str, hosts: &InstanceHosts) -> Option<ResolvedRedirectUri> {
        match self.kind {
            Kind::Https | Kind::CustomScheme => {
                (requested == &*self.text).then(|| ResolvedRedirectUri(Arc::clone(&self.text)))
            }
            Kind::Loopback { allow_localhost } => self
                .matches_loopback(requested, allow_localhost)
                .then(|| ResolvedRedirectUri(requested.into())),
            Kind::HostTemplate => {
                let (before, after) = self.text.split_once(HOST)?;
                let host = requested.strip_prefix(before)?.strip_suffix(after)?;
                hosts.names().find(|name| *name == host)?;
                Some(ResolvedRedirectUri(requested.into()))
            }
        }
    }

    /// The URI to which a response goes when the request names none: a template resolves to the
    /// canonical host name, and to nothing where there is no host name.
    #[must_use]
    pub fn resolve_default(&self, hosts: &InstanceHosts) -> Option<ResolvedRedirectUri> {
        match self.kind {
            Kind::HostTemplate => {
                let canonical = hosts.names().next()?;
                Some(ResolvedRedirectUri(self.text.replacen(HOST, canonical, 1).into()))
            }
            Kind::Https | Kind::CustomScheme | Kind::Loopback { .. } => {
                Some(ResolvedRedirectUri(Arc::clone(&self.text)))
            }
        }
    }

    fn matches_loopback(&self, requested: &str, allow_localhost: bool) -> bool {
        let (Some(own), Some(other)) = (Loopback::of(&self.text), Loopback::of(requested)) else {
            return false;
        };
        own.tail == other.tail
            && (own.host == other.host || (allow_localhost && other.host == "localhost"))
    }
}

/// The registered URI that a request means, as the URI to redirect to.
///
/// # Errors
///
/// [`RedirectUriError`]: show it to the user, and redirect nowhere (RFC 6749 section 4.1.2.1).
pub fn resolve(
    registered: &[RedirectUri],
    requested: Option<&str>,
    hosts: &InstanceHosts,
) -> Result<ResolvedRedirectUri, RedirectUriError> {
    match (registered, requested) {
        ([], _) => Err(RedirectUriError::NoneRegistered),
        (several, Some(requested)) => several
            .iter()
            .find_map(|own| own.matches(requested, hosts))
            .ok_or(RedirectUriError::NotRegistered),
        ([one], None) => one.resolve_default(hosts).ok_or(RedirectUriError::Missing),
        (_, None) => Err(RedirectUriError::Missing),
    }
}

/// A URI that was matched with a registered one: safe to redirect to.
///
/// Only this module makes one. Serializable, to be bound to a code or sealed into a ticket;
/// whoever deserializes it vouches for where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResolvedRedirectUri(Arc<str>);

impl ResolvedRedirectUri {
    /// The URI as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether any program on the user's device might receive the response: consent must then not be
    /// skipped for a public app (RFC 8252 section 8.6). What is not `https` is one of the two.
    #[must_use]
    pub fn is_loopback_or_custom_scheme(&self) -> bool {
        !self.0.starts_with("https://")
    }

    /// The URI with `parameters` added to its query, form-encoded; a query that is there already is
    /// kept as it is (RFC 6749 section 3.1.2, appendix B).
    #[must_use]
    pub fn with_query<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let mut text = String::with_capacity(self.0.len() + 256);
        text.push_str(&self.0);
        let query = self.0.find('?').map_or_else(
            || {
                text.push('?');
                text.len()
            },
            |at| at + 1,
        );
        url::form_urlencoded::Serializer::for_suffix(text, query).extend_pairs(parameters).finish()
    }
}

impl fmt::Display for ResolvedRedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URI of the loopback kind without its port.
#[derive(Debug)]
struct Loopback<'a> {
    host: &'a str,
    /// Path and query.
    tail: &'a str,
}

impl<'a> Loopback<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|h| rest.starts_with(h))?;
        let rest = rest.strip_prefix(host)?;
        let tail = match rest.strip_prefix(':') {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (port, tail) = rest.split_at_checked(end)?;
                is_port(port).then_some(tail)?
            }
            None => rest,
        };
        Some(Self { host, tail })
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let localhost = matches!(self.kind, Kind::Loopback { allow_localhost: true });
        let note = if localhost { ", localhost allowed" } else { "" };
        write!(f, "RedirectUri({:?}{note})", self.text)
    }
}

impl From<RedirectUri> for Written {
    fn from(uri: RedirectUri) -> Self {
        let text = uri.text.as_ref().to_owned();
        match uri.kind {
            Kind::Loopback { allow_localhost: true } => {
                Self::Flagged(Flagged { uri: text, allow_localhost: true })
            }
            Kind::Https | Kind::CustomScheme | Kind::HostTemplate | Kind::Loopback { .. } => {
                Self::Text(text)
            }
        }
    }
}

impl TryFrom<Written> for RedirectUri {
    type Error = InvalidRedirectUri;

    fn try_from(written: Written) -> Result<Self, InvalidRedirectUri> {
        match written {
            Written::Text(uri) | Written::Flagged(Flagged { uri, allow_localhost: false }) => {
                Self::parse(&uri)
            }
            Written::Flagged(Flagged { uri, .. }) => Self::loopback_with_localhost(&uri),
        }
    }
}

#[cfg(test)]
mod tests;
