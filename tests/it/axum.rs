//! The axum router, the extractors and the tower layer, called as services.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::axum::body::{Body, Bytes, to_bytes};
use ::axum::extract::ConnectInfo;
use ::axum::routing::get;
use ::axum::{Extension, Router};
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::http::{HttpEndpoints, axum_router};
use grantor::ids::{ClientId, Resource};
use grantor::protocol::ScopeToken;
use grantor::resource_server::{
    Bearer, BearerLayer, BearerVerifier, Enforced, RequireScope, RequiredScope, ResourceServer,
};
use http::{Request, Response};
use tower_service::Service as _;

use crate::support::{Answer, World, body_of, code_app, machine_app};

async fn call(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().call(request).await.unwrap()
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

fn token_request(body: impl Into<Body>) -> Request<Body> {
    Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))))
        .body(body.into())
        .unwrap()
}

fn server(world: &World) -> Router {
    axum_router(&Arc::new(HttpEndpoints::without_interaction(Arc::clone(&world.server))))
}

#[tokio::test]
async fn the_router_answers_only_the_paths_of_the_server() {
    let world = World::new();
    let app = world.register(machine_app());
    let router = server(&world);
    let form = body_of(&app, &[("grant_type", "client_credentials")]);
    let answer = call(&router, token_request(form)).await;
    assert_eq!(answer.status(), 200);
    assert!(text(answer).await.contains("access_token"));
    // The peer address is the source of the request.
    assert_eq!(world.last_event().source.unwrap().as_str(), "192.0.2.1");
    for (path, status) in [("/oauth/jwks", 200), ("/oauth/authorize", 404), ("/", 404)] {
        let answer = call(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), status, "{path}");
    }
}

/// T14: the server reads no more of an oversized body than it needs to refuse it.
#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let router = server(&World::new());
    let answer = call(&router, token_request(vec![b'a'; 64 * 1024 + 1])).await;
    assert_eq!(answer.status(), 413);
    assert!(text(answer).await.contains(r#""error":"invalid_request""#));
    let longest = call(&router, token_request(vec![b'a'; 64 * 1024])).await;
    assert_eq!(longest.status(), 400);
}

/// A body that never completes.
struct Stalled(bool);

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        if std::mem::replace(&mut self.0, true) {
            return std::task::Poll::Pending;
        }
        let half = Bytes::from_static(b"grant_type=");
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(half))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408() {
    let router = server(&World::new());
    let before = tokio::time::Instant::now();
    let answer = call(&router, token_request(Body::new(Stalled(false)))).await;
    assert_eq!(answer.status(), 408);
    assert_eq!(before.elapsed().as_secs(), Duration::from_secs(10).as_secs());
}

struct Reads;

impl RequiredScope for Reads {
    const SCOPE: &'static str = "a";
}

struct Administer;

impl RequiredScope for Administer {
    const SCOPE: &'static str = "admin";
}

fn api(world: &World) -> (Router, Router) {
    let endpoint = |method, scope| {
        Endpoint::new(method, "/enforced", ScopeToken::new(scope).unwrap()).unwrap()
    };
    let catalog = ApiCatalog::new([endpoint("GET", "a"), endpoint("PUT", "admin")]);
    let verifier =
        BearerVerifier::new(world.server.issuer().clone(), world.server.verifying_keys().unwrap());
    let verifier = Arc::new(
        verifier.with_clock(Arc::clone(&world.clock)).with_enforcement(catalog.compile().unwrap()),
    );
    let bearer = async |Bearer(claims): Bearer| claims.subject.as_str().to_owned();
    let enforced = async |Enforced(claims): Enforced| claims.subject.as_str().to_owned();
    let reads = async |token: RequireScope<Reads>| token.claims().subject.as_str().to_owned();
    let administers = async |_: RequireScope<Administer>| "never".to_owned();
    let extractors = Router::new()
        .route("/bearer", get(bearer))
        .route("/enforced", get(enforced).put(enforced))
        .route("/reads", get(reads))
        .route("/administers", get(administers))
        .layer(Extension(Arc::clone(&verifier)));
    let layered = Router::new()
        .route("/enforced", get(bearer).put(bearer))
        .route("/unmapped", get(bearer))
        .layer(BearerLayer::enforcing(verifier));
    (extractors, layered)
}

