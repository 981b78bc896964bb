//! Identifiers: client ids, subjects, issuers, grant ids. None is a secret.
//!
//! Identifiers are case-sensitive and compared byte for byte. They are cheap to clone.

mod request_id;

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use request_id::{InvalidRequestId, RequestId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::random::{self, RandomError, SecureRandom};

/// A text that is not a valid identifier of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {problem}")]
#[non_exhaustive]
pub struct InvalidId {
    /// The kind of identifier, such as `client id`.
    pub kind: &'static str,
    /// The problem, as a clause: `it is empty`.
    pub problem: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest accepted identifier, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// Validates `value` and takes it unchanged.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] if it is empty, too long, or contains a forbidden character.
            pub fn new(value: impl AsRef<str> + Into<Arc<str>>) -> Result<Self, InvalidId> {
                let text = value.as_ref();
                let problem = if text.is_empty() {
                    Some("it is empty")
                } else if text.len() > Self::MAX_BYTES {
                    Some(concat!("it is longer than ", $max, " bytes"))
                } else {
                    $check(text)
                };
                match problem {
                    Some(problem) => Err(InvalidId { kind: $kind, problem }),
                    None => Ok(Self(value.into())),
                }
            }

            /// Returns the identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

impl InvalidId {
    pub(crate) const fn new(kind: &'static str, problem: &'static str) -> Self {
        Self { kind, problem }
    }
}

text_id! {
    /// The identifier of an app on the wire: `client_id` of RFC 6749 section 2.2.
    ///
    /// 1 to 255 bytes of printable ASCII and space (`VSCHAR`, appendix A.1).
    #[doc(alias = "client")]
    #[doc(alias = "client_id")]
    ClientId, "client id", 255, printable_ascii
}

text_id! {
    /// The host's identifier of a user: `sub` of RFC 7519 section 4.1.2.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters.
    #[doc(alias = "sub")]
    Subject, "subject", 255, no_controls
}

text_id! {
    /// The host's identifier of a group of users.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters.
    Group, "group", 255, no_controls
}

text_id! {
    /// The identifier of a device with an app, as the app reports it.
    ///
    /// 1 to 255 bytes of printable ASCII and space.
    DeviceId, "device id", 255, printable_ascii
}

text_id! {
    /// The identifier of the authorization server: `issuer` of RFC 8414 section 2.
    ///
    /// An `https` URL without query or fragment; `http` for a loopback host. At most 255 bytes.
    #[doc(alias = "iss")]
    Issuer, "issuer", 255, issuer_url
}

text_id! {
    /// An API that accepts tokens: `resource` of RFC 8707 section 2, `aud` of RFC 7519.
    ///
    /// An absolute URI without fragment. At most 255 bytes.
    #[doc(alias = "aud")]
    #[doc(alias = "audience")]
    Resource, "resource", 255, absolute_uri
}

text_id! {
    /// The identifier of a key: `kid` of RFC 7515 section 4.1.4.
    ///
    /// 1 to 128 bytes of printable ASCII and space.
    #[doc(alias = "kid")]
    KeyId, "key id", 128, printable_ascii
}

text_id! {
    /// A login session of a user at the host: `sid` of OpenID Connect Front-Channel Logout section 3.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters.
    SessionId, "session id", 255, no_controls
}

text_id! {
    /// Another issuer on whose evidence access was granted: `iss` of the token that it signed.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters.
    EvidenceIssuer, "evidence issuer", 255, no_controls
}

text_id! {
    /// How strongly the user authenticated, as the host names it: `acr` of OpenID Connect Core
    /// section 2.
    ///
    /// 1 to 255 bytes of printable ASCII and space.
    AuthenticationContext, "authentication context", 255, printable_ascii
}

text_id! {
    /// A method by which the user authenticated: an entry of `amr` (RFC 8176).
    ///
    /// 1 to 64 bytes of printable ASCII and space.
    AuthenticationMethod, "authentication method", 64, printable_ascii
}

text_id! {
    /// The source of a request, as the host tells it: the address of the client, or another value that
    /// distinguishes clients. It is audited, and failures are counted by it.
    ///
    /// 1 to 255 bytes of printable ASCII and space.
    Source, "source", 255, printable_ascii
}

fn printable_ascii(text: &str) -> Option<&'static str> {
    let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    (!printable).then_some("it contains a character other than printable ASCII")
}

fn no_controls(text: &str) -> Option<&'static str> {
    text.chars().any(char::is_control).then_some("it contains a control character")
}

