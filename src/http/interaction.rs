//! The host's part of the authorization endpoint and of the device grant: the login of the user, and the pages.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};

use crate::endpoint::authorization::{
    AuthorizationError, AuthorizationRequest, ConsentPrompt, Login,
};
use crate::endpoint::device_authorization::{DeviceDecision, DevicePrompt};
use crate::users::DirectoryError;

/// A page or a redirect to one, with its whole body.
pub type Page = Response<Vec<u8>>;

/// The host's part of the authorization endpoint.
///
/// The library ensures that pages are neither framed nor cached, and that a decision comes from a page
/// of this origin, belongs to this user, session and request, and is stored once. The host ensures the
/// rest:
///
/// * it escapes the texts on its pages;
/// * its session cookie is `HttpOnly`, `Secure` and `SameSite=Lax`, and changes at every login
///   ([`SessionCookie`](super::SessionCookie));
/// * its login form has an anti-forgery token of its own
///   ([`SessionSecret::form_token`](super::SessionSecret::form_token));
/// * a `form-action` in its content security policy lists the origins of the redirect URIs, because
///   browsers apply it to the redirect after the form, too.
pub trait Interaction: Send + Sync {
    /// Returns the login of the browser that sent `request`, from its cookies; `None` if no user is
    /// logged in.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if the host cannot tell. The browser gets the error page.
    fn login(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Option<Login>, DirectoryError>> + Send;

    /// Returns a login page or a redirect to one, because no user is logged in or the user has to log in
    /// again. Afterwards the host sends the browser to `return_to`, a path and query on this host.
    /// [`is_return_to`](crate::AuthorizationServer::is_return_to) checks it when the login form brings it back.
    fn login_page(
        &self,
        request: &Parts,
        authorization: &AuthorizationRequest,
        return_to: &str,
    ) -> impl Future<Output = Page> + Send;

    /// Returns the consent page, with a form that posts these fields to `action`:
    ///
    /// * `ticket`, hidden: [`ConsentPrompt::ticket`];
    /// * `scope`, once for each approved scope. A scope that is not sent is not granted. If the user may
    ///   not choose, the fields are hidden;
    /// * `decision`: `approve` or `deny`;
    /// * `remember`, with any value, to remember the decision.
    ///
    /// `action` is empty if the server's paths have no path for the decision. The host then calls
    /// [`decide`](crate::AuthorizationServer::decide) itself.
    fn consent_page(
        &self,
        request: &Parts,
        prompt: &ConsentPrompt,
        action: &str,
    ) -> impl Future<Output = Page> + Send;

    /// Returns the page for an error that cannot be redirected to the app. The library sets the status.
    ///
    /// The text of `error` and its causes are for a log. Ask the user to go back to the app and start again,
    /// or to try later if there is no [`rejection`](AuthorizationError::rejection).
    fn error_page(
        &self,
        request: &Parts,
        error: &AuthorizationError,
    ) -> impl Future<Output = Page> + Send;
}

/// The host's page of the [device grant](crate::guide::device_grant), for
/// [`HttpEndpoints::with_device_pages`](super::HttpEndpoints::with_device_pages).
///
/// The duties are those of [`Interaction`].
pub trait DevicePages: Interaction {
    /// Returns the page at `step`. The library sets the status of a step with an error.
    fn device_page(
        &self,
        request: &Parts,
        step: &DeviceStep<'_>,
    ) -> impl Future<Output = Page> + Send;
}

/// The step of a user at the page of the device grant (RFC 8628 section 3.3).
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host has to show all of them")]
pub enum DeviceStep<'a> {
    /// No user is logged in. The page is a login page or a redirect to one.
    LogIn {
        /// The path and query on this host. The browser goes there afterwards.
        return_to: &'a str,
    },
    /// The user types the code that the device shows. The form posts it to `action` as `user_code`.
    EnterCode {
        /// The path that the form posts to.
        action: &'a str,
        /// The code of the link that the user followed, to fill the field. The user still has to compare it with
        /// the device and to send the form.
        user_code: Option<&'a str>,
        /// The reason why the last code was not accepted. The library sets the status.
        error: Option<&'a AuthorizationError>,
    },
    /// The user is asked for consent. The form posts the fields of [`Interaction::consent_page`] to `action`, apart
    /// from `remember`: a device is always asked for anew.
    AskConsent {
        /// The path that the form posts to.
        action: &'a str,
        /// The content of the page.
        prompt: &'a DevicePrompt,
    },
    /// The decision is stored, and the user goes back to the device.
    Decided(&'a DeviceDecision),
}

impl<T: Interaction> Interaction for Arc<T> {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        T::login(self, request).await
    }

    async fn login_page(
        &self,
        request: &Parts,
        authorization: &AuthorizationRequest,
        return_to: &str,
    ) -> Page {
        T::login_page(self, request, authorization, return_to).await
    }

    async fn consent_page(&self, request: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        T::consent_page(self, request, prompt, action).await
    }

    async fn error_page(&self, request: &Parts, error: &AuthorizationError) -> Page {
        T::error_page(self, request, error).await
    }
}

impl<T: DevicePages> DevicePages for Arc<T> {
    async fn device_page(&self, request: &Parts, step: &DeviceStep<'_>) -> Page {
        T::device_page(self, request, step).await
    }
}

/// The [`Interaction`] of a server without an authorization endpoint.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoInteraction;

impl NoInteraction {
    /// Returns the only value.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

pub(super) fn not_found() -> Page {
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

    async fn consent_page(&self, _: &Parts, _: &ConsentPrompt, _: &str) -> Page {
        not_found()
    }

    async fn error_page(&self, _: &Parts, _: &AuthorizationError) -> Page {
        not_found()
    }
}
