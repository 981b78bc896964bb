//! The host's part: who the administrator is, and with which role.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use zeroize::Zeroizing;

use super::own_form;
use crate::http::Page;
use crate::users::DirectoryError;

/// The host's part of the console: the login of the administrator.
///
/// The library ensures that forms come from the console's own pages in the same session, that each form is
/// allowed by the role, and that no page is framed or cached. The host ensures that the session is the
/// administrator's.
pub trait ConsoleAccess: Send + Sync {
    /// Returns the administrator who sent `request`, from its cookies; `None` if there is none. It is called once
    /// for each request, also for stylesheets.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if the host cannot tell. The browser gets a page with status 503.
    fn administrator(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Option<Administrator>, DirectoryError>> + Send;

    /// Returns the answer to a request without an administrator, such as a redirect to the host's login. The
    /// default is an empty answer with status 404.
    fn no_administrator(&self, request: &Parts) -> impl Future<Output = Page> + Send {
        let _ = request;
        let mut page = Page::default();
        *page.status_mut() = StatusCode::NOT_FOUND;
        std::future::ready(page)
    }
}

impl<T: ConsoleAccess> ConsoleAccess for Arc<T> {
    async fn administrator(
        &self,
        request: &Parts,
    ) -> Result<Option<Administrator>, DirectoryError> {
        T::administrator(self, request).await
    }

    async fn no_administrator(&self, request: &Parts) -> Page {
        T::no_administrator(self, request).await
    }
}

/// The role of an administrator. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConsoleRole {
    /// May look at everything but secrets. Pages have no buttons, and forms are refused with status 403.
    View,
    /// May also register apps, see the credentials of a new app, edit apps, check whether an app may act as a user,
    /// and preview tokens. May not change how an app authenticates, its keys, or the users that it may act as.
    Edit,
    /// May also let apps act as users, change how an app authenticates and its keys, rotate and see credentials,
    /// revoke access, disable and delete apps.
    Security,
}

/// An administrator in a session of the host.
///
/// `Debug` does not show the session's key.
#[derive(Clone)]
pub struct Administrator {
    name: Arc<str>,
    role: ConsoleRole,
    session: Zeroizing<String>,
}

impl Administrator {
    /// Creates an administrator. The audit log has the name as the actor.
    ///
    /// `session` is the key of the session, a text of at least 128 random bits that changes with each login, such
    /// as [`SessionSecret::form_token`](crate::http::SessionSecret::form_token). The tokens of forms are computed
    /// from it, and no page of the console shows it. With an empty key every form is refused.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, role: ConsoleRole, session: impl Into<String>) -> Self {
        Self { name: name.into(), role, session: Zeroizing::new(session.into()) }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the role.
    #[must_use]
    pub const fn role(&self) -> ConsoleRole {
        self.role
    }

    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Returns the token for the forms of this session.
    pub(super) fn form_token(&self) -> String {
        own_form::token(&[b"console form", self.session.as_bytes()])
    }

    /// Returns the token of a link that reports the change `name` in this session.
    pub(super) fn done_token(&self, name: &str) -> String {
        own_form::token(&[b"console done", name.as_bytes(), self.session.as_bytes()])
    }

    pub(super) fn names_no_session(&self) -> bool {
        self.session.is_empty()
    }
}

impl fmt::Debug for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
