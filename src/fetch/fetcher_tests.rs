use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;

/// A server on the loopback interface that writes prepared bytes on each connection.
struct Server {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The request that was read last.
    request: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

/// How a server ends its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closes,
    Hangs,
    /// Repeats a chunk of 16 KiB until the client closes the connection.
    NeverEnds,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>, end: End) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (connections, request) = <(Arc<AtomicUsize>, Arc<Mutex<String>>)>::default();
        let (counted, kept, answer) =
            (Arc::clone(&connections), Arc::clone(&request), answer.into());
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                *kept.lock().unwrap() = read_request(&mut stream).await;
                if stream.write_all(&answer).await.is_err() {
                    continue;
                }
                let chunk = [b"4000\r\n".as_slice(), &[b'a'; 0x4000], b"\r\n"].concat();
                while end == End::NeverEnds && stream.write_all(&chunk).await.is_ok() {}
                if end == End::Hangs {
                    // Until the client closes the connection.
                    _ = stream.read(&mut [0; 16]).await;
                }
            }
        });
        Self { at, connections, request, task }
    }

    fn url(&self) -> String {
        format!("http://{}/document", self.at)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn request(&self) -> String {
        self.request.lock().unwrap().to_ascii_lowercase()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request, and returns its head. A body that is not read resets the connection.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    head
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n{body}")
}

fn local() -> Fetcher {
    Fetcher::builder().allow_loopback_http().build().unwrap()
}

async fn get(fetcher: &Fetcher, url: &str) -> Result<http::Response<Vec<u8>>, FetchError> {
    fetcher.fetch(http::Request::get(url).body(Vec::new()).unwrap(), 1_000).await
}

/// A look-up that finds these addresses, and counts its calls.
fn finds(addresses: &[&str]) -> (LookUp, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let addresses: Vec<IpAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
    let look_up: LookUp = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let found = addresses.clone();
        Box::pin(async move { Ok(found) })
    });
    (look_up, calls)
}

#[tokio::test]
async fn a_response_comes_back_whole_and_as_it_is() {
    let answer = ok("content-encoding: gzip\r\ncontent-type: text/plain\r\n", "not gzip");
    let server = Server::start(answer, End::Closes).await;
    let response = get(&local(), &server.url()).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.body().as_slice()),
        (200, b"not gzip".as_slice())
    );
    assert_eq!(response.headers()["content-type"], "text/plain");
    let request = server.request();
    assert!(request.starts_with("get /document http/1.1\r\n"), "{request}");
    assert!(!request.contains("accept-encoding") && !request.contains("referer"), "{request}");

    let post = http::Request::post(server.url()).header("x-own", "1").body(b"body".to_vec());
    local().fetch(post.unwrap(), 1_000).await.unwrap();
    let request = server.request();
    assert!(request.starts_with("post ") && request.contains("x-own: 1\r\n"), "{request}");
    assert!(request.contains("content-length: 4\r\n"), "{request}");
}

/// Z40: a redirect, for example to a metadata service, is an answer like any other.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let secret = Server::start(ok("", "secret"), End::Closes).await;
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\nconnection: close\r\n\r\n", secret.url());
    let server = Server::start(location, End::Closes).await;
    let response = get(&local(), &server.url()).await.unwrap();
    assert_eq!(response.status().as_u16(), 302);
    assert_eq!((server.connections(), secret.connections()), (1, 0));
}

/// Z40: a name is refused if any of its addresses is, before there is a connection.
#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_refused() {
    let server = Server::start(ok("", "secret"), End::Closes).await;
    for addresses in [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["::ffff:127.0.0.1"]] {
        let (look_up, calls) = finds(addresses);
        let fetcher = Fetcher::builder().look_up(look_up).build().unwrap();
        let url = format!("https://as.example:{}/", server.at.port());
        let error = get(&fetcher, &url).await.unwrap_err();
        let refused: IpAddr = addresses.last().unwrap().parse().unwrap();
        assert!(matches!(error, FetchError::Address(it) if it == refused), "{error}");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
    // The name is local, but not one of this machine's.
    let (look_up, _) = finds(&["10.0.0.1"]);
    let fetcher = Fetcher::builder().allow_loopback_http().look_up(look_up).build().unwrap();
    let error = get(&fetcher, "http://localhost/").await.unwrap_err();
    assert!(matches!(error, FetchError::Address(_)), "{error}");
    assert_eq!(server.connections(), 0);
}

