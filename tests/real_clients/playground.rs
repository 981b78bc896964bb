//! The playground of the console, in Chromium: the whole exchange, from the login to the revocation.

use crate::console_in_chromium::axe;
use crate::console_in_chromium::inspection::Inspection;
use crate::sandbox::wait_until;
use crate::support::{Chrome, Seed, Server};

const ENTER: &str = "\u{e007}";
/// The endpoint of the demo's catalog that needs the scope `profile`, and one that needs another scope.
const ALLOWED: &str = "[data-method=GET][data-path='/api/me']";
const MISSING: &str = "[data-method=PUT][data-path='/api/files/{id}']";

/// A page of the playground with its app, for the administrator `root`.
fn open_playground(server: &Server, seed: &Seed, chrome: &Chrome) {
    chrome.open(&server.url("/console/playground"));
    chrome.type_into("input[name=username]", "root");
    chrome.type_into("input[name=password]", seed.password("root"));
    chrome.type_into("input[name=password]", ENTER);
    chrome.wait_for("h1");
    chrome.click("main form[action$='/playground/app'] button");
    chrome.wait_for("#start");
}

/// Presses `Send` of an endpoint, until its result says `expected`.
fn call(chrome: &Chrome, endpoint: &str, expected: &str) -> String {
    let mut said = String::new();
    wait_until(&format!("{endpoint} answers {expected}"), || {
        let before = chrome.count("#timeline > li");
        chrome.click(&format!("{endpoint} [data-send]"));
        wait_until("the call has an answer", || chrome.count("#timeline > li[data-good]") > before);
        said = chrome.text(&format!("{endpoint} [data-result]"));
        said.contains(expected)
    });
    said
}

/// H18, H19, H21, H23: an administrator gets a token, looks into it, refreshes it, calls the API with and without the
/// scope that it needs, and revokes it. The token is in no storage, no address and no log.
#[test]
fn an_administrator_tries_a_whole_exchange_in_the_browser() {
    let test = "an_administrator_tries_a_whole_exchange_in_the_browser";
    let Some(axe) = axe(test) else { return };
    let (server, seed) = (Server::with(&["--no-limits", "--playground", "--log"]), Seed::read());
    let chrome = Chrome::start();
    let inspection = Inspection::new(&chrome, &axe);
    open_playground(&server, &seed, &chrome);
    assert_eq!(chrome.count("#needs-script:not([hidden])"), 0);
    let own = chrome.url();
    for scope in chrome.values("#scopes input") {
        if scope != "profile" {
            chrome.click(&format!("#scopes input[value='{scope}']"));
        }
    }
    let windows = chrome.windows();
    assert_eq!(windows.len(), 1);
    chrome.click("#start");
    // The window of the login shows the consent page, because root is signed in.
    let popup = chrome.new_window(&windows);
    chrome.switch_to(&popup);
    chrome.wait_for("[name=decision][value=approve]");
    chrome.screenshot("playground-consent");
    assert_eq!(chrome.count("input[type=checkbox][name=scope]:checked"), 1);
    chrome.click("[name=decision][value=approve]");
    chrome.switch_to(&windows[0]);
    chrome.wait_for("#token:not([hidden])");
    wait_until("the window of the login is closed", || chrome.windows() == windows);
    inspection.check_filled("playground-token");
    let claims = chrome.text("#claims");
    for expected in
        ["sub", "root", "Subject: the user", "profile", &server.issuer, "at+jwt", "Expires"]
    {
        assert!(claims.contains(expected), "{expected}: {claims}");
    }
    let timeline = chrome.text("#timeline");
    assert!(timeline.contains("code_verifier=(folded)"), "{timeline}");
    assert!(timeline.contains("\"access_token\": (folded)"), "{timeline}");
    let first = token(&chrome);
    assert!(!timeline.contains(&first));

    chrome.click("#refresh");
    wait_until("there is a new token", || token(&chrome) != first);
    let second = token(&chrome);

    chrome.run("document.querySelectorAll('details').forEach((it) => { it.open = true; });");
    let said = call(&chrome, ALLOWED, "200");
    assert!(said.contains("Allowed") && said.contains("profile"), "{said}");
    chrome.type_into(&format!("{MISSING} [data-part=id]"), "notes.txt");
    let said = call(&chrome, MISSING, "403");
    assert!(said.contains("lacks the scope PUT/files/*"), "{said}");
    assert!(said.contains("insufficient_scope"), "{said}");
    inspection.check_filled("playground-calls");

    // H23: the grant is listed like any other.
    assert!(
        server.output().contains("\"client_id\":\"grantor-playground\""),
        "{}",
        server.output()
    );
    let introspected = |active: &str| {
        let before = chrome.count("#timeline > li");
        chrome.click("#introspect");
        chrome.wait_for(&format!("#timeline > li:nth-child({})[data-good]", before + 1));
        let card = chrome.text("#timeline > li:last-child");
        assert!(card.contains(active) && card.contains("presented=(folded)"), "{card}");
    };
    introspected("\"active\": true");
    chrome.click("#revoke");
    let said = call(&chrome, ALLOWED, "401");
    assert!(said.contains("does not accept the token"), "{said}");
    introspected("\"active\": false");

    // H19
    assert_eq!(chrome.url(), own);
    let stored = "const all = [localStorage.length, sessionStorage.length, document.cookie]; \
                  all.push((await indexedDB.databases()).length, (await caches.keys()).length); return all.join();";
    assert_eq!(chrome.run(stored), "0,0,,0,0");
    let log = server.output();
    assert!(log.contains("issue_token"), "{log}");
    for token in [&first, &second] {
        assert!(!log.contains(&**token));
    }
    let card = "#timeline > li:last-child";
    for is_folded in [false, true] {
        chrome.click(&format!("{card} > button"));
        assert_eq!(chrome.text(card).contains("(folded)"), is_folded);
    }
    chrome.click("#forget");
    assert_eq!(chrome.count("#timeline > li"), 0);
    assert_eq!(chrome.count("#token:not([hidden])"), 0);
    let page = chrome.run("return document.documentElement.outerHTML");
    assert!(!page.as_str().unwrap().contains(&second));
    inspection.finish(test);
}

/// Returns the access token, which the newest token answer of the timeline shows on demand.
fn token(chrome: &Chrome) -> String {
    let shown = "const cards = [...document.querySelectorAll('#timeline pre')].reverse(); \
         const pre = cards.find((it) => it.textContent.includes('\"access_token\"')); \
         const button = pre.nextElementSibling; \
         if (button.getAttribute('aria-expanded') === 'false') button.click(); \
         return JSON.parse(pre.textContent.slice(pre.textContent.indexOf('{'))).access_token;";
    chrome.run(shown).as_str().unwrap().to_owned()
}
