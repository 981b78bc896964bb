//! Trusted issuers: added, edited, asked about a token, revoked and removed. The token endpoint follows.

use super::apps::Apps;
use super::inspection::Inspection;
use super::{assert_says, assert_silent, axe, meanwhile, sign_in};
use crate::support::{Chrome, Server};

const NAME: &str = "Blue Login";
const ISSUER: &str = "https://login.blue.example";
const PUBLIC_KEY: &str = r#"{"kty": "EC", "crv": "P-256", "kid": "p256-1",
    "x": "qTtULt0q93zLL7iGXzLG7UyVzW8O8X5SCsyaUi74VH8", "y": "P4ZWb3MmrkYniGbqVsJoyEzgh0ls5Wc-xCA2iwdDYVU"}"#;

/// An administrator who decides about issuers, and the app that presents what they sign.
struct Work<'a> {
    chrome: &'a Chrome,
    apps: Apps<'a>,
    inspection: Inspection<'a>,
}

impl Work<'_> {
    fn list(&self) {
        let chrome = self.chrome;
        chrome.press("Trusted issuers");
        chrome.type_into("#search", "no such issuer");
        chrome.press("Search");
        assert_says(chrome, &["No issuer fits"]);
        chrome.press("Show all issuers");
        assert_silent(chrome, &[NAME]);
    }

    fn add(&self) {
        let chrome = self.chrome;
        chrome.press("New issuer");
        chrome.press("Cancel");
        chrome.press("New issuer");
        chrome.press("Trust this issuer");
        assert_says(chrome, &["Give the issuer a name.", "Write the iss of the issuer"]);
        assert_eq!(chrome.run("return document.activeElement.id"), "name");
        chrome.type_into("#name", NAME);
        chrome.type_into("#issuer", ISSUER);
        chrome.type_into("#keys", PUBLIC_KEY);
        chrome.tick("#id_jag", true);
        chrome.type_into("#id_jag_apps", "demo-backend");
        chrome.type_into("#id_jag_user_claim", "sub");
        chrome.click("#id_jag_allow_members");
        chrome.type_into("#id_jag_subjects", "ann");
        chrome.tick("#workloads", true);
        chrome.type_into("#rule_1_app", "demo-backend");
        chrome.type_into("#rule_1_subject", "repo:acme/site:*");
        chrome.press("Add another rule");
        assert_eq!(chrome.values("#rule_1_subject"), ["repo:acme/site:*"]);
        chrome.type_into("#rule_2_app", "no-such-app");
        chrome.type_into("#rule_2_subject", "*");
        chrome.tick("#global_revocation", true);
        chrome.tick("#ends_by_email", true);
        chrome.tick("#ends_limited", true);
        chrome.type_into("#ends_subjects", "ann");
        chrome.press("Trust this issuer");
        assert_says(chrome, &["Must not begin with `*`"]);
        assert_eq!(chrome.run("return document.activeElement.id"), "rule_2_subject");
        self.inspection.check("new-issuer-mistake");
        chrome.fill("#rule_2_app", "");
        chrome.fill("#rule_2_subject", "");
        self.apps.by_evidence(ISSUER, "ann").assert_error(400, "invalid_grant");
        chrome.press("Trust this issuer");
        assert_says(chrome, &["The issuer is trusted.", "The app may act as ann.", NAME]);
        assert_says(chrome, &["It may end the access of ann."]);
        self.inspection.check("issuer-added");
        assert_eq!(self.apps.by_evidence(ISSUER, "ann").status, 200);
        self.apps.by_evidence(ISSUER, "bob").assert_error(400, "invalid_grant");
        assert_eq!(chrome.copy("[data-copy=iss]"), ISSUER);
    }

    /// H8: of two administrators the second keeps what the first has saved, or saves the own values.
    fn edit(&self) {
        let chrome = self.chrome;
        for (theirs, button) in [("red", "Keep the stored version"), ("green", "Save my values")] {
            chrome.press("Settings");
            meanwhile(chrome, || {
                chrome.fill("#tenant", theirs);
                chrome.press("Save settings");
                assert_says(chrome, &["The settings are saved."]);
            });
            chrome.fill("#tenant", "");
            chrome.fill("#id_jag_subjects", "ann\nbob");
            chrome.press("Save settings");
            assert_says(chrome, &["Another administrator has changed this issuer", theirs]);
            self.inspection.check("issuer-conflict");
            chrome.press(button);
        }
        assert_eq!(self.apps.by_evidence(ISSUER, "bob").status, 200);
        chrome.press("Settings");
        chrome.press("Cancel");
        chrome.press("Add another rule");
    }

    /// H11: a token is checked, does not come back, and is good afterwards. As a subject token, it is refused.
    fn check(&self) {
        let chrome = self.chrome;
        chrome.press("Check evidence");
        let token = self.apps.evidence(ISSUER, "ann");
        chrome.press("Check token");
        assert_says(chrome, &["Paste a token."]);
        assert_eq!(chrome.run("return document.activeElement.id"), "evidence");
        self.inspection.check("issuer-check-mistake");
        chrome.fill("#evidence", &token);
        chrome.press("Check token");
        assert_says(chrome, &["Accepted: Mail Gateway", "ann is listed.", "Earlier actors"]);
        self.inspection.check("issuer-check-accepted");
        assert_eq!(chrome.run("return document.getElementById('evidence').value"), "");
        assert!(!chrome.url().as_str().contains(&token[..20]));
        assert_eq!(self.apps.present(&token).status, 200, "it was not used up");
        self.apps.present(&token).assert_error(400, "invalid_grant");
        chrome.fill("#evidence", &self.apps.evidence(ISSUER, "carol"));
        chrome.press("Check token");
        assert_says(chrome, &["Refused: Mail Gateway", "Neither carol nor a group of carol"]);
        self.inspection.check("issuer-check-refused");
        chrome.click("#presented_as_jwt");
        chrome.fill("#evidence", &self.apps.evidence(ISSUER, "ann"));
        chrome.fill("#targets", "https://reports.example.com/");
        chrome.press("Check token");
        assert_says(chrome, &["Refused: Mail Gateway"]);
        assert_eq!(chrome.values("#targets"), ["https://reports.example.com/"]);
        self.inspection.check("issuer-check-exchange");
        chrome.fill("#evidence", &token);
        let left = "dispatchEvent(new Event('pagehide')); return document.getElementById('evidence').value";
        assert_eq!(chrome.run(left), "", "the token is wiped when the page is left");
    }

    fn end(&self) {
        let (chrome, apps) = (self.chrome, &self.apps);
        let first = apps.by_evidence(ISSUER, "ann");
        assert!(apps.is_active(&first));
        for act in ["Revoke what it gave", "End the trust"] {
            chrome.press("Danger zone");
            chrome.press(act);
            chrome.press("Cancel");
        }
        chrome.press("Revoke what it gave");
        assert_says(chrome, &["The access of 1 app on its evidence."]);
        chrome.press("Revoke its access");
        assert_says(chrome, &["All access on the evidence of the issuer ended."]);
        assert!(!apps.is_active(&first));
        let second = apps.by_evidence(ISSUER, "ann");
        assert_eq!(second.status, 200, "the trust stays");
        chrome.press("Danger zone");
        chrome.press("End the trust");
        chrome.type_into("#name", "Blue");
        chrome.enter("#name");
        assert_says(chrome, &["This is not the name."]);
        self.inspection.check("issuer-remove-mistake");
        chrome.fill("#name", NAME);
        chrome.press("End the trust");
        assert_says(chrome, &["The issuer is trusted no longer"]);
        assert_silent(chrome, &[NAME]);
        assert!(!apps.is_active(&second));
        apps.by_evidence(ISSUER, "ann").assert_error(400, "invalid_grant");
    }

    /// H15: the audit log has told all of it, and leads to the page of the issuer.
    fn read_audit_log(&self) {
        let chrome = self.chrome;
        chrome.press("Audit log");
        for (action, done) in [
            ("add_trusted_issuer", "let the server trust the issuer"),
            ("edit_trusted_issuer", "edited the settings of the trusted issuer"),
            ("revoke", "revoked all access on the evidence of"),
            ("remove_trusted_issuer", "ended the trust in the issuer"),
        ] {
            chrome.click(&format!("#action option[value={action}]"));
            chrome.press("Find events");
            assert_says(chrome, &[&format!("Administrator root {done} {ISSUER}")]);
        }
        chrome.follow("td.event a[href*='/issuers/']");
        assert_says(chrome, &["There is no such trusted issuer"]);
    }
}

/// H9, H11, H15 and H24, in a browser: an issuer from the first trust to its end.
#[test]
fn an_administrator_trusts_an_issuer_checks_a_token_and_ends_the_trust() {
    let test = "an_administrator_trusts_an_issuer_checks_a_token_and_ends_the_trust";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::with(&["--no-limits"]), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let work = Work { chrome: &chrome, apps: Apps::of(&server), inspection };
    sign_in(&chrome, &server, "root", "/console");
    work.list();
    work.add();
    work.edit();
    work.check();
    work.end();
    work.read_audit_log();
    work.inspection.assert_quiet(&server);
    work.inspection.finish(test);
}
