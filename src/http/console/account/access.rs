//! The host's part of the user's page, beside its login.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::endpoint::Login;
use crate::http::{Interaction, Page};
use crate::users::DirectoryError;

/// The host's part of [`AccountPages`](super::AccountPages). [`Interaction::login`] says who the user is.
///
/// The forms of the page carry a token that is computed from the session of the [`Login`]. A login without a
/// session can look, and its forms are refused.
pub trait AccountAccess: Interaction {
    /// Returns the answer to a request without a login, such as a redirect to the host's login. The default is an
    /// empty answer with status 404.
    fn no_login(&self, request: &Parts) -> impl Future<Output = Page> + Send {
        let _ = request;
        let mut page = Page::default();
        *page.status_mut() = StatusCode::NOT_FOUND;
        std::future::ready(page)
    }

    /// Ends the host's own sessions of the user, on every device, and returns headers for the page that says so,
    /// such as a cookie that removes this session. Afterwards the library ends the access of every app.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if some sessions may not have ended. The access of apps is left as it is, and the user
    /// gets a page with status 503.
    fn end_sessions(
        &self,
        request: &Parts,
        login: &Login,
    ) -> impl Future<Output = Result<HeaderMap, DirectoryError>> + Send;
}

impl<T: AccountAccess> AccountAccess for Arc<T> {
    async fn no_login(&self, request: &Parts) -> Page {
        T::no_login(self, request).await
    }

    async fn end_sessions(
        &self,
        request: &Parts,
        login: &Login,
    ) -> Result<HeaderMap, DirectoryError> {
        T::end_sessions(self, request, login).await
    }
}
