//! A browser without a window: cookies, redirects and plain forms, no scripts.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use url::Url;

use super::{Answer, Http};

/// The end of a chain of redirects.
#[derive(Debug)]
pub(crate) enum Landing {
    /// A page of the server.
    Page(Page),
    /// A redirect away from the server, to an app.
    App(Url),
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) html: String,
    pub(crate) forms: Vec<Form>,
}

/// A form with its filled-in fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    method: String,
    action: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) buttons: Vec<(String, String)>,
}

impl Form {
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    /// Types `value` into the fields of this name.
    fn fill(&mut self, field: &str, value: &str) {
        for (_, content) in self.fields.iter_mut().filter(|(name, _)| name == field) {
            value.clone_into(content);
        }
    }
}

impl Landing {
    #[track_caller]
    pub(crate) fn page(self) -> Page {
        match self {
            Self::Page(page) => page,
            Self::App(url) => panic!("sent to {}", url.origin().ascii_serialization()),
        }
    }

    #[track_caller]
    pub(crate) fn app(self) -> Url {
        match self {
            Self::App(url) => url,
            Self::Page(page) => panic!("a page with status {}: {}", page.status, page.html),
        }
    }
}

/// The browser of one user.
pub(crate) struct Browser {
    http: Arc<Http>,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new(http: &Arc<Http>) -> Self {
        Self { http: Arc::clone(http), cookies: BTreeMap::new() }
    }

    /// Opens a page and follows redirects while they stay on the server.
    pub(crate) fn open(&mut self, url: &str) -> Landing {
        let url = Url::parse(url).unwrap();
        let answer = self.get(&url);
        self.follow(url, answer)
    }

    /// Sends a form by one of its buttons.
    pub(crate) fn submit(
        &mut self,
        page: &Page,
        form: &Form,
        button: Option<(&str, &str)>,
    ) -> Landing {
        assert_eq!(form.method, "post", "{form:?}");
        let mut fields: Vec<_> = form.fields.iter().map(|(a, b)| (&**a, &**b)).collect();
        if let Some(button) = button {
            assert!(form.buttons.iter().any(|(a, b)| (&**a, &**b) == button), "{form:?}");
            fields.push(button);
        }
        let target = page.url.join(&form.action).unwrap();
        let cookies = self.cookies();
        let headers: Vec<_> = cookies.iter().map(|pairs| ("cookie", pairs.as_str())).collect();
        let answer = self.http.post(target.as_str(), &headers, &fields);
        self.follow(target, answer)
    }

    /// Opens the page, and logs in and decides if it is asked to.
    pub(crate) fn authorize(&mut self, url: &str, user: (&str, &str), decision: &str) -> Landing {
        let mut landing = self.open(url);
        for _ in 0..5 {
            let Landing::Page(page) = &landing else { return landing };
            let form = |field| page.forms.iter().find(|form| form.has(field)).cloned();
            landing = if let Some(mut login) = form("password") {
                login.fill("username", user.0);
                login.fill("password", user.1);
                self.submit(page, &login, None)
            } else if let Some(consent) = form("ticket") {
                self.submit(page, &consent, Some(("decision", decision)))
            } else {
                return landing;
            };
        }
        landing
    }

    /// Returns the header with all cookies, if there are any.
    fn cookies(&self) -> Option<String> {
        let pairs: Vec<_> = self.cookies.values().map(String::as_str).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn get(&self, url: &Url) -> Answer {
        let cookies = self.cookies();
        let headers: Vec<_> = cookies.iter().map(|pairs| ("cookie", pairs.as_str())).collect();
        self.http.request(Method::GET, url.as_str(), &headers)
    }

    fn follow(&mut self, mut url: Url, mut answer: Answer) -> Landing {
        for _ in 0..10 {
            for cookie in answer.headers.get_all("set-cookie") {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                if value.is_empty() {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), pair.to_owned());
                }
            }
            let Some(location) = answer.header("location") else {
                let forms = forms(&answer.body);
                return Landing::Page(Page {
                    url,
                    status: answer.status,
                    html: answer.body,
                    forms,
                });
            };
            assert_eq!(answer.status, 303, "{answer:?}");
            let next = url.join(location).unwrap();
            if next.origin() != url.origin() {
                return Landing::App(next);
            }
            answer = self.get(&next);
            url = next;
        }
        panic!("redirected in a circle");
    }
}

/// Finds the forms of a page.
fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (tag, attributes, after) = tag(&rest[start + 1..]);
        rest = after;
        let get = |name: &str| attributes.get(name).cloned();
        match (&*tag, &mut open) {
            ("form", _) => {
                let method = get("method").unwrap_or_default().to_ascii_lowercase();
                let action = get("action").unwrap_or_default();
                open = Some(Form { method, action, ..Form::default() });
            }
            ("/form", _) => forms.extend(open.take()),
            ("input" | "button", Some(form)) => {
                let default = if tag == "button" { "submit" } else { "text" };
                let kind = get("type").unwrap_or_else(|| default.to_owned());
                let pair = (get("name").unwrap_or_default(), get("value").unwrap_or_default());
                let ticked = attributes.contains_key("checked");
                if kind == "submit" {
                    form.buttons.push(pair);
                } else if !pair.0.is_empty() && (ticked || kind != "checkbox") {
                    form.fields.push(pair);
                }
            }
            _ => {}
        }
    }
    forms
}

/// Returns the name and the attributes of the tag at the start of `text`, and the rest of the text.
fn tag(text: &str) -> (String, BTreeMap<String, String>, &str) {
    let end = |text: &str| {
        text.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>')).unwrap_or(text.len())
    };
    let (name, mut rest) = text.split_at(end(text));
    let mut attributes = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (name.to_ascii_lowercase(), attributes, rest);
        }
        let (attribute, after) = rest.split_at(end(rest).max(1));
        let mut value = "";
        rest = after;
        if let Some(after) = rest.strip_prefix('=') {
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            (value, rest) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap(),
                None => after.split_at(end(after)),
            };
        }
        attributes.insert(attribute.to_ascii_lowercase(), unescape(value));
    }
}

/// Returns text without the escapes of HTML.
fn unescape(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'")];
    let text = known.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&amp;", "&")
}
