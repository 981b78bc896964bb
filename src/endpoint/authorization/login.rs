//! The login of the user, and the way through the host's login page and back.
//!
//! The browser comes back from the host's login with the same query. If the app requires a fresh
//! login or a choice of the account, the query carries a sealed marker with the instant of the
//! requirement, bound to the browser. A later login fulfils it, so `prompt=login` does not loop. The
//! requirement stays in the query: without the marker, and in another browser, it holds as before.

use std::fmt;

use super::request::AuthorizationRequest;
use super::response::AuthorizationError;
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::{Fault, Rejection};
use crate::ids::{
    AuthenticationContext, AuthenticationMethod, ClientId, DeviceId, SessionId, Subject,
};
use crate::jwt::Circumstances;
use crate::protocol::form::Form;
use crate::secret::Digest;
use crate::server_secret::handle::HandleKind;

/// The parameter that carries the marker.
const LOGIN_AFTER: &str = "login_after";
/// How long a marker is valid, in milliseconds.
const MARKER_MILLIS: i64 = 3_600_000;

/// The user that is logged in at the browser, as the host knows.
///
/// `Debug` does not show the session.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    subject: Subject,
    session: String,
    device: Option<DeviceId>,
    auth_time: Option<UnixTime>,
    circumstances: Option<Box<Circumstances>>,
    moment: Option<Moment>,
}

/// A moment by the store's clock, from before the host began to check a login.
///
/// It dates the decision of the user, so that a revocation covers the decision if it was called after the check
/// began. [`AuthorizationServer::moment`](crate::AuthorizationServer::moment) returns one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(UnixTime);

impl Moment {
    pub(crate) const fn new(instant: UnixTime) -> Self {
        Self(instant)
    }

    pub(super) const fn instant(self) -> UnixTime {
        self.0
    }
}

impl Login {
    /// Returns the login of `subject` in the browser session `session`: a text that the host finds again
    /// in this session only, such as its anti-forgery token. A ticket is valid in this session, for this
    /// user only.
    #[must_use]
    pub fn new(subject: Subject, session: impl Into<String>) -> Self {
        Self {
            subject,
            session: session.into(),
            device: None,
            auth_time: None,
            circumstances: None,
            moment: None,
        }
    }

    /// Sets the moment before which the host had not begun to check this login. Without it, the check may have
    /// begun up to 5 seconds before the decision: a revocation of the last 5 seconds then refuses the decision
    /// of a user who has logged in since, and one that overlaps a longer check may miss it.
    ///
    /// [`HttpEndpoints`](crate::http::HttpEndpoints) sets it, unless the host has.
    #[must_use]
    pub const fn with_moment(mut self, moment: Moment) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Sets the moment if the host has set none.
    pub(crate) fn begun_at(self, moment: Moment) -> Self {
        Self { moment: self.moment.or(Some(moment)), ..self }
    }

    /// Sets the device, if the host knows it. Revoking the device revokes the grants made on it.
    #[must_use]
    pub fn with_device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// Sets the instant of the login, in whole seconds: when the user last authenticated, not when the
    /// session was last used. Access tokens carry it (RFC 9068 section 2.2.1). Without it, a request
    /// that requires a fresh login is refused.
    #[must_use]
    pub const fn with_auth_time(mut self, auth_time: UnixTime) -> Self {
        self.auth_time = Some(UnixTime::from_seconds(auth_time.as_seconds()));
        self
    }

    /// Sets the session by a name that is not a secret: `sid` of OpenID Connect. Access tokens state it,
    /// and its revocation ends what was granted in it.
    #[must_use]
    pub fn with_session_id(mut self, session: SessionId) -> Self {
        self.circumstances.get_or_insert_default().session = Some(session);
        self
    }

    /// Sets how strongly the user authenticated: `acr`. Access tokens state it (RFC 9068 section 2.2.1).
    #[must_use]
    pub fn with_acr(mut self, acr: AuthenticationContext) -> Self {
        self.circumstances.get_or_insert_default().acr = Some(acr);
        self
    }

    /// Sets the methods by which the user authenticated: `amr`, the first
    /// [`MAX_METHODS`](Circumstances::MAX_METHODS) of them. Access tokens state them.
    #[must_use]
    pub fn with_amr(mut self, methods: impl IntoIterator<Item = AuthenticationMethod>) -> Self {
        let amr: Vec<_> = methods.into_iter().take(Circumstances::MAX_METHODS).collect();
        if !amr.is_empty() {
            self.circumstances.get_or_insert_default().amr = amr;
        }
        self
    }

