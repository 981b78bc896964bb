//! Every page, with every role.

use serde_json::{Value, json};

use super::apps::Apps;
use super::inspection::Inspection;
use super::{assert_says, axe, sign_in};
use crate::sandbox::Folder;
use crate::support::{Answer, Chrome, Server, seed_file};

/// The pages, each with a name for its pictures. Those that are the answer to a form are in `story`.
const PAGES: [(&str, &str); 64] = [
    ("apps", "/apps"),
    ("apps-found", "/apps?search=team&flow=authorization_code"),
    ("apps-none", "/apps?search=no%20such%20app"),
    ("new-app", "/new-app"),
    ("overview", "/apps/demo-web"),
    ("overview-disabled", "/apps/off"),
    ("overview-long", "/apps/long-long-long"),
    ("settings", "/apps/demo-web/settings"),
    ("settings-jwt", "/apps/demo-backend/settings"),
    ("settings-long", "/apps/long-long-long/settings"),
    ("swagger", "/apps/demo-web/swagger"),
    ("scopes", "/apps/demo-web/scopes"),
    ("scopes-long", "/apps/long-long-long/scopes"),
    ("security", "/apps/demo-native/security"),
    ("credentials", "/apps/demo-web/credentials"),
    ("credentials-public", "/apps/demo-native/credentials"),
    ("credentials-keys", "/apps/demo-backend/credentials"),
    ("impersonation", "/apps/demo-backend/impersonation"),
    ("impersonation-allowed", "/apps/demo-backend/impersonation?user=ann"),
    ("impersonation-none", "/apps/demo-web/impersonation"),
    ("preview", "/apps/demo-web/preview"),
    ("preview-token", "/apps/demo-web/preview?flow=authorization_code&user=ann&scope=files.list"),
    ("users", "/apps/demo-web/users"),
    ("users-none", "/apps/demo-spa/users"),
    ("users-revoke", "/apps/demo-web/users/revoke?user=ann"),
    ("users-revoke-wipe", "/apps/demo-native/users/revoke?user=ann"),
    ("issuers", "/issuers"),
    ("issuers-none", "/issuers?search=no%20such%20issuer"),
    ("new-issuer", "/new-issuer"),
    ("issuer", "/issuers/~aHR0cHM6Ly9sb2dpbi5hY21lLmV4YW1wbGU"),
    ("issuer-settings", "/issuers/~aHR0cHM6Ly9sb2dpbi5hY21lLmV4YW1wbGU/settings"),
    ("issuer-check", "/issuers/~aHR0cHM6Ly9sb2dpbi5hY21lLmV4YW1wbGU/check"),
    ("issuer-danger", "/issuers/~aHR0cHM6Ly9sb2dpbi5hY21lLmV4YW1wbGU/danger"),
    ("issuer-danger-revoke", "/issuers/~aHR0cHM6Ly9sb2dpbi5hY21lLmV4YW1wbGU/danger/revoke"),
    ("issuer-danger-remove", "/issuers/~aHR0cHM6Ly9sb2dpbi5hY21lLmV4YW1wbGU/danger/remove"),
    ("issuer-unknown", "/issuers/no-such-issuer"),
    ("devices", "/devices"),
    ("devices-none", "/devices?user=no%20such%20user"),
    ("devices-of-app", "/apps/demo-native/devices"),
    ("devices-of-app-none", "/apps/demo-web/devices"),
    ("device", "/devices/demo-native/ann/tag-1"),
    ("device-revoke", "/devices/demo-native/ann/tag-1/revoke"),
    ("device-wipe", "/devices/demo-native/ann/tag-1/wipe"),
    ("device-unknown", "/devices/demo-native/ann/tag-9"),
    ("user", "/users/ann"),
    ("user-revoke", "/users/ann/revoke"),
    ("usage", "/apps/demo-web/usage"),
    ("usage-week", "/apps/demo-web/usage?days=7"),
    ("usage-none", "/apps/off/usage"),
    ("playground", "/playground"),
    ("playground-programs", "/playground?app=demo-web"),
    ("playground-none", "/playground?search=no%20such%20app"),
    ("server", "/server"),
    ("server-revoke", "/server/revoke"),
    ("import", "/server/import"),
    ("activity", "/apps/demo-web/activity"),
    ("danger", "/apps/demo-web/danger"),
    ("danger-disable", "/apps/demo-web/danger/disable"),
    ("danger-revoke", "/apps/demo-web/danger/revoke"),
    ("danger-delete", "/apps/long-long-long/danger/delete"),
    ("credentials-were-shown", "/apps/demo-web/new-credentials"),
    ("audit", "/audit"),
    ("audit-none", "/audit?user=no%20such%20user"),
    ("no-such-page", "/no-such-page"),
];

/// The pages of a user, and the host's own.
const PAGES_OF_USERS: [(&str, &str); 7] = [
    ("account", "/account"),
    ("account-remove", "/account/remove/demo-web"),
    ("account-sign-out", "/account/sign-out"),
    ("account-wipe-long", "/account/devices/demo-native/long/wipe"),
    ("account-no-such-app", "/account/remove/no-such-app"),
    ("home", "/"),
    ("not-an-administrator", "/console"),
];

