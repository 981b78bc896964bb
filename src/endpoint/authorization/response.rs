//! The authorization response: RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207.

use std::fmt;

use crate::error::{EndpointError, Rejection};
use crate::ids::{ClientId, Issuer};
use crate::protocol::redirect_uri::ResolvedRedirectUri;
use crate::secret::AuthorizationCode;

/// Where the browser is sent: the app's redirect URI with `code` or `error`, `state` and `iss`.
///
/// `Debug` shows no more than the redirect URI, for the rest may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    url: String,
}

impl AuthorizationResponse {
    pub(super) fn code(
        redirect_uri: &ResolvedRedirectUri,
        state: Option<&str>,
        issuer: &Issuer,
        code: &AuthorizationCode,
    ) -> Self {
        let mut response = Self::new(redirect_uri, &[], state, issuer);
        // A code is base64url: it needs no encoding.
        response.url.push_str("&code=");
        response.url.push_str(code.expose_secret());
        response
    }

    fn error(
        redirect_uri: &ResolvedRedirectUri,
        state: Option<&str>,
        issuer: &Issuer,
        rejection: &Rejection,
    ) -> Self {
        let description = rejection.description();
        let parameters =
            [("error", rejection.error_code().as_str()), ("error_description", &*description)];
        Self::new(redirect_uri, &parameters, state, issuer)
    }

    fn new(
        redirect_uri: &ResolvedRedirectUri,
        parameters: &[(&str, &str)],
        state: Option<&str>,
        issuer: &Issuer,
    ) -> Self {
        let state = state.map(|state| ("state", state));
        let all = parameters.iter().copied().chain(state).chain([("iss", issuer.as_str())]);
        Self { url: redirect_uri.with_query(all) }
    }

    /// The URL for the `Location` header. It may hold a code: whoever logs it leaks it.
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

/// Why there is no code. Either the app learns it by a redirect, or the user is shown it: nobody
/// can redirect to a URI that was not validated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The browser is sent back to the app with an error.
    #[error("the authorization request was refused, and the app is told")]
    Redirect {
        /// Where to.
        response: AuthorizationResponse,
        /// Why.
        #[source]
        rejection: Rejection,
        /// The app.
        client_id: Option<ClientId>,
    },
    /// The user is shown an error; there is no URI to which to redirect.
    #[error("the authorization request was refused, and the user is told")]
    Show {
        /// Why.
        #[source]
        error: EndpointError,
        /// The app, or what the request said it was.
        client_id: Option<ClientId>,
    },
}

impl AuthorizationError {
    pub(super) fn redirect(
        redirect_uri: &ResolvedRedirectUri,
        state: Option<&str>,
        issuer: &Issuer,
        rejection: Rejection,
        client_id: &ClientId,
    ) -> Self {
        let response = AuthorizationResponse::error(redirect_uri, state, issuer, &rejection);
        Self::Redirect { response, rejection, client_id: Some(client_id.clone()) }
    }

    pub(super) fn show(error: impl Into<EndpointError>, client_id: Option<&ClientId>) -> Self {
        Self::Show { error: error.into(), client_id: client_id.cloned() }
    }

    /// Where the browser is to be sent, if anywhere.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::Redirect { response, .. } => Some(response.location()),
            Self::Show { .. } => None,
        }
    }

    /// What happened, where the request was at fault.
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
