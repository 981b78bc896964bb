//! For any query, errors are redirected only to the registered URI, and a prompt can be denied.
#![no_main]

use std::sync::LazyLock;

use grantor::AuthorizationServer;
use grantor::app::{AppDraft, Flow};
use grantor::endpoint::{AuthorizationError, Decision, Login, NextStep};
use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::{Issuer, Subject};
use grantor::users::{MemoryUsers, User};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::protocol::{RedirectUri, Scope};
use grantor::server_secret::ServerSecret;
use grantor::store::{GrantStore as _, MemoryStore};
use grantor_fuzz::{Edits, ISSUER, NOW, SECRET, edited, form};
use pollster::block_on;

const CALLBACK: &str = "https://app.example.com/cb";

struct World {
    server: AuthorizationServer<MemoryStore, MemoryUsers>,
    client_id: String,
    ann: Login,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let ann = Subject::new("ann").unwrap();
    let server = AuthorizationServer::builder(
        Issuer::new(ISSUER).unwrap(),
        ServerSecret::new(SECRET).unwrap(),
        SigningKey::generate(Algorithm::EdDSA).unwrap(),
        MemoryStore::new(),
        MemoryUsers::new([User::new(ann.clone())]),
    )
    .clock(ManualClock::new(UnixTime::from_seconds(NOW)))
    .build();
    let draft = AppDraft::confidential("Reports")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
        .scope(Scope::parse("a b c").unwrap());
    let app = block_on(server.admin("fuzzer").register(draft.build().unwrap())).unwrap();
    let ann = Login::new(ann, "session").with_auth_time(UnixTime::from_seconds(NOW));
    World { server, client_id: app.client_id.to_string(), ann }
});

libfuzzer_sys::fuzz_target!(|input: (&str, Edits<'_>)| {
    let (text, edits) = input;
    let parameters = [
        ("client_id", WORLD.client_id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("state", ""),
        ("scope", ""),
        ("resource", ""),
        ("prompt", ""),
        ("max_age", ""),
        ("login_after", ""),
        ("response_mode", ""),
        ("request", ""),
    ];
    let nearly = form(&edited(&parameters, &edits));
    check(text);
    check(&nearly);
    check(&format!("{nearly}&{text}"));
});

fn check(query: &str) {
    let server = &WORLD.server;
    let request = match block_on(server.authorization_request(query, None)) {
        Ok(request) => request,
        Err(error) => return check_error(&error),
    };
    assert_eq!(request.redirect_uri().as_str(), CALLBACK);
    assert!(Scope::parse("a b c").unwrap().covers(request.scope()));
    let prompt = match block_on(server.authorize(request, Some(&WORLD.ann))) {
        Ok(NextStep::AskConsent(prompt)) => prompt,
        Ok(NextStep::LogIn(needed)) => return check_return(&needed.return_query),
        Ok(NextStep::Redirect(_)) => panic!("the user was not asked for consent"),
        Err(error) => return check_error(&error),
    };
    let denied = server.decide(&prompt.ticket, &WORLD.ann, Decision::Deny, None);
    let denied = block_on(denied).unwrap_err();
    assert!(denied.location().is_some());
    check_error(&denied);
    // Allocations that stay would look like a leak, and libFuzzer would check for one after every
    // input.
    block_on(server.store().prune(UnixTime::MAX, usize::MAX)).unwrap();
}

/// Checks that the same query prompts the user after the required login.
fn check_return(query: &str) {
    let server = &WORLD.server;
    let request = block_on(server.authorization_request(query, None)).unwrap();
    let prompted = block_on(server.authorize(request, Some(&WORLD.ann))).unwrap();
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
