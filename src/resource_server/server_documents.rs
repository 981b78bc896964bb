//! The documents that an authorization server publishes, fetched and checked.

use std::fmt;

use http::header::{self, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fetch::{DynFetch, FetchError};
use crate::ids::Issuer;
use crate::jwt::{KeyError, VerifyingKeys};
use crate::protocol::paths::{Paths, ServerEndpoint};

/// The largest metadata document. A catalog with thousands of scopes fits.
pub(super) const MAX_METADATA: usize = 256 * 1024;
/// The largest JWK Set, as everywhere.
pub(super) const MAX_JWK_SET: usize = 64 * 1024;
/// The largest page of the revocation feed: a thousand entries with the longest names.
pub(super) const MAX_FEED_PAGE: usize = 2 * 1024 * 1024;

/// A document of an authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerDocument {
    /// Its metadata (RFC 8414).
    Metadata,
    /// Its public keys (RFC 7517 section 5).
    JwkSet,
    /// A page of its revocation feed.
    RevocationFeed,
}

impl fmt::Display for ServerDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "metadata",
            Self::JwkSet => "JWK Set",
            Self::RevocationFeed => "revocation feed",
        })
    }
}

/// A document of the authorization server that a resource server cannot use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// It cannot be fetched.
    #[error("the server's {document} cannot be fetched: {error}")]
    Fetch {
        /// The document.
        document: ServerDocument,
        /// The cause.
        error: FetchError,
    },
    /// The status is not 200. A redirect is not followed.
    #[error("the server's {document} came with status {status}, not 200{}", advice(*document, *status))]
    Status {
        /// The document.
        document: ServerDocument,
        /// The status of the response.
        status: u16,
    },
    /// The `Content-Type` is not `application/json` or `application/…+json`.
    #[error("the server's {0} has a content type other than JSON")]
    ContentType(ServerDocument),
    /// The document is not the expected JSON.
    #[error("the server's {0} is malformed JSON, or has members of a wrong type")]
    Malformed(ServerDocument),
    /// The metadata state another `issuer` (RFC 8414 section 3.3), for example one with another host name for
    /// the same machine, or without a `/` at the end.
    #[error("the metadata state another `issuer`: the two must be equal byte for byte")]
    Issuer,
    /// The metadata lack a member.
    #[error("the metadata have no `{0}`")]
    Missing(&'static str),
    /// A URL of the metadata is malformed, or is not `https` although the issuer is.
    #[error("`{0}` of the metadata is not a URL with the scheme of the issuer")]
    Url(&'static str),
    /// The JWK Set is malformed, or holds a secret, too many keys or no usable key.
    #[error("the server's JWK Set is not usable: {0}")]
    Keys(KeyError),
}

/// Returns what to check, as the end of the text of an error.
fn advice(document: ServerDocument, status: u16) -> &'static str {
    match (document, status) {
        (ServerDocument::RevocationFeed, 401) => {
            ": check the client id and the secret of this API's app"
        }
        (ServerDocument::RevocationFeed, 400) => {
            ": check that the authorization server has a `ResourceServer` for this API's app"
        }
        (ServerDocument::Metadata, 404) => ": check the issuer's URL",
        _ => "",
    }
}

/// The members of the metadata that a resource server reads.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
    revocation_feed_endpoint: Option<String>,
}

/// Fetches the keys of `issuer`: its metadata, then the JWK Set that they name.
pub(super) async fn keys(
    issuer: &Issuer,
    fetch: &dyn DynFetch,
) -> Result<VerifyingKeys, DiscoveryError> {
    let metadata = metadata(issuer, fetch).await?;
    let url = url_of(issuer, "jwks_uri", metadata.jwks_uri)?;
    let body = get(fetch, ServerDocument::JwkSet, url, None, MAX_JWK_SET).await?;
    let json = std::str::from_utf8(&body).map_err(|_| DiscoveryError::Keys(KeyError::Malformed))?;
    VerifyingKeys::from_jwk_set(json).map_err(DiscoveryError::Keys)
}

/// Fetches the URL of the revocation feed of `issuer`.
pub(super) async fn feed_url(
    issuer: &Issuer,
    fetch: &dyn DynFetch,
) -> Result<http::Uri, DiscoveryError> {
    let metadata = metadata(issuer, fetch).await?;
    url_of(issuer, "revocation_feed_endpoint", metadata.revocation_feed_endpoint)
}

async fn metadata(issuer: &Issuer, fetch: &dyn DynFetch) -> Result<Metadata, DiscoveryError> {
    let url = Paths::default().url(issuer, ServerEndpoint::Metadata);
    let url = url_of(issuer, "issuer", url)?;
    let metadata: Metadata =
        get_json(fetch, ServerDocument::Metadata, url, None, MAX_METADATA).await?;
    // A server that could name another issuer could stand in for it (RFC 8414 section 6.2).
    if metadata.issuer != issuer.as_str() {
        return Err(DiscoveryError::Issuer);
    }
    Ok(metadata)
}

/// Parses a URL of the metadata. That of an `https` issuer is `https`.
fn url_of(
    issuer: &Issuer,
    member: &'static str,
    url: Option<String>,
) -> Result<http::Uri, DiscoveryError> {
    let url: http::Uri = url
        .ok_or(DiscoveryError::Missing(member))?
        .parse()
        .map_err(|_| DiscoveryError::Url(member))?;
    let is_plain = url.scheme_str() == Some("http") && issuer.as_str().starts_with("http:");
    if url.scheme_str() == Some("https") || is_plain {
        Ok(url)
    } else {
        Err(DiscoveryError::Url(member))
    }
}

/// Fetches a JSON document, with the `Authorization` header of a client if it needs one.
pub(super) async fn get_json<T: DeserializeOwned>(
    fetch: &dyn DynFetch,
    document: ServerDocument,
    url: http::Uri,
    authorization: Option<HeaderValue>,
    max_bytes: usize,
) -> Result<T, DiscoveryError> {
    let body = get(fetch, document, url, authorization, max_bytes).await?;
    serde_json::from_slice(&body).map_err(|_| DiscoveryError::Malformed(document))
}

async fn get(
    fetch: &dyn DynFetch,
    document: ServerDocument,
    url: http::Uri,
    authorization: Option<HeaderValue>,
    max_bytes: usize,
) -> Result<Vec<u8>, DiscoveryError> {
    let mut request = http::Request::new(Vec::new());
    *request.uri_mut() = url;
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    let answer = fetch.fetch_boxed(request, max_bytes).await;
    let answer = answer.map_err(|error| DiscoveryError::Fetch { document, error })?;
    if answer.status() != http::StatusCode::OK {
        return Err(DiscoveryError::Status { document, status: answer.status().as_u16() });
    }
    if !is_json(answer.headers()) {
        return Err(DiscoveryError::ContentType(document));
    }
    // A fetcher of the host may have read on.
    if answer.body().len() > max_bytes {
        let error = FetchError::TooLarge(max_bytes);
        return Err(DiscoveryError::Fetch { document, error });
    }
    Ok(answer.into_body())
}

/// Checks whether the content type is `application/json` or a JSON-based one, such as
/// `application/jwk-set+json`.
fn is_json(headers: &http::HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|it| it == "json" || it.ends_with("+json"))
}
