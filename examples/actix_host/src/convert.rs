//! Requests of actix-web as those of `http` 1.x, and responses back. actix-web has its types from `http` 0.2.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use grantor::ids::Source;
use http::{HeaderName, HeaderValue, Request, Response};

/// Converts the head of a request, with the address of the client as its source. The path stays as the client
/// sent it.
///
/// Behind a proxy that is the address of the proxy. Take the client's address from a header of a proxy that you
/// trust.
///
/// # Errors
///
/// [`http::Error`] for a head that `http` 1.x does not allow.
pub(crate) fn request<B>(request: &HttpRequest, body: B) -> Result<Request<B>, http::Error> {
    let mut converted =
        Request::builder().method(request.method().as_str()).uri(request.uri().to_string());
    for (name, value) in request.headers() {
        converted = converted.header(name.as_str(), value.as_bytes());
    }
    if let Some(address) = request.peer_addr() {
        converted = converted.extension(Source::from(address.ip()));
    }
    converted.body(body)
}

/// Converts a response.
pub(crate) fn response(response: Response<Vec<u8>>) -> HttpResponse {
    let (head, body) = response.into_parts();
    let status = StatusCode::from_u16(head.status.as_u16());
    let mut converted = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let pair =
        |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.as_bytes().to_vec());
    for (name, value) in head.headers.iter().map(pair) {
        converted.append_header((name, value));
    }
    converted.body(body)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_request_keeps_its_head() {
        let sent = TestRequest::post()
            .uri("/a%2Fb;c?d=%20&e")
            .peer_addr(([192, 0, 2, 1], 80).into())
            .append_header(("cookie", "a=b"))
            .append_header(("cookie", "c=d"))
            .append_header(("x-latin", &b"\xe4"[..]))
            .to_http_request();
        let converted = request(&sent, b"body").unwrap();
        assert_eq!((converted.method().as_str(), converted.body()), ("POST", &b"body"));
        assert_eq!(converted.uri(), "/a%2Fb;c?d=%20&e");
        let cookies: Vec<_> = converted.headers().get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=b", "c=d"]);
        assert_eq!(converted.headers()["x-latin"].as_bytes(), b"\xe4");
        let source = converted.extensions().get::<Source>().unwrap();
        assert_eq!(source.as_str(), "192.0.2.1");
    }

    #[test]
    fn a_response_keeps_its_head() {
        let sent =
            Response::builder().status(303).header("set-cookie", "a=b").header("set-cookie", "c=d");
        let converted = response(sent.body(b"body".to_vec()).unwrap());
        assert_eq!(converted.status(), 303);
        let cookies: Vec<_> = converted.headers().get_all("set-cookie").collect();
        assert_eq!(cookies, ["a=b", "c=d"]);
    }
}
