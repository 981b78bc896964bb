//! The checks that every page has to pass.

use std::cell::RefCell;

use serde_json::Value;

use super::controls::{Controls, SCRIPT};
use crate::support::{Chrome, Server};

/// The widths of a phone and of a desktop, in CSS pixels.
const PHONE: u32 = 360;
const DESKTOP: u32 = 1280;
/// The width at which a page has to fit without scrolling sideways (WCAG 1.4.10).
const NARROWEST: u32 = 320;
/// The rules of WCAG 2.2 AA, and good practice.
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";
/// The rules about colours, which are all that differs between the schemes.
const RULES_OF_COLOURS: &str = "['color-contrast', 'link-in-text-block']";
/// The shifts of the layout since the page was opened, without those after a key or a click: each with its score,
/// and the elements that moved, from where to where.
const SHIFTS: &str = "
    const observer = new PerformanceObserver(() => {});
    observer.observe({ type: 'layout-shift', buffered: true });
    const place = it => `${it.x},${it.y} ${it.width}x${it.height}`;
    const moved = it => `${it.node?.localName ?? it.node?.nodeName}.${it.node?.className ?? ''} from ${place(it.previousRect)} to ${place(it.currentRect)}`;
    return observer.takeRecords().filter(it => !it.hadRecentInput)
        .map(it => `${it.value} after ${it.startTime} ms: ${it.sources.map(moved).join('; ')}`);";
const OVERFLOW: &str =
    "const page = document.documentElement; return page.scrollWidth - page.clientWidth;";
/// Returns the elements that the Tab key has to reach, and records those that get the focus.
const WATCH_FOCUS: &str = "
    const groups = new Set();
    const reachable = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]
        .filter(it => !it.matches(':disabled, [tabindex=\"-1\"], [type=hidden]') && it.checkVisibility({ visibilityProperty: true }))
        .filter(it => {
            if (it.type !== 'radio') return true;
            const chosen = document.querySelector(`input[name=\"${it.name}\"]:checked`);
            if (chosen ? chosen !== it : groups.has(it.name)) return false;
            groups.add(it.name);
            return true;
        });
    const name = it => `${it.localName} ${reachable.indexOf(it)} ${it.id || it.textContent.trim()}`;
    window.focused = [];
    document.addEventListener('focusin', event => {
        const style = getComputedStyle(event.target);
        const isVisible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
        window.focused.push(name(event.target) + (isVisible ? '' : ', without a visible focus'));
    });
    reachable[0]?.focus({ focusVisible: true });
    return reachable.map(name);";

/// A browser whose pages are checked.
pub(crate) struct Inspection<'a> {
    chrome: &'a Chrome,
    faults: RefCell<Vec<String>>,
    controls: RefCell<Controls>,
}

impl<'a> Inspection<'a> {
    /// Adds axe-core, and the report of controls, to every page that `chrome` opens from now on.
    pub(crate) fn new(chrome: &'a Chrome, axe: &str) -> Self {
        chrome.run_first(axe);
        chrome.run_first(SCRIPT);
        chrome.set_width(DESKTOP);
        let (faults, controls) = (RefCell::new(Vec::new()), RefCell::new(Controls::none()));
        Self { chrome, faults, controls }
    }

    /// H16: checks the page that is open in both schemes and on both screens: axe-core finds nothing, nothing is
    /// cut off, nothing has moved, and the keyboard reaches everything. Keeps pictures as `name`.
    pub(crate) fn check(&self, name: &str) {
        let shifts = self.chrome.run(SHIFTS);
        for shift in shifts.as_array().unwrap() {
            self.fault(format!("{name} moves: {}", shift.as_str().unwrap()));
        }
        self.check_filled(name);
    }

