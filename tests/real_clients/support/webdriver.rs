//! Chromium without a window, driven by JSON over HTTP (W3C `WebDriver`).

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

use super::{Http, target_folder};
use crate::sandbox::{Folder, command, wait_until};

/// The member that holds the id of an element (`WebDriver` section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Checks whether Chromium and its driver are installed.
pub(crate) fn chrome_is_there() -> bool {
    ["chromium", "chromedriver"].iter().all(|program| {
        let mut asked = command(program);
        let asked = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    })
}

/// A browser with one window.
pub(crate) struct Chrome {
    driver: Child,
    /// Kept open because the driver may write to it.
    _said: Lines<BufReader<ChildStdout>>,
    http: Http,
    base: String,
    session: String,
    profile: Folder,
}

impl Chrome {
    /// Starts the driver and a browser with a new profile.
    pub(crate) fn start() -> Self {
        let profile = Folder::temporary();
        let mut started = None;
        // The driver ends if its port is free for IPv4 and not for IPv6.
        wait_until("ChromeDriver has a port", || {
            started = driver(&profile);
            started.is_some()
        });
        let (driver, said, port) = started.unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let (http, session) = (Http::new(), String::new());
        let mut chrome = Self { driver, _said: said, http, base, session, profile };
        chrome.wait_for_driver();
        let mut flags: Vec<_> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push("--window-size=900,900".to_owned());
        flags.push(format!("--user-data-dir={}", chrome.profile.file("profile").display()));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags },
            // Messages of the pages and of the browser, and every request, for `devtools`.
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "pageLoad": 600_000, "script": 600_000 },
        } } });
        let value = chrome.post("/session", &capabilities);
        chrome.session = format!("/session/{}", value["sessionId"].as_str().unwrap());
        chrome
    }

    fn wait_for_driver(&self) {
        let status = http::Request::get(format!("{}/status", self.base));
        let status = status.body(Vec::new()).unwrap();
        wait_until("ChromeDriver answers", || {
            self.http.send(status.clone()).is_ok_and(|answer| answer.status() == 200)
        });
    }

    /// Sends a command of the session, and returns its value, or `None` if it fails.
    pub(super) fn try_command(&self, path: &str, json: &Value) -> Option<Value> {
        let answer = self.http.post_json(&format!("{}{}{path}", self.base, self.session), json);
        let mut value: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status == 200).then(|| value["value"].take())
    }

    fn post(&self, path: &str, json: &Value) -> Value {
        let answer = self.http.post_json(&format!("{}{path}", self.base), json);
        let mut value: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", value["value"]["message"]);
        value["value"].take()
    }

    pub(super) fn get(&self, path: &str) -> Value {
        let answer = self.http.get(&format!("{}{}{path}", self.base, self.session));
        let mut value: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", value["value"]["message"]);
        value["value"].take()
    }

    /// Ends a part of the session, or, with an empty path, the session.
    pub(super) fn delete(&self, path: &str) {
        let request = http::Request::delete(format!("{}{}{path}", self.base, self.session));
        drop(self.http.send(request.body(Vec::new()).unwrap()));
    }

    /// Sends a command of the session, and returns its value.
    pub(super) fn command(&self, path: &str, json: &Value) -> Value {
        self.post(&format!("{}{path}", self.session), json)
    }

    /// Goes to a page. A missing page is no error, because an app on loopback may have ended.
    pub(crate) fn open(&self, url: &str) {
        let path = format!("{}{}/url", self.base, self.session);
        self.http.post_json(&path, &json!({ "url": url }));
    }

    /// Returns the paths of the elements that a CSS selector finds.
    fn find(&self, selector: &str) -> Vec<String> {
        self.find_by("css selector", selector)
    }

    /// Returns the paths of the elements that a strategy finds (`WebDriver` section 12.2).
    pub(super) fn find_by(&self, strategy: &str, value: &str) -> Vec<String> {
        let found = self.command("/elements", &json!({ "using": strategy, "value": value }));
        let ids = found.as_array().unwrap().iter();
        ids.map(|element| format!("/element/{}", element[ELEMENT].as_str().unwrap())).collect()
    }

    /// Waits for the one element that a CSS selector finds, and returns its path.
    pub(super) fn one(&self, selector: &str) -> String {
        let mut found = Vec::new();
        wait_until(&format!("there is one {selector}"), || {
            found = self.find(selector);
            found.len() == 1
        });
        found.swap_remove(0)
    }

    /// Waits until an element is there.
    pub(crate) fn wait_for(&self, selector: &str) {
        self.one(selector);
    }

    /// Counts the elements that a CSS selector finds.
    pub(crate) fn count(&self, selector: &str) -> usize {
        self.find(selector).len()
    }

    /// Types into a field.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.command(&format!("{}/value", self.one(selector)), &json!({ "text": text }));
    }

    /// Clicks and waits for the next page. If an app on loopback has ended, that is an error page of the
    /// browser.
    pub(crate) fn click(&self, selector: &str) {
        let path = format!("{}{}{}/click", self.base, self.session, self.one(selector));
        self.http.post_json(&path, &json!({}));
    }

    /// Returns the text that a person sees.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.get(&format!("{}/text", self.one(selector))).as_str().unwrap().to_owned()
    }

    /// Returns the values of the fields that a CSS selector finds.
    pub(crate) fn values(&self, selector: &str) -> Vec<String> {
        let value = |path: &String| self.get(&format!("{path}/property/value"));
        let found = self.find(selector);
        found.iter().map(|path| value(path).as_str().unwrap().to_owned()).collect()
    }

    /// Runs the body of an async function in the page, and returns its value. The policy of the page does not apply.
    pub(crate) fn run(&self, script: &str) -> Value {
        let script = format!("return (async () => {{ {script} }})();");
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Returns the ids of the windows.
    pub(crate) fn windows(&self) -> Vec<String> {
        let windows = self.get("/window/handles");
        windows.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// Waits for a window that is not one of `known`, and returns its id.
    pub(crate) fn new_window(&self, known: &[String]) -> String {
        let mut found = None;
        wait_until("there is a new window", || {
            found = self.windows().into_iter().find(|id| !known.contains(id));
            found.is_some()
        });
        found.unwrap()
    }

    /// Goes on in another window.
    pub(crate) fn switch_to(&self, window: &str) {
        self.command("/window", &json!({ "handle": window }));
    }

    /// Returns the address that the browser shows.
    pub(crate) fn url(&self) -> Url {
        Url::parse(self.get("/url").as_str().unwrap()).unwrap()
    }

    /// Saves a picture of the page in the target folder.
    pub(crate) fn screenshot(&self, name: &str) {
        let png = STANDARD.decode(self.get("/screenshot").as_str().unwrap()).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        let folder = target_folder().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // The browser ends first because it would outlive its driver.
        self.delete("");
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

/// Starts the driver. Returns it with its output and its port, or `None` if it ended instead.
fn driver(profile: &Folder) -> Option<(Child, Lines<BufReader<ChildStdout>>, u16)> {
    let mut driver = command("chromedriver")
        .arg("--port=0")
        .env("TMPDIR", profile.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(driver.stdout.take().unwrap()).lines();
    let Some(port) = said.find_map(|line| port_in(&line.unwrap())) else {
        driver.wait().unwrap();
        return None;
    };
    Some((driver, said, port))
}

/// Parses the port in the start message of the driver.
fn port_in(line: &str) -> Option<u16> {
    let rest = line.split_once("successfully on port ")?.1;
    rest.trim_end_matches('.').parse().ok()
}
