//! The policy document: the rules of an app for its installations on phones.

use crate::app::PolicyDocument;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Rejection};
use crate::jwt::AccessTokenClaims;
use crate::observe::Step;
use crate::resource_server::BearerRequest;
use crate::store::{AccessFacts, DeviceKey, Store};

/// The rules of an app, for an installation on a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePolicy {
    /// The rules.
    pub document: PolicyDocument,
    /// The instant of this answer by the server's clock. A phone keeps it with the document, and a 304 does not
    /// renew it. Offline limits count from the `Date` of a refresh instead.
    pub server_time: UnixTime,
}

impl DevicePolicy {
    /// Returns the entity tag (RFC 9110 section 8.8.3): weak, because `server_time` is no part of it.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("W/\"{}\"", self.document.version())
    }

    /// Returns the document as JSON, with `server_time` in seconds since 1970.
    #[must_use]
    pub fn to_json(&self) -> String {
        let seconds = self.server_time.as_seconds();
        let rest = self.document.as_json().strip_prefix('{').unwrap_or("}");
        format!("{{\"server_time\":{seconds},{rest}")
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers a request for the policy document.
    pub(crate) async fn device_policy(&self, request: &FormRequest<'_>) -> Answered<DevicePolicy> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::ReadPolicy, request, &*self.audit);
        let result = self.read_policy(request, &facts, &mut trail).await;
        if result.is_ok() {
            trail.silence();
        }
        self.record(&facts, trail, result)
    }

    async fn read_policy(
        &self,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<DevicePolicy, EndpointError> {
        let token = BearerRequest::new(request.authorization_header()).token();
        let token = token.map_err(|_| Rejection::NoCredentials)?;
        trail.enter(Step::Grant);
        let claims = self.recognise_access_token(token, facts.now)?;
        // The token is genuine: that it has died meanwhile is no guess.
        trail.reserved_failure();
        trail.proven_by_token(&claims.client_id);
        trail.grant_id = Some(claims.grant_id);
        trail.concerns(&claims.subject);
        // Before the store: a dead token, too, costs its own grant, and nothing of the app.
        self.charge_policy(&claims, facts.now)?;
        self.check_times(&claims, facts.now)?;
        if self.store.is_revoked(&AccessFacts::from(&claims)).await? {
            return Err(Rejection::RevokedToken.into());
        }
        let app = self.store.find_app(&claims.client_id).await?.ok_or(Rejection::RevokedToken)?;
        let rules = app.settings().mobile_security();
        if !rules.has_rules() {
            return Err(Rejection::NoMobileSecurity.into());
        }
        let document = rules.document();
        self.note_policy(claims, document.version()).await;
        Ok(DevicePolicy { document, server_time: facts.now })
    }

    /// Charges a read to the grant of its token, apart from refreshes: APIs see access tokens, and must not be
    /// able to spend what the phone needs to refresh.
    fn charge_policy(
        &self,
        claims: &AccessTokenClaims,
        now: UnixTime,
    ) -> Result<(), EndpointError> {
        let name = [&b"policy"[..], claims.grant_id.as_bytes()].concat();
        let charged = self.limiter.charge_grant(&name, now);
        charged.map_err(|retry| EndpointError::limited(Rejection::GrantOverused, retry))
    }

    /// Notes that a device has read its rules, best effort: the rules matter more than the note, and the next
    /// request notes them.
    async fn note_policy(&self, claims: AccessTokenClaims, version: &str) {
        let (Some(devices), Some(device_id)) = (&self.devices, claims.device) else { return };
        let key = DeviceKey { client_id: claims.client_id, subject: claims.subject, device_id };
        let found = devices.store.find_device(&key).await;
        if let Ok(Some(device)) = found
            && device.policy_seen.as_deref() != Some(version)
        {
            drop(devices.store.note_policy(&key, version).await);
        }
    }
}
