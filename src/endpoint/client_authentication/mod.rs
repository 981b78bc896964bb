//! Client authentication at every endpoint (RFC 6749 sections 2.3 and 3.2.1, RFC 7523 section 2.2):
//! [`PresentedCredentials`] become an [`IdentifiedApp`], and admission makes it an
//! [`AuthenticatedApp`].

mod app_keys;
mod presented;
mod slow_digest;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use app_keys::AppKeys;
pub(crate) use presented::PresentedCredentials;
pub(crate) use slow_digest::MAX_SLOW_CHECKS;

use app_keys::FoundKeys;

use crate::app::{
    AppSettings, ClientAuthentication, ClientType, CustomApp, DocumentUrl, JwtSettings,
    TrustedIssuer, WorkloadRule,
};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{AuditTrail, Proof};
use crate::endpoint::context::Context;
use crate::endpoint::fetches::Need;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Fault, Rejection};
use crate::hooks::Hooks;
use crate::ids::ClientId;
use crate::jwt::assertion::{AssertionRules, VerifiedAssertion, peek_issuer, peek_subject};
use crate::jwt::evidence::UnverifiedToken;
use crate::jwt::keys::decoy_keys;
use crate::jwt::{Algorithm, AssertionError};
use crate::secret::ClientSecret;
use crate::server_secret::{SecretMatch, is_long};
use crate::store::{AssertionClaim, AssertionPurpose, ClaimAssertion, Store, UpdateApp};

/// How far the app's clock may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(10);
/// How long a `jti` is kept after the last instant at which its assertion is accepted.
const CLAIM_MARGIN: Duration = Duration::from_mins(1);

/// An enabled app that a request names, with correct credentials if it presented any. Only
/// [`authenticate`](Context::authenticate) makes one.
///
/// A public app, and an app that its assertion alone authenticates, only name themselves: the code,
/// token or assertion proves the rest, and [`admit`](Context::admit) waits for that proof.
#[derive(Debug)]
pub(crate) struct IdentifiedApp {
    app: Arc<CustomApp>,
    /// The client id as this request names it.
    client_id: ClientId,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The request only names the app.
    Named,
    /// The credentials are correct.
    Proven,
    /// The credentials are correct, and the request is charged to the app.
    Charged,
}

/// The assertion of a JWT bearer grant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrantAssertion<'a> {
    pub(crate) text: &'a str,
    /// The trusted issuer that it names, and what it says, not verified.
    pub(crate) issued: Option<(&'a TrustedIssuer, &'a UnverifiedToken<'a>)>,
}

/// An app that has proved its identity: by its credentials, or by a code, token or assertion that
/// this server issued to it or that it signed. Only [`admit`](Context::admit) makes one.
#[derive(Debug)]
pub(crate) struct AuthenticatedApp {
    app: Arc<CustomApp>,
    client_id: ClientId,
}

impl AuthenticatedApp {
    /// Returns a clone of the client id that shares nothing with other requests: each would wait for the others to
    /// count their references.
    pub(crate) fn own_client_id(&self) -> ClientId {
        self.client_id.clone()
    }
}

impl std::ops::Deref for AuthenticatedApp {
    type Target = CustomApp;

    fn deref(&self) -> &CustomApp {
        &self.app
    }
}

