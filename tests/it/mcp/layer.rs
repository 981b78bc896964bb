//! The layer in front of an MCP server, called as a service.

use std::sync::Arc;

use ::axum::Router;
use ::axum::body::{Body, Bytes, to_bytes};
use ::axum::extract::Request;
use ::axum::routing::any;
use grantor::clock::ManualClock;
use grantor::ids::Resource;
use grantor::jwt::AccessTokenClaims;
use grantor::protocol::Scope;
use grantor::resource_server::{BearerVerifier, MAX_MESSAGE_BYTES, McpLayer, ProtectedResource};
use http::Response;
use serde_json::json;
use tower_service::Service as _;

use crate::support::{World, machine_app, scope};

const MCP: &str = "https://mcp.example.com/a/mcp";
const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/a/mcp";
/// A tool of the base scope, and one that needs more.
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list"}}"#;
const ADD: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add"}}"#;

/// A world, its MCP server, and a token for each scope.
struct Mcp {
    world: World,
    layer: McpLayer,
    described: ProtectedResource,
}

impl Mcp {
    fn new() -> Self {
        let world = World::unlimited();
        let issuer = world.server.issuer().clone();
        let described = ProtectedResource::new(Resource::new(MCP).unwrap(), issuer.clone())
            .with_scopes(scope("a b offline_access"));
        let verifier = BearerVerifier::following(issuer, world.server.key_ring())
            .with_protected_resource(&described)
            .with_clock(Arc::clone(&world.clock));
        let layer = McpLayer::new(Arc::new(verifier), scope("a offline_access"))
            .with_tool("list", Scope::empty())
            .with_tool("add", scope("b offline_access"))
            .with_method("resources/read", scope("c"));
        Self { world, layer, described }
    }

    fn token(&self, scope: &str) -> String {
        let app = machine_app().resources([Resource::new(MCP).unwrap()]);
        let app = self.world.register(app);
        let form = [("grant_type", "client_credentials"), ("resource", MCP), ("scope", scope)];
        format!("Bearer {}", self.world.post(&app, &form).text("access_token"))
    }

    /// The server behind echoes the client of the token and the body.
    fn router(&self) -> Router {
        let echo = async |request: Request| {
            let claims = request.extensions().get::<Arc<AccessTokenClaims>>().unwrap();
            let client = claims.client_id.as_str().len();
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            format!("{client} {}", String::from_utf8_lossy(&body))
        };
        Router::new().route("/mcp", any(echo)).layer(self.layer.clone())
    }
}

fn message(token: &str, body: impl Into<Body>) -> Request {
    let request = Request::post("/mcp").header("content-type", "application/json");
    let request = if token.is_empty() { request } else { request.header("authorization", token) };
    request.body(body.into()).unwrap()
}

async fn call(router: &Router, request: Request) -> Response<Body> {
    router.clone().call(request).await.unwrap()
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |it| it.to_str().unwrap())
}

async fn text(answer: Response<Body>) -> String {
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// M17: a request without a token learns the metadata and the scope to begin with; one step-up is enough for a tool,
/// because its challenge names all that the tool needs, and no `offline_access`.
#[tokio::test]
async fn a_challenge_names_the_metadata_and_every_scope_of_the_operation() {
    let mcp = Mcp::new();
    let router = mcp.router();
    let bare = call(&router, message("", LIST)).await;
    assert_eq!(bare.status(), 401);
    let expected = format!("Bearer realm=\"{MCP}\", resource_metadata=\"{METADATA}\", scope=\"a\"");
    assert_eq!(header(&bare, "www-authenticate"), expected);
    let forged = call(&router, message("Bearer x.y.z", LIST)).await;
    assert_eq!(forged.status(), 401);
    assert!(header(&forged, "www-authenticate").contains("error=\"invalid_token\""));
    assert!(header(&forged, "www-authenticate").ends_with("scope=\"a\""));
    let twice = Request::post("/mcp?access_token=x").header("authorization", "Bearer x");
    let twice = call(&router, twice.body(Body::empty()).unwrap()).await;
    assert_eq!(twice.status(), 400);
    assert!(!header(&twice, "www-authenticate").contains("scope"));

    let (reader, writer) = (mcp.token("a"), mcp.token("a b"));
    let listed = call(&router, message(&reader, LIST)).await;
    assert_eq!(listed.status(), 200);
    assert!(text(listed).await.ends_with(LIST), "the body passes unchanged");
    let refused = call(&router, message(&reader, ADD)).await;
    assert_eq!(refused.status(), 403);
    let challenge = header(&refused, "www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains(&format!("resource_metadata=\"{METADATA}\"")), "{challenge}");
    assert!(challenge.ends_with("scope=\"a b\""), "{challenge}");
    assert_eq!(call(&router, message(&writer, ADD)).await.status(), 200);
    // Not even the base scope.
    let other = call(&router, message(&mcp.token("b"), LIST)).await;
    assert_eq!(other.status(), 403);
    assert!(header(&other, "www-authenticate").ends_with("scope=\"a\""));
}

