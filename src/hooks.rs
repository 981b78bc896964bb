//! The host's say before a token is issued: claims to add, and a veto.

use std::error::Error as StdError;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Resource, Subject};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::users::User;

/// A token that is about to be issued: everything has been decided, nothing has changed yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct IssueDecision<'a> {
    /// The app that gets it.
    pub app: &'a CustomApp,
    /// What the app presented.
    pub grant_type: GrantType,
    /// The grant from which it descends.
    pub grant_id: GrantId,
    /// Whom it is about: the user, or the app itself for client credentials.
    pub subject: &'a Subject,
    /// The user as the directory returned it, where one is involved.
    pub user: Option<&'a User>,
    /// The app that acts as the user, where it impersonates.
    pub actor: Option<&'a ClientId>,
    /// What it allows.
    pub scope: &'a Scope,
    /// The API for which it is; `None` is the server's issuer.
    pub resource: Option<&'a Resource>,
    /// The device on which access was granted.
    pub device: Option<&'a DeviceId>,
    /// The present instant.
    pub now: UnixTime,
    /// When it expires at the latest.
    pub expires_at: UnixTime,
}

/// What the host says to a token that is about to be issued.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum HookAnswer {
    /// Issue it as it is.
    #[default]
    Issue,
    /// Issue it with these claims added. None of them may be one of
    /// [`RESERVED_CLAIMS`](crate::jwt::RESERVED_CLAIMS), and as JSON they have at most 3 KiB, so that
    /// no token becomes too long once its grant is claimed.
    IssueWith(Map<String, Value>),
    /// Do not issue it. The reason goes to the audit log; the client is told `access_denied`.
    Veto(&'static str),
}

/// A hook could not answer, or answered what it may not. The request fails with `server_error`;
/// nothing changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// The host's code failed.
    #[error("a hook failed")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
    /// The host's code added a claim that only the server may set.
    #[error("a hook added the reserved claim `{0}`")]
    ReservedClaim(String),
    /// The host's code added more claims than fit into a token.
    #[error("a hook added more than 3 KiB of claims")]
    TooManyClaims,
}

impl HookError {
    /// Wraps what the host's code said. It reaches the audit log, never a client.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

/// The host's say before a token is issued, asked once a request, after everything else was decided
/// and before anything changes: a veto leaves the code, the refresh token and the assertion as they
/// were.
///
/// ```
/// use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
///
/// struct Tenancy;
///
/// impl Hooks for Tenancy {
///     async fn before_issue(&self, decision: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
///         if decision.subject.as_str().ends_with("@suspended.example") {
///             return Ok(HookAnswer::Veto("tenant_suspended"));
///         }
///         let mut claims = serde_json::Map::new();
///         claims.insert("tenant".to_owned(), "example".into());
///         Ok(HookAnswer::IssueWith(claims))
///     }
/// }
/// ```
pub trait Hooks: Send + Sync {
    /// Says whether the token is issued, and with which claims of the host.
    ///
    /// # Errors
    ///
    /// [`HookError`] when it cannot tell.
    fn before_issue(
        &self,
        decision: &IssueDecision<'_>,
    ) -> impl Future<Output = Result<HookAnswer, HookError>> + Send;
}

/// No hooks: every token is issued as it was decided.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to it")]
pub struct NoHooks;

impl Hooks for NoHooks {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer::Issue)
    }
}

impl<T: Hooks> Hooks for Arc<T> {
    async fn before_issue(&self, decision: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        T::before_issue(self, decision).await
    }
}