impl<S: Store, U: Sync, H: Hooks> Context<S, U, H> {
    /// Finds the app that presents `credentials`, and checks them. The assertion of a JWT bearer
    /// grant may name the app, and alone authenticate it.
    pub(crate) async fn authenticate(
        &self,
        credentials: PresentedCredentials<'_>,
        grant_assertion: Option<GrantAssertion<'_>>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<IdentifiedApp, EndpointError> {
        let client_id = claimed_client_id(&credentials, grant_assertion)?;
        trail.claimed(&client_id);
        let app = self.find_presented(&client_id).await?;
        let standing = match credentials {
            PresentedCredentials::Basic(_) | PresentedCredentials::Post { .. } => Standing::Proven,
            PresentedCredentials::Assertion { .. } => Standing::Charged,
            PresentedCredentials::Name { .. } => Standing::Named,
        };
        let app = match credentials {
            PresentedCredentials::Basic(basic) => {
                let secret = basic.client_secret();
                self.check_secret(&client_id, app, secret, Transport::Basic, facts, trail).await?
            }
            PresentedCredentials::Post { secret, .. } => {
                self.check_secret(&client_id, app, secret, Transport::Post, facts, trail).await?
            }
            PresentedCredentials::Assertion { client_id: named, assertion } => {
                if named.is_some_and(|named| named != client_id.as_str()) {
                    return Err(Rejection::AssertionClientIdMismatch.into());
                }
                self.check_assertion(&client_id, app, assertion, facts, trail).await?
            }
            PresentedCredentials::Name { client_id: named } => {
                check_name(app, named.is_some(), grant_assertion)?
            }
        };
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        Ok(IdentifiedApp { app, client_id, standing })
    }

    /// Finds an app. A document's row is written by the decision of a user, maybe just now in another process: it is
    /// read past the cache, which may still hold that there was none.
    async fn find_presented(
        &self,
        client_id: &ClientId,
    ) -> Result<Option<Arc<CustomApp>>, EndpointError> {
        let found = self.store.find_app(client_id).await?;
        if found.is_none() && self.documents.is_some() && DocumentUrl::of(client_id).is_some() {
            return Ok(self.store.read_app(client_id).await?);
        }
        Ok(found)
    }