fn with_token(method: &str, path: &str, tokens: &Answer) -> Request<Body> {
    let header = format!("Bearer {}", tokens.text("access_token"));
    let request = Request::builder().method(method).uri(path).header("authorization", header);
    request.body(Body::empty()).unwrap()
}

fn challenge(answer: &Response<Body>) -> (u16, String) {
    let header = answer.headers().get("www-authenticate");
    (answer.status().as_u16(), header.map_or("", |it| it.to_str().unwrap()).to_owned())
}

/// S1, S3, S7: the RFC 6750 challenges, by the extractors and by the layer.
#[tokio::test]
async fn handlers_see_claims_only_if_the_token_allows_the_request() {
    let world = World::new();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let (extractors, layered) = api(&world);
    for (router, path) in [
        (&extractors, "/bearer"),
        (&extractors, "/enforced"),
        (&extractors, "/reads"),
        (&layered, "/enforced"),
    ] {
        let answer = call(router, with_token("GET", path, &tokens)).await;
        assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (200, "ann"), "{path}");
        let bare = call(router, Request::get(path).body(Body::empty()).unwrap()).await;
        let (status, challenge) = challenge(&bare);
        assert_eq!((status, challenge.contains("error=")), (401, false), "{challenge}");
    }
    for (router, method, path) in [
        (&extractors, "PUT", "/enforced"),
        (&extractors, "GET", "/administers"),
        (&layered, "PUT", "/enforced"),
    ] {
        let (status, challenge) = challenge(&call(router, with_token(method, path, &tokens)).await);
        assert_eq!(status, 403);
        assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"admin\""));
    }
    let (status, _) = challenge(&call(&layered, with_token("GET", "/unmapped", &tokens)).await);
    assert_eq!(status, 403);
}

/// N6: a nested router strips its prefix, and the catalog decides about the path that the client sent.
#[tokio::test]
async fn a_nested_router_decides_about_the_path_that_the_client_sent() {
    let world = World::new();
    let tokens = world.tokens(&world.register(code_app()));
    let entry = |path, scope| Endpoint::new("GET", path, ScopeToken::new(scope).unwrap()).unwrap();
    let catalog = ApiCatalog::new([
        entry("/users", "a"),
        entry("/users/{id}", "a"),
        entry("/admin/users", "admin"),
        entry("/v1/admin/users", "admin"),
        entry("/v1/open/users", "a"),
    ]);
    let verifier =
        BearerVerifier::new(world.server.issuer().clone(), world.server.verifying_keys().unwrap());
    let verifier = Arc::new(
        verifier.with_clock(Arc::clone(&world.clock)).with_enforcement(catalog.compile().unwrap()),
    );
    let layer = BearerLayer::enforcing(Arc::clone(&verifier));
    let handler = async |_: Enforced| "passed";
    let extractors = || Router::new().route("/users", get(handler));
    let layered = || Router::new().route("/users", get(async || "passed")).layer(layer.clone());
    let service = |router: Router| tower_layer::Layer::layer(&layer, router);
    let nest = |inner: &dyn Fn() -> Router| {
        let v1 = Router::new().nest("/admin", inner()).nest("/open", inner());
        inner().nest("/admin", inner()).nest("/v1", v1).nest("/users", inner())
    };
    for router in [
        nest(&extractors).layer(Extension(Arc::clone(&verifier))),
        nest(&layered),
        layered()
            .nest_service("/admin", service(Router::new().route("/users", get(async || "passed"))))
            .nest_service("/v1", service(Router::new().nest("/{kind}", layered()))),
        layered().merge(Router::new().fallback_service(nest(&layered))),
    ] {
        for (path, status) in [
            ("/users", 200),
            ("/users?access=1", 200),
            ("/v1/open/users", 200),
            ("/admin/users", 403),
            ("/v1/admin/users", 403),
            ("https://api.example.com/admin/users", 403),
        ] {
            let answer = call(&router, with_token("GET", path, &tokens)).await;
            assert_eq!(answer.status().as_u16(), status, "{path}");
        }
        let twice = call(&router, with_token("GET", "/admin/users?access_token=x", &tokens)).await;
        assert_eq!(twice.status().as_u16(), 400);
    }
}

