//! The end of access: a grant, a user in an app, a user, and everything.

use super::apps::Apps;
use super::inspection::Inspection;
use super::{assert_says, axe, open_app, sign_in};
use crate::support::{Chrome, Server};

const OTHER: &str = "demo:reserved/+&=? %41";
const OF_USER: &str = "Revoke everything of this user in this app";

/// An administrator who ends access, and the apps that lose it.
struct Work<'a> {
    chrome: &'a Chrome,
    apps: Apps<'a>,
}

impl Work<'_> {
    /// Opens the users of an app, narrowed to one.
    fn find(&self, user: &str) {
        let chrome = self.chrome;
        open_app(chrome, "Team Calendar");
        chrome.press("Users");
        chrome.type_into("#user", user);
        chrome.press("Find user");
    }

    fn revoke_a_grant(&self) {
        let chrome = self.chrome;
        let grants = [self.apps.tokens("demo-web", "bob"), self.apps.tokens("demo-web", "bob")];
        self.find("bob");
        assert_eq!(chrome.count("tbody tr"), 2);
        chrome.follow("tbody tr:first-child td:last-child a");
        assert_says(chrome, &["Revoke a grant", "bob", "1 live grant.", "Other grants", "stay."]);
        chrome.press("Cancel");
        self.find("bob");
        chrome.follow("tbody tr:first-child td:last-child a");
        chrome.press("Revoke grant");
        assert_says(chrome, &["The access ended."]);
        let (live, ended): (Vec<_>, Vec<_>) =
            grants.iter().partition(|tokens| self.apps.is_active(tokens));
        assert_eq!((live.len(), ended.len()), (1, 1));
        assert_eq!(self.apps.refresh("demo-web", live[0]).status, 200);
        self.apps.assert_ended("demo-web", ended[0]);
        self.find("bob");
        assert_eq!(chrome.count("tbody tr"), 1);
    }

    fn revoke_a_user_of_an_app(&self) {
        let chrome = self.chrome;
        let [first, second] = ["demo-web", OTHER].map(|app| self.apps.tokens(app, "ann"));
        self.find("ann");
        chrome.press(OF_USER);
        chrome.press("Cancel");
        assert!(self.apps.is_active(&first));
        self.find("ann");
        chrome.press(OF_USER);
        assert_says(chrome, &["Revoke a user in this app", "ann", "1 live grant."]);
        chrome.press("Revoke user");
        assert_says(chrome, &["The access ended.", "bob"]);
        self.apps.assert_ended("demo-web", &first);
        assert!(self.apps.is_active(&second), "the other app keeps its access");
        assert!(self.apps.must_ask("demo-web", "ann"), "the agreement is forgotten");
    }

    fn revoke_on_the_page_of_a_user(&self, inspection: &Inspection<'_>) {
        let (chrome, apps) = (self.chrome, &self.apps);
        let [first, second] = ["demo-web", OTHER].map(|app| apps.tokens(app, "ann"));
        self.find("ann");
        chrome.press("ann");
        inspection.check_roughly("user-of-apps");
        assert_says(chrome, &["Team Calendar", "R&D <Planning> \"Board\""]);
        chrome.follow("a[href*='/apps/demo-web/users/revoke?grant=']");
        chrome.press("Revoke grant");
        apps.assert_ended("demo-web", &first);
        assert!(apps.is_active(&second));
        self.find("bob");
        chrome.press("bob");
        let others = apps.tokens("demo-web", "ann");
        chrome.press("Revoke everything of this user");
        assert_says(chrome, &["Revoke everything of a user", "bob", "1 user and 0 devices"]);
        chrome.press("Cancel");
        chrome.press("Revoke everything of this user");
        let bob = apps.tokens("demo-web", "bob");
        chrome.press("Revoke everything");
        assert_says(chrome, &["The access ended.", "No app has a live grant as this user"]);
        apps.assert_ended("demo-web", &bob);
        assert!(apps.is_active(&others), "other users keep their access");
    }

    fn revoke_everything(&self, inspection: &Inspection<'_>) {
        let (chrome, apps) = (self.chrome, &self.apps);
        let web = apps.credentials("demo-web");
        let tokens = [apps.tokens("demo-web", "ann"), apps.tokens(OTHER, "bob")];
        let machine = apps.by_itself(web, "files.list");
        assert!(apps.is_active(&machine));
        chrome.press("Server");
        chrome.press("Revoke everything");
        chrome.press("Cancel");
        chrome.press("Revoke everything");
        chrome.type_into("#word", "all");
        chrome.press("Revoke everything");
        assert_says(chrome, &["This is not the word."]);
        assert_eq!(chrome.run("return document.activeElement.id"), "word");
        inspection.check("server-revoke-mistake");
        assert!(apps.is_active(&machine), "nothing has ended yet");
        chrome.fill("#word", "everything");
        chrome.press("Revoke everything");
        assert_says(chrome, &["Everything that was granted before is revoked."]);
        apps.assert_ended("demo-web", &tokens[0]);
        apps.assert_ended(OTHER, &tokens[1]);
        assert!(!apps.is_active(&machine));
        assert_eq!(apps.by_itself(web, "files.list").status, 200, "the apps stay");
    }

    /// H15: the audit log has told all of it.
    fn read_audit_log(&self) {
        let chrome = self.chrome;
        chrome.press("Audit log");
        chrome.click("#action option[value=revoke]");
        chrome.press("Find events");
        for target in ["one grant", "all access as bob", "all access"] {
            let text = format!("Administrator root revoked {target}\n");
            assert_says(chrome, &[&text]);
        }
        chrome.click("#action option[value=withdraw_consent]");
        chrome.press("Find events");
        let text = "Administrator root removed the access of app demo-web to the account of ann";
        assert_says(chrome, &[text]);
    }
}

/// H9, H13 and H15, in a browser: each revocation ends what its page named, and nothing else.
#[test]
fn an_administrator_revokes_a_grant_a_user_and_everything() {
    let test = "an_administrator_revokes_a_grant_a_user_and_everything";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::with(&["--no-limits"]), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let work = Work { chrome: &chrome, apps: Apps::of(&server) };
    sign_in(&chrome, &server, "root", "/console");
    work.revoke_a_grant();
    work.revoke_a_user_of_an_app();
    work.revoke_on_the_page_of_a_user(&inspection);
    work.revoke_everything(&inspection);
    work.read_audit_log();
    inspection.assert_quiet(&server);
    inspection.finish(test);
}
