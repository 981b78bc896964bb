//! The table of rejections: the wire code and the audit entry of each cause.

use super::assertion_settings::{assertion_setting, client_assertion_setting};
use super::document_entry::{DOCUMENT_GONE, SELF_DESCRIBED_APP, document_entry};
use super::policy_entry::{impersonation_reason, policy_entry};
use super::{ErrorCode, Rejection};
use crate::audit::{
    ASSERTION_REPLAYED, CODE_GUESSED, CODE_REPLAYED, REFRESH_TOKEN_REUSED, TOO_MANY_FAILURES,
    UNKNOWN_CLIENT,
};
use crate::jwt::AssertionError;
use crate::observe::Step;
use crate::store::{AssertionPurpose, GrantRefusal};

/// One row of the table.
pub(super) struct Entry {
    pub(super) code: ErrorCode,
    pub(super) step: Step,
    pub(super) reason: &'static str,
    pub(super) description: &'static str,
    pub(super) setting: Option<&'static str>,
}

pub(super) const fn entry(
    code: ErrorCode,
    step: Step,
    reason: &'static str,
    description: &'static str,
) -> Entry {
    Entry { code, step, reason, description, setting: None }
}

impl Entry {
    /// Sets the setting that decided.
    pub(super) const fn decided_by(self, setting: &'static str) -> Self {
        Self { setting: Some(setting), ..self }
    }
}

const CLIENT: &str = "client authentication failed";
const HANDLE: &str = "the code or refresh token is invalid, expired, revoked, or bound to another \
                      app, redirect_uri or code_verifier";
const ASSERTION_USED: &str = "the assertion was used before: the claim jti must be new";
const JTI_MISSING: &str = "the claim jti is missing or not a string; the app's setting jwt.jti \
                           may allow assertions without it";
const TOKEN: &str = "the token is not active";
const USER: &str = "the app may not act as this user";

