//! An OAuth 2.0 and JWT authorization server as a library.
//!
//! A service embeds an [`AuthorizationServer`], and brings its own storage, its own users and its own
//! HTTP. The server registers apps, takes users through the authorization code flow with PKCE, lets
//! trusted back ends act as a user inside a policy, rotates refresh tokens, and issues JWT access
//! tokens; a [`BearerVerifier`](resource_server::BearerVerifier) checks them on the side of the API.
//!
//! It has no login page and no user store: who the user is, the host knows. There are three layers,
//! each usable alone: text in and text out, as below; `http` requests and responses ([`http`]); and
//! an axum router. It opens no socket, starts no task, and reads the clock and the system's
//! randomness only through what it is given.
//!
//! # The way of a token request
//!
//! ```text
//! bytes -> parse -> authenticate client -> validate grant -> decide scopes -> claim -> mint -> respond
//!          (pure)   AppRegistry            open the handle    (pure)          one       (keys)  JSON
//!                                          or assertion,                      atomic
//!                                          read the grant,                    store
//!                                          ask for the user                   call
//! ```
//!
//! Everything is decided before the claim, the claim decides every race, and nothing is signed
//! before it. A failure before it has changed nothing; a dropped future leaves it done or not done.
//!
//! # A token, and its check
//!
//! ```
//! use grantor::AuthorizationServer;
//! use grantor::app::{AppDraft, Flow};
//! use grantor::endpoint::FormRequest;
//! use grantor::ids::Issuer;
//! use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
//! use grantor::protocol::Scope;
//! use grantor::random::OsRandom;
//! use grantor::resource_server::BearerVerifier;
//! use grantor::server_secret::ServerSecret;
//! use grantor::store::MemoryStore;
//! use grantor::users::MemoryUsers;
//!
//! # pollster::block_on(async {
//! let issuer = Issuer::new("https://as.example.com")?;
//! let secret = ServerSecret::generate(&OsRandom::new())?;
//! let key = SigningKey::generate(Algorithm::ES256)?;
//! let users = MemoryUsers::default();
//! let server =
//!     AuthorizationServer::builder(issuer.clone(), secret, key, MemoryStore::new(), users).build();
//!
//! // An administrator registers an app and hands its credentials to whoever runs it.
//! let draft = AppDraft::confidential("Nightly job")
//!     .flow(Flow::ClientCredentials)
//!     .scope(Scope::parse("files.read files.write")?);
//! let app = server.admin("alice").register(draft.build()?).await?;
//! let client_secret = app.client_secret.ok_or("an app of this kind has a secret")?;
//!
//! // The app asks for a token, with less than it may have.
//! let body = format!(
//!     "grant_type=client_credentials&scope=files.read&client_id={}&client_secret={}",
//!     app.client_id,
//!     client_secret.expose_secret(),
//! );
//! let response = server.token(&FormRequest::new(&body)).await?;
//!
//! // An API checks it, with nothing but the name of the server and its public keys.
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
//! | to … | read |
//! | --- | --- |
//! | build a server | [`ServerBuilder`] |
//! | answer token requests | [`AuthorizationServer::token`], [`endpoint::FormRequest`] |
//! | ask a user for consent | [`endpoint`], [`http::Interaction`] |
//! | revoke and introspect tokens | [`AuthorizationServer::revoke`], [`AuthorizationServer::introspect`] |
//! | serve HTTP | [`http`], [`protocol::Paths`] |
//! | register, edit and revoke apps | [`admin`], [`app`] |
//! | allow a backend to impersonate users | [`app::ImpersonationPolicy`], [`app::JwtSettings`] |
//! | connect your users | [`users`] |
//! | check tokens in an API | [`resource_server`] |
//! | map requests to scopes | [`catalog`], [`protocol::Scope`] |
//! | follow revocations in an API | [`resource_server::RevocationList`], [`AuthorizationServer::revocations`] |
//! | store data in your own database | [`store`] |
//! | remove expired rows | [`store::prune_regularly`], [`audit::prune_events_regularly`] |
//! | add claims to a token, or veto it | [`hooks`] |
//! | audit and measure | [`audit`], [`observe`] |
//! | limit requests | [`rate_limit`] |
//! | see what a client is told, and why | [`error`] |
//! | make, import, publish and rotate keys | [`jwt`], [`server_secret::KeyFile`] |
//! | sign in a KMS or an HSM | [`jwt::TokenSigner`] |
//! | replay a test | [`clock`], [`random`] |
//!
//! # Features
//!
//! All are off by default. A feature adds API and never changes behaviour.
//!
//! * `axum`: a router for all endpoints, and extractors for resource servers.
//! * `tower`: a layer that checks bearer tokens, for any host that uses `http` 1.x.
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
pub mod hooks;
pub mod http;
pub mod ids;
pub mod jwt;
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
pub use ids::{Issuer, Subject};
pub use jwt::SigningKey;
pub use protocol::{RedirectUri, Scope};
pub use server::{AuthorizationServer, ServerBuilder};
pub use server_secret::ServerSecret;
pub use store::MemoryStore;
pub use users::{User, UserDirectory};

/// The examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
