//! The move of all apps: the export of one server, imported by another.

use serde_json::{Value, json};

use super::apps::Apps;
use super::inspection::Inspection;
use super::{assert_says, axe, sign_in};
use crate::sandbox::{Folder, wait_until};
use crate::support::{Chrome, Seed, Server, seed_file};

/// Starts a server whose seed is changed by `change`.
fn start(folder: &Folder, name: &str, change: impl FnOnce(&mut Value)) -> Server {
    let mut seed: Value = serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap();
    change(&mut seed);
    let file = folder.file(name);
    std::fs::write(&file, seed.to_string()).unwrap();
    Server::with(&["--no-limits", "--seed", file.to_str().unwrap()])
}

/// H14: an administrator exports all apps of one server and imports the file at another, which has none. They have
/// the same settings there, and new secrets that work. The lists of the second server have further pages then.
#[test]
fn the_apps_of_one_server_move_to_another() {
    let test = "the_apps_of_one_server_move_to_another";
    let Some(axe) = axe(test) else { return };
    let folder = Folder::temporary();
    let old = start(&folder, "old.json", |seed| {
        let apps = seed["apps"].as_array_mut().unwrap();
        for number in 10..50 {
            let settings =
                json!({ "name": format!("Meter {number}"), "flows": ["client_credentials"] });
            apps.push(json!({ "client_id": format!("meter-{number}"), "settings": settings }));
        }
    });
    let new = start(&folder, "new.json", |seed| {
        seed["apps"] = json!([]);
        seed["resource_servers"] = json!([]);
    });
    let chrome = Chrome::start();
    let inspection = Inspection::new(&chrome, &axe);

    sign_in(&chrome, &old, "root", "/console");
    chrome.press("Server");
    chrome.download_to(folder.path());
    chrome.click("a[href$='/server/export']");
    let export = folder.file("apps.json");
    wait_until("the export is there", || export.exists());
    let exported = std::fs::read_to_string(&export).unwrap();
    for secret in Seed::read().secrets() {
        assert!(!exported.contains(&secret), "a secret is in the export");
    }
    inspection.assert_quiet(&old);

    sign_in(&chrome, &new, "root", "/console");
    inspection.check("apps-of-new-server");
    chrome.press("Server");
    chrome.press("Import apps");
    chrome.press("Cancel");
    chrome.press("Import apps");
    chrome.press("Show what it would do");
    assert_says(&chrome, &["Choose a file, or paste its text."]);
    inspection.check("import-mistake");
    for button in ["Choose another file", "Import"] {
        chrome.type_into("#file", export.to_str().unwrap());
        chrome.press("Show what it would do");
        assert_says(&chrome, &["New apps", "Team Calendar", "gets new secrets", "Meter 49"]);
        inspection.check_roughly("import-plan-of-file");
        chrome.press(button);
    }
    assert_says(&chrome, &["They cannot be shown again.", "demo-web", "meter-49"]);
    inspection.check_roughly("imported-secrets");
    let secret = |app: &str| {
        chrome.text_at(&format!("//h3[.='{app}']/..//code[starts-with(@id, 'secret')]"))
    };
    let (web, admin) = (secret("demo-web"), secret("demo-admin"));
    assert!(!chrome.copy("[data-copy=secret-1-1]").is_empty());
    let (before, apps) = (Apps::of(&old), Apps::of(&new));
    let token = apps.by_itself(("demo-web", &web), "files.list");
    assert_eq!((token.status, &*token.text("scope")), (200, "files.list"));
    let moved = apps.settings_by(("demo-admin", &admin), "demo-web");
    assert_eq!(moved, before.settings("demo-web"));
    chrome.press("Go to the server");
    assert_eq!(chrome.url().path(), "/console/server");

    chrome.press("Apps");
    chrome.press("Next page");
    assert_says(&chrome, &["Meter 30"]);
    chrome.press("First page");
    assert_says(&chrome, &["Team Calendar"]);
    chrome.press("Audit log");
    assert_says(&chrome, &["Administrator root imported app"]);
    chrome.press("Older events");
    chrome.press("Newest events");
    inspection.assert_quiet(&new);
    inspection.finish(test);
}
