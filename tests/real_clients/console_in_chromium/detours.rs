//! The buttons that change nothing: *Cancel*, *Copy* and searches.

use super::apps::Apps;
use super::inspection::Inspection;
use super::{assert_says, axe, sign_in};
use crate::support::{Chrome, Server};

/// H9 and H16, in a browser: an administrator who cancels, copies and searches leaves everything as it was.
#[test]
fn an_administrator_looks_around_and_changes_nothing() {
    let test = "an_administrator_looks_around_and_changes_nothing";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::with(&["--no-limits", "--playground"]), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let apps = Apps::of(&server);
    let (before, tokens) = (apps.settings("demo-web"), apps.tokens("demo-web", "ann"));
    sign_in(&chrome, &server, "root", "/console");
    chrome.press("New app");
    chrome.type_into("#name", "Not to be");
    chrome.press("Cancel");
    assert_eq!(chrome.url().path(), "/console/apps");
    chrome.type_into("#search", "Not to be");
    chrome.press("Search");
    assert_says(&chrome, &["Show all apps"]);
    chrome.fill("#search", "calendar");
    chrome.press("Search");
    assert_eq!(chrome.count("tbody tr"), 1);
    chrome.press("Team Calendar");
    assert_eq!(chrome.copy("[data-copy=client-id]"), "demo-web");
    chrome.press("Settings");
    chrome.fill("#description", "Not to be");
    chrome.press("Cancel");
    for act in ["Disable the app", "Revoke everything of the app", "Delete the app"] {
        chrome.press("Danger zone");
        chrome.press(act);
        chrome.press("Cancel");
        assert_eq!(chrome.url().path(), "/console/apps/demo-web/danger");
    }
    chrome.press("Playground");
    chrome.type_into("#search", "Not to be");
    chrome.press("Search");
    assert_says(&chrome, &["No app fits."]);
    chrome.fill("#search", "calendar");
    chrome.press("Search");
    chrome.press("Team Calendar");
    chrome.click("details.call:first-of-type summary");
    let program = chrome.copy("details.call:first-of-type [data-copy]");
    assert!(program.contains("demo-web") && program.contains("curl"), "{program}");
    assert_eq!(apps.settings("demo-web"), before);
    assert!(apps.is_active(&tokens));
    inspection.assert_quiet(&server);
    inspection.finish(test);
}
