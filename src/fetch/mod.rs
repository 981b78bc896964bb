//! Requests to other servers: metadata, key sets and feeds that others publish.
//!
//! The crate fetches nothing by itself. What needs a document takes a [`Fetch`]: the host's own HTTP
//! client, or `Fetcher` (feature `fetch`), which keeps the rules below.
//!
//! # The rules of a fetch
//!
//! A URL that another party chose must not reach what only this host can reach: a metadata service, a
//! database, a router (server-side request forgery). An implementation
//!
//! * takes `https` alone, and refuses user information in the URL;
//! * checks the address that it connects to with an [`AddressPolicy`], after the name was resolved, and
//!   connects to that address. A host that is an IP literal is checked too: it passes by a resolver;
//! * follows no redirect, and uses no proxy of the environment;
//! * asks for no compression and undoes none;
//! * stops reading at the size that the caller gives, and ends at a deadline;
//! * has one request in flight for each URL.

mod address_policy;
#[cfg(feature = "fetch")]
mod fetcher;
#[cfg(feature = "fetch")]
mod in_flight;
#[cfg(feature = "fetch")]
mod resolver;

use std::error::Error as StdError;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use address_policy::{AddressPolicy, InvalidNetwork, is_public};
#[cfg(feature = "fetch")]
#[cfg_attr(docsrs, doc(cfg(feature = "fetch")))]
pub use fetcher::{Fetcher, FetcherBuilder, FetcherError};

/// An HTTP client that keeps the [rules of a fetch](self#the-rules-of-a-fetch).
///
/// ```
/// use grantor::fetch::{Fetch, FetchError};
/// use http::{Request, Response};
///
/// /// Answers from memory, for a test.
/// struct Canned(&'static str);
///
/// impl Fetch for Canned {
///     async fn fetch(
///         &self,
///         request: Request<Vec<u8>>,
///         max_bytes: usize,
///     ) -> Result<Response<Vec<u8>>, FetchError> {
///         if self.0.len() > max_bytes {
///             return Err(FetchError::TooLarge(max_bytes));
///         }
///         let answer = Response::builder().header("content-type", "application/json");
///         answer.body(self.0.into()).map_err(FetchError::new)
///     }
/// }
/// ```
pub trait Fetch: Send + Sync {
    /// Sends `request`, and returns the response of any status, with its whole body of at most `max_bytes`
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no such response, or if the rules forbid the request.
    ///
    /// # Contract
    ///
    /// The future keeps the [rules](self#the-rules-of-a-fetch). It ends at a deadline of its own: callers
    /// wait for it without a timer.
    fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
        max_bytes: usize,
    ) -> impl Future<Output = Result<http::Response<Vec<u8>>, FetchError>> + Send;
}

impl<F: Fetch + ?Sized> Fetch for Arc<F> {
    fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
        max_bytes: usize,
    ) -> impl Future<Output = Result<http::Response<Vec<u8>>, FetchError>> + Send {
        F::fetch(self, request, max_bytes)
    }
}

/// A request without a complete response, or one that the rules forbid.
///
/// `Display` names the cause. No text holds a header or a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL may not be fetched, for example because it is not `https`.
    #[error("the URL may not be fetched: {0}")]
    Url(&'static str),
    /// The [`AddressPolicy`] does not allow the address of the host.
    #[error("the host has the address {0}, which the address policy does not allow")]
    Address(IpAddr),
    /// The body is larger than this number of bytes. The rest was not read.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// There was no complete response within this time.
    #[error("no complete response came within {0:?}")]
    Deadline(Duration),
    /// The host is not reachable, or the exchange with it failed.
    #[error("the request failed: {0}")]
    Failed(Box<dyn StdError + Send + Sync>),
}

impl FetchError {
    /// Wraps the error of an HTTP client.
    pub fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }
}

/// The future of a [`DynFetch`].
type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, FetchError>> + Send + 'a>>;

/// A [`Fetch`] of any type, for values that are not generic over it.
pub(crate) trait DynFetch: Send + Sync {
    fn fetch_boxed(&self, request: http::Request<Vec<u8>>, max_bytes: usize) -> Fetching<'_>;
}

impl<F: Fetch> DynFetch for F {
    fn fetch_boxed(&self, request: http::Request<Vec<u8>>, max_bytes: usize) -> Fetching<'_> {
        Box::pin(self.fetch(request, max_bytes))
    }
}
