//! The endpoints over `http` requests and responses.

mod browser;
mod documents;
mod endpoints;
mod issuers;
mod metrics;
mod observed;

use std::sync::Arc;

use grantor::http::HttpEndpoints;
use grantor::store::MemoryStore;
use grantor::users::MemoryUsers;
use http::Request;
use pollster::block_on;

use crate::support::{Answered, Lines, START, Server, World};

/// The HTTP endpoints of a world's server.
pub(crate) struct Http {
    pub(crate) world: World,
    pub(crate) endpoints:
        HttpEndpoints<Arc<MemoryStore>, Arc<MemoryUsers>, grantor::hooks::NoHooks, Arc<Lines>>,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        let server: Arc<Server> = Arc::clone(&world.server);
        Self { world, endpoints: HttpEndpoints::new(server, Arc::new(Lines)) }
    }

    /// Its spans and metrics name the issuer.
    pub(crate) fn labelled() -> Self {
        let Self { world, endpoints } = Self::new();
        Self { world, endpoints: endpoints.with_issuer_label(true) }
    }

    pub(crate) fn send(&self, request: Request<impl AsRef<[u8]> + Send>) -> Answered {
        Answered::from(block_on(self.endpoints.handle(request)).unwrap())
    }

    pub(crate) fn get(&self, uri: &str) -> Answered {
        self.send(Request::get(uri).body("").unwrap())
    }

    /// Posts a form with more headers.
    pub(crate) fn post(&self, uri: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::post(uri);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.to_owned()).unwrap())
    }
}

#[test]
fn other_paths_are_left_to_the_host() {
    let http = Http::new();
    for path in ["/", "/oauth", "/oauth/token/", "/oauth/tokens", "/OAUTH/TOKEN", "/oauth//token"] {
        let request = Request::post(path).body("").unwrap();
        assert!(block_on(http.endpoints.handle(request)).is_none(), "{path}");
    }
}

/// `Date` is that of the injected clock, and every response has a request id.
#[test]
fn every_response_has_a_date_and_a_request_id() {
    let http = Http::new();
    let answer = http.get("/oauth/jwks");
    assert_eq!(answer.header("date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert_eq!(START, 1_700_000_000);
    assert_eq!(answer.header("x-request-id").unwrap().len(), 16);
    let named = http.post("/oauth/token", &[("x-request-id", "proxy-42")], "");
    assert_eq!(named.header("x-request-id"), Some("proxy-42"));
}
