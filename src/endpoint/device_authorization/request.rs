//! The device authorization request and response: RFC 8628 sections 3.1 and 3.2.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DeviceGrants, OpenedDeviceCode, UserCode};
use crate::app::{CustomApp, Flow};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::authorization::{asked_resources, requested_scope};
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::context::Context;
use crate::endpoint::form_request::{FormRequest, refuse_duplicates};
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{DeviceGrantRefusal, EndpointError, Fault, Rejection};
use crate::hooks::Hooks;
use crate::ids::{ClientId, GrantId, Source};
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::secret::DeviceCode;
use crate::server_secret::handle::{Salt, new_grant_names};
use crate::server_secret::{Purpose, Sealed};
use crate::store::{Keep, PendingRecord, Store};

/// The names of the parameters beside those of client authentication.
const PARAMETERS: [&str; 2] = ["scope", "resource"];
/// The parameters that may repeat (RFC 8707 section 2).
const REPEATABLE: [&str; 1] = ["resource"];
/// The number of user codes that are tried. With a million pending ones, one in 25,000 is taken.
const MAX_TRIES: usize = 8;

/// The answer to a device (RFC 8628 section 3.2). HTTP adapters send it with `Cache-Control: no-store`.
///
/// `Debug` does not show the codes.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeviceAuthorization {
    /// The code with which the device polls the token endpoint.
    pub device_code: DeviceCode,
    /// The code that the user types, in two groups.
    user_code: UserCode,
    /// The page for the user, short enough to be typed.
    pub verification_uri: String,
    /// The lifetime of both codes, in seconds.
    pub expires_in: u64,
    /// The least time between two polls, in seconds.
    pub interval: u64,
}

#[derive(Serialize)]
struct Body<'a> {
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    expires_in: u64,
    interval: u64,
}

impl DeviceAuthorization {
    /// Returns the code that the user types, such as `BCDF-GHJK`.
    #[must_use]
    pub fn user_code(&self) -> String {
        self.user_code.to_text()
    }

    /// Returns the page for the user with the code filled in, for a QR code.
    #[must_use]
    pub fn verification_uri_complete(&self) -> String {
        // The letters and the hyphen of a code need no escape.
        format!("{}?user_code={}", self.verification_uri, self.user_code())
    }

