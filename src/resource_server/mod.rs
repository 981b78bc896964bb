//! The side of an API: checking access tokens, and that their scope allows the request.
//!
//! A [`BearerVerifier`] checks tokens where they arrive, with the public keys of the authorization
//! server and without asking it. What it cannot know by itself, whether a token was revoked since,
//! it learns through a [`RevocationList`] that follows the feed, or by asking the store where that
//! is at hand. With the [`EnforcementTable`] of a catalog the whole decision is one call:
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
//! // For each request: its method, its path and its `Authorization` header, as they arrived.
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
#[cfg(feature = "tower")]
mod layer;
pub(crate) mod resource;
mod revocation_list;
mod token_cache;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use axum::{Bearer, BearerRejection, Enforced, RequireScope, RequiredScope};
pub use challenge::{Challenge, Refusal};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use layer::{BearerFuture, BearerLayer, BearerService};
pub use resource::ResourceServer;
pub use revocation_list::{RevocationList, RevocationsUnknown};

use crate::catalog::{Enforcement, EnforcementTable};
use crate::clock::{Clock, SystemClock, UnixTime};
use crate::ids::{Issuer, Resource};
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::{AccessTokenClaims, VerifyingKeys};
use crate::protocol::scope::ScopeToken;
use crate::store::{AccessFacts, GrantStore};
use token_cache::TokenCache;

const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Where a request may hold a bearer token (RFC 6750 section 2).
///
/// Only the header is read: a token in a URL ends up in logs. An `Option<&str>` with the header's
/// value is such a request too.
#[derive(Clone, Copy, Default)]
pub struct BearerRequest<'a> {
    authorization: Option<&'a str>,
    elsewhere: bool,
}

impl<'a> BearerRequest<'a> {
    /// A request with this value of the `Authorization` header.
    #[must_use]
    pub const fn new(authorization: Option<&'a str>) -> Self {
        Self { authorization, elsewhere: false }
    }

    /// Says whether the request also holds a token in its query or its body (`access_token`), or a
    /// second `Authorization` header: such a request is refused.
    #[must_use]
    pub const fn with_token_elsewhere(mut self, elsewhere: bool) -> Self {
        self.elsewhere = elsewhere;
        self
    }

    fn token(self) -> Result<&'a str, Refusal> {
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

/// Checks the access tokens that one authorization server issues for one API.
///
/// A token seen before costs no signature: what it says is kept, and its times and whether it was
/// revoked are decided anew at each use. See the [module](self).
#[derive(Debug)]
pub struct BearerVerifier {
    issuer: Issuer,
    /// Where empty, the issuer itself.
    resources: Vec<Resource>,
    clock: Arc<dyn Clock>,
    clock_skew: Duration,
    metadata_url: Option<Box<str>>,
    enforcement: Option<EnforcementTable>,
    revocations: Option<Arc<RevocationList>>,
    /// Held for reading from before a token is verified until it is in the cache, so that no token
    /// verified under keys that were replaced gets there afterwards.
    keys: RwLock<VerifyingKeys>,
    cache: TokenCache,
}

impl BearerVerifier {
    /// How many tokens are kept unless [`with_cache`](Self::with_cache) says otherwise.
    pub const DEFAULT_CACHE: usize = 4096;

    /// Checks tokens of `issuer`, signed under one of `keys` and meant for the issuer itself.
    ///
    /// Without further settings it is the system's clock, from which the issuer's may differ by 5
    /// seconds; no request is mapped; and no revocation is known of.
    #[must_use]
    pub fn new(issuer: Issuer, keys: VerifyingKeys) -> Self {
        Self {
            issuer,
            resources: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            clock_skew: Duration::from_secs(5),
            metadata_url: None,
            enforcement: None,
            revocations: None,
            keys: RwLock::new(keys),
            cache: TokenCache::new(Self::DEFAULT_CACHE),
        }
    }

    /// Accepts tokens meant for `resource`, in place of the issuer; call it again for each further
    /// name of this API. The first is the `realm` of a challenge.
    #[must_use]
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets by how much the issuer's clock may differ: 0 to 60 seconds; more is taken as 60.
    #[must_use]
    pub fn with_clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = clock_skew.min(MAX_CLOCK_SKEW);
        self
    }

    /// Names the URL of the API's metadata in every challenge (RFC 9728 section 5.1), so that a client
    /// finds the authorization server. `url` is dropped if it holds a quote, a backslash or anything
    /// but printable ASCII.
    #[must_use]
    pub fn with_metadata_url(mut self, url: &str) -> Self {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        self.metadata_url = url.bytes().all(fits).then(|| url.into());
        self
    }

    /// Decides by this table which scope a request needs.
    #[must_use]
    pub fn with_enforcement(mut self, table: EnforcementTable) -> Self {
        self.enforcement = Some(table);
        self
    }

    /// Refuses what the list says was revoked, and everything while the list is closed.
    #[must_use]
    pub fn with_revocations(mut self, list: Arc<RevocationList>) -> Self {
        self.revocations = Some(list);
        self
    }

    /// Keeps up to `tokens` verified tokens, rounded up to a multiple of 8; 0 keeps none.
    ///
    /// One of 600 bytes takes about 1.2 KiB. With room for twice as many as are in use at a time,
    /// hardly one goes without a place.
    #[must_use]
    pub fn with_cache(mut self, tokens: usize) -> Self {
        self.cache = TokenCache::new(tokens);
        self
    }

    /// Puts other keys in place of the present ones, for instance after the JWK Set was read again.
    ///
    /// When it returns, no token is accepted under a key that is not among them. The same keys
    /// again change nothing; others empty the cache.
    pub fn replace_keys(&self, keys: VerifyingKeys) {
        let mut present = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if *present != keys {
            *present = keys;
            self.cache.clear();
        }
    }

    /// Checks the token of a request: issuer, signature, audience, times, and the list of
    /// revocations if there is one. Not its scope.
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

    /// [`check`](Self::check), and whether the scope allows this method on this path (as they
    /// arrived, the path without its query). Without a table nothing is allowed.
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

    /// [`check`](Self::check), and whether the store says that the token was revoked.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub async fn check_with<'a, S: GrantStore>(
        &self,
        store: &S,
        request: impl Into<BearerRequest<'a>> + Send,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        let claims = self.check(request)?;
        let refusal = match store.is_revoked(&AccessFacts::from(&*claims)).await {
            Ok(false) => return Ok(claims),
            Ok(true) => Refusal::Revoked,
            Err(error) => Refusal::Store(error),
        };
        Err(self.challenge(refusal))
    }

    /// [`authorize`](Self::authorize), and whether the store says that the token was revoked.
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

    /// Checks the token of `request` as [`check`](Self::check), and that its scope covers `required`,
    /// whatever the catalog says.
    ///
    /// # Errors
    ///
    /// [`Challenge`]: what to answer instead.
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
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
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
