//! Several issuers in one process, by host and path.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::request::Parts;
use http::uri::Authority;
use http::{Request, Response, header};

use super::request::InvalidHttpRequest;
use super::{HttpEndpoints, Interaction, NoInteraction};
use crate::hooks::{Hooks, NoHooks};
use crate::ids::Issuer;
use crate::protocol::paths::{ServerEndpoint, origin};
use crate::server::AuthorizationServer;
use crate::store::Store;
use crate::users::UserDirectory;

/// The endpoints of several issuers, chosen by the host and the path of a request.
///
/// An issuer `https://example.com/tenant-a` has its endpoints below `/tenant-a` and its metadata at
/// `/.well-known/oauth-authorization-server/tenant-a` (RFC 8414 section 3.1), all of them at the host
/// `example.com` only. A request for another host or path has no answer here, which is the same for a tenant
/// that does not exist.
///
/// * The host is the authority of the URI, which HTTP/2 sends as `:authority`, or else the `Host` header.
///   `X-Forwarded-Host` and `Forwarded` are ignored: a proxy must pass on the host that the client asked for.
///   Case does not matter, nor do the ports 443 and 80.
/// * A request with no host, with two, with user information or with a malformed port gets status 400.
/// * A path is compared byte by byte.
///
/// Issuers may be added and removed while requests are answered. The spans of their requests name the issuer;
/// metrics do so if [`with_issuer_label`](HttpEndpoints::with_issuer_label) says so, and are otherwise summed
/// by [`MetricsText`](crate::observe::MetricsText).
///
/// ```
/// use std::sync::Arc;
///
/// use grantor::http::{HttpEndpoints, Issuers};
/// # use grantor::{AuthorizationServer, Issuer, MemoryStore, ServerSecret, SigningKey};
/// # use grantor::jwt::{Algorithm, KeyRing};
/// # use grantor::users::MemoryUsers;
///
/// # pollster::block_on(async {
/// # let root = *b"the thirty-two bytes of a secret";
/// let keys = KeyRing::from(SigningKey::generate(Algorithm::ES256)?);
/// let issuers = Issuers::new();
/// for tenant in ["tenant-a", "tenant-b"] {
///     let issuer = Issuer::new(format!("https://example.com/{tenant}"))?;
///     // One secret and one key ring serve all: what one issuer has sealed does not open at another.
///     let secret = ServerSecret::new(&root)?;
///     let (store, users) = (MemoryStore::new(), MemoryUsers::default());
///     let server = AuthorizationServer::builder(issuer, secret, keys.clone(), store, users);
///     issuers.insert(HttpEndpoints::without_interaction(Arc::new(server.build())))?;
/// }
/// let request = http::Request::get("/tenant-b/oauth/jwks").header("host", "example.com").body("")?;
/// assert_eq!(issuers.handle(request).await.ok_or("no such path")?.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Issuers<S, U, H = NoHooks, I = NoInteraction> {
    routes: RwLock<Routes<S, U, H, I>>,
}

type Endpoints<S, U, H, I> = Arc<HttpEndpoints<S, U, H, I>>;
/// An endpoint of one issuer.
type Route<S, U, H, I> = (Endpoints<S, U, H, I>, ServerEndpoint);
/// The paths of one host.
type Paths<S, U, H, I> = HashMap<String, Route<S, U, H, I>>;

struct Routes<S, U, H, I> {
    by_issuer: BTreeMap<Issuer, Endpoints<S, U, H, I>>,
    by_host: HashMap<String, Paths<S, U, H, I>>,
}

