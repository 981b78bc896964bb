//! The devices: an administrator and a user wipe phones, which ask and report beside the browser.

use super::apps::{Apps, Phone};
use super::inspection::Inspection;
use super::{assert_says, assert_silent, axe, open_app, sign_in};
use crate::support::{Chrome, Server};

const APP: &str = "Desk Sync";

/// An administrator who cares for phones.
struct Work<'a> {
    chrome: &'a Chrome,
    apps: Apps<'a>,
    inspection: Inspection<'a>,
}

impl Work<'_> {
    /// Opens the page of a device of the user ann from the list of all devices.
    fn open(&self, tag: &str) {
        let chrome = self.chrome;
        chrome.follow(".places a[href$='/devices']");
        chrome.type_into("#user", "ann");
        chrome.press("Find devices");
        chrome.follow(&format!("tbody th a[href$='/{tag}']"));
    }

    fn order(&self, tag: &str) {
        self.open(tag);
        self.chrome.press("Wipe this device");
        self.chrome.type_into("#word", "wipe");
        self.chrome.press("Wipe device");
        assert_says(
            self.chrome,
            &["The wipe is ordered, and the access ended.", "Wipe ordered by root"],
        );
    }

    /// W3, W5 and W6: each state, as the phone goes through it.
    fn wipe(&self, phone: &Phone<'_>, bystander: &Phone<'_>) {
        let (chrome, inspection) = (self.chrome, &self.inspection);
        self.open(phone.tag);
        chrome.press("Wipe this device");
        assert_says(chrome, &["Ann’s tag-1", "ann", APP, "While it is offline"]);
        chrome.press("Cancel");
        chrome.press("Wipe this device");
        chrome.type_into("#word", "revoke");
        chrome.press("Wipe device");
        assert_says(chrome, &["This is not the word. Nothing was changed."]);
        assert_eq!(chrome.run("return document.activeElement.id"), "word");
        inspection.check("device-wipe-mistake");
        assert!(phone.is_live() && !phone.asks());
        chrome.fill("#word", "wipe");
        chrome.enter("#word");
        assert_says(chrome, &["The wipe is ordered", "The phone has not asked yet."]);
        inspection.check("device-ordered");
        phone.assert_ended();
        assert!(bystander.is_live());
        let page = chrome.url();
        assert!(phone.asks());
        chrome.open(page.as_str());
        assert_says(chrome, &["Told to wipe, just now. The phone has not reported yet."]);
        assert_silent(chrome, &["<button"]);
        assert!(phone.reports() && !phone.asks());
        chrome.open(page.as_str());
        assert_says(chrome, &["Wiped: the phone reported, just now, that its data is gone."]);
        inspection.check("device-wiped");
    }

    /// W13: a withdrawn order is not told.
    fn withdraw(&self, phone: &Phone<'_>) {
        self.order(phone.tag);
        self.chrome.press("Withdraw the wipe");
        assert_says(self.chrome, &["The order is withdrawn."]);
        assert!(!phone.asks());
        phone.assert_ended();
    }

    /// W13: an order that the phone was told is given up, and the phone is not told again.
    fn abandon(&self, phone: &Phone<'_>) {
        let chrome = self.chrome;
        self.order(phone.tag);
        let page = chrome.url();
        assert!(phone.asks());
        chrome.open(page.as_str());
        self.inspection.check("device-told");
        chrome.press("Give up the wipe");
        assert_says(chrome, &["Told to wipe, just now.", "The data may still be on the phone."]);
        self.inspection.check("device-abandon");
        chrome.press("Cancel");
        assert!(phone.asks());
        chrome.press("Give up the wipe");
        chrome.press("Give up the wipe");
        assert_says(chrome, &["The order is given up.", "Wipe this device"]);
        self.inspection.check("device-abandoned");
        assert!(!phone.asks());
        phone.assert_ended();
    }

    /// W10: the end of access is no wipe.
    fn revoke(&self, phone: &Phone<'_>) {
        let chrome = self.chrome;
        self.open(phone.tag);
        chrome.press("Revoke access");
        assert_says(chrome, &["The data stays on the phone: this is no wipe."]);
        chrome.press("Cancel");
        chrome.press("Revoke access");
        chrome.press("Revoke access");
        assert_says(chrome, &["The access ended."]);
        phone.assert_ended();
        assert!(!phone.asks());
    }

    /// W20: the box beside a revocation.
    fn revoke_and_wipe(&self) {
        let chrome = self.chrome;
        let [first, second] = ["tag-4", "tag-5"].map(|tag| self.apps.install("bob", tag));
        open_app(chrome, APP);
        chrome.press("Users");
        chrome.type_into("#user", "bob");
        chrome.press("Find user");
        chrome.press("Revoke everything of this user in this app");
        chrome.press("Revoke user");
        assert_says(chrome, &["The access ended."]);
        first.assert_ended();
        assert!(!first.asks() && !second.asks());
        let phones = ["tag-4", "tag-5"].map(|tag| self.apps.install("bob", tag));
        open_app(chrome, APP);
        chrome.press("Danger zone");
        chrome.press("Revoke everything of the app");
        self.inspection.check("danger-revoke-wipe");
        chrome.tick("#wipe", true);
        chrome.press("Revoke everything");
        assert_says(chrome, &["The access ended, and the wipe of 5 devices is ordered."]);
        for phone in &phones {
            phone.assert_ended();
            assert!(phone.asks());
        }
        chrome.follow(".tabs a[href$='/devices']");
        chrome.press("To be wiped");
        assert_eq!(chrome.count("tbody tr"), 5);
        self.inspection.check("devices-to-be-wiped");
        chrome.press("All");
        assert_eq!(chrome.count("tbody tr"), 6);
        chrome.type_into("#user", "no such user");
        chrome.press("Find devices");
        chrome.press("Show all devices");
        chrome.follow("tbody tr:last-child td a[href$='/users/bob']");
        chrome.press("Devices of this user");
        assert_eq!(chrome.count("tbody tr"), 2);
    }

    /// H15: the audit log has told all of it.
    fn read_audit_log(&self) {
        let chrome = self.chrome;
        for (action, text) in [
            (
                "order_wipe",
                "Administrator root ordered app demo-native to wipe its data on device tag-1 of ann",
            ),
            (
                "withdraw_wipe",
                "Administrator root withdrew the order to wipe the data of app demo-native on device tag-2 of ann",
            ),
            (
                "abandon_wipe",
                "Administrator root gave up the order to wipe the data of app demo-native on device tag-6 of ann",
            ),
            ("tell_wipe", "device tag-1 of ann"),
            ("finish_wipe", "device tag-1 of ann"),
        ] {
            chrome.press("Audit log");
            chrome.click(&format!("#action option[value={action}]"));
            chrome.press("Find events");
            assert_says(chrome, &[text]);
        }
    }
}

