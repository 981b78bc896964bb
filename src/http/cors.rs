//! CORS, the fetch standard's protocol for scripts of other origins. An app's own origins are those of
//! its redirect URIs, and those that its settings list.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use super::request::Exchange;
use super::response::{Answer, empty};
use crate::app::CustomApp;
use crate::hooks::Hooks;
use crate::ids::ClientId;
use crate::protocol::paths::ServerEndpoint;
use crate::protocol::uri::is_same_origin;
use crate::server::AuthorizationServer;
use crate::store::Store;
use crate::users::UserDirectory;

/// The origins that may read the answers of an endpoint.
enum Readers {
    AllOrigins,
    OriginsOfTheApp,
    NoOrigin,
}

const fn readers(endpoint: ServerEndpoint) -> Readers {
    match endpoint {
        ServerEndpoint::Token
        | ServerEndpoint::Revocation
        | ServerEndpoint::Introspection
        | ServerEndpoint::DeviceAuthorization
        | ServerEndpoint::DeviceWipeCheck
        | ServerEndpoint::DeviceWipeSuccess
        | ServerEndpoint::DevicePolicy
        | ServerEndpoint::Registration
        | ServerEndpoint::ClientConfiguration => Readers::OriginsOfTheApp,
        ServerEndpoint::JwkSet | ServerEndpoint::Metadata | ServerEndpoint::ResourceMetadata => {
            Readers::AllOrigins
        }
        // For browser navigation, not for scripts (RFC 9700 section 2.6).
        ServerEndpoint::Authorization
        | ServerEndpoint::Decision
        | ServerEndpoint::DeviceVerification
        // For servers.
        | ServerEndpoint::GlobalRevocation
        | ServerEndpoint::Revocations => Readers::NoOrigin,
    }
}

/// Returns the answer to a preflight request. It does not name an app yet, and discloses nothing: the
/// actual answer decides if the script may read it.
pub(super) fn preflight(endpoint: ServerEndpoint, exchange: &Exchange<'_>) -> Option<Answer> {
    let origin = exchange.parts.headers.get(header::ORIGIN)?;
    exchange.parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let readable = match readers(endpoint) {
        Readers::AllOrigins => HeaderValue::from_static("*"),
        Readers::OriginsOfTheApp => origin.clone(),
        Readers::NoOrigin => return None,
    };
    let mut answer = empty(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, readable);
    let methods = HeaderValue::from_static(endpoint.methods());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    // A public document is the same for every request header.
    let asked = exchange.parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let readable_by_all = matches!(readers(endpoint), Readers::AllOrigins);
    let allowed = asked.filter(|_| readable_by_all).cloned();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        allowed.unwrap_or(HeaderValue::from_static("authorization, content-type")),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    let vary = HeaderValue::from_static("Origin, Access-Control-Request-Headers");
    headers.insert(header::VARY, vary);
    Some(answer)
}

/// Lets the origin of the request read the answer, if the endpoint or the app `client_id` allows it.
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
        Readers::NoOrigin => return,
        Readers::AllOrigins => Some(HeaderValue::from_static("*")),
        Readers::OriginsOfTheApp => {
            answer.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
            let (Some(own), Some(client_id)) = (exchange.header(&header::ORIGIN), client_id) else {
                return;
            };
            // If the look-up fails, omit the CORS headers.
            let app = server.store().find_app(client_id).await.ok().flatten();
            let allowed = app.is_some_and(|app| has_origin(&app, own));
            exchange.parts.headers.get(header::ORIGIN).filter(|_| allowed).cloned()
        }
    };
    if let Some(readable) = readable {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, readable);
    }
}

/// Returns whether the app lists this origin, or has a redirect URI of it.
fn has_origin(app: &CustomApp, wanted: &str) -> bool {
    let web = wanted.starts_with("https://") || wanted.starts_with("http://");
    let mut uris = app.settings().redirect_uris().iter();
    app.settings().origins().iter().any(|own| own.is_origin(wanted))
        || (web && uris.any(|uri| is_same_origin(uri.as_str(), wanted)))
}
