//! Errors of the endpoints.
//!
//! A [`Rejection`] is a fault of the request. A [`Fault`] is a failure of this server or of a
//! service that it depends on.
//!
//! [`Rejection::error_code`] derives the wire code from the cause, and the description is static
//! text. Nothing else about the cause reaches the client. The audit event holds the cause, the step
//! that refused and the setting that decided.

mod assertion_settings;
mod device_grant_refusal;
mod document_entry;
mod exchange_refusal;
mod global_revocation;
mod policy_entry;
mod registration;
mod rejection;
mod rejection_table;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

pub use device_grant_refusal::DeviceGrantRefusal;
pub use exchange_refusal::{ExchangeRefusal, TokenFault};
pub use global_revocation::GlobalRevocationRefusal;
pub use registration::RegistrationRefusal;
pub use rejection::Rejection;

use crate::hooks::HookError;
use crate::jwt::SigningError;
use crate::random::RandomError;
use crate::rate_limit::RetryAfter;
use crate::store::StoreError;
use crate::users::DirectoryError;

/// The error codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 7591 section 3.2.2, RFC 8707
/// section 2, and OpenID Connect Core 1.0 section 3.1.2.6.
#[doc(alias = "error")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_client`
    InvalidClient,
    /// `invalid_grant`
    InvalidGrant,
    /// `unauthorized_client`
    UnauthorizedClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `unsupported_response_type`
    UnsupportedResponseType,
    /// `invalid_scope`
    InvalidScope,
    /// `invalid_target` (RFC 8707)
    InvalidTarget,
    /// `invalid_token` (RFC 6750)
    InvalidToken,
    /// `invalid_redirect_uri` (RFC 7591)
    InvalidRedirectUri,
    /// `invalid_client_metadata` (RFC 7591)
    InvalidClientMetadata,
    /// `invalid_software_statement` (RFC 7591)
    InvalidSoftwareStatement,
    /// `unapproved_software_statement` (RFC 7591)
    UnapprovedSoftwareStatement,
    /// `access_denied`
    AccessDenied,
    /// `authorization_pending` (RFC 8628)
    AuthorizationPending,
    /// `slow_down` (RFC 8628)
    SlowDown,
    /// `expired_token` (RFC 8628)
    ExpiredToken,
    /// `login_required` (OpenID Connect Core 1.0)
    LoginRequired,
    /// `consent_required` (OpenID Connect Core 1.0)
    ConsentRequired,
    /// `server_error`
    ServerError,
    /// `temporarily_unavailable`
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// Returns the code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidToken => "invalid_token",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure on the server's side. The client gets `server_error`, or `temporarily_unavailable` if
/// it must repeat the request. No token was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The store failed, or does not know whether the operation took effect.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user directory failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The source of randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A hook of the host failed or added a reserved claim.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// No root of the server secret opens the app's sealed signature secret.
    #[error("the signature secret of the app does not open under any root of the server secret")]
    SealedSecret,
    /// The host passed an empty session id. It would bind a consent ticket to no session.
    #[error("the host named an empty session")]
    EmptySession,
    /// The host named no browser, and the request demands a visit to the login page. See
    /// [`with_browser`](crate::endpoint::AuthorizationRequest::with_browser).
    #[error("the host named no browser for a request that demands a visit to the login page")]
    UnknownBrowser,
    /// A refresh took so long that other requests have meanwhile used its token and the successor.
    #[error(
        "other requests have used the refresh token and its successor while this one was under way"
    )]
    Overtaken,
    /// The store broke its contract.
    #[error("the store broke its contract: {0}")]
    StoreContract(&'static str),
}