/// An issuer cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerConflict {
    /// The issuer is there.
    #[error("the issuer is there already")]
    SameIssuer,
    /// Another issuer answers one of its paths.
    #[error(
        "another issuer at this host has the path {path}: give one of them other paths, or leave the \
         endpoint out"
    )]
    SamePath {
        /// The path.
        path: String,
    },
}

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> Issuers<S, U, H, I> {
    /// Returns no issuers yet.
    #[must_use]
    pub fn new() -> Self {
        let routes = Routes { by_issuer: BTreeMap::new(), by_host: HashMap::new() };
        Self { routes: RwLock::new(routes) }
    }

    /// Adds an issuer at the host of its identifier, and returns its endpoints. It costs no more if there are
    /// many.
    ///
    /// # Errors
    ///
    /// [`IssuerConflict`], and nothing has changed. Two issuers at one host conflict if they describe the same
    /// API ([`ServerEndpoint::ResourceMetadata`]).
    pub fn insert(
        &self,
        endpoints: HttpEndpoints<S, U, H, I>,
    ) -> Result<Arc<HttpEndpoints<S, U, H, I>>, IssuerConflict> {
        let endpoints = Arc::new(endpoints.naming_issuer());
        let issuer = endpoints.server().issuer();
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        if routes.by_issuer.contains_key(issuer) {
            return Err(IssuerConflict::SameIssuer);
        }
        let host = host_of_issuer(issuer);
        let is_taken = |path: &str| {
            routes.by_host.get(&host).is_some_and(|at_host| at_host.contains_key(path))
        };
        if let Some((path, _)) = endpoints.routes().find(|(path, _)| is_taken(path)) {
            return Err(IssuerConflict::SamePath { path: path.to_owned() });
        }
        let at_host = routes.by_host.entry(host).or_default();
        let own = endpoints.routes();
        at_host.extend(own.map(|(path, it)| (path.to_owned(), (Arc::clone(&endpoints), it))));
        routes.by_issuer.insert(issuer.clone(), Arc::clone(&endpoints));
        Ok(endpoints)
    }

    /// Removes an issuer, and returns its endpoints. Requests under way are answered.
    pub fn remove(&self, issuer: &Issuer) -> Option<Arc<HttpEndpoints<S, U, H, I>>> {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let endpoints = routes.by_issuer.remove(issuer)?;
        let host = host_of_issuer(issuer);
        if let Some(at_host) = routes.by_host.get_mut(&host) {
            for (path, _) in endpoints.routes() {
                at_host.remove(path);
            }
            if at_host.is_empty() {
                routes.by_host.remove(&host);
            }
        }
        Some(endpoints)
    }

    /// Returns the endpoints of an issuer.
    pub fn find(&self, issuer: &Issuer) -> Option<Arc<HttpEndpoints<S, U, H, I>>> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.by_issuer.get(issuer).map(Arc::clone)
    }

    /// Returns the endpoints of all issuers, in the order of their identifiers.
    pub fn all(&self) -> Vec<Arc<HttpEndpoints<S, U, H, I>>> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.by_issuer.values().map(Arc::clone).collect()
    }

    /// Returns the servers of all issuers, for [`Upkeep::with_issuers`](crate::Upkeep::with_issuers).
    pub fn servers(&self) -> Vec<Arc<AuthorizationServer<S, U, H>>> {
        self.all().iter().map(|endpoints| endpoints.shared_server()).collect()
    }

    /// Answers `request`, or returns `None` if no issuer has its path at its host. The body and the extensions
    /// are as for [`HttpEndpoints::handle`].
    pub async fn handle<B>(&self, request: Request<B>) -> Option<Response<Vec<u8>>>
    where
        B: AsRef<[u8]> + Send,
    {
        let (parts, body) = request.into_parts();
        match self.route(&parts) {
            Ok(Some((endpoints, endpoint))) => {
                Some(endpoints.answer(endpoint, Request::from_parts(parts, body)).await)
            }
            Ok(None) => None,
            Err(refused) => Some(refused.into_answer()),
        }
    }

    /// Returns the endpoint for a request.
    pub(super) fn route(
        &self,
        parts: &Parts,
    ) -> Result<Option<Route<S, U, H, I>>, InvalidHttpRequest> {
        let host = host_of_request(parts).ok_or(InvalidHttpRequest::NO_HOST)?;
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let found = routes.by_host.get(&host).and_then(|paths| paths.get(parts.uri.path()));
        Ok(found.map(|(endpoints, endpoint)| (Arc::clone(endpoints), *endpoint)))
    }
}

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> Default for Issuers<S, U, H, I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, U, H, I> fmt::Debug for Issuers<S, U, H, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("Issuers").field(&routes.by_issuer.keys().collect::<Vec<_>>()).finish()
    }
}

