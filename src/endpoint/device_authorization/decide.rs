//! The decision of the user about a device becomes a row once (RFC 8628 section 3.3). The first decision wins, and
//! only its own user may repeat it.

use super::request::{DeviceRequest, redeemable_until};
use crate::app::{CustomApp, Flow};
use crate::audit::{Action, Actor, AuditEvent};
use crate::clock::UnixTime;
use crate::endpoint::authorization::{AuthorizationError, Decision, Login, ToDecide, decided_row};
use crate::endpoint::caller::Caller;
use crate::endpoint::context::Context;
use crate::error::{EndpointError, Fault, Rejection};
use crate::observe::Outcome;
use crate::secret::Digest;
use crate::store::{Grant, InsertGrant, RevocationReason, Store};

/// A decision about a device that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceDecision {
    /// The name of the app.
    pub app_name: String,
    /// Whether the user approved. The device learns of it when it polls next.
    pub approved: bool,
}

/// The binding of every device code: it has neither redirect URI nor challenge.
pub(crate) fn device_binding() -> Digest {
    Digest::of_fields(&[b"device code"])
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Stores the decision that belongs to `ticket`, and records how that ended.
    pub(crate) async fn decide_device(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        caller: Caller<'_>,
    ) -> Result<DeviceDecision, AuthorizationError> {
        match self.store_device_decision(ticket, login, &decision).await {
            Ok((decision, asked)) => {
                let approved = decision.approved;
                let action =
                    if approved { Action::ApproveDevice } else { Action::DenyAuthorization };
                self.record_device_step(action, login, &asked, caller);
                Ok(decision)
            }
            Err(error) => Err(self.refuse(Action::ApproveDevice, Some(login), error, caller)),
        }
    }

    async fn store_device_decision(
        &self,
        ticket: &str,
        login: &Login,
        decision: &Decision,
    ) -> Result<(DeviceDecision, DeviceRequest), AuthorizationError> {
        let now = self.clock.now();
        let mut asked = self.open_device_ticket(ticket, login)?;
        let client_id = asked.client_id.clone();
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&client_id));
        if asked.expires_at <= now {
            return Err(shown(Rejection::TicketExpired.into()));
        }
        let date = self.date_of(login, now).await.map_err(|error| shown(error.into()))?;
        let app = self.device_app(&client_id).await.map_err(shown)?;
        let row = self.device_row(&app, &asked, login, decision, now);
        let row = Grant { authorized_at: date, ..row.map_err(|error| shown(error.into()))? };
        let denied = row.revoked.is_some();
        let inserted = self.store.insert_grant(row.clone()).await;
        let stored = match inserted.map_err(|error| shown(error.into()))? {
            InsertGrant::Inserted { .. } => row,
            InsertGrant::AlreadyDecided => {
                self.first_device_decision(&asked, login, denied).await.map_err(shown)?
            }
            InsertGrant::Revoked => return Err(shown(Rejection::Overtaken.into())),
            InsertGrant::AppInactive => return Err(shown(Rejection::AppDisabled.into())),
        };
        // For the audit log: the user may have approved a part.
        asked.scope = stored.scope;
        asked.resources = stored.resources;
        let app_name = app.settings().name().to_owned();
        Ok((DeviceDecision { app_name, approved: !denied }, asked))
    }

    fn device_row(
        &self,
        app: &CustomApp,
        asked: &DeviceRequest,
        login: &Login,
        decision: &Decision,
        now: UnixTime,
    ) -> Result<Grant, Rejection> {
        let to_decide = ToDecide {
            grant_id: asked.grant_id,
            salt: asked.salt,
            scope: &asked.scope,
            binding: device_binding(),
            decidable_until: asked.expires_at,
            redeemable_until: redeemable_until(asked, self.store.clock_skew()),
        };
        let resources = self.granted_resources(app, asked.resources.clone());
        let mut row = decided_row(app, &to_decide, login, decision, resources, now)?;
        row.flow = Some(Flow::DeviceCode);
        // The browser is not the device that gets access. The end of its session is not the end of the device's.
        row.device = None;
        if let Some(circumstances) = &mut row.circumstances {
            circumstances.session = None;
        }
        row.circumstances = row.circumstances.filter(|it| !it.is_empty());
        Ok(row)
    }

    /// Returns the grant of the first decision. A different decision, one of another user, and an approval whose
    /// access has ended are refused.
    async fn first_device_decision(
        &self,
        asked: &DeviceRequest,
        login: &Login,
        denied: bool,
    ) -> Result<Grant, EndpointError> {
        let first = self.store.find_grant(&asked.grant_id).await?;
        let first = first.ok_or(Fault::StoreContract("a decided grant has no row"))?;
        let was_denied = first.revoked.is_some_and(|(_, why)| why == RevocationReason::Denied);
        let stands = first.subject == *login.subject()
            && denied == was_denied
            && (denied || !self.store.is_revoked(&first.facts()).await?);
        if stands { Ok(first) } else { Err(Rejection::AlreadyDecided.into()) }
    }

    /// Records a step of the user that succeeded.
    pub(super) fn record_device_step(
        &self,
        action: Action,
        login: &Login,
        asked: &DeviceRequest,
        caller: Caller<'_>,
    ) {
        if !self.audit.is_listening() {
            return;
        }
        let actor = Actor::User(login.subject().clone());
        let event = AuditEvent::new(self.clock.now(), actor, action, Outcome::Success)
            .with_app(&asked.client_id)
            .with_source(caller.source)
            .with_device_source(asked.source.as_ref())
            .with_access(asked.grant_id, Flow::DeviceCode, &asked.scope, asked.resources.as_ref());
        self.record_event(event.with_request_id(caller.request_id));
    }
}
