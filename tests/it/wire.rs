//! The server of a world on a loopback port, and a client that speaks to it.
//!
//! Without the feature `axum` there is nobody to listen; the same requests then go to the HTTP layer
//! where it stands.

use grantor::hooks::Hooks;
use http::{HeaderMap, Request};

use crate::support::World;

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

impl<H: Hooks + 'static> World<H> {
    /// A form, sent to `path` with the `Authorization` header, if there is one.
    pub(crate) fn send_form(
        &self,
        path: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> Answered {
        let mut request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(header) = authorization {
            request = request.header("authorization", header);
        }
        self.send(request.body(body.to_owned()).unwrap())
    }

    /// A browser of `user` that goes to the authorization endpoint.
    pub(crate) fn visit(&self, query: &str, user: &str) -> Answered {
        let request = match format!("/oauth/authorize?{query}").parse::<http::Uri>() {
            Ok(uri) => Request::get(uri).body(String::new()),
            // What no URL can hold may come in a form (RFC 6749 section 3.1).
            Err(_) => Request::post("/oauth/authorize")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(query.to_owned()),
        };
        let mut request = request.unwrap();
        request.headers_mut().insert("cookie", user.parse().unwrap());
        self.send(request)
    }
}

#[cfg(not(feature = "axum"))]
mod listening {
    use std::sync::Arc;

    use grantor::hooks::Hooks;
    use grantor::http::HttpEndpoints;
    use http::Request;
    use pollster::block_on;

    use super::Answered;
    use crate::http::Lines;
    use crate::support::World;

    /// Nothing listens.
    #[derive(Default)]
    pub(crate) struct Wire;

    impl<H: Hooks + 'static> World<H> {
        pub(crate) fn send(&self, mut request: Request<String>) -> Answered {
            request.extensions_mut().insert(self.source.clone());
            let endpoints = HttpEndpoints::new(Arc::clone(&self.server), Lines);
            let (parts, body) = block_on(endpoints.handle(request)).unwrap().into_parts();
            let body = String::from_utf8(body).unwrap();
            Answered { status: parts.status.as_u16(), headers: parts.headers, body }
        }
    }
}

#[cfg(feature = "axum")]
mod listening {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::{Arc, LazyLock, OnceLock};

    use ::axum::Extension;
    use grantor::hooks::Hooks;
    use grantor::http::HttpEndpoints;
    use http::{HeaderMap, HeaderName, HeaderValue, Request};
    use tokio::runtime::{Builder, Runtime};

    use super::Answered;
    use crate::http::Lines;
    use crate::support::World;

    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });

    /// Where the server of a world listens, once something was sent.
    #[derive(Default)]
    pub(crate) struct Wire(OnceLock<SocketAddr>);

    impl<H: Hooks + 'static> World<H> {
        fn address(&self) -> SocketAddr {
            *self.wire.0.get_or_init(|| {
                let endpoints = Arc::new(HttpEndpoints::new(Arc::clone(&self.server), Lines));
                let router = grantor::http::axum_router(&endpoints);
                let router = router.layer(Extension(self.source.clone()));
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                let address = listener.local_addr().unwrap();
                let _guard = RUNTIME.enter();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                RUNTIME.spawn(async move { ::axum::serve(listener, router).await });
                address
            })
        }

        pub(crate) fn send(&self, request: Request<String>) -> Answered {
            let mut stream = TcpStream::connect(self.address()).unwrap();
            let (parts, body) = request.into_parts();
            let mut head = format!(
                "{} {} HTTP/1.1\r\nhost: as.example.com\r\nconnection: close\r\n\
                 content-length: {}\r\n",
                parts.method,
                parts.uri,
                body.len()
            )
            .into_bytes();
            for (name, value) in &parts.headers {
                head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            head.extend(b"\r\n");
            stream.write_all(&head).unwrap();
            // A server that has seen enough may answer before it has read everything.
            _ = stream.write_all(body.as_bytes());
            let mut received = Vec::new();
            _ = stream.read_to_end(&mut received);
            read(&String::from_utf8(received).unwrap())
        }
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

pub(crate) use listening::Wire;
