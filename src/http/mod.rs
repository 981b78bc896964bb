//! The endpoints over `http` 1.x: from a request with its whole body to a response, without runtime or
//! socket.
//!
//! [`HttpEndpoints`] answers every path of [`Paths`], and the host answers all others. It handles
//! methods, content types, sizes, caching, `Retry-After`, challenges, `Date` and request ids. The host's
//! [`Interaction`] provides the login of the user and the pages.
//!
//! ```
//! use std::sync::Arc;
//!
//! use grantor::AuthorizationServer;
//! use grantor::http::HttpEndpoints;
//! # use grantor::ids::Issuer;
//! # use grantor::jwt::{Algorithm, SigningKey};
//! # use grantor::random::OsRandom;
//! # use grantor::server_secret::ServerSecret;
//! # use grantor::store::MemoryStore;
//! # use grantor::users::MemoryUsers;
//!
//! # pollster::block_on(async {
//! # let issuer = Issuer::new("https://as.example.com")?;
//! # let secret = ServerSecret::generate(&OsRandom::new())?;
//! # let key = SigningKey::generate(Algorithm::ES256)?;
//! # let (store, users) = (MemoryStore::new(), MemoryUsers::default());
//! let server = AuthorizationServer::builder(issuer, secret, key, store, users).build();
//! // Without an `Interaction` there is no authorization endpoint, also not in the metadata.
//! let endpoints = HttpEndpoints::without_interaction(Arc::new(server));
//! let request = http::Request::get("/.well-known/oauth-authorization-server").body("")?;
//! let answer = endpoints.handle(request).await.ok_or("not one of the server's paths")?;
//! assert_eq!(answer.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! [`Issuers`] chooses among several servers by host and path.
//!
//! With feature `axum`, `axum_router` and `axum_issuers` mount all endpoints. A resource server uses the layer (feature
//! `tower`) or the extractors (feature `axum`) of [`resource_server`](crate::resource_server).

mod authorization;
#[cfg(feature = "axum")]
mod axum;
mod browser;
#[cfg(feature = "console")]
#[cfg_attr(docsrs, doc(cfg(feature = "console")))]
pub mod console;
mod cors;
mod device_grant;
mod devices;
mod interaction;
mod issuers;
mod origin;
mod prefix;
mod registration;
mod request;
mod request_id;
mod response;
mod session_cookie;
mod span;
mod well_known;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use axum::{axum_issuers, axum_router};
pub use devices::InvalidNextcloudWipe;
pub use interaction::{DevicePages, DeviceStep, Interaction, NoInteraction, Page};
pub use issuers::{IssuerConflict, Issuers};
pub use prefix::InvalidPrefix;
pub use response::protect_page;
pub use session_cookie::{SessionCookie, SessionSecret};

use crate::endpoint::Caller;
use crate::endpoint::audit_trail::Answered;
use crate::endpoint::device_authorization::DeviceAuthorization;
use crate::endpoint::introspection::Introspection;
use crate::endpoint::token::TokenResponse;
use crate::hooks::{Hooks, NoHooks};
use crate::ids::{ClientId, Source};
use crate::observe::metrics::{Metrics, RequestOutcome};
use crate::observe::observation::Observation;
use crate::protocol::form::MAX_FORM_BYTES;
use crate::protocol::paths::{Paths, ServerEndpoint};
use crate::server::AuthorizationServer;
use crate::store::{RevocationFeed, Store};
use crate::users::UserDirectory;
use request::{Exchange, InvalidHttpRequest};
use request_id::{REQUEST_ID, RequestIds};
use response::{Answer, DateHeader, empty, private_json, public_json};
use span::RequestSpan;

/// The longest body, in bytes. A longer one is answered with status 413, and need not be read
/// completely.
pub const MAX_BODY_BYTES: usize = MAX_FORM_BYTES;

/// The time after which the instant of a request no longer dates its answer.
const STALE_DATE: Duration = Duration::from_millis(500);