/// Z40: the connection goes to the address that was checked, not to that of a second look-up.
#[tokio::test]
async fn a_name_is_resolved_once() {
    let server = Server::start(ok("", "here"), End::Closes).await;
    let (look_up, calls) = finds(&["127.0.0.1"]);
    let fetcher = Fetcher::builder().allow_loopback_http().look_up(look_up).build().unwrap();
    let url = format!("http://as.example:{}/", server.at.port());
    assert_eq!(get(&fetcher, &url).await.unwrap().body(), b"here");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// Z40: an IP literal needs no resolver, so it is checked before, in each of its spellings.
#[tokio::test]
async fn an_address_in_the_url_is_checked() {
    let (look_up, calls) = finds(&["1.1.1.1"]);
    let fetcher = Fetcher::builder()
        .allow_plain_http("10.0.0.0/8")
        .unwrap()
        .look_up(look_up)
        .build()
        .unwrap();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "[64:ff9b::a00:1]",
        "0.0.0.0",
        "127.1",
    ] {
        let error = get(&fetcher, &format!("https://{host}/")).await.unwrap_err();
        assert!(matches!(error, FetchError::Address(_)), "{host}: {error}");
    }
    for host in ["8.8.8.8", "127.0.0.1", "11.0.0.1", "[::1]"] {
        let error = get(&fetcher, &format!("http://{host}/")).await.unwrap_err();
        assert!(matches!(error, FetchError::Address(_)), "{host}: {error}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_url_is_https_without_user_information() {
    let server = Server::start(ok("", ""), End::Closes).await;
    let fetcher = Fetcher::new().unwrap();
    for url in
        [&server.url(), "ftp://a.example/", "https://ann@a.example/", "https://a:b@a.example/", "/"]
    {
        let error = get(&fetcher, url).await.unwrap_err();
        assert!(matches!(error, FetchError::Url(_)), "{url}: {error}");
    }
    assert_eq!(server.connections(), 0);
}

/// Z40: the size of a response is limited while it arrives, stated or not.
#[tokio::test]
async fn a_response_has_its_largest_size() {
    let fetcher = local();
    for (size, fits) in [(1_000, true), (1_001, false), (10_000_000, false)] {
        let stated = ok(&format!("content-length: {size}\r\n"), &"a".repeat(size));
        let until_closed = ok("", &"a".repeat(size));
        for answer in [stated, until_closed] {
            let server = Server::start(answer, End::Closes).await;
            match get(&fetcher, &server.url()).await {
                Ok(response) => assert!(fits && response.body().len() == size, "{size}"),
                Err(error) => {
                    assert!(
                        !fits && matches!(error, FetchError::TooLarge(1_000)),
                        "{size}: {error}"
                    );
                }
            }
        }
    }
    // It returns, so it does not read to the end.
    let server = Server::start(ok("transfer-encoding: chunked\r\n", ""), End::NeverEnds).await;
    let error = get(&fetcher, &server.url()).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge(1_000)), "{error}");
}

/// Z40: the deadline covers name, connection, head and body, and the wait for another request.
#[tokio::test]
async fn a_request_ends_at_its_deadline() {
    assert_eq!(Fetcher::new().unwrap().deadline, Duration::from_secs(5));
    let deadline = Duration::from_millis(20);
    let builder = || Fetcher::builder().allow_loopback_http().deadline(deadline);
    let is_late = |result: Result<_, FetchError>| {
        let error = result.err().unwrap();
        assert!(matches!(error, FetchError::Deadline(it) if it == deadline), "{error}");
    };
    for answer in [String::new(), ok("content-length: 9\r\n", "half")] {
        let server = Server::start(answer, End::Hangs).await;
        let fetcher = builder().build().unwrap();
        let url = server.url();
        let (first, second) = tokio::join!(get(&fetcher, &url), get(&fetcher, &url));
        is_late(first);
        is_late(second);
    }
    let never: LookUp = Arc::new(|_| Box::pin(std::future::pending()));
    is_late(get(&builder().look_up(never).build().unwrap(), "http://a.example/").await);
}

/// A TLS server of `as.test` and 127.0.0.1, with the certificate and key of the fixtures.
async fn tls_server() -> (SocketAddr, JoinHandle<()>) {
    let [certificate, key] = ["certificate", "private"]
        .map(|it| pem::parse(fixture(&format!("test_only_tls_{it}.pem"))).unwrap().into_contents());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.try_into().unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                answer(&mut stream).await;
            }
        }
    });
    (at, task)
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    read_request(stream).await;
    _ = stream.write_all(ok("content-length: 6\r\n", "secret").as_bytes()).await;
    _ = stream.shutdown().await;
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Z40: TLS has a provider of its own, and trusts the authorities that the host chose.
#[tokio::test]
async fn a_server_proves_its_name_with_a_trusted_certificate() {
    let (at, task) = tls_server().await;
    let builder = || {
        let (look_up, _) = finds(&["127.0.0.1"]);
        Fetcher::builder().allow_network("127.0.0.0/8").unwrap().look_up(look_up)
    };
    let trusting =
        || builder().root_certificates(&fixture("test_only_tls_certificate.pem")).unwrap();
    let url = |host: &str| format!("https://{host}:{}/", at.port());
    let fetcher = trusting().build().unwrap();
    for host in ["127.0.0.1", "as.test"] {
        assert_eq!(get(&fetcher, &url(host)).await.unwrap().body(), b"secret", "{host}");
    }
    let other_name = get(&fetcher, &url("other.test")).await.unwrap_err().to_string();
    assert!(other_name.contains("certificate not valid for name"), "{other_name}");
    let unknown = get(&builder().build().unwrap(), &url("as.test")).await.unwrap_err().to_string();
    assert!(unknown.contains("invalid peer certificate"), "{unknown}");
    task.abort();
}

#[test]
fn given_certificates_are_pem() {
    for bad in ["", "garbage", &fixture("test_only_p256_public.pem")] {
        let refused = Fetcher::builder().root_certificates(bad).err();
        assert_eq!(refused, Some(FetcherError::RootCertificates), "{bad}");
    }
    assert!(Fetcher::builder().allow_network("10.0.0.1/8").is_err());
    assert!(Fetcher::builder().allow_plain_http("everywhere").is_err());
}

#[tokio::test]
async fn an_error_names_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let error =
        get(&local(), &format!("http://{closed}/secret-path")).await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("refused"), "{error}");
    assert!(!error.contains("secret-path"), "{error}");
}
