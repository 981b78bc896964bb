//! Scripts of other origins: the fetch standard's CORS protocol, for those origins where an app has
//! a redirect URI.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use super::request::Exchange;
use super::response::{Answer, empty};
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::ids::ClientId;
use crate::protocol::paths::{ServerEndpoint, origin};
use crate::server::AuthorizationServer;
use crate::store::Store;
use crate::users::UserDirectory;

/// Who may read the answers of an endpoint.
enum Readers {
    Anybody,
    OriginsOfTheApp,
    Nobody,
}

const fn readers(endpoint: ServerEndpoint) -> Readers {
    match endpoint {
        ServerEndpoint::Token | ServerEndpoint::Revocation | ServerEndpoint::Introspection => {
            Readers::OriginsOfTheApp
        }
        ServerEndpoint::JwkSet | ServerEndpoint::Metadata | ServerEndpoint::ResourceMetadata => {
            Readers::Anybody
        }
        // Browsers are sent there, scripts are not (RFC 9700 section 2.6).
        ServerEndpoint::Authorization | ServerEndpoint::Decision | ServerEndpoint::Revocations => {
            Readers::Nobody
        }
    }
}

/// The answer to a preflight. Which app will ask is not known yet, and nothing is told: whether the
/// script may read the answer is decided with it.
pub(super) fn preflight(endpoint: ServerEndpoint, exchange: &Exchange<'_>) -> Option<Answer> {
    let origin = exchange.parts.headers.get(header::ORIGIN)?;
    exchange.parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let readable = match readers(endpoint) {
        Readers::Anybody => HeaderValue::from_static("*"),
        Readers::OriginsOfTheApp => origin.clone(),
        Readers::Nobody => return None,
    };
    let mut answer = empty(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, readable);
    let methods = HeaderValue::from_static(endpoint.methods());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    Some(answer)
}

/// Lets the origin of the request read the answer, if it may.
pub(super) async fn admit<S: Store, U: UserDirectory, H: Hooks>(
    server: &AuthorizationServer<S, U, H>,
    endpoint: ServerEndpoint,
    exchange: &Exchange<'_>,
    client_id: Option<&ClientId>,
    answer: &mut Answer,
) {
    if exchange.parts.method == Method::OPTIONS {
        return;
    }
    let readable = match readers(endpoint) {
        Readers::Nobody => return,
        Readers::Anybody => Some(HeaderValue::from_static("*")),
        Readers::OriginsOfTheApp => {
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
            let (Some(own), Some(client_id)) = (exchange.header(&header::ORIGIN), client_id) else {
                return;
            };
            // A store that cannot tell is no reason to fail an answer that stands.
            let app = server.store().find_app(client_id).await.ok().flatten();
            let allowed = app.is_some_and(|app| has_origin(&app, own));
            exchange.parts.headers.get(header::ORIGIN).filter(|_| allowed).cloned()
        }
    };
    if let Some(readable) = readable {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, readable);
    }
}

/// Whether one of the app's redirect URIs is of this origin. Hosts are compared without case.
fn has_origin(app: &CustomApp, wanted: &str) -> bool {
    let web = wanted.starts_with("https://") || wanted.starts_with("http://");
    let uris = app.settings().redirect_uris();
    web && uris.iter().any(|uri| origin(uri.as_str()).eq_ignore_ascii_case(wanted))
}
