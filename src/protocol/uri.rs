//! Comparison of URIs: origins, and the identifiers of APIs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The components of a URI, as written.
struct Components<'a> {
    scheme: &'a str,
    /// User information, with its `@`.
    user: &'a str,
    host: &'a str,
    /// Empty for the default port of the scheme.
    port: &'a str,
    /// Path and query, without the slash before the path.
    rest: &'a str,
}

impl<'a> Components<'a> {
    /// Returns `None` for a URI without an authority.
    fn of(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, server) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let ipv6 = server.rfind(']').map_or(0, |at| at + 1);
        let host_end = server.get(ipv6..)?.find(':').map_or(server.len(), |at| ipv6 + at);
        let (host, port) = server.split_at(host_end);
        let port = port.strip_prefix(':').unwrap_or_default();
        let default = if scheme.eq_ignore_ascii_case("https") {
            "443"
        } else if scheme.eq_ignore_ascii_case("http") {
            "80"
        } else {
            ""
        };
        let port = if port == default { "" } else { port };
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        Some(Self { scheme, user, host, port, rest })
    }

    fn has_same_origin(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
    }
}

/// Returns true if both URIs have the same scheme, host and port (RFC 6454 section 5).
pub(crate) fn is_same_origin(one: &str, other: &str) -> bool {
    match (Components::of(one), Components::of(other)) {
        (Some(one), Some(other)) => one.has_same_origin(&other),
        _ => false,
    }
}

/// Returns true if both URIs name the same resource after normalization of scheme, host, default port
/// and empty path (RFC 3986 sections 6.2.2.1 and 6.2.3). Everything else is compared as written.
pub(crate) fn is_equivalent(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (Components::of(one), Components::of(other)) {
        (Some(one), Some(other)) => {
            one.has_same_origin(&other) && one.user == other.user && one.rest == other.rest
        }
        _ => false,
    }
}

/// A text that is not a web origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: {problem}")]
#[non_exhaustive]
pub struct InvalidOrigin {
    /// The problem.
    pub problem: &'static str,
}

/// The origin of a script: scheme, host and port (RFC 6454 section 6.2), such as
/// `https://app.example.com`, `capacitor://localhost` or the origin of a browser extension.
///
/// `http` is for loopback hosts and `localhost` only. Scheme and host are compared without case, and
/// a default port equals no port.
///
/// ```
/// use grantor::protocol::WebOrigin;
///
/// let origin = WebOrigin::new("https://app.example.com:443")?;
/// assert!(origin.is_origin("https://app.example.com"));
/// assert!(WebOrigin::new("https://app.example.com/").is_err());
/// # Ok::<(), grantor::protocol::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(Box<str>);

impl WebOrigin {
    /// The longest accepted origin, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Validates `text` and takes it unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] if it has a path, a query or user information, if it is `null` or a wildcard,
    /// or if a page of the open web could have it: `file:`, or `http` beyond loopback.
    pub fn new(text: &str) -> Result<Self, InvalidOrigin> {
        check_origin(text)
            .map_or_else(|| Ok(Self(text.into())), |problem| Err(InvalidOrigin { problem }))
    }

    /// Returns the origin as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if `origin`, the value of an `Origin` header, is this origin.
    #[must_use]
    pub fn is_origin(&self, origin: &str) -> bool {
        is_same_origin(&self.0, origin)
    }
}

fn check_origin(text: &str) -> Option<&'static str> {
    if text.len() > WebOrigin::MAX_BYTES {
        return Some("it is longer than 255 bytes");
    }
    if text == "null" {
        return Some("`null` is the origin of every sandboxed page and local file");
    }
    if text.contains('*') {
        return Some("it has a wildcard");
    }
    let Some(Components { scheme, user, host, .. }) = Components::of(text) else {
        return Some("it is not a scheme, `://` and a host");
    };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        || !scheme.bytes().all(in_scheme)
    {
        return Some("its scheme is malformed");
    }
    let after_scheme = text.get(scheme.len() + 3..).unwrap_or_default();
    if !user.is_empty() || after_scheme.contains(['/', '?', '#']) {
        return Some("it has more than a scheme, a host and a port");
    }
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    if host.is_empty() || !host.bytes().all(in_host) {
        return Some("its host is empty or malformed");
    }
    let port = after_scheme.get(host.len()..).unwrap_or_default();
    let is_port = |text: &str| !text.starts_with('0') && text.parse::<u16>().is_ok();
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Some("its port is malformed");
    }
    let loopback =
        ["127.0.0.1", "[::1]", "localhost"].iter().any(|it| host.eq_ignore_ascii_case(it));
    match scheme.to_ascii_lowercase().as_str() {
        "http" if !loopback => Some("http is allowed on loopback only"),
        "file" | "data" | "blob" | "about" | "javascript" => Some("its scheme has no origin"),
        _ => None,
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for WebOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::new(text)
    }
}

