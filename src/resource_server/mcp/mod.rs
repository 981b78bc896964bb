//! A `tower` layer for an MCP server (Model Context Protocol, streamable HTTP) in an axum router.

mod cross_origin;
mod message;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::IntoResponse as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

use super::layer::sent_uri;
use super::{BearerRequest, BearerVerifier, Challenge, Refusal};
use crate::jwt::AccessTokenClaims;
use crate::protocol::scope::Scope;
use message::Operation;

/// The longest message, in bytes (4 MiB), if an operation needs a scope of its own. A longer one is answered with
/// status 413.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The longest time for a client to send its message, before its operation is known.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// A layer that protects an MCP server, by the authorization chapter of the Model Context Protocol: it demands a token
/// for every request, and more scope for some tools. Its challenges lead a client to the authorization server, and
/// name every scope of the operation, so that one further login is enough (step-up).
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use grantor::ids::{Issuer, Resource};
/// use grantor::protocol::Scope;
/// use grantor::resource_server::{BearerVerifier, McpLayer, ProtectedResource};
/// # use grantor::jwt::{Algorithm, KeyRing, SigningKey};
///
/// # fn protect(mcp: Router) -> Result<Router, Box<dyn std::error::Error>> {
/// # let ring = KeyRing::from(SigningKey::generate(Algorithm::ES256)?);
/// let issuer = Issuer::new("https://as.example.com")?;
/// let notes = ProtectedResource::new(Resource::new("https://notes.example.com/mcp")?, issuer.clone())
///     .with_scopes(Scope::parse("notes.read notes.write")?);
/// let verifier = BearerVerifier::following(issuer, &ring).with_protected_resource(&notes);
/// let layer = McpLayer::new(Arc::new(verifier), Scope::parse("notes.read")?)
///     .with_tool("list_notes", Scope::empty())
///     .with_tool("add_note", Scope::parse("notes.write")?);
/// // `mcp` is the router, or the service, of the MCP server.
/// Ok(mcp.layer(layer).merge(notes.axum_router()))
/// # }
/// ```
///
/// # What it decides
///
/// * Every request needs a token for the verifier's resource with the base scope. Without one the status is 401.
/// * Once a tool is listed, so is every tool that may be called: a `tools/call` of another one is refused. Without a
///   list, the base scope allows every tool.
/// * A `POST` is read for its JSON-RPC messages if an operation has a scope of its own. They decide, not the headers
///   that repeat them. In a batch, every message counts. A text that is not JSON, or has a member twice or in another
///   case, is refused. The headers have to say JSON in UTF-8, without a content coding; otherwise the status is 415.
///   The token is checked again after the message was read.
/// * Then `GET`, `HEAD`, `DELETE` and `OPTIONS` pass without a body, and other methods are answered with status 405.
/// * The server behind gets a message unchanged, and the claims as `Arc<AccessTokenClaims>` in the extensions of every
///   request.
///
/// It never looks at the path, so it works at any depth of nesting. It authenticates every request, and knows nothing
/// of MCP sessions: a server that keeps any has to compare their user with the token's.
#[derive(Clone, Debug)]
pub struct McpLayer {
    verifier: Arc<BearerVerifier>,
    scope: Scope,
    tools: Option<BTreeMap<String, Scope>>,
    methods: BTreeMap<String, Scope>,
    cross_origin: bool,
}

impl McpLayer {
    /// Creates a layer that demands a token with the base scope `scope`, which may be empty, for every request.
    #[must_use]
    pub fn new(verifier: Arc<BearerVerifier>, scope: Scope) -> Self {
        let scope = scope.without_offline_access();
        Self { verifier, scope, tools: None, methods: BTreeMap::new(), cross_origin: false }
    }

    /// Lists a tool, with the scope that it needs beside the base scope.
    #[must_use]
    pub fn with_tool(mut self, name: impl Into<String>, scope: Scope) -> Self {
        let scope = self.scope.union(&scope.without_offline_access());
        self.tools.get_or_insert_default().insert(name.into(), scope);
        self
    }

    /// Sets the scope that a JSON-RPC method, such as `resources/read`, needs beside the base scope.
    #[must_use]
    pub fn with_method(mut self, name: impl Into<String>, scope: Scope) -> Self {
        let scope = self.scope.union(&scope.without_offline_access());
        self.methods.insert(name.into(), scope);
        self
    }

    /// Lets scripts of every origin use the server in a browser (CORS) and read its challenges. They need a token, and
    /// cookies are not accepted. Default: no other origin.
    #[must_use]
    pub const fn with_cross_origin(mut self, allowed: bool) -> Self {
        self.cross_origin = allowed;
        self
    }

