//! What exactly was wrong with a request, and what the client may know of it.

use std::borrow::Cow;
use std::fmt;

use super::ErrorCode;
use crate::app::NotPermitted;
use crate::jwt::AssertionError;
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::CodeChallengeError;
use crate::store::{AssertionPurpose, GrantRefusal};

/// Why a request was refused. Holds names, never secrets; for the audit log, not for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    // -- parse
    /// The form or query is not form-encoded UTF-8, or one of its limits is exceeded.
    MalformedForm,
    /// The form is longer than 64 KiB.
    FormTooLarge,
    /// A parameter appears twice.
    DoubledParameter(&'static str),
    /// A mandatory parameter is absent or empty.
    MissingParameter(&'static str),
    /// A parameter has a value that is not offered.
    UnsupportedParameter(&'static str),
    /// `grant_type` is not offered.
    UnsupportedGrantType,
    /// `scope` breaks the grammar of RFC 6749 section 3.3.
    MalformedScope,
    /// `resource` is not an absolute URI without fragment.
    MalformedResource,
    // -- authenticate the client
    /// The `Authorization` header cannot be read.
    MalformedAuthorization,
    /// Credentials of two kinds in one request.
    TwoAuthenticationMethods,
    /// `client_id` is not the one that the `Authorization` header names.
    ClientIdMismatch,
    /// `client_id` is not the one that the assertion names.
    AssertionClientIdMismatch,
    /// `client_assertion_type` is missing or unknown, or it stands alone.
    ClientAssertionType,
    /// Nothing says which app it is, or nothing proves it.
    NoCredentials,
    /// No app has this client id.
    UnknownClient,
    /// The app is disabled.
    AppDisabled,
    /// The secret is none of the app's, or has expired.
    WrongSecret,
    /// The app is held to another way of authentication.
    WrongAuthenticationMethod,
    /// The assertion that should authenticate the app is not acceptable.
    ClientAssertion(AssertionError),
    /// The assertion was used before.
    AssertionReplayed(AssertionPurpose),
    // -- limits
    /// Too many failures from this source.
    TooManyFailures,
    /// The app's quota is used up.
    QuotaExceeded,
    // -- validate the grant
    /// The app does not have this flow.
    FlowNotAllowed(GrantType),
    /// The app does not have refresh tokens.
    RefreshNotAllowed,
    /// The code or refresh token is not one that this server gave to this app.
    NotOurHandle(GrantType),
    /// The code or refresh token leads to a grant that gives nothing.
    GrantRefused(GrantType, GrantRefusal),
    /// The verifier or the redirect URI is not the one to which the code is bound.
    BindingMismatch,
    /// The same once too often: the code is void.
    CodeGuessed,
    /// `code_verifier` is missing.
    VerifierMissing,
    /// `code_verifier` breaks the grammar of RFC 7636 section 4.1.
    VerifierMalformed,
    /// The code was redeemed before. Its grant is revoked.
    CodeReplayed,
    /// The refresh token was spent before. Its grant is revoked.
    RefreshTokenReused,
    /// The assertion that should be the grant is not acceptable.
    Assertion(AssertionError),
    /// The assertion names nobody in the directory.
    UnknownUser,
    /// The account of the user is gone or not active.
    InactiveUser,
    /// The app's policy does not let it act as this user.
    ImpersonationDenied(NotPermitted),
    // -- decide the scope
    /// More scope than the app may have.
    ScopeExceedsApp,
    /// More scope than the app may have as another user.
    ScopeExceedsPolicy,
    /// More scope than was granted.
    ScopeExceedsGrant,
    /// Nothing that was granted is still allowed.
    ScopeWithdrawn,
    /// A resource for which the app gets no tokens, or for which access was not granted.
    ResourceNotAllowed,
    // -- hooks
    /// The host said no, for this reason.
    Vetoed(&'static str),
    // -- revocation and introspection of a token, where the client is not told
    /// The token is none that this server gave.
    UnknownToken,
    /// The token is not one that the app may revoke or ask about.
    ForeignToken,
    /// The token has expired.
    ExpiredToken,
    /// The refresh token is not the live one of its grant.
    SpentToken,
    /// The token was revoked, or its app is disabled or gone, or may not use a refresh token any more.
    RevokedToken,
    // -- introspection and the feed of revocations
    /// A public app proves nothing by its name, and nothing else proves it here.
    PublicApp,
    /// The app is not that of a resource server.
    NotAResourceServer,
    // -- authorization endpoint
    /// `redirect_uri` is none of the app's, or it is absent and the app has not exactly one.
    RedirectUri,
    /// `response_type` is not offered.
    UnsupportedResponseType,
    /// The code challenge is absent, malformed or not S256.
    CodeChallenge(CodeChallengeError),
    /// Nobody is logged in, or not freshly enough, and no page may be shown.
    LoginRequired,
    /// A fresh login is demanded, and the host does not tell when the user logged in.
    AuthTimeUnknown,
    /// The user would have to be asked, and no page may be shown.
    ConsentRequired,
    /// The user said no.
    ConsentDenied,
    /// The ticket is not this server's, or not for this user and session.
    NotOurTicket,
    /// The ticket has expired.
    TicketExpired,
    /// The ticket was decided otherwise, or its code was used.
    AlreadyDecided,
}

impl Rejection {
    /// The code on the wire.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        self.entry().code
    }

    /// What the client is told beside the code: text that depends on nothing but the kind of
    /// refusal and, at most, the name of a known parameter.
    #[must_use]
    pub fn description(&self) -> Cow<'static, str> {
        if let Self::MissingParameter(name) = self {
            format!("{name} is missing").into()
        } else if let Self::UnsupportedParameter(name) = self {
            format!("{name} has a value that is not offered").into()
        } else if let Self::DoubledParameter(name) = self {
            format!("{name} appears more than once").into()
        } else {
            self.entry().description.into()
        }
    }

    /// A stable name for logs and searches.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.entry().reason
    }

    /// Whether it says something of a token that was presented to be revoked or asked about: then
    /// the answer is one that says nothing (RFC 7009 section 2.2, RFC 7662 section 2.2).
    pub(crate) const fn is_of_token(&self) -> bool {
        matches!(
            self,
            Self::UnknownToken
                | Self::ForeignToken
                | Self::ExpiredToken
                | Self::SpentToken
                | Self::RevokedToken
        )
    }

    /// Where in the pipeline it was refused.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.entry().step
    }

    /// The setting of the app or the server that decided, where one did: what an administrator
    /// would have to change.
    #[must_use]
    pub const fn setting(&self) -> Option<&'static str> {
        self.entry().setting
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Rejection {}
