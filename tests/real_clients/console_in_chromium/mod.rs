//! The console of the example server, in Chromium.

mod apps;
mod controls;
mod detours;
mod devices;
pub(crate) mod inspection;
mod issuers;
mod keyboard;
mod moving;
mod pages;
mod policies;
mod revocations;
mod story;

use crate::support::{Chrome, Seed, Server, chrome_is_there, skip, target_folder};

const ENTER: &str = "\u{e007}";

/// Returns the source of axe-core, or says that `test` is skipped because axe-core or the browser is missing.
pub(crate) fn axe(test: &str) -> Option<String> {
    let file = target_folder().join("interop/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(file).ok().filter(|_| chrome_is_there());
    if axe.is_none() {
        skip(test, "Chromium, ChromeDriver and axe-core");
    }
    axe
}

/// Opens a page, and signs in as a user of the seed.
fn sign_in(chrome: &Chrome, server: &Server, user: &str, path: &str) {
    chrome.open(&server.url(path));
    chrome.type_into("input[name=username]", user);
    chrome.type_into("input[name=password]", Seed::read().password(user));
    chrome.enter("input[name=password]");
    assert!(chrome.url().path().starts_with(path), "{}", chrome.text("body"));
}

/// Opens an app from the list of apps.
fn open_app(chrome: &Chrome, name: &str) {
    chrome.follow(".places a[href$='/apps']");
    chrome.press(name);
}

/// Checks that the page says each of `texts`.
#[track_caller]
fn assert_says(chrome: &Chrome, texts: &[&str]) {
    let page = chrome.text("body");
    for text in texts {
        assert!(page.contains(text), "{text}: {page}");
    }
}

/// Checks that the page says none of `texts`.
#[track_caller]
fn assert_silent(chrome: &Chrome, texts: &[&str]) {
    let page = chrome.run("return document.documentElement.outerHTML");
    let page = page.as_str().unwrap();
    for text in texts {
        assert!(!page.contains(text), "{text}: {page}");
    }
}

/// Lets another administrator act on the page that is open, in a tab of its own.
fn meanwhile(chrome: &Chrome, act: impl FnOnce()) {
    let (page, own) = (chrome.url(), chrome.tab());
    chrome.new_tab();
    chrome.open(page.as_str());
    act();
    chrome.close_tab();
    chrome.switch_to(&own);
}
