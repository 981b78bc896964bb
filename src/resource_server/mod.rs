//! Access control for APIs: verification of access tokens and of their scopes.
//!
//! A [`BearerVerifier`] verifies tokens locally with the public keys of the authorization server.
//! In another process, [`BearerVerifier::discover`] has the keys from the issuer's URL. The verifier learns
//! of revocations from a [`RevocationList`] that follows the feed, with a [`FeedReader`] over HTTP, or from the
//! store if the API has access to it. With the [`EnforcementTable`] of a catalog, one call makes the whole
//! decision:
//!
//! ```
//! use grantor::catalog::ApiCatalog;
//! use grantor::ids::{Issuer, Resource};
//! use grantor::jwt::VerifyingKeys;
//! use grantor::resource_server::BearerVerifier;
//!
//! let catalog: ApiCatalog = serde_json::from_str(
//!     r#"{ "endpoints": [{ "method": "GET", "path": "/users/{id}", "scope": "GET/users/*" }] }"#,
//! )?;
//! # let jwk_set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026",
//! #     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//! let keys = VerifyingKeys::from_jwk_set(jwk_set)?;
//! let issuer = Issuer::new("https://as.example.com")?;
//! let verifier = BearerVerifier::new(issuer, keys)
//!     .with_resource(Resource::new("https://api.example.com")?)
//!     .with_enforcement(catalog.compile()?);
//!
//! // For each request: the method, path and `Authorization` header as received.
//! let challenge = verifier.authorize("GET", "/users/42", Some("Bearer garbage")).unwrap_err();
//! assert_eq!(challenge.status(), 401);
//! assert_eq!(
//!     challenge.www_authenticate().as_deref(),
//!     Some(
//!         "Bearer realm=\"https://api.example.com\", error=\"invalid_token\", \
//!          error_description=\"the token is not a JWT\""
//!     ),
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "axum")]
mod axum;
mod challenge;
mod feed_reader;
mod keys;
#[cfg(feature = "tower")]
mod layer;
mod remote_keys;
pub(crate) mod resource;
mod revocation_list;
mod server_documents;
mod token_cache;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::header::{self, HeaderMap};

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use axum::{Bearer, BearerRejection, Enforced, RequireScope, RequiredScope};
pub use challenge::{Challenge, Refusal};
pub use feed_reader::FeedReader;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use layer::{BearerFuture, BearerLayer, BearerService};
pub use resource::ResourceServer;
pub use revocation_list::{RevocationList, RevocationsUnknown};
pub use server_documents::{DiscoveryError, ServerDocument};

use crate::catalog::{Enforcement, EnforcementTable};
use crate::clock::{Clock, SystemClock, UnixTime};
use crate::ids::{Issuer, Resource};
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::{AccessTokenClaims, KeyRing, VerifyingKeys};
use crate::protocol::scope::ScopeToken;
use crate::store::{AccessFacts, GrantStore};
use keys::Keys;
use remote_keys::RemoteKeys;
use token_cache::TokenCache;

const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// The places of a request that may hold a bearer token (RFC 6750 section 2).
///
/// Only the header is read, because tokens in URLs end up in logs. An `Option<&str>` with the
/// header's value converts into a request.
#[derive(Clone, Copy, Default)]
pub struct BearerRequest<'a> {
    authorization: Option<&'a str>,
    elsewhere: bool,
}

impl<'a> BearerRequest<'a> {
    /// Creates a request with this value of the `Authorization` header.
    #[must_use]
    pub const fn new(authorization: Option<&'a str>) -> Self {
        Self { authorization, elsewhere: false }
    }

    /// Reads the `Authorization` header of a request, and whether it has another one or a token in its URL.
    #[must_use]
    pub fn of(headers: &'a HeaderMap, uri: &Uri) -> Self {
        let mut found = headers.get_all(header::AUTHORIZATION).iter();
        let header = found.next().and_then(|value| value.to_str().ok());
        let parameters = uri.query().unwrap_or_default().split('&');
        let in_url =
            parameters.filter_map(|pair| pair.split('=').next()).any(|it| it == "access_token");
        Self::new(header).with_token_elsewhere(in_url || found.next().is_some())
    }

    /// Sets whether the request also has a token in its query or body (`access_token`) or a second
    /// `Authorization` header. Such a request is refused.
    #[must_use]
    pub const fn with_token_elsewhere(mut self, elsewhere: bool) -> Self {
        self.elsewhere = elsewhere;
        self
    }

    pub(crate) fn token(self) -> Result<&'a str, Refusal> {
        let header = self.authorization.ok_or(Refusal::NoToken)?;
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(Refusal::NoToken);
        }
        if self.elsewhere {
            return Err(Refusal::TokenTwice);
        }
        match token.trim_matches(' ') {
            "" => Err(Refusal::EmptyToken),
            token => Ok(token),
        }
    }
}

