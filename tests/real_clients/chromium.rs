//! A person with a real browser, Chromium.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;

use crate::support::{Chrome, Http, Seed, Server, chrome_is_there, code_url, parameters, skip};

const APP: &str = "demo-native";
const ENTER: &str = "\u{e007}";

/// Starts an app on this computer that waits for the browser on any port (RFC 8252 section 7.3).
fn waiting_app() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8_192];
            if stream.read(&mut request).unwrap_or(0) > 0 {
                let page = "<!doctype html><title>App</title><p id=app>You can close this window.";
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{page}",
                    page.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    format!("http://127.0.0.1:{port}/cb")
}

/// A27, A28 and A31: a person logs in, approves a part of the scope, and returns to the app with a valid
/// code. Asked again, the person denies.
#[test]
fn a_person_logs_in_agrees_and_refuses() {
    if !chrome_is_there() {
        return skip("a_person_logs_in_agrees_and_refuses", "Chromium and ChromeDriver");
    }
    let (server, seed, http) = (Server::start(), Seed::read(), Arc::new(Http::new()));
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let redirect_uri = waiting_app();
    let more = [("redirect_uri", &*redirect_uri), ("prompt", "consent")];
    let url = code_url(&server, &seed, APP, &verifier, &more);
    let chrome = Chrome::start();

    chrome.open(&url);
    chrome.screenshot("login");
    chrome.type_into("input[name=username]", "ann");
    chrome.type_into("input[name=password]", "not her password");
    chrome.type_into("input[name=password]", ENTER);
    chrome.wait_for("[role=alert]");
    chrome.screenshot("wrong-password");
    assert_eq!(chrome.count("input[name=password]"), 1, "she is asked again");
    assert!(chrome.url().as_str().starts_with(&server.issuer));

    chrome.open(&url);
    chrome.type_into("input[name=username]", "ann");
    chrome.type_into("input[name=password]", seed.password("ann"));
    chrome.type_into("input[name=password]", ENTER);
    chrome.wait_for("[name=decision][value=approve]");
    chrome.screenshot("consent");
    let text = chrome.text("body");
    assert!(text.contains(seed.settings(APP)["name"].as_str().unwrap()), "{text}");
    let scopes = seed.scope(APP).split(' ').count();
    assert_eq!(chrome.count("input[type=checkbox][name=scope]:checked"), scopes);
    chrome.click("[type=checkbox][value=profile]");
    chrome.click("[name=decision][value=approve]");
    assert!(chrome.text("#app").contains("close this window"));
    let answer = parameters(&chrome.url());
    assert!(chrome.url().as_str().starts_with(&redirect_uri));
    assert_eq!((&*answer["state"], &answer["iss"]), ("af0ifjsldkj", &server.issuer));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", APP),
        ("code", &answer["code"]),
        ("redirect_uri", &redirect_uri),
        ("code_verifier", verifier.expose_secret()),
    ];
    let tokens = http.post(&server.url("/oauth/token"), &[], &form);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let granted = tokens.text("scope");
    assert!(!granted.split(' ').any(|scope| scope == "profile"), "she unticked it: {granted}");
    assert_eq!(granted.split(' ').count(), scopes - 1, "{granted}");

    chrome.open(&url);
    chrome.click("[name=decision][value=deny]");
    assert!(chrome.text("#app").contains("close this window"));
    let answer = parameters(&chrome.url());
    assert_eq!((&*answer["error"], &*answer["state"]), ("access_denied", "af0ifjsldkj"));
    assert!(!answer.contains_key("code"));
}

/// A1 and A3: the browser shows an error in the request, and does not follow the redirect URI.
#[test]
fn a_person_sees_the_error_in_a_link() {
    if !chrome_is_there() {
        return skip("a_person_sees_the_error_in_a_link", "Chromium and ChromeDriver");
    }
    let (server, seed) = (Server::start(), Seed::read());
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let chrome = Chrome::start();
    let wrong = [
        ("unknown-client", ("client_id", "no-such-app")),
        ("unknown-redirect-uri", ("redirect_uri", "https://attacker.example/cb")),
    ];
    for (name, more) in wrong {
        let url = code_url(&server, &seed, APP, &verifier, &[more]);
        chrome.open(&url);
        chrome.screenshot(name);
        assert!(chrome.url().as_str().starts_with(&server.issuer), "{name}");
        assert_eq!(chrome.count("form, input, a[href*='attacker']"), 0, "{name}");
        assert!(!chrome.text("body").is_empty(), "{name}");
    }
}
