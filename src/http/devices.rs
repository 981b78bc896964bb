//! The endpoints for phones over HTTP, and those of Nextcloud's protocol.

use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::request::Exchange;
use super::response::{Answer, empty, private_json};
use super::{HttpEndpoints, Interaction};
use crate::endpoint::audit_trail::Answered;
use crate::endpoint::devices::DevicePolicy;
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::ids::{ClientId, Issuer};
use crate::protocol::paths::ServerEndpoint;
use crate::store::Store;
use crate::users::UserDirectory;

/// The most apps whose tokens a request of Nextcloud's protocol is tried against.
const MAX_NEXTCLOUD_APPS: usize = 8;

/// The paths of Nextcloud's protocol, below that of the issuer.
const NEXTCLOUD: [(&str, ServerEndpoint); 2] = [
    ("/index.php/core/wipe/check", ServerEndpoint::DeviceWipeCheck),
    ("/index.php/core/wipe/success", ServerEndpoint::DeviceWipeSuccess),
];

/// Nextcloud's remote wipe needs 1 to 8 apps, and a server with
/// [devices](crate::ServerBuilder::devices) whose path of the question is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("Nextcloud's remote wipe needs 1 to 8 apps, and a server with devices and its wipe check")]
pub struct InvalidNextcloudWipe;

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Also answers Nextcloud's remote wipe, for the clients of these apps: `/index.php/core/wipe/check` and
    /// `/index.php/core/wipe/success`, below the path of the issuer. A request names no app, so its token is
    /// tried against each of them, with one HMAC an app. Default: not mounted.
    ///
    /// # Errors
    ///
    /// [`InvalidNextcloudWipe`].
    pub fn with_nextcloud_wipe(
        mut self,
        client_ids: impl IntoIterator<Item = ClientId>,
    ) -> Result<Self, InvalidNextcloudWipe> {
        let apps: Vec<_> = client_ids.into_iter().take(MAX_NEXTCLOUD_APPS + 1).collect();
        // The part before the endpoint's own path is that of the issuer, less a prefix that a proxy strips.
        let own = self.paths.get(ServerEndpoint::DeviceWipeCheck);
        let at = self.routes.iter().find(|(_, it)| *it == ServerEndpoint::DeviceWipeCheck);
        let base = at.zip(own).and_then(|((path, _), own)| path.strip_suffix(own));
        let Some(base) = base.filter(|_| (1..=MAX_NEXTCLOUD_APPS).contains(&apps.len())) else {
            return Err(InvalidNextcloudWipe);
        };
        let routes = NEXTCLOUD.map(|(path, endpoint)| (format!("{base}{path}"), endpoint));
        self.routes.extend(routes);
        self.nextcloud = apps;
        Ok(self)
    }

    /// Answers with the policy document. A dead token gets the challenge of an API, because the endpoint is one.
    pub(super) fn policy(
        &self,
        exchange: &Exchange<'_>,
        answered: Answered<DevicePolicy>,
    ) -> (Answer, Option<ClientId>) {
        let rejection = answered.result.as_ref().err().and_then(EndpointError::rejection);
        let has_token = match rejection {
            Some(Rejection::NoCredentials) => false,
            Some(rejection) if rejection.is_token_state() => true,
            _ => {
                let headers = &exchange.parts.headers;
                return self.answered(answered, |policy| document(&policy, headers));
            }
        };
        (bearer_challenge(self.server.issuer(), has_token), answered.client_id)
    }
}

/// Returns the answer to the question of a phone. A client obeys status 200 with `true` only.
pub(super) fn wipe_check(to_be_wiped: bool) -> Answer {
    if to_be_wiped { private_json(StatusCode::OK, "{\"wipe\":true}".to_owned()) } else { no() }
}

/// Returns the answer to the report of a phone.
pub(super) fn wipe_success(counts: bool) -> Answer {
    if counts { private_json(StatusCode::OK, "[]".to_owned()) } else { no() }
}

fn no() -> Answer {
    private_json(StatusCode::NOT_FOUND, "[]".to_owned())
}

/// Returns the policy document, or status 304 if the phone has it already.
fn document(policy: &DevicePolicy, request: &HeaderMap) -> Answer {
    let etag = policy.etag();
    let mut answer = if is_known(&etag, request) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        private_json(StatusCode::OK, policy.to_json())
    };
    let headers = answer.headers_mut();
    headers.remove(header::PRAGMA);
    let five_minutes = HeaderValue::from_static("private, max-age=300");
    headers.insert(header::CACHE_CONTROL, five_minutes);
    headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    // A version is base64url.
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    answer
}

/// Compares entity tags weakly (RFC 9110 section 13.1.2).
fn is_known(etag: &str, request: &HeaderMap) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let sent = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
    let mut tags = sent.flat_map(|it| it.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// Returns the challenge to a request with a dead token, or with none (RFC 6750 section 3).
pub(super) fn bearer_challenge(issuer: &Issuer, has_token: bool) -> Answer {
    let mut answer = empty(StatusCode::UNAUTHORIZED);
    let mut challenge = format!("Bearer realm=\"{}\"", issuer.as_str());
    if has_token {
        challenge
            .push_str(", error=\"invalid_token\", error_description=\"the token is not active\"");
    }
    // Every character of an issuer is allowed in a header.
    let challenge = HeaderValue::try_from(challenge);
    let challenge = challenge.unwrap_or(HeaderValue::from_static("Bearer"));
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}
