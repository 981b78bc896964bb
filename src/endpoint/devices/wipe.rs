//! The two requests of a phone about its wipe. A refresh token authenticates them, also a dead one: by its MAC
//! and salt a spent, revoked, expired or pruned token still proves its device.
//!
//! ```text
//! form -> open the handle -> budget of the device -> the device of its grant -> one step of the wipe
//!                        \-> budget of the source, for a token that proves nothing -> no
//! ```
//!
//! A genuine token costs only its own device, so that a stranger at the address of a phone cannot keep the phone
//! from its wipe. Questions and reports have separate budgets, so that neither starves the other.
//!
//! A report also needs the row of the grant, if there is one: only the live refresh token and the one before it
//! report.
//!
//! No app is looked up, because the phones of a disabled or deleted app are wiped, too. A forged token is
//! refused without a store call, and with the answer of a device that is not to be wiped.

use std::time::Duration;

use super::KEPT;
use crate::app::AppSettings;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::{FormRequest, refuse_duplicates};
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Rejection};
use crate::ids::ClientId;
use crate::observe::Step;
use crate::protocol::form::Form;
use crate::rate_limit::WipeKind;
use crate::server_secret::handle::GrantHandle;
use crate::store::{
    AdvanceWipe, Device, DeviceKey, RequestWipe, RevocationReason, SharedDevices, Store,
    StoreError, Wipe, WipeAdvance, WipeRequest, WipeStep,
};

const PARAMETERS: [&str; 3] = ["token", "client_id", "reason"];
/// The `reason` of a phone that has wiped itself after too many wrong PINs.
const PIN: &str = "pin";

