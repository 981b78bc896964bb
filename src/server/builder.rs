//! The builder of a server.

use std::sync::Arc;
use std::time::Duration;

use async_lock::Semaphore;

use super::AuthorizationServer;
use crate::audit::usage::Usage;
use crate::audit::{AuditSink, NoAudit, Shielded};
use crate::catalog::ApiCatalog;
use crate::clock::{Clock, SystemClock};
use crate::endpoint::client_authentication::{AppKeys, MAX_SLOW_CHECKS};
use crate::endpoint::client_documents::{ClientDocuments, Documents};
use crate::endpoint::context::Context;
use crate::endpoint::device_authorization::{DeviceGrant, DeviceGrants};
use crate::endpoint::devices::Devices;
use crate::endpoint::global_revocation::GlobalRevocation;
use crate::endpoint::registration::{Registration, Registrations};
use crate::endpoint::trusted_issuers::TrustedIssuers;
use crate::fetch::Fetch;
use crate::hooks::{Hooks, NoHooks};
use crate::ids::{Issuer, Resource};
use crate::jwt::{KeyRing, VerifyingKey};
use crate::protocol::paths::{Paths, ServerEndpoint};
use crate::protocol::redirect_uri::InstanceHosts;
use crate::protocol::resources::Resources;
use crate::random::{JtiSource, OsRandom, SecureRandom};
use crate::rate_limit::repeats::Repeats;
use crate::rate_limit::{DeviceGrantBudgets, RateLimiter, RateLimits};
use crate::resource_server::resource::ResourceServer;
use crate::resource_server::{BearerVerifier, VerifiedTokens};
use crate::server_secret::handle::Handles;
use crate::server_secret::{Pepper, RootPrint, Sealing, ServerSecret};
use crate::store::{
    DeviceStore, IssuerStore, MAX_TICKET_LIFETIME, PendingStore, SharedDevices, Store, StoreError,
};
use crate::users::UserDirectory;

/// The longest lifetime of an assertion that authenticates an app, and the default.
const MAX_CLIENT_ASSERTION_LIFETIME: Duration = Duration::from_hours(1);

/// Builds an [`AuthorizationServer`]. Every default is safe.
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
    client_assertion_lifetime: Duration,
    resource_servers: Vec<ResourceServer>,
    introspection_cache: usize,
    devices: Option<Arc<dyn SharedDevices>>,
    device_grant: Option<DeviceGrant>,
    token_exchange: bool,
    documents: Option<Box<Documents>>,
    app_keys: Option<AppKeys>,
    registration: Option<Registration>,
    issuers: Option<Box<TrustedIssuers>>,
    global_revocation: Option<Box<GlobalRevocation>>,
}

impl<S: Store, U: UserDirectory> AuthorizationServer<S, U> {
    /// Returns the builder of a server with the name `issuer`. It seals with `secret`, signs with `keys`,
    /// keeps its records in `store`, and finds its users in `users`.
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
            client_assertion_lifetime: MAX_CLIENT_ASSERTION_LIFETIME,
            resource_servers: Vec::new(),
            introspection_cache: BearerVerifier::DEFAULT_CACHE,
            devices: None,
            device_grant: None,
            token_exchange: false,
            documents: None,
            app_keys: None,
            registration: None,
            issuers: None,
            global_revocation: None,
        }
    }
}