impl<'a> From<Option<&'a str>> for BearerRequest<'a> {
    fn from(authorization: Option<&'a str>) -> Self {
        Self::new(authorization)
    }
}

impl fmt::Debug for BearerRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerRequest")
            .field("has_authorization", &self.authorization.is_some())
            .field("elsewhere", &self.elsewhere)
            .finish()
    }
}

/// A verifier of the access tokens that one authorization server issues for one API.
///
/// Verified tokens are cached, so that a repeated token costs no signature check. Expiry and
/// revocation are checked at each use. See the [module](self).
#[doc(alias = "access_token")]
#[derive(Debug)]
pub struct BearerVerifier {
    issuer: Issuer,
    /// Empty means the issuer itself.
    resources: Vec<Resource>,
    clock: Arc<dyn Clock>,
    clock_skew: Duration,
    metadata_url: Option<Box<str>>,
    enforcement: Option<EnforcementTable>,
    revocations: Option<Arc<RevocationList>>,
    keys: Keys,
    remote: Option<RemoteKeys>,
    cache: TokenCache,
}

impl BearerVerifier {
    /// The default capacity of the cache, in tokens.
    pub const DEFAULT_CACHE: usize = 4096;

    /// Creates a verifier of tokens from `issuer`, signed with one of `keys`, with the issuer as
    /// the audience.
    ///
    /// By default it uses the system clock with a skew of 5 seconds, has no catalog, which leaves
    /// every request unmapped, and knows no revocations.
    #[must_use]
    pub fn new(issuer: Issuer, keys: VerifyingKeys) -> Self {
        Self::with_keys(issuer, Keys::given(keys))
    }

