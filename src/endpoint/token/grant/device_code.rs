//! The device code grant: RFC 8628 sections 3.4 and 3.5. The client asks again and again, so a redeemed code that
//! comes again is a lost answer or a late poll, never a theft, and revokes nothing.

use super::{Claimed, Grant, ProofContext, Right, Valid, required, valid_row};
use crate::app::{ClientType, CustomApp, Flow};
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::AuditTrail;
use crate::endpoint::client_authentication::AuthenticatedApp;
use crate::endpoint::context::Context;
use crate::endpoint::device_authorization::{OpenedDeviceCode, device_binding};
use crate::endpoint::request_facts::RequestFacts;
use crate::endpoint::token::decide::Decided;
use crate::error::{DeviceGrantRefusal, EndpointError, Fault, Rejection};
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;
use crate::server_secret::handle::Salt;
use crate::store::{CodeRedemption, GrantRefusal, RedeemCode, RevocationReason, Store};
use crate::users::UserDirectory;

pub(in crate::endpoint::token) struct DeviceCode;

/// The right to redeem a device code.
pub(in crate::endpoint::token) struct DeviceRight {
    redemption: CodeRedemption,
    salt: Salt,
    authorized_at: UnixTime,
    issues_refresh_token: bool,
}

impl Grant for DeviceCode {
    const TYPE: GrantType = GrantType::DeviceCode;
    const PARAMETERS: &'static [&'static str] = &["device_code"];
    type Presented<'f> = &'f str;
    type Proof<'f> = OpenedDeviceCode;
    type Right = DeviceRight;

    fn read<'f>(form: &'f Form<'_>) -> Result<Self::Presented<'f>, Rejection> {
        required(form, "device_code")
    }

    fn prove<'f>(
        device_code: Self::Presented<'f>,
        app: &CustomApp,
        against: &ProofContext<'_>,
    ) -> Result<Self::Proof<'f>, EndpointError> {
        if !app.may_use(Flow::DeviceCode) {
            return Err(Rejection::FlowNotAllowed(Self::TYPE).into());
        }
        OpenedDeviceCode::open(against.handles, app.client_id(), device_code)
            .map_err(|_| Rejection::InvalidHandle(Self::TYPE).into())
    }

    fn name<'p>(code: &'p Self::Proof<'_>) -> Option<&'p [u8]> {
        Some(code.grant_id.as_bytes())
    }

    async fn validate<S: Store, U: UserDirectory, H: Sync>(
        code: Self::Proof<'_>,
        app: &AuthenticatedApp,
        context: &Context<S, U, H>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<Valid<DeviceRight>, EndpointError> {
        let grants = context.device_grants.as_ref().ok_or(Rejection::UnsupportedGrantType)?;
        let OpenedDeviceCode { grant_id, salt, expires_at } = code;
        trail.grant_id = Some(grant_id);
        trail.flow = Some(Flow::DeviceCode);
        if expires_at <= facts.now {
            return Err(refuse(DeviceGrantRefusal::Expired));
        }
        let salt_digest = salt.digest(&grant_id);
        let row = context.store.find_grant(&grant_id).await?;
        let Some(row) = row.filter(|row| row.salt_digest.matches(&salt_digest)) else {
            trail.wait_for_user();
            let in_time = grants.budgets.pace(&grant_id, facts.now);
            let why =
                if in_time { DeviceGrantRefusal::Pending } else { DeviceGrantRefusal::TooHasty };
            return Err(refuse(why));
        };
        trail.concerns(&row.subject);
        if let Some((_, RevocationReason::Denied)) = row.revoked {
            return Err(refuse(DeviceGrantRefusal::Denied));
        }
        let redemption = CodeRedemption {
            grant_id,
            client_id: app.own_client_id(),
            binding: device_binding(),
            salt_digest,
            confirmation: None,
            binds: app.settings().client_type() == ClientType::Public,
            device: None,
            polling: Some(grants.polling(context.store.clock_skew())),
            claim: facts.claim_id(),
            now: facts.now,
        };
        let user = context.active_user(&row.subject).await?;
        let authorized_at = row.authorized_at;
        let issues_refresh_token = app.settings().issues_refresh_token();
        let right = DeviceRight { redemption, salt, authorized_at, issues_refresh_token };
        Ok(valid_row(row, user, None, right))
    }
}

impl Right for DeviceRight {
    async fn claim<S: Store>(
        self,
        store: &S,
        _: &Decided<'_>,
        _: &mut AuditTrail<'_>,
    ) -> Result<Claimed, EndpointError> {
        let Self { redemption, salt, authorized_at, issues_refresh_token } = self;
        match store.redeem_code(&redemption).await? {
            RedeemCode::Redeemed | RedeemCode::Retried => {}
            RedeemCode::Spent => return Err(refuse(DeviceGrantRefusal::Spent)),
            RedeemCode::Refused(refusal) => {
                return Err(Rejection::GrantRefused(DeviceCode::TYPE, refusal).into());
            }
            RedeemCode::Mismatch => {
                let unknown = GrantRefusal::Unknown;
                return Err(Rejection::GrantRefused(DeviceCode::TYPE, unknown).into());
            }
            RedeemCode::AlreadyRedeemed => {
                return Err(Fault::StoreContract("a polled code was taken for a replay").into());
            }
        }
        if issues_refresh_token {
            Ok(Claimed::with_successor(authorized_at, redemption.grant_id, salt, 1))
        } else {
            Ok(Claimed { authorized_at, successor: None })
        }
    }
}

fn refuse(why: DeviceGrantRefusal) -> EndpointError {
    Rejection::DeviceGrant(why).into()
}
