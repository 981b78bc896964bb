//! A client with one persistent connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

pub(crate) struct Client {
    stream: TcpStream,
    host: SocketAddr,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, host: address }
    }

    /// Sends a token request and returns the body of the response.
    pub(crate) fn post(&mut self, form: &str) -> String {
        self.post_to("/oauth/token", form)
    }

    /// Sends a form to `path` and returns the body of the response.
    pub(crate) fn post_to(&mut self, path: &str, form: &str) -> String {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.host,
            form.len(),
        );
        self.exchange(&request)
    }

    /// Sends a request and returns the body of the response.
    pub(crate) fn exchange(&mut self, request: &str) -> String {
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut received = Vec::with_capacity(2_048);
        let mut chunk = [0; 4_096];
        loop {
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(read > 0, "the server hung up");
            received.extend_from_slice(&chunk[..read]);
            if let Some(body) = whole_body(&received) {
                return body;
            }
        }
    }
}

/// Returns the body once it is complete.
fn whole_body(received: &[u8]) -> Option<String> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).unwrap().to_ascii_lowercase();
    let (_, length) = head.split_once("content-length: ")?;
    let length: usize = length.lines().next()?.parse().unwrap();
    let body = received.get(end + 4..end + 4 + length)?;
    Some(String::from_utf8(body.to_vec()).unwrap())
}
