//! The ready-made client.

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::time::timeout;
use url::{Host, Url};

use super::in_flight::InFlight;
use super::resolver::{self, CheckedResolver, LookUp, RefusedAddress};
use super::{AddressPolicy, Fetch, FetchError, InvalidNetwork};

const USER_AGENT: &str = concat!("grantor/", env!("CARGO_PKG_VERSION"));

/// A [`Fetch`] that keeps the [rules](super#the-rules-of-a-fetch): `https` to public addresses, with the
/// certificate authorities that the system trusts.
///
/// It runs on a tokio runtime with I/O and time. Share one `Arc` of it: connections stay open between
/// requests, and the rule of one request per URL holds within one fetcher.
///
/// ```
/// use std::time::Duration;
/// use grantor::fetch::Fetcher;
///
/// let fetcher = Fetcher::new()?;
/// // An authorization server in a private network, and a shorter deadline.
/// let fetcher = Fetcher::builder()
///     .allow_network("10.20.0.0/16")?
///     .deadline(Duration::from_secs(2))
///     .build()?;
/// # let _ = fetcher;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fetcher {
    https: Route,
    plain: Option<Route>,
    deadline: Duration,
    in_flight: InFlight,
}

/// A client whose resolver has the same policy.
struct Route {
    client: Client,
    policy: AddressPolicy,
}

/// A [`Fetcher`] that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetcherError {
    /// The text has no PEM certificate, or one that cannot be an authority.
    #[error("the text is not PEM with certificates of authorities")]
    RootCertificates,
    /// TLS cannot be set up, for example because the system has no certificate authorities.
    #[error("TLS cannot be set up (authorities may be given with `root_certificates`): {0}")]
    Tls(String),
}

/// The settings of a [`Fetcher`].
#[must_use = "these settings do nothing until a fetcher is built"]
pub struct FetcherBuilder {
    policy: AddressPolicy,
    plain: Option<AddressPolicy>,
    deadline: Duration,
    roots: Option<RootCertStore>,
    look_up: LookUp,
}

impl Fetcher {
    /// The default deadline of a request.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

    /// Creates a fetcher for `https` and public addresses.
    ///
    /// # Errors
    ///
    /// [`FetcherError::Tls`] if the system has no certificate authorities.
    pub fn new() -> Result<Self, FetcherError> {
        Self::builder().build()
    }

    /// Starts with the settings of [`new`](Self::new).
    pub fn builder() -> FetcherBuilder {
        FetcherBuilder {
            policy: AddressPolicy::public(),
            plain: None,
            deadline: Self::DEFAULT_DEADLINE,
            roots: None,
            look_up: resolver::system(),
        }
    }

