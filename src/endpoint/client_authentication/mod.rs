//! Client authentication, at whichever endpoint: [`PresentedCredentials`] become an
//! [`AuthenticatedApp`] (RFC 6749 sections 2.3 and 3.2.1, RFC 7523 section 2.2).

mod presented;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use presented::PresentedCredentials;

use crate::app::{ClientAuthentication, ClientType, CustomApp, JwtSettings};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Rejection};
use crate::ids::ClientId;
use crate::jwt::Algorithm;
use crate::jwt::assertion::{AssertionRules, peek_issuer, peek_subject};
use crate::secret::ClientSecret;
use crate::server_secret::SecretMatch;
use crate::store::{AssertionClaim, AssertionPurpose, ClaimAssertion, Store, UpdateApp};

/// The longest life of an assertion that authenticates an app, and how far its clock may be off.
const MAX_LIFETIME: Duration = Duration::from_secs(300);
const CLOCK_SKEW: Duration = Duration::from_secs(10);
/// How long a `jti` is kept beyond the last instant at which the assertion could be presented.
const CLAIM_MARGIN: Duration = Duration::from_secs(60);

/// Proof that the app proved who it is, as far as it can: a public app named itself, and an app
/// whose assertion alone authenticates it has that assertion verified next. Only
/// [`authenticate`](Context::authenticate) makes one.
#[derive(Debug)]
pub(crate) struct AuthenticatedApp {
    app: Arc<CustomApp>,
}

impl std::ops::Deref for AuthenticatedApp {
    type Target = CustomApp;

