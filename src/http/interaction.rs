//! What only the host can do at the authorization endpoint: say who is logged in, and show pages.

use http::request::Parts;
use http::{Response, StatusCode};

use crate::endpoint::authorization::{AuthorizationError, AuthorizationRequest, Login, Prompt};
use crate::users::DirectoryError;

/// A page, or a redirect to one, with its whole body.
pub type Page = Response<Vec<u8>>;

/// The host's side of the authorization endpoint.
///
/// The library sees to it that pages are neither framed nor kept, that a decision comes from a page
/// of this origin and belongs to this user, this session and this request, and that it is taken
/// once. The host sees to the rest: it escapes what it shows; its session cookie is `HttpOnly`,
/// `Secure` and `SameSite=Lax`, and changes at every login; its login form has a token against
/// forgery of its own; and its content security policy has no `form-action` without the origins of
/// redirect URIs, to which browsers apply it after the form was sent.
pub trait Interaction: Send + Sync {
    /// Who is logged in at the browser that sent `request`, as its cookies say; `None`: nobody.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when the host cannot tell. The browser gets the error page.
    fn login(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Option<Login>, DirectoryError>> + Send;

    /// A login page, or a redirect to one: nobody is logged in, or the user has to log in again.
    /// Afterwards the browser is sent to `return_to`, path and query on this host.
    fn login_page(
        &self,
        request: &Parts,
        asked: &AuthorizationRequest,
        return_to: &str,
    ) -> impl Future<Output = Page> + Send;

    /// The consent page: a form that posts to `action`
    ///
    /// * `ticket`, hidden: [`Prompt::ticket`];
    /// * `scope`, once for each scope that the user leaves ticked. What is not sent is not granted;
    ///   where the user may not choose, the fields are hidden;
    /// * `decision`: `approve` or `deny`;
    /// * `remember`, with any value, if the answer is to be remembered.
    ///
    /// `action` is empty where the server's paths have none for the decision: the host takes it by
    /// itself then, with [`decide`](crate::AuthorizationServer::decide).
    fn consent_page(
        &self,
        request: &Parts,
        prompt: &Prompt,
        action: &str,
    ) -> impl Future<Output = Page> + Send;

    /// The page for an error that the user is shown because nobody can be told by a redirect. The
    /// status is set by the library.
    fn error_page(
        &self,
        request: &Parts,
        error: &AuthorizationError,
    ) -> impl Future<Output = Page> + Send;
}

/// No browser, no authorization endpoint.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoInteraction;

impl NoInteraction {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

fn not_found() -> Page {
    let mut page = Page::default();
    *page.status_mut() = StatusCode::NOT_FOUND;
    page
}

impl Interaction for NoInteraction {
    async fn login(&self, _: &Parts) -> Result<Option<Login>, DirectoryError> {
        Ok(None)
    }

    async fn login_page(&self, _: &Parts, _: &AuthorizationRequest, _: &str) -> Page {
        not_found()
    }

    async fn consent_page(&self, _: &Parts, _: &Prompt, _: &str) -> Page {
        not_found()
    }

    async fn error_page(&self, _: &Parts, _: &AuthorizationError) -> Page {
        not_found()
    }
}
