//! The buttons and links of the console: those that Chromium saw on any page, and those that the tests used.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The tests that use controls. The last of them to end checks that no control was left out.
const TESTS: [&str; 11] = [
    "a_user_wipes_an_own_phone",
    "an_administrator_decides_what_an_app_may_do",
    "an_administrator_looks_around_and_changes_nothing",
    "an_administrator_registers_edits_rotates_and_deletes_an_app",
    "an_administrator_revokes_a_grant_a_user_and_everything",
    "an_administrator_tries_a_whole_exchange_in_the_browser",
    "an_administrator_trusts_an_issuer_checks_a_token_and_ends_the_trust",
    "an_administrator_wipes_phones",
    "every_page_is_accessible_in_both_schemes_and_on_a_phone",
    "the_apps_of_one_server_move_to_another",
    "the_pages_of_a_user_are_accessible_in_both_schemes_and_on_a_phone",
];

/// Reports the controls of each page, and those that are clicked. A page counts as a used link to it. Names that a
/// user of the host chose (`bdi`, and parts of a path) are left out, so that one app stands for all.
pub(super) const SCRIPT: &str = r#"
    (() => {
        const isOwn = ({ origin, pathname }) =>
            origin === location.origin && /^\/(console|account)(\/|$)/.test(pathname);
        if (!isOwn(location)) return;
        const page = ({ pathname }) =>
            pathname.replace(/^(\/console\/(?:apps|users|issuers)|\/account\/remove)\/[^/]+/, "$1/*")
                .replace(/^(\/(?:console|account)\/devices)(?:\/[^/]+){2,3}?(?=\/(?:wipe|revoke|withdraw|abandon)$|$)/, "$1/*");
        const words = (it) => {
            const copy = it.cloneNode(true);
            for (const name of copy.querySelectorAll("bdi")) name.remove();
            return copy.textContent.trim().replace(/\s+/g, " ");
        };
        const names = (it) => [
            ...(it.matches("button, .button") && it.textContent !== it.dataset.copied
                ? [`button ${page(location)}: ${words(it)}`] : []),
            ...(it.localName === "a" && isOwn(it) ? [`link to ${page(it)}`] : []),
        ];
        const tell = (...report) => console.debug("controls " + JSON.stringify(report));
        const look = () => {
            const all = [...document.querySelectorAll("button, a[href]")];
            tell("seen", all.filter((it) => !it.closest("[hidden]")).flatMap(names));
        };
        addEventListener("load", () => {
            tell("used", [`link to ${page(location)}`]);
            look();
        });
        addEventListener("click", (event) => {
            const it = event.isTrusted && event.target.closest("button, a[href]");
            if (!it) return;
            look();
            tell("used", names(it));
        }, true);
    })();"#;

static ALL: Mutex<(Controls, BTreeSet<String>)> = Mutex::new((Controls::none(), BTreeSet::new()));

/// Controls by their page and text.
pub(super) struct Controls {
    seen: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Controls {
    pub(super) const fn none() -> Self {
        Self { seen: BTreeSet::new(), used: BTreeSet::new() }
    }

    /// Takes a report of the script. Returns whether `message` of the browser's log is one.
    pub(super) fn take(&mut self, message: &str) -> bool {
        let Some(start) = message.find("\"controls ") else { return false };
        let report: String = serde_json::from_str(&message[start..]).unwrap();
        let report = report.strip_prefix("controls ").unwrap();
        let (kind, controls): (String, Vec<String>) = serde_json::from_str(report).unwrap();
        let known = if kind == "seen" { &mut self.seen } else { &mut self.used };
        known.extend(controls);
        true
    }

    /// Adds the controls of a test that has ended. After the last test, checks that each control that was seen by
    /// one was used by one.
    pub(super) fn finish(self, test: &str) {
        assert!(TESTS.contains(&test), "{test}");
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let (controls, ended) = &mut *all;
        controls.seen.extend(self.seen);
        controls.used.extend(self.used);
        ended.insert(test.to_owned());
        if ended.len() == TESTS.len() {
            let Self { seen, used } = controls;
            assert!(seen.len() > 100, "{seen:?}");
            let left: Vec<_> = seen.difference(used).map(String::as_str).collect();
            assert!(left.is_empty(), "{} without a test:\n{}", left.len(), left.join("\n"));
        }
    }
}