/// S4: the scheme is case-insensitive.
#[tokio::test]
async fn the_authorization_scheme_is_case_insensitive() {
    let world = World::new();
    let tokens = world.tokens(&world.register(code_app()));
    let (extractors, layered) = api(&world);
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        for (router, path) in [(&extractors, "/bearer"), (&layered, "/enforced")] {
            let mut request = with_token("GET", path, &tokens);
            let header = format!("{scheme} {}", tokens.text("access_token"));
            request.headers_mut().insert("authorization", header.parse().unwrap());
            assert_eq!(call(router, request).await.status(), 200, "{scheme} {path}");
        }
    }
}

/// S5: a token sent in two ways is refused.
#[tokio::test]
async fn a_token_in_the_url_beside_the_header_is_refused() {
    let world = World::new();
    let tokens = world.tokens(&world.register(code_app()));
    let (extractors, layered) = api(&world);
    for (router, path) in
        [(&extractors, "/bearer?access_token=x"), (&layered, "/enforced?access_token=x")]
    {
        let (status, challenge) = challenge(&call(router, with_token("GET", path, &tokens)).await);
        assert_eq!(status, 400);
        assert!(challenge.contains("invalid_request"), "{challenge}");
    }
}

/// The lines of a log.
#[cfg(feature = "tracing")]
#[derive(Clone, Default)]
struct Logged(Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(feature = "tracing")]
impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Z15: if the host forgot its verifier, every request is refused, and the log says what to do.
#[tokio::test]
async fn a_handler_without_a_verifier_fails_closed() {
    #[cfg(feature = "tracing")]
    let log = Logged::default();
    #[cfg(feature = "tracing")]
    let _guard = {
        let log = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    };
    let world = World::new();
    let tokens = world.tokens(&world.register(code_app()));
    let handler = async |Bearer(_): Bearer| "never";
    let forgetful = Router::new().route("/bearer", get(handler));
    let answer = call(&forgetful, with_token("GET", "/bearer", &tokens)).await;
    assert_eq!(answer.status(), 500);
    #[cfg(feature = "tracing")]
    {
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("ERROR") && log.contains("Extension(Arc<BearerVerifier>)"), "{log}");
    }
}

/// Names of APIs are literal text, not patterns of the router.
#[tokio::test]
async fn the_router_takes_the_names_of_apis_literally() {
    let names = ["files", "files", "{tenant}", ":id", "*", "{*rest}", "{", "a}b"];
    let world = World::with(|builder| {
        names.iter().enumerate().fold(builder, |builder, (n, name)| {
            let identifier = Resource::new(format!("https://as.example.com/{name}")).unwrap();
            let app = ClientId::new(format!("app {n}")).unwrap();
            builder.resource_server(ResourceServer::new(identifier, app))
        })
    });
    let router = Router::new().route("/", get(async || "host")).merge(server(&world));
    let get = async |path: &str| {
        let uri = format!("/.well-known/oauth-protected-resource/{path}");
        call(&router, Request::get(uri).body(Body::empty()).unwrap()).await.status().as_u16()
    };
    for name in names {
        assert_eq!(get(name).await, 200, "{name}");
    }
    assert_eq!(get("other").await, 404);
}
