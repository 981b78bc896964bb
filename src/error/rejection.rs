//! The causes of refused requests.

use std::borrow::Cow;
use std::fmt;

use super::{
    DeviceGrantRefusal, ErrorCode, ExchangeRefusal, GlobalRevocationRefusal, RegistrationRefusal,
};
use crate::app::policy::{EvidenceKind, Refusal};
use crate::app::{DocumentProblem, NotPermitted};
use crate::jwt::AssertionError;
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;
use crate::protocol::pkce::CodeChallengeError;
use crate::store::{AssertionPurpose, GrantRefusal};

/// The cause of a refused request, for the audit log. It holds names, never secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    // -- parse
    /// The form or query is not form-encoded UTF-8, or exceeds a limit.
    MalformedForm,
    /// The form is longer than 64 KiB.
    FormTooLarge,
    /// A parameter appears more than once.
    DuplicateParameter(&'static str),
    /// A required parameter is absent or empty.
    MissingParameter(&'static str),
    /// A parameter has an unsupported value.
    UnsupportedParameter(&'static str),
    /// `grant_type` is not supported.
    UnsupportedGrantType,
    /// `scope` breaks the grammar of RFC 6749 section 3.3.
    MalformedScope,
    /// `resource` is not an absolute URI without a fragment.
    MalformedResource,
    /// The `resource` parameters are too long together.
    ResourcesTooLong,
    /// `state` is too long.
    StateTooLong,
    /// `install_tag_id` is not 1 to 128 bytes of printable ASCII.
    MalformedDevice,
    /// `install_name` is not 1 to 128 characters without control characters.
    MalformedDeviceName,
    // -- client authentication
    /// The `Authorization` header is malformed.
    MalformedAuthorization,
    /// The request uses more than one client authentication method.
    TwoAuthenticationMethods,
    /// `client_id` differs from the `Authorization` header.
    ClientIdMismatch,
    /// `client_id` differs from the assertion.
    AssertionClientIdMismatch,
    /// `client_assertion_type` is unknown, or only one of it and `client_assertion` is present.
    ClientAssertionType,
    /// The request does not identify the app, or does not authenticate it.
    NoCredentials,
    /// No app has this client id.
    UnknownClient,
    /// The app is disabled.
    AppDisabled,
    /// The app describes itself in a document, which is not usable now.
    ClientDocument(DocumentProblem),
    /// The client secret is wrong or expired.
    WrongSecret,
    /// The app must use another authentication method.
    WrongAuthenticationMethod,
    /// The keys at the app's `jwks_uri` cannot be fetched.
    ClientKeysUnavailable,
    /// The client assertion is invalid.
    ClientAssertion(AssertionError),
    /// The assertion was used before.
    AssertionReplayed(AssertionPurpose),
    // -- limits
    /// Too many failures came from this source.
    TooManyFailures,
    /// The code or refresh token of a public app, or the assertion that alone authenticates an app, is
    /// used too often.
    GrantOverused,
    /// The source, or the device, asks too often about a wipe.
    TooManyWipeRequests,
    /// Too many slow digests of imported secrets are checked at this moment.
    TooManySlowChecks,
    /// The app exceeded its quota.
    QuotaExceeded,
    // -- grant
    /// The app may not use this grant type.
    FlowNotAllowed(GrantType),
    /// The document that describes the app is gone.
    DocumentGone,
    /// The app may not use refresh tokens.
    RefreshNotAllowed,
    /// The server did not issue this code or refresh token to this app.
    InvalidHandle(GrantType),
    /// The grant of the code or refresh token is unknown, expired or revoked.
    GrantRefused(GrantType, GrantRefusal),
    /// A revocation overlaps the request and covers the access that it would have got. Nothing was used up.
    Overtaken,
    /// The code is bound to another verifier or redirect URI.
    BindingMismatch,
    /// The code was presented with wrong bindings too often, and is now void.
    CodeGuessed,
    /// `code_verifier` is missing.
    VerifierMissing,
    /// `code_verifier` breaks the grammar of RFC 7636 section 4.1.
    VerifierMalformed,
    /// The code was redeemed before. Its grant is now revoked.
    CodeReplayed,
    /// The refresh token was used before. Its grant is now revoked.
    RefreshTokenReused,
    /// The refresh token is bound to a key or certificate that the request does not prove.
    WrongKey,
    /// The device grant refuses a request, a poll or a user code.
    DeviceGrant(DeviceGrantRefusal),
    /// The assertion of the JWT bearer grant is invalid.
    Assertion(AssertionError),
    /// The assertion names an unknown user.
    UnknownUser,
    /// A wipe of the device is pending. Nothing was used up.
    DeviceToBeWiped,
    /// The request names a device in a grant without a user at one.
    DeviceNotAllowed,
    /// The account of the user was deleted or is not active.
    InactiveUser,
    /// The user has the identifier of the app. Its token would pass for the app's own.
    SubjectIsClientId,
    /// The app's policy does not let it impersonate this user.
    ImpersonationDenied(NotPermitted),
    /// The keys of the trusted issuer that signed the assertion cannot be fetched.
    IssuerKeysUnavailable,
    /// The policy engine refuses other evidence than an assertion of the app.
    PolicyRefused(EvidenceKind, Refusal),
    /// Token exchange refuses a token, its target or its scope.
    Exchange(ExchangeRefusal),
    // -- scope
    /// The request exceeds the app's scope.
    ScopeExceedsApp,
    /// The request exceeds the scope of the app's impersonation policy.
    ScopeExceedsPolicy,
    /// The request exceeds the `scope` claim of its assertion.
    ScopeExceedsAssertion,
    /// The request exceeds the granted scope.
    ScopeExceedsGrant,
    /// The app may no longer use any of the granted scope.
    ScopeWithdrawn,
    /// The app gets no tokens for the resource.
    ResourceNotAllowed,
    /// The resource was not in the authorization request.
    ResourceNotGranted,
    /// The token request names several resources.
    SeveralResources,
    // -- hooks
    /// The host vetoed the token for this reason.
    Vetoed(&'static str),
    // -- revocation and introspection; the client does not see these
    /// The server did not issue this token.
    UnknownToken,
    /// The app may not revoke or introspect this token.
    ForeignToken,
    /// The token has expired.
    ExpiredToken,
    /// The refresh token was already rotated.
    SpentToken,
    /// The token was revoked, or its app is disabled, deleted or without refresh tokens.
    RevokedToken,
    /// No wipe of the device of this token is pending, or the token proves no device.
    NotToBeWiped,
    // -- the policy document
    /// The app has no rules for phones.
    NoMobileSecurity,
    // -- introspection and the revocation feed
    /// The app is public. A client id alone does not authenticate it.
    PublicApp,
    /// The app registered itself, or a document describes it. It may not introspect, nor read the feed.
    SelfDescribedApp,
    /// The app does not belong to a resource server.
    NotAResourceServer,
    // -- registration of apps by themselves
    /// The registration, or its management by the app, is refused.
    Registration(RegistrationRefusal),
    // -- global token revocation
    /// The request of a trusted issuer to end the access of a user is refused.
    GlobalRevocation(GlobalRevocationRefusal),
    // -- authorization endpoint
    /// `redirect_uri` is not registered, or is absent although the app has several.
    RedirectUri,
    /// `response_type` is not supported.
    UnsupportedResponseType,
    /// The code challenge is absent, malformed or not S256.
    CodeChallenge(CodeChallengeError),
    /// The user is not logged in, or the login is too old, and `prompt=none` forbids a page.
    LoginRequired,
    /// The request needs a fresh login, and the host does not report when the user logged in.
    AuthTimeUnknown,
    /// The user must consent, and `prompt=none` forbids a page.
    ConsentRequired,
    /// The user denied consent.
    ConsentDenied,
    /// The consent ticket is invalid, or belongs to another user or session.
    InvalidTicket,
    /// The consent ticket has expired.
    TicketExpired,
    /// The ticket was decided differently before, or its code was used.
    AlreadyDecided,
}

impl Rejection {
    /// Returns the code on the wire.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        self.entry().code
    }

    /// Returns the `error_description`: static text, plus at most the name of a known parameter.
    #[must_use]
    pub fn description(&self) -> Cow<'static, str> {
        if let Self::MissingParameter(name) = self {
            format!("{name} is missing").into()
        } else if let Self::UnsupportedParameter(name) = self {
            format!("{name} has an unsupported value").into()
        } else if let Self::DuplicateParameter(name) = self {
            format!("{name} appears more than once").into()
        } else if let Self::ClientDocument(DocumentProblem::Member(name)) = self {
            format!("{name} in the client metadata document is not usable").into()
        } else if let Self::Registration(refusal) = self {
            refusal.description()
        } else if let Self::Exchange(ExchangeRefusal::Evidence(error)) = self {
            format!("subject_token: {}", error.description()).into()
        } else {
            self.entry().description.into()
        }
    }

    /// Returns a stable name for logs and searches.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.entry().reason
    }

    /// Returns true if the cause is the state of a presented token. The response then does not
    /// reveal the cause (RFC 7009 section 2.2, RFC 7662 section 2.2).
    pub(crate) const fn is_token_state(&self) -> bool {
        matches!(
            self,
            Self::UnknownToken
                | Self::ForeignToken
                | Self::ExpiredToken
                | Self::SpentToken
                | Self::RevokedToken
        )
    }

    /// Returns the step that refused the request.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.entry().step
    }

    /// Returns the setting of the app or server that decided, if any. An administrator can change
    /// it.
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
