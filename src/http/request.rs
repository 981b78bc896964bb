//! The HTTP side of a request: its method, content type and credentials.

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::cors;
use super::response::{Answer, empty, private_json};
use crate::clock::UnixTime;
use crate::endpoint::caller::Caller;
use crate::endpoint::form_request::FormRequest;
use crate::error::{ErrorBody, ErrorCode};
use crate::observe::observation::Observation;
use crate::protocol::form::{Form, MAX_FORM_BYTES};
use crate::protocol::paths::ServerEndpoint;
use crate::store::FeedCursor;

/// A request and its telemetry.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) parts: &'a Parts,
    body: &'a [u8],
    caller: Caller<'a>,
    now: UnixTime,
    pub(super) observation: &'a Observation,
}

impl<'a> Exchange<'a> {
    pub(super) const fn new(
        parts: &'a Parts,
        body: &'a [u8],
        caller: Caller<'a>,
        now: UnixTime,
        observation: &'a Observation,
    ) -> Self {
        Self { parts, body, caller, now, observation }
    }

    pub(super) fn path(&self) -> &'a str {
        self.parts.uri.path()
    }

    /// Returns the source, if the host tells, and the id of the request.
    pub(super) const fn caller(&self) -> Caller<'a> {
        self.caller
    }

    /// Returns the value of a header, if it is present and text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Returns the answer to a method that the endpoint does not support, or `None`.
    pub(super) fn check_method(
        &self,
        endpoint: ServerEndpoint,
        cross_origin: bool,
    ) -> Option<Answer> {
        let method = &self.parts.method;
        if endpoint.methods() == method.as_str() {
            return None;
        }
        let is = |wanted: &str| endpoint.methods().split(", ").any(|own| own == wanted);
        if *method == Method::OPTIONS {
            let preflight = cross_origin.then(|| cors::preflight(endpoint, self)).flatten();
            return Some(preflight.unwrap_or_else(|| {
                let mut answer = empty(StatusCode::NO_CONTENT);
                answer.headers_mut().insert(header::ALLOW, allowed(endpoint));
                answer
            }));
        }
        // `HEAD` is for documents only: an authorization request has effects.
        let document = *method == Method::HEAD && endpoint.methods() == "GET";
        if document || is(method.as_str()) {
            return None;
        }
        let mut answer = InvalidHttpRequest("the method is not allowed").into_answer();
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        answer.headers_mut().insert(header::ALLOW, allowed(endpoint));
        Some(answer)
    }

    /// Returns the body, if it is a form. Parameters in the URL are ignored, because URLs are logged.
    pub(super) fn form_body(&self) -> Result<&'a [u8], InvalidHttpRequest> {
        if self.body.len() > MAX_FORM_BYTES {
            // `Form::parse` refuses it, before the content type matters.
            return Ok(self.body);
        }
        let mut types = self.parts.headers.get_all(header::CONTENT_TYPE).iter();
        let is_form = |value: &HeaderValue| {
            const FORM: &str = "application/x-www-form-urlencoded";
            // The spelling of most clients needs no parsing.
            let essence = || value.to_str().unwrap_or_default().split(';').next();
            value == FORM || essence().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
        };
        match (types.next(), types.next()) {
            (Some(one), None) if is_form(one) => Ok(self.body),
            // An empty body needs no type. The form then lacks its parameters.
            (None, None) if self.body.is_empty() => Ok(self.body),
            _ => Err(InvalidHttpRequest("the body must be application/x-www-form-urlencoded")),
        }
    }

    /// Returns the request for an endpoint with client authentication.
    pub(super) fn form_request(&self) -> Result<FormRequest<'a>, InvalidHttpRequest> {
        self.authorized(FormRequest::new(self.form_body()?))
    }

    /// Returns the request of a resource server for the feed. The cursor is in the URL, the credentials
    /// are in the header.
    pub(super) fn feed_request(&self) -> Result<(FormRequest<'a>, FeedCursor), InvalidHttpRequest> {
        let malformed = || InvalidHttpRequest("cursor is malformed");
        let query = self.parts.uri.query().unwrap_or_default();
        let form = Form::parse(query.as_bytes()).map_err(|_| malformed())?;
        let cursor = match form.one("cursor").map_err(|_| malformed())? {
            Some(cursor) => cursor.parse().map_err(|_| malformed())?,
            None => FeedCursor::default(),
        };
        Ok((self.bodiless_request()?, cursor))
    }

    /// Returns the request of an app that registers itself: its metadata are the body, as JSON.
    pub(super) fn json_request(&self) -> Result<FormRequest<'a>, InvalidHttpRequest> {
        let mut types = self.parts.headers.get_all(header::CONTENT_TYPE).iter();
        let is_json = |value: &HeaderValue| {
            let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case("application/json")
        };
        match (types.next(), types.next()) {
            (Some(one), None) if is_json(one) => self.authorized(FormRequest::new(self.body)),
            _ => Err(InvalidHttpRequest("the body must be application/json")),
        }
    }

    /// Returns the client id in the URL of a request about a registration.
    pub(super) fn client_id(&self) -> Result<String, InvalidHttpRequest> {
        let query = self.parts.uri.query().unwrap_or_default();
        let form = Form::parse(query.as_bytes()).ok();
        let client_id = form.as_ref().and_then(|form| form.one("client_id").ok().flatten());
        client_id.map(str::to_owned).ok_or(InvalidHttpRequest("the URL must have one client_id"))
    }

    /// Returns a request whose credentials are in the header, and nothing in the body.
    pub(super) fn bodiless_request(&self) -> Result<FormRequest<'a>, InvalidHttpRequest> {
        self.authorized(FormRequest::new(&[]))
    }

    fn authorized(&self, request: FormRequest<'a>) -> Result<FormRequest<'a>, InvalidHttpRequest> {
        let request = request.observed(self.observation).from(self.caller()).at(self.now);
        let mut headers = self.parts.headers.get_all(header::AUTHORIZATION).iter();
        match (headers.next(), headers.next()) {
            (None, _) => Ok(request),
            // A header that is not text is refused, counted and audited as malformed credentials.
            (Some(header), None) => Ok(request.authorization(header.to_str().unwrap_or_default())),
            (Some(_), Some(_)) => Err(InvalidHttpRequest("there must be one Authorization header")),
        }
    }
}

fn allowed(endpoint: ServerEndpoint) -> HeaderValue {
    match endpoint.methods() {
        "GET" => HeaderValue::from_static("GET, HEAD, OPTIONS"),
        "POST" => HeaderValue::from_static("POST, OPTIONS"),
        "GET, PUT, DELETE" => HeaderValue::from_static("GET, PUT, DELETE, OPTIONS"),
        _ => HeaderValue::from_static("GET, POST, OPTIONS"),
    }
}

/// Why a request is refused before the server is called. The error is `invalid_request`.
#[derive(Debug)]
pub(super) struct InvalidHttpRequest(&'static str);

impl InvalidHttpRequest {
    pub(super) const NO_HOST: Self = Self("the request must name one host");

    pub(super) fn into_answer(self) -> Answer {
        let Self(description) = self;
        let body = ErrorBody {
            error: ErrorCode::InvalidRequest,
            error_description: description,
            wipe_check: None,
        };
        private_json(StatusCode::BAD_REQUEST, body.to_json())
    }
}
