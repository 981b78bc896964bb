//! The sealed ticket that travels through the browser between the consent prompt and the decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::login::Login;
use super::request::AuthorizationRequest;
use super::response::ReturnTo;
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::Rejection;
use crate::ids::{ClientId, GrantId, Issuer};
use crate::protocol::redirect_uri::ResolvedRedirectUri;
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::random::RandomError;
use crate::secret::Digest;
use crate::server_secret::handle::{HandleKind, Salt, new_grant_names};

/// A request to decide on, sealed for one user in one session.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) grant_id: GrantId,
    pub(super) salt: Salt,
    pub(super) client_id: ClientId,
    pub(super) redirect_uri: ResolvedRedirectUri,
    pub(super) binding: Digest,
    pub(super) state: Option<String>,
    pub(super) scope: Scope,
    pub(super) resources: Option<Resources>,
    /// The digest of the description that the user saw, of an app that a document describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) described: Option<Digest>,
    pub(super) expires_at: UnixTime,
}

impl Ticket {
    pub(super) fn return_to<'a>(&'a self, issuer: &'a Issuer) -> ReturnTo<'a> {
        ReturnTo {
            client_id: &self.client_id,
            redirect_uri: &self.redirect_uri,
            state: self.state.as_deref(),
            issuer,
        }
    }
}

impl<S, U, H> Context<S, U, H> {
    pub(super) fn new_ticket(
        &self,
        request: AuthorizationRequest,
        app: &CustomApp,
        now: UnixTime,
    ) -> Result<Ticket, RandomError> {
        // Never longer than the grant lives: a valid ticket finds its decision in a row.
        let grant_life = request.app.settings().refresh_token_lifetime().into();
        let lifetime = self.ticket_lifetime.min(Duration::from_secs(grant_life));
        let (grant_id, salt) = new_grant_names(&*self.random)?;
        Ok(Ticket {
            grant_id,
            salt,
            client_id: request.app.client_id().clone(),
            redirect_uri: request.redirect_uri,
            binding: request.binding,
            state: request.state,
            scope: request.scope,
            resources: request.resources,
            described: app.description_digest(),
            expires_at: now.plus(lifetime),
        })
    }

    pub(super) fn seal_ticket(&self, ticket: &Ticket, login: &Login) -> String {
        // A record of strings and numbers always has a JSON form.
        let payload = serde_json::to_vec(ticket).unwrap_or_default();
        self.handles.seal(HandleKind::Ticket, &login.binding(), &[&payload])
    }

    /// Opens a ticket that was sealed for this user in this session. It may have expired.
    pub(super) fn open_ticket(&self, ticket: &str, login: &Login) -> Result<Ticket, Rejection> {
        let read = |payload: &[u8]| serde_json::from_slice(payload).ok();
        self.handles
            .open(HandleKind::Ticket, &login.binding(), ticket, read)
            .map_err(|_| Rejection::InvalidTicket)
    }
}
