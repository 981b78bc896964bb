//! The parts of the server that every endpoint uses.

use std::sync::Arc;
use std::time::Duration;

use async_lock::Semaphore;

use crate::audit::AuditSink;
use crate::audit::usage::Usage;
use crate::catalog::ApiCatalog;
use crate::clock::{Clock, UnixTime};
use crate::endpoint::client_authentication::AppKeys;
use crate::endpoint::client_documents::Documents;
use crate::endpoint::device_authorization::DeviceGrants;
use crate::endpoint::devices::Devices;
use crate::endpoint::fetches::Places;
use crate::endpoint::global_revocation::GlobalRevocation;
use crate::endpoint::registration::Registrations;
use crate::endpoint::trusted_issuers::TrustedIssuers;
use crate::ids::{ClientId, Issuer};
use crate::jwt::KeyRing;
use crate::protocol::redirect_uri::InstanceHosts;
use crate::protocol::resources::Resources;
use crate::random::{JtiSource, SecureRandom};
use crate::rate_limit::RateLimiter;
use crate::rate_limit::repeats::Repeats;
use crate::resource_server::VerifiedTokens;
use crate::resource_server::resource::ResourceServer;
use crate::server_secret::handle::Handles;
use crate::server_secret::{Pepper, Sealing};
use crate::store::GrantStore;

/// The most by which a host's clock may differ from the store's. An instant of the host that becomes a date
/// is set back by this much.
pub(crate) const STORE_CLOCK_MARGIN: Duration = Duration::from_secs(5);
/// The most by which the clocks of two hosts may differ.
const HOST_CLOCK_MARGIN: Duration = Duration::from_secs(10);

/// The parts of the server. Every endpoint is a method, in a module of its own.
#[derive(Debug)]
pub(crate) struct Context<S, U, H> {
    pub(crate) issuer: Issuer,
    /// The server's own API, by the name of the issuer. Grants share it.
    pub(crate) own_api: Option<Resources>,
    pub(crate) token_endpoint_url: String,
    /// The URLs of the endpoints at which apps authenticate.
    pub(crate) endpoint_urls: Vec<String>,
    /// The longest lifetime of an assertion that authenticates an app.
    pub(crate) client_assertion_lifetime: Duration,
    pub(crate) store: S,
    pub(crate) users: U,
    pub(crate) hooks: H,
    pub(crate) keys: KeyRing,
    pub(crate) handles: Handles,
    pub(crate) pepper: Pepper,
    pub(crate) sealing: Sealing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn SecureRandom>,
    pub(crate) token_ids: JtiSource,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) usage: Usage,
    pub(crate) limiter: RateLimiter,
    pub(crate) repeats: Repeats,
    /// Permits for checks of slow digests.
    pub(crate) slow_checks: Semaphore,
    pub(crate) hosts: InstanceHosts,
    pub(crate) catalog: Option<Arc<ApiCatalog>>,
    pub(crate) ticket_lifetime: Duration,
    pub(crate) resource_servers: Vec<ResourceServer>,
    /// The access tokens that APIs have introspected.
    pub(crate) introspected: VerifiedTokens,
    /// The devices, if the server wipes phones.
    pub(crate) devices: Option<Devices>,
    /// The device grant, if the server has it.
    pub(crate) device_grants: Option<Box<DeviceGrants>>,
    /// Whether the server exchanges tokens (RFC 8693).
    pub(crate) exchanges_tokens: bool,
    /// The documents of apps that describe themselves, if the server fetches them.
    pub(crate) documents: Option<Box<Documents>>,
    /// The places for fetches that strangers cause.
    pub(crate) fetch_places: Box<Places>,
    /// The keys of apps that publish them, if the server fetches any.
    pub(crate) app_keys: Option<Box<AppKeys>>,
    /// The registration of apps by themselves, if the server allows it.
    pub(crate) registrations: Option<Box<Registrations>>,
    /// The trusted issuers, if the server accepts evidence of others.
    pub(crate) issuers: Option<Box<TrustedIssuers>>,
    /// Global token revocation, if the server offers it.
    pub(crate) global_revocation: Option<Box<GlobalRevocation>>,
}

impl<S: GrantStore, U, H> Context<S, U, H> {
    /// Returns the date of the access that a request gets whose first check begins now. A revocation that is
    /// called from now on covers it, and none does that this process has seen.
    pub(crate) fn date(&self, now: UnixTime) -> UnixTime {
        let by_host = self.store.reached(now.minus(STORE_CLOCK_MARGIN));
        self.store.seen().max(by_host)
    }

    /// Returns how far ahead of this host the instants of another host may be.
    pub(crate) fn host_skew(&self) -> Duration {
        self.store.clock_skew().max(HOST_CLOCK_MARGIN)
    }
}

impl<S, U, H> Context<S, U, H> {
    /// Returns the APIs that authenticate as the app `client_id`.
    pub(crate) fn resource_servers_of(
        &self,
        client_id: &ClientId,
    ) -> impl Iterator<Item = &ResourceServer> {
        self.resource_servers.iter().filter(move |server| server.client_id == *client_id)
    }
}
