//! The user enters a code, and is asked for consent (RFC 8628 section 3.3).

use std::fmt;
use std::sync::Arc;

use super::UserCode;
use super::request::{DeviceRequest, check_flow};
use crate::app::CustomApp;
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::authorization::{AuthorizationError, Login, RequestedScope, Voucher};
use crate::endpoint::caller::Caller;
use crate::endpoint::context::Context;
use crate::error::{DeviceGrantRefusal, EndpointError, Fault, Rejection};
use crate::ids::{ClientId, Resource, Source, Subject};
use crate::protocol::resources::Resources;
use crate::server_secret::handle::HandleKind;
use crate::store::Store;

/// The content of the consent page for a device. Escape every text: administrators wrote them.
///
/// The page says that another device gets access, and asks whether the user has it at hand and sees this code on
/// it: a stranger may have sent the user here, with a device of the stranger's (RFC 8628 section 5.4).
///
/// `Debug` does not show the code and the ticket.
#[derive(Clone)]
#[non_exhaustive]
pub struct DevicePrompt {
    /// The name of the app.
    pub app_name: String,
    /// The description of the app.
    pub app_description: String,
    /// The party that vouches for both.
    pub vouched_by: Voucher,
    /// The code that the device shows, in two groups.
    pub user_code: String,
    /// The address from which the device asked, if the host tells addresses. A place can be looked up by it.
    pub device_address: Option<Source>,
    /// When the device asked.
    pub requested_at: UnixTime,
    /// The requested scope.
    pub scopes: Vec<RequestedScope>,
    /// The APIs that the request names (RFC 8707).
    pub resources: Vec<Resource>,
    /// The user.
    pub subject: Subject,
    /// The value of a hidden field that the form sends back. Valid once, until `expires_at`, for this user in
    /// this session.
    pub ticket: String,
    /// When the codes expire.
    pub expires_at: UnixTime,
}

impl fmt::Debug for DevicePrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePrompt")
            .field("app_name", &self.app_name)
            .field("device_address", &self.device_address)
            .field("scopes", &self.scopes)
            .field("subject", &self.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Finds the request of a device by the code that a user typed, and records how that ended.
    pub(crate) async fn enter_user_code(
        &self,
        typed: &str,
        login: &Login,
        caller: Caller<'_>,
    ) -> Result<DevicePrompt, AuthorizationError> {
        const ACTION: Action = Action::EnterUserCode;
        match self.find_device_request(typed, login, caller).await {
            Ok((prompt, asked)) => {
                self.record_device_step(ACTION, login, &asked, caller);
                Ok(prompt)
            }
            Err(error) => Err(self.refuse(ACTION, Some(login), error, caller)),
        }
    }

    async fn find_device_request(
        &self,
        typed: &str,
        login: &Login,
        caller: Caller<'_>,
    ) -> Result<(DevicePrompt, DeviceRequest), AuthorizationError> {
        const UNKNOWN: Rejection = Rejection::DeviceGrant(DeviceGrantRefusal::UnknownUserCode);
        let grants = self.device_grants.as_ref().ok_or(Rejection::UnsupportedGrantType)?;
        if login.names_no_session() {
            return Err(Fault::EmptySession.into());
        }
        let now = self.clock.now();
        let code = UserCode::parse(typed).ok_or(UNKNOWN)?;
        // Reserved before the search and given back after a hit, so that concurrent guesses get no more.
        let reserved = grants.budgets.reserve_user_code(login.subject(), caller.source, now);
        let reserved = reserved.map_err(|retry| {
            let limited = Rejection::DeviceGrant(DeviceGrantRefusal::TooManyUserCodes);
            EndpointError::limited(limited, retry)
        })?;
        let found = self.kept_request(grants, code, now).await;
        if !matches!(found, Ok(None)) {
            grants.budgets.give_back_user_code(reserved);
        }
        let asked = found?.ok_or(UNKNOWN)?;
        let shown = |error: EndpointError| AuthorizationError::show(error, Some(&asked.client_id));
        let app = self.device_app(&asked.client_id).await.map_err(shown)?;
        if login.subject().is_client(&asked.client_id) {
            return Err(shown(Rejection::SubjectIsClientId.into()));
        }
        let decided = self.store.find_grant(&asked.grant_id).await;
        if decided.map_err(|error| shown(error.into()))?.is_some() {
            return Err(shown(Rejection::AlreadyDecided.into()));
        }
        let before = self.store.find_consent(&asked.client_id, login.subject()).await;
        let agreed = before.map_err(|error| shown(error.into()))?.map(|before| before.scope);
        let prompt = DevicePrompt {
            app_name: app.settings().name().to_owned(),
            app_description: app.settings().description().to_owned(),
            vouched_by: Voucher::Administrator,
            user_code: code.to_text(),
            device_address: asked.source.clone(),
            requested_at: asked.requested_at,
            scopes: self.requested_scopes(&asked.scope, &agreed.unwrap_or_default()),
            resources: asked.resources.iter().flat_map(Resources::iter).cloned().collect(),
            subject: login.subject().clone(),
            ticket: self.seal_device_ticket(&asked, login),
            expires_at: asked.expires_at,
        };
        Ok((prompt, asked))
    }

    /// Finds the app of a request, which may have changed since.
    pub(super) async fn device_app(
        &self,
        client_id: &ClientId,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let app = self.store.find_app(client_id).await?.ok_or(Rejection::UnknownClient)?;
        if !app.is_enabled() {
            return Err(Rejection::AppDisabled.into());
        }
        check_flow(&app)?;
        Ok(app)
    }

    fn seal_device_ticket(&self, asked: &DeviceRequest, login: &Login) -> String {
        // A record of strings and numbers always has a JSON form.
        let payload = serde_json::to_vec(asked).unwrap_or_default();
        self.handles.seal(HandleKind::DeviceTicket, &login.binding(), &[&payload])
    }

    /// Opens a ticket that was sealed for this user in this session. It may have expired.
    pub(super) fn open_device_ticket(
        &self,
        ticket: &str,
        login: &Login,
    ) -> Result<DeviceRequest, Rejection> {
        let read = |payload: &[u8]| serde_json::from_slice(payload).ok();
        self.handles
            .open(HandleKind::DeviceTicket, &login.binding(), ticket, read)
            .map_err(|_| Rejection::InvalidTicket)
    }
}
