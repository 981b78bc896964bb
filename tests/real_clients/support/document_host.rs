//! A host with the metadata document of a client, over TLS on the loopback interface.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

/// A running host. It ends with the process.
pub(crate) struct DocumentHost {
    at: SocketAddr,
    fetches: Arc<AtomicUsize>,
}

impl DocumentHost {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = Self { at: listener.local_addr().unwrap(), fetches: Arc::default() };
        let (config, document, fetches) = (config(), host.document(), Arc::clone(&host.fetches));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                if answer(StreamOwned::new(connection, stream), &document).is_ok() {
                    fetches.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        host
    }

    /// The URL of the document, which is a client id.
    pub(crate) fn url(&self) -> String {
        format!("https://{}/client.json", self.at)
    }

    /// How often the document was fetched.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// The file with the certificate of the host.
    pub(crate) fn authorities() -> PathBuf {
        fixture("certificate")
    }

    /// The file with its private key.
    pub(crate) fn key() -> PathBuf {
        fixture("private")
    }

    fn document(&self) -> String {
        serde_json::json!({
            "client_id": self.url(), "client_name": "Notes by a document",
            "redirect_uris": ["http://127.0.0.1/callback", "http://127.0.0.1/oauth/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
        .to_string()
    }
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("test_only_tls_{name}.pem"))
}

fn config() -> Arc<ServerConfig> {
    let [certificate, key] = ["certificate", "private"]
        .map(|it| pem::parse(std::fs::read(fixture(it)).unwrap()).unwrap().into_contents());
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.try_into().unwrap())
        .unwrap();
    Arc::new(config)
}

/// Answers one request with the document.
fn answer(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    document: &str,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let length = document.len();
    let kind = "content-type: application/json";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{document}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