    /// Returns the URL and the route to it, if the rules allow both.
    fn route(&self, uri: &http::Uri) -> Result<(Url, &Route), FetchError> {
        // The client reads the URL the same way: 0x7f.1 is the address 127.0.0.1 for both.
        let url = Url::parse(&uri.to_string()).map_err(|_| FetchError::Url("it is malformed"))?;
        let route = match (url.scheme(), &self.plain) {
            ("https", _) => &self.https,
            ("http", Some(plain)) => plain,
            ("http", None) => return Err(FetchError::Url("its scheme is http, not https")),
            _ => return Err(FetchError::Url("its scheme is not https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Url("it contains user information"));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(FetchError::Url("it has no host")),
        };
        match literal.filter(|address| !route.policy.allows(*address)) {
            Some(refused) => Err(FetchError::Address(refused)),
            None => Ok((url, route)),
        }
    }
}

impl FetcherBuilder {
    /// Also allows `https` to the addresses of `network`, such as `10.20.0.0/16`.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`].
    pub fn allow_network(self, network: &str) -> Result<Self, InvalidNetwork> {
        Ok(Self { policy: self.policy.with_network(network)?, ..self })
    }

    /// Also allows `http` to the addresses of `network`, for example between containers (see
    /// [`Issuer::with_plain_http`](crate::Issuer::with_plain_http)).
    ///
    /// The price: on that network, every key, token and secret can be read and changed on its way.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`].
    pub fn allow_plain_http(self, network: &str) -> Result<Self, InvalidNetwork> {
        let plain = self.plain.unwrap_or(AddressPolicy::none()).with_network(network)?;
        Ok(Self { plain: Some(plain), ..self })
    }

    /// Also allows `http` to this machine, for tests and development.
    ///
    /// The price: a URL that another party chose reaches every port of this machine.
    pub fn allow_loopback_http(self) -> Self {
        let plain = self.plain.unwrap_or(AddressPolicy::none());
        Self { plain: Some(plain.with_loopback()), ..self }
    }

    /// Sets the time from the start of a request to the end of its response.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Trusts the authorities of a PEM text, and those of the system no longer.
    ///
    /// # Errors
    ///
    /// [`FetcherError::RootCertificates`].
    pub fn root_certificates(self, pem: &str) -> Result<Self, FetcherError> {
        let refused = |_| FetcherError::RootCertificates;
        let mut roots = RootCertStore::empty();
        for block in pem::parse_many(pem).map_err(refused)? {
            if block.tag() != "CERTIFICATE" {
                return Err(FetcherError::RootCertificates);
            }
            let refused = |_| FetcherError::RootCertificates;
            roots.add(block.into_contents().into()).map_err(refused)?;
        }
        if roots.is_empty() {
            return Err(FetcherError::RootCertificates);
        }
        Ok(Self { roots: Some(roots), ..self })
    }

    /// Builds the fetcher.
    ///
    /// # Errors
    ///
    /// [`FetcherError::Tls`] if the system has no certificate authorities and none were given.
    pub fn build(self) -> Result<Fetcher, FetcherError> {
        let tls = tls(self.roots).map_err(|error| FetcherError::Tls(error.to_string()))?;
        let route = |policy: AddressPolicy, https| {
            let look_up = Arc::clone(&self.look_up);
            let resolver = CheckedResolver { policy: policy.clone(), look_up };
            let client = client(tls.clone(), resolver, https);
            let client = client.map_err(|error| FetcherError::Tls(told(&error)))?;
            Ok(Route { client, policy })
        };
        Ok(Fetcher {
            https: route(self.policy, true)?,
            plain: self.plain.map(|policy| route(policy, false)).transpose()?,
            deadline: self.deadline,
            in_flight: InFlight::default(),
        })
    }

    /// Looks names up with `look_up` instead of the system.
    #[cfg(test)]
    fn look_up(self, look_up: LookUp) -> Self {
        Self { look_up, ..self }
    }
}

/// Returns a TLS configuration with a provider of its own. That of the process may be absent, or another
/// one than `ring`.
fn tls(roots: Option<RootCertStore>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config: ConfigBuilder<_, WantsClientCert> = match roots {
        Some(roots) => config.with_root_certificates(roots),
        None => config.with_platform_verifier()?,
    };
    Ok(config.with_no_client_auth())
}

/// Returns a client with each default set that another crate of the host could change by a feature of
/// `reqwest`.
fn client(tls: ClientConfig, resolver: CheckedResolver, https: bool) -> reqwest::Result<Client> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(https)
        .http1_only()
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .referer(false)
        .user_agent(USER_AGENT)
        .build()
}

impl Fetch for Fetcher {
    async fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
        max_bytes: usize,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        let (url, route) = self.route(request.uri())?;
        let name = url.as_str().to_owned();
        let sent = self.in_flight.alone(&name, send(&route.client, url, request, max_bytes));
        match timeout(self.deadline, sent).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchError::Deadline(self.deadline)),
        }
    }
}

/// Sends a request and reads its response, up to `max_bytes` of its body.
async fn send(
    client: &Client,
    url: Url,
    request: http::Request<Vec<u8>>,
    max_bytes: usize,
) -> Result<http::Response<Vec<u8>>, FetchError> {
    let (parts, body) = request.into_parts();
    let mut sent = reqwest::Request::new(parts.method, url);
    *sent.headers_mut() = parts.headers;
    if !body.is_empty() {
        *sent.body_mut() = Some(body.into());
    }
    let mut answer = client.execute(sent).await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if chunk.len() > max_bytes.saturating_sub(body.len()) {
            return Err(FetchError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = http::Response::new(body);
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// Returns the error of a request, without its URL, which the caller knows.
fn failed(error: reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(present) = cause {
        if let Some(RefusedAddress(address)) = present.downcast_ref() {
            return FetchError::Address(*address);
        }
        cause = present.source();
    }
    FetchError::new(told(&error.without_url()))
}

/// Returns an error with its causes, which often say more than the error.
fn told(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(present) = cause {
        text = format!("{text}: {present}");
        cause = present.source();
    }
    text
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("https", &self.https.policy)
            .field("plain", &self.plain.as_ref().map(|route| &route.policy))
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FetcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetcherBuilder")
            .field("policy", &self.policy)
            .field("plain", &self.plain)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "fetcher_tests.rs"]
mod tests;