/// The reason that a request failed or was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The request was at fault.
    #[error("the request was rejected")]
    Rejected {
        /// The cause.
        #[source]
        rejection: Rejection,
        /// Seconds until a retry can succeed, if a limit was exceeded.
        retry_after: Option<u64>,
        /// The URL at which an app on a phone asks whether it has to wipe its data, if its refresh token is
        /// dead. An extension member of the body: RFC 6749 section 5.2 allows more members.
        wipe_check: Option<Arc<str>>,
    },
    /// This server, or a service that it depends on, was at fault.
    #[error("the request failed")]
    Failed(#[from] Fault),
    /// The operation may not have taken effect, and the client must repeat it. Used for revocation
    /// (RFC 7009 section 2.2.1), and for a refresh that others have [overtaken](Fault::Overtaken).
    #[error("the request failed, and has to be repeated")]
    Unavailable(#[source] Fault),
}

/// The `Retry-After` of a failed revocation, in seconds. It is short because the token may still be
/// active. That of a refresh is the same.
const REPEAT_AFTER: u64 = 5;

impl EndpointError {
    pub(crate) fn limited(rejection: Rejection, retry_after: RetryAfter) -> Self {
        let retry_after = Some(retry_after.seconds);
        Self::Rejected { rejection, retry_after, wipe_check: None }
    }

    /// Tells the client of a dead grant where to ask whether it has to wipe its data.
    pub(crate) fn with_wipe_check(mut self, url: Option<Arc<str>>) -> Self {
        if let Self::Rejected { rejection, wipe_check, .. } = &mut self
            && rejection.error_code() == ErrorCode::InvalidGrant
        {
            *wipe_check = url;
        }
        self
    }
}

impl From<Rejection> for EndpointError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected { rejection, retry_after: None, wipe_check: None }
    }
}

macro_rules! endpoint_error_from_fault {
    ($($cause:ty),+) => {
        $(impl From<$cause> for EndpointError {
            fn from(cause: $cause) -> Self {
                Self::Failed(cause.into())
            }
        })+
    };
}

endpoint_error_from_fault!(StoreError, DirectoryError, RandomError, SigningError, HookError);

impl EndpointError {
    /// Returns the code on the wire.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::Rejected { rejection, .. } => rejection.error_code(),
            Self::Failed(_) => ErrorCode::ServerError,
            Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
        }
    }

    /// Returns the cause if the request was at fault.
    #[must_use]
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected { rejection, .. } => Some(rejection),
            Self::Failed(_) | Self::Unavailable(_) => None,
        }
    }

    /// Returns the `Retry-After` value in seconds, if a limit was exceeded or the client must
    /// repeat the request.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Rejected { retry_after, .. } => *retry_after,
            Self::Unavailable(_) => Some(REPEAT_AFTER),
            Self::Failed(_) => None,
        }
    }

    /// Returns the HTTP status (RFC 6749 section 5.2, RFC 7009 section 2.2.1).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Rejected {
                rejection:
                    Rejection::FormTooLarge | Rejection::Registration(RegistrationRefusal::TooLarge),
                ..
            } => 413,
            Self::Rejected {
                rejection:
                    Rejection::NoMobileSecurity
                    | Rejection::Registration(RegistrationRefusal::NotOffered),
                ..
            } => 404,
            Self::Rejected {
                rejection: Rejection::Registration(RegistrationRefusal::Administered),
                ..
            } => 403,
            Self::Rejected { rejection: Rejection::GlobalRevocation(refusal), .. } => {
                refusal.status()
            }
            Self::Rejected { rejection, .. } => match rejection.error_code() {
                ErrorCode::InvalidClient | ErrorCode::InvalidToken => 401,
                ErrorCode::TemporarilyUnavailable => 429,
                ErrorCode::InvalidRequest
                | ErrorCode::InvalidGrant
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::UnsupportedResponseType
                | ErrorCode::InvalidScope
                | ErrorCode::InvalidTarget
                | ErrorCode::InvalidRedirectUri
                | ErrorCode::InvalidClientMetadata
                | ErrorCode::InvalidSoftwareStatement
                | ErrorCode::UnapprovedSoftwareStatement
                | ErrorCode::AccessDenied
                | ErrorCode::AuthorizationPending
                | ErrorCode::SlowDown
                | ErrorCode::ExpiredToken
                | ErrorCode::LoginRequired
                | ErrorCode::ConsentRequired
                | ErrorCode::ServerError => 400,
            },
            Self::Failed(_) => 500,
            Self::Unavailable(_) => 503,
        }
    }

    /// Returns the body of the error response (RFC 6749 section 5.2) as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (description, wipe_check) = match self {
            Self::Rejected { rejection, wipe_check, .. } => {
                (rejection.description(), wipe_check.as_deref())
            }
            Self::Failed(_) | Self::Unavailable(_) => {
                ("the server failed, try again later".into(), None)
            }
        };
        let error = self.error_code();
        ErrorBody { error, error_description: &description, wipe_check }.to_json()
    }
}

/// The body of an error response (RFC 6749 section 5.2).
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    pub(crate) error: ErrorCode,
    pub(crate) error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wipe_check: Option<&'a str>,
}

impl ErrorBody<'_> {
    pub(crate) fn to_json(&self) -> String {
        // Strings always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}
