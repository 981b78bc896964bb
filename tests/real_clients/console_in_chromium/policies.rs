//! The rules of an app: the users that it may act as, its scopes, its redirect URIs, and its rules for phones.

use super::apps::Apps;
use super::inspection::Inspection;
use super::{assert_says, axe, meanwhile, open_app, sign_in};
use crate::support::{Chrome, Server};

/// Each page that edits settings, with a field of it and the button that saves.
const EDITORS: [(&str, &str, &str); 4] = [
    ("Settings", "#description", "Save settings"),
    ("Scopes", "#more", "Save scopes"),
    ("Security", "#allowed_apps", "Save rules"),
    ("Impersonation", "#subjects", "Save policy"),
];

/// An administrator who decides, and the apps that follow.
struct Work<'a> {
    chrome: &'a Chrome,
    apps: Apps<'a>,
}

impl Work<'_> {
    fn check_user(&self, user: &str, answer: &[&str]) {
        self.chrome.fill("#user", user);
        self.chrome.press("Check user");
        assert_says(self.chrome, answer);
    }

    /// H11: the policy is saved, and its check and the token endpoint say the same of it.
    fn impersonation(&self, inspection: &Inspection<'_>) {
        let (chrome, apps) = (self.chrome, &self.apps);
        chrome.press("Mail Gateway");
        chrome.press("Impersonation");
        self.check_user("ann", &["Allowed: ann", "ann is a member of staff, which is listed."]);
        self.check_user("carol", &["Refused: carol", "Neither carol nor a group of carol"]);
        assert_eq!(apps.by_assertion("ann").status, 200);
        apps.by_assertion("carol").assert_error(400, "invalid_grant");
        chrome.fill("#groups", "");
        chrome.press("Save policy");
        assert_says(chrome, &["List a user or a group"]);
        assert_eq!(chrome.run("return document.activeElement.id"), "subjects");
        inspection.check("impersonation-mistake");
        chrome.fill("#subjects", "carol");
        chrome.press("Save policy");
        assert_says(chrome, &["The settings are saved.", "The app may act as carol, except"]);
        let policy = &apps.settings("demo-backend")["jwt"]["impersonation"];
        assert_eq!(policy["allow"]["members"]["subjects"], serde_json::json!(["carol"]));
        assert_eq!(policy["except"]["subjects"], serde_json::json!(["root"]));
        self.check_user("ann", &["Refused: ann", "Neither ann nor a group of ann is listed."]);
        apps.by_assertion("ann").assert_error(400, "invalid_grant");
        self.check_user("carol", &["Allowed: carol", "carol is listed."]);
        assert_eq!(apps.by_assertion("carol").status, 200);
        chrome.press("Preview a token as this user");
        assert_says(chrome, &["The app would get a token", "carol"]);
        chrome.fill("#scope", "PUT/files/*");
        chrome.press("Preview token");
        let refused = "The request would be refused: the policy does not allow this scope.";
        assert_says(chrome, &[refused]);
        inspection.check("preview-refused");
    }

    /// H8: on each page that edits an app, the second of two administrators keeps what the first has saved, or
    /// saves the own values.
    fn conflicts(&self, inspection: &Inspection<'_>) {
        let chrome = self.chrome;
        for (page, field, save) in EDITORS {
            let mine = format!("mine-in-{page}");
            for (theirs, button) in
                [("kept", "Keep the stored version"), ("theirs", "Save my values")]
            {
                chrome.press(page);
                meanwhile(chrome, || {
                    chrome.fill(field, theirs);
                    chrome.press(save);
                    assert_says(chrome, &["The settings are saved."]);
                });
                chrome.fill(field, &mine);
                chrome.press(save);
                let said = ["Another administrator has changed this app", &mine, theirs];
                assert_says(chrome, &said);
                inspection.check_roughly(&format!("conflict-{page}"));
                chrome.press(button);
                let stored = self.apps.settings("demo-backend").to_string();
                let is_mine = button == "Save my values";
                assert_eq!(stored.contains(&mine), is_mine, "{page}: {stored}");
                assert!(is_mine || stored.contains(theirs), "{page}: {stored}");
                assert!(!stored.contains("theirs"), "{page}: {stored}");
            }
        }
    }

    /// H10: each button of the grid selects, and the selection is saved afterwards.
    fn scopes(&self) {
        let chrome = self.chrome;
        open_app(chrome, "Team Calendar");
        chrome.press("Scopes");
        let buttons = chrome.values("button[name=select]");
        let last = ["row:0", "row:1", "all", "none"];
        assert!(buttons.len() == 7 && buttons.ends_with(&last.map(str::to_owned)), "{buttons:?}");
        for button in buttons {
            chrome.follow(&format!("button[name=select][value='{button}']"));
            assert_says(chrome, &["The selection below is not saved yet."]);
        }
        assert_eq!(chrome.count("input[name=scope]:checked"), 1, "none of the catalog");
        chrome.follow("button[value='column:GET']");
        let ticked = chrome.values("input[name=scope]:checked");
        assert_eq!(ticked, ["GET/files/*", "GET/users/*", "reports.read"]);
        chrome.press("Save scopes");
        assert_says(chrome, &["The settings are saved.", "It can read"]);
        let scope = self.apps.settings("demo-web")["scope"].to_string();
        assert!(scope.contains("GET/users/*") && !scope.contains("PUT"), "{scope}");
        let token = self.apps.by_itself(self.apps.credentials("demo-web"), "GET/users/*");
        assert_eq!(token.status, 200);
    }

    /// H22: the address of Swagger UI becomes a redirect URI that a user comes back to.
    fn swagger(&self, inspection: &Inspection<'_>) {
        let (chrome, apps) = (self.chrome, &self.apps);
        let link = "Add the redirect URI of Swagger UI";
        let uri = "http://127.0.0.1/swagger/oauth2-redirect.html";
        chrome.press("Settings");
        chrome.press("Check the URIs");
        assert_says(chrome, &["https://files.example.com/callback"]);
        chrome.press("Cancel");
        chrome.press(link);
        chrome.press("Cancel");
        chrome.press(link);
        chrome.type_into("#url", "docs.example.com");
        chrome.press("Add redirect URI");
        assert_says(chrome, &["It begins neither with https:// nor with http://"]);
        assert_eq!(chrome.run("return document.activeElement.id"), "url");
        inspection.check("swagger-mistake");
        let before = apps.settings("demo-web")["redirect_uris"].to_string();
        assert!(!before.contains(uri), "{before}");
        chrome.fill("#url", "http://127.0.0.1/swagger/index.html");
        chrome.press("Add redirect URI");
        assert_says(chrome, &["The settings are saved."]);
        chrome.press("Overview");
        assert_says(chrome, &[uri]);
        let after = apps.settings("demo-web")["redirect_uris"].to_string();
        assert!(after.contains(uri), "{after}");
        let with_port = uri.replace("127.0.0.1", "127.0.0.1:49213");
        let tokens = apps.by_user(apps.credentials("demo-web"), &with_port, "ann");
        assert_eq!(tokens.status, 200, "{tokens:?}");
    }
}

/// H8, H10, H11 and H22, in a browser: what an administrator decides about an app holds at the token endpoint.
#[test]
fn an_administrator_decides_what_an_app_may_do() {
    let test = "an_administrator_decides_what_an_app_may_do";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::with(&["--no-limits"]), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let work = Work { chrome: &chrome, apps: Apps::of(&server) };
    sign_in(&chrome, &server, "root", "/console");
    work.impersonation(&inspection);
    work.conflicts(&inspection);
    work.scopes();
    work.swagger(&inspection);
    chrome.press("Activity");
    chrome.click("#action option[value=edit_app]");
    chrome.press("Find events");
    assert_says(&chrome, &["Administrator root edited app Team Calendar: redirect_uris"]);
    inspection.assert_quiet(&server);
    inspection.finish(test);
}
