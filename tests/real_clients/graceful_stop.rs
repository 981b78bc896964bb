//! A graceful stop of the server.

use std::net::TcpStream;

use crate::sandbox::wait_until;
use crate::support::{Connection, Seed, Server, basic, encode};

/// The server answers a request that has begun, takes no new connection, and ends by itself.
#[test]
fn a_request_in_flight_is_answered_when_the_server_stops() {
    let (mut server, seed) = (Server::start(), Seed::read());
    let secret = seed.client_secret("demo-web").unwrap();
    let body = encode(&[("grant_type", "client_credentials")]);
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        basic("demo-web", secret),
        body.len()
    );
    let (begin, rest) = body.split_at(body.len() / 2);
    let mut inflight = Connection::open(&server);
    inflight.send(head.as_bytes());
    // The server waits for the body.
    assert!(inflight.head().starts_with("HTTP/1.1 100 "));
    inflight.send(begin.as_bytes());
    server.terminate();
    wait_until("it takes no new connection", || TcpStream::connect(server.address()).is_err());
    inflight.send(rest.as_bytes());
    let answer = inflight.answer().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("access_token"));
    let status = server.wait();
    assert!(status.success(), "{status}: {}", server.output());
}

/// The server closes the connection of a silent client in the end.
#[test]
fn a_silent_client_does_not_keep_the_server_from_stopping() {
    let mut server = Server::start();
    let mut silent = Connection::open(&server);
    // The server has accepted the connection once it answers a first request.
    silent.send(b"GET /oauth/jwks HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(silent.head().starts_with("HTTP/1.1 200 "));
    silent.send(b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-");
    server.terminate();
    let status = server.wait();
    assert!(status.success(), "{status}: {}", server.output());
}