/// Starts a server with more apps than the seed has: one with the longest texts, and one that is disabled.
fn start() -> Server {
    let mut seed: Value = serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap();
    let long = json!({
        "name": "Abc\u{202e}<b>".repeat(14),
        "description": format!("{}\n{}", "long".repeat(100), "A sentence of this text. ".repeat(20)),
        "flows": ["authorization_code", "jwt_bearer", "client_credentials"],
        "redirect_uris": [format!("https://{}.example.com/{}", "host".repeat(10), "path/".repeat(50))],
        "scope": format!("GET/files/* {}", "unlisted_".repeat(14)),
        "jwt": { "keys": "signature_secret", "impersonation": {
            "allow": { "members": { "subjects": ["u".repeat(200)], "groups": ["staff"] } },
        } },
    });
    let off = json!({ "name": "Switched off", "flows": ["client_credentials"] });
    let apps = seed["apps"].as_array_mut().unwrap();
    apps.push(json!({ "client_id": "long-long-long", "settings": long }));
    apps.push(json!({ "client_id": "off", "enabled": false, "settings": off }));
    let folder = Folder::temporary();
    let file = folder.file("seed.json");
    std::fs::write(&file, seed.to_string()).unwrap();
    Server::with(&["--no-limits", "--playground", "--seed", file.to_str().unwrap()])
}

/// Uses some apps, so that pages have something to show: tokens, refusals, a grant, and a rotated secret. Returns the
/// tokens of the user ann.
fn use_apps(apps: &Apps<'_>) -> Answer {
    let web = apps.credentials("demo-web");
    assert_eq!(apps.by_itself(web, "files.list").status, 200);
    assert_eq!(apps.by_itself(web, "admin").status, 400);
    assert_eq!(apps.by_itself((web.0, "not its secret"), "files.list").status, 401);
    let tokens = apps.tokens("demo-web", "ann");
    assert_eq!(apps.rotate("demo-web").status, 200);
    apps.install("ann", "tag-1");
    apps.install_as("ann", "long", &"Phone\u{202e}<b>".repeat(14));
    apps.install_as("ann", &"tag".repeat(40), &"long".repeat(30));
    tokens
}

/// H4 and H16: every page, for an administrator who may do everything, and for one who may only look. The pages of the
/// second have no form that changes something.
#[test]
fn every_page_is_accessible_in_both_schemes_and_on_a_phone() {
    let test = "every_page_is_accessible_in_both_schemes_and_on_a_phone";
    let Some(axe) = axe(test) else { return };
    let server = start();
    use_apps(&Apps::of(&server));
    let chrome = Chrome::start();
    let inspection = Inspection::new(&chrome, &axe);
    sign_in(&chrome, &server, "root", "/console");
    for (name, path) in PAGES {
        chrome.open(&server.url(&format!("/console{path}")));
        assert_eq!(chrome.count("h1"), 1, "{name}");
        inspection.check(name);
    }
    chrome.open(&server.url("/console/playground"));
    chrome.press("Register the playground's app");
    inspection.check("playground-ready");
    chrome.open(&server.url("/console/server/import"));
    let apps = r#"{"apps":[{"client_id":"moved","settings":{"name":"Moved","flows":["client_credentials"]}}]}"#;
    chrome.type_into("#text", apps);
    chrome.press("Show what it would do");
    inspection.check("import-plan");
    chrome.press("Import");
    inspection.check("imported");
    inspection.assert_quiet(&server);
    chrome.forget_cookies();
    sign_in(&chrome, &server, "bob", "/console");
    for (name, path) in PAGES {
        chrome.open(&server.url(&format!("/console{path}")));
        assert_eq!(chrome.count("form[method=post]"), 0, "{name}");
        inspection.check_roughly(&format!("{name}-viewer"));
    }
    inspection.assert_quiet(&server);
    inspection.finish(test);
}

/// H16: the pages of a user, with what a user does there: removes an app, and signs out everywhere.
#[test]
fn the_pages_of_a_user_are_accessible_in_both_schemes_and_on_a_phone() {
    let test = "the_pages_of_a_user_are_accessible_in_both_schemes_and_on_a_phone";
    let Some(axe) = axe(test) else { return };
    let server = start();
    let apps = Apps::of(&server);
    let tokens = use_apps(&apps);
    let chrome = Chrome::start();
    let inspection = Inspection::new(&chrome, &axe);
    chrome.open(&server.url("/account"));
    inspection.check("login");
    sign_in(&chrome, &server, "ann", "/account");
    for (name, path) in PAGES_OF_USERS {
        chrome.open(&server.url(path));
        inspection.check(name);
    }
    chrome.open(&server.url("/account"));
    chrome.press("Remove access Team Calendar");
    chrome.press("Cancel");
    assert_eq!(apps.refresh("demo-web", &tokens).status, 200);
    chrome.press("Remove access Team Calendar");
    chrome.press("Remove access");
    assert_says(&chrome, &["Team Calendar", "no longer has access to your account."]);
    inspection.check("account-removed");
    apps.assert_ended("demo-web", &tokens);
    let tokens = apps.tokens("demo-web", "ann");
    chrome.press("Sign out everywhere");
    chrome.press("Cancel");
    assert!(apps.is_active(&tokens));
    chrome.press("Sign out everywhere");
    chrome.press("Sign out everywhere");
    assert_says(&chrome, &["You are signed out everywhere"]);
    inspection.check("account-signed-out");
    apps.assert_ended("demo-web", &tokens);
    chrome.press("Sign in again");
    assert!(chrome.url().path().starts_with("/login"), "the session has ended, too");
    inspection.assert_quiet(&server);
    inspection.finish(test);
}
