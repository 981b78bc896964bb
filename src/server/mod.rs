//! The authorization server: every typed endpoint, and administration.

mod builder;
mod device_grant;
mod key_states;
mod upkeep;

pub use builder::{ServerBuilder, StartError};
pub use key_states::ServerKey;
pub use upkeep::{JobHealth, Upkeep, UpkeepHandle, UpkeepHealth, UpkeepJob};

use std::sync::Arc;

use crate::admin::{self, Account, Admin, AdminParts};
use crate::audit::Action;
use crate::audit::usage::AppUsage;
use crate::catalog::ApiCatalog;
use crate::clock::UnixTime;
use crate::endpoint::authorization::{
    AuthorizationError, AuthorizationRequest, AuthorizationResponse, Decision, Login, Moment,
    NextStep,
};
use crate::endpoint::caller::Caller;
use crate::endpoint::context::Context;
use crate::endpoint::devices::DevicePolicy;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::introspection::Introspection;
use crate::endpoint::metadata::{Offers, server_metadata_json};
use crate::endpoint::registration::RegistrationResponse;
use crate::endpoint::token::TokenResponse;
use crate::error::EndpointError;
use crate::hooks::{Hooks, NoHooks};
use crate::ids::{ClientId, Issuer, Subject};
use crate::jwt::{KeyError, KeyRing, VerifyingKeys};
use crate::protocol::paths::{Paths, ServerEndpoint};
use crate::protocol::redirect_uri::InstanceHosts;
use crate::random::SecureRandom;
use crate::rate_limit::RateLimits;
use crate::resource_server::resource::ResourceServer;
use crate::server_secret::RootsClaim;
use crate::store::{FeedCursor, Pruned, RevocationFeed, Store, StoreError};
use crate::users::UserDirectory;

/// An OAuth 2.0 authorization server over a store `S`, the users `U` of the host, and its hooks `H`.
///
/// Every method takes a shared reference, so any number of requests may run at once.
#[derive(Debug)]
pub struct AuthorizationServer<S, U, H = NoHooks> {
    context: Context<S, U, H>,
    paths: Paths,
    roots: RootsClaim,
}

impl<S: Store, U: UserDirectory, H: Hooks> AuthorizationServer<S, U, H> {
    /// Answers a request at the token endpoint (RFC 6749 section 3.2).
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, with the error code and the static text for the client, or failed,
    /// with a cause for the operator. Nothing was issued.
    pub async fn token(&self, request: &FormRequest<'_>) -> Result<TokenResponse, EndpointError> {
        self.context.token(request).await.result
    }

    /// Answers a request at the revocation endpoint (RFC 7009): ends the grant of the token, and with it
    /// every token of that grant. For an unknown or expired token, or one of another app, the answer is
    /// the same and nothing is revoked.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, before the token was read or because a limit is exceeded, or
    /// [`Unavailable`](EndpointError::Unavailable): the token may stay valid until the client repeats
    /// the request.
    pub async fn revoke(&self, request: &FormRequest<'_>) -> Result<(), EndpointError> {
        self.context.revoke(request).await.result
    }

    /// Answers a request at the introspection endpoint (RFC 7662).
    ///
    /// The apps that may introspect a token:
    ///
    /// | app | access tokens | refresh tokens |
    /// | --- | --- | --- |
    /// | of a [`ResourceServer`] | those whose `aud` is its identifier | its own |
    /// | of a gateway | all | all |
    /// | any other confidential app | none | its own |
    ///
    /// For every other app, and for every invalid token, the answer is [`Introspection::Inactive`]. A
    /// public app gets the same error as an unknown one. A refresh token is active while it is the live
    /// one of its grant; introspecting a spent one revokes nothing.
    ///
    /// Every request counts against the quota of the app, so a gateway needs a large one.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, before the token was read, or failed, with a cause for the operator.
    pub async fn introspect(
        &self,
        request: &FormRequest<'_>,
    ) -> Result<Introspection, EndpointError> {
        self.context.introspect(request).await.result
    }

    /// Answers a trusted issuer that ends all access of one of its users
    /// ([global token revocation](ServerBuilder::global_token_revocation)). The request has the token of the issuer as
    /// `Authorization: Bearer`, and a subject identifier (RFC 9493) as JSON in place of a form.
    ///
    /// When it returns, no access that the user or an app decided on before is left, and
    /// [`Hooks::end_sessions`] has been called.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, with the statuses of
    /// [`GlobalRevocationRefusal`](crate::error::GlobalRevocationRefusal), or
    /// [`Unavailable`](EndpointError::Unavailable): access or sessions may be left, and the issuer has to repeat the
    /// request with a new token.
    pub async fn revoke_globally(&self, request: &FormRequest<'_>) -> Result<(), EndpointError> {
        self.context.revoke_globally(request).await.result
    }

