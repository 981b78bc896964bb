//! Questions about an app: the users that it may act as, and the tokens that it would get.

use std::pin::Pin;
use std::sync::Arc;

use super::{Admin, AdminError};
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::introspection::Introspection;
use crate::endpoint::token::{
    EvidenceCheck, ExchangeQuestion, PreviewRequest, TokenPreview, UserCheck,
};
use crate::error::{EndpointError, Fault};
use crate::hooks::Hooks;
use crate::ids::{ClientId, Issuer, Subject};
use crate::store::{Pruned, Store, StoreError};
use crate::users::{DirectoryError, UserDirectory};

/// Questions that need more of the server than its store.
pub(crate) trait Inquiries: Sync {
    /// Returns true if the directory has a user of this subject, active or not.
    fn is_user<'a>(&'a self, subject: &'a Subject) -> Answer<'a, bool, DirectoryError>;

    fn check_user<'a>(
        &'a self,
        app: Arc<CustomApp>,
        name: &'a str,
    ) -> Answer<'a, UserCheck, DirectoryError>;

    /// Returns the name of the server.
    fn issuer(&self) -> &Issuer;

    fn check_evidence<'a>(
        &'a self,
        app: Arc<CustomApp>,
        assertion: &'a str,
    ) -> Answer<'a, EvidenceCheck, Fault>;

    fn check_exchange<'a>(
        &'a self,
        app: Arc<CustomApp>,
        question: &'a ExchangeQuestion<'a>,
    ) -> Answer<'a, EvidenceCheck, Fault>;

    fn preview<'a>(
        &'a self,
        app: &'a CustomApp,
        request: &'a PreviewRequest<'a>,
    ) -> Answer<'a, TokenPreview, Fault>;

    fn introspect<'a>(&'a self, token: &'a str) -> Answer<'a, Introspection, EndpointError>;

    /// Deletes the unused among the next apps that registered themselves.
    fn prune_registrations(&self, now: UnixTime, limit: usize) -> Answer<'_, Pruned, StoreError>;
}

type Answer<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

impl<S: Store, U: UserDirectory, H: Hooks> Inquiries for Context<S, U, H> {
    fn is_user<'a>(&'a self, subject: &'a Subject) -> Answer<'a, bool, DirectoryError> {
        Box::pin(async { Ok(self.users.find_user(subject).await?.is_some()) })
    }

    fn check_user<'a>(
        &'a self,
        app: Arc<CustomApp>,
        name: &'a str,
    ) -> Answer<'a, UserCheck, DirectoryError> {
        Box::pin(Self::check_user(self, app, name))
    }

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn check_evidence<'a>(
        &'a self,
        app: Arc<CustomApp>,
        assertion: &'a str,
    ) -> Answer<'a, EvidenceCheck, Fault> {
        Box::pin(Self::check_evidence(self, app, assertion))
    }

    fn check_exchange<'a>(
        &'a self,
        app: Arc<CustomApp>,
        question: &'a ExchangeQuestion<'a>,
    ) -> Answer<'a, EvidenceCheck, Fault> {
        Box::pin(Self::check_exchange(self, app, question))
    }

    fn preview<'a>(
        &'a self,
        app: &'a CustomApp,
        request: &'a PreviewRequest<'a>,
    ) -> Answer<'a, TokenPreview, Fault> {
        Box::pin(Self::preview(self, app, request))
    }

    fn introspect<'a>(&'a self, token: &'a str) -> Answer<'a, Introspection, EndpointError> {
        Box::pin(self.introspect_any(token))
    }

    fn prune_registrations(&self, now: UnixTime, limit: usize) -> Answer<'_, Pruned, StoreError> {
        Box::pin(Self::prune_registrations(self, now, limit))
    }
}

/// Apps: questions. They change nothing, issue nothing, and are not audited.
impl<S: Store> Admin<'_, S> {
    /// Checks whether an app may act as a user through the JWT bearer grant, and by which rule of its policy.
    /// `name` is the value of the app's [user claim](crate::app::JwtSettings::user_claim), as an assertion would
    /// have it. The lookup and the decision are those of the token endpoint.
    ///
    /// ```
    /// # use grantor::AuthorizationServer;
    /// # use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
    /// # use grantor::error::Rejection;
    /// # use grantor::ids::{Issuer, Subject};
    /// # use grantor::jwt::{Algorithm, SigningKey};
    /// # use grantor::random::OsRandom;
    /// # use grantor::server_secret::ServerSecret;
    /// # use grantor::store::MemoryStore;
    /// use grantor::app::ImpersonationRule;
    /// use grantor::users::{Member, Members, MemoryUsers, User};
    ///
    /// # pollster::block_on(async {
    /// # let issuer = Issuer::new("https://as.example.com")?;
    /// # let secret = ServerSecret::generate(&OsRandom::new())?;
    /// # let key = SigningKey::generate(Algorithm::ES256)?;
    /// # let store = MemoryStore::new();
    /// let root = Subject::new("root")?;
    /// let users = MemoryUsers::new([User::new(root.clone())]);
    /// let policy = ImpersonationPolicy::anyone().except(Members::subjects([root.clone()]));
    /// # let server = AuthorizationServer::builder(issuer, secret, key, store, users).build();
    /// let admin = server.admin("ann");
    /// let app = AppDraft::confidential("Archive")
    ///     .flow(Flow::JwtBearer)
    ///     .jwt(JwtSettings::signature_secret().with_impersonation(policy));
    /// let app = admin.register(app.build()?).await?.client_id;
    /// let check = admin.check_user(&app, "root").await?;
    /// assert_eq!(check.rule(), Some(ImpersonationRule::Excepted(Member::Subject(&root))));
    /// assert!(check.answer.is_err());
    /// assert_eq!(admin.check_user(&app, "eve").await?.answer, Err(Rejection::UnknownUser));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Directory`] and [`AdminError::Store`].
    pub async fn check_user(
        &self,
        client_id: &ClientId,
        name: &str,
    ) -> Result<UserCheck, AdminError> {
        let app = self.existing(client_id).await?;
        Ok(self.parts.inquiries.check_user(app, name).await?)
    }

    /// Previews the access token that an app would get for a request: its claims, unsigned, or the reason for a
    /// refusal. The decisions are those of the endpoints, at this instant.
    ///
    /// It does not check the credentials, the budgets and the revocations of the app. For the authorization code
    /// flow it takes the user's approval of the whole request for granted. It does not call
    /// [`before_issue`](crate::hooks::Hooks::before_issue), but
    /// [`preview_issue`](crate::hooks::Hooks::preview_issue).
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Store`], and [`AdminError::Preview`] if the user directory or a
    /// hook fails.
    pub async fn preview_token(
        &self,
        client_id: &ClientId,
        request: &PreviewRequest<'_>,
    ) -> Result<TokenPreview, AdminError> {
        let app = self.existing(client_id).await?;
        Ok(self.parts.inquiries.preview(&app, request).await?)
    }

    /// Returns what the server knows of a token, as the introspection endpoint tells a gateway (RFC 7662 section
    /// 2.2): of an access token of any app, or of the live refresh token of a grant. It uses nothing up.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: a failure of the store. Of an invalid token the answer is [`Introspection::Inactive`].
    pub async fn introspect(&self, token: &str) -> Result<Introspection, EndpointError> {
        self.parts.inquiries.introspect(token).await
    }
}