/// W3, W5, W6, W10, W13 and W20, in a browser: each act has the effect that its page says, at the phone.
#[test]
fn an_administrator_wipes_phones() {
    let test = "an_administrator_wipes_phones";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::with(&["--no-limits"]), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let work = Work { chrome: &chrome, apps: Apps::of(&server), inspection };
    let apps = Apps::of(&server);
    let [first, second, third, lost] =
        ["tag-1", "tag-2", "tag-3", "tag-6"].map(|tag| apps.install("ann", tag));
    sign_in(&chrome, &server, "root", "/console");
    work.wipe(&first, &second);
    work.withdraw(&second);
    work.abandon(&lost);
    work.revoke(&third);
    work.revoke_and_wipe();
    work.read_audit_log();
    work.inspection.assert_quiet(&server);
    work.inspection.finish(test);
}

/// W11, in a browser: a user wipes an own phone, and withdraws an order.
#[test]
fn a_user_wipes_an_own_phone() {
    let test = "a_user_wipes_an_own_phone";
    let Some(axe) = axe(test) else { return };
    let (server, chrome) = (Server::with(&["--no-limits"]), Chrome::start());
    let inspection = Inspection::new(&chrome, &axe);
    let apps = Apps::of(&server);
    let [first, second] = ["tag-1", "tag-2"].map(|tag| apps.install("ann", tag));
    let other = apps.install("bob", "tag-1");
    sign_in(&chrome, &server, "ann", "/account");
    chrome.press("Wipe Ann’s tag-1");
    assert_says(&chrome, &["Ann’s tag-1", APP, "While the phone is offline"]);
    chrome.press("Cancel");
    chrome.press("Wipe Ann’s tag-1");
    inspection.check("account-wipe");
    assert!(first.is_live());
    chrome.press("Wipe");
    assert_says(&chrome, &["You ordered a wipe, just now. The phone has not asked yet."]);
    inspection.check("account-wipe-ordered");
    first.assert_ended();
    chrome.press("Withdraw the wipe Ann’s tag-1");
    assert_silent(&chrome, &["You ordered a wipe"]);
    assert!(!first.asks());
    chrome.press("Wipe Ann’s tag-2");
    chrome.press("Wipe");
    assert!(second.asks());
    chrome.open(&server.url("/account"));
    assert_says(&chrome, &["The phone was told to wipe, just now."]);
    assert!(second.reports());
    chrome.open(&server.url("/account"));
    assert_says(&chrome, &["The phone reported, just now, that the data is gone."]);
    inspection.check("account-wiped");
    assert!(other.is_live() && !other.asks());
    inspection.assert_quiet(&server);
    inspection.finish(test);
}