impl Serialize for WebOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WebOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Z6, M8, M9: only scheme, host, default port and empty path have other spellings.
    #[test]
    fn equivalent_uris_differ_in_scheme_host_default_port_or_empty_path_only() {
        let groups = [
            &[
                "https://h",
                "https://h/",
                "HTTPS://H",
                "https://h:443",
                "https://H:443/",
                "https://h:/",
            ][..],
            &["http://h", "http://h:80/", "http://H/"],
            &["https://h:80", "https://H:80/"],
            &["https://h/a", "https://h:443/a"],
            &["https://h/a/", "HTTPS://h/a/"],
            &["https://h/A"],
            &["https://h/%61"],
            &["https://h//"],
            &["https://h?x", "https://h/?x"],
            &["https://h/?X"],
            &["https://u@h", "https://u@H/"],
            &["https://U@h"],
            &["https://[::1]:8443", "https://[::1]:8443/"],
            &["https://[::A]", "https://[::a]:443/"],
            &["https://h.", "https://H./"],
            &["api://x", "api://X/"],
            &["api://x:443"],
            &["urn:example:api"],
            &["urn:example:API"],
            &["https://h:0443/"],
        ];
        for (at, group) in groups.iter().enumerate() {
            for (other_at, other) in groups.iter().enumerate() {
                for one in *group {
                    for other in *other {
                        assert_eq!(is_equivalent(one, other), at == other_at, "{one} {other}");
                    }
                }
            }
        }
    }

    /// Z7: an origin is compared by its components.
    #[test]
    fn an_origin_has_a_scheme_a_host_and_a_port_only() {
        for (listed, sent) in [
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://App.example.com", "https://app.example.com"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("http://localhost:8100", "http://localhost:8100"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            (
                "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
                "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            ),
            ("app://obsidian.md", "app://obsidian.md"),
        ] {
            assert!(WebOrigin::new(listed).unwrap().is_origin(sent), "{listed}");
            for other in [
                "null",
                "",
                "*",
                "https://evil.example",
                "http://localhost",
                "https://app.example.com:8443",
            ] {
                assert!(!WebOrigin::new(listed).unwrap().is_origin(other), "{listed} {other}");
            }
        }
        let long = format!("https://{}", "a".repeat(248));
        assert!(WebOrigin::new(&long[..255]).is_ok());
        for bad in [
            "",
            "null",
            "*",
            "https://*",
            "https://*.example.com",
            "app.example.com",
            "https://",
            "https:///",
            "https://h/",
            "https://h/a",
            "https://h?x",
            "https://h#f",
            "https://u@h",
            "https://h:",
            "https://h:0",
            "https://h:65536",
            "https://h:0443",
            "https://h:443:1",
            "http://h",
            "http://127.0.0.2",
            "http://localhost.evil.example",
            "file://",
            "file://h",
            "data://x",
            "https://h h",
            "https://hé",
            "1a://h",
            "://h",
            &long,
        ] {
            assert!(WebOrigin::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn equivalence_is_reflexive_and_symmetric(a in "[aA]?(https?://)?[hH@:/?8]{0,6}", b in "[aA]?(https?://)?[hH@:/?8]{0,6}") {
            prop_assert!(is_equivalent(&a, &a));
            prop_assert_eq!(is_equivalent(&a, &b), is_equivalent(&b, &a));
            prop_assert_eq!(is_same_origin(&a, &b), is_same_origin(&b, &a));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (WebOrigin::new(&text), is_equivalent(&text, "https://h"));
        }
    }
}