    /// Creates a verifier of tokens from the server in this process that has the name `issuer` and the
    /// keys of `ring` ([`AuthorizationServer::key_ring`]). Other settings are as for [`new`](Self::new).
    ///
    /// It follows the ring without a call. When [`KeyRing::replace`] returns, no token is accepted under a
    /// removed key, cached or not, and each new key verifies. While nothing changes, this costs a check a
    /// few loads of atomics.
    ///
    /// [`AuthorizationServer::key_ring`]: crate::AuthorizationServer::key_ring
    ///
    /// ```
    /// use grantor::Issuer;
    /// use grantor::jwt::{Algorithm, KeyRing, SigningKey};
    /// use grantor::resource_server::BearerVerifier;
    ///
    /// let ring = KeyRing::from(SigningKey::generate(Algorithm::ES256)?);
    /// let api = BearerVerifier::following(Issuer::new("https://as.example.com")?, &ring);
    /// ring.replace(vec![SigningKey::generate(Algorithm::ES256)?.into()])?;
    /// # let _ = api;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn following(issuer: Issuer, ring: &KeyRing) -> Self {
        Self::with_keys(issuer, Keys::of_ring(ring.clone()))
    }

    fn with_keys(issuer: Issuer, keys: Keys) -> Self {
        Self {
            issuer,
            resources: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            clock_skew: Duration::from_secs(5),
            metadata_url: None,
            enforcement: None,
            revocations: None,
            keys,
            remote: None,
            cache: TokenCache::new(Self::DEFAULT_CACHE),
        }
    }

    /// Accepts tokens for `resource` instead of the issuer. Repeated calls add names of this API.
    /// The first one is the `realm` of challenges.
    #[must_use]
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        if let Some(remote) = &mut self.remote {
            remote.date(clock.now());
        }
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the tolerated clock skew of the issuer: 0 to 60 seconds. Larger values mean 60.
    #[must_use]
    pub fn with_clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = clock_skew.min(MAX_CLOCK_SKEW);
        self
    }

    /// Sets the URL of the API's metadata, which challenges include (RFC 9728 section 5.1) so that
    /// a client finds the authorization server. A `url` with a quote, a backslash or anything but
    /// printable ASCII is ignored.
    #[must_use]
    pub fn with_metadata_url(mut self, url: &str) -> Self {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        self.metadata_url = url.bytes().all(fits).then(|| url.into());
        self
    }

    /// Sets the table that maps requests to scopes.
    #[must_use]
    pub fn with_enforcement(mut self, table: EnforcementTable) -> Self {
        self.enforcement = Some(table);
        self
    }

    /// Refuses revoked tokens, and every token while the list is closed.
    #[must_use]
    pub fn with_revocations(mut self, list: Arc<RevocationList>) -> Self {
        self.revocations = Some(list);
        self
    }

    /// Sets the capacity of the cache in tokens, rounded up to a multiple of 8. 0 disables the
    /// cache.
    ///
    /// A token of 600 bytes takes about 1.2 KiB. A capacity of twice the number of tokens in use
    /// leaves hardly any uncached.
    #[must_use]
    pub fn with_cache(mut self, tokens: usize) -> Self {
        self.cache = TokenCache::new(tokens);
        self
    }

    /// Replaces the keys, for example after the JWK Set was fetched again.
    ///
    /// When it returns, no token is accepted under a removed key. A removed key empties the cache.
    ///
    /// A verifier that [follows](Self::following) a ring has the keys of the ring, and the call is a no-op.
    pub fn replace_keys(&self, keys: VerifyingKeys) {
        self.keys.replace(keys, &self.cache);
    }

    /// Checks the issuer, signature, audience, times and revocation of the request's token, but not
    /// its scope.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub fn check<'a>(
        &self,
        request: impl Into<BearerRequest<'a>>,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        self.checked(request.into()).map_err(|refusal| self.challenge(refusal))
    }

    /// Performs [`check`](Self::check), and checks that the scope allows this method and path, as the
    /// client sent it and without the query. Without a table nothing is allowed.
    ///
    /// A path that a router or proxy has shortened or decoded leads to the scope of another one.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub fn authorize<'a>(
        &self,
        method: &str,
        path: &str,
        request: impl Into<BearerRequest<'a>>,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        let allowed = self.checked(request.into()).and_then(|claims| {
            self.enforce(method, path, &claims)?;
            Ok(claims)
        });
        allowed.map_err(|refusal| self.challenge(refusal))
    }

    /// Performs [`check`](Self::check), and asks the store whether the token was revoked.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub async fn check_with<'a, S: GrantStore>(
        &self,
        store: &S,
        request: impl Into<BearerRequest<'a>> + Send,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        let request = request.into();
        let claims = self.check_again(|| self.check(request)).await?;
        let refusal = match store.is_revoked(&AccessFacts::from(&*claims)).await {
            Ok(false) => return Ok(claims),
            Ok(true) => Refusal::Revoked,
            Err(error) => Refusal::Store(error),
        };
        Err(self.challenge(refusal))
    }

    /// Performs [`authorize`](Self::authorize), and asks the store whether the token was revoked.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub async fn authorize_with<'a, S: GrantStore>(
        &self,
        store: &S,
        method: &str,
        path: &str,
        request: impl Into<BearerRequest<'a>> + Send,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        let claims = self.check_with(store, request).await?;
        self.enforce(method, path, &claims).map_err(|refusal| self.challenge(refusal))?;
        Ok(claims)
    }

    /// Performs [`check`](Self::check), and checks that the scope covers `required`, without the
    /// catalog.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub fn require_scope<'a>(
        &self,
        required: &ScopeToken,
        request: impl Into<BearerRequest<'a>>,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        let claims = self.check(request)?;
        if claims.scope.covers_token(required) {
            return Ok(claims);
        }
        Err(self.challenge(Refusal::InsufficientScope { missing: required.clone() }))
    }

    fn checked(&self, request: BearerRequest<'_>) -> Result<Arc<AccessTokenClaims>, Refusal> {
        let token = request.token()?;
        let now = self.clock.now();
        self.keys.follow(now, &self.cache);
        if let Some(remote) = &self.remote {
            remote.check_age(now)?;
        }
        let claims = match self.cache.get(token) {
            Some(claims) => {
                claims.check_times(now, self.clock_skew).map_err(Refusal::Token)?;
                claims
            }
            None => self.verify(token, now)?,
        };
        if let Some(list) = &self.revocations {
            let revoked = list.is_revoked(&AccessFacts::from(&*claims), now);
            if revoked.map_err(Refusal::RevocationsUnknown)? {
                return Err(Refusal::Revoked);
            }
        }
        Ok(claims)
    }

    fn verify(&self, token: &str, now: UnixTime) -> Result<Arc<AccessTokenClaims>, Refusal> {
        let mut audiences: Vec<&str> = self.resources.iter().map(Resource::as_str).collect();
        if audiences.is_empty() {
            audiences.push(self.issuer.as_str());
        }
        let keys = self.keys.read();
        let rules = AccessTokenRules {
            keys: &keys,
            issuer: &self.issuer,
            audiences: Some(&audiences),
            clock_skew: self.clock_skew,
        };
        let claims = Arc::new(rules.verify(token, now).map_err(Refusal::Token)?);
        self.cache.insert(token, &claims, now);
        Ok(claims)
    }

    fn enforce(&self, method: &str, path: &str, claims: &AccessTokenClaims) -> Result<(), Refusal> {
        let table = self.enforcement.as_ref().ok_or(Refusal::Unmapped)?;
        match table.decide(method, path, &claims.scope) {
            Enforcement::Allow => Ok(()),
            Enforcement::Insufficient { missing } => {
                Err(Refusal::InsufficientScope { missing: missing.clone() })
            }
            Enforcement::Unmapped => Err(Refusal::Unmapped),
        }
    }

    fn challenge(&self, refusal: Refusal) -> Challenge {
        let realm = self.resources.first().map_or(self.issuer.as_str(), Resource::as_str);
        Challenge::new(refusal, realm, self.metadata_url.as_deref())
    }
}

#[cfg(test)]
mod tests;
