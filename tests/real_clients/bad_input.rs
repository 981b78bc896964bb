//! Malformed and hostile requests. The server answers each of them and goes on.

use crate::support::{Connection, Http, RawAnswer, Seed, Server, basic, encode, exchange};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const TOKEN: &str = "POST /oauth/token HTTP/1.1";

/// A server and an app with client credentials.
struct World {
    server: Server,
    authorization: String,
}

impl World {
    fn new() -> Self {
        let (server, seed) = (Server::start(), Seed::read());
        let credentials = basic("demo-web", seed.client_secret("demo-web").unwrap());
        Self { server, authorization: format!("Authorization: {credentials}") }
    }

    fn ask(&self, head: &[&str], body: &str) -> RawAnswer {
        exchange(&self.server, head, body.as_bytes())
    }

    /// Sends a token request of the app.
    fn token(&self, body: &str) -> RawAnswer {
        self.ask(&[TOKEN, FORM, &self.authorization], body)
    }

    /// Checks that the server still issues tokens.
    #[track_caller]
    fn assert_alive(&self) {
        let answer = self.token("grant_type=client_credentials");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

impl RawAnswer {
    #[track_caller]
    fn assert_error(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(json["error"], error, "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
    }
}

/// T1: the endpoints accept POST only, and HEAD is no way around that.
#[test]
fn other_methods_are_answered_with_the_allowed_ones() {
    let world = World::new();
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/decision"] {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let first = format!("{method} {path} HTTP/1.1");
            let answer = world.ask(&[&first, &world.authorization], "");
            answer.assert_error(405, "invalid_request");
            assert!(answer.header("allow").unwrap().contains("POST"), "{answer:?}");
        }
        let answer = world.ask(&[&format!("HEAD {path} HTTP/1.1")], "");
        assert_eq!((answer.status, &*answer.body), (405, ""));
    }
    for path in ["/oauth/jwks", "/.well-known/oauth-authorization-server"] {
        let answer = world.ask(&[&format!("POST {path} HTTP/1.1"), FORM], "a=b");
        answer.assert_error(405, "invalid_request");
        assert!(answer.header("allow").unwrap().contains("GET"), "{answer:?}");
        let get = world.ask(&[&format!("GET {path} HTTP/1.1")], "");
        let head = world.ask(&[&format!("HEAD {path} HTTP/1.1")], "");
        assert_eq!((head.status, &*head.body), (200, ""));
        assert_eq!(head.header("content-length"), get.header("content-length"));
    }
    world.assert_alive();
}

/// Without CORS the server allows scripts of other origins nothing.
#[test]
fn options_lists_allowed_methods_and_no_other_origins() {
    let world = World::new();
    for path in ["/oauth/token", "/oauth/authorize", "/oauth/jwks"] {
        let first = format!("OPTIONS {path} HTTP/1.1");
        let preflight = ["Origin: https://attacker.example", "Access-Control-Request-Method: POST"];
        let answer = world.ask(&[&first, preflight[0], preflight[1]], "");
        assert_eq!((answer.status, &*answer.body), (204, ""), "{answer:?}");
        assert!(answer.header("allow").is_some());
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// T2, T3 and T7: a body other than one plain form is refused.
#[test]
fn a_body_that_is_no_form_is_refused() {
    let world = World::new();
    let head = [TOKEN, &world.authorization];
    let json = r#"{"grant_type":"client_credentials"}"#;
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let content_type = format!("Content-Type: {content_type}");
        let answer = world.ask(&[head[0], head[1], &content_type], json);
        answer.assert_error(400, "invalid_request");
    }
    world.ask(&head, "grant_type=client_credentials").assert_error(400, "invalid_request");
    let twice = [head[0], head[1], FORM, "Content-Type: application/json"];
    world.ask(&twice, "grant_type=client_credentials").assert_error(400, "invalid_request");
    world.ask(&[head[0], head[1], FORM], "").assert_error(400, "invalid_request");
    for body in [
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&scope=profile&scope=profile",
        "grant_type=%",
        "grant_type=%zz",
        "grant_type=%ff",
        "grant_type=a%00b",
        "&&&&",
        "=",
    ] {
        let answer = world.token(body);
        answer.assert_error(400, "invalid_request");
    }
    // A charset is common and has no meaning.
    let charset = "Content-Type: application/x-www-form-urlencoded;charset=UTF-8";
    let answer = world.ask(&[head[0], head[1], charset], "grant_type=client_credentials");
    assert_eq!(answer.status, 200, "{answer:?}");
    world.assert_alive();
}

/// T8: the server reads no credentials from the URL, because many programs log it.
#[test]
fn credentials_in_the_url_are_not_read() {
    let (world, seed) = (World::new(), Seed::read());
    for client_id in ["demo-web", "demo-post"] {
        let secret = seed.client_secret(client_id).unwrap();
        let query = encode(&[("client_id", client_id), ("client_secret", secret)]);
        let first = format!("POST /oauth/token?{query} HTTP/1.1");
        let answer = world.ask(&[&first, FORM], "grant_type=client_credentials");
        answer.assert_error(401, "invalid_client");
    }
    let first = "POST /oauth/token?grant_type=client_credentials HTTP/1.1";
    let answer = world.ask(&[first, FORM, &world.authorization], "");
    answer.assert_error(400, "invalid_request");
}

/// T10 and C3: caches must not keep an answer, and a refused client is told how to authenticate.
#[test]
fn answers_have_their_headers() {
    let world = World::new();
    let answer = world.token("grant_type=client_credentials");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let wrong = format!("Authorization: {}", basic("demo-web", "not its secret"));
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let first = format!("POST {path} HTTP/1.1");
        let body = "grant_type=client_credentials&token=x";
        let answer = world.ask(&[&first, FORM, &wrong], body);
        answer.assert_error(401, "invalid_client");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
    let both = [TOKEN, FORM, &world.authorization, &world.authorization];
    world.ask(&both, "grant_type=client_credentials").assert_error(400, "invalid_request");
    for header in ["Authorization: Basic", "Authorization: Basic !!", "Authorization: Basic YQ=="] {
        let answer = world.ask(&[TOKEN, FORM, header], "grant_type=client_credentials");
        assert!(matches!(answer.status, 400 | 401), "{header}: {answer:?}");
    }
    world.assert_alive();
}

/// T14: size and number of parameters are bounded.
#[test]
fn too_large_a_request_is_refused() {
    let world = World::new();
    let large = format!("grant_type=client_credentials&filler={}", "x".repeat(64 * 1024));
    world.token(&large).assert_error(413, "invalid_request");
    let many = format!("grant_type=client_credentials{}", "&a=b".repeat(100));
    world.token(&many).assert_error(400, "invalid_request");
    // The server does not wait for the announced body.
    for (length, statuses) in
        [("10000000000", &[413][..]), ("18446744073709551615", &[400, 413, 431])]
    {
        let mut connection = Connection::open(&world.server);
        let head = format!(
            "{TOKEN}\r\nHost: localhost\r\nConnection: close\r\n{FORM}\r\nContent-Length: {length}\
             \r\n\r\ngrant_type="
        );
        connection.send(head.as_bytes());
        let answer = connection.answer().unwrap();
        assert!(statuses.contains(&answer.status), "{length}: {answer:?}");
    }
    // A stream of chunks without an announced length.
    let mut connection = Connection::open(&world.server);
    let head =
        format!("{TOKEN}\r\nHost: localhost\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.send(head.as_bytes());
    for _ in 0..100 {
        connection.send(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes());
    }
    connection.send(b"0\r\n\r\n");
    connection.close_sending();
    if let Some(answer) = connection.answer() {
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    // A head that does not end.
    let mut connection = Connection::open(&world.server);
    connection.send(format!("{TOKEN}\r\nHost: localhost\r\nX: ").as_bytes());
    connection.send("x".repeat(1_000_000).as_bytes());
    connection.close_sending();
    if let Some(answer) = connection.answer() {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    let path = format!("GET /oauth/authorize?state={} HTTP/1.1", "x".repeat(60_000));
    let answer = world.ask(&[&path], "");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    world.assert_alive();
}

#[test]
fn garbage_is_answered_or_hung_up_on() {
    let world = World::new();
    let chunked = format!("{TOKEN}\r\nHost: x\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let garbage: [&[u8]; 12] = [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST /oauth/token\r\n\r\n",
        b"POST /oauth/token HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /oauth/authorize?\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://[::bad/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /oauth/token HTTP/1.1\r\nbad header\r\n\r\n",
    ];
    let smuggled = format!("{chunked}zz\r\n\r\n");
    for bytes in garbage.into_iter().chain([smuggled.as_bytes()]) {
        let mut connection = Connection::open(&world.server);
        connection.send(bytes);
        connection.close_sending();
        if let Some(answer) = connection.answer() {
            let text = String::from_utf8_lossy(bytes);
            assert!((400..500).contains(&answer.status), "{text:?}: {answer:?}");
        }
    }
    for path in ["/oauth/nothing", "/oauth/token/", "/oauth/../admin/apps", "//oauth/token"] {
        let answer = world.ask(&[&format!("POST {path} HTTP/1.1"), FORM], "grant_type=x");
        assert!(matches!(answer.status, 401 | 404 | 405), "{path}: {answer:?}");
    }
    world.assert_alive();
}

/// The server serves others while clients stop in the middle of a request. A client that stopped in the
/// body gets an answer in the end.
#[test]
fn slow_clients_do_not_block_others() {
    let world = World::new();
    let head = format!("{TOKEN}\r\nHost: localhost\r\n{FORM}\r\nContent-Length: 100\r\n\r\n");
    let mut slow: Vec<_> = (0..200).map(|_| Connection::open(&world.server)).collect();
    for (number, connection) in slow.iter_mut().enumerate() {
        // Half of them stop in the head, the others in the body.
        connection.send(&head.as_bytes()[..if number % 2 == 0 { 20 } else { head.len() }]);
    }
    for _ in 0..20 {
        world.assert_alive();
    }
    let last = slow.pop().unwrap();
    drop(slow);
    assert_eq!(last.answer().unwrap().status, 408);
    world.assert_alive();
}

/// M1 and M2: the metadata is at the path of RFC 8414 section 3.1, and every endpoint in it exists.
#[test]
fn every_endpoint_in_the_metadata_exists() {
    let (world, http) = (World::new(), Http::new());
    let metadata = http.get(&world.server.url("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["issuer"], *world.server.issuer);
    let mut endpoints = 0;
    for (name, url) in metadata.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let url = url.as_str().unwrap();
            assert!(url.starts_with(&world.server.issuer), "{name}");
            let answer = http.get(url);
            let expected: &[u16] = match &**name {
                "jwks_uri" => &[200],
                "authorization_endpoint" => &[400],
                "revocation_feed_endpoint" | "device_policy_endpoint" => &[401],
                _ => &[405],
            };
            assert!(expected.contains(&answer.status), "{name}: {answer:?}");
            endpoints += 1;
        }
    }
    assert!(endpoints >= 5, "{metadata}");
}
