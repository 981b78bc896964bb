//! A small HTTP client that keeps one connection and does not judge answers.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// The time for an answer, longer than the server takes at most.
const PATIENCE: Duration = Duration::from_mins(2);

/// An answer of the server.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// Leaves out secrets.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut json = self.json();
        for secret in ["access_token", "refresh_token"] {
            if let Some(value) = json.get_mut(secret) {
                *value = "..".into();
            }
        }
        let id = self.header("x-request-id").unwrap_or_default();
        write!(f, "{} {json}, request {id}", self.status)
    }
}

/// A request without an answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No server listened.
    NotSent,
    /// The request may have had an effect.
    Unknown,
}

impl Answer {
    /// Returns the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the body as JSON, or null if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Returns a string of the body, or an empty one.
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status == 200
    }

    /// Checks whether the refusal is final (RFC 6749 section 5.2).
    pub(crate) fn is_invalid_grant(&self) -> bool {
        self.status == 400 && self.text("error") == "invalid_grant"
    }

    /// Checks whether the server failed. The request may have had an effect.
    pub(crate) fn is_failure(&self) -> bool {
        self.status >= 500
    }
}

/// A client of one server.
pub(crate) struct Client {
    address: String,
    stream: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// Sends a request without waiting for the answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(), Lost> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).map_err(|_| Lost::NotSent)?;
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            self.stream = Some(stream);
        }
        let sent = self.stream.as_mut().ok_or(Lost::Unknown)?.write_all(request);
        sent.map_err(|_| self.hang_up())
    }

    /// Waits for the answer.
    pub(crate) fn receive(&mut self) -> Result<Answer, Lost> {
        let mut received = Vec::with_capacity(2_048);
        let mut chunk = [0; 4_096];
        loop {
            let stream = self.stream.as_mut().ok_or(Lost::Unknown)?;
            let Ok(length @ 1..) = stream.read(&mut chunk) else { return Err(self.hang_up()) };
            received.extend_from_slice(&chunk[..length]);
            if let Some(answer) = whole(&received) {
                if answer.header("connection") == Some("close") {
                    self.hang_up();
                }
                return Ok(answer);
            }
        }
    }

    pub(crate) fn request(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        self.send(request)?;
        self.receive()
    }

    /// Closes the connection. The next request opens another.
    pub(crate) fn hang_up(&mut self) -> Lost {
        self.stream = None;
        Lost::Unknown
    }
}

/// Parses the answer once all of it is there.
fn whole(received: &[u8]) -> Option<Answer> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).unwrap().to_owned();
    let status = head.split(' ').nth(1)?.parse().unwrap();
    let mut answer = Answer { status, head, body: String::new() };
    let length: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
    let body = received.get(end + 4..end + 4 + length)?;
    answer.body = String::from_utf8(body.to_vec()).unwrap();
    Some(answer)
}

/// Returns a POST request with a form.
pub(crate) fn post(path: &str, form: &str) -> Vec<u8> {
    post_as(path, "application/x-www-form-urlencoded", &[], form)
}

pub(crate) fn post_as(path: &str, kind: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let length = body.len();
    let more = lines(headers);
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n{more}\r\n{body}"
    );
    text.into_bytes()
}

pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", lines(headers)).into_bytes()
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect()
}
