//! CORS for MCP clients in a browser. A script needs a token, so its origin does not matter.

use axum::body::Body;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};

/// The headers of an answer that a client has to read: the challenge, and the session of older revisions.
const EXPOSED: &str = "WWW-Authenticate, Mcp-Session-Id, Retry-After";
/// The methods of the streamable HTTP transport.
const METHODS: &str = "GET, POST, DELETE";

const EVERY_ORIGIN: (HeaderName, HeaderValue) =
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));

/// Returns the answer to a preflight request, which has no token. It permits the headers that it names, because
/// MCP clients may send parameters of tools as headers.
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    if method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let permitted = answer.headers_mut();
    permitted.extend([EVERY_ORIGIN]);
    permitted.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        permitted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    permitted.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    let vary = HeaderValue::from_static("Access-Control-Request-Headers");
    permitted.insert(header::VARY, vary);
    Some(answer)
}

/// Lets every origin read an answer.
pub(super) fn admit(headers: &mut HeaderMap) {
    let (name, value) = EVERY_ORIGIN;
    headers.insert(name, value);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    // A server behind may have allowed cookies for one origin.
    headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
}