/// The effect of a request that is answered with yes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// This request, and no other, changed the state of the device.
    Changed,
    /// The state was there before.
    None,
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers whether the phone has to wipe its data. A request without `client_id` may have a token of any
    /// of `apps`.
    pub(crate) async fn check_wipe(
        &self,
        request: &FormRequest<'_>,
        apps: &[ClientId],
    ) -> Answered<bool> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::TellWipe { device: None }, request, &*self.audit);
        let result = self.tell(request, apps, &facts, &mut trail).await;
        self.answer_wipe(&facts, trail, result)
    }

    /// Takes the report of a phone that its data is gone. The answer tells whether the report counts.
    pub(crate) async fn report_wipe(
        &self,
        request: &FormRequest<'_>,
        apps: &[ClientId],
    ) -> Answered<bool> {
        let facts = RequestFacts::new(&*self.clock, request);
        let action = Action::FinishWipe { device: None, pin: false };
        let mut trail = AuditTrail::new(action, request, &*self.audit);
        let result = self.finish(request, apps, &facts, &mut trail).await;
        self.answer_wipe(&facts, trail, result)
    }

    fn answer_wipe(
        &self,
        facts: &RequestFacts<'_>,
        mut trail: AuditTrail<'_>,
        result: Result<Effect, EndpointError>,
    ) -> Answered<bool> {
        // Phones ask again and again, and so may strangers.
        if !matches!(result, Ok(Effect::Changed) | Err(EndpointError::Failed(_))) {
            trail.silence();
        }
        self.record(facts, trail, result).and(|result| match result {
            Ok(_) => Ok(true),
            Err(EndpointError::Rejected {
                rejection: Rejection::NotToBeWiped | Rejection::UnknownToken,
                ..
            }) => Ok(false),
            // The phone may have to wipe its data, and has to ask again.
            Err(EndpointError::Failed(fault)) => Err(EndpointError::Unavailable(fault)),
            Err(error) => Err(error),
        })
    }

    async fn tell(
        &self,
        request: &FormRequest<'_>,
        apps: &[ClientId],
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Effect, EndpointError> {
        let (_, token) = self.admit_wipe(request, apps, WipeKind::Question, facts, trail)?;
        let (devices, device) = self.proven_device(&token, trail).await?;
        trail.action = Action::TellWipe { device: Some(device.key.device_id.clone()) };
        trail.enter(Step::Claim);
        match device.wipe {
            Wipe::Notified { .. } => Ok(Effect::None),
            Wipe::Requested { .. } => {
                let keep_until = device.keep_until;
                take_step(devices, device, WipeStep::Notify, keep_until, facts.now).await
            }
            Wipe::None | Wipe::Done { .. } => Err(Rejection::NotToBeWiped.into()),
        }
    }

    async fn finish(
        &self,
        request: &FormRequest<'_>,
        apps: &[ClientId],
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Effect, EndpointError> {
        let (form, token) = self.admit_wipe(request, apps, WipeKind::Report, facts, trail)?;
        let (devices, device) = self.proven_device(&token, trail).await?;
        let pin = form.get("reason") == Some(PIN);
        trail.action = Action::FinishWipe { device: Some(device.key.device_id.clone()), pin };
        if !pin && !device.wipe.is_pending() {
            return Err(Rejection::NotToBeWiped.into());
        }
        self.check_is_recent(&token.1).await?;
        trail.enter(Step::Claim);
        let kept = facts.now.plus(KEPT);
        match device.wipe {
            Wipe::Done { .. } if pin => Ok(Effect::None),
            _ if pin => {
                let longest = AppSettings::MAX_REFRESH_TOKEN_LIFETIME;
                let report = WipeRequest {
                    key: device.key,
                    by: None,
                    why: RevocationReason::Client,
                    until: facts.now.plus(Duration::from_secs(longest.into())),
                    keep_until: kept,
                    now: facts.now,
                };
                match devices.request_wipe(&report).await? {
                    RequestWipe::Requested(_) | RequestWipe::Pending(_) => Ok(Effect::Changed),
                    // Another report came first.
                    RequestWipe::Wiped(_) => Ok(Effect::None),
                    RequestWipe::Unknown => Err(Rejection::NotToBeWiped.into()),
                }
            }
            Wipe::Requested { .. } | Wipe::Notified { .. } => {
                take_step(devices, device, WipeStep::Finish, kept, facts.now).await
            }
            Wipe::None | Wipe::Done { .. } => Err(Rejection::NotToBeWiped.into()),
        }
    }

    /// Checks that a report comes with the live refresh token of its grant, or with the one before it, which
    /// the phone has if it lost an answer. An older one may have leaked long ago, and would end an order that
    /// the phone has not obeyed. Without the row of the grant, every generation counts.
    async fn check_is_recent(&self, handle: &GrantHandle) -> Result<(), EndpointError> {
        let row = self.store.find_grant(&handle.grant_id).await?;
        match row {
            Some(row) if handle.generation.saturating_add(1) < row.generation => {
                Err(Rejection::NotToBeWiped.into())
            }
            _ => Ok(()),
        }
    }

    /// Opens the token of a request, and charges the request to the device that it proves. A request that proves
    /// nothing is charged to its source.
    fn admit_wipe<'f>(
        &self,
        request: &FormRequest<'f>,
        apps: &[ClientId],
        kind: WipeKind,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(Form<'f>, (ClientId, GrantHandle)), EndpointError> {
        // These requests have budgets of their own.
        trail.reserved_failure();
        trail.enter(Step::Grant);
        let opened = read(request).and_then(|form| {
            let token = form.get("token").ok_or(Rejection::MissingParameter("token"))?;
            let token = self.opened(form.get("client_id"), apps, token)?;
            Ok((form, token))
        });
        let (charged, opened) = match opened {
            Err(rejection) => {
                let source = facts.caller.source;
                (self.limiter.charge_source_wipe(source, facts.now), Err(rejection.into()))
            }
            Ok((form, token)) => {
                let grant_id = token.1.grant_id;
                trail.grant_id = Some(grant_id);
                let charged = self.limiter.charge_device_wipe(kind, grant_id.as_bytes(), facts.now);
                (charged, Ok((form, token)))
            }
        };
        let limited = |retry| EndpointError::limited(Rejection::TooManyWipeRequests, retry);
        charged.map_err(limited)?;
        opened
    }

    /// Returns the device that an opened token proves.
    async fn proven_device(
        &self,
        (client_id, handle): &(ClientId, GrantHandle),
        trail: &mut AuditTrail<'_>,
    ) -> Result<(&dyn SharedDevices, Device), EndpointError> {
        let devices = self.devices.as_ref().ok_or(Rejection::NotToBeWiped)?;
        let devices = &*devices.store;
        let device = self.device_of(devices, client_id, handle).await?;
        trail.proven_by_token(client_id);
        let device = device.ok_or(Rejection::NotToBeWiped)?;
        trail.concerns(&device.key.subject);
        Ok((devices, device))
    }

    /// Opens a refresh token of the app that the request names, or else of one of `apps`. Pure: an HMAC an
    /// app.
    fn opened(
        &self,
        named: Option<&str>,
        apps: &[ClientId],
        token: &str,
    ) -> Result<(ClientId, GrantHandle), Rejection> {
        let open = |client_id: &ClientId| self.open_refresh_token(client_id, token).ok();
        match named {
            Some(named) => {
                let client_id = ClientId::new(named).map_err(|_| Rejection::UnknownToken)?;
                let handle = open(&client_id).ok_or(Rejection::UnknownToken)?;
                Ok((client_id, handle))
            }
            None if apps.is_empty() => Err(Rejection::MissingParameter("client_id")),
            None => {
                let opened = |client_id: &ClientId| Some((client_id.clone(), open(client_id)?));
                apps.iter().find_map(opened).ok_or(Rejection::UnknownToken)
            }
        }
    }

    /// Returns the device of an opened token: the one that was last seen under its grant, also after the row of
    /// the grant is gone. An earlier grant of the device has only its own row. One from before the wipe of the
    /// device belongs to an installation that is gone.
    async fn device_of(
        &self,
        devices: &dyn SharedDevices,
        client_id: &ClientId,
        handle: &GrantHandle,
    ) -> Result<Option<Device>, StoreError> {
        let salt = handle.salt.digest(&handle.grant_id);
        let device = devices.find_device_of(&handle.grant_id).await?;
        if let Some(device) = device.filter(|it| is_own(it, client_id, handle)) {
            return Ok(Some(device));
        }
        let grant = self.store.find_grant(&handle.grant_id).await?;
        let Some(grant) =
            grant.filter(|it| it.client_id == *client_id && it.salt_digest.matches(&salt))
        else {
            return Ok(None);
        };
        let Some(device_id) = grant.device else { return Ok(None) };
        let key = DeviceKey { client_id: grant.client_id, subject: grant.subject, device_id };
        let device = devices.find_device(&key).await?;
        Ok(device.filter(|device| grant.authorized_at >= device.installed_at))
    }
}

fn read<'a>(request: &FormRequest<'a>) -> Result<Form<'a>, Rejection> {
    let form = request.form()?;
    refuse_duplicates(&form, PARAMETERS.into_iter(), &[])?;
    Ok(form)
}

