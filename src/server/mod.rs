//! The authorization server: puts the parts together.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::{Admin, AdminParts};
use crate::audit::usage::{AppUsage, Usage};
use crate::audit::{Action, AuditSink, NoAudit};
use crate::catalog::ApiCatalog;
use crate::clock::{Clock, SystemClock, UnixTime};
use crate::endpoint::authorization::{
    AuthorizationError, AuthorizationRequest, AuthorizationResponse, Decision, Login, Prompted,
};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::introspection::Introspection;
use crate::endpoint::metadata::server_metadata_json;
use crate::endpoint::token::TokenResponse;
use crate::error::EndpointError;
use crate::hooks::{Hooks, NoHooks};
use crate::ids::{ClientId, Issuer, Source};
use crate::jwt::{KeyError, KeyRing, VerifyingKey, VerifyingKeys};
use crate::protocol::paths::{Paths, ServerEndpoint};
use crate::protocol::redirect_uri::InstanceHosts;
use crate::random::{JtiSource, OsRandom, SecureRandom};
use crate::rate_limit::{RateLimiter, RateLimits};
use crate::resource_server::resource::ResourceServer;
use crate::server_secret::handle::Handles;
use crate::server_secret::{Pepper, Sealing, ServerSecret};
use crate::store::{FeedCursor, RevocationFeed, Store};
use crate::users::UserDirectory;

/// An OAuth 2.0 authorization server over a store `S`, the users `U` of the host, and its hooks `H`.
///
/// It is used through a shared reference, by any number of requests at once.
#[derive(Debug)]
pub struct AuthorizationServer<S, U, H = NoHooks> {
    context: Context<S, U, H>,
    paths: Paths,
}

/// How a server is put together. What is not set has a default that is safe.
#[derive(Debug)]
#[must_use = "a builder is nothing until it is built"]
pub struct ServerBuilder<S, U, H = NoHooks> {
    issuer: Issuer,
    secret: ServerSecret,
    keys: KeyRing,
    store: S,
    users: U,
    hooks: H,
    paths: Paths,
    token_endpoint_url: Option<String>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
    audit: Arc<dyn AuditSink>,
    limits: RateLimits,
    hosts: InstanceHosts,
    catalog: Option<Arc<ApiCatalog>>,
    ticket_lifetime: Duration,
    resource_servers: Vec<ResourceServer>,
}

impl<S: Store, U: UserDirectory> AuthorizationServer<S, U> {
    /// Begins a server that calls itself `issuer`, seals with `secret`, signs with `keys`, keeps
    /// everything in `store` and knows the users in `users`.
    ///
    /// `keys` may be one [`SigningKey`](crate::jwt::SigningKey), one key in a KMS
    /// ([`RemoteKey`](crate::jwt::RemoteKey)), or a [`KeyRing`] whose keys change while the server runs.
    pub fn builder(
        issuer: Issuer,
        secret: ServerSecret,
        keys: impl Into<KeyRing>,
        store: S,
        users: U,
    ) -> ServerBuilder<S, U> {
        ServerBuilder {
            issuer,
            secret,
            keys: keys.into(),
            store,
            users,
            hooks: NoHooks,
            paths: Paths::default(),
            token_endpoint_url: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(OsRandom::new()),
            audit: Arc::new(NoAudit::new()),
            limits: RateLimits::default(),
            hosts: InstanceHosts::default(),
            catalog: None,
            ticket_lifetime: Duration::from_mins(10),
            resource_servers: Vec::new(),
        }
    }
}

impl<S, U, H> ServerBuilder<S, U, H> {
    /// Asks `hooks` before every token. Default: none.
    pub fn hooks<N: Hooks>(self, hooks: N) -> ServerBuilder<S, U, N> {
        ServerBuilder {
            hooks,
            issuer: self.issuer,
            secret: self.secret,
            keys: self.keys,
            store: self.store,
            users: self.users,
            paths: self.paths,
            token_endpoint_url: self.token_endpoint_url,
            clock: self.clock,
            random: self.random,
            audit: self.audit,
            limits: self.limits,
            hosts: self.hosts,
            catalog: self.catalog,
            ticket_lifetime: self.ticket_lifetime,
            resource_servers: self.resource_servers,
        }
    }

    /// Publishes `key` beside the signing key: one that signed until now, or one that will sign next.
    /// As [`KeyRing::publish`].
    pub fn published_key(self, key: VerifyingKey) -> Self {
        self.keys.publish(key);
        self
    }

    /// Mounts the endpoints at `paths`. Default: [`Paths::default`].
    pub fn paths(mut self, paths: Paths) -> Self {
        self.paths = paths;
        self
    }

