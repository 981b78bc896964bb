//! How a request reaches the server of a world.

use std::sync::Arc;

use grantor::clock::Clock;
use grantor::hooks::Hooks;
use grantor::http::HttpEndpoints;
use grantor::store::Store;
use grantor::store::conformance::Runner;
use http::Request;

use super::{Answered, Lines, World};

/// The way of a request to the server.
pub(crate) enum Wire {
    /// The HTTP layer is called in this process.
    InProcess,
    /// The server listens on a loopback port, from the first request on.
    #[cfg(feature = "axum")]
    Loopback(loopback::Address),
}

impl Default for Wire {
    #[cfg(feature = "axum")]
    fn default() -> Self {
        Self::Loopback(loopback::Address::default())
    }

    #[cfg(not(feature = "axum"))]
    fn default() -> Self {
        Self::InProcess
    }
}

impl<H, S, C, R> World<H, S, C, R>
where
    H: Hooks + 'static,
    S: Store + 'static,
    C: Clock + 'static,
    R: Runner,
{
    pub(crate) fn send(&self, mut request: Request<String>) -> Answered {
        let endpoints = || HttpEndpoints::new(Arc::clone(&self.server), Lines).with_device_pages();
        match &self.wire {
            Wire::InProcess => {
                request.extensions_mut().insert(self.source.clone());
                let answer = self.block_on(endpoints().handle(request)).unwrap();
                Answered::from(answer)
            }
            #[cfg(feature = "axum")]
            Wire::Loopback(address) => {
                let address = address.of(|| {
                    let router = grantor::http::axum_router(&Arc::new(endpoints()));
                    router.layer(axum::Extension(self.source.clone()))
                });
                loopback::exchange(address, &request)
            }
        }
    }
}

#[cfg(feature = "axum")]
mod loopback {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::{LazyLock, OnceLock};

    use axum::Router;
    use http::{HeaderMap, HeaderName, HeaderValue, Request};
    use tokio::runtime::{Builder, Runtime};

    use super::Answered;

    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });

    /// The address of a server, once it listens.
    #[derive(Default)]
    pub(crate) struct Address(OnceLock<SocketAddr>);

    impl Address {
        pub(super) fn of(&self, router: impl FnOnce() -> Router) -> SocketAddr {
            *self.0.get_or_init(|| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                let address = listener.local_addr().unwrap();
                let _guard = RUNTIME.enter();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = router();
                RUNTIME.spawn(async move { axum::serve(listener, router).await });
                address
            })
        }
    }

    pub(super) fn exchange(address: SocketAddr, request: &Request<String>) -> Answered {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: as.example.com\r\nconnection: close\r\n\
             content-length: {}\r\n",
            request.method(),
            request.uri(),
            request.body().len()
        )
        .into_bytes();
        for (name, value) in request.headers() {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        stream.write_all(&head).unwrap();
        // A server that has seen enough may answer before it has read everything.
        _ = stream.write_all(request.body().as_bytes());
        let mut received = Vec::new();
        _ = stream.read_to_end(&mut received);
        read(&String::from_utf8(received).unwrap())
    }

    fn read(text: &str) -> Answered {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Answered { status, headers, body: body.to_owned() }
    }
}
