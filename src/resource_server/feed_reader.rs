//! A reader of the revocation feed over the network.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use zeroize::Zeroizing;

use super::RevocationList;
use super::server_documents::{self, DiscoveryError, MAX_FEED_PAGE, ServerDocument};
use crate::clock::UnixTime;
use crate::fetch::{Fetch, FetchError};
use crate::ids::{ClientId, Issuer};
use crate::secret::ClientSecret;
use crate::store::RevocationFeed;

/// A reader of an authorization server's revocation feed, for an API in another process.
///
/// It fills a [`RevocationList`], as [`RevocationList::poll`] does beside the store. The list is closed
/// until the feed was read to its end once, and again if no read succeeds within its maximum age.
///
/// The reader authenticates as the app of a registered
/// [`ResourceServer`](super::ResourceServer), with its client secret (`client_secret_basic`). It finds the
/// feed by the member `revocation_feed_endpoint` of the server's metadata.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use grantor::Issuer;
/// use grantor::clock::{Clock, SystemClock};
/// use grantor::fetch::Fetch;
/// use grantor::ids::ClientId;
/// use grantor::resource_server::{FeedReader, RevocationList};
/// use grantor::secret::ClientSecret;
///
/// /// A task of the API, beside the verifier that has the same list.
/// async fn follow(fetch: impl Fetch, list: Arc<RevocationList>, secret: ClientSecret) {
///     let issuer = Issuer::new("https://as.example.com").unwrap();
///     let app = ClientId::new("api").unwrap();
///     let reader = FeedReader::new(issuer, fetch, app, secret, list);
///     loop {
///         if let Err(error) = reader.poll(SystemClock::new().now()).await {
///             eprintln!("revocations were not read: {error}");
///         }
///         tokio::time::sleep(Duration::from_secs(5)).await;
///     }
/// }
/// ```
pub struct FeedReader<F> {
    issuer: Issuer,
    fetch: F,
    client_id: ClientId,
    client_secret: ClientSecret,
    list: Arc<RevocationList>,
    /// The URL of the feed, once it is known.
    url: Mutex<Option<http::Uri>>,
}

impl<F: Fetch> FeedReader<F> {
    /// Creates a reader of the feed of `issuer` that fills `list`, with the credentials of the API's app.
    /// It sends nothing yet.
    #[must_use]
    pub const fn new(
        issuer: Issuer,
        fetch: F,
        client_id: ClientId,
        client_secret: ClientSecret,
        list: Arc<RevocationList>,
    ) -> Self {
        Self { issuer, fetch, client_id, client_secret, list, url: Mutex::new(None) }
    }

    /// Reads the feed to its end. Call it every few seconds, with the time by the verifier's clock.
    ///
    /// It reads on from the last page of the call before. The first call, and one after a failure, also
    /// reads the metadata.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] if the server is not reachable, refuses the credentials (status 401 or 403) or
    /// answers something else. Entries already read are in force, and the age of the list is unchanged.
    pub async fn poll(&self, now: UnixTime) -> Result<(), DiscoveryError> {
        let read = self.read_to_end(now).await;
        if read.is_err() {
            // The feed may have moved.
            self.keep_url(None);
        }
        read
    }

    async fn read_to_end(&self, now: UnixTime) -> Result<(), DiscoveryError> {
        let url = self.url().await?;
        loop {
            let cursor = self.list.cursor();
            let separator = if url.query().is_some() { '&' } else { '?' };
            let page = format!("{url}{separator}cursor={cursor}");
            let page = page.parse().map_err(|_| DiscoveryError::Url("revocation_feed_endpoint"))?;
            let feed: RevocationFeed = server_documents::get_json(
                &self.fetch,
                ServerDocument::RevocationFeed,
                page,
                Some(self.authorization()?),
                MAX_FEED_PAGE,
            )
            .await?;
            // A page that leads nowhere would be read for ever.
            if feed.more && feed.next == cursor {
                return Err(DiscoveryError::Malformed(ServerDocument::RevocationFeed));
            }
            self.list.apply(&feed, now);
            if !feed.more {
                return Ok(());
            }
        }
    }

    /// Returns the URL of the feed.
    async fn url(&self) -> Result<http::Uri, DiscoveryError> {
        let known = self.url.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(url) = known {
            return Ok(url);
        }
        let url = server_documents::feed_url(&self.issuer, &self.fetch).await?;
        self.keep_url(Some(url.clone()));
        Ok(url)
    }

    fn keep_url(&self, url: Option<http::Uri>) {
        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = url;
    }

    /// Returns the `Authorization` header: both parts form-encoded (RFC 6749 section 2.3.1).
    fn authorization(&self) -> Result<HeaderValue, DiscoveryError> {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let id: String = encoded(self.client_id.as_str());
        let secret: Zeroizing<String> = Zeroizing::new(encoded(self.client_secret.expose_secret()));
        let pair = Zeroizing::new(format!("{id}:{}", *secret));
        let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut value = HeaderValue::try_from(&*header).map_err(|error| {
            let document = ServerDocument::RevocationFeed;
            DiscoveryError::Fetch { document, error: FetchError::new(error) }
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Omits the credentials.
impl<F> fmt::Debug for FeedReader<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedReader")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("list", &self.list)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "feed_reader_tests.rs"]
mod tests;