    /// Passes a request on, with the claims of its token in its extensions, or returns the answer that refuses it.
    async fn admit(&self, request: Request<Body>) -> Result<Request<Body>, Response<Body>> {
        let (mut parts, mut body) = request.into_parts();
        let mut claims = self.check(&parts, &self.scope).await?;
        if self.tools.is_some() || !self.methods.is_empty() {
            match parts.method {
                Method::POST => {
                    let message = read(&parts.headers, body).await?;
                    let operations = message::operations(&message).map_err(|_| parse_error())?;
                    let required = self.required(&operations);
                    let required = required.map_err(|it| refused(&self.verifier.challenge(it)))?;
                    // The access may have ended while the message was on its way.
                    claims = self.check(&parts, &required).await?;
                    body = Body::from(message);
                }
                // A server that reads bodies of these would get a message that was not judged.
                Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS => {
                    body = Body::empty();
                }
                _ => {
                    let allowed = HeaderValue::from_static("GET, HEAD, DELETE, OPTIONS, POST");
                    let status = StatusCode::METHOD_NOT_ALLOWED;
                    return Err((status, [(header::ALLOW, allowed)]).into_response());
                }
            }
        }
        parts.extensions.insert(claims);
        Ok(Request::from_parts(parts, body))
    }

    /// Checks the token of a request, and that its scope covers `scope`.
    async fn check(
        &self,
        parts: &Parts,
        scope: &Scope,
    ) -> Result<Arc<AccessTokenClaims>, Response<Body>> {
        let verifier = &*self.verifier;
        let bearer = BearerRequest::of(&parts.headers, sent_uri(&parts.extensions, &parts.uri));
        let checked = verifier.check_again(|| verifier.require_scope(scope, bearer)).await;
        checked.map_err(|it| refused(&it))
    }

    /// Returns every scope that the operations need.
    fn required(&self, operations: &[Operation]) -> Result<Scope, Refusal> {
        let mut required = self.scope.clone();
        for operation in operations {
            let of_tool = match (&self.tools, operation.is_tool_call()) {
                (Some(tools), true) => {
                    let tool = operation.name.as_deref().and_then(|name| tools.get(name));
                    Some(tool.ok_or(Refusal::Unmapped)?)
                }
                (None, _) | (_, false) => None,
            };
            let of_method = self.methods.get(&operation.method);
            for scope in of_tool.into_iter().chain(of_method) {
                let both = required.union(scope);
                // A union that exceeds the limits of a scope would drop a demand.
                if !both.covers(&required) {
                    return Err(Refusal::Unmapped);
                }
                required = both;
            }
        }
        Ok(required)
    }
}

/// Reads the body of a request, or returns the answer that refuses it.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response<Body>> {
    if !message::is_utf8_json(headers) {
        const PROBLEM: &str =
            "A message has the Content-Type application/json, in UTF-8, and no Content-Encoding.";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, PROBLEM).into_response());
    }
    match timeout(MESSAGE_TIMEOUT, to_bytes(body, MAX_MESSAGE_BYTES)).await {
        Ok(Ok(message)) => Ok(message),
        // A client that has disconnected reads no answer.
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    }
}

fn refused(challenge: &Challenge) -> Response<Body> {
    challenge.to_response()
}

/// Answers with the error of JSON-RPC 2.0 section 5.1 for a text that is not a message.
fn parse_error() -> Response<Body> {
    const ERROR: &str =
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}"#;
    let json = HeaderValue::from_static("application/json");
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, json)], ERROR).into_response()
}

impl<T> Layer<T> for McpLayer {
    type Service = McpService<T>;

    fn layer(&self, inner: T) -> McpService<T> {
        McpService { layer: Arc::new(self.clone()), inner }
    }
}

/// The service that [`McpLayer`] returns.
#[derive(Clone)]
pub struct McpService<T> {
    layer: Arc<McpLayer>,
    inner: T,
}

impl<T> Service<Request<Body>> for McpService<T>
where
    T: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    T::Response: axum::response::IntoResponse,
    T::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let layer = Arc::clone(&self.layer);
        // The service that is ready, not its clone.
        let inner = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, inner);
        Box::pin(async move {
            if layer.cross_origin
                && let Some(answer) = cross_origin::preflight(request.method(), request.headers())
            {
                return Ok(answer);
            }
            let mut answer = match layer.admit(request).await {
                Ok(request) => inner.call(request).await?.into_response(),
                Err(refused) => refused,
            };
            if layer.cross_origin {
                cross_origin::admit(answer.headers_mut());
            }
            Ok(answer)
        })
    }
}

impl<T> fmt::Debug for McpService<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpService").field("layer", &self.layer).finish_non_exhaustive()
    }
}
