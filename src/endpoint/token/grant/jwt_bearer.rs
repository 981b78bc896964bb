//! The JWT bearer grant: RFC 7523 section 2.1, with impersonation.

use std::time::Duration;

use super::super::scope_decision::GrantedScope;
use super::refresh_token::narrowed;
use super::{GrantedResource, PendingClaim, ValidGrant};
use crate::app::{AssertionKeys, CustomApp, Flow, JwtSettings};
use crate::clock::UnixTime;
use crate::endpoint::client_authentication::{AuthenticatedApp, claim_expiry};
use crate::endpoint::context::Context;
use crate::endpoint::trace::Trace;
use crate::error::{EndpointError, Fault, Rejection};
use crate::ids::{Issuer, Resource, Subject};
use crate::jwt::assertion::{AssertionRules, VerifiedAssertion};
use crate::jwt::{Algorithm, VerifyingKey, VerifyingKeys};
use crate::protocol::grant_type::GrantType;
use crate::server_secret::handle::{Salt, new_grant_names};
use crate::store::{AssertionClaim, AssertionPurpose, Grant, Store};
use crate::users::{User, UserDirectory};

const GRANT: GrantType = GrantType::JwtBearer;

impl<S: Store, U: UserDirectory, H: Sync> Context<S, U, H> {
    pub(super) async fn validate_assertion(
        &self,
        app: &AuthenticatedApp,
        assertion: &str,
        trace: &mut Trace<'_>,
    ) -> Result<ValidGrant, EndpointError> {
        let settings = app.settings();
        let jwt = settings.jwt().filter(|_| settings.allows(Flow::JwtBearer));
        let jwt = jwt.ok_or(Rejection::FlowNotAllowed(GRANT))?;
        let verified = self.verify_assertion(app, jwt, assertion, trace.now())?;
        self.admit(app, trace)?;
        let user = self.named_user(jwt.user_claim(), &verified.subject).await?;
        trace.subject = Some(user.subject.clone());
        let policy = jwt.impersonation();
        policy.permits(&user).map_err(Rejection::ImpersonationDenied)?;
        let scope = narrowed(settings.scope(), policy.scope.as_ref())?;
        let (grant_id, salt, lifetime) = if issues_refresh_token(app, jwt) {
            let (grant_id, salt) = new_grant_names(&*self.random)?;
            (grant_id, Some(salt), settings.refresh_token_lifetime())
        } else {
            (trace.rowless_grant_id(), None, settings.access_token_lifetime())
        };
        trace.grant_id = Some(grant_id);
        let claim = AssertionClaim {
            client_id: app.client_id().clone(),
            purpose: AssertionPurpose::Grant,
            jti: verified.jti,
            expires_at: claim_expiry(verified.expires_at, seconds(jwt.clock_skew())),
            grant: None,
            now: trace.now(),
        };
        Ok(ValidGrant {
            grant_type: GRANT,
            grant_id,
            subject: user.subject.clone(),
            user: Some(user),
            actor: Some(app.client_id().clone()),
            scope,
            asked_scope: verified.scope,
            resource: GrantedResource::Open,
            device: None,
            auth_time: None,
            ends_at: trace.now().plus(seconds(lifetime)),
            claim: PendingClaim::Assertion { claim, salt },
        })
    }

    fn verify_assertion(
        &self,
        app: &CustomApp,
        jwt: &JwtSettings,
        assertion: &str,
        now: UnixTime,
    ) -> Result<VerifiedAssertion, EndpointError> {
        let secret_key;
        let (keys, fitting) = match jwt.assertion_keys() {
            AssertionKeys::Keys(keys) => (keys, Algorithm::ALL),
            AssertionKeys::SignatureSecret => {
                secret_key = self.signature_key(app)?;
                (&secret_key, &[Algorithm::HS256][..])
            }
        };
        let audience = jwt.audience().unwrap_or(self.issuer.as_str());
        let audiences = [audience, &self.token_endpoint_url];
        let allowed = if jwt.allows_token_endpoint_audience() { 2 } else { 1 };
        let rules = AssertionRules {
            purpose: AssertionPurpose::Grant,
            client_id: app.client_id(),
            issuer: jwt.issuer().unwrap_or(app.client_id().as_str()),
            user_claim: jwt.user_claim(),
            audiences: audiences.get(..allowed).unwrap_or_default(),
            keys,
            algorithms: if jwt.algorithms().is_empty() { fitting } else { jwt.algorithms() },
            max_lifetime: seconds(jwt.max_lifetime()),
            clock_skew: seconds(jwt.clock_skew()),
        };
        Ok(rules.verify(assertion, now).map_err(Rejection::Assertion)?)
    }

    /// The key of an app that signs with its signature secret.
    fn signature_key(&self, app: &CustomApp) -> Result<VerifyingKeys, EndpointError> {
        let sealed = app.credentials().signature_secret.as_ref();
        // An app that has no signature secret has signed nothing with it.
        let sealed = sealed.ok_or(Rejection::Assertion(crate::jwt::AssertionError::UnknownKey))?;
        let opened = self.sealing.open(app.client_id(), sealed);
        let secret = opened.map_err(|_| Fault::SealedSecret)?;
        VerifyingKey::from_hmac_secret(secret.expose_secret().as_bytes())
            .and_then(|key| VerifyingKeys::new(vec![key]))
            .map_err(|_| Fault::SealedSecret.into())
    }

    /// The user whom the assertion names. Where that is by `sub`, the directory must know the very
    /// same name: one that folds case does not widen the policy.
    async fn named_user(&self, claim: &str, name: &str) -> Result<User, EndpointError> {
        let user = if claim == "sub" {
            match Subject::new(name) {
                Ok(subject) => {
                    let user = self.users.find_user(&subject).await?;
                    user.filter(|user| user.subject == subject)
                }
                Err(_) => None,
            }
        } else {
            self.users.find_user_by_claim(claim, name).await?
        };
        user.ok_or(Rejection::UnknownUser.into())
    }
}

fn issues_refresh_token(app: &CustomApp, jwt: &JwtSettings) -> bool {
    app.settings().issues_refresh_token() && jwt.issues_refresh_token()
}

/// The row of an impersonation that gets a refresh token: it begins at generation 1.
pub(in super::super) fn impersonation_row(
    grant: &ValidGrant,
    client_id: &crate::ids::ClientId,
    scope: &GrantedScope,
    issuer: &Issuer,
    salt: Salt,
    now: UnixTime,
) -> Grant {
    let id = grant.grant_id;
    let scope_of_row = scope.scope().clone();
    let mut row = Grant::new(id, client_id.clone(), grant.subject.clone(), scope_of_row);
    // For whom the first token is, the later ones are, whatever the app's default is then.
    row.resource = Resource::new(scope.audience(issuer)).ok();
    row.actor.clone_from(&grant.actor);
    row.salt_digest = salt.digest(&id);
    row.authorized_at = now;
    row.expires_at = grant.ends_at;
    row.generation = 1;
    row.rotated_at = now;
    row
}

const fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}
