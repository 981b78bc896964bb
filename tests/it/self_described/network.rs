//! Documents over TLS, with the ready-made fetcher: hosts that lie, drip, redirect or do not end, and addresses that
//! must not be reached.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::endpoint::ClientDocuments;
use grantor::fetch::{Fetcher, FetcherBuilder};
use grantor::rate_limit::RateLimits;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::rustls::{ServerConfig, crypto};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::site::{Site, app, template};
use crate::support::{World, code_query, new_verifier};

/// How a host answers.
#[derive(Clone)]
enum Page {
    /// With these bytes.
    Answer(Vec<u8>),
    /// With these bytes, on a connection that stays open.
    Open(Vec<u8>),
    /// With a byte of the body now and then, for ever.
    Drips,
    /// With chunks of the body, for ever.
    Endless,
}

/// A host of documents on the loopback interface.
struct Host {
    at: SocketAddr,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    connections: Arc<AtomicUsize>,
    _runtime: Runtime,
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn acceptor() -> TlsAcceptor {
    let [certificate, key] = ["certificate", "private"]
        .map(|it| pem::parse(fixture(&format!("test_only_tls_{it}.pem"))).unwrap().into_contents());
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.try_into().unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl Host {
    fn start() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let pages = Arc::<Mutex<HashMap<String, Page>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (served, counted, acceptor) =
            (Arc::clone(&pages), Arc::clone(&connections), acceptor());
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, pages) = (acceptor.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, &pages).await;
                    }
                });
            }
        });
        Self { at, pages, connections, _runtime: runtime }
    }

    /// The URL of a page here, which is a client id.
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.at)
    }

    fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// Answers with the document of the app at `path`.
    fn publish(&self, path: &str, head: &str) {
        let document = Site::document(&self.url(path), &json!({})).to_string();
        let length = document.len();
        let answer =
            format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{document}");
        self.put(path, Page::Answer(answer.into_bytes()));
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TlsStream<TcpStream>, pages: &Mutex<HashMap<String, Page>>) {
    while answer_once(&mut stream, pages).await {}
    _ = stream.shutdown().await;
}

/// Answers a request. Returns whether the connection stays open.
async fn answer_once(
    stream: &mut TlsStream<TcpStream>,
    pages: &Mutex<HashMap<String, Page>>,
) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return false };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let page = pages.lock().unwrap().get(path).cloned();
    let begin =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    match page {
        Some(Page::Answer(bytes)) => _ = stream.write_all(&bytes).await,
        Some(Page::Open(bytes)) => {
            return stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok();
        }
        Some(Page::Drips) => {
            _ = stream.write_all(begin).await;
            while stream.write_all(b"1\r\n \r\n").await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Some(Page::Endless) => {
            _ = stream.write_all(begin).await;
            let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
        }
        None => _ = stream.write_all(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n").await,
    }
    false
}

fn world(fetcher: FetcherBuilder) -> World {
    let roots = fixture("test_only_tls_certificate.pem");
    let fetcher = fetcher.root_certificates(&roots).unwrap().build().unwrap();
    let documents = ClientDocuments::new(template(), fetcher).unwrap();
    World::with(|builder| builder.client_documents(documents).rate_limits(RateLimits::none()))
}

/// Sends a browser to the authorization endpoint as the app `client_id`. Returns the reason of the refusal.
#[track_caller]
fn visit(world: &World, client_id: &str) -> Result<(), String> {
    let page = world.visit(&code_query(&app(client_id), &new_verifier(), &[]), "ann");
    if page.status == 200 {
        return Ok(());
    }
    assert!((400..500).contains(&page.status) && page.header("location").is_none(), "{page:?}");
    Err(world.last_event().outcome.reason().unwrap().to_owned())
}

/// L4, L6: over a real connection, only a plain answer is a document. A redirect is not followed, a compressed body not
/// undone, and an answer that drips or does not end is given up.
#[test]
fn only_a_plain_answer_over_tls_is_a_document() {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let host = Host::start();
    let world = world(
        Fetcher::builder().allow_network("127.0.0.1").unwrap().deadline(Duration::from_millis(900)),
    );
    host.publish("/good", OK);
    assert_eq!(visit(&world, &host.url("/good")), Ok(()));
    assert_eq!(visit(&world, &host.url("/good")), Ok(()));
    assert_eq!(host.connections(), 1, "it is fresh");

    let target = host.url("/good");
    host.publish(
        "/redirect",
        &format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-type: application/json\r\n"),
    );
    let gzip = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
                 content-length: 4\r\n\r\n\x1f\x8b\x08\x00";
    host.put("/gzip", Page::Answer(gzip.to_vec()));
    host.publish("/html", "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n");
    host.put("/drips", Page::Drips);
    host.put("/endless", Page::Endless);
    host.put("/cut", Page::Answer(format!("{OK}content-length: 900\r\n\r\n{{").into_bytes()));
    host.put("/garbage", Page::Answer(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    for (path, reason) in [
        ("/redirect", "client_document_status"),
        ("/gzip", "client_document_member"),
        ("/html", "client_document_content_type"),
        ("/drips", "client_document_unreachable"),
        ("/endless", "client_document_too_large"),
        ("/cut", "client_document_unreachable"),
        ("/garbage", "client_document_unreachable"),
        ("/absent", "client_document_gone"),
    ] {
        assert_eq!(visit(&world, &host.url(path)), Err(reason.to_owned()), "{path}");
    }
    // The certificate does not have this name.
    let other = format!("https://localhost:{}/good", host.at.port());
    let reason = visit(&world, &other).unwrap_err();
    assert!(["client_document_unreachable", "client_document_address"].contains(&&*reason));
}

/// L18: a host that keeps its connections open costs the server none: strangers name any number of hosts.
#[test]
fn no_connection_to_a_strangers_host_stays_open() {
    let host = Host::start();
    let world = world(Fetcher::builder().allow_network("127.0.0.1").unwrap());
    for path in ["/a", "/b"] {
        let document = Site::document(&host.url(path), &json!({})).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: keep-alive";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{document}", document.len());
        host.put(path, Page::Open(answer.into_bytes()));
        assert_eq!(visit(&world, &host.url(path)), Ok(()));
    }
    assert_eq!(host.connections(), 2, "the first was not kept");
}

/// L4, L7: an address that is not public is refused before any connection, as a literal and by a name that resolves to
/// it.
#[test]
fn an_address_that_is_not_public_is_refused_before_any_connection() {
    let host = Host::start();
    host.publish("/good", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
    let world = world(Fetcher::builder());
    let port = host.at.port();
    for address in [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fc00::1]",
        "[fe80::1]",
        "[ff02::1]",
        "localhost",
    ] {
        let url = format!("https://{address}:{port}/good");
        assert_eq!(visit(&world, &url), Err("client_document_address".to_owned()), "{url}");
    }
    assert_eq!(host.connections(), 0);
}
