//! Problems that have a page of their own.

use askama::Template;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use super::access::ConsoleRole;
use super::frame::{Crumb, Frame};
use super::texts::{self, problems as text};
use super::visit::{Visit, nothing, render};
use crate::admin::{AdminError, ExportError};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::{Store, StoreError};
use crate::users::UserDirectory;

/// Why a page cannot be shown, or a form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// There is no such page.
    NotFound,
    /// There is no such app, any more.
    AppGone,
    /// There is no such device, any more.
    DeviceGone,
    /// There is no such trusted issuer, any more.
    IssuerGone,
    /// The app does not obey orders to wipe its data.
    NoRemoteWipe,
    /// There is no order to wipe the device that could be withdrawn, or given up.
    WipeNotWithdrawable,
    /// The administrator's role is too low.
    Role(ConsoleRole),
    /// The form was sent by another page than one of the console.
    ForeignForm,
    /// The form is of another session.
    StaleForm,
    /// The body is not a form.
    BadForm,
    /// The body is too long.
    TooLarge,
    /// There are more apps than an export can have.
    TooManyApps,
    /// The method is neither `GET` nor `POST`.
    MethodNotAllowed,
    /// Other administrators edit the app all the time.
    Conflict,
    /// The store or the user directory does not answer. A change may or may not have taken effect.
    Unavailable,
}

impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        Self::Unavailable
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound => Self::AppGone,
            AdminError::Conflict { .. } | AdminError::AlreadyExists => Self::Conflict,
            AdminError::Invalid(_) => Self::BadForm,
            AdminError::NoDevices
            | AdminError::NoTrustedIssuers
            | AdminError::NoDevicesOfTarget => Self::NotFound,
            AdminError::UnknownDevice => Self::DeviceGone,
            AdminError::NoRemoteWipe => Self::NoRemoteWipe,
            AdminError::WipeNotWithdrawable => Self::WipeNotWithdrawable,
            AdminError::Directory(_)
            | AdminError::Preview(_)
            | AdminError::Random(_)
            | AdminError::Store(_) => Self::Unavailable,
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::TooMany => Self::TooManyApps,
            ExportError::Store(_) => Self::Unavailable,
        }
    }
}

impl Problem {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NotFound | Self::AppGone | Self::DeviceGone | Self::IssuerGone => {
                StatusCode::NOT_FOUND
            }
            Self::Role(_) | Self::ForeignForm | Self::StaleForm => StatusCode::FORBIDDEN,
            Self::BadForm => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::TooManyApps | Self::NoRemoteWipe | Self::WipeNotWithdrawable => {
                StatusCode::CONFLICT
            }
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Adds the headers of a problem to its page.
    pub(super) fn add_headers(self, page: &mut Page) {
        if self == Self::MethodNotAllowed {
            page.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        if self == Self::Unavailable {
            page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound => text::NOT_FOUND,
            Self::AppGone => text::APP_GONE,
            Self::DeviceGone => text::DEVICE_GONE,
            Self::IssuerGone => text::ISSUER_GONE,
            Self::NoRemoteWipe => text::NO_REMOTE_WIPE,
            Self::WipeNotWithdrawable => text::WIPE_NOT_WITHDRAWABLE,
            Self::Role(ConsoleRole::Security) => text::ROLE_SECURITY,
            Self::Role(_) => text::ROLE_EDIT,
            Self::ForeignForm => text::FOREIGN_FORM,
            Self::StaleForm => text::STALE_FORM,
            Self::BadForm => text::BAD_FORM,
            Self::TooLarge => text::TOO_LARGE,
            Self::TooManyApps => text::TOO_MANY_APPS,
            Self::MethodNotAllowed => text::METHOD_NOT_ALLOWED,
            Self::Conflict => text::CONFLICT,
            Self::Unavailable => text::UNAVAILABLE,
        }
    }
}

#[derive(Template)]
#[template(path = "console/problem.html")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    sentence: &'static str,
    back: String,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Returns the page of a problem.
    pub(super) fn problem(&self, problem: Problem) -> Page {
        let (title, sentence) = problem.words();
        let back = self.link("/apps");
        let frame = self.frame(title).with_crumb(Crumb::apps(self));
        let page = ProblemPage { frame, sentence, back };
        let mut page =
            render(problem.status(), &page).unwrap_or_else(|_| nothing(problem.status()));
        problem.add_headers(&mut page);
        page
    }
}

/// Returns the answer if the host cannot tell who the administrator is. There is no frame for strangers.
pub(super) fn without_administrator() -> Page {
    let mut page = Response::new(text::UNAVAILABLE.1.as_bytes().to_vec());
    *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    page.headers_mut().insert(header::CONTENT_TYPE, plain);
    page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    page
}
