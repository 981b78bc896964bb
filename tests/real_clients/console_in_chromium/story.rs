//! The work of an administrator, from a new app to its deletion.

use super::apps::{Apps, Credentials};
use super::inspection::Inspection;
use super::{assert_says, assert_silent, axe, meanwhile, sign_in};
use crate::sandbox::wait_until;
use crate::support::{Answer, Chrome, Server};

const APP: &str = "Weekly Report";
const LOOPBACK: &str = "http://127.0.0.1/report/callback";
const WITH_PORT: &str = "http://127.0.0.1:49213/report/callback";

/// An administrator at work, and the app that came of it.
struct Story<'a> {
    apps: Apps<'a>,
    chrome: &'a Chrome,
    inspection: Inspection<'a>,
}

impl Story<'_> {
    /// Asks for a token as the app.
    fn token(&self, credentials: Credentials<'_>) -> Answer {
        self.apps.by_itself(credentials, "files.list")
    }

    /// Sends a user through the code flow of the app, and returns its tokens.
    fn tokens_of_user(&self, credentials: Credentials<'_>) -> Answer {
        self.apps.by_user(credentials, WITH_PORT, "ann")
    }

    /// Fills in the form in its order, with one mistake first. Returns the credentials of the app.
    fn register(&self) -> (String, String) {
        let chrome = self.chrome;
        chrome.press("New app");
        chrome.type_into("#name", APP);
        chrome.type_into("#description", "Mails a list of new files every Monday.");
        chrome.tick("#authorization_code", true);
        chrome.tick("#client_credentials", true);
        chrome.tick("#refresh_token", true);
        chrome.type_into("#redirect_uris", "http://report.example.com/callback");
        for (field, number) in
            [("#access_days", "0"), ("#access_hours", "2"), ("#refresh_days", "30")]
        {
            chrome.fill(field, number);
        }
        for scope in ["profile", "files.list", "GET/files/*"] {
            chrome.click(&format!("input[name=scope][value='{scope}']"));
        }
        chrome.press("Add application");
        assert_says(chrome, &["Nothing was saved yet", "Use https, or http://127.0.0.1"]);
        assert_eq!(chrome.run("return document.activeElement.id"), "redirect_uris");
        assert_eq!(
            chrome.run("return document.getElementById('name').value"),
            APP,
            "nothing is lost"
        );
        self.inspection.check("new-app-mistakes");
        chrome.fill("#redirect_uris", &format!("https://%%HOST%%/report/callback\n{LOOPBACK}"));
        chrome.press("Check the URIs");
        assert_says(chrome, &["any port on this machine", "your host names"]);
        assert_says(chrome, &["https://files.example.com/report/callback"]);
        self.inspection.check("new-app-checked");
        chrome.press("Add application");
        assert_says(chrome, &["Credentials", APP, "They cannot be shown again."]);
        self.inspection.check("new-credentials");
        let secret = chrome.text("#client-secret");
        assert_eq!(chrome.copy("[data-copy=client-secret]"), secret);
        (chrome.text("#client-id"), secret)
    }

    /// H6: reads a new secret, and leaves its page, which does not show it again.
    fn leave_credentials(&self, secret: &str) {
        let chrome = self.chrome;
        let shown = chrome.url();
        let own = chrome.tab();
        chrome.new_tab();
        chrome.open(shown.as_str());
        assert_says(chrome, &["These credentials were shown"]);
        assert_silent(chrome, &[secret]);
        chrome.close_tab();
        chrome.switch_to(&own);
        assert_eq!(chrome.count("#continue:disabled"), 1, "the values are not stored yet");
        chrome.click("#stored");
        chrome.press("Continue");
        assert_silent(chrome, &[secret]);
        // A page that the browser has kept is asked for again.
        chrome.back();
        let asked_again = || chrome.title().starts_with("These credentials were shown");
        wait_until("the page is asked for again", asked_again);
        assert_silent(chrome, &[secret]);
        chrome.press("Go to the app");
    }

    fn edit(&self) {
        let chrome = self.chrome;
        chrome.press("Settings");
        chrome.fill("#description", "Mails a list of new files every Friday.");
        chrome.press("Save settings");
        assert_says(chrome, &["The settings are saved."]);
        chrome.press("Overview");
        assert_says(chrome, &["every Friday", "2 hours", LOOPBACK]);
    }

    /// H8: two administrators edit the settings, and then the scopes. The page of the second shows both versions, and
    /// saves what was typed.
    fn edit_together(&self) {
        let chrome = self.chrome;
        chrome.press("Settings");
        meanwhile(chrome, || {
            chrome.fill("#description", "Theirs");
            chrome.press("Save settings");
            assert_says(chrome, &["The settings are saved."]);
        });
        chrome.fill("#description", "Mine");
        chrome.press("Save settings");
        assert_says(chrome, &["Another administrator has changed this app", "Mine", "Theirs"]);
        self.inspection.check("settings-conflict");
        chrome.press("Save my values");
        assert_says(chrome, &["The settings are saved."]);
        chrome.press("Scopes");
        meanwhile(chrome, || {
            chrome.click("input[value='PUT/files/*']");
            chrome.press("Save scopes");
            assert_says(chrome, &["The settings are saved.", "change"]);
        });
        chrome.press("Select column GET");
        assert_says(chrome, &["The selection below is not saved yet."]);
        chrome.press("Save scopes");
        assert_says(chrome, &["Another administrator has changed this app"]);
        self.inspection.check("scopes-conflict");
        chrome.press("Save my values");
        assert_says(chrome, &["The settings are saved.", "It can read"]);
        chrome.press("Overview");
        assert_says(chrome, &["Mine", "GET/users/*"]);
        assert_silent(chrome, &["Theirs", "PUT/files/*"]);
    }

    /// H7: rotates the client secret with an overlap and ends the old one, then regenerates the signature secret.
    fn rotate(&self, client_id: &str, old: &str) -> String {
        let chrome = self.chrome;
        chrome.press("Credentials");
        chrome.click("#overlap option[value='3600']");
        chrome.press("Rotate secret");
        let new = chrome.text("#client-secret");
        assert_ne!(new, old);
        for secret in [old, &new] {
            assert_eq!(self.token((client_id, secret)).status, 200, "both work for an hour");
        }
        self.leave_credentials(&new);
        chrome.press("Credentials");
        assert_says(chrome, &["Newest", "Superseded"]);
        chrome.press("End old secrets now");
        assert_says(chrome, &["Old secrets ended."]);
        assert_silent(chrome, &["Superseded"]);
        self.token((client_id, old)).assert_error(401, "invalid_client");
        assert_eq!(self.token((client_id, &new)).status, 200);
        assert_eq!(chrome.count("#regenerate:disabled"), 1);
        chrome.click("#sure");
        chrome.press("Regenerate signature secret");
        let signature = chrome.text("#signature-secret");
        assert_eq!(chrome.count("#client-secret"), 0);
        self.leave_credentials(&signature);
        new
    }

    fn secure(&self) {
        let chrome = self.chrome;
        chrome.press("Security");
        chrome.tick("#remote_wipe", true);
        chrome.click("#pin-after");
        chrome.fill("#minutes", "0");
        chrome.press("Save rules");
        assert_says(chrome, &["Write a whole number from 1 to 1440."]);
        assert_eq!(chrome.run("return document.activeElement.id"), "minutes");
        self.inspection.check("security-mistake");
        chrome.fill("#minutes", "5");
        chrome.enter("#minutes");
        assert_says(chrome, &["The settings are saved."]);
        assert_eq!(chrome.count("#remote_wipe:checked"), 1);
    }

    /// H9: ends access, each act on a page that names what ends.
    fn end(&self, credentials: (&str, &str)) {
        let chrome = self.chrome;
        assert_eq!(self.tokens_of_user(credentials).status, 200);
        chrome.press("Danger zone");
        chrome.press("Disable the app");
        assert_says(chrome, &["2 live grants.", "1 user and 0 devices lose access."]);
        chrome.press("Disable app");
        assert_says(chrome, &["The app is disabled, and its access ended."]);
        self.token(credentials).assert_error(401, "invalid_client");
        chrome.press("Enable app");
        assert_says(chrome, &["The app is enabled. It can get tokens again."]);
        assert_eq!(self.tokens_of_user(credentials).status, 200);
        chrome.press("Danger zone");
        chrome.press("Revoke everything of the app");
        chrome.press("Revoke everything");
        assert_says(chrome, &["Everything that the app had been granted ended."]);
        chrome.press("Danger zone");
        chrome.press("Delete the app");
        chrome.type_into("#name", "Weekly");
        chrome.enter("#name");
        assert_says(chrome, &["This is not the name."]);
        self.inspection.check("danger-delete-mistake");
        chrome.fill("#name", APP);
        chrome.enter("#name");
        assert_says(chrome, &["The app is deleted, and its access ended."]);
        assert_silent(chrome, &[APP]);
        self.token(credentials).assert_error(401, "invalid_client");
    }

    /// H15: the audit log has told all of it.
    fn read_audit_log(&self, client_id: &str) {
        let chrome = self.chrome;
        chrome.press("Audit log");
        chrome.type_into("#app", client_id);
        chrome.press("Find events");
        for done in [
            "registered app",
            "edited app",
            "rotated the client secret of app",
            "ended the superseded client secrets of app",
            "regenerated the signature secret of app",
            "disabled app",
            "enabled app",
            "revoked all access of app",
            "deleted app",
        ] {
            assert_says(chrome, &[&format!("Administrator root {done} {client_id}")]);
        }
        assert_says(chrome, &["the client secret is wrong", "got a token as ann"]);
        self.inspection.check("audit-of-app");
    }
}

/// H6 to H9 and H15, in a browser: an app from its registration to its deletion.
#[test]
fn an_administrator_registers_edits_rotates_and_deletes_an_app() {
    let test = "an_administrator_registers_edits_rotates_and_deletes_an_app";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::start(), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let story = Story { apps: Apps::of(&server), chrome: &chrome, inspection };
    sign_in(&chrome, &server, "root", "/console");
    let (client_id, secret) = story.register();
    let credentials = (&*client_id, &*secret);
    assert_eq!(story.token(credentials).text("scope"), "files.list");
    let tokens = story.tokens_of_user(credentials).json();
    assert_eq!((&tokens["expires_in"], &tokens["token_type"]), (&7_200.into(), &"Bearer".into()));
    assert!(tokens["refresh_token"].is_string());
    story.leave_credentials(&secret);
    story.edit();
    story.edit_together();
    let secret = story.rotate(&client_id, &secret);
    story.secure();
    story.end((&client_id, &secret));
    story.read_audit_log(&client_id);
    story.inspection.assert_quiet(&server);
    story.inspection.finish(test);
}
