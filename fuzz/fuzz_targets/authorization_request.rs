//! For any query, errors are redirected only to the registered URI, and a prompt can be denied.
#![no_main]

use grantor::clock::UnixTime;
use grantor::endpoint::{Caller, AuthorizationError, Decision, NextStep};
use grantor::protocol::Scope;
use grantor::store::GrantStore as _;
use grantor_fuzz::world::{CALLBACK, SCOPE, WORLD};
use pollster::block_on;

libfuzzer_sys::fuzz_target!(|query: &str| {
    let server = &WORLD.server;
    let request = match block_on(server.authorization_request(query, Caller::default())) {
        Ok(request) => request,
        Err(error) => return check_error(&error),
    };
    assert_eq!(request.redirect_uri().as_str(), CALLBACK);
    assert!(Scope::parse(SCOPE).unwrap().covers(request.scope()));
    let prompt = match block_on(server.authorize(request.with_browser("browser"), Some(&WORLD.ann))) {
        Ok(NextStep::AskConsent(prompt)) => prompt,
        Ok(NextStep::LogIn(needed)) => return check_return(&needed.return_query),
        Ok(NextStep::Redirect(_)) => panic!("the user was not asked for consent"),
        Err(error) => return check_error(&error),
    };
    let denied = server.decide(&prompt.ticket, &WORLD.ann, Decision::Deny, Caller::default());
    let denied = block_on(denied).unwrap_err();
    assert!(denied.location().is_some());
    check_error(&denied);
    // Keeps the memory flat over millions of inputs.
    block_on(server.store().prune(UnixTime::MAX, usize::MAX)).unwrap();
});

/// Checks that the same query prompts the user after the required login.
fn check_return(query: &str) {
    let server = &WORLD.server;
    let request = block_on(server.authorization_request(query, Caller::default())).unwrap();
    let prompted = block_on(server.authorize(request.with_browser("browser"), Some(&WORLD.ann))).unwrap();
    assert!(matches!(prompted, NextStep::AskConsent(_)));
}

fn check_error(error: &AuthorizationError) {
    match error {
        AuthorizationError::Redirect { response, .. } => {
            let rest = response.location().strip_prefix(CALLBACK).unwrap();
            assert!(rest.starts_with("?error=") && rest.is_ascii());
            assert!(!rest.contains(|c: char| c.is_ascii_control() || c == '#' || c == ' '));
        }
        AuthorizationError::Show { error, .. } => assert!(error.status() < 500),
        _ => panic!("an unknown kind of error"),
    }
}
