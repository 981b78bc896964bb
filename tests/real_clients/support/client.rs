//! An HTTP client that follows no redirect and remembers every secret that passes through it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response};
use serde_json::Value;
use ureq::Agent;

/// Parameters and members with secret values.
const SECRET_NAMES: [&str; 14] = [
    "access_token",
    "refresh_token",
    "token",
    "code",
    "code_verifier",
    "client_secret",
    "client_assertion",
    "assertion",
    "password",
    "ticket",
    "csrf",
    "csrf_token",
    "login_after",
    "signature_secret",
];

/// The client.
pub(crate) struct Http {
    agent: Agent,
    secrets: Mutex<BTreeSet<String>>,
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Returns a header, which may be there only once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "{name} is there twice: {self:?}");
        first
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns a string of the body.
    pub(crate) fn text(&self, name: &str) -> String {
        let json = self.json();
        json[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    /// Checks that this is the error, with this status, and that caches must not keep it.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, error: &str) {
        let json = self.json();
        assert_eq!((self.status, json["error"].as_str()), (status, Some(error)), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert!(json.get("access_token").is_none(), "{self:?}");
    }
}

impl Http {
    pub(crate) fn new() -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_mins(10)))
            .build()
            .new_agent();
        Self { agent, secrets: Mutex::default() }
    }

    /// Sends a request as it is.
    pub(crate) fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
        let (head, body) = request.into_parts();
        self.keep_form(std::str::from_utf8(&body).unwrap());
        let bare = matches!(head.method, Method::GET | Method::HEAD | Method::DELETE);
        let answer = if bare {
            self.agent.run(Request::from_parts(head, ()))?
        } else {
            self.agent.run(Request::from_parts(head, body))?
        };
        let (head, mut body) = answer.into_parts();
        let body = body.read_to_vec()?;
        for cookie in head.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.keep(pair.split_once('=').unwrap().1);
        }
        if let Some(location) = head.headers.get("location") {
            let location = location.to_str().unwrap();
            self.keep_form(location.split_once('?').unwrap_or_default().1);
        }
        if let Ok(Value::Object(members)) = serde_json::from_slice(&body) {
            for name in SECRET_NAMES {
                self.keep(members.get(name).and_then(Value::as_str).unwrap_or_default());
            }
        }
        Ok(Response::from_parts(head, body))
    }

    fn answer(&self, request: Request<Vec<u8>>) -> Answer {
        let (head, body) = self.send(request).unwrap().into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// Sends a request without a body.
    pub(crate) fn request(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.answer(build(method, url, headers, Vec::new()))
    }

    pub(crate) fn get(&self, url: &str) -> Answer {
        self.request(Method::GET, url, &[])
    }

    /// Sends a form.
    pub(crate) fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Answer {
        let form_encoded = ("content-type", "application/x-www-form-urlencoded");
        let headers = [&[form_encoded], headers].concat();
        self.answer(build(Method::POST, url, &headers, encode(form).into_bytes()))
    }

    /// Sends JSON.
    pub(crate) fn post_json(&self, url: &str, json: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.answer(build(Method::POST, url, &headers, json.to_string().into_bytes()))
    }

    fn keep(&self, secret: &str) {
        // Shorter ones occur in any text.
        if secret.len() >= 12 {
            self.secrets.lock().unwrap().insert(secret.to_owned());
        }
    }

    fn keep_form(&self, form: &str) {
        for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
            if SECRET_NAMES.contains(&&*name) {
                self.keep(&value);
            }
        }
    }

    /// Returns every secret that has passed through.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        self.secrets.lock().unwrap().clone()
    }
}

fn build(method: Method, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// Encodes parameters as a form.
pub(crate) fn encode(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// Returns `Authorization: Basic` with a form-encoded id and secret (RFC 6749 section 2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}
