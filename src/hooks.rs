//! Hooks of the host: added claims and a veto before a token is issued, slow digests of imported secrets, and the end
//! of sessions.

use std::error::Error as StdError;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Resource, Subject};
use crate::protocol::grant_type::GrantType;
use crate::protocol::scope::Scope;
use crate::secret::ClientSecret;
use crate::users::User;

/// A token before it is issued. Everything is decided, and nothing has changed yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct IssueDecision<'a> {
    /// The app that gets the token.
    pub app: &'a CustomApp,
    /// The grant type of the request.
    pub grant_type: GrantType,
    /// The grant that the token descends from.
    pub grant_id: GrantId,
    /// The user, or the app itself for client credentials.
    pub subject: &'a Subject,
    /// The user as the directory returned it, if a user is involved.
    pub user: Option<&'a User>,
    /// The app that acts as the user, if it impersonates.
    pub actor: Option<&'a ClientId>,
    /// The scope of the token.
    pub scope: &'a Scope,
    /// The API that the token is for; `None` is the server's issuer.
    pub resource: Option<&'a Resource>,
    /// The other APIs, if the token is for several: only token exchange gives such a token.
    pub further_resources: &'a [Resource],
    /// The device that the grant was made on.
    pub device: Option<&'a DeviceId>,
    /// The present instant.
    pub now: UnixTime,
    /// When the token expires.
    pub expires_at: UnixTime,
}

/// The answer of a hook.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum HookAnswer {
    /// Issue the token unchanged.
    #[default]
    Issue,
    /// Issue the token with these claims added. None may be one of
    /// [`RESERVED_CLAIMS`](crate::jwt::RESERVED_CLAIMS), and their JSON form has at most 3 KiB, so no
    /// token becomes too long after its grant was claimed.
    IssueWith(Map<String, Value>),
    /// Do not issue the token. The audit log gets the reason, the client gets `access_denied`.
    Veto(&'static str),
}

/// A hook failed, or gave an answer that is not allowed. The request fails with `server_error`, and
/// nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// The host's code failed.
    #[error("a hook failed")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
    /// The host's code added a claim that only the server may set.
    #[error("a hook added the reserved claim `{0}`")]
    ReservedClaim(String),
    /// The host's code added a claim `may_act` that names no app (RFC 8693 section 4.4).
    #[error("a hook added a malformed claim `may_act`")]
    MalformedMayAct,
    /// The host's code added more claims than fit into a token.
    #[error("a hook added more than 3 KiB of claims")]
    TooManyClaims,
}

impl HookError {
    /// Wraps an error of the host's code. The audit log gets it, a client never.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

/// Hooks of the host. The server calls [`before_issue`](Self::before_issue) once a request, after every
/// other decision and before the claim: after a veto the code, the refresh token or the assertion is
/// still valid.
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
    /// Decides if the token is issued, and with which added claims.
    ///
    /// # Errors
    ///
    /// [`HookError`] if the hook fails.
    fn before_issue(
        &self,
        decision: &IssueDecision<'_>,
    ) -> impl Future<Output = Result<HookAnswer, HookError>> + Send;

    /// Tells what [`before_issue`](Self::before_issue) would answer, for a preview that issues nothing
    /// ([`Admin::preview_token`](crate::admin::Admin::preview_token)). The preview does not call `before_issue`,
    /// which may count or record tokens. Default: `None`, the host does not tell.
    ///
    /// A hook without side effects answers both with one function. The
    /// [`grant_id`](IssueDecision::grant_id) of a preview has only zeros.
    ///
    /// # Errors
    ///
    /// [`HookError`] if the hook fails.
    fn preview_issue(
        &self,
        decision: &IssueDecision<'_>,
    ) -> impl Future<Output = Result<Option<HookAnswer>, HookError>> + Send {
        let _ = decision;
        std::future::ready(Ok(None))
    }

    /// Checks a presented client secret against a digest that was imported as
    /// [`GivenSecret::Slow`](crate::app::GivenSecret::Slow), such as bcrypt or PBKDF2. Default: no digest
    /// matches.
    ///
    /// The server asks only until the first success, which replaces the digest by its own, and for at
    /// most four secrets at a time; further requests are refused with `temporarily_unavailable`. Compute
    /// on a thread that may block, for example with `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    ///
    /// [`HookError`] if the check fails. A digest of an unknown form does not match.
    fn check_slow_digest(
        &self,
        digest: &str,
        secret: &ClientSecret,
    ) -> impl Future<Output = Result<bool, HookError>> + Send {
        let _ = (digest, secret);
        std::future::ready(Ok(false))
    }

    /// Ends the sessions of a user at the host, because a trusted issuer ends all access of the user
    /// ([global token revocation](crate::ServerBuilder::global_token_revocation)): the user has to log in again before
    /// an app gets new access. Default: nothing, and the sessions of the host stay.
    ///
    /// The server calls it before it ends the access, which it does also after an error. The issuer repeats a
    /// request that failed, so a user without a session is no error.
    ///
    /// # Errors
    ///
    /// [`HookError`] if sessions may be left. The issuer is told to repeat the request.
    fn end_sessions(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = Result<(), HookError>> + Send {
        let _ = subject;
        std::future::ready(Ok(()))
    }
}

/// The absence of hooks: every token is issued as decided.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no fields")]
pub struct NoHooks;

impl Hooks for NoHooks {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer::Issue)
    }

    async fn preview_issue(&self, _: &IssueDecision<'_>) -> Result<Option<HookAnswer>, HookError> {
        Ok(Some(HookAnswer::Issue))
    }
}

impl<T: Hooks> Hooks for Arc<T> {
    async fn before_issue(&self, decision: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        T::before_issue(self, decision).await
    }

    async fn preview_issue(
        &self,
        decision: &IssueDecision<'_>,
    ) -> Result<Option<HookAnswer>, HookError> {
        T::preview_issue(self, decision).await
    }

    async fn check_slow_digest(
        &self,
        digest: &str,
        secret: &ClientSecret,
    ) -> Result<bool, HookError> {
        T::check_slow_digest(self, digest, secret).await
    }

    async fn end_sessions(&self, subject: &Subject) -> Result<(), HookError> {
        T::end_sessions(self, subject).await
    }
}