/// M17: the messages decide, and nothing beside them. An unlisted tool is refused, and so is an ambiguous text.
#[tokio::test]
async fn the_messages_alone_name_the_operation() {
    let mcp = Mcp::new();
    let (router, reader) = (mcp.router(), mcp.token("a"));
    for (body, status) in [
        (LIST.to_owned(), 200),
        (r#"{"method":"tools/list"}"#.to_owned(), 200),
        (r#"{"method":"notifications/initialized"}"#.to_owned(), 200),
        (r#"{"id":1,"result":{}}"#.to_owned(), 200),
        (format!("[{LIST}]"), 200),
        (ADD.to_owned(), 403),
        (format!("[{LIST},{ADD}]"), 403),
        (r#"{"method":"tools\/call","params":{"n\u0061me":"add"}}"#.to_owned(), 403),
        (r#"{"method":"resources/read","params":{"uri":"x"}}"#.to_owned(), 403),
        (r#"{"method":"tools/call","params":{"name":"unlisted"}}"#.to_owned(), 403),
        (r#"{"method":"tools/call","params":{"name":["add"]}}"#.to_owned(), 403),
        (r#"{"method":"tools/call"}"#.to_owned(), 403),
        (r#"{"method":"tools/list","method":"tools/call"}"#.to_owned(), 400),
        (r#"{"method":"tools/call","params":{"name":"list","name":"add"}}"#.to_owned(), 400),
        // Some parsers ignore case.
        (r#"{"method":"ping","Method":"tools/call","params":{"name":"add"}}"#.to_owned(), 400),
        (r#"{"method":"tools/call","params":{"name":"list","NAME":"add"}}"#.to_owned(), 400),
        ("tools/call".to_owned(), 400),
        (String::new(), 400),
    ] {
        let mut request = message(&reader, body.clone());
        // Headers that repeat a message may lie.
        request.headers_mut().insert("mcp-method", "tools/list".parse().unwrap());
        request.headers_mut().insert("mcp-name", "list".parse().unwrap());
        let answer = call(&router, request).await;
        assert_eq!(answer.status(), status, "{body}");
        if status == 400 {
            let json: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
            assert_eq!(json["error"]["code"], -32700);
        }
    }
    let unlisted = r#"{"method":"tools/call","params":{"name":"unlisted"}}"#;
    let unlisted = call(&router, message(&mcp.token("a b c"), unlisted)).await;
    assert_eq!(unlisted.status(), 403);
    assert!(!header(&unlisted, "www-authenticate").contains("scope=\""), "no scope would help");
    let read = call(&router, message(&mcp.token("a c"), r#"{"method":"resources/read"}"#)).await;
    assert_eq!(read.status(), 200);
    for method in ["GET", "DELETE"] {
        let request = Request::builder().method(method).uri("/mcp");
        let request = request.header("authorization", &reader).body(Body::empty()).unwrap();
        assert_eq!(call(&router, request).await.status(), 200, "{method}");
        let bare = Request::builder().method(method).uri("/mcp").body(Body::empty()).unwrap();
        assert_eq!(call(&router, bare).await.status(), 401, "{method}");
    }
}

/// M17: a message that its headers tell a server to decode otherwise is refused.
#[tokio::test]
async fn a_message_is_json_in_utf_8_without_a_coding() {
    let mcp = Mcp::new();
    let (router, reader) = (mcp.router(), mcp.token("a"));
    let utf_7 = r#"{"jsonrpc":"2.0","id":1,"method":"ping","+AG0-ethod":"tools/call","params":{"name":"add"}}"#;
    for (name, value, body, status) in [
        ("content-type", "application/json; charset=utf-7", utf_7, 415),
        ("content-type", "application/json; charset=utf-16le", LIST, 415),
        ("content-type", "text/plain", LIST, 415),
        ("content-encoding", "br", LIST, 415),
        ("content-encoding", "gzip", LIST, 415),
        ("content-type", "application/json; charset=UTF-8", LIST, 200),
        ("content-encoding", "identity", LIST, 200),
    ] {
        let mut request = message(&reader, body);
        request.headers_mut().insert(name, value.parse().unwrap());
        let answer = call(&router, request).await;
        assert_eq!(answer.status(), status, "{value}");
        assert_eq!(text(answer).await.starts_with("A message has"), status == 415, "{value}");
    }
    let mut untyped = message(&reader, LIST);
    untyped.headers_mut().remove("content-type");
    assert_eq!(call(&router, untyped).await.status(), 415);
}

/// M17: no other method carries a message past the scopes of operations.
#[tokio::test]
async fn the_scopes_of_operations_hold_for_every_method() {
    let mcp = Mcp::new();
    let (router, reader) = (mcp.router(), mcp.token("a"));
    let send = |method: &str| {
        let mut request = message(&reader, ADD);
        *request.method_mut() = method.parse().unwrap();
        request
    };
    for method in ["PUT", "PATCH", "QUERY", "TRACE", "post"] {
        let answer = call(&router, send(method)).await;
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(header(&answer, "allow"), "GET, HEAD, DELETE, OPTIONS, POST");
        assert_eq!(text(answer).await, "");
    }
    for method in ["GET", "DELETE", "OPTIONS"] {
        let answer = call(&router, send(method)).await;
        assert_eq!(answer.status(), 200, "{method}");
        assert!(!text(answer).await.contains("tools/call"), "{method}: its body does not pass");
    }
    assert_eq!(call(&router, send("HEAD")).await.status(), 200);
}

/// Without scopes of operations, the layer leaves messages unread.
#[tokio::test]
async fn without_scopes_of_operations_no_message_is_read() {
    let mcp = Mcp::new();
    let verifier =
        BearerVerifier::following(mcp.world.server.issuer().clone(), mcp.world.server.key_ring())
            .with_protected_resource(&mcp.described)
            .with_clock(Arc::clone(&mcp.world.clock));
    let layer = McpLayer::new(Arc::new(verifier), scope("a"));
    let mcp = Mcp { layer, ..mcp };
    let reader = mcp.token("a");
    for method in ["POST", "PUT", "GET"] {
        let mut request = message(&reader, "no JSON");
        *request.method_mut() = method.parse().unwrap();
        let answer = call(&mcp.router(), request).await;
        assert_eq!(answer.status(), 200);
        assert!(text(answer).await.ends_with("no JSON"));
    }
}

/// M17: the URL of the metadata is the public one at any depth of nesting and behind any proxy.
#[tokio::test]
async fn the_url_of_the_metadata_is_public_in_nested_routers_and_behind_proxies() {
    let mcp = Mcp::new();
    let nested = Router::new().nest("/inner", Router::new().nest("/deep", mcp.router()));
    let merged = Router::new().merge(Router::new().fallback_service(nested.clone()));
    for router in [&nested, &merged] {
        let mut request = message("", LIST);
        *request.uri_mut() = "http://10.0.0.7:8080/inner/deep/mcp".parse().unwrap();
        for (name, value) in [
            ("host", "inner.cluster.local:8080"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "host=evil.example"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = call(router, request).await;
        assert_eq!(answer.status(), 401);
        let expected = format!("resource_metadata=\"{METADATA}\"");
        assert!(header(&answer, "www-authenticate").contains(&expected));
    }
}

/// M17: the router of an API's metadata, also for scripts, whose requests have headers of the protocol.
#[tokio::test]
async fn the_metadata_of_an_mcp_server_are_served() {
    let mcp = Mcp::new();
    let router = mcp.described.axum_router();
    let path = METADATA.strip_prefix("https://mcp.example.com").unwrap();
    let get = |uri: &str| Request::get(uri).header("origin", "https://x.test").body(Body::empty());
    let answer = call(&router, get(path).unwrap()).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (200, "application/json")
    );
    assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    let json: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    let issuer = mcp.world.server.issuer().as_str();
    assert_eq!(
        json,
        json!({
            "resource": MCP, "authorization_servers": [issuer], "scopes_supported": ["a", "b"],
            "bearer_methods_supported": ["header"],
        })
    );
    let preflight = Request::builder()
        .method("OPTIONS")
        .uri(path)
        .header("origin", "https://x.test")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "mcp-protocol-version");
    let preflight = call(&router, preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(preflight.status(), 204);
    assert_eq!(header(&preflight, "access-control-allow-headers"), "mcp-protocol-version");
    assert_eq!(call(&router, get("/mcp").unwrap()).await.status(), 404);
    // A name that would be a pattern, and one without a URL.
    let issuer = mcp.world.server.issuer();
    let api = |name: &str| ProtectedResource::new(Resource::new(name).unwrap(), issuer.clone());
    assert_eq!(api("https://mcp.example.com/a?x").metadata_url(), None);
    let empty = api("https://mcp.example.com/a?x").axum_router();
    assert_eq!(call(&empty, get("/").unwrap()).await.status(), 404);
    let odd = api("https://mcp.example.com/:a/*b");
    let odd = call(&odd.axum_router(), get(&odd.metadata_path().unwrap()).unwrap()).await;
    assert_eq!(odd.status(), 200);
}

/// A script of any origin may use the server and read its challenge, if the host says so.
#[tokio::test]
async fn scripts_read_challenges_if_the_host_allows_other_origins() {
    let mcp = Mcp::new();
    let preflight = || {
        Request::builder()
            .method("OPTIONS")
            .uri("/mcp")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, mcp-param-x")
            .body(Body::empty())
            .unwrap()
    };
    let closed = call(&mcp.router(), preflight()).await;
    assert_eq!(
        (closed.status().as_u16(), header(&closed, "access-control-allow-origin")),
        (401, "")
    );
    let reader = mcp.token("a");
    let open = Mcp { layer: mcp.layer.clone().with_cross_origin(true), ..mcp };
    let router = open.router();
    let allowed = call(&router, preflight()).await;
    assert_eq!(allowed.status(), 204);
    assert_eq!(header(&allowed, "access-control-allow-methods"), "GET, POST, DELETE");
    assert_eq!(header(&allowed, "access-control-allow-headers"), "authorization, mcp-param-x");
    for (token, body, status) in [("", LIST, 401), (&*reader, ADD, 403), (&*reader, LIST, 200)] {
        let answer = call(&router, message(token, body)).await;
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        assert!(header(&answer, "access-control-expose-headers").contains("WWW-Authenticate"));
        assert_eq!(header(&answer, "access-control-allow-credentials"), "");
    }
    // Only a preflight is answered without a token.
    let plain = Request::builder().method("OPTIONS").uri("/mcp").body(Body::empty()).unwrap();
    assert_eq!(call(&router, plain).await.status(), 401);
}

/// A message of the greatest length passes, and one more byte is refused. A stranger's is not read.
#[tokio::test]
async fn a_message_has_at_most_4_mib() {
    let mcp = Mcp::new();
    let (router, reader) = (mcp.router(), mcp.token("a"));
    let padded = |bytes: usize| format!("{LIST}{}", " ".repeat(bytes - LIST.len()));
    assert_eq!(MAX_MESSAGE_BYTES, 4 * 1024 * 1024);
    let longest = call(&router, message(&reader, padded(MAX_MESSAGE_BYTES))).await;
    assert_eq!(longest.status(), 200);
    let longer = call(&router, message(&reader, padded(MAX_MESSAGE_BYTES + 1))).await;
    assert_eq!(longer.status(), 413);
    let stranger = call(&router, message("", padded(MAX_MESSAGE_BYTES + 1))).await;
    assert_eq!(stranger.status(), 401);
}

/// A body that never ends.
struct Stalled;

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_arrive_within_30_seconds_is_408() {
    let mcp = Mcp::new();
    let before = tokio::time::Instant::now();
    let answer = call(&mcp.router(), message(&mcp.token("a"), Body::new(Stalled))).await;
    assert_eq!((answer.status().as_u16(), before.elapsed().as_secs()), (408, 30));
}

/// A message during which an hour passes.
struct Late(Option<&'static str>, Arc<ManualClock>);

impl http_body::Body for Late {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.1.advance(std::time::Duration::from_hours(1));
        let rest =
            self.0.take().map(|it| Ok(http_body::Frame::data(Bytes::from_static(it.as_bytes()))));
        std::task::Poll::Ready(rest)
    }
}

/// M17: a token that ends while its message is on its way calls no tool.
#[tokio::test]
async fn the_token_is_checked_again_after_the_message() {
    let mcp = Mcp::new();
    let writer = mcp.token("a b");
    assert_eq!(call(&mcp.router(), message(&writer, ADD)).await.status(), 200);
    let late = Body::new(Late(Some(ADD), Arc::clone(&mcp.world.clock)));
    let answer = call(&mcp.router(), message(&writer, late)).await;
    assert_eq!(answer.status(), 401);
    let challenge = header(&answer, "www-authenticate");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(challenge.ends_with("scope=\"a b\""), "{challenge}");
}
