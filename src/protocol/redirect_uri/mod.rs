//! Redirect URIs: their registration, and the match of a request with a registered one (RFC 6749
//! section 3.1.2).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use registration::{Parts, is_host_name, is_port};

mod registration;

const HOST: &str = "%%HOST%%";

/// A text that is not valid for registration as a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid redirect URI: {problem}")]
#[non_exhaustive]
pub struct InvalidRedirectUri {
    /// The problem, as a clause: `it is relative`.
    pub problem: &'static str,
}

/// A request that matches no registered redirect URI. It must not be redirected anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// The app has no registered redirect URI.
    #[error("the app has no redirect URI")]
    NoneRegistered,
    /// The requested URI is not registered.
    #[error("redirect_uri is not registered")]
    NotRegistered,
    /// The request names none, and the app has more than one.
    #[error("redirect_uri is missing")]
    Missing,
}

/// The host names of this instance, the canonical one first. Default: none.
///
/// DNS names or IPv4 addresses, in lower case, without port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceHosts(Arc<[Box<str>]>);

impl InstanceHosts {
    /// Validates the host names and takes them unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] if one is not a host name in lower case.
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

    /// Returns the host names, the canonical one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// A registered redirect URI, of one of three kinds (RFC 8252, RFC 9700 section 4.1):
///
/// * **exact**: `https`, or an app's own scheme (`com.example.app:/done`, `myapp://127.0.0.1/path`).
///   A requested URI is the same, byte for byte.
/// * **loopback**: `http` on `127.0.0.1` or `[::1]`. A requested URI may have any port, or none; the
///   rest is the same, byte for byte (RFC 8252 section 7.3). `localhost` is accepted only for a URI
///   made with [`RedirectUri::loopback_with_localhost`].
/// * **host template**: `https://%%HOST%%/done`. `%%HOST%%` stands for one of the [`InstanceHosts`];
///   the rest is the same, byte for byte.
///
/// URIs are compared as given, without decoding, normalization or change of case.
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
#[doc(alias = "redirect_uri")]
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
    /// The longest accepted URI, in bytes.
    pub const MAX_BYTES: usize = 2000;

    /// Parses a URI for registration.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] if it is relative, too long, or unsafe: a fragment, user information, a
    /// wildcard, a dot segment, an invalid character or escape, a scheme that no app owns, `http` off
    /// loopback, a port outside 1 to 65535, or `%%HOST%%` anywhere but as the whole host of an `https`
    /// URI.
    pub fn parse(text: &str) -> Result<Self, InvalidRedirectUri> {
        Self::classify(text, false).map_err(|problem| InvalidRedirectUri { problem })
    }

    /// Parses a loopback URI whose host may also be `localhost`, in the registration and in requests.
    ///
    /// RFC 8252 section 8.3 advises against it: a host file or a resolver may redirect `localhost`.
    ///
    /// # Errors
    ///
    /// [`InvalidRedirectUri`] if it is not `http` on `127.0.0.1`, `[::1]` or `localhost`, or as for
    /// [`parse`](Self::parse).
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

    /// Returns the URI as registered, including `%%HOST%%`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Checks whether `%%HOST%%` stands for a host name of this instance.
    pub(crate) fn is_template(&self) -> bool {
        self.kind == Kind::HostTemplate
    }

    /// Returns the scheme, if it is the app's own.
    pub(crate) fn custom_scheme(&self) -> Option<&str> {
        let scheme = self.text.split_once(':').map(|(scheme, _)| scheme);
        scheme.filter(|_| self.kind == Kind::CustomScheme)
    }

    /// Returns the host without port, of a URI on the web or on loopback.
    pub(crate) fn host(&self) -> Option<&str> {
        host_of(&self.text)
    }

    /// Checks whether the URI leads to a program on the user's own device, whose port the app chooses.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.kind, Kind::Loopback { .. })
    }

    /// Returns the URI of the response if `requested` matches this URI.
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

    /// Returns the URI of the response to a request without `redirect_uri`. A template takes the
    /// canonical host name, and gives `None` without one.
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

/// Finds the registered URI that matches a request, and returns the URI of the response.
///
/// # Errors
///
/// [`RedirectUriError`]: show it to the user, and do not redirect (RFC 6749 section 4.1.2.1).
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

fn host_of(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
    let authority = rest.get(..rest.find(['/', '?']).unwrap_or(rest.len()))?;
    let literal = authority.rfind(']').map_or(0, |end| end.saturating_add(1));
    let end = authority.get(literal..)?.find(':').map_or(authority.len(), |at| literal + at);
    authority.get(..end)
}

/// A URI that matched a registered one, so that a redirect to it is safe.
///
/// Only this module constructs it. It can be serialized into a code's binding or a ticket. A caller
/// that deserializes it must trust the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResolvedRedirectUri(Arc<str>);

impl ResolvedRedirectUri {
    /// Returns the URI as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks whether another program on the user's device could receive the response. Then consent must not
    /// be skipped for a public app (RFC 8252 section 8.6). Every URI but `https` is of these two kinds.
    #[must_use]
    pub fn is_loopback_or_custom_scheme(&self) -> bool {
        !self.0.starts_with("https://")
    }

    /// Checks whether the URI leads to the user's own device over `http`: a URI that matched is then on loopback.
    pub(crate) fn is_loopback(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// Returns the host without port, of a URI on the web or on loopback.
    pub(crate) fn host(&self) -> Option<&str> {
        host_of(&self.0)
    }

    /// Appends form-encoded `parameters` to the query. An existing query is unchanged (RFC 6749 section
    /// 3.1.2, appendix B).
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