fn host_of_issuer(issuer: &Issuer) -> String {
    let (_, authority) = origin(issuer.as_str()).split_once("://").unwrap_or_default();
    // An issuer is a URL with a host.
    normalized(authority).unwrap_or_default()
}

/// Returns the host that a request names, unless it names none or several.
fn host_of_request(parts: &Parts) -> Option<String> {
    let mut headers = parts.headers.get_all(header::HOST).iter();
    let header = match (headers.next(), headers.next()) {
        (Some(header), None) => Some(normalized(header.to_str().ok()?)?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    let uri = match parts.uri.authority() {
        Some(authority) => Some(normalized(authority.as_str())?),
        None => None,
    };
    match (uri, header) {
        (Some(uri), Some(header)) => Some(uri).filter(|uri| *uri == header),
        (uri, header) => uri.or(header),
    }
}

/// Returns an authority in lower case, with its port unless that is 443 or 80.
fn normalized(text: &str) -> Option<String> {
    let authority: Authority = text.parse().ok()?;
    let host = authority.host().to_ascii_lowercase();
    // A port may follow the host, and nothing precedes it.
    let rest = text.get(host.len()..)?;
    let is_plain = text.get(..host.len())?.eq_ignore_ascii_case(&host) && !host.is_empty();
    match rest.strip_prefix(':') {
        None if is_plain && rest.is_empty() => Some(host),
        Some(port) if is_plain && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = port.parse().ok()?;
            Some(if matches!(port, 443 | 80) { host } else { format!("{host}:{port}") })
        }
        None | Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(uri: &str, headers: &[&str]) -> Option<String> {
        let request = headers.iter().fold(Request::get(uri), |it, host| it.header("host", *host));
        host_of_request(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_request_names_one_host_in_one_spelling() {
        for (uri, headers, expected) in [
            ("/a", &["example.com"][..], "example.com"),
            ("/a", &["EXAMPLE.com:443"], "example.com"),
            ("/a", &["example.com:080"], "example.com"),
            ("/a", &["example.com:8443"], "example.com:8443"),
            ("/a", &["[::1]:8080"], "[::1]:8080"),
            ("https://example.com/a", &[], "example.com"),
            ("https://Example.com:443/a", &["example.com"], "example.com"),
        ] {
            assert_eq!(host(uri, headers).as_deref(), Some(expected), "{uri} {headers:?}");
        }
    }

    #[test]
    fn a_request_without_one_host_is_ambiguous() {
        for (uri, headers) in [
            ("/a", &[][..]),
            ("/a", &["example.com", "example.com"]),
            ("/a", &["example.com", "other.example"]),
            ("https://example.com/a", &["other.example"]),
            ("https://ann@example.com/a", &[]),
            ("/a", &["ann@example.com"]),
            ("/a", &["ann:b@example.com:443"]),
            ("/a", &["example.com@"]),
            ("/a", &["example.com:"]),
            ("/a", &["example.com:+443"]),
            ("/a", &["example.com:99999"]),
            ("/a", &["example.com:443:443"]),
            ("/a", &["example.com, other.example"]),
            ("/a", &["example.com/other"]),
            ("/a", &["https://example.com"]),
            ("/a", &[""]),
            ("/a", &[":443"]),
        ] {
            assert_eq!(host(uri, headers), None, "{uri} {headers:?}");
        }
    }

    #[test]
    fn the_host_of_an_issuer_is_that_of_its_requests() {
        for (issuer, host) in [
            ("https://Example.com/Tenant", "example.com"),
            ("https://example.com:443", "example.com"),
            ("http://127.0.0.1:8089/a", "127.0.0.1:8089"),
            ("http://[::1]/a", "[::1]"),
        ] {
            assert_eq!(host_of_issuer(&Issuer::new(issuer).unwrap()), host);
        }
    }
}
