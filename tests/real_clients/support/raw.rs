//! A socket that sends any bytes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::Server;

/// A connection to the server.
pub(crate) struct Connection(TcpStream);

/// An answer, parsed here.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl RawAnswer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Connection {
    pub(crate) fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream.set_write_timeout(Some(Duration::from_mins(2))).unwrap();
        Self(stream)
    }

    /// Sends bytes. The server may have closed the connection already, which is also an answer.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes));
    }

    /// Closes the sending side.
    pub(crate) fn close_sending(&self) {
        drop(self.0.shutdown(Shutdown::Write));
    }

    /// Reads the head of an answer up to its empty line.
    pub(crate) fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            bytes.extend_from_slice(&byte);
        }
        String::from_utf8(bytes).unwrap()
    }

    /// Reads until the server closes the connection, which it has to do in time.
    pub(crate) fn read_to_end(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            let timed_out = matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            );
            assert!(!timed_out, "the server neither answers nor closes the connection");
        }
        bytes
    }

    /// Reads an answer and the close after it. Returns `None` if the server closes without an answer.
    pub(crate) fn answer(self) -> Option<RawAnswer> {
        let bytes = self.read_to_end();
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(RawAnswer { status, headers, body: body.to_owned() })
    }
}

/// Sends one request with `Connection: close` and reads the answer. `head` has one line for the request
/// and one for each header.
pub(crate) fn exchange(server: &Server, head: &[&str], body: &[u8]) -> RawAnswer {
    let mut connection = Connection::open(server);
    let (first, headers) = head.split_first().unwrap();
    let mut lines = vec![*first, "Host: localhost", "Connection: close"];
    lines.extend(headers);
    let length = format!("Content-Length: {}", body.len());
    if !body.is_empty() {
        lines.push(&length);
    }
    let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    bytes.extend_from_slice(body);
    connection.send(&bytes);
    connection.answer().unwrap_or_else(|| panic!("no answer to {first}"))
}
