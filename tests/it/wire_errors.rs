//! The errors on the wire: the whole table, and that nothing else reaches the client.

use std::borrow::Cow;
use std::collections::BTreeSet;

use grantor::app::policy::{EvidenceKind as Kind, Refusal as By};
use grantor::app::{DelegationRule as D, DocumentProblem, NotPermitted};
use grantor::error::{
    DeviceGrantRefusal, EndpointError, ErrorCode, ExchangeRefusal as Exchange, Fault,
    GlobalRevocationRefusal as Global, RegistrationRefusal as Refusal, Rejection, TokenFault,
};
use grantor::jwt::AssertionError;
use grantor::protocol::{CodeChallengeError, GrantType};
use grantor::store::{AssertionPurpose, GrantRefusal, StoreError};
use serde_json::Value;

use crate::assertions::{Signer, backend_app};
use crate::support::{App, World, basic, code_app, encode};

/// Every rejection with its code and status. A rejection with a cause is listed once for each cause
/// that has its own wire code.
pub(crate) const TABLE: &[(Rejection, &str, u16)] = {
    use Rejection as R;
    const GRANT: GrantType = GrantType::RefreshToken;
    &[
        (R::MalformedForm, "invalid_request", 400),
        (R::FormTooLarge, "invalid_request", 413),
        (R::DuplicateParameter("scope"), "invalid_request", 400),
        (R::MissingParameter("code"), "invalid_request", 400),
        (R::UnsupportedParameter("response_mode"), "invalid_request", 400),
        (R::UnsupportedGrantType, "unsupported_grant_type", 400),
        (R::MalformedScope, "invalid_scope", 400),
        (R::MalformedResource, "invalid_target", 400),
        (R::ResourcesTooLong, "invalid_target", 400),
        (R::SeveralResources, "invalid_target", 400),
        (R::StateTooLong, "invalid_request", 400),
        (R::MalformedDevice, "invalid_request", 400),
        (R::MalformedDeviceName, "invalid_request", 400),
        (R::MalformedAuthorization, "invalid_client", 401),
        (R::TwoAuthenticationMethods, "invalid_request", 400),
        (R::ClientIdMismatch, "invalid_request", 400),
        (R::AssertionClientIdMismatch, "invalid_client", 401),
        (R::ClientAssertionType, "invalid_request", 400),
        (R::NoCredentials, "invalid_client", 401),
        (R::UnknownClient, "invalid_client", 401),
        (R::AppDisabled, "invalid_client", 401),
        (R::WrongSecret, "invalid_client", 401),
        (R::WrongAuthenticationMethod, "invalid_client", 401),
        (R::ClientAssertion(AssertionError::Sub), "invalid_client", 401),
        (R::AssertionReplayed(AssertionPurpose::Grant), "invalid_grant", 400),
        (R::AssertionReplayed(AssertionPurpose::ClientAuthentication), "invalid_client", 401),
        (R::TooManyFailures, "temporarily_unavailable", 429),
        (R::TooManyWipeRequests, "temporarily_unavailable", 429),
        (R::TooManySlowChecks, "temporarily_unavailable", 429),
        (R::GrantOverused, "temporarily_unavailable", 429),
        (R::QuotaExceeded, "temporarily_unavailable", 429),
        (R::FlowNotAllowed(GRANT), "unauthorized_client", 400),
        (R::RefreshNotAllowed, "unauthorized_client", 400),
        (R::InvalidHandle(GRANT), "invalid_grant", 400),
        (R::GrantRefused(GRANT, GrantRefusal::Unknown), "invalid_grant", 400),
        (R::GrantRefused(GRANT, GrantRefusal::Expired), "invalid_grant", 400),
        (R::GrantRefused(GRANT, GrantRefusal::Revoked), "invalid_grant", 400),
        (R::Overtaken, "invalid_grant", 400),
        (R::BindingMismatch, "invalid_grant", 400),
        (R::CodeGuessed, "invalid_grant", 400),
        (R::DeviceGrant(DeviceGrantRefusal::Pending), "authorization_pending", 400),
        (R::DeviceGrant(DeviceGrantRefusal::TooHasty), "slow_down", 400),
        (R::DeviceGrant(DeviceGrantRefusal::Expired), "expired_token", 400),
        (R::DeviceGrant(DeviceGrantRefusal::Denied), "access_denied", 400),
        (R::DeviceGrant(DeviceGrantRefusal::Spent), "invalid_grant", 400),
        (R::DeviceGrant(DeviceGrantRefusal::UnknownUserCode), "invalid_request", 400),
        (R::DeviceGrant(DeviceGrantRefusal::TooManyUserCodes), "temporarily_unavailable", 429),
        (R::DeviceGrant(DeviceGrantRefusal::TooManyRequests), "temporarily_unavailable", 429),
        (R::VerifierMissing, "invalid_grant", 400),
        (R::VerifierMalformed, "invalid_grant", 400),
        (R::CodeReplayed, "invalid_grant", 400),
        (R::RefreshTokenReused, "invalid_grant", 400),
        (R::WrongKey, "invalid_grant", 400),
        (R::Assertion(AssertionError::ExpPast), "invalid_grant", 400),
        (R::DeviceToBeWiped, "invalid_grant", 400),
        (R::DeviceNotAllowed, "invalid_request", 400),
        (R::UnknownUser, "invalid_grant", 400),
        (R::InactiveUser, "invalid_grant", 400),
        (R::SubjectIsClientId, "invalid_grant", 400),
        (R::ImpersonationDenied(NotPermitted::NoneAllowed), "invalid_grant", 400),
        (R::ImpersonationDenied(NotPermitted::NotListed), "invalid_grant", 400),
        (R::ImpersonationDenied(NotPermitted::Excepted), "invalid_grant", 400),
        (R::ImpersonationDenied(NotPermitted::Inactive), "invalid_grant", 400),
        (R::PolicyRefused(Kind::IdentityAssertion, By::NotTrusted), "invalid_grant", 400),
        (R::PolicyRefused(Kind::IdentityAssertion, By::IssuerExpired), "invalid_grant", 400),
        (R::PolicyRefused(Kind::IdentityAssertion, By::AppNotNamed), "invalid_grant", 400),
        (R::PolicyRefused(Kind::Workload, By::AppNotNamed), "unauthorized_client", 400),
        (R::PolicyRefused(Kind::Workload, By::NoWorkloadRule), "invalid_grant", 400),
        (R::PolicyRefused(Kind::SubjectToken, By::UnknownUser), "invalid_request", 400),
        (R::PolicyRefused(Kind::SubjectToken, By::AppNotNamed), "invalid_request", 400),
        (R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::NoPolicy)), "invalid_request", 400),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::SourceNotListed)),
            "invalid_request",
            400,
        ),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::TargetNotListed)),
            "invalid_target",
            400,
        ),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::Impersonated)),
            "invalid_request",
            400,
        ),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::TooManyActors)),
            "invalid_request",
            400,
        ),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::NotForApp)),
            "invalid_request",
            400,
        ),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::ActorNotListed)),
            "invalid_request",
            400,
        ),
        (
            R::PolicyRefused(Kind::SubjectToken, By::Delegation(D::NotMayAct)),
            "invalid_request",
            400,
        ),
        (R::Exchange(Exchange::Subject(TokenFault::Invalid)), "invalid_request", 400),
        (R::Exchange(Exchange::Subject(TokenFault::Expired)), "invalid_request", 400),
        (R::Exchange(Exchange::Subject(TokenFault::Revoked)), "invalid_request", 400),
        (R::Exchange(Exchange::Subject(TokenFault::Bound)), "invalid_request", 400),
        (R::Exchange(Exchange::Subject(TokenFault::WrongSubject)), "invalid_request", 400),
        (R::Exchange(Exchange::Actor(TokenFault::Invalid)), "invalid_request", 400),
        (R::Exchange(Exchange::Actor(TokenFault::Expired)), "invalid_request", 400),
        (R::Exchange(Exchange::Actor(TokenFault::Revoked)), "invalid_request", 400),
        (R::Exchange(Exchange::Actor(TokenFault::Bound)), "invalid_request", 400),
        (R::Exchange(Exchange::Actor(TokenFault::WrongSubject)), "invalid_request", 400),
        (R::Exchange(Exchange::Evidence(AssertionError::Typ)), "invalid_request", 400),
        (R::Exchange(Exchange::UnknownIssuer), "invalid_request", 400),
        (R::Exchange(Exchange::IssuerKeysUnavailable), "invalid_request", 400),
        (R::Exchange(Exchange::Replayed), "invalid_request", 400),
        (R::Exchange(Exchange::InactiveUser), "invalid_request", 400),
        (R::Exchange(Exchange::NoTarget), "invalid_request", 400),
        (R::Exchange(Exchange::ScopeTooWide), "invalid_scope", 400),
        (R::Exchange(Exchange::NoScope), "invalid_scope", 400),
        (R::IssuerKeysUnavailable, "invalid_grant", 400),
        (R::ScopeExceedsPolicy, "invalid_scope", 400),
        (R::ScopeExceedsAssertion, "invalid_scope", 400),
        (R::ScopeExceedsApp, "invalid_scope", 400),
        (R::ScopeExceedsGrant, "invalid_scope", 400),
        (R::ScopeWithdrawn, "invalid_scope", 400),
        (R::ResourceNotAllowed, "invalid_target", 400),
        (R::ResourceNotGranted, "invalid_target", 400),
        (R::Vetoed("planted_reason"), "access_denied", 400),
        (R::UnknownToken, "invalid_grant", 400),
        (R::ForeignToken, "invalid_grant", 400),
        (R::ExpiredToken, "invalid_grant", 400),
        (R::SpentToken, "invalid_grant", 400),
        (R::RevokedToken, "invalid_grant", 400),
        (R::NotToBeWiped, "invalid_grant", 400),
        (R::NoMobileSecurity, "invalid_request", 404),
        (R::PublicApp, "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Gone), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::HostNotAllowed), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Address), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Unreachable), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Status), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::ContentType), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::TooLarge), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::ClientId), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Secret), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Member("jwks")), "invalid_client", 401),
        (R::ClientDocument(DocumentProblem::Changed), "invalid_request", 400),
        (R::ClientKeysUnavailable, "invalid_client", 401),
        (R::DocumentGone, "invalid_grant", 400),
        (R::ClientDocument(DocumentProblem::TooMany), "temporarily_unavailable", 429),
        (R::SelfDescribedApp, "unauthorized_client", 400),
        (R::NotAResourceServer, "unauthorized_client", 400),
        (R::Registration(Refusal::NotOffered), "invalid_request", 404),
        (R::Registration(Refusal::TooLarge), "invalid_client_metadata", 413),
        (
            R::Registration(Refusal::Metadata {
                member: "scope",
                problem: Cow::Borrowed("must be \"plain\""),
            }),
            "invalid_client_metadata",
            400,
        ),
        (
            R::Registration(Refusal::RedirectUris { problem: Cow::Borrowed("must be usable") }),
            "invalid_redirect_uri",
            400,
        ),
        (R::Registration(Refusal::NoToken), "invalid_token", 401),
        (R::Registration(Refusal::InitialAccessToken), "invalid_token", 401),
        (R::Registration(Refusal::AccessToken), "invalid_token", 401),
        (R::Registration(Refusal::NoSoftwareStatement), "invalid_software_statement", 400),
        (R::Registration(Refusal::SoftwareStatement), "invalid_software_statement", 400),
        (
            R::Registration(Refusal::UnapprovedSoftwareStatement),
            "unapproved_software_statement",
            400,
        ),
        (R::Registration(Refusal::TooMany), "temporarily_unavailable", 429),
        (R::Registration(Refusal::TooManyApps), "temporarily_unavailable", 429),
        (R::Registration(Refusal::Administered), "access_denied", 403),
        (R::GlobalRevocation(Global::NotOffered), "invalid_request", 404),
        (R::GlobalRevocation(Global::NoToken), "invalid_token", 401),
        (R::GlobalRevocation(Global::UnknownIssuer), "invalid_token", 401),
        (R::GlobalRevocation(Global::KeysUnavailable), "invalid_token", 401),
        (R::GlobalRevocation(Global::Token(AssertionError::Signature)), "invalid_token", 401),
        (R::GlobalRevocation(Global::Replayed), "invalid_token", 401),
        (R::GlobalRevocation(Global::IssuerNotAllowed), "access_denied", 403),
        (R::GlobalRevocation(Global::Subject), "invalid_request", 400),
        (R::GlobalRevocation(Global::SubjectNotAllowed), "access_denied", 403),
        (R::GlobalRevocation(Global::UnknownUser), "invalid_request", 404),
        (R::GlobalRevocation(Global::UserNotCovered), "invalid_request", 404),
        (R::RedirectUri, "invalid_request", 400),
        (R::UnsupportedResponseType, "unsupported_response_type", 400),
        (R::CodeChallenge(CodeChallengeError::Plain), "invalid_request", 400),
        (R::LoginRequired, "login_required", 400),
        (R::AuthTimeUnknown, "login_required", 400),
        (R::ConsentRequired, "consent_required", 400),
        (R::ConsentDenied, "access_denied", 400),
        (R::InvalidTicket, "invalid_request", 400),
        (R::TicketExpired, "invalid_request", 400),
        (R::AlreadyDecided, "invalid_request", 400),
    ]
};

