//! Stage *see device*: the phone of a token request, if the server keeps devices and the app has mobile
//! security.

use std::sync::Arc;

use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::endpoint::devices::NamedDevice;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Rejection};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::store::{DeviceSighting, Grant, Rotation, SeeDevice, Store};

const DAY_SECONDS: i64 = 86_400;

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Returns the device that the request names. Other apps may send the parameters, and nothing reads them.
    pub(super) fn named_device(
        &self,
        grant_type: GrantType,
        form: &Form<'_>,
        app: &CustomApp,
    ) -> Result<Option<NamedDevice>, Rejection> {
        if self.devices.is_none() || !app.settings().mobile_security().has_rules() {
            return Ok(None);
        }
        match grant_type {
            GrantType::AuthorizationCode => NamedDevice::read(form).map(Some),
            // The grant has its device since the code was redeemed.
            GrantType::RefreshToken => Ok(Some(NamedDevice::default())),
            GrantType::JwtBearer
            | GrantType::ClientCredentials
            | GrantType::DeviceCode
            | GrantType::TokenExchange => {
                let none = NamedDevice::present_id(form).is_none();
                if none { Ok(None) } else { Err(Rejection::DeviceNotAllowed) }
            }
        }
    }

    /// Returns the URL at which an app asks whether it has to wipe its data, for the refusal of a refresh token
    /// that is genuine and dead.
    pub(super) fn wipe_hint(&self, grant_type: GrantType, app: &CustomApp) -> Option<&Arc<str>> {
        let url = self.devices.as_ref()?.wipe_check.as_ref()?;
        let wipes = app.settings().mobile_security().remote_wipe;
        (wipes && grant_type == GrantType::RefreshToken).then_some(url)
    }

    /// Records that a device is about to get access, unless it has to be wiped.
    pub(super) async fn see(&self, sighting: Option<&DeviceSighting>) -> Result<(), EndpointError> {
        let (Some(devices), Some(sighting)) = (&self.devices, sighting) else { return Ok(()) };
        match devices.store.see_device(sighting).await? {
            SeeDevice::Seen => Ok(()),
            SeeDevice::ToBeWiped => Err(Rejection::DeviceToBeWiped.into()),
        }
    }

    /// Returns the sighting of the device of `row`, if its last refresh was on another day. The instant of that
    /// refresh stands in the row, so a phone that refreshes every hour costs one call a day.
    ///
    /// A dead token is no sighting: it would make a wiped device new, and replace the newest grant by an old
    /// one.
    pub(super) async fn due_sighting(
        &self,
        row: &Grant,
        rotation: &Rotation,
        facts: &RequestFacts<'_>,
    ) -> Result<Option<Box<DeviceSighting>>, EndpointError> {
        let Some(named) = facts.device else { return Ok(None) };
        if row.device.is_none()
            || day(row.rotated_at) == day(facts.now)
            || row.is_expired(rotation)
            || self.store.is_revoked(&row.facts()).await?
        {
            return Ok(None);
        }
        Ok(named.sighting(row, facts.now).map(Box::new))
    }
}

/// Returns the day of an instant (UTC).
const fn day(instant: UnixTime) -> i64 {
    instant.as_seconds().div_euclid(DAY_SECONDS)
}
