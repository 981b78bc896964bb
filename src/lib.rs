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
//! use grantor::ids::Issuer;
//! use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
//! use grantor::random::OsRandom;
//! use grantor::resource_server::BearerVerifier;
//! use grantor::scope::Scope;
//! use grantor::server_secret::ServerSecret;
//! use grantor::store::MemoryStore;
//! use grantor::token_endpoint::FormRequest;
//! use grantor::user_directory::MemoryUsers;
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
//! # If you want to …
//!
//! | … | read |
//! | --- | --- |
//! | put a server together | [`ServerBuilder`] |
//! | answer the token endpoint | [`AuthorizationServer::token`], [`token_endpoint`] |
//! | let an app give a token back | [`AuthorizationServer::revoke`] |
//! | let an API ask about tokens | [`AuthorizationServer::introspect`], [`introspection_endpoint`], [`protected_resource`] |
//! | let an API learn what was revoked | [`AuthorizationServer::revocations`], [`resource_server::RevocationList`] |
//! | answer HTTP requests | [`http`], [`paths`] |
//! | ask a user for consent | [`authorization_endpoint`], [`http::Interaction`] |
//! | revoke and introspect tokens | [`AuthorizationServer::revoke`], [`introspection_endpoint`] |
//! | register, edit, revoke | [`admin`], [`app`] |
//! | say whom a back end may impersonate | [`impersonation`], [`app::JwtSettings`] |
//! | tell the server about your users | [`user_directory`] |
//! | check tokens in an API | [`resource_server`] |
//! | say which request needs which scope | [`catalog`], [`scope`] |
//! | keep everything in your own database | [`store`] |
//! | add claims to a token, or veto one | [`hooks`] |
//! | know what happened | [`audit`], [`audit_log`], [`usage`], [`metrics`], [`observation`] |
//! | remove what has expired | [`store::prune_regularly`], [`audit_log::prune_events_regularly`] |
//! | limit how much apps may ask for | [`rate_limit`] |
//! | know what a client is told and why | [`error`] |
//! | make, import and publish keys | [`jwt`], [`server_secret`] |
//! | keep keys over a restart, and rotate them | [`key_file`], [`jwt::KeyRing`] |
//! | sign in a KMS or an HSM | [`jwt::TokenSigner`] |
//! | replay in a test | [`clock`], [`random`] |
//!
//! # Features
//!
//! None is on by default; each adds API and changes no behaviour.
//!
//! * `axum`: a router with every endpoint, and extractors for resource servers.
//! * `tower`: the check of bearer tokens as a layer, for any host that speaks `http`.
//! * `postgres`: a store in PostgreSQL, for as many processes as there are.
//! * `sqlite`: a store in one SQLite file, durable, for one machine.
//! * `test-kit`: the conformance kits for whoever writes a store. Not under semver.
//! * `tracing`: an audit sink that goes to `tracing`, and a span for each request over HTTP.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admin;
pub mod app;
pub mod audit;
pub mod audit_log;
pub mod authorization_endpoint;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod axum;
mod base64url;
mod basic_header;
pub mod catalog;
mod client_authentication;
pub mod clock;
mod context;
pub mod error;
mod form;
mod form_request;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod grant_type;
mod handle;
pub mod hooks;
pub mod http;
pub mod ids;
pub mod impersonation;
pub mod introspection_endpoint;
pub mod jwt;
pub mod key_file;
#[cfg(feature = "test-kit")]
#[doc(hidden)]
pub mod measure;
mod metadata;
pub mod metrics;
pub mod observation;
pub mod paths;
pub mod pkce;
mod presented_token;
pub mod protected_resource;
pub mod random;
pub mod rate_limit;
pub mod redirect_uri;
pub mod resource_server;
mod revocation_endpoint;
mod revocation_feed;
pub mod scope;
pub mod secret;
mod server;
pub mod server_secret;
pub mod store;
pub mod token_endpoint;
mod trace;
pub mod usage;
pub mod user_directory;

pub use server::{AuthorizationServer, ServerBuilder};

/// The examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
