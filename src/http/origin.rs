//! The page that a browser sent a form from.

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::Authority;

use crate::ids::Issuer;
use crate::protocol::uri;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The sender of a request, by the headers that scripts cannot set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A page of this origin.
    SameOrigin,
    /// The user, for example by a bookmark.
    User,
    /// A page of another origin.
    OtherOrigin,
    /// The browser sends neither `Sec-Fetch-Site` nor `Origin`.
    Unknown,
}

impl Sender {
    /// Reads the sender of a request to the server of `issuer`.
    pub(super) fn of(request: &Parts, issuer: &Issuer) -> Self {
        if let Some(site) = request.headers.get(FETCH_SITE) {
            return match site.as_bytes() {
                b"same-origin" => Self::SameOrigin,
                b"none" => Self::User,
                _ => Self::OtherOrigin,
            };
        }
        let Some(sent) = request.headers.get(header::ORIGIN) else { return Self::Unknown };
        // A proxy may rewrite `Host`, and the issuer may have another host name.
        let sent = sent.to_str().unwrap_or_default();
        if uri::is_same_origin(sent, issuer.as_str()) {
            return Self::SameOrigin;
        }
        let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(request.uri.authority().map(Authority::as_str));
        let own = sent.split_once("://").is_some_and(|(_, authority)| host == Some(authority));
        if own { Self::SameOrigin } else { Self::OtherOrigin }
    }
}