    fn deref(&self) -> &CustomApp {
        &self.app
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Finds out which app presents `credentials`. The assertion of a JWT bearer grant, where there
    /// is one, may name the app, and alone prove which it is.
    pub(crate) async fn authenticate(
        &self,
        credentials: PresentedCredentials<'_>,
        grant_assertion: Option<&str>,
        trace: &mut Trace<'_>,
    ) -> Result<AuthenticatedApp, EndpointError> {
        let claimed = claimed_client_id(&credentials, grant_assertion);
        let client_id = claimed.and_then(|id| ClientId::new(id).ok());
        // What cannot be a client id is nobody's: there is nothing to look up.
        let client_id = client_id.ok_or(Rejection::NoCredentials)?;
        trace.claim_client_id(&client_id);
        self.limiter
            .before(client_id.as_str(), trace.source(), trace.now())
            .map_err(|retry| EndpointError::limited(Rejection::TooManyFailures, retry))?;
        let app = self.store.find_app(&client_id).await?;
        let only_named = matches!(credentials, PresentedCredentials::Name { .. });
        let app = match credentials {
            PresentedCredentials::Basic { secret, .. } => {
                self.check_secret(&client_id, app, &secret, Transport::Basic, trace).await?
            }
            PresentedCredentials::Post { secret, .. } => {
                self.check_secret(&client_id, app, &secret, Transport::Post, trace).await?
            }
            PresentedCredentials::Assertion { client_id: named, assertion } => {
                if named.is_some_and(|named| named != client_id.as_str()) {
                    return Err(Rejection::AssertionClientIdMismatch.into());
                }
                self.check_assertion(app, assertion, trace).await?
            }
            PresentedCredentials::Name { .. } => check_name(app, grant_assertion.is_some())?,
        };
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        // Who only gave a name is admitted when the grant has proved it: by an assertion, or by a code
        // or refresh token that this server gave to that app.
        if !only_named {
            self.admit(&app, trace)?;
        }
        Ok(AuthenticatedApp { app })
    }

    /// The same where only a proof will do: a public app is refused as an unknown one is.
    pub(crate) async fn authenticate_confidential(
        &self,
        credentials: PresentedCredentials<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<AuthenticatedApp, EndpointError> {
        let app = self.authenticate(credentials, None, trace).await?;
        match app.settings().client_type() {
            ClientType::Confidential => Ok(app),
            ClientType::Public => Err(Rejection::PublicApp.into()),
        }
    }

    /// Takes note that `app` is who it says, and charges the request to its budget, once.
    pub(crate) fn admit(
        &self,
        app: &CustomApp,
        trace: &mut Trace<'_>,
    ) -> Result<(), EndpointError> {
        if trace.is_authenticated() {
            return Ok(());
        }
        trace.authenticated(app);
        self.limiter
            .charge_volume(app, trace.now())
            .map_err(|retry| EndpointError::limited(Rejection::QuotaExceeded, retry))
    }

    /// An unknown client costs what a wrong secret costs: one look-up, one HMAC.
    async fn check_secret(
        &self,
        client_id: &ClientId,
        app: Option<Arc<CustomApp>>,
        secret: &ClientSecret,
        transport: Transport,
        trace: &mut Trace<'_>,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let stored = app.as_ref().map_or(&[][..], |app| &app.credentials().client_secrets);
        let found = self.pepper.find(client_id.as_str(), secret, stored, trace.now());
        let Some(app) = &app else { return Err(Rejection::UnknownClient.into()) };
        if !transport.is_allowed(app.settings().authentication()) {
            return Err(Rejection::WrongAuthenticationMethod.into());
        }
        let found = found.ok_or(Rejection::WrongSecret)?;
        if found.superseded {
            trace.note(Action::UseSupersededSecret);
        }
        if found.stale {
            self.renew_digest(app, secret, found, trace).await;
        }
        Ok(Arc::clone(app))
    }

    /// The digest was made under an older pepper: this is the one moment at which it can be renewed.
    /// Whoever edits the app at the same time wins, and a store that fails is no reason to refuse: the
    /// next authentication renews it then.
    async fn renew_digest(
        &self,
        app: &Arc<CustomApp>,
        secret: &ClientSecret,
        found: SecretMatch<'_>,
        trace: &mut Trace<'_>,
    ) {
        let old = found.stored.digest.digest;
        let new = self.pepper.digest(app.client_id(), secret);
        let renewed = app.edited(trace.now(), |edit| edit.credentials.renew_digest(old, &new));
        if let Ok(UpdateApp::Updated) = self.store.update_app(renewed, app.version()).await {
            trace.note(Action::RenewDigest);
        }
    }

    async fn check_assertion(
        &self,
        app: Option<Arc<CustomApp>>,
        assertion: &str,
        trace: &mut Trace<'_>,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let app = app.ok_or(Rejection::UnknownClient)?;
        let ClientAuthentication::PrivateKeyJwt(keys) = app.settings().authentication() else {
            return Err(Rejection::WrongAuthenticationMethod.into());
        };
        let rules = AssertionRules {
            purpose: AssertionPurpose::ClientAuthentication,
            client_id: app.client_id(),
            issuer: app.client_id().as_str(),
            user_claim: "sub",
            audiences: &[self.issuer.as_str(), &self.token_endpoint_url],
            keys,
            algorithms: Algorithm::ALL,
            max_lifetime: MAX_LIFETIME,
            clock_skew: CLOCK_SKEW,
        };
        let verified = rules.verify(assertion, trace.now()).map_err(Rejection::ClientAssertion)?;
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        let claim = AssertionClaim {
            client_id: app.client_id().clone(),
            purpose: AssertionPurpose::ClientAuthentication,
            jti: verified.jti,
            expires_at: claim_expiry(verified.expires_at, CLOCK_SKEW),
            grant: None,
            now: trace.now(),
        };
        match self.store.claim_assertion(&claim).await? {
            ClaimAssertion::First { .. } => Ok(app),
            ClaimAssertion::Replayed => {
                Err(Rejection::AssertionReplayed(AssertionPurpose::ClientAuthentication).into())
            }
            ClaimAssertion::AppInactive => Err(Rejection::AppDisabled.into()),
        }
    }
}

/// Until when the `jti` of an assertion is kept.
pub(crate) fn claim_expiry(expires_at: UnixTime, clock_skew: Duration) -> UnixTime {
    expires_at.plus(clock_skew).plus(CLAIM_MARGIN)
}

/// Which app the request says it comes from; an assertion may be the only one to say it.
fn claimed_client_id<'a>(
    credentials: &'a PresentedCredentials<'_>,
    grant_assertion: Option<&str>,
) -> Option<Cow<'a, str>> {
    use Cow::{Borrowed, Owned};
    match credentials {
        PresentedCredentials::Basic { client_id, .. } => Some(Borrowed(client_id)),
        PresentedCredentials::Post { client_id, .. }
        | PresentedCredentials::Name { client_id: Some(client_id) } => Some(Borrowed(client_id)),
        PresentedCredentials::Assertion { assertion, .. } => peek_subject(assertion).map(Owned),
        PresentedCredentials::Name { client_id: None } => {
            grant_assertion.and_then(peek_issuer).map(Owned)
        }
    }
}

/// An app that only names itself is a public one, or one whose grant is an assertion that proves
/// the rest.
fn check_name(
    app: Option<Arc<CustomApp>>,
    has_grant_assertion: bool,
) -> Result<Arc<CustomApp>, Rejection> {
    let app = app.ok_or(Rejection::UnknownClient)?;
    let proves_itself = || app.settings().jwt().is_some_and(JwtSettings::assertion_authenticates);
    match app.settings().client_type() {
        ClientType::Public => Ok(app),
        ClientType::Confidential if has_grant_assertion && proves_itself() => Ok(app),
        ClientType::Confidential => Err(Rejection::NoCredentials),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Basic,
    Post,
}

impl Transport {
    fn is_allowed(self, authentication: &ClientAuthentication) -> bool {
        match authentication {
            ClientAuthentication::ClientSecret => true,
            ClientAuthentication::ClientSecretBasic => self == Self::Basic,
            ClientAuthentication::ClientSecretPost => self == Self::Post,
            ClientAuthentication::PrivateKeyJwt(_) | ClientAuthentication::None => false,
        }
    }
}
