//! Logins that the server asks for, and logins that it must not ask for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;

use crate::sandbox::wait_until;
use crate::support::{Browser, Http, Seed, Server, basic, code_url, parameters, redirect_uri};

const APP: &str = "demo-web";

/// Returns the URL of a request with additional parameters.
fn url(server: &Server, seed: &Seed, more: &[(&str, &str)]) -> String {
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    code_url(server, seed, APP, &verifier, more)
}

/// With `prompt=none` the app gets an error instead of a page for the user.
#[test]
fn prompt_none_shows_no_page() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let mut browser = Browser::new(&http);
    let silent = url(&server, &seed, &[("prompt", "none")]);
    let answer = parameters(&browser.open(&silent).app());
    assert_eq!((&*answer["error"], &answer["iss"]), ("login_required", &server.issuer));
    let user = ("ann", seed.password("ann"));
    browser.authorize(&url(&server, &seed, &[]), user, "approve").app();
    let answer = parameters(&browser.open(&silent).app());
    assert_eq!(answer["error"], "consent_required");
}

/// R23: if the app wants it, a user with a session is asked for the password again, once, and the token
/// carries the time of that login.
#[test]
fn prompt_login_and_max_age_ask_for_the_password_once() {
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let user = ("ann", seed.password("ann"));
    let mut browser = Browser::new(&http);
    browser.authorize(&url(&server, &seed, &[]), user, "approve").app();
    let page = browser.open(&url(&server, &seed, &[])).page();
    assert!(!page.forms.iter().any(|form| form.has("password")), "she is logged in");
    for more in [("prompt", "login"), ("max_age", "0")] {
        // Two logins differ by their second.
        let login = jsonwebtoken::get_current_timestamp();
        wait_until("two seconds are over", || jsonwebtoken::get_current_timestamp() >= login + 2);
        let before = jsonwebtoken::get_current_timestamp();
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let again = code_url(&server, &seed, APP, &verifier, &[more]);
        let page = browser.open(&again).page();
        assert!(page.forms.iter().any(|form| form.has("password")), "{more:?}: {}", page.html);
        // `authorize` gives up after a few pages, so a circle would fail here.
        let answer = parameters(&browser.authorize(&again, user, "approve").app());
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &answer["code"]),
            ("redirect_uri", &redirect_uri(&seed, APP)),
            ("code_verifier", verifier.expose_secret()),
        ];
        let authorization = basic(APP, seed.client_secret(APP).unwrap());
        let headers = [("authorization", &*authorization)];
        let token = http.post(&server.url("/oauth/token"), &headers, &form).text("access_token");
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let auth_time = claims["auth_time"].as_u64().unwrap();
        let now = jsonwebtoken::get_current_timestamp();
        assert!((before..=now).contains(&auth_time), "{more:?}: {before} {auth_time} {now}");
    }
}
