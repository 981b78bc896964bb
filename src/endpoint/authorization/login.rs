//! Who is logged in, and what happens where somebody has to log in first.
//!
//! The browser comes back from the host's login with the same query. Where a fresh login was demanded
//! the query then carries a sealed marker of when: a login since then is what was demanded, and
//! `prompt=login` makes no loop. The demand itself stays in the query, so that without the marker it
//! stands as before.

use std::fmt;

use super::request::AuthorizationRequest;
use super::response::AuthorizationError;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::Rejection;
use crate::ids::{ClientId, DeviceId, Subject};
use crate::protocol::form::Form;
use crate::secret::Digest;
use crate::server_secret::handle::HandleKind;

/// The parameter in which the marker travels.
const LOGIN_AFTER: &str = "login_after";
/// How long a marker is good, in milliseconds.
const MARKER_MILLIS: i64 = 3_600_000;

/// Who sits at the browser, as the host knows.
///
/// `Debug` does not show the session.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    subject: Subject,
    session: String,
    device: Option<DeviceId>,
    auth_time: Option<UnixTime>,
}

impl Login {
    /// The user `subject`, in the browser session that the host calls `session`: any text that the
    /// host finds in this session again and in no other, such as its anti-forgery token. A ticket
    /// is good in the session for which it was made, and there for this user only.
    #[must_use]
    pub fn new(subject: Subject, session: impl Into<String>) -> Self {
        Self { subject, session: session.into(), device: None, auth_time: None }
    }

    /// On this device, if the host knows: what is granted goes with it when it is revoked.
    #[must_use]
    pub fn with_device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// Logged in at `auth_time`, of which whole seconds are kept: when the user last proved who it
    /// is, by a password or the like, not when the session was last used. Access tokens state it
    /// (RFC 9068 section 2.2.1). Without it no request that demands a fresh login can be satisfied.
    #[must_use]
    pub const fn with_auth_time(mut self, auth_time: UnixTime) -> Self {
        self.auth_time = Some(UnixTime::from_seconds(auth_time.as_seconds()));
        self
    }

    /// The user.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(super) const fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref()
    }

    pub(super) const fn auth_time(&self) -> Option<UnixTime> {
        self.auth_time
    }

    pub(super) const fn names_no_session(&self) -> bool {
        self.session.is_empty()
    }

    /// To what a ticket is bound.
    pub(super) fn binding(&self) -> [&[u8]; 2] {
        [self.subject.as_str().as_bytes(), self.session.as_bytes()]
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("subject", &self.subject)
            .field("auth_time", &self.auth_time)
            .finish_non_exhaustive()
    }
}

/// Somebody has to log in before the request goes on: nobody is logged in, or the app demands a
/// fresher login than there is. Whoever is logged in then has to prove it again.
///
/// `Debug` does not show the query.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoginNeeded {
    /// The request, for a login page that names the app.
    pub request: AuthorizationRequest,
    /// The query with which the browser comes back to the authorization endpoint after the login,
    /// form-encoded, as it is: one that was changed demands the login again.
    pub return_query: String,
}

impl fmt::Debug for LoginNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginNeeded").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<S, U, H> Context<S, U, H> {
    /// `login`, if it will do for the request; `None` where somebody has to log in.
    pub(super) fn login_that_will_do<'a>(
        &self,
        request: &AuthorizationRequest,
        login: Option<&'a Login>,
        now: UnixTime,
    ) -> Result<Option<&'a Login>, AuthorizationError> {
        let demands = &request.demands;
        let will_do = match login {
            None => None,
            Some(login) if !demands.fresh_login() => Some(login),
            Some(login) => {
                // Logging in again would tell no more.
                let auth_time = login
                    .auth_time
                    .ok_or_else(|| self.tell(request, Rejection::AuthTimeUnknown))?;
                let demanded_at = self.demanded_at(request.app.client_id(), &request.form()?, now);
                demands.are_met(auth_time, demanded_at, now).then_some(login)
            }
        };
        if will_do.is_none() && demands.no_page {
            return Err(self.tell(request, Rejection::LoginRequired));
        }
        Ok(will_do)
    }

    /// What the host needs to have somebody log in and to come back.
    pub(super) fn login_needed(
        &self,
        request: AuthorizationRequest,
        now: UnixTime,
    ) -> Result<LoginNeeded, AuthorizationError> {
        let client_id = request.app.client_id();
        let form = request.form()?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(other_parameters(&form));
        if request.demands.fresh_login() {
            // A marker that is still good stays: what counts is the first demand.
            let demanded_at = self.demanded_at(client_id, &form, now).unwrap_or(now);
            query.append_pair(LOGIN_AFTER, &self.seal_marker(client_id, &form, demanded_at));
        }
        let return_query = query.finish();
        // What is too long to come back is found out before the login.
        Form::parse(return_query.as_bytes())
            .map_err(|error| AuthorizationError::show(Rejection::from(error), Some(client_id)))?;
        Ok(LoginNeeded { request, return_query })
    }

    fn seal_marker(&self, client_id: &ClientId, form: &Form<'_>, demanded_at: UnixTime) -> String {
        let digest = digest_of_others(form);
        let bound_to = [client_id.as_str().as_bytes(), digest.as_bytes()];
        let payload = demanded_at.as_millis().to_be_bytes();
        self.handles.seal(HandleKind::LoginMarker, &bound_to, &[&payload])
    }

    /// When this very request demanded a login, as a marker of this server says that is good still.
    fn demanded_at(
        &self,
        client_id: &ClientId,
        form: &Form<'_>,
        now: UnixTime,
    ) -> Option<UnixTime> {
        let marker = form.get(LOGIN_AFTER)?;
        let digest = digest_of_others(form);
        let bound_to = [client_id.as_str().as_bytes(), digest.as_bytes()];
        let read = |payload: &[u8]| Some(i64::from_be_bytes(payload.try_into().ok()?));
        let opened = self.handles.open(HandleKind::LoginMarker, &bound_to, marker, read);
        let demanded_at = opened.ok().map(UnixTime::from_millis)?;
        (now.millis_since(demanded_at) < MARKER_MILLIS).then_some(demanded_at)
    }

    fn tell(&self, request: &AuthorizationRequest, rejection: Rejection) -> AuthorizationError {
        let (state, client_id) = (request.state.as_deref(), request.app.client_id());
        AuthorizationError::redirect(
            &request.redirect_uri,
            state,
            &self.issuer,
            rejection,
            client_id,
        )
    }
}

fn other_parameters<'a>(form: &'a Form<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    form.pairs().filter(|(name, _)| *name != LOGIN_AFTER)
}

/// What a marker cannot be taken away from: every other parameter, in whichever order.
fn digest_of_others(form: &Form<'_>) -> Digest {
    let mut pairs: Vec<_> = other_parameters(form).collect();
    pairs.sort_unstable();
    let fields: Vec<_> =
        pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect();
    Digest::of_fields(&fields)
}
