//! Apps that describe themselves at the URL that is their client id: client id metadata documents
//! (draft-ietf-oauth-client-id-metadata-document-02). The rules without I/O are in `app::metadata_document`.

mod cache;
mod follow;
mod freshness;
mod hosts;
mod prune;
mod resolve;
mod rows;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::Cache;
pub(crate) use cache::Description;
use hosts::HostList;
pub(crate) use resolve::{FoundApp, Standing};
use rows::RowCount;

use crate::app::{AppTemplate, InvalidApp, JwksUri};
use crate::endpoint::fetches::Places;
use crate::fetch::{DynFetch, Fetch};
use crate::ids::ClientId;

/// The settings for apps that describe themselves in a document.
///
/// A client id such as `https://app.example/client` is the URL of a JSON document with the app's
/// [metadata](crate::app::ClientMetadata). The authorization endpoint fetches it, and the app gets the settings of an
/// [`AppTemplate`] within what the document states. The app's row is written with the first consent of a user.
///
/// ```
/// use std::time::Duration;
/// use grantor::Scope;
/// use grantor::app::AppTemplate;
/// use grantor::endpoint::ClientDocuments;
///
/// # fn settings(fetcher: impl grantor::fetch::Fetch + 'static) -> Result<(), Box<dyn std::error::Error>> {
/// let template = AppTemplate::new(Scope::parse("mcp.read mcp.write")?).refresh_token(true);
/// let documents = ClientDocuments::new(template, fetcher)?
///     .deny_hosts(["evil.example", "*.evil.example"])
///     .freshness(Duration::from_mins(5), Duration::from_hours(24));
/// // server = server.client_documents(documents)
/// # let _ = documents;
/// # Ok(()) }
/// ```
#[must_use = "documents are not fetched until the server has these settings"]
pub struct ClientDocuments {
    template: AppTemplate,
    fetch: Arc<dyn DynFetch>,
    allowed: Option<HostList>,
    denied: HostList,
    shortest: Duration,
    longest: Duration,
    capacity: usize,
    max_apps: usize,
    gone: GoneDocument,
}

/// The fate of an app's refresh tokens after its document is gone. New authorizations are refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneDocument {
    /// Refreshes are refused from the authorization request on that finds the document gone (status 404 or 410),
    /// until one finds it again.
    #[default]
    RefuseRefresh,
    /// Grants live on to their end.
    KeepGrants,
}

impl ClientDocuments {
    /// The largest accepted document, in bytes.
    pub const MAX_BYTES: usize = 5 * 1024;
    /// The documents and key sets of such apps that a process fetches at once.
    pub const MAX_FETCHES: usize = Places::ALL;
    /// The part of them from one host.
    pub const MAX_FETCHES_OF_HOST: usize = Places::OF_HOST;
    /// The part of them for one source.
    pub const MAX_FETCHES_OF_SOURCE: usize = Places::OF_SOURCE;

    /// Fetches documents with `fetch`, and gives the apps the settings of `template`.
    ///
    /// # Errors
    ///
    /// [`InvalidApp`] names the setting of the template that is not usable.
    pub fn new(template: AppTemplate, fetch: impl Fetch + 'static) -> Result<Self, InvalidApp> {
        template.check()?;
        Ok(Self {
            template,
            fetch: Arc::new(fetch),
            allowed: None,
            denied: HostList::default(),
            shortest: Duration::from_mins(5),
            longest: Duration::from_hours(24),
            capacity: 1_000,
            max_apps: 10_000,
            gone: GoneDocument::default(),
        })
    }

    /// Accepts only documents on these hosts, such as `app.example`, or `*.app.example` for every host below. The
    /// list is asked before any fetch, also that of the keys at a document's `jwks_uri`. Default: every host.
    pub fn allow_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.allowed = Some(HostList::of(hosts));
        self
    }

    /// Refuses documents on these hosts, in the form of [`allow_hosts`](Self::allow_hosts). Default: none.
    pub fn deny_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.denied = HostList::of(hosts);
        self
    }

    /// Sets how long a document is used without another fetch: as its HTTP headers say, but not shorter and not longer
    /// than this. Default: 5 minutes to 24 hours.
    pub fn freshness(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest = shortest;
        self.longest = longest.max(shortest);
        self
    }

    /// Sets how many documents of apps with a row are kept in memory, and how many of others, at least 8 each. Those
    /// that were not used for the longest time make room. Default: 1,000.
    pub fn capacity(mut self, documents: usize) -> Self {
        self.capacity = documents.max(8);
        self
    }

    /// Sets how many apps may have a row by their documents, at least 1. Beyond it, the first consent to another app is
    /// refused until the upkeep has removed one without grants. Default: 10,000.
    ///
    /// Each process counts again every five minutes at most. In between, others may exceed the number by what they add.
    pub fn max_apps(mut self, apps: usize) -> Self {
        self.max_apps = apps.max(1);
        self
    }

    /// Sets the fate of refresh tokens after a document is gone. Default: [`GoneDocument::RefuseRefresh`].
    pub fn gone(mut self, fate: GoneDocument) -> Self {
        self.gone = fate;
        self
    }

    /// Checks the lists of hosts.
    fn allows(&self, host: &str) -> bool {
        !self.denied.has(host) && self.allowed.as_ref().is_none_or(|allowed| allowed.has(host))
    }
}

impl fmt::Debug for ClientDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientDocuments")
            .field("template", &self.template)
            .field("allowed", &self.allowed)
            .field("denied", &self.denied)
            .field("shortest", &self.shortest)
            .field("longest", &self.longest)
            .field("capacity", &self.capacity)
            .field("max_apps", &self.max_apps)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

/// The documents of a server.
#[derive(Debug)]
pub(crate) struct Documents {
    settings: ClientDocuments,
    cache: Cache,
    rows: RowCount,
    /// The last app that a round has looked at.
    pruned: Mutex<Option<ClientId>>,
}

impl Documents {
    pub(crate) fn new(settings: ClientDocuments) -> Self {
        let cache = Cache::new(settings.capacity);
        Self { settings, cache, rows: RowCount::default(), pruned: Mutex::default() }
    }

    /// Checks the host of an app's `jwks_uri` against the lists of hosts.
    pub(crate) fn allows_keys_at(&self, uri: &JwksUri) -> bool {
        uri.host().is_some_and(|host| self.settings.allows(&host))
    }

    /// Returns the client that fetches.
    pub(crate) fn fetch_of(&self) -> Arc<dyn DynFetch> {
        Arc::clone(&self.settings.fetch)
    }
}