/// Every fault of an assertion.
pub(crate) const ASSERTION_ERRORS: [AssertionError; 30] = {
    use AssertionError as E;
    [
        E::NotAJwt,
        E::Header,
        E::ForbiddenHeader,
        E::Typ,
        E::Algorithm,
        E::UnknownKey,
        E::KeyIdMissing,
        E::Signature,
        E::Claims,
        E::IssMissing,
        E::Iss,
        E::SubMissing,
        E::Sub,
        E::AudMissing,
        E::Aud,
        E::AudSeveral,
        E::ExpMissing,
        E::ExpPast,
        E::ExpTooFar,
        E::Nbf,
        E::Iat,
        E::JtiMissing,
        E::Jti,
        E::Scope,
        E::ClientId,
        E::Tenant,
        E::Resource,
        E::AuthorizationDetails,
        E::Act,
        E::Bound,
    ]
};

/// Returns the names of the variants of the public enum `name` in a source file.
fn variants(path: &str, name: &str) -> BTreeSet<String> {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    let body = source.split_once(&format!("pub enum {name} {{\n")).unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let names = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = names.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    names.map(variant_name).collect()
}

fn variant_name(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn body_of(rejection: &Rejection) -> Value {
    serde_json::from_str(&EndpointError::from(rejection.clone()).to_json()).unwrap()
}

#[test]
fn every_rejection_has_its_code_and_status() {
    let listed: BTreeSet<_> =
        TABLE.iter().map(|(rejection, ..)| variant_name(&format!("{rejection:?}"))).collect();
    let declared = variants("src/error/rejection.rs", "Rejection");
    assert_eq!(listed, declared, "a rejection is missing from the table");
    assert!(declared.len() > 40);
    for (rejection, code, status) in TABLE {
        let error = EndpointError::from(rejection.clone());
        assert_eq!(error.error_code().as_str(), *code, "{rejection:?}");
        assert_eq!(error.status(), *status, "{rejection:?}");
        assert_eq!(body_of(rejection)["error"], *code);
        assert_eq!(error.rejection(), Some(rejection));
        assert_eq!(error.retry_after(), None);
    }
}

/// The body has the code and the description and nothing else, in the characters that RFC 6749
/// section 5.2 allows.
#[test]
fn a_description_is_plain_static_text() {
    for (rejection, ..) in TABLE {
        let body = body_of(rejection);
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let text = body["error_description"].as_str().unwrap();
        assert_eq!(text, rejection.description());
        let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        assert!(!text.is_empty() && text.chars().all(allowed), "{text}");
        assert!(!text.contains("planted_reason"), "the client must not see the reason of a host");
    }
    for (rejection, name) in [
        (Rejection::MissingParameter("code"), "code is missing"),
        (Rejection::DuplicateParameter("code"), "code appears more than once"),
        (Rejection::UnsupportedParameter("code"), "code has an unsupported value"),
    ] {
        assert_eq!(rejection.description(), name);
    }
}

/// Rejections that would help an attacker look alike on the wire. The audit log tells them apart.
#[test]
fn rejections_that_would_help_an_attacker_look_alike() {
    use Rejection as R;
    const CODE: GrantType = GrantType::AuthorizationCode;
    for alike in [
        &[R::UnknownClient, R::WrongSecret, R::AppDisabled, R::NoCredentials, R::PublicApp][..],
        &[R::UnknownClient, R::WrongAuthenticationMethod, R::AssertionClientIdMismatch],
        &[
            R::InvalidHandle(CODE),
            R::GrantRefused(CODE, GrantRefusal::Unknown),
            R::GrantRefused(CODE, GrantRefusal::Expired),
            R::GrantRefused(CODE, GrantRefusal::Revoked),
            R::BindingMismatch,
            R::CodeGuessed,
            R::CodeReplayed,
            R::RefreshTokenReused,
            R::WrongKey,
        ],
        &[R::UnknownToken, R::ForeignToken, R::ExpiredToken, R::SpentToken, R::RevokedToken],
        &[
            R::UnknownUser,
            R::InactiveUser,
            R::ImpersonationDenied(NotPermitted::NotListed),
            R::ImpersonationDenied(NotPermitted::Excepted),
            R::PolicyRefused(Kind::IdentityAssertion, By::User(NotPermitted::NoneAllowed)),
        ],
    ] {
        for other in alike {
            assert_eq!(body_of(other), body_of(&alike[0]), "{other:?}");
        }
        let reasons: BTreeSet<_> = alike.iter().map(R::reason).collect();
        assert_eq!(reasons.len(), alike.len(), "the audit log tells them apart");
    }
}

/// Every fault of an assertion has a description of its own that names the claim.
#[test]
fn every_assertion_fault_has_a_description_of_its_own() {
    use AssertionError as E;
    let all = ASSERTION_ERRORS;
    let listed: BTreeSet<_> = all.iter().map(|error| format!("{error:?}")).collect();
    assert_eq!(listed, variants("src/jwt/assertion/error.rs", "AssertionError"));
    let texts: BTreeSet<_> = all.iter().map(|error| error.description()).collect();
    assert_eq!(texts.len(), all.len());
    for error in all {
        for (rejection, status) in
            [(Rejection::Assertion(error), 400), (Rejection::ClientAssertion(error), 401)]
        {
            let unproven = matches!(
                rejection,
                Rejection::ClientAssertion(
                    E::Algorithm | E::UnknownKey | E::KeyIdMissing | E::Signature
                )
            );
            let expected =
                if unproven { "client authentication failed" } else { error.description() };
            assert!(rejection.description().starts_with(expected), "{rejection:?}");
            assert_eq!(EndpointError::from(rejection).status(), status);
        }
    }
}

/// Every fault of this server is `server_error`.
#[test]
fn a_server_error_does_not_reveal_its_cause() {
    let error = EndpointError::from(Fault::Store(StoreError::new("planted cause")));
    assert_eq!((error.status(), error.error_code()), (500, ErrorCode::ServerError));
    assert!(!error.to_json().contains("planted"));
    assert!(error.rejection().is_none() && error.retry_after().is_none());
    let others = [Fault::SealedSecret, Fault::StoreContract("planted promise")];
    assert!(others.into_iter().all(|it| EndpointError::from(it).to_json() == error.to_json()));

    let again = EndpointError::Unavailable(Fault::Store(StoreError::new("planted cause")));
    assert_eq!((again.status(), again.error_code()), (503, ErrorCode::TemporarilyUnavailable));
    assert!(!again.to_json().contains("planted"));
    assert_eq!((again.rejection(), again.retry_after()), (None, Some(5)));
}

/// An error repeats no part of the request, in any parameter.
#[test]
fn no_error_echoes_the_request() {
    const PLANT: &str = "pl4nted\"<b>\\";
    let world = World::new();
    let app = world.register(code_app());
    let back_end = world.register(backend_app());
    let claims = serde_json::json!({ "iss": PLANT, "sub": PLANT, "aud": PLANT, "jti": PLANT });
    let assertion = Signer::backend().with_kid(PLANT).with_typ(Some(PLANT)).sign(&claims);
    let grants: [&[(&str, &str)]; 9] = [
        &[],
        &[("grant_type", PLANT)],
        &[("grant_type", "authorization_code"), ("code", PLANT), ("code_verifier", PLANT)],
        &[("grant_type", "authorization_code"), ("code", PLANT), ("redirect_uri", PLANT)],
        &[("grant_type", "refresh_token"), ("refresh_token", PLANT)],
        &[("grant_type", "client_credentials"), ("scope", PLANT)],
        &[("grant_type", "client_credentials"), ("resource", PLANT)],
        &[("grant_type", crate::assertions::JWT_BEARER), ("assertion", PLANT)],
        &[("grant_type", crate::assertions::JWT_BEARER), ("assertion", &assertion)],
    ];
    let mut seen = BTreeSet::new();
    let mut check = |answer: &crate::support::Answer| {
        assert_ne!(answer.status, 200);
        let text = answer.json.to_string();
        assert!(!text.contains("pl4nted") && !text.contains("<b>"), "{text}");
        seen.insert(answer.json["error"].as_str().unwrap().to_owned());
    };
    for grant in grants {
        for app in [&app, &back_end] {
            check(&world.post(app, grant));
            let doubled: Vec<_> = grant.iter().chain(grant).copied().collect();
            check(&world.post(app, &doubled));
            check(&world.post(app, &[grant, &[(PLANT, PLANT), (PLANT, PLANT)]].concat()));
            let liar = App { secret: Some(PLANT.to_owned()), ..app.clone() };
            check(&world.post(&liar, grant));
            check(&world.post_form(Some(PLANT), &encode(grant)));
            check(&world.post_form(Some(&basic(PLANT, PLANT)), &encode(grant)));
            let named = [grant, &[("client_id", PLANT), ("client_secret", PLANT)]].concat();
            check(&world.post_form(None, &encode(&named)));
            let asserted =
                [grant, &[("client_assertion_type", PLANT), ("client_assertion", PLANT)]].concat();
            check(&world.post_form(None, &encode(&asserted)));
        }
    }
    check(&world.post_form(None, "pl4nted=%zz"));
    check(&world.post_form(None, &"pl4nted&".repeat(10_000)));
    assert!(seen.len() >= 5, "{seen:?}");
}