    /// Checks a page to which a script has added the answer to a request of the user. A late answer moves what is
    /// below it.
    pub(crate) fn check_filled(&self, name: &str) {
        let chrome = self.chrome;
        self.check_keyboard(name);
        for (width, screen, in_the_dark) in
            [(PHONE, "phone", "phone-dark"), (DESKTOP, "desktop", "dark")]
        {
            chrome.set_width(width);
            self.check_rules(&format!("{name}-{screen}"), RULES);
            self.check_overflow(&format!("{name}-{screen}"));
            chrome.picture(&format!("{name}-{screen}"));
            chrome.set_dark(true);
            self.check_rules(&format!("{name}-{in_the_dark}"), RULES_OF_COLOURS);
            chrome.picture(&format!("{name}-{in_the_dark}"));
            chrome.set_dark(false);
        }
        chrome.set_width(NARROWEST);
        self.check_overflow(&format!("{name} at {NARROWEST} pixels"));
        chrome.set_width(DESKTOP);
    }

    /// Checks a page that differs little from one that was checked completely, on one screen.
    pub(crate) fn check_roughly(&self, name: &str) {
        self.check_rules(name, RULES);
        self.check_overflow(name);
    }

    fn check_rules(&self, name: &str, rules: &str) {
        let found = self.chrome.run(&format!(
            "const options = {{ resultTypes: ['violations'], runOnly: {rules} }}; \
             const found = await axe.run(document, options); \
             return found.violations.flatMap(rule => rule.nodes.map(node => \
             `${{rule.id}} ${{node.target}}: ${{node.failureSummary}}`));"
        ));
        for violation in found.as_array().unwrap() {
            self.fault(format!("{name}: {}", violation.as_str().unwrap()));
        }
    }

    fn check_overflow(&self, name: &str) {
        let pixels = self.chrome.run(OVERFLOW);
        if pixels != 0 {
            self.fault(format!("{name} is {pixels} pixels too wide"));
        }
    }

    /// Checks that the Tab key reaches every link and field, in their order, and that the focus is visible.
    fn check_keyboard(&self, name: &str) {
        let reachable = self.chrome.run(WATCH_FOCUS);
        let reachable: Vec<_> = reachable.as_array().unwrap().iter().collect();
        self.chrome.keys(&"\u{e004}".repeat(reachable.len() + 10));
        let focused = "document.activeElement.blur(); scrollTo(0, 0); return window.focused";
        let focused = self.chrome.run(focused);
        let mut focused = focused.as_array().unwrap().iter();
        if let Some(missed) = reachable.into_iter().find(|one| !focused.any(|it| it == *one)) {
            self.fault(format!("{name}: the Tab key does not reach {missed}"));
        }
    }

    fn fault(&self, fault: String) {
        self.faults.borrow_mut().push(fault);
    }

    /// Returns what the pages and the browser have logged since the last call, and keeps the reports of controls.
    fn messages(&self) -> Vec<Value> {
        let mut messages = self.chrome.messages();
        let mut controls = self.controls.borrow_mut();
        messages.retain(|it| !controls.take(it["message"].as_str().unwrap()));
        messages
    }

    /// H4: checks that the browser has requested nothing of another origin, and that it complains about nothing. A
    /// page with another status than 200 is logged and no complaint.
    pub(crate) fn assert_quiet(&self, server: &Server) {
        let requests = self.chrome.requests();
        let own = format!("{}/", server.issuer);
        assert!(requests.iter().any(|url| url.starts_with(&own)), "{requests:?}");
        let foreign = requests.iter().find(|url| url.starts_with("http") && !url.starts_with(&own));
        assert_eq!(foreign, None);
        let is_status = |it: &&Value| {
            let text = it["message"].as_str().unwrap();
            it["source"] == "network" && text.contains("the server responded with a status of 4")
        };
        let messages = self.messages();
        let complaint = messages.iter().find(|it| !is_status(it));
        assert_eq!(complaint, None);
    }

    /// Ends `test`: checks that no page had a fault, and adds its controls to those of other tests.
    pub(crate) fn finish(self, test: &str) {
        self.messages();
        let faults = self.faults.into_inner();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        self.controls.into_inner().finish(test);
    }
}
