//! A request to an endpoint that reads forms (RFC 6749 section 3.2, RFC 7009 section 2.1, RFC 7662
//! section 2.1).

use std::fmt;

use crate::clock::{Clock, UnixTime};
use crate::endpoint::caller::Caller;
use crate::error::Rejection;
use crate::ids::{RequestId, Source};
use crate::observe::observation::Observation;
use crate::protocol::form::{DuplicateParameter, Form, FormError};

/// The `Authorization` header and the form-encoded body of a request, as received.
///
/// `Debug` shows neither. Nothing is copied, and the host must zeroize the body.
#[derive(Clone, Copy)]
pub struct FormRequest<'a> {
    authorization: Option<&'a str>,
    body: &'a [u8],
    caller: Caller<'a>,
    now: Option<UnixTime>,
    observation: Option<&'a Observation>,
}

impl<'a> FormRequest<'a> {
    /// Returns a request with this body, `application/x-www-form-urlencoded`, of at most 64 KiB and 64
    /// parameters.
    #[must_use]
    pub fn new(body: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let body = body.as_ref();
        Self { authorization: None, body, caller: Caller::default(), now: None, observation: None }
    }

    /// Sets the value of the `Authorization` header.
    #[must_use]
    pub fn authorization(mut self, header: &'a str) -> Self {
        self.authorization = Some(header);
        self
    }

    /// Sets the source of the request. Failures are counted by source, and audit events name it.
    #[must_use]
    pub fn source(mut self, source: &'a Source) -> Self {
        self.caller.source = Some(source);
        self
    }

    /// Sets the id of the request, which audit events carry.
    #[must_use]
    pub fn request_id(mut self, request_id: &'a RequestId) -> Self {
        self.caller.request_id = Some(request_id);
        self
    }

    pub(crate) const fn from(mut self, caller: Caller<'a>) -> Self {
        self.caller = caller;
        self
    }

    /// Sets the instant of the request, for a layer that has read the clock.
    pub(crate) const fn at(mut self, now: UnixTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Returns the instant of the request: the given one, or that of `clock`.
    pub(crate) fn now(&self, clock: &dyn Clock) -> UnixTime {
        self.now.unwrap_or_else(|| clock.now())
    }

    /// Times the steps of the request with `observation`.
    pub(crate) fn observed(mut self, observation: &'a Observation) -> Self {
        self.observation = Some(observation);
        self
    }

    pub(crate) fn observation(&self) -> Option<&'a Observation> {
        self.observation
    }

    pub(crate) fn authorization_header(&self) -> Option<&'a str> {
        self.authorization
    }

    pub(crate) const fn caller(&self) -> Caller<'a> {
        self.caller
    }

    pub(crate) const fn body(&self) -> &'a [u8] {
        self.body
    }

    pub(crate) fn form(&self) -> Result<Form<'a>, Rejection> {
        Form::parse(self.body).map_err(Rejection::from)
    }
}

impl fmt::Debug for FormRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormRequest").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl From<FormError> for Rejection {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge => Self::FormTooLarge,
            FormError::TooManyParameters
            | FormError::NameTooLong
            | FormError::ValueTooLong
            | FormError::MalformedEscape
            | FormError::NotUtf8
            | FormError::Nul => Self::MalformedForm,
        }
    }
}

impl From<DuplicateParameter> for Rejection {
    fn from(duplicate: DuplicateParameter) -> Self {
        Self::DuplicateParameter(duplicate.name)
    }
}

/// Refuses a form in which any parameter appears twice, except the `repeatable` ones. The error names
/// the parameter only if it is `known`.
pub(crate) fn refuse_duplicates(
    form: &Form<'_>,
    mut known: impl Iterator<Item = &'static str>,
    repeatable: &[&str],
) -> Result<(), Rejection> {
    let Some(duplicate) = form.first_duplicate(repeatable) else { return Ok(()) };
    let known = known.find(|name| *name == duplicate);
    Err(Rejection::DuplicateParameter(known.unwrap_or("a parameter")))
}