    /// Returns the body of the response as JSON. Do not log it: it contains the codes.
    #[must_use]
    pub fn to_json(&self) -> String {
        let body = Body {
            device_code: self.device_code.expose_secret(),
            user_code: &self.user_code(),
            verification_uri: &self.verification_uri,
            verification_uri_complete: &self.verification_uri_complete(),
            expires_in: self.expires_in,
            interval: self.interval,
        };
        // A record of strings and numbers always has a JSON form.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

/// The request of a device, as it is kept for the user, and as it travels through the browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeviceRequest {
    pub(super) grant_id: GrantId,
    pub(super) salt: Salt,
    pub(super) client_id: ClientId,
    pub(super) scope: Scope,
    pub(super) resources: Option<Resources>,
    /// The address of the device, if the host tells.
    pub(super) source: Option<Source>,
    pub(super) requested_at: UnixTime,
    pub(super) expires_at: UnixTime,
}

impl<S: Store, U: Sync, H: Hooks> Context<S, U, H> {
    /// Answers a device authorization request, and records how it ended.
    pub(crate) async fn device_authorization(
        &self,
        request: &FormRequest<'_>,
    ) -> Answered<DeviceAuthorization> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::AuthorizeDevice, request, &*self.audit);
        let result = self.begin_device(request, &facts, &mut trail).await;
        self.record(&facts, trail, result)
    }

    async fn begin_device(
        &self,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<DeviceAuthorization, EndpointError> {
        let grants = self.device_grants.as_ref().ok_or(Rejection::UnsupportedGrantType)?;
        let form = request.form()?;
        let known = PARAMETERS.into_iter().chain(PresentedCredentials::PARAMETERS);
        refuse_duplicates(&form, known, &REPEATABLE)?;
        let credentials = PresentedCredentials::read(request, &form)?;
        trail.enter(Step::Client);
        self.store.refresh().await?;
        let client = self.authenticate(credentials, None, facts, trail).await?;
        let (app, is_proven) = self.admit_to_ask(client, facts, trail)?;
        trail.enter(Step::Scope);
        check_flow(&app)?;
        let scope = requested_scope(app.settings(), form.get("scope").unwrap_or_default())?;
        let resources = asked_resources(form.all("resource"), app.settings(), &self.issuer)?;
        if !is_proven {
            // The app only named itself, so the budget of its tokens is not charged.
            let charged = grants.budgets.charge_request(&app, facts.caller.source, facts.now);
            let limited = DeviceGrantRefusal::TooManyRequests;
            charged
                .map_err(|retry| EndpointError::limited(Rejection::DeviceGrant(limited), retry))?;
        }
        trail.enter(Step::Claim);
        let (grant_id, salt) = new_grant_names(&*self.random)?;
        trail.grant_id = Some(grant_id);
        trail.flow = Some(Flow::DeviceCode);
        let asked = DeviceRequest {
            grant_id,
            salt,
            client_id: app.client_id().clone(),
            scope,
            resources,
            source: facts.caller.source.cloned(),
            requested_at: facts.now,
            expires_at: facts.now.plus(grants.lifetime),
        };
        let user_code = self.keep_request(grants, &asked).await?;
        let code = OpenedDeviceCode { grant_id, salt, expires_at: asked.expires_at };
        Ok(DeviceAuthorization {
            device_code: DeviceCode::new(code.seal(&self.handles, app.client_id())),
            user_code,
            verification_uri: grants.verification_uri.clone(),
            expires_in: grants.lifetime.as_secs(),
            interval: grants.interval.as_secs(),
        })
    }

    /// Keeps the request under a user code that is free.
    async fn keep_request(
        &self,
        grants: &DeviceGrants,
        asked: &DeviceRequest,
    ) -> Result<UserCode, EndpointError> {
        // A record of strings and numbers always has a JSON form.
        let plain = serde_json::to_vec(asked).unwrap_or_default();
        for _ in 0..MAX_TRIES {
            let code = UserCode::generate(&*self.random)?;
            let key = grants.key_of(code);
            let purpose = Purpose::DeviceRequest(&key);
            let sealed = self.sealing.seal_for(purpose, &plain, &*self.random)?;
            let sealed = sealed.to_text().into_bytes();
            let record = PendingRecord { key, sealed, expires_at: asked.expires_at };
            if grants.store.keep(&record, asked.requested_at).await? == Keep::Kept {
                return Ok(code);
            }
        }
        Err(Fault::StoreContract("every user code is taken").into())
    }
}

impl<S: Sync, U: Sync, H: Sync> Context<S, U, H> {
    /// Finds the request that is pending under a user code.
    pub(super) async fn kept_request(
        &self,
        grants: &DeviceGrants,
        code: UserCode,
        now: UnixTime,
    ) -> Result<Option<DeviceRequest>, EndpointError> {
        for key in grants.keys_of(code) {
            let Some(sealed) = grants.store.find_kept(&key, now).await? else { continue };
            let text = std::str::from_utf8(&sealed).ok();
            let sealed = text.and_then(|text| Sealed::from_text(text).ok());
            let purpose = Purpose::DeviceRequest(&key);
            let plain = sealed.and_then(|sealed| self.sealing.open_for(purpose, &sealed).ok());
            let asked =
                plain.and_then(|plain| serde_json::from_slice::<DeviceRequest>(&plain).ok());
            // A record whose root was given up is lost, as is a refresh token.
            if let Some(asked) = asked.filter(|asked| asked.expires_at > now) {
                return Ok(Some(asked));
            }
        }
        Ok(None)
    }
}

/// Checks that the app may use the grant.
pub(super) fn check_flow(app: &CustomApp) -> Result<(), Rejection> {
    if app.may_use(Flow::DeviceCode) {
        Ok(())
    } else {
        Err(Rejection::FlowNotAllowed(GrantType::DeviceCode))
    }
}

/// Returns the instant until which the row of a decision accepts its device code. The host that redeems it may
/// have a clock that is ahead.
pub(super) fn redeemable_until(asked: &DeviceRequest, clock_skew: Duration) -> UnixTime {
    asked.expires_at.plus(clock_skew)
}
