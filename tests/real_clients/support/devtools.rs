//! The inside of the browser: scripts, keys, tabs, the size and the colours of the window, and what it logged.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Chrome, target_folder};
use crate::sandbox::wait_until;

impl Chrome {
    /// Runs a script at the start of each page that this tab opens from now on.
    pub(crate) fn run_first(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    /// Presses keys where the focus is.
    pub(crate) fn keys(&self, keys: &str) {
        let press = |key: char| ["keyDown", "keyUp"].map(|it| json!({ "type": it, "value": key }));
        let actions: Vec<_> = keys.chars().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("/actions", &json!({ "actions": [keyboard] }));
    }

    /// Replaces the content of a field.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.command(&format!("{}/clear", self.one(selector)), &json!({}));
        self.type_into(selector, text);
    }

    /// Ticks a box, or takes the tick away.
    pub(crate) fn tick(&self, selector: &str, is_ticked: bool) {
        if (self.count(&format!("{selector}:checked")) == 1) != is_ticked {
            self.click(selector);
        }
    }

    /// Clicks the one button or link with this text, and waits for the next page.
    #[track_caller]
    pub(crate) fn press(&self, text: &str) {
        let path = format!(
            "//*[self::a or self::button][not(@aria-hidden)][normalize-space()=\"{text}\"]"
        );
        let found = self.find_by("xpath", &path);
        assert_eq!(found.len(), 1, "{text}: {}", self.text("body"));
        self.next_page(|| self.command(&format!("{}/click", found[0]), &json!({})));
    }

    /// Clicks an element that leads to another page, and waits for it.
    pub(crate) fn follow(&self, selector: &str) {
        self.next_page(|| self.click(selector));
    }

    /// Clicks a button that copies, and returns the content of the clipboard once the button says that it has copied.
    pub(crate) fn copy(&self, selector: &str) -> String {
        self.click(selector);
        let said = format!(
            "const it = document.querySelector('{selector}'); \
             return it.textContent === it.dataset.copied"
        );
        wait_until("the text is copied", || self.run(&said) == true);
        self.devtools(
            "Browser.grantPermissions",
            &json!({ "permissions": ["clipboardReadWrite"] }),
        );
        let text = self.run("return await navigator.clipboard.readText()");
        self.devtools("Browser.resetPermissions", &json!({}));
        text.as_str().unwrap().to_owned()
    }

    /// Returns the text of the first element that an `XPath` finds.
    pub(crate) fn text_at(&self, path: &str) -> String {
        self.get(&format!("{}/text", self.find_by("xpath", path)[0])).as_str().unwrap().to_owned()
    }

    /// Keeps what pages offer for download in `folder`.
    pub(crate) fn download_to(&self, folder: &Path) {
        let behavior = json!({ "behavior": "allow", "downloadPath": folder });
        self.devtools("Browser.setDownloadBehavior", &behavior);
    }

    /// Sends the form of a field by the Enter key, and waits for the next page.
    pub(crate) fn enter(&self, selector: &str) {
        self.next_page(|| self.type_into(selector, "\u{e007}"));
    }

    /// Waits for the page that `act` leads to.
    fn next_page<T>(&self, act: impl FnOnce() -> T) {
        self.run("window.isOld = true");
        act();
        // The script fails while the browser changes the page.
        let script = "return document.readyState === 'complete' && !window.isOld";
        let script = json!({ "script": script, "args": [] });
        wait_until("the next page is there", || {
            self.try_command("/execute/sync", &script).is_some_and(|it| it == true)
        });
    }

    /// Returns the title of the page.
    pub(crate) fn title(&self) -> String {
        self.get("/title").as_str().unwrap().to_owned()
    }

    pub(crate) fn reload(&self) {
        self.command("/refresh", &json!({}));
    }

    pub(crate) fn back(&self) {
        self.command("/back", &json!({}));
    }

    /// Forgets every cookie.
    pub(crate) fn forget_cookies(&self) {
        self.devtools("Network.clearBrowserCookies", &json!({}));
    }

    /// Opens another tab, which is now the one that all methods work on, and returns its name.
    pub(crate) fn new_tab(&self) -> String {
        let tab = self.command("/window/new", &json!({ "type": "tab" }));
        let tab = tab["handle"].as_str().unwrap().to_owned();
        self.switch_to(&tab);
        tab
    }

    /// Closes the tab that all methods work on. Another has to be switched to.
    pub(crate) fn close_tab(&self) {
        self.delete("/window");
    }

    /// Returns the name of the tab that all methods work on.
    pub(crate) fn tab(&self) -> String {
        self.get("/window").as_str().unwrap().to_owned()
    }

    /// Sends a command of Chromium's own protocol.
    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.command("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Sets the width of the page, as on a screen of that size.
    pub(crate) fn set_width(&self, width: u32) {
        let is_phone = width < 600;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({
                "width": width,
                "height": if is_phone { 740 } else { 900 },
                "deviceScaleFactor": 1,
                "mobile": is_phone,
            }),
        );
    }

    /// Chooses the dark or the light colours, as the system does.
    pub(crate) fn set_dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Switches the scripts of pages off.
    pub(crate) fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    /// Saves a picture of the whole page in the target folder.
    pub(crate) fn picture(&self, name: &str) {
        let picture =
            json!({ "format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true });
        let picture = self.devtools("Page.captureScreenshot", &picture);
        let png = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        let folder = target_folder().join("screenshots/console");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// Returns what the pages and the browser have logged since the last call, such as a violated policy.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let log = self.command("/se/log", &json!({ "type": "browser" }));
        log.as_array().unwrap().clone()
    }

    /// Returns the URLs that this browser has requested since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({ "type": "performance" }));
        let events = log.as_array().unwrap().iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        let requests = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.map(|it| it["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }
}
