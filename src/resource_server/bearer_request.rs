//! The bearer token of a request (RFC 6750 section 2).

use std::fmt;

use http::Uri;
use http::header::{self, HeaderMap};

use super::Refusal;

/// The places of a request that may hold a bearer token (RFC 6750 section 2).
///
/// Only the header is read, because tokens in URLs end up in logs. An `Option<&str>` with the
/// header's value converts into a request.
#[derive(Clone, Copy, Default)]
pub struct BearerRequest<'a> {
    authorization: Option<&'a str>,
    elsewhere: bool,
}

impl<'a> BearerRequest<'a> {
    /// Creates a request with this value of the `Authorization` header.
    #[must_use]
    pub const fn new(authorization: Option<&'a str>) -> Self {
        Self { authorization, elsewhere: false }
    }

    /// Reads the `Authorization` header of a request, and whether it has another one or a token in its URL.
    #[must_use]
    pub fn of(headers: &'a HeaderMap, uri: &Uri) -> Self {
        let mut found = headers.get_all(header::AUTHORIZATION).iter();
        let header = found.next().and_then(|value| value.to_str().ok());
        let parameters = uri.query().unwrap_or_default().split('&');
        let in_url =
            parameters.filter_map(|pair| pair.split('=').next()).any(|it| it == "access_token");
        Self::new(header).with_token_elsewhere(in_url || found.next().is_some())
    }

    /// Sets whether the request also has a token in its query or body (`access_token`) or a second
    /// `Authorization` header. Such a request is refused.
    #[must_use]
    pub const fn with_token_elsewhere(mut self, elsewhere: bool) -> Self {
        self.elsewhere = elsewhere;
        self
    }

    pub(crate) fn token(self) -> Result<&'a str, Refusal> {
        let header = self.authorization.ok_or(Refusal::NoToken)?;
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(Refusal::NoToken);
        }
        if self.elsewhere {
            return Err(Refusal::TokenTwice);
        }
        match token.trim_matches(' ') {
            "" => Err(Refusal::EmptyToken),
            token => Ok(token),
        }
    }
}

impl<'a> From<Option<&'a str>> for BearerRequest<'a> {
    fn from(authorization: Option<&'a str>) -> Self {
        Self::new(authorization)
    }
}

impl fmt::Debug for BearerRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerRequest")
            .field("has_authorization", &self.authorization.is_some())
            .field("elsewhere", &self.elsewhere)
            .finish()
    }
}
