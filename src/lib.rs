//! An OAuth 2.0 and JWT authorization server as a library.
//!
//! A service embeds an [`AuthorizationServer`] and brings its own storage, users and pages. The server
//!
//! * registers apps (the *clients* of RFC 6749) and authenticates them;
//! * runs the authorization code flow with PKCE, and rotates refresh tokens;
//! * lets a trusted backend impersonate users through the JWT bearer grant, within a policy;
//! * issues JWT access tokens (RFC 9068), introspects and revokes them;
//! * audits and rate limits every request.
//!
//! A [`BearerVerifier`](resource_server::BearerVerifier) checks the tokens in an API.
//!
//! # What it does not do
//!
//! There is no login page, no user store and no OpenID Connect: the host authenticates its users.
//! The library spawns no task, opens no socket (except for databases and fetches, behind features), and
//! takes the time and randomness from the sources that the host injects. It works at three layers, each usable alone: text in and text out, as
//! below; `http` requests and responses ([`http`]); and an axum router.
//!
//! # The way of a token request
//!
//! ```text
//! bytes -> parse -> authenticate client -> validate grant -> decide scopes -> claim -> mint -> respond
//!          (pure)   AppRegistry            open the handle    (pure)          one       (keys)  JSON
//!                                          or assertion,                      atomic
//!                                          read the grant,                    store
//!                                          find the user                      call
//! ```
//!
//! The server decides everything before the claim, the claim decides every race, and the server signs
//! nothing before it. A request that fails before the claim has changed nothing. A dropped future has
//! either completed the claim or not started it.
//!
//! # Issue and check a token
//!
//! ```
//! use grantor::endpoint::FormRequest;
//! use grantor::jwt::{Algorithm, VerifyingKeys};
//! use grantor::random::OsRandom;
//! use grantor::resource_server::BearerVerifier;
//! use grantor::users::MemoryUsers;
//! use grantor::{
//!     AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, Scope, ServerSecret, SigningKey,
//! };
//!
//! # pollster::block_on(async {
//! let issuer = Issuer::new("https://as.example.com")?;
//! let secret = ServerSecret::generate(&OsRandom::new())?;
//! let key = SigningKey::generate(Algorithm::ES256)?;
//! let users = MemoryUsers::default();
//! let server =
//!     AuthorizationServer::builder(issuer.clone(), secret, key, MemoryStore::new(), users).build();
//!
//! // An administrator registers an app. Its credentials are returned once.
//! let draft = AppDraft::confidential("Nightly job")
//!     .flow(Flow::ClientCredentials)
//!     .scope(Scope::parse("files.read files.write")?);
//! let app = server.admin("alice").register(draft.build()?).await?;
//! let client_secret = app.client_secret.ok_or("a confidential app has a secret")?;
//!
//! // The app requests a token with a part of its scope.
//! let body = format!(
//!     "grant_type=client_credentials&scope=files.read&client_id={}&client_secret={}",
//!     app.client_id,
//!     client_secret.expose_secret(),
//! );
//! let response = server.token(&FormRequest::new(&body)).await?;
//!
//! // An API checks the token. It needs only the issuer and the public keys.
//! let keys = VerifyingKeys::from_jwk_set(&server.jwk_set())?;
//! let api = BearerVerifier::new(issuer, keys);
//! let header = format!("Bearer {}", response.access_token.expose_secret());
//! let claims = api.check(Some(header.as_str()))?;
//! assert_eq!(claims.client_id, app.client_id);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Where to find it
//!
//! The [`guide`] leads from an empty service to a token, and has one checklist of a host's duties.
//!
//! | to | read |
//! | --- | --- |
//! | build a server | [`ServerBuilder`] |
//! | answer token requests | [`AuthorizationServer::token`], [`endpoint::FormRequest`] |
//! | ask a user for consent | [`endpoint`], [`http::Interaction`] |
//! | revoke and introspect tokens | [`AuthorizationServer::revoke`], [`AuthorizationServer::introspect`] |
//! | serve HTTP | [`http`], [`protocol::Paths`] |
//! | serve several issuers | [`Issuers`] |
//! | register, edit and revoke apps | [`admin`], [`app`] |
//! | give administrators and users pages | `http::console` (feature `console`) |
//! | declare apps in a configuration file | [`admin::DeclaredApps`] |
//! | move apps from another server | [`migrate`] |
//! | allow a backend to impersonate users | [`app::ImpersonationPolicy`], [`app::JwtSettings`] |
//! | connect your users | [`users`] |
//! | check tokens in an API | [`resource_server`] |
//! | map requests to scopes | [`catalog`], [`protocol::Scope`] |
//! | check tokens in another process | [`BearerVerifier::discover`](resource_server::BearerVerifier::discover), [`fetch`] |
//! | follow revocations in an API | [`resource_server::RevocationList`], [`resource_server::FeedReader`], [`AuthorizationServer::revocations`] |
//! | store data in your own database | [`store`] |
//! | work in the background: prune, rotate keys, follow revocations, write the audit log | [`Upkeep`] |
//! | add claims to a token, or veto it | [`hooks`] |
//! | audit and measure | [`audit`], [`observe`] |
//! | limit requests | [`rate_limit`] |
//! | look up an error | [`error`] |
//! | generate, import, publish and rotate keys | [`jwt`], [`server_secret::KeyFile`] |
//! | sign in a KMS or an HSM | [`jwt::TokenSigner`] |
//! | control time and randomness in tests | [`clock`], [`random`] |
//!
//! # Features
//!
//! All are off by default. A feature adds API and never changes behaviour.
//!
//! * `axum`: a router for every endpoint, and extractors for resource servers.
//! * `console`: pages for administrators and users, in the host's own service.
//! * `tower`: a layer that checks bearer tokens, for any host that uses `http` 1.x.
//! * `fetch`: an HTTPS client with an address policy, for keys and revocations of a server in another
//!   process. Without it, the host brings its own.
//! * `metrics`: the counters and histograms of the HTTP layer through the `metrics` facade.
//! * `postgres`: a store in PostgreSQL, shared by any number of processes.
//! * `sqlite`: a durable store in one SQLite file, for one machine.
//! * `test-kit`: conformance kits for authors of stores. Exempt from semver.
//! * `tracing`: an audit sink for `tracing`, and a span for each HTTP request.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admin;
pub mod app;
pub mod audit;
pub mod catalog;
pub mod clock;
pub mod endpoint;
pub mod error;
pub mod fetch;
pub mod guide;
pub mod hooks;
pub mod http;
pub mod ids;
pub mod jwt;
pub mod migrate;
pub mod observe;
pub mod protocol;
pub mod random;
pub mod rate_limit;
pub mod resource_server;
pub mod secret;
mod server;
pub mod server_secret;
pub mod store;
#[cfg(any(fuzzing, feature = "test-kit"))]
#[doc(hidden)]
pub mod test_kit;
pub mod users;

pub use app::{AppDraft, Flow};
pub use http::Issuers;
pub use ids::{Issuer, Subject};
pub use jwt::SigningKey;
pub use protocol::{RedirectUri, Scope};
pub use server::{
    AuthorizationServer, JobHealth, ServerBuilder, ServerKey, StartError, Upkeep, UpkeepHandle,
    UpkeepHealth, UpkeepJob,
};
pub use server_secret::ServerSecret;
pub use store::MemoryStore;
pub use users::{User, UserDirectory};

/// The examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