/// The endpoints of an [`AuthorizationServer`] over HTTP.
///
/// Every method takes a shared reference, so any number of requests may run at once. A dropped future
/// leaves its request done or not done, never half done.
pub struct HttpEndpoints<S, U, H = NoHooks, I = NoInteraction> {
    server: Arc<AuthorizationServer<S, U, H>>,
    interaction: I,
    paths: Paths,
    routes: Vec<(String, ServerEndpoint)>,
    /// The page of the device grant. Without one, its endpoints are not mounted.
    device_pages: Option<device_grant::Shows<I>>,
    metadata: String,
    /// The same while an issuer is trusted for ID-JAG. `None` if none can be.
    metadata_with_id_jag: Option<String>,
    /// The metadata documents of APIs, with their paths.
    resources: Vec<(String, String)>,
    /// The apps of Nextcloud's protocol.
    nextcloud: Vec<ClientId>,
    challenge: HeaderValue,
    cross_origin: bool,
    /// Whether spans name the issuer although metrics do not.
    names_issuer: bool,
    metrics: Metrics,
    request_ids: RequestIds,
    date: DateHeader,
}

impl<S: Store, U: UserDirectory, H: Hooks> HttpEndpoints<S, U, H> {
    /// Returns the endpoints of `server` without the authorization endpoint and those of the device grant, which
    /// need a browser, and without the registration of apps, which get tokens at the authorization endpoint only.
    #[must_use]
    pub fn without_interaction(server: Arc<AuthorizationServer<S, U, H>>) -> Self {
        let paths = server.paths().clone();
        let of_browsers = [
            ServerEndpoint::Authorization,
            ServerEndpoint::Decision,
            ServerEndpoint::Registration,
            ServerEndpoint::ClientConfiguration,
        ];
        let paths = of_browsers.into_iter().fold(paths, Paths::without);
        Self::with_paths(server, NoInteraction::new(), paths)
    }
}

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Returns the endpoints of `server`, with the login and the pages of `interaction`. Those of the device grant
    /// need [`with_device_pages`](Self::with_device_pages), too.
    #[must_use]
    pub fn new(server: Arc<AuthorizationServer<S, U, H>>, interaction: I) -> Self {
        let paths = server.paths().clone();
        Self::with_paths(server, interaction, paths)
    }

    fn with_paths(server: Arc<AuthorizationServer<S, U, H>>, interaction: I, paths: Paths) -> Self {
        let issuer = server.issuer();
        let route = |endpoint| Some((paths.full(issuer, endpoint)?, endpoint));
        let routes = ServerEndpoint::ALL.into_iter().filter_map(route);
        let routes = routes.chain(well_known::of_openid(&paths, issuer)).collect();
        let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", issuer.as_str());
        let resources = match paths.get(ServerEndpoint::ResourceMetadata) {
            Some(known) => well_known::of_apis(known, issuer, server.resource_servers()),
            None => Vec::new(),
        };
        Self {
            // Every character of an issuer is allowed in a header.
            challenge: HeaderValue::try_from(challenge)
                .unwrap_or(HeaderValue::from_static("Basic realm=\"oauth\"")),
            metadata: server.metadata_at(&device_grant::without(paths.clone()), false),
            metadata_with_id_jag: (server.context().issuers.is_some())
                .then(|| server.metadata_at(&device_grant::without(paths.clone()), true)),
            request_ids: RequestIds::new(server.random()),
            interaction,
            device_pages: None,
            routes,
            resources,
            paths,
            server,
            nextcloud: Vec::new(),
            cross_origin: false,
            names_issuer: false,
            metrics: Metrics::default(),
            date: DateHeader::default(),
        }
    }

    /// Lets scripts of other origins use the endpoints in a browser (CORS): the token, revocation and
    /// introspection endpoints from the origins of the app's redirect URIs, the metadata and the JWK Set
    /// from every origin. Default: no other origin.
    #[must_use]
    pub fn with_cross_origin(mut self, allowed: bool) -> Self {
        self.cross_origin = allowed;
        self
    }

    /// Returns the server.
    pub fn server(&self) -> &AuthorizationServer<S, U, H> {
        &self.server
    }

    /// Returns the server, to be shared.
    pub(super) fn shared_server(&self) -> Arc<AuthorizationServer<S, U, H>> {
        Arc::clone(&self.server)
    }

    /// Names the issuer in spans.
    pub(super) fn naming_issuer(self) -> Self {
        Self { names_issuer: true, ..self }
    }

    /// Returns the host's part.
    pub fn interaction(&self) -> &I {
        &self.interaction
    }

    /// Gives the metrics and spans of these endpoints the label `issuer`, for a process with several
    /// issuers. Counts start anew, so call it before the first request. Default: no label.
    #[must_use]
    pub fn with_issuer_label(mut self, labelled: bool) -> Self {
        let issuer = labelled.then(|| self.server.issuer().clone());
        self.metrics = Metrics::new(issuer, self.metrics.times_steps());
        self
    }

    /// Counts the time that requests spend at each step of the pipeline, as `grantor_step_seconds`. A token request
    /// then reads the clock about seven times more. Counts start anew, so call it before the first request. Default:
    /// no.
    ///
    /// The span of a request has these times, too, whether they are counted or not.
    #[must_use]
    pub fn with_step_times(mut self, counted: bool) -> Self {
        self.metrics = Metrics::new(self.metrics.issuer().cloned(), counted);
        self
    }

    /// Returns the counts and latencies of the answers so far. [`MetricsText`](crate::observe::MetricsText)
    /// puts those of several servers together.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns every path that is answered, on the server's host, without the prefix that a proxy
    /// [strips](Self::behind_prefix). [`ServerEndpoint::ResourceMetadata`]
    /// has one for each API at the server's own origin, unless the identifier of the API has a query.
    pub fn routes(&self) -> impl Iterator<Item = (&str, ServerEndpoint)> {
        let resources =
            self.resources.iter().map(|(path, _)| (&**path, ServerEndpoint::ResourceMetadata));
        let has_page = self.device_pages.is_some();
        let is_mounted = move |endpoint: &ServerEndpoint| {
            *endpoint != ServerEndpoint::ResourceMetadata
                && (has_page || !ServerEndpoint::OF_DEVICE_GRANT.contains(endpoint))
        };
        let others = self.routes.iter().filter(move |(_, endpoint)| is_mounted(endpoint));
        others.map(|(path, endpoint)| (&**path, *endpoint)).chain(resources)
    }

    /// Returns the endpoint at `path`, if there is one.
    #[must_use]
    pub fn endpoint_at(&self, path: &str) -> Option<ServerEndpoint> {
        self.routes().find(|(own, _)| *own == path).map(|(_, endpoint)| endpoint)
    }

    /// Answers `request`, or returns `None` if no endpoint has its path.
    ///
    /// `request` has its whole body, or the first [`MAX_BODY_BYTES`] and one more byte. The host may put a
    /// [`Source`] and a [`RequestId`](crate::ids::RequestId) into its extensions.
    pub async fn handle<B>(&self, request: Request<B>) -> Option<Response<Vec<u8>>>
    where
        B: AsRef<[u8]> + Send,
    {
        let endpoint = self.endpoint_at(request.uri().path())?;
        Some(self.answer(endpoint, request).await)
    }

    /// Answers `request` at `endpoint`, independent of its path.
    pub async fn answer<B>(
        &self,
        endpoint: ServerEndpoint,
        request: Request<B>,
    ) -> Response<Vec<u8>>
    where
        B: AsRef<[u8]> + Send,
    {
        let (parts, body) = request.into_parts();
        self.respond(endpoint, &parts, None, body.as_ref()).await
    }

    /// Answers a request at `endpoint`. A source in the extensions goes before `source`.
    async fn respond(
        &self,
        endpoint: ServerEndpoint,
        parts: &Parts,
        source: Option<&Source>,
        body: &[u8],
    ) -> Answer {
        let mut observation = Observation::start();
        let now = self.server.now();
        let id = self.request_ids.of(&parts.extensions, &parts.headers);
        let issuer =
            if self.names_issuer { Some(self.server.issuer()) } else { self.metrics.issuer() };
        let span = RequestSpan::new(endpoint, id.as_str(), issuer);
        observation.detailed(self.metrics.times_steps() || span.is_recorded());
        let caller = Caller { source: parts.extensions.get().or(source), request_id: Some(&id) };
        let exchange = Exchange::new(parts, body, caller, now, &observation);
        let answered = span.around(self.dispatch(endpoint, &exchange)).await;
        let (mut answer, app) = answered.unwrap_or_else(|unread| (unread.into_answer(), None));
        if self.cross_origin {
            cors::admit(&self.server, endpoint, &exchange, app.as_ref(), &mut answer).await;
        }
        let took = observation.elapsed();
        let sent = if took < STALE_DATE { now } else { self.server.now() };
        if let Some(date) = self.date.at(sent) {
            answer.headers_mut().insert(header::DATE, date);
        }
        if parts.method == Method::HEAD {
            let length = answer.body().len();
            answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            answer.body_mut().clear();
        }
        let outcome = RequestOutcome::of_status(answer.status().as_u16());
        let measured = observation.measured(outcome, took);
        self.metrics.count(endpoint, outcome, &measured);
        span.end(&observation, &measured, answer.status());
        answer.headers_mut().insert(REQUEST_ID, id.into_header());
        answer
    }

    /// Answers a request. Also returns the app that the request claims to come from, if any.
    async fn dispatch(
        &self,
        endpoint: ServerEndpoint,
        exchange: &Exchange<'_>,
    ) -> Result<(Answer, Option<ClientId>), InvalidHttpRequest> {
        if let Some(answer) = exchange.check_method(endpoint, self.cross_origin) {
            return Ok((answer, None));
        }
        let context = self.server.context();
        let answer = match endpoint {
            ServerEndpoint::Authorization => Box::pin(self.authorize(exchange)).await?,
            ServerEndpoint::Decision => Box::pin(self.decide(exchange)).await?,
            ServerEndpoint::Token => {
                let answered = context.token(&exchange.form_request()?).await;
                let json = |token: TokenResponse| private_json(StatusCode::OK, token.to_json());
                return Ok(self.answered(answered, json));
            }
            ServerEndpoint::Revocation => {
                let answered = context.revoke(&exchange.form_request()?).await;
                return Ok(self.answered(answered, |()| empty(StatusCode::OK)));
            }
            ServerEndpoint::Introspection => {
                let answered = context.introspect(&exchange.form_request()?).await;
                let json = |facts: Introspection| private_json(StatusCode::OK, facts.to_json());
                return Ok(self.answered(answered, json));
            }
            ServerEndpoint::GlobalRevocation => {
                let answered = context.revoke_globally(&exchange.json_request()?).await;
                return Ok(self.challenged(answered, |()| empty(StatusCode::NO_CONTENT)));
            }
            ServerEndpoint::Revocations => {
                let (request, cursor) = exchange.feed_request()?;
                let answered = context.revocations(&request, cursor).await;
                let json = |feed: RevocationFeed| {
                    // A record of strings and numbers always has a JSON form.
                    let json = serde_json::to_string(&feed).unwrap_or_default();
                    private_json(StatusCode::OK, json)
                };
                return Ok(self.answered(answered, json));
            }
            ServerEndpoint::DeviceAuthorization => {
                let answered = context.device_authorization(&exchange.form_request()?).await;
                let json =
                    |codes: DeviceAuthorization| private_json(StatusCode::OK, codes.to_json());
                return Ok(self.answered(answered, json));
            }
            ServerEndpoint::DeviceVerification => Box::pin(self.device_page(exchange)).await?,
            ServerEndpoint::DeviceWipeCheck => {
                let answered = context.check_wipe(&exchange.form_request()?, &self.nextcloud).await;
                return Ok(self.answered(answered, devices::wipe_check));
            }
            ServerEndpoint::DeviceWipeSuccess => {
                let request = exchange.form_request()?;
                let answered = context.report_wipe(&request, &self.nextcloud).await;
                return Ok(self.answered(answered, devices::wipe_success));
            }
            ServerEndpoint::DevicePolicy => {
                let answered = context.device_policy(&exchange.bodiless_request()?).await;
                return Ok(self.policy(exchange, answered));
            }
            ServerEndpoint::Registration => {
                let answered = context.register(&exchange.json_request()?).await;
                return Ok(self.registered(answered, StatusCode::CREATED));
            }
            ServerEndpoint::ClientConfiguration => {
                return Box::pin(self.client_configuration(exchange)).await;
            }
            ServerEndpoint::JwkSet => public_json(self.server.jwk_set()),
            ServerEndpoint::Metadata => public_json(match &self.metadata_with_id_jag {
                Some(with) if Box::pin(context.trusts_id_jag()).await => with.clone(),
                Some(_) | None => self.metadata.clone(),
            }),
            ServerEndpoint::ResourceMetadata => {
                let of_path = |(own, _): &&(String, String)| own == exchange.path();
                match self.resources.iter().find(of_path) {
                    Some((_, json)) => public_json(json.clone()),
                    None => empty(StatusCode::NOT_FOUND),
                }
            }
        };
        Ok((answer, None))
    }

    fn answered<T>(
        &self,
        answered: Answered<T>,
        respond: impl FnOnce(T) -> Answer,
    ) -> (Answer, Option<ClientId>) {
        let Answered { result, client_id } = answered;
        let failed = |error| response::error(&error, &self.challenge);
        (result.map_or_else(failed, respond), client_id)
    }
}

impl<S, U, H, I> fmt::Debug for HttpEndpoints<S, U, H, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEndpoints").field("routes", &self.routes).finish_non_exhaustive()
    }
}