impl Issuer {
    /// Validates `value` as [`new`](Self::new) does, and takes `http` for any host: for a network between
    /// containers in which nothing else runs, or behind a proxy that ends TLS and passes `http` on.
    ///
    /// The price: on that network, every code, token and secret can be read and changed on its way.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] as for [`new`](Self::new).
    pub fn with_plain_http(value: impl AsRef<str> + Into<Arc<str>>) -> Result<Self, InvalidId> {
        let invalid = match Self::new(value.as_ref()) {
            Ok(issuer) => return Ok(issuer),
            Err(invalid) => invalid,
        };
        if value.as_ref().len() > Self::MAX_BYTES || issuer_place(value.as_ref()) != Ok("http") {
            return Err(invalid);
        }
        Ok(Self(value.into()))
    }
}

fn issuer_url(text: &str) -> Option<&'static str> {
    match issuer_place(text) {
        Err(problem) => Some(problem),
        Ok("https" | "loopback") => None,
        Ok(_) => {
            Some("its scheme is not https (for a closed network, see Issuer::with_plain_http)")
        }
    }
}

/// Returns the scheme of an issuer, or `loopback` for `http` on a loopback host.
fn issuer_place(text: &str) -> Result<&'static str, &'static str> {
    if let Some(problem) = absolute_uri(text) {
        return Err(problem);
    }
    let Ok(url) = url::Url::parse(text) else { return Err("it is not an absolute URL") };
    if url.query().is_some() {
        return Err("it has a query");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it contains user information");
    }
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return Err("it has no host"),
    };
    Ok(match url.scheme() {
        "https" => "https",
        "http" if loopback => "loopback",
        "http" => "http",
        _ => "another",
    })
}

fn absolute_uri(text: &str) -> Option<&'static str> {
    if !text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !b"\"\\<>".contains(&byte)) {
        return Some("it contains a character that is not allowed in a URI");
    }
    if text.contains('#') {
        return Some("it has a fragment");
    }
    url::Url::parse(text).err().map(|_| "it is not an absolute URI")
}

impl ClientId {
    /// Generates a client id of 128 random bits, in base64url.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let bytes: [u8; 16] = random::array(random)?;
        Ok(Self::of_bytes(bytes))
    }

    /// Returns the client id that a generated one with these bits is.
    pub(crate) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(dotted(address.octets()).into()),
            IpAddr::V6(address) => Self(address.to_string().into()),
        }
    }
}

/// Writes an IPv4 address. Over HTTP every request has one, and the formatter of the standard library takes
/// 760 instructions (callgrind).
fn dotted(octets: [u8; 4]) -> String {
    let mut text = String::with_capacity("255.255.255.255".len());
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        for unit in [100, 10, 1] {
            if octet >= unit || unit == 1 {
                text.push(char::from(b'0' + octet / unit % 10));
            }
        }
    }
    text
}

impl Subject {
    /// Returns true if the app has the same identifier. A token of this subject would then pass for the
    /// app's own (RFC 9068 section 5).
    pub(crate) fn is_client(&self, client_id: &ClientId) -> bool {
        self.0 == client_id.0
    }
}

impl From<&ClientId> for Subject {
    /// Returns the app as the subject of its own token (RFC 9068 section 2.2, client credentials).
    fn from(client_id: &ClientId) -> Self {
        Self(Arc::clone(&client_id.0))
    }
}