impl Rejection {
    /// Maps each cause to its wire code, step, reason and description. The match is exhaustive, so
    /// that a new cause does not compile until its author decides how much the client may learn.
    ///
    /// Descriptions name the parameter or claim at fault. They do not distinguish an unknown client
    /// from a wrong secret, nor an expired code from a stolen one.
    #[expect(clippy::too_many_lines, reason = "one table row per cause")]
    pub(super) const fn entry(&self) -> Entry {
        use ErrorCode as C;
        use Step as S;
        match self {
            Self::MalformedForm => entry(
                C::InvalidRequest,
                S::Parse,
                "malformed_form",
                "the request is not form-encoded, or exceeds a limit",
            ),
            Self::FormTooLarge => entry(
                C::InvalidRequest,
                S::Parse,
                "form_too_large",
                "the request is longer than 64 KiB",
            ),
            Self::DuplicateParameter(_) => entry(
                C::InvalidRequest,
                S::Parse,
                "duplicate_parameter",
                "a parameter appears more than once",
            ),
            Self::MissingParameter(_) => {
                entry(C::InvalidRequest, S::Parse, "missing_parameter", "a parameter is missing")
            }
            Self::UnsupportedParameter(_) => entry(
                C::InvalidRequest,
                S::Parse,
                "unsupported_parameter",
                "a parameter has an unsupported value",
            ),
            Self::UnsupportedGrantType => entry(
                C::UnsupportedGrantType,
                S::Parse,
                "unsupported_grant_type",
                "grant_type is not supported",
            ),
            Self::MalformedScope => entry(
                C::InvalidScope,
                S::Scope,
                "malformed_scope",
                "scope is malformed: it is a list of tokens with spaces between",
            ),
            Self::MalformedResource => entry(
                C::InvalidTarget,
                S::Parse,
                "malformed_resource",
                "resource must be an absolute URI without a fragment",
            ),
            Self::ResourcesTooLong => entry(
                C::InvalidTarget,
                S::Parse,
                "resources_too_long",
                "the resource parameters are longer than 1024 bytes",
            ),
            Self::StateTooLong => entry(
                C::InvalidRequest,
                S::Parse,
                "state_too_long",
                "state is longer than 4096 bytes",
            ),
            Self::MalformedDevice => entry(
                C::InvalidRequest,
                S::Parse,
                "malformed_device",
                "install_tag_id must be 1 to 128 bytes of printable ASCII",
            ),
            Self::MalformedDeviceName => entry(
                C::InvalidRequest,
                S::Parse,
                "malformed_device_name",
                "install_name must be 1 to 128 characters without control characters",
            ),
            Self::MalformedAuthorization => {
                entry(C::InvalidClient, S::Client, "malformed_authorization", CLIENT)
            }
            Self::TwoAuthenticationMethods => entry(
                C::InvalidRequest,
                S::Client,
                "two_authentication_methods",
                "the request uses more than one client authentication method",
            ),
            Self::ClientIdMismatch => entry(
                C::InvalidRequest,
                S::Client,
                "client_id_mismatch",
                "client_id differs from the one in the Authorization header",
            ),
            Self::AssertionClientIdMismatch => {
                entry(C::InvalidClient, S::Client, "client_id_mismatch", CLIENT)
            }
            Self::ClientAssertionType => entry(
                C::InvalidRequest,
                S::Client,
                "client_assertion_type",
                "client_assertion and client_assertion_type go together, and the type is \
                 urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            Self::NoCredentials => entry(C::InvalidClient, S::Client, "no_credentials", CLIENT),
            Self::UnknownClient => entry(C::InvalidClient, S::Client, UNKNOWN_CLIENT, CLIENT),
            Self::AppDisabled => {
                entry(C::InvalidClient, S::Client, "app_disabled", CLIENT).decided_by("enabled")
            }
            Self::ClientDocument(problem) => document_entry(*problem),
            Self::ClientKeysUnavailable => {
                entry(C::InvalidClient, S::Client, "client_keys_unavailable", CLIENT)
                    .decided_by("authentication")
            }
            Self::WrongSecret => entry(C::InvalidClient, S::Client, "wrong_secret", CLIENT)
                .decided_by("client_secrets"),
            Self::WrongAuthenticationMethod => {
                entry(C::InvalidClient, S::Client, "wrong_authentication_method", CLIENT)
                    .decided_by("authentication")
            }
            Self::ClientAssertion(error) => {
                let description = client_assertion_description(*error);
                entry(C::InvalidClient, S::Client, "client_assertion", description)
                    .decided_by(client_assertion_setting(*error))
            }
            Self::AssertionReplayed(AssertionPurpose::ClientAuthentication) => {
                entry(C::InvalidClient, S::Client, ASSERTION_REPLAYED, ASSERTION_USED)
            }
            Self::AssertionReplayed(AssertionPurpose::Grant) => {
                entry(C::InvalidGrant, S::Claim, ASSERTION_REPLAYED, ASSERTION_USED)
            }
            Self::TooManyFailures => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                TOO_MANY_FAILURES,
                "too many failures, try again later",
            )
            .decided_by("rate_limits"),
            Self::GrantOverused => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "grant_overused",
                "the code, token or assertion is used too often, try again later",
            )
            .decided_by("rate_limits"),
            Self::TooManyWipeRequests => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "too_many_wipe_requests",
                "too many requests about a wipe: this answers nothing, try again later",
            )
            .decided_by("rate_limits"),
            Self::TooManySlowChecks => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "too_many_slow_checks",
                "too many secrets are being checked, try again in a second",
            )
            .decided_by("client_secrets"),
            Self::QuotaExceeded => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "quota_exceeded",
                "too many requests, try again later",
            )
            .decided_by("rate_quota"),
            Self::FlowNotAllowed(_) => entry(
                C::UnauthorizedClient,
                S::Grant,
                "flow_not_allowed",
                "the app may not use this grant type",
            )
            .decided_by("flows"),
            Self::DocumentGone => DOCUMENT_GONE,
            Self::RefreshNotAllowed => entry(
                C::UnauthorizedClient,
                S::Grant,
                "refresh_not_allowed",
                "the app may not use refresh tokens",
            )
            .decided_by("refresh_token"),
            Self::InvalidHandle(_) => entry(C::InvalidGrant, S::Grant, "invalid_handle", HANDLE),
            Self::GrantRefused(_, refusal) => {
                entry(C::InvalidGrant, S::Claim, refusal_reason(*refusal), HANDLE)
            }
            Self::Overtaken => entry(
                C::InvalidGrant,
                S::Claim,
                "overtaken",
                "access was revoked during the request; repeat the request",
            ),
            Self::BindingMismatch => entry(C::InvalidGrant, S::Claim, "binding_mismatch", HANDLE),
            Self::CodeGuessed => entry(C::InvalidGrant, S::Claim, CODE_GUESSED, HANDLE),
            Self::VerifierMissing => {
                entry(C::InvalidGrant, S::Grant, "verifier_missing", "code_verifier is missing")
            }
            Self::VerifierMalformed => entry(
                C::InvalidGrant,
                S::Grant,
                "verifier_malformed",
                "code_verifier must be 43 to 128 unreserved characters",
            ),
            Self::CodeReplayed => entry(C::InvalidGrant, S::Claim, CODE_REPLAYED, HANDLE),
            Self::RefreshTokenReused => {
                entry(C::InvalidGrant, S::Claim, REFRESH_TOKEN_REUSED, HANDLE)
            }
            Self::WrongKey => entry(C::InvalidGrant, S::Claim, "wrong_key", HANDLE),
            Self::DeviceGrant(refusal) => refusal.entry(),
            Self::Assertion(error) => {
                let jti_missing = matches!(error, AssertionError::JtiMissing);
                let description = if jti_missing { JTI_MISSING } else { error.description() };
                let entry = entry(C::InvalidGrant, S::Grant, "assertion", description);
                Entry { setting: assertion_setting(*error), ..entry }
            }
            Self::DeviceToBeWiped => entry(
                C::InvalidGrant,
                S::Claim,
                "device_to_be_wiped",
                "the device has to be wiped: the app wipes its data, reports it, and asks again",
            ),
            Self::DeviceNotAllowed => entry(
                C::InvalidRequest,
                S::Parse,
                "device_not_allowed",
                "install_tag_id names the device of a user, and this grant type has no user at one",
            )
            .decided_by("mobile_security"),
            Self::UnknownUser => entry(C::InvalidGrant, S::Grant, "unknown_user", USER),
            Self::InactiveUser => entry(C::InvalidGrant, S::Grant, "inactive_user", USER),
            Self::SubjectIsClientId => entry(
                C::InvalidGrant,
                S::Grant,
                "subject_is_client_id",
                "the user has the same identifier as the app",
            ),
            Self::ImpersonationDenied(why) => {
                entry(C::InvalidGrant, S::Grant, impersonation_reason(*why), USER)
                    .decided_by("jwt.impersonation")
            }
            Self::Exchange(refusal) => refusal.entry(),
            Self::IssuerKeysUnavailable => entry(
                C::InvalidGrant,
                S::Grant,
                "issuer_keys_unavailable",
                "the keys of the issuer of the assertion cannot be fetched, try again later",
            )
            .decided_by("trusted_issuers"),
            Self::PolicyRefused(kind, refusal) => policy_entry(*kind, *refusal),
            Self::ScopeExceedsApp => entry(
                C::InvalidScope,
                S::Scope,
                "scope_exceeds_app",
                "scope exceeds the scope of the app",
            )
            .decided_by("scope"),
            Self::ScopeExceedsPolicy => entry(
                C::InvalidScope,
                S::Scope,
                "scope_exceeds_policy",
                "scope exceeds the app's scope for impersonation",
            )
            .decided_by("jwt.impersonation.scope"),
            Self::ScopeExceedsAssertion => entry(
                C::InvalidScope,
                S::Scope,
                "scope_exceeds_assertion",
                "scope exceeds the claim scope of the assertion",
            ),
            Self::ScopeExceedsGrant => entry(
                C::InvalidScope,
                S::Scope,
                "scope_exceeds_grant",
                "scope exceeds the granted scope",
            ),
            Self::ScopeWithdrawn => entry(
                C::InvalidScope,
                S::Scope,
                "scope_withdrawn",
                "the app may no longer use any of the granted scope",
            )
            .decided_by("scope"),
            Self::ResourceNotAllowed => entry(
                C::InvalidTarget,
                S::Scope,
                "resource_not_allowed",
                "the app may not request tokens for this resource",
            )
            .decided_by("resources"),
            Self::ResourceNotGranted => entry(
                C::InvalidTarget,
                S::Scope,
                "resource_not_granted",
                "resource was not in the authorization request: name it there",
            ),
            Self::SeveralResources => entry(
                C::InvalidTarget,
                S::Parse,
                "several_resources",
                "a token is for one resource: send one resource parameter a token request",
            ),
            Self::Vetoed(reason) => {
                entry(C::AccessDenied, S::Hook, reason, "the request was denied")
                    .decided_by("hooks")
            }
            Self::UnknownToken => entry(C::InvalidGrant, S::Grant, "unknown_token", TOKEN),
            Self::ForeignToken => entry(C::InvalidGrant, S::Grant, "foreign_token", TOKEN),
            Self::ExpiredToken => entry(C::InvalidGrant, S::Grant, "expired_token", TOKEN),
            Self::SpentToken => entry(C::InvalidGrant, S::Grant, "spent_token", TOKEN),
            Self::RevokedToken => entry(C::InvalidGrant, S::Grant, "revoked_token", TOKEN),
            Self::NotToBeWiped => entry(
                C::InvalidGrant,
                S::Claim,
                "not_to_be_wiped",
                "no wipe of the device is pending",
            ),
            Self::NoMobileSecurity => entry(
                C::InvalidRequest,
                S::Grant,
                "no_mobile_security",
                "the app has no rules for phones",
            )
            .decided_by("mobile_security"),
            Self::PublicApp => entry(C::InvalidClient, S::Client, "public_app", CLIENT)
                .decided_by("authentication"),
            Self::SelfDescribedApp => SELF_DESCRIBED_APP,
            Self::NotAResourceServer => entry(
                C::UnauthorizedClient,
                S::Client,
                "not_a_resource_server",
                "the app is not a resource server",
            )
            .decided_by("resource_servers"),
            Self::Registration(refusal) => refusal.entry(),
            Self::GlobalRevocation(refusal) => refusal.entry(),
            Self::RedirectUri => entry(
                C::InvalidRequest,
                S::Parse,
                "redirect_uri",
                "redirect_uri is not registered for the app",
            )
            .decided_by("redirect_uris"),
            Self::UnsupportedResponseType => entry(
                C::UnsupportedResponseType,
                S::Parse,
                "unsupported_response_type",
                "response_type must be code",
            ),
            Self::CodeChallenge(error) => {
                entry(C::InvalidRequest, S::Parse, "code_challenge", error.description())
            }
            Self::LoginRequired => entry(
                C::LoginRequired,
                S::Grant,
                "login_required",
                "the user must log in, and prompt is none",
            ),
            Self::AuthTimeUnknown => entry(
                C::LoginRequired,
                S::Grant,
                "auth_time_unknown",
                "the server does not know when the user logged in",
            ),
            Self::ConsentRequired => entry(
                C::ConsentRequired,
                S::Grant,
                "consent_required",
                "the user must consent, and prompt is none",
            ),
            Self::ConsentDenied => {
                entry(C::AccessDenied, S::Grant, "consent_denied", "the user denied the request")
            }
            Self::InvalidTicket => entry(
                C::InvalidRequest,
                S::Grant,
                "invalid_ticket",
                "the request does not belong to this session",
            ),
            Self::TicketExpired => entry(
                C::InvalidRequest,
                S::Grant,
                "ticket_expired",
                "the request has expired, start again",
            ),
            Self::AlreadyDecided => entry(
                C::InvalidRequest,
                S::Claim,
                "already_decided",
                "the request was decided before",
            ),
        }
    }
}

const fn refusal_reason(refusal: GrantRefusal) -> &'static str {
    match refusal {
        GrantRefusal::Unknown => "grant_unknown",
        GrantRefusal::Expired => "grant_expired",
        GrantRefusal::Revoked => "grant_revoked",
    }
}

/// Returns the description of a refused client assertion. Before the signature is verified, it does not
/// tell an unknown app from a known one, nor which keys an app has.
const fn client_assertion_description(error: AssertionError) -> &'static str {
    use AssertionError as E;
    let unproven = matches!(error, E::Algorithm | E::UnknownKey | E::KeyIdMissing | E::Signature);
    if unproven { CLIENT } else { error.description() }
}