    /// The URL of the token endpoint, which some assertions carry as `aud`. Default: where
    /// [`paths`](Self::paths) have it.
    pub fn token_endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.token_endpoint_url = Some(url.into());
        self
    }

    /// Takes the time from `clock`. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes randomness from `random`. Default: the system's. Keys and signatures draw from the
    /// system in any case.
    pub fn random(mut self, random: impl SecureRandom + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Sends every event to `audit`. Default: nowhere.
    pub fn audit(mut self, audit: impl AuditSink + 'static) -> Self {
        self.audit = Arc::new(audit);
        self
    }

    /// Limits apps that have no quota of their own. Default: [`RateLimits::default`].
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The host names for which `%%HOST%%` stands in redirect URIs. Default: none.
    pub fn hosts(mut self, hosts: InstanceHosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// What the host's API offers: consent pages show its titles. Default: none.
    pub fn catalog(mut self, catalog: ApiCatalog) -> Self {
        self.catalog = Some(Arc::new(catalog));
        self
    }

    /// How long a user may look at a consent page, in whole seconds, at most an hour. Default: 600.
    pub fn ticket_lifetime(mut self, lifetime: Duration) -> Self {
        self.ticket_lifetime = lifetime.min(Duration::from_hours(1));
        self
    }

    /// Lets the app of `server` ask about tokens and read the feed of revocations; call it again for
    /// each further API. Default: none.
    pub fn resource_server(mut self, server: ResourceServer) -> Self {
        self.resource_servers.push(server);
        self
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> ServerBuilder<S, U, H> {
    /// Puts the server together.
    #[must_use]
    pub fn build(self) -> AuthorizationServer<S, U, H> {
        let of_paths = self.paths.url(&self.issuer, ServerEndpoint::Token);
        // Without a token endpoint the issuer is the only name: an empty one would be somebody's `aud`.
        let token_endpoint_url = self.token_endpoint_url.or(of_paths);
        let token_endpoint_url =
            token_endpoint_url.unwrap_or_else(|| self.issuer.as_str().to_owned());
        AuthorizationServer {
            paths: self.paths,
            context: Context {
                handles: Handles::new(&self.secret, &self.issuer),
                pepper: Pepper::new(&self.secret),
                sealing: Sealing::new(&self.secret),
                issuer: self.issuer,
                token_endpoint_url,
                store: self.store,
                users: self.users,
                hooks: self.hooks,
                keys: self.keys,
                clock: self.clock,
                random: self.random,
                token_ids: JtiSource::new(),
                audit: self.audit,
                usage: Usage::default(),
                limiter: RateLimiter::new(self.limits),
                hosts: self.hosts,
                catalog: self.catalog,
                ticket_lifetime: self.ticket_lifetime,
                resource_servers: self.resource_servers,
            },
        }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> AuthorizationServer<S, U, H> {
    /// Answers a request at the token endpoint (RFC 6749 section 3.2).
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, with the code and the static text for the client; or failed,
    /// with a cause for the operator. Neither has issued anything.
    pub async fn token(&self, request: &FormRequest<'_>) -> Result<TokenResponse, EndpointError> {
        self.context.token(request).await.result
    }

    /// Answers a request at the revocation endpoint (RFC 7009): the grant that the token came from
    /// ends, and with it every token of that grant. A token that is unknown, expired or another app's
    /// is answered alike; nothing is revoked then.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, before any token was looked at or because a limit is exceeded; or
    /// [`Unavailable`](EndpointError::Unavailable), with which the token may live on until the same
    /// request is made again.
    pub async fn revoke(&self, request: &FormRequest<'_>) -> Result<(), EndpointError> {
        self.context.revoke(request).await.result
    }

    /// Answers a request at the introspection endpoint (RFC 7662).
    ///
    /// Who may ask about which token:
    ///
    /// | the app | access tokens | refresh tokens |
    /// | --- | --- | --- |
    /// | of a [`ResourceServer`] | those whose `aud` is its identifier | its own |
    /// | of a gateway | all | all |
    /// | any other confidential app | none | its own |
    ///
    /// Whoever may not ask, and whatever is wrong with the token, the answer is
    /// [`Introspection::Inactive`]; a public app is told what an unknown one is told. A refresh token is
    /// active while it is the live one of its grant: asking about a spent one revokes nothing.
    ///
    /// Every request counts against the quota of the app that asks: a gateway needs one to match.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, before any token was looked at; or failed, with a cause for the
    /// operator.
    pub async fn introspect(
        &self,
        request: &FormRequest<'_>,
    ) -> Result<Introspection, EndpointError> {
        self.context.introspect(request).await.result
    }

    /// Reads on in the feed of revocations from `cursor`, for the app of a
    /// [resource server](ServerBuilder::resource_server): it asks again at once while there is
    /// [`more`](RevocationFeed::more), and then every few seconds. A
    /// [`RevocationList`](crate::resource_server::RevocationList) takes the pages in.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, such as an app that is not that of a resource server; or failed,
    /// with a cause for the operator.
    pub async fn revocations(
        &self,
        request: &FormRequest<'_>,
        cursor: FeedCursor,
    ) -> Result<RevocationFeed, EndpointError> {
        self.context.revocations(request, cursor).await.result
    }

    /// Reads the query of a request at the authorization endpoint (RFC 6749 section 4.1.1), coming
    /// from `source` if the host tells. The host then looks who is logged in and goes on with
    /// [`prompt`](Self::prompt).
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`]: either the app learns it by a redirect or the user is shown it.
    pub async fn authorization_request(
        &self,
        query: &str,
        source: Option<&Source>,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        self.context.authorization_request(query, source).await
    }

    /// Says whether the user has to log in first, what to ask the user, or that nobody need be asked.
    /// `login` is `None` where nobody is logged in.
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`]. It is redirected where a page would be needed and the app wants none
    /// (`prompt=none`), where a fresh login is demanded and `login` does not tell
    /// [when](Login::with_auth_time), and where the app lost all that was asked for since the
    /// request was read. It is shown where the app was edited otherwise since then.
    pub async fn prompt(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<Prompted, AuthorizationError> {
        self.context.authorize(request, login).await
    }

    /// Takes the decision of the user on the prompt with `ticket`, sent from `source` if the host
    /// tells. One decision gives one code, however often it is submitted.
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`]: a denial is a redirect; a ticket of another user or session, an
    /// expired one, or one that was decided otherwise is shown.
    pub async fn decide(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        source: Option<&Source>,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        self.context.decision(ticket, login, decision, source).await
    }

    /// Records what was refused on the way to the authorization endpoint, before anything else here
    /// was called.
    pub(crate) fn record_refusal(
        &self,
        action: Action,
        error: &AuthorizationError,
        source: Option<&Source>,
    ) {
        self.context.record_refusal(action, None, error, source);
    }

    /// What an administrator does, in the name of whom the audit log will call `administrator`.
    pub fn admin(&self, administrator: impl Into<Arc<str>>) -> Admin<'_, S> {
        let context = &self.context;
        let parts = AdminParts {
            store: &context.store,
            pepper: &context.pepper,
            sealing: &context.sealing,
            clock: &*context.clock,
            random: &*context.random,
            audit: &*context.audit,
            usage: &context.usage,
        };
        Admin::new(parts, administrator)
    }

    /// What an app did since this process was started. Nothing, once this process has deleted it.
    pub fn usage(&self, client_id: &ClientId) -> AppUsage {
        self.context.usage.of(client_id)
    }

    /// The APIs whose apps may ask about tokens.
    pub fn resource_servers(&self) -> &[ResourceServer] {
        &self.context.resource_servers
    }

    /// The name of the server.
    pub fn issuer(&self) -> &Issuer {
        &self.context.issuer
    }

    /// Where its endpoints are.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The metadata of the server (RFC 8414), as JSON: of the endpoints at its
    /// [`paths`](Self::paths) and nothing else.
    pub fn metadata(&self) -> String {
        self.metadata_at(&self.paths)
    }

    pub(crate) fn metadata_at(&self, paths: &Paths) -> String {
        let context = &self.context;
        server_metadata_json(
            &context.issuer,
            paths,
            context.keys.at(self.now()).publishes_keys(),
            context.catalog.as_deref(),
            &context.resource_servers,
        )
    }

    pub(crate) const fn context(&self) -> &Context<S, U, H> {
        &self.context
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.context.clock.now()
    }

    pub(crate) fn random(&self) -> &dyn SecureRandom {
        &*self.context.random
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.context.store
    }

    /// The public keys of the server as a JWK Set (RFC 7517 section 5), for its `jwks_uri`. An HS256
    /// key is not among them.
    pub fn jwk_set(&self) -> String {
        self.context.keys.at(self.now()).jwk_set().to_owned()
    }

    /// The keys with which this server's tokens are verified in this process, an HS256 key included.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when more than 16 keys are published, or two with one id.
    pub fn verifying_keys(&self) -> Result<VerifyingKeys, KeyError> {
        let keys = self.context.keys.at(self.now());
        VerifyingKeys::new(keys.verifying().iter().cloned().collect())
    }
}