/// An identifier of 16 bytes.
macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes, for a database column.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::ids::bytes_as_text(&self.0, &mut [0; 22]))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::ids::read_bytes($kind, text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::ids::bytes_as_text(&self.0, &mut [0; 22]))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use bytes_id;

/// Writes 22 characters of base64url into `room`.
pub(crate) fn bytes_as_text<'a>(bytes: &[u8; 16], room: &'a mut [u8; 22]) -> &'a str {
    // The room is exactly as long as the text.
    let _ = URL_SAFE_NO_PAD.encode_slice(bytes, room);
    std::str::from_utf8(room).unwrap_or_default()
}

/// Encodes as 22 characters of base64url.
pub(crate) fn write_bytes(bytes: &[u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes the text that [`write_bytes`] wrote.
pub(crate) fn read_bytes(kind: &'static str, text: &str) -> Result<[u8; 16], InvalidId> {
    let mut bytes = [0; 16];
    match URL_SAFE_NO_PAD.decode_slice_unchecked(text.get(..22).unwrap_or(""), &mut bytes) {
        Ok(16) if text.len() == 22 => Ok(bytes),
        _ => Err(InvalidId { kind, problem: "it is not 16 bytes of base64url" }),
    }
}

bytes_id! {
    /// The identifier of a grant: 128 random bits, written as 22 characters of base64url.
    GrantId, "grant id"
}

impl GrantId {
    /// Generates a grant id.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source fails.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random::array(random).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_identifier_is_refused_with_its_problem() {
        assert!(ClientId::new("").is_err());
        assert!(ClientId::new("a".repeat(256)).is_err());
        assert!(ClientId::new("tab\there").is_err());
        assert!(Subject::new("jürgen@example.com").is_ok());
        assert!(Subject::new("line\nbreak").is_err());
        let error = Issuer::new("http://example.com").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("not a valid issuer: its scheme is not https"), "{text}");
    }

    #[test]
    fn the_source_of_an_address_is_spelt_as_the_address_is() {
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 0, 255 - octet, octet / 3]);
            assert_eq!(Source::from(address).as_str(), address.to_string());
        }
        let address: IpAddr = "2001:db8::7".parse().unwrap();
        assert_eq!(Source::from(address).as_str(), "2001:db8::7");
    }

    #[test]
    fn an_issuer_is_https_or_loopback_and_has_no_query_or_fragment() {
        for good in ["https://as.example.com", "https://h.example/a", "http://127.0.0.1:8080"] {
            assert!(Issuer::new(good).is_ok(), "{good}");
        }
        for bad in ["https://h/?q", "https://h/#f", "https://u@h/", "ftp://h", "h", "http://h"] {
            assert!(Issuer::new(bad).is_err(), "{bad}");
        }
    }

    /// Z17: `http` for a host of a container network is a setting, and relaxes nothing else.
    #[test]
    fn plain_http_is_for_hosts_that_ask_for_it() {
        for good in ["http://auth:8080", "http://10.0.0.7/a", "https://h", "http://localhost"] {
            assert_eq!(Issuer::with_plain_http(good).unwrap().as_str(), good);
        }
        for bad in ["ftp://h", "http://h/?q", "http://h/#f", "http://u@h", "h", "", "http://h\nx"] {
            assert!(Issuer::with_plain_http(bad).is_err(), "{bad}");
        }
        assert!(Issuer::with_plain_http(format!("http://{}", "h".repeat(250))).is_err());
        let refused = Issuer::new("http://auth:8080").unwrap_err().to_string();
        assert!(refused.contains("Issuer::with_plain_http"), "{refused}");
    }

    #[test]
    fn a_grant_id_survives_text_and_has_one_spelling() {
        let id = GrantId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse::<GrantId>().unwrap(), id);
        for bad in ["", "short", "BwcHBwcHBwcHBwcHBwcHBx", "BwcHBwcHBwcHBwcHBwcHBwBw", "é"] {
            assert!(bad.parse::<GrantId>().is_err(), "{bad}");
        }
    }
}
