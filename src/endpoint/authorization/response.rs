//! The authorization response: RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207.

use std::fmt;

use crate::error::{EndpointError, Rejection};
use crate::ids::{ClientId, Issuer};
use crate::protocol::redirect_uri::ResolvedRedirectUri;
use crate::secret::AuthorizationCode;

/// The way back to the app: the redirect URI and `state` of its request, and the issuer for `iss`.
#[derive(Clone, Copy)]
pub(super) struct ReturnTo<'a> {
    pub(super) client_id: &'a ClientId,
    pub(super) redirect_uri: &'a ResolvedRedirectUri,
    pub(super) state: Option<&'a str>,
    pub(super) issuer: &'a Issuer,
}

impl ReturnTo<'_> {
    /// Redirects with a code.
    pub(super) fn respond(self, code: &AuthorizationCode) -> AuthorizationResponse {
        let mut response = self.response(&[]);
        // A code is base64url and needs no encoding.
        response.url.push_str("&code=");
        response.url.push_str(code.expose_secret());
        response
    }

    /// Redirects with an error.
    pub(super) fn refuse(self, rejection: Rejection) -> AuthorizationError {
        let description = rejection.description();
        let response = self.response(&[
            ("error", rejection.error_code().as_str()),
            ("error_description", &*description),
        ]);
        AuthorizationError::Redirect {
            response,
            rejection,
            client_id: Some(self.client_id.clone()),
        }
    }

    fn response(self, parameters: &[(&str, &str)]) -> AuthorizationResponse {
        let state = self.state.map(|state| ("state", state));
        let iss = [("iss", self.issuer.as_str())];
        let all = parameters.iter().copied().chain(state).chain(iss);
        AuthorizationResponse { url: self.redirect_uri.with_query(all) }
    }
}

/// A redirect of the browser to the app, with `code` or `error`, `state` and `iss`.
///
/// `Debug` shows the redirect URI only, because the rest may contain a code.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    url: String,
}

impl AuthorizationResponse {
    /// Returns the URL for the `Location` header. Do not log it: it may contain a code.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.url.split_once('?').map_or(self.url.as_str(), |(base, _)| base);
        f.debug_struct("AuthorizationResponse").field("to", &base).finish_non_exhaustive()
    }
}

/// The error of the authorization endpoint. The app gets it by a redirect, or the user sees it on a
/// page if the redirect URI was not validated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The browser is redirected to the app with an error.
    #[error("the authorization request was refused, and the app is told")]
    Redirect {
        /// The redirect.
        response: AuthorizationResponse,
        /// The reason.
        #[source]
        rejection: Rejection,
        /// The app.
        client_id: Option<ClientId>,
    },
    /// The user sees the error on a page.
    #[error("the authorization request was refused, and the user is told")]
    Show {
        /// The reason.
        #[source]
        error: EndpointError,
        /// The app that the request claims to come from.
        client_id: Option<ClientId>,
    },
}

impl AuthorizationError {
    pub(crate) fn show(error: impl Into<EndpointError>, client_id: Option<&ClientId>) -> Self {
        Self::Show { error: error.into(), client_id: client_id.cloned() }
    }

    /// Returns the URL of the redirect, if there is one.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::Redirect { response, .. } => Some(response.location()),
            Self::Show { .. } => None,
        }
    }

    /// Returns the rejection, if the request was at fault.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Redirect { rejection, .. } => Some(rejection),
            Self::Show { error, .. } => error.rejection(),
        }
    }
}

impl<E: Into<EndpointError>> From<E> for AuthorizationError {
    fn from(error: E) -> Self {
        Self::show(error, None)
    }
}