    /// Returns the revocations after `cursor`, for the app of a
    /// [resource server](ServerBuilder::resource_server). It repeats the request at once while there is
    /// [`more`](RevocationFeed::more), and every few seconds otherwise, and passes the pages to a
    /// [`RevocationList`](crate::resource_server::RevocationList).
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, for example because the app belongs to no resource server, or
    /// failed, with a cause for the operator.
    pub async fn revocations(
        &self,
        request: &FormRequest<'_>,
        cursor: FeedCursor,
    ) -> Result<RevocationFeed, EndpointError> {
        self.context.revocations(request, cursor).await.result
    }

    /// Answers the question of a phone whether it has to wipe its data, at `device_wipe_check_endpoint` of the
    /// metadata. The form has the refresh token of the phone, live or dead, as `token`, and `client_id`.
    ///
    /// The phone is told of a pending order as often as it asks. The answer is no for every other token: of a
    /// device without an order, of no device, of another app, forged. Without
    /// [devices](ServerBuilder::devices) it is always no.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, because the form lacks a parameter or a limit is exceeded, or
    /// [`Unavailable`](EndpointError::Unavailable). Neither is a no: the phone has to ask again.
    pub async fn check_wipe(&self, request: &FormRequest<'_>) -> Result<bool, EndpointError> {
        self.context.check_wipe(request, &[]).await.result
    }

    /// Takes the report of a phone that its data is gone, with the form of [`check_wipe`](Self::check_wipe). It
    /// counts, and the answer is yes, if a wipe is pending. A phone that wiped itself after too many wrong PINs adds
    /// `reason=pin`: then it always counts, and ends the access of the device.
    ///
    /// # Errors
    ///
    /// As for [`check_wipe`](Self::check_wipe).
    pub async fn report_wipe(&self, request: &FormRequest<'_>) -> Result<bool, EndpointError> {
        self.context.report_wipe(request, &[]).await.result
    }

    /// Returns the rules of an app for its installation on a phone. The request has a live access token of this
    /// server, for any API, as `Authorization: Bearer`. Notes the version at the device of the token, best effort.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected because there is no token, because it is not active, because a limit is exceeded
    /// or, with status 404, because the app has no rules; or failed, with a cause for the operator.
    pub async fn device_policy(
        &self,
        request: &FormRequest<'_>,
    ) -> Result<DevicePolicy, EndpointError> {
        self.context.device_policy(request).await.result
    }

    /// Answers an app that registers itself (RFC 7591 section 3). The request has the client metadata as JSON in place
    /// of a form, and an initial access token, if the [rules](ServerBuilder::registration) want one, as
    /// `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, with status 404 if no rules were given, or failed, with a cause for the operator.
    /// After a failure the app may exist without anyone holding its secrets; a prune removes it.
    pub async fn register(
        &self,
        request: &FormRequest<'_>,
    ) -> Result<RegistrationResponse, EndpointError> {
        self.context.register(request).await.result
    }

    /// Answers an app that reads its registration (RFC 7592 section 2.1). The request has the registration access token
    /// as `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, with status 404 unless the rules allow management, or failed, with a cause for the
    /// operator.
    pub async fn read_registration(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
    ) -> Result<RegistrationResponse, EndpointError> {
        self.context.read_registration(client_id, request).await.result
    }

    /// Answers an app that replaces its metadata (RFC 7592 section 2.2). The request is that of
    /// [`register`](Self::register), with the registration access token, which the answer replaces.
    ///
    /// # Errors
    ///
    /// As for [`read_registration`](Self::read_registration), and [`Unavailable`](EndpointError::Unavailable) if others
    /// edit the app again and again. After a failure the token may have been replaced.
    pub async fn update_registration(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
    ) -> Result<RegistrationResponse, EndpointError> {
        self.context.update_registration(client_id, request).await.result
    }

    /// Answers an app that deletes itself (RFC 7592 section 2.3), which ends its access at once.
    ///
    /// # Errors
    ///
    /// As for [`update_registration`](Self::update_registration).
    pub async fn delete_registration(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
    ) -> Result<(), EndpointError> {
        self.context.delete_registration(client_id, request).await.result
    }