/// Checks whether `device` was last seen under the grant of `handle`, a token of `client_id`.
fn is_own(device: &Device, client_id: &ClientId, handle: &GrantHandle) -> bool {
    let of_grant = device.key.client_id == *client_id && device.grant_id == handle.grant_id;
    of_grant && device.salt_digest.matches(&handle.salt.digest(&handle.grant_id))
}

/// Takes a step of the order that `device` was read with. Another request may have taken it meanwhile, or an
/// administrator may have withdrawn the order.
async fn take_step(
    devices: &dyn SharedDevices,
    device: Device,
    step: WipeStep,
    keep_until: UnixTime,
    now: UnixTime,
) -> Result<Effect, EndpointError> {
    let order = device.wipe.order().ok_or(Rejection::NotToBeWiped)?;
    let advance = WipeAdvance { step, ordered_at: order.at, keep_until, now, key: device.key };
    match devices.advance_wipe(&advance).await? {
        AdvanceWipe::Advanced => Ok(Effect::Changed),
        AdvanceWipe::Unchanged => Ok(Effect::None),
        AdvanceWipe::Refused => Err(Rejection::NotToBeWiped.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::ids::{DeviceId, GrantId, Subject};
    use crate::server_secret::handle::Salt;
    use crate::store::DeviceSighting;

    /// W5: a token proves the device of its own grant by its salt, and no other device.
    #[test]
    fn a_token_proves_a_device_by_its_app_its_grant_and_its_salt() {
        let client = |id: &str| ClientId::new(id).unwrap();
        let handle = |grant: u8, salt: u8| GrantHandle {
            grant_id: GrantId::from_bytes([grant; 16]),
            salt: Salt([salt; 16]),
            generation: 1,
        };
        let own = handle(1, 2);
        let device = Device::first(&DeviceSighting {
            key: DeviceKey {
                client_id: client("app"),
                subject: Subject::new("ann").unwrap(),
                device_id: DeviceId::new("phone").unwrap(),
            },
            name: None,
            grant_id: own.grant_id,
            salt_digest: own.salt.digest(&own.grant_id),
            authorized_at: UnixTime::EPOCH,
            keep_until: UnixTime::EPOCH,
            now: UnixTime::EPOCH,
        });
        assert!(is_own(&device, &client("app"), &own));
        assert!(!is_own(&device, &client("other"), &own));
        assert!(!is_own(&device, &client("app"), &handle(1, 3)));
        assert!(!is_own(&device, &client("app"), &handle(3, 2)));
    }
}
