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
mod bearer_request;
mod challenge;
mod feed_reader;
mod keys;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "axum")]
mod mcp;
mod protected_resource;
mod remote_keys;
pub(crate) mod resource;
mod revocation_list;
mod server_documents;
mod token_cache;
mod verified_tokens;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use axum::{Bearer, BearerRejection, Enforced, RequireScope, RequiredScope};
pub use bearer_request::BearerRequest;
pub use challenge::{Challenge, Refusal};
pub use feed_reader::FeedReader;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use layer::{BearerFuture, BearerLayer, BearerService};
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use mcp::{MAX_MESSAGE_BYTES, McpLayer, McpService};
pub use protected_resource::ProtectedResource;
pub use resource::ResourceServer;
pub use revocation_list::{RevocationList, RevocationsUnknown};
pub use server_documents::{DiscoveryError, ServerDocument};

use crate::catalog::{Enforcement, EnforcementTable};
use crate::clock::{Clock, SystemClock};
use crate::ids::{Issuer, Resource};
use crate::jwt::access_token::AccessTokenRules;
use crate::jwt::{AccessTokenClaims, AccessTokenError, KeyRing, VerifyingKeys};
use crate::protocol::scope::Scope;
use crate::store::{AccessFacts, GrantStore};
use remote_keys::RemoteKeys;
pub(crate) use verified_tokens::VerifiedTokens;

const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

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
    remote: Option<RemoteKeys>,
    tokens: VerifiedTokens,
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
        Self::with_tokens(issuer, VerifiedTokens::given(keys, Self::DEFAULT_CACHE))
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
        Self::with_tokens(issuer, VerifiedTokens::following(ring.clone(), Self::DEFAULT_CACHE))
    }

    fn with_tokens(issuer: Issuer, tokens: VerifiedTokens) -> Self {
        Self {
            issuer,
            resources: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            clock_skew: Duration::from_secs(5),
            metadata_url: None,
            enforcement: None,
            revocations: None,
            remote: None,
            tokens,
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

    /// Accepts tokens for `resource`, and names its metadata in challenges: [`with_resource`](Self::with_resource) and
    /// [`with_metadata_url`](Self::with_metadata_url) in one. Both URLs are the public ones, and no header of a request
    /// or of a proxy changes them.
    #[must_use]
    pub fn with_protected_resource(self, resource: &ProtectedResource) -> Self {
        let verifier = self.with_resource(resource.identifier().clone());
        match resource.metadata_url() {
            Some(url) => verifier.with_metadata_url(&url),
            None => verifier,
        }
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
        self.tokens = self.tokens.with_capacity(tokens);
        self
    }

    /// Replaces the keys, for example after the JWK Set was fetched again.
    ///
    /// When it returns, no token is accepted under a removed key. A removed key empties the cache.
    ///
    /// A verifier that [follows](Self::following) a ring has the keys of the ring, and the call is a no-op.
    pub fn replace_keys(&self, keys: VerifyingKeys) {
        self.tokens.replace_keys(keys);
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

    /// Performs [`check`](Self::check), and checks that the scope covers every token of `required`, without the
    /// catalog. The challenge names all of them, also if the request has no valid token, so that a client needs one
    /// authorization request for the operation.
    ///
    /// # Errors
    ///
    /// The [`Challenge`] to answer with.
    pub fn require_scope<'a>(
        &self,
        required: &Scope,
        request: impl Into<BearerRequest<'a>>,
    ) -> Result<Arc<AccessTokenClaims>, Challenge> {
        let claims = self.check(request).map_err(|challenge| challenge.needing(required))?;
        self.check_scope(required, &claims)?;
        Ok(claims)
    }

    /// Checks that the scope of a verified token covers `required`.
    fn check_scope(&self, required: &Scope, claims: &AccessTokenClaims) -> Result<(), Challenge> {
        if claims.scope.covers(required) {
            return Ok(());
        }
        Err(self.challenge(Refusal::InsufficientScope { required: required.clone() }))
    }

    fn checked(&self, request: BearerRequest<'_>) -> Result<Arc<AccessTokenClaims>, Refusal> {
        let token = request.token()?;
        let now = self.clock.now();
        if let Some(remote) = &self.remote {
            remote.check_age(now)?;
        }
        let verify = |keys: &VerifyingKeys| self.verify(token, keys);
        let check = |claims: &AccessTokenClaims| claims.check_times(now, self.clock_skew);
        let claims = self.tokens.check(token, now, verify, check).map_err(Refusal::Token)?;
        if let Some(list) = &self.revocations {
            let revoked = list.is_revoked(&AccessFacts::from(&*claims), now);
            if revoked.map_err(Refusal::RevocationsUnknown)? {
                return Err(Refusal::Revoked);
            }
        }
        Ok(claims)
    }

    fn verify(
        &self,
        token: &str,
        keys: &VerifyingKeys,
    ) -> Result<AccessTokenClaims, AccessTokenError> {
        let mut audiences: Vec<&str> = self.resources.iter().map(Resource::as_str).collect();
        if audiences.is_empty() {
            audiences.push(self.issuer.as_str());
        }
        let rules = AccessTokenRules {
            keys,
            issuer: &self.issuer,
            audiences: Some(&audiences),
            clock_skew: self.clock_skew,
        };
        rules.verify_at_any_time(token)
    }

    fn enforce(&self, method: &str, path: &str, claims: &AccessTokenClaims) -> Result<(), Refusal> {
        let table = self.enforcement.as_ref().ok_or(Refusal::Unmapped)?;
        match table.decide(method, path, &claims.scope) {
            Enforcement::Allow => Ok(()),
            Enforcement::Insufficient { missing } => {
                Err(Refusal::InsufficientScope { required: missing.clone().into() })
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
