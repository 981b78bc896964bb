//! An administrator without script and mouse.

use super::{ENTER, assert_says, axe, sign_in};
use crate::support::{Chrome, Http, Server, basic};

const TAB: &str = "\u{e004}";

/// Presses the Tab key until a field or button with this id or value has the focus.
fn tab_to(chrome: &Chrome, name: &str) {
    for _ in 0..100 {
        let now = chrome.run(
            "const it = document.activeElement; return [it.id, it.value, it.textContent.trim()];",
        );
        if now.as_array().unwrap().iter().any(|own| own == name) {
            return;
        }
        chrome.keys(TAB);
    }
    panic!("the Tab key does not reach {name}");
}

/// H16: a page needs neither script nor mouse. The Copy buttons, which do, are not there.
#[test]
fn an_app_is_registered_by_keyboard_without_script() {
    let Some(_) = axe("an_app_is_registered_by_keyboard_without_script") else { return };
    let (server, http, chrome) = (Server::start(), Http::new(), Chrome::start());
    chrome.without_scripts();
    sign_in(&chrome, &server, "root", "/console");
    tab_to(&chrome, "New app");
    chrome.keys(ENTER);
    tab_to(&chrome, "name");
    chrome.keys("Night shift");
    tab_to(&chrome, "authorization_code");
    chrome.keys(" ");
    tab_to(&chrome, "client_credentials");
    chrome.keys(" ");
    tab_to(&chrome, "files.list");
    chrome.keys(" ");
    tab_to(&chrome, "Add application");
    chrome.keys(ENTER);
    chrome.wait_for("#client-secret");
    assert_says(&chrome, &["Night shift", "They cannot be shown again."]);
    assert!(!chrome.text("main").contains("Copy\n"), "a button that needs script");
    let credentials = basic(&chrome.text("#client-id"), &chrome.text("#client-secret"));
    let form = [("grant_type", "client_credentials")];
    let headers = [("authorization", &*credentials)];
    let token = http.post(&server.url("/oauth/token"), &headers, &form);
    assert_eq!((token.status, &*token.text("scope")), (200, "files.list"));
    tab_to(&chrome, "stored");
    chrome.keys(" ");
    tab_to(&chrome, "Continue");
    chrome.keys(ENTER);
    chrome.wait_for("nav.tabs");
    assert_says(&chrome, &["Night shift", "Client credentials"]);
}
