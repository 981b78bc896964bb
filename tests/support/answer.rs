//! Answers of the server, as they come over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::AuthorizationServer;
use grantor::endpoint::{FormRequest, Introspection, TokenResponse};
use grantor::error::EndpointError;
use grantor::hooks::Hooks;
use grantor::store::Store;
use grantor::users::UserDirectory;
use http::HeaderMap;
use serde_json::Value;

/// An HTTP response.
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

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

impl From<http::Response<Vec<u8>>> for Answered {
    fn from(response: http::Response<Vec<u8>>) -> Self {
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

/// A response with a JSON body, or with none.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    /// A string of the body; the test fails if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Asserts this error with this status.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json["error"].as_str()), (status, Some(error)), "{self:?}");
        assert!(self.json.get("access_token").is_none());
    }

    /// The claims of the access token, not verified.
    pub(crate) fn claims(&self) -> Value {
        let payload = self.text("access_token").split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    fn of<T>(result: Result<T, EndpointError>, body: impl FnOnce(&T) -> String) -> Self {
        let (status, json, retry_after) = match result {
            Ok(response) => (200, body(&response), None),
            Err(error) => (error.status(), error.to_json(), error.retry_after()),
        };
        Self { status, json: serde_json::from_str(&json).unwrap(), retry_after }
    }
}

/// Sends a token request of these bytes to `server`, without the HTTP layer.
pub(crate) fn ask<S: Store, U: UserDirectory, H: Hooks>(
    server: &AuthorizationServer<S, U, H>,
    body: &str,
) -> Answer {
    Answer::from(pollster::block_on(server.token(&FormRequest::new(body))))
}

impl From<Answered> for Answer {
    fn from(answer: Answered) -> Self {
        let json = if answer.body.is_empty() { Value::Null } else { answer.json() };
        let retry_after = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
        Self { status: answer.status, json, retry_after }
    }
}

impl From<Result<TokenResponse, EndpointError>> for Answer {
    fn from(result: Result<TokenResponse, EndpointError>) -> Self {
        Self::of(result, TokenResponse::to_json)
    }
}

/// A revocation is answered without a body.
impl From<Result<(), EndpointError>> for Answer {
    fn from(result: Result<(), EndpointError>) -> Self {
        Self::of(result, |()| "null".to_owned())
    }
}

impl From<Result<Introspection, EndpointError>> for Answer {
    fn from(result: Result<Introspection, EndpointError>) -> Self {
        Self::of(result, Introspection::to_json)
    }
}