    /// Reads the query of a request at the authorization endpoint (RFC 6749 section 4.1.1). The host
    /// then finds out which user is logged in, and calls [`authorize`](Self::authorize).
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`], for the app by a redirect or for the user on a page.
    pub async fn authorization_request(
        &self,
        query: &str,
        caller: Caller<'_>,
    ) -> Result<AuthorizationRequest, AuthorizationError> {
        self.context.authorization_request(query, caller).await
    }

    /// Returns the next step of a request: the user logs in, the user is asked for consent, or the
    /// browser is redirected with a code. `login` is `None` if no user is logged in.
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`]. The app gets it by a redirect if a page is needed and the app allows none
    /// (`prompt=none`), if the app requires a fresh login and `login` has no
    /// [time](Login::with_auth_time), or if the app has lost the whole requested scope since the request
    /// was read. The user sees it if the app has changed otherwise.
    pub async fn authorize(
        &self,
        request: AuthorizationRequest,
        login: Option<&Login>,
    ) -> Result<NextStep, AuthorizationError> {
        self.context.authorize(request, login).await
    }

    /// Asks the store for a moment, for [`Login::with_moment`]. Call it before you check the session of the
    /// user who decides: a revocation that comes during the check then covers the decision.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn moment(&self) -> Result<Moment, StoreError> {
        Ok(Moment::new(self.context.store.instant(self.now()).await?))
    }

    /// Returns a moment without a store call: of the last instant that this process has seen, or 5 seconds ago
    /// by its clock.
    pub(crate) fn seen_moment(&self) -> Moment {
        Moment::new(self.context.date(self.now()))
    }

    /// Stores the decision of the user on the consent prompt with `ticket`. One decision gives one code,
    /// however often the browser submits it.
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`]. The app gets a denial by a redirect. The user sees it if the ticket is of
    /// another user or session, has expired, or was decided differently before.
    pub async fn decide(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        caller: Caller<'_>,
    ) -> Result<AuthorizationResponse, AuthorizationError> {
        self.context.decide(ticket, login, decision, caller).await
    }

    /// Records a refusal before any other method was called. Returns the answer to it.
    pub(crate) fn refuse(
        &self,
        action: Action,
        error: AuthorizationError,
        caller: Caller<'_>,
    ) -> AuthorizationError {
        self.context.refuse(action, None, error, caller)
    }

    /// Records the events that were counted and not yet recorded, because they repeat others. The server
    /// does this by itself when a request arrives a minute later. Call it before the audit log is closed.
    pub fn record_repeats(&self) {
        for event in self.context.repeats.settle() {
            self.context.audit.record(&event);
        }
    }

    /// Records the events that were counted for a minute.
    pub(crate) fn record_due_repeats(&self) {
        for event in self.context.repeats.due(self.now()) {
            self.context.audit.record(&event);
        }
    }

    /// Returns the administrator's methods. The audit log calls the actor `administrator`.
    pub fn admin(&self, administrator: impl Into<Arc<str>>) -> Admin<'_, S> {
        Admin::new(self.admin_parts(), administrator)
    }

    /// Returns the methods of an authenticated user, which list and end the access of apps in the user's
    /// name. The audit log calls the actor by the subject.
    pub fn account(&self, subject: Subject) -> Account<'_, S> {
        Account::new(self.admin_parts(), self.context.catalog.as_deref(), subject)
    }

    fn admin_parts(&self) -> AdminParts<'_, S> {
        let context = &self.context;
        AdminParts {
            store: &context.store,
            pepper: &context.pepper,
            sealing: &context.sealing,
            clock: &*context.clock,
            random: &*context.random,
            audit: &*context.audit,
            usage: &context.usage,
            inquiries: context,
            devices: context.devices.as_ref().map(|devices| &*devices.store),
            pending: [
                context.device_grants.as_ref().map(|grants| &*grants.store),
                context.global_revocation.as_ref().map(|offered| &*offered.used),
            ],
            issuers: context.issuers.as_deref(),
        }
    }

    /// Removes a batch of rows that have no effect any more.
    pub(crate) async fn prune(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let rows = admin::prune(&self.admin_parts(), now, limit).await?;
        let apps = self.context.prune_described(now, limit.saturating_sub(rows.removed)).await?;
        Ok(Pruned { removed: rows.removed.saturating_add(apps.removed), more: rows.more })
    }

    /// Returns the usage of an app since this process started; nothing after this process deleted it.
    pub fn usage(&self, client_id: &ClientId) -> AppUsage {
        self.context.usage.of(client_id)
    }

    /// Returns the APIs whose apps may introspect tokens.
    pub fn resource_servers(&self) -> &[ResourceServer] {
        &self.context.resource_servers
    }

    /// Returns the catalog of the host's API, if the server has one.
    pub fn catalog(&self) -> Option<&ApiCatalog> {
        self.context.catalog.as_deref()
    }

    /// Returns the host names that `%%HOST%%` stands for in redirect URIs.
    pub fn hosts(&self) -> &InstanceHosts {
        &self.context.hosts
    }

    /// Returns the fingerprints of the roots of the server, by which its store knows them.
    pub const fn roots(&self) -> &RootsClaim {
        &self.roots
    }

    /// Returns the quotas of the server's budgets.
    #[must_use]
    pub fn rate_limits(&self) -> RateLimits {
        self.context.limiter.limits()
    }

    /// Returns the issuer identifier.
    pub fn issuer(&self) -> &Issuer {
        &self.context.issuer
    }

    /// Returns the paths of the endpoints.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Checks whether `path` leads a browser back to the authorization endpoint or to the page of the device grant,
    /// as the `return_to` of [`Interaction::login_page`](crate::http::Interaction::login_page) and of
    /// [`DeviceStep::LogIn`](crate::http::DeviceStep::LogIn) does.
    ///
    /// It travels through the host's login form, so a stranger's link may hold another one. A host that
    /// redirects only to what this accepts is no open redirector (RFC 9700 section 4.11).
    #[must_use]
    pub fn is_return_to(&self, path: &str) -> bool {
        let after = |endpoint| {
            let own = self.paths.full(self.issuer(), endpoint)?;
            path.strip_prefix(&*own)
        };
        let query = after(ServerEndpoint::Authorization).and_then(|rest| rest.strip_prefix('?'));
        let is_plain = |query: &str| query.bytes().all(|byte| byte.is_ascii_graphic());
        query.is_some_and(is_plain)
            || after(ServerEndpoint::DeviceVerification)
                .is_some_and(|rest| rest.is_empty() || (rest.starts_with('?') && is_plain(rest)))
    }

    /// Returns the metadata of the server (RFC 8414) as JSON, with the endpoints at its
    /// [`paths`](Self::paths).
    ///
    /// It leaves out the profiles of assertions, which depend on the [trusted
    /// issuers](crate::ServerBuilder::trusted_issuers) at the moment. Over HTTP, the document has them.
    pub fn metadata(&self) -> String {
        self.metadata_at(&self.paths, false)
    }

    pub(crate) fn metadata_at(&self, paths: &Paths, id_jag: bool) -> String {
        let context = &self.context;
        server_metadata_json(
            &context.issuer,
            paths,
            context.keys.at(self.now()).publishes_keys(),
            context.catalog.as_deref(),
            &context.resource_servers,
            Offers {
                documents: context.documents.is_some(),
                exchanges_tokens: context.exchanges_tokens,
                id_jag,
            },
        )
    }

    pub(crate) const fn context(&self) -> &Context<S, U, H> {
        &self.context
    }

    /// Returns the present instant by the server's clock.
    pub fn now(&self) -> UnixTime {
        self.context.clock.now()
    }

    pub(crate) fn random(&self) -> &dyn SecureRandom {
        &*self.context.random
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.context.store
    }

    /// Returns the public keys of the server as a JWK Set (RFC 7517 section 5), for its `jwks_uri`.
    /// An HS256 key is not published.
    pub fn jwk_set(&self) -> String {
        self.context.keys.at(self.now()).jwk_set().to_owned()
    }

    /// Returns the keys of the server. To change them, call [`KeyRing::replace`]; to verify tokens in this
    /// process, give them to [`BearerVerifier::following`].
    ///
    /// [`BearerVerifier::following`]: crate::resource_server::BearerVerifier::following
    pub const fn key_ring(&self) -> &KeyRing {
        &self.context.keys
    }

    /// Returns the keys that verify this server's tokens now, including an HS256 key. They do not follow a
    /// rotation.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when more than 16 keys are published, or two with one id.
    pub fn verifying_keys(&self) -> Result<VerifyingKeys, KeyError> {
        let keys = self.context.keys.at(self.now());
        VerifyingKeys::new(keys.verifying().iter().cloned().collect())
    }
}