impl<S, U, H> ServerBuilder<S, U, H> {
    /// Calls `hooks` before every token is issued. Default: none.
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
            client_assertion_lifetime: self.client_assertion_lifetime,
            resource_servers: self.resource_servers,
            introspection_cache: self.introspection_cache,
            devices: self.devices,
            device_grant: self.device_grant,
            token_exchange: self.token_exchange,
            documents: self.documents,
            app_keys: self.app_keys,
            registration: self.registration,
            issuers: self.issuers,
            global_revocation: self.global_revocation,
        }
    }

    /// Publishes `key` beside the signing key, as [`KeyRing::publish`] does: the previous signing key, or
    /// the next one.
    pub fn published_key(self, key: VerifyingKey) -> Self {
        self.keys.publish(key);
        self
    }

    /// Mounts the endpoints at `paths`. Default: [`Paths::default`].
    pub fn paths(mut self, paths: Paths) -> Self {
        self.paths = paths;
        self
    }

    /// Sets the URL of the token endpoint, which some assertions carry as `aud`. Default: from
    /// [`paths`](Self::paths).
    pub fn token_endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.token_endpoint_url = Some(url.into());
        self
    }

    /// Reads the time from `clock`. Default: the system's clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Draws random bytes from `random`. Default: the system's source. Keys and signatures always use the
    /// system's source.
    pub fn random(mut self, random: impl SecureRandom + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Sends every audit event to `audit`. Default: events are dropped.
    pub fn audit(mut self, audit: impl AuditSink + 'static) -> Self {
        self.audit = Arc::new(Shielded(audit));
        self
    }

    /// Sets the budgets of apps, grants and sources, and of audit events. Default:
    /// [`RateLimits::default`].
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the host names that replace `%%HOST%%` in redirect URIs. Default: none.
    pub fn hosts(mut self, hosts: InstanceHosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// Sets the catalog of the host's API. Consent pages show its titles. Default: none.
    pub fn catalog(mut self, catalog: ApiCatalog) -> Self {
        self.catalog = Some(Arc::new(catalog));
        self
    }

    /// Sets how long a consent page stays valid, in whole seconds, at most an hour. Default: 600.
    pub fn ticket_lifetime(mut self, lifetime: Duration) -> Self {
        self.ticket_lifetime = lifetime.min(MAX_TICKET_LIFETIME);
        self
    }

    /// Limits the lifetime of the assertions that authenticate apps (`private_key_jwt`), in whole
    /// seconds, at most an hour. An app may have a shorter limit of its own. Default: an hour, which
    /// clients such as Authlib use.
    pub fn client_assertion_lifetime(mut self, lifetime: Duration) -> Self {
        self.client_assertion_lifetime = lifetime.min(MAX_CLIENT_ASSERTION_LIFETIME);
        self
    }

    /// Lets the app of `server` introspect tokens and read the feed of revocations. Call this once for
    /// each API. Default: none.
    pub fn resource_server(mut self, server: ResourceServer) -> Self {
        self.resource_servers.push(server);
        self
    }

    /// Sets how many access tokens that APIs have introspected are kept in memory, so that a repeated one costs no
    /// signature check, rounded up to a multiple of 8. 0 keeps none. Default: 4,096, and none without a
    /// [`resource_server`](Self::resource_server).
    ///
    /// Expiry, revocation and the rights of the caller are checked each time, and a key that leaves the ring takes
    /// its tokens with it. A token of 600 bytes takes about 1.2 KiB. A capacity of twice the number of tokens in use
    /// leaves hardly any uncached.
    pub fn introspection_cache(mut self, tokens: usize) -> Self {
        self.introspection_cache = tokens;
        self
    }

    /// Keeps the devices of apps with [mobile security](crate::app::MobileSecurity) in `devices`, so that
    /// phones can be wiped. Default: none, and nothing of [devices](crate::guide::devices) is read or mounted.
    ///
    /// # The same database
    ///
    /// **`devices` must be the server's own store**: a clone of it, or of the [`Arc`] around it, or another
    /// handle of the same database with the same table prefix and the same issuer. An order to wipe and the end
    /// of access are one step of that database. With another one, or with the view of another issuer, an order
    /// would succeed while the tokens of the device stay valid. The server cannot tell: nothing checks this at the
    /// start, so test it once with a device that is wiped and then refused.
    pub fn devices(mut self, devices: impl DeviceStore + 'static) -> Self {
        self.devices = Some(Arc::new(devices));
        self
    }

    /// Offers the device authorization grant (RFC 8628) to the apps that may use
    /// [`Flow::DeviceCode`](crate::Flow::DeviceCode). Default: none, and nothing of
    /// [the grant](crate::guide::device_grant) is read or mounted.
    ///
    /// The host shows a page at the path of [`ServerEndpoint::DeviceVerification`](crate::protocol::ServerEndpoint),
    /// which devices show to users: [`HttpEndpoints::with_device_pages`](crate::http::HttpEndpoints::with_device_pages)
    /// mounts it. A server without the path does not have the grant.
    pub fn device_grant(mut self, settings: DeviceGrant) -> Self {
        self.device_grant = Some(settings);
        self
    }

    /// Exchanges tokens (RFC 8693) for the apps that may use [`Flow::TokenExchange`](crate::Flow::TokenExchange), each
    /// under its [`DelegationPolicy`](crate::app::DelegationPolicy). Default: no, and the grant type is unknown.
    pub fn token_exchange(mut self, offered: bool) -> Self {
        self.token_exchange = offered;
        self
    }

    /// Fetches the keys of apps that publish them at a `jwks_uri`
    /// ([`PrivateKeyJwtUri`](crate::app::ClientAuthentication::PrivateKeyJwtUri)) with `fetch`. Default: with that of
    /// [`client_documents`](Self::client_documents), or else not at all, and such an app cannot authenticate.
    ///
    /// A key that is not known leads to one fetch a minute for each URL. Keys are fetched again after an hour, and used
    /// for a day while that fails. A fetch is charged to its source
    /// ([`RateLimits::with_source_documents`](crate::rate_limit::RateLimits::with_source_documents)).
    pub fn app_keys(mut self, fetch: impl Fetch + 'static) -> Self {
        self.app_keys = Some(AppKeys::new(Arc::new(fetch)));
        self
    }

    /// Accepts apps that describe themselves in a document at the URL that is their client id (client id metadata
    /// documents). Default: none, and no document is fetched.
    ///
    /// See [the guide](crate::guide::self_described_apps) for what such an app gets and what the consent page has to
    /// say.
    pub fn client_documents(mut self, documents: ClientDocuments) -> Self {
        self.documents = Some(Box::new(Documents::new(documents)));
        self
    }

    /// Lets apps register themselves by these rules (RFC 7591): see [registration](crate::guide::registration).
    /// Default: no, and nothing of it is mounted.
    ///
    /// Run an [`Upkeep`](crate::Upkeep), which prunes the unused ones.
    pub fn registration(mut self, registration: Registration) -> Self {
        self.registration = Some(registration);
        self
    }

    /// Accepts the evidence of the trusted issuers in `store`, which administrators
    /// [add](crate::admin::Admin::add_trusted_issuer): see [the guide](crate::guide::acting_on_behalf). Default: none,
    /// and nothing of it is read.
    ///
    /// `store` may be the server's own, or another. Records are kept in memory for a second. Issuers whose keys are at
    /// a URL need [`app_keys`](Self::app_keys), which fetches them.
    pub fn trusted_issuers(mut self, store: impl IssuerStore + 'static) -> Self {
        self.issuers = Some(Box::new(TrustedIssuers::new(store)));
        self
    }

    /// Lets trusted issuers end all access of their users (global token revocation, Okta's Universal Logout), each as
    /// far as [its record](crate::app::TrustedIssuer::with_global_revocation) says: see
    /// [the guide](crate::guide::acting_on_behalf). Default: no, and nothing of it is mounted.
    ///
    /// A server without [trusted issuers](Self::trusted_issuers) does not have it. The token of a request is good once.
    /// The names of used ones are kept in `store`, which may be the server's own or any other that all processes of the
    /// server share.
    pub fn global_token_revocation(mut self, store: impl PendingStore + 'static) -> Self {
        self.global_revocation = Some(Box::new(GlobalRevocation::new(store)));
        self
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> ServerBuilder<S, U, H> {
    /// Builds the server, after the store has agreed to its roots: a server that lacks the root under
    /// which the store was written would refuse every client secret and every refresh token.
    ///
    /// Hosts with a durable store start by this, and with the roots of a
    /// [`KeyFile`](crate::server_secret::KeyFile) never have to name a root.
    ///
    /// # Errors
    ///
    /// [`StartError::MissingRoots`] if the server lacks a root, and [`StartError::Store`].
    pub async fn start(self) -> Result<AuthorizationServer<S, U, H>, StartError> {
        let missing = self.store.claim_roots(&self.secret.roots_claim()).await?;
        if missing.is_empty() {
            Ok(self.build())
        } else {
            Err(StartError::MissingRoots { missing })
        }
    }

    /// Builds the server without a call to the store, for a store that ends with its process. Others
    /// [`start`](Self::start).
    #[must_use]
    pub fn build(mut self) -> AuthorizationServer<S, U, H> {
        if self.devices.is_none() {
            self.paths = ServerEndpoint::OF_DEVICES.into_iter().fold(self.paths, Paths::without);
        }
        let page = self.paths.url(&self.issuer, ServerEndpoint::DeviceVerification);
        let device_grants = self.device_grant.zip(page).map(|(settings, page)| {
            let user_codes = self.secret.handle_keys("user code", self.issuer.as_str());
            let limits = self.limits;
            let budgets = |interval| DeviceGrantBudgets::new(&limits, interval);
            Box::new(DeviceGrants::new(settings, page, user_codes, budgets))
        });
        if device_grants.is_none() {
            self.paths =
                ServerEndpoint::OF_DEVICE_GRANT.into_iter().fold(self.paths, Paths::without);
        }
        let is_offered = |endpoint: &ServerEndpoint| match (&self.registration, endpoint) {
            (None, _) => false,
            (Some(rules), ServerEndpoint::ClientConfiguration) => rules.has_management(),
            (Some(_), _) => true,
        };
        let of_registration = [ServerEndpoint::Registration, ServerEndpoint::ClientConfiguration];
        let off = of_registration.into_iter().filter(|endpoint| !is_offered(endpoint));
        self.paths = off.fold(self.paths, Paths::without);
        let global_revocation = self.global_revocation.filter(|_| self.issuers.is_some());
        if global_revocation.is_none() {
            self.paths = self.paths.without(ServerEndpoint::GlobalRevocation);
        }
        let url = |endpoint| self.paths.url(&self.issuer, endpoint);
        let global_revocation = global_revocation
            .zip(url(ServerEndpoint::GlobalRevocation))
            .map(|(offered, url)| Box::new(offered.at(url)));
        let token_endpoint_url = self.token_endpoint_url.or_else(|| url(ServerEndpoint::Token));
        let others = [
            ServerEndpoint::Revocation,
            ServerEndpoint::Introspection,
            ServerEndpoint::Revocations,
            ServerEndpoint::DeviceAuthorization,
        ];
        let endpoint_urls =
            token_endpoint_url.iter().cloned().chain(others.into_iter().filter_map(url)).collect();
        // Without a token endpoint the issuer is the only audience: an empty `aud` must not match.
        let token_endpoint_url =
            token_endpoint_url.unwrap_or_else(|| self.issuer.as_str().to_owned());
        let of_documents = self.documents.as_ref().map(|documents| documents.fetch_of());
        let app_keys = self.app_keys.or_else(|| of_documents.map(AppKeys::new));
        let wipe_check = url(ServerEndpoint::DeviceWipeCheck).map(Arc::from);
        let configuration = url(ServerEndpoint::ClientConfiguration);
        let registrations = self.registration.map(|rules| Registrations::new(rules, configuration));
        // Without a resource server, only an administrator introspects.
        let kept = if self.resource_servers.is_empty() { 0 } else { self.introspection_cache };
        AuthorizationServer {
            paths: self.paths,
            roots: self.secret.roots_claim(),
            context: Context {
                handles: Handles::new(&self.secret, &self.issuer),
                pepper: Pepper::new(&self.secret, &self.issuer),
                sealing: Sealing::new(&self.secret, &self.issuer),
                own_api: Resource::new(self.issuer.as_str()).ok().map(Resources::from),
                issuer: self.issuer,
                endpoint_urls,
                token_endpoint_url,
                store: self.store,
                users: self.users,
                hooks: self.hooks,
                introspected: VerifiedTokens::following(self.keys.clone(), kept),
                keys: self.keys,
                clock: self.clock,
                random: self.random,
                token_ids: JtiSource::new(),
                audit: self.audit,
                usage: Usage::default(),
                limiter: RateLimiter::new(self.limits),
                repeats: Repeats::new(&self.limits),
                slow_checks: Semaphore::new(MAX_SLOW_CHECKS),
                hosts: self.hosts,
                catalog: self.catalog,
                ticket_lifetime: self.ticket_lifetime,
                client_assertion_lifetime: self.client_assertion_lifetime,
                resource_servers: self.resource_servers,
                devices: self.devices.map(|store| Devices { store, wipe_check }),
                device_grants,
                exchanges_tokens: self.token_exchange,
                documents: self.documents,
                fetch_places: Box::default(),
                app_keys: app_keys.map(Box::new),
                registrations: registrations.map(Box::new),
                issuers: self.issuers,
                global_revocation,
            },
        }
    }
}

/// A server that must not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store was written under roots that the server lacks.
    #[error(
        "the store was written under a root that this server lacks ({}): start it with the key file \
         that has the root, or see \"The key file is lost\" in docs/runbooks.md",
        list(missing)
    )]
    MissingRoots {
        /// The fingerprints of the missing roots.
        missing: Vec<RootPrint>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(prints: &[RootPrint]) -> String {
    prints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