    /// Returns the user.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(super) const fn moment(&self) -> Option<Moment> {
        self.moment
    }

    pub(super) const fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref()
    }

    pub(super) const fn auth_time(&self) -> Option<UnixTime> {
        self.auth_time
    }

    pub(super) fn circumstances(&self) -> Option<&Circumstances> {
        self.circumstances.as_deref()
    }

    pub(crate) const fn names_no_session(&self) -> bool {
        self.session.is_empty()
    }

    /// Returns the fields that a ticket and the forms of the user's page are bound to.
    pub(crate) fn binding(&self) -> [&[u8]; 2] {
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

/// A request that needs a login: no user is logged in, or the app requires a fresher login. A user
/// that is logged in has to authenticate again.
///
/// `Debug` does not show the query.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoginNeeded {
    /// The request, for a login page that names the app.
    pub request: AuthorizationRequest,
    /// The form-encoded query that brings the browser back to the authorization endpoint after the login.
    /// Pass it on unchanged: a changed query requires the login again.
    pub return_query: String,
}

impl fmt::Debug for LoginNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginNeeded").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<S, U, H> Context<S, U, H> {
    /// Returns `login` if it is sufficient for the request, or `None` if the user has to log in.
    pub(super) fn sufficient_login<'a>(
        &self,
        request: &AuthorizationRequest,
        login: Option<&'a Login>,
        now: UnixTime,
    ) -> Result<Option<&'a Login>, AuthorizationError> {
        let demands = &request.demands;
        let refuse = |rejection| request.return_to(&self.issuer).refuse(rejection);
        let sufficient = match login {
            None => None,
            Some(login) if !demands.visit() => Some(login),
            Some(login) => {
                let demanded_at = self.demanded_at(request, &request.form()?, now);
                let chosen = !demands.select_account() || demanded_at.is_some();
                let fresh = if demands.fresh_login() {
                    // Another login would have no time either.
                    let auth_time =
                        login.auth_time.ok_or_else(|| refuse(Rejection::AuthTimeUnknown))?;
                    demands.are_met(auth_time, demanded_at, now)
                } else {
                    true
                };
                (chosen && fresh).then_some(login)
            }
        };
        if sufficient.is_none() && demands.no_page {
            return Err(refuse(Rejection::LoginRequired));
        }
        Ok(sufficient)
    }

    /// Returns what the host needs to let the user log in and come back.
    pub(super) fn login_needed(
        &self,
        request: AuthorizationRequest,
        now: UnixTime,
    ) -> Result<LoginNeeded, AuthorizationError> {
        let client_id = request.app.client_id();
        let form = request.form()?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(other_parameters(&form));
        if request.demands.visit() {
            // A valid marker stays: the first requirement counts.
            let demanded_at = self.demanded_at(&request, &form, now).unwrap_or(now);
            let browser = request
                .browser
                .ok_or_else(|| AuthorizationError::show(Fault::UnknownBrowser, Some(client_id)))?;
            let marker = self.seal_marker(client_id, &browser, &form, demanded_at);
            query.append_pair(LOGIN_AFTER, &marker);
        }
        let return_query = query.finish();
        // A query that is too long to come back is refused before the login.
        Form::parse(return_query.as_bytes())
            .map_err(|error| AuthorizationError::show(Rejection::from(error), Some(client_id)))?;
        Ok(LoginNeeded { request, return_query })
    }

    fn seal_marker(
        &self,
        client_id: &ClientId,
        browser: &Digest,
        form: &Form<'_>,
        demanded_at: UnixTime,
    ) -> String {
        let digest = digest_of_others(form);
        let bound_to = [client_id.as_str().as_bytes(), browser.as_bytes(), digest.as_bytes()];
        let payload = demanded_at.as_millis().to_be_bytes();
        self.handles.seal(HandleKind::LoginMarker, &bound_to, &[&payload])
    }

    /// Returns when this request required a login in this browser, from a valid marker of this server.
    fn demanded_at(
        &self,
        request: &AuthorizationRequest,
        form: &Form<'_>,
        now: UnixTime,
    ) -> Option<UnixTime> {
        let (marker, browser) = (form.get(LOGIN_AFTER)?, request.browser.as_ref()?);
        let digest = digest_of_others(form);
        let client_id = request.app.client_id().as_str();
        let bound_to = [client_id.as_bytes(), browser.as_bytes(), digest.as_bytes()];
        let read = |payload: &[u8]| Some(i64::from_be_bytes(payload.try_into().ok()?));
        let opened = self.handles.open(HandleKind::LoginMarker, &bound_to, marker, read);
        let demanded_at = opened.ok().map(UnixTime::from_millis)?;
        (now.millis_since(demanded_at) < MARKER_MILLIS).then_some(demanded_at)
    }
}

fn other_parameters<'a>(form: &'a Form<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    form.pairs().filter(|(name, _)| *name != LOGIN_AFTER)
}

/// Returns the digest that a marker is bound to: of every other parameter, in any order.
fn digest_of_others(form: &Form<'_>) -> Digest {
    let mut pairs: Vec<_> = other_parameters(form).collect();
    pairs.sort_unstable();
    let fields: Vec<_> =
        pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect();
    Digest::of_fields(&fields)
}