    /// Authenticates an app by its credentials alone. A public app is refused like an unknown one.
    pub(crate) async fn authenticate_confidential(
        &self,
        credentials: PresentedCredentials<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<AuthenticatedApp, EndpointError> {
        let client = self.authenticate(credentials, None, facts, trail).await?;
        if client.standing == Standing::Named {
            return Err(Rejection::PublicApp.into());
        }
        let (app, ()) = self.admit(client, |_, _| Ok(()), |()| None, facts, trail)?;
        Ok(app)
    }

    /// Admits an app that has proved its identity, and charges the request to its budget.
    ///
    /// `prove` checks the code, token or assertion of the request. An app with correct credentials is
    /// charged before, any other app only if `prove` succeeds: a caller that only knows a client id
    /// cannot spend the budget of that app. Then the budget of the grant that `grant_of` names is charged
    /// first, so that one token cannot spend the budget of the app's other users.
    pub(crate) fn admit<'t, P>(
        &self,
        client: IdentifiedApp,
        prove: impl FnOnce(&CustomApp, &mut AuditTrail<'t>) -> Result<P, EndpointError>,
        grant_of: impl FnOnce(&P) -> Option<&[u8]>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'t>,
    ) -> Result<(AuthenticatedApp, P), EndpointError> {
        let IdentifiedApp { app, client_id, standing } = client;
        let proof = if standing == Standing::Named {
            let proof = prove(&app, trail)?;
            trail.authenticated(&app, Proof::Grant);
            if let Some(grant) = grant_of(&proof) {
                self.charge_grant(grant, facts)?;
            }
            self.charge_app(&app, facts)?;
            proof
        } else {
            trail.authenticated(&app, Proof::Credentials);
            if standing == Standing::Proven {
                self.charge_app(&app, facts)?;
            }
            prove(&app, trail)?
        };
        Ok((AuthenticatedApp { app, client_id }, proof))
    }

    /// Admits an app that asks on behalf of a user. A public app only names itself: then its budget is not charged,
    /// and the answer is false.
    pub(crate) fn admit_to_ask(
        &self,
        client: IdentifiedApp,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(Arc<CustomApp>, bool), EndpointError> {
        if client.standing == Standing::Named {
            return Ok((client.app, false));
        }
        let (app, ()) = self.admit(client, |_, _| Ok(()), |()| None, facts, trail)?;
        Ok((app.app, true))
    }

    fn charge_app(&self, app: &CustomApp, facts: &RequestFacts<'_>) -> Result<(), EndpointError> {
        let charged = self.limiter.charge_volume(app, facts.now);
        charged.map_err(|retry| EndpointError::limited(Rejection::QuotaExceeded, retry))
    }

    fn charge_grant(&self, name: &[u8], facts: &RequestFacts<'_>) -> Result<(), EndpointError> {
        let charged = self.limiter.charge_grant(name, facts.now);
        charged.map_err(|retry| EndpointError::limited(Rejection::GrantOverused, retry))
    }

    /// Checks a secret. An unknown client costs as much as a wrong secret: one look-up, one HMAC.
    ///
    /// An imported secret may be short. A failure is reserved before it is compared and given back after a
    /// match; if the budget is spent, only generated secrets are compared.
    async fn check_secret(
        &self,
        client_id: &ClientId,
        app: Option<Arc<CustomApp>>,
        secret: &str,
        transport: Transport,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let stored = app.as_ref().map_or(&[][..], |app| &app.credentials().client_secrets);
        let is_guessable = stored.iter().any(|it| it.is_guessable() && it.is_valid(facts.now));
        let reserved = is_guessable.then(|| {
            self.limiter.reserve_failure(Some(client_id.as_str()), facts.caller.source, facts.now)
        });
        let guesses = !matches!(reserved, Some(Err(_)));
        let fast = self.pepper.find(client_id.as_str(), secret, stored, guesses, facts.now);
        let found = match fast {
            None if guesses => self.find_slow(secret, stored, facts.now).await,
            found => Ok(found),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                // No guess was judged.
                if let Some(Ok(reserved)) = reserved {
                    self.limiter.give_back_failure(reserved);
                }
                return Err(error);
            }
        };
        match reserved {
            Some(Ok(reserved)) if found.is_some() => self.limiter.give_back_failure(reserved),
            Some(Ok(_)) => trail.reserved_failure(),
            Some(Err(retry)) if found.is_none() => {
                return Err(EndpointError::limited(Rejection::TooManyFailures, retry));
            }
            Some(Err(_)) | None => {}
        }
        let Some(known) = &app else { return Err(Rejection::UnknownClient.into()) };
        if !transport.is_allowed(known.settings().authentication()) {
            return Err(Rejection::WrongAuthenticationMethod.into());
        }
        let found = found.ok_or(Rejection::WrongSecret)?;
        if found.superseded {
            trail.note(Action::UseSupersededSecret);
        }
        if found.stale {
            self.renew_digest(known, secret, found, facts, trail).await;
        }
        app.ok_or(Rejection::UnknownClient.into())
    }

    /// Renews a digest that was made under an older pepper or by another server, best effort: a
    /// concurrent edit of the app wins, and after a store failure the next authentication tries again.
    async fn renew_digest(
        &self,
        app: &Arc<CustomApp>,
        secret: &str,
        found: SecretMatch<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) {
        let secret = ClientSecret::new(secret);
        let new = self.pepper.digest(app.client_id(), &secret);
        let (old, long) = (&found.stored.digest, is_long(&secret));
        let renewed = app.edited(facts.now, |edit| edit.credentials.renew_digest(old, &new, long));
        if let Ok(UpdateApp::Updated) = self.store.update_app(renewed, app.version()).await {
            trail.note(Action::RenewDigest);
        }
    }

    /// Checks a client assertion and claims its `jti`. An unknown client, and one with another method, cost
    /// as much as a wrong signature: one look-up, one verification.
    ///
    /// The claim is a row, so its budgets are charged before: that of the assertion, which may be a stolen
    /// one, and that of the app.
    async fn check_assertion(
        &self,
        client_id: &ClientId,
        app: Option<Arc<CustomApp>>,
        assertion: &str,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let source = facts.caller.source;
        let found = self.keys_of(app.as_deref(), Need::Use, source, facts.now).await?;
        let keys = found.as_ref().and_then(FoundKeys::keys);
        let settings = app.as_ref().map(|app| app.settings());
        let by_url = settings.is_some_and(AppSettings::allows_endpoint_audience);
        let limit = self.client_assertion_lifetime;
        let own_limit = settings.and_then(AppSettings::client_assertion_lifetime);
        let newer;
        let mut rules = AssertionRules {
            purpose: AssertionPurpose::ClientAuthentication,
            client_id,
            issuer: client_id.as_str(),
            user_claim: "sub",
            audience: self.issuer.as_str(),
            endpoints: if by_url { &self.endpoint_urls } else { &[] },
            keys: keys.unwrap_or_else(|| decoy_keys()),
            algorithms: Algorithm::ALL,
            max_lifetime: own_limit
                .map_or(limit, |seconds| limit.min(Duration::from_secs(seconds.into()))),
            needs_jti: true,
            clock_skew: CLOCK_SKEW,
        };
        let mut verdict = rules.verify(assertion, facts.now);
        if found.as_ref().is_some_and(FoundKeys::may_be_newer)
            && matches!(verdict, Err(AssertionError::UnknownKey | AssertionError::Algorithm))
        {
            // The app may have a new key, also for another algorithm.
            newer = self.keys_of(app.as_deref(), Need::Newer, source, facts.now).await?;
            let newer = newer.as_ref().and_then(FoundKeys::keys);
            rules.keys = newer.unwrap_or_else(|| decoy_keys());
            verdict = rules.verify(assertion, facts.now);
        }
        let verdict = verdict.map_err(Rejection::ClientAssertion);
        let (Some(app), Some(found), Some(_)) = (&app, &found, keys) else {
            let refusal = refused_without_keys(app.is_some(), verdict);
            // No keys are fetched for a disabled app.
            let is_disabled = app.as_ref().is_some_and(|app| !app.is_enabled());
            let has_none = is_disabled && refusal == Rejection::WrongAuthenticationMethod;
            return Err(if has_none { Rejection::AppDisabled } else { refusal }.into());
        };
        let verified = verdict?;
        self.note_key_use(app, found);
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        let jti = verified.jti.ok_or(Rejection::ClientAssertion(AssertionError::JtiMissing))?;
        let claim = AssertionClaim {
            client_id: app.client_id().clone(),
            purpose: AssertionPurpose::ClientAuthentication,
            jti,
            expires_at: claim_expiry(verified.expires_at, CLOCK_SKEW),
            grant: None,
            makes_row: false,
            now: facts.now,
        };
        self.charge_grant(jti.as_bytes(), facts)?;
        self.charge_app(app, facts)
            .inspect_err(|_| trail.authenticated(app, Proof::Credentials))?;
        match self.store.claim_assertion(&claim).await? {
            ClaimAssertion::First { .. } => Ok(Arc::clone(app)),
            ClaimAssertion::Replayed => {
                self.limiter.give_back_volume(app.client_id());
                Err(Rejection::AssertionReplayed(AssertionPurpose::ClientAuthentication).into())
            }
            ClaimAssertion::AppInactive => Err(Rejection::AppDisabled.into()),
            ClaimAssertion::Revoked => {
                Err(Fault::StoreContract("an assertion without access was revoked").into())
            }
        }
    }
}

/// Returns the instant until which the `jti` of an assertion is kept, if no setting allows a larger
/// skew than `max_clock_skew`.
pub(crate) fn claim_expiry(expires_at: UnixTime, max_clock_skew: Duration) -> UnixTime {
    expires_at.plus(max_clock_skew).plus(CLAIM_MARGIN)
}

/// Returns the cause to refuse a client assertion of an app without keys, or of no app. A fault that any
/// app would be refused for comes first.
fn refused_without_keys(known: bool, verdict: Result<VerifiedAssertion, Rejection>) -> Rejection {
    use AssertionError::{ForbiddenHeader, Header, NotAJwt, Typ};
    match verdict {
        Err(fault @ Rejection::ClientAssertion(NotAJwt | Header | ForbiddenHeader | Typ)) => fault,
        _ if known => Rejection::WrongAuthenticationMethod,
        _ => Rejection::UnknownClient,
    }
}

/// Returns the client id that the request claims. It may be named by an assertion alone. A malformed one
/// cannot be registered.
fn claimed_client_id(
    credentials: &PresentedCredentials<'_>,
    grant_assertion: Option<GrantAssertion<'_>>,
) -> Result<ClientId, Rejection> {
    let named = |id: &str| ClientId::new(id).map_err(|_| Rejection::NoCredentials);
    match credentials {
        PresentedCredentials::Basic(basic) => named(basic.client_id()),
        PresentedCredentials::Post { client_id, .. } => named(client_id),
        PresentedCredentials::Name { client_id: Some(client_id) } => named(client_id),
        PresentedCredentials::Assertion { assertion, .. } => {
            let subject = peek_subject(assertion).map_err(Rejection::ClientAssertion)?;
            ClientId::new(subject).map_err(|_| Rejection::UnknownClient)
        }
        PresentedCredentials::Name { client_id: None } => {
            let GrantAssertion { text: assertion, issued } =
                grant_assertion.ok_or(Rejection::NoCredentials)?;
            if let Some((record, token)) = issued {
                let rule = workload_rule(token, record, None);
                let rule = rule.filter(|rule| rule.authenticates());
                return Ok(rule.ok_or(Rejection::NoCredentials)?.app().clone());
            }
            let issuer = peek_issuer(assertion).map_err(Rejection::Assertion)?;
            ClientId::new(issuer).map_err(|_| Rejection::Assertion(AssertionError::Iss))
        }
    }
}

/// Checks that an app without credentials is public, or one that its assertion alone authenticates.
/// Without a `client_id` the assertion named the app.
fn check_name(
    app: Option<Arc<CustomApp>>,
    has_client_id: bool,
    grant_assertion: Option<GrantAssertion<'_>>,
) -> Result<Arc<CustomApp>, Rejection> {
    let unknown = if has_client_id {
        Rejection::UnknownClient
    } else {
        Rejection::Assertion(AssertionError::Iss)
    };
    let app = app.ok_or(unknown)?;
    let proves_itself = |grant: GrantAssertion<'_>| match grant.issued {
        Some((record, token)) => workload_rule(token, record, Some(app.client_id()))
            .is_some_and(WorkloadRule::authenticates),
        None => app.settings().jwt().is_some_and(JwtSettings::assertion_authenticates),
    };
    match app.settings().client_type() {
        ClientType::Public => Ok(app),
        ClientType::Confidential if grant_assertion.is_some_and(proves_itself) => Ok(app),
        ClientType::Confidential => Err(Rejection::NoCredentials),
    }
}

/// Returns the rule that admits the workload of an assertion, **not verified**. The policy engine finds the same one
/// after the assertion is verified.
fn workload_rule<'a>(
    token: &UnverifiedToken<'_>,
    record: &'a TrustedIssuer,
    app: Option<&ClientId>,
) -> Option<&'a WorkloadRule> {
    if record.workloads().is_empty() || token.is_id_jag() {
        return None;
    }
    let (subject, claims) = token.workload()?;
    let mut of_app = record.workloads().iter().filter(|it| app.is_none_or(|app| it.app() == app));
    of_app.find(|rule| rule.admits(&subject, &claims))
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
            ClientAuthentication::PrivateKeyJwt(_)
            | ClientAuthentication::PrivateKeyJwtUri(_)
            | ClientAuthentication::None => false,
        }
    }
}

#[cfg(test)]
mod tests;
