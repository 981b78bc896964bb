use super::*;

/// N14: a fault that any app is refused for is told. Else the cause is the app, for the audit log.
#[test]
fn an_assertion_of_an_app_without_keys_is_refused_for_its_form_or_for_the_app() {
    use AssertionError::{Claims, ForbiddenHeader, Header, NotAJwt, Signature, Typ, UnknownKey};
    let refused =
        |known, fault| refused_without_keys(known, Err(Rejection::ClientAssertion(fault)));
    for fault in [NotAJwt, Header, ForbiddenHeader, Typ] {
        assert_eq!(refused(true, fault), Rejection::ClientAssertion(fault));
        assert_eq!(refused(false, fault), Rejection::ClientAssertion(fault));
    }
    for fault in [AssertionError::Algorithm, UnknownKey, Signature, Claims] {
        assert_eq!(refused(true, fault), Rejection::WrongAuthenticationMethod, "{fault:?}");
        assert_eq!(refused(false, fault), Rejection::UnknownClient, "{fault:?}");
    }
}
