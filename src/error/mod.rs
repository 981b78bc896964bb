//! Errors of the endpoints: whose fault, what exactly, and what the client may know.
//!
//! A [`Rejection`] is the request's fault, a [`Fault`] is this server's or that of something it
//! needs. The wire code is derived from the cause in one place, [`Rejection::error_code`], and the
//! description is static text: nothing else of the cause reaches the wire. The cause itself reaches
//! the audit event, with the step that refused and the setting that decided.

mod rejection;
mod rejection_table;

use std::fmt;

pub use rejection::Rejection;

use crate::hooks::HookError;
use crate::jwt::SigningError;
use crate::random::RandomError;
use crate::rate_limit::RetryAfter;
use crate::store::StoreError;
use crate::users::DirectoryError;

/// The codes of RFC 6749 sections 4.1.2.1 and 5.2, of RFC 8707 section 2, and of OpenID Connect Core
/// 1.0 section 3.1.2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// `access_denied`
    AccessDenied,
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
    /// The code on the wire.
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
            Self::AccessDenied => "access_denied",
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

/// What failed on this side. The client is told `server_error`, or where it has to ask again
/// `temporarily_unavailable`; nothing was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The store could not do it, or does not know whether it was done.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user directory could not tell.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The source of randomness gave nothing.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A hook of the host failed, or added a claim that is reserved.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// An app's sealed signature secret does not open: the server secret lost its root.
    #[error("the signature secret of the app does not open under any root of the server secret")]
    SealedSecret,
    /// The host named an empty session, which would bind a consent ticket to no session at all.
    #[error("the host named an empty session")]
    EmptySession,
    /// The store gave an answer that its contract rules out.
    #[error("the store broke its contract: {0}")]
    StoreContract(&'static str),
}

/// Why a request got nothing of what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The request was at fault.
    #[error("the request was rejected")]
    Rejected {
        /// How.
        #[source]
        rejection: Rejection,
        /// After how many seconds it is worth another try, where a limit was exceeded.
        retry_after: Option<u64>,
    },
    /// This server, or something it needs, was at fault.
    #[error("the request failed")]
    Failed(#[from] Fault),
    /// The same, where what was asked for may not have been done and has to be asked for again: a
    /// revocation (RFC 7009 section 2.2.1).
    #[error("the request failed, and has to be repeated")]
    Unavailable(#[source] Fault),
}

/// After how many seconds a revocation that failed is asked for again. Soon: the token may live on.
const REPEAT_AFTER: u64 = 5;

impl EndpointError {
    pub(crate) fn limited(rejection: Rejection, retry_after: RetryAfter) -> Self {
        Self::Rejected { rejection, retry_after: Some(retry_after.seconds) }
    }
}

impl From<Rejection> for EndpointError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected { rejection, retry_after: None }
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
    /// The code on the wire.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::Rejected { rejection, .. } => rejection.error_code(),
            Self::Failed(_) => ErrorCode::ServerError,
            Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
        }
    }

    /// What happened, where the request was at fault.
    #[must_use]
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected { rejection, .. } => Some(rejection),
            Self::Failed(_) | Self::Unavailable(_) => None,
        }
    }

    /// After how many seconds it is worth another try, where a limit was exceeded or the request has
    /// to be repeated: `Retry-After`.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Rejected { retry_after, .. } => *retry_after,
            Self::Unavailable(_) => Some(REPEAT_AFTER),
            Self::Failed(_) => None,
        }
    }

    /// The HTTP status (RFC 6749 section 5.2, RFC 7009 section 2.2.1).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Rejected { rejection: Rejection::FormTooLarge, .. } => 413,
            Self::Rejected { rejection, .. } => match rejection.error_code() {
                ErrorCode::InvalidClient => 401,
                ErrorCode::TemporarilyUnavailable => 429,
                ErrorCode::InvalidRequest
                | ErrorCode::InvalidGrant
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::UnsupportedResponseType
                | ErrorCode::InvalidScope
                | ErrorCode::InvalidTarget
                | ErrorCode::AccessDenied
                | ErrorCode::LoginRequired
                | ErrorCode::ConsentRequired
                | ErrorCode::ServerError => 400,
            },
            Self::Failed(_) => 500,
            Self::Unavailable(_) => 503,
        }
    }

    /// The body of the error response (RFC 6749 section 5.2), as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let description = match self {
            Self::Rejected { rejection, .. } => rejection.description(),
            Self::Failed(_) | Self::Unavailable(_) => "the server failed, try again later".into(),
        };
        // Codes, descriptions and the names of parameters need no escaping.
        format!(
            r#"{{"error":"{}","error_description":"{description}"}}"#,
            self.error_code().as_str()
        )
    }
}
