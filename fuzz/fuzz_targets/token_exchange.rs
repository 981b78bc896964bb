//! With a genuine subject token, no request gets more by an exchange than the token, the policy and the app have;
//! no other token is exchanged, and no request fails.
#![no_main]

use std::sync::LazyLock;

use grantor::endpoint::{Approval, Caller, Decision, FormRequest, NextStep};
use grantor::protocol::{CodeVerifier, Scope};
use grantor::random::OsRandom;
use grantor_fuzz::world::{CALLBACK, CLIENT_ID, CLIENT_SECRET, SCOPE, TARGETS, WORLD};
use grantor_fuzz::{ISSUER, parts, signed};
use pollster::block_on;
use serde_json::Value;

const GRANT: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "subject_token_type=urn:ietf:params:oauth:token-type:access_token";

/// An access token of the user, by the code flow.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let server = &WORLD.server;
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let query = format!(
        "response_type=code&client_id={CLIENT_ID}&redirect_uri={CALLBACK}&code_challenge_method=S256&code_challenge={}",
        verifier.challenge(),
    );
    let request = block_on(server.authorization_request(&query, Caller::default())).unwrap();
    let asked = request.with_browser("browser");
    let Ok(NextStep::AskConsent(prompt)) = block_on(server.authorize(asked, Some(&WORLD.ann))) else {
        panic!("the user was not asked");
    };
    let yes = Decision::Approve(Approval::default());
    let answer = server.decide(&prompt.ticket, &WORLD.ann, yes, Caller::default());
    let location = block_on(answer).unwrap().location().to_owned();
    let code = location.split(['?', '&']).find_map(|it| it.strip_prefix("code=")).unwrap();
    let form = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}&code_verifier={}\
         &client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}",
        verifier.expose_secret(),
    );
    let tokens = block_on(server.token(&FormRequest::new(&form))).unwrap();
    tokens.access_token.expose_secret().to_owned()
});

// The rest of the form, a header, and claims that are signed with a key that is not the server's.
libfuzzer_sys::fuzz_target!(|input: &str| {
    let [rest, header, claims] = parts(input);
    let own = format!("{GRANT}&{TYPE}&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&{rest}");
    check(&format!("{own}&subject_token={}", *TOKEN), true);
    check(&format!("{own}&subject_token={}", signed(header, claims)), false);
});

fn check(form: &str, is_genuine: bool) {
    let answer = match block_on(WORLD.server.token(&FormRequest::new(form))) {
        Ok(answer) => answer,
        Err(error) => {
            assert!((400..500).contains(&error.status()), "{error:?}");
            return;
        }
    };
    assert!(is_genuine && answer.refresh_token.is_none() && answer.expires_in <= 3_600);
    assert!(Scope::parse(SCOPE).unwrap().covers(&answer.scope) && !answer.scope.is_empty());
    let token = answer.access_token.expose_secret();
    let payload = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&grantor_fuzz::decoded(payload)).unwrap();
    let audience = match &claims["aud"] {
        Value::Array(names) => names.clone(),
        name => vec![name.clone()],
    };
    let listed = |name: &Value| TARGETS.contains(&name.as_str().unwrap()) || name == ISSUER;
    assert!(audience.iter().all(listed), "{audience:?}");
    assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&"ann".into(), &CLIENT_ID.into()));
}
