//! The credentials of a request (RFC 6749 section 2.3, RFC 7523 section 2.2).

use std::borrow::Cow;

use crate::endpoint::form_request::FormRequest;
use crate::error::Rejection;
use crate::protocol::basic_header::BasicCredentials;
use crate::protocol::form::Form;

const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The credentials that a request presents, unchecked.
pub(crate) enum PresentedCredentials<'f> {
    /// `client_secret_basic`
    Basic(BasicCredentials),
    /// `client_secret_post`
    Post { client_id: &'f str, secret: &'f str },
    /// `private_key_jwt`
    Assertion { client_id: Option<&'f str>, assertion: &'f str },
    /// `none`: at most a client id.
    Name { client_id: Option<Cow<'f, str>> },
}

impl<'f> PresentedCredentials<'f> {
    /// The names of the parameters that carry them.
    pub(crate) const PARAMETERS: [&'static str; 4] =
        ["client_id", "client_secret", "client_assertion_type", "client_assertion"];

    /// Reads the header and the form of a request. Two kinds at once are refused.
    pub(crate) fn read(request: &FormRequest<'_>, form: &'f Form<'_>) -> Result<Self, Rejection> {
        let client_id = form.get("client_id");
        let secret = form.get("client_secret");
        let assertion = match (form.get("client_assertion_type"), form.get("client_assertion")) {
            (None, None) => None,
            (Some(CLIENT_ASSERTION_TYPE), Some(assertion)) => Some(assertion),
            _ => return Err(Rejection::ClientAssertionType),
        };
        match (request.authorization_header(), secret, assertion) {
            (Some(header), None, None) => read_basic(header, client_id),
            (None, Some(secret), None) => {
                Ok(Self::Post { client_id: client_id.ok_or(Rejection::NoCredentials)?, secret })
            }
            (None, None, Some(assertion)) => Ok(Self::Assertion { client_id, assertion }),
            (None, None, None) => Ok(Self::Name { client_id: client_id.map(Cow::Borrowed) }),
            _ => Err(Rejection::TwoAuthenticationMethods),
        }
    }
}

fn read_basic<'f>(
    header: &str,
    client_id: Option<&str>,
) -> Result<PresentedCredentials<'f>, Rejection> {
    let basic = BasicCredentials::parse(header.as_bytes())
        .ok()
        .flatten()
        .ok_or(Rejection::MalformedAuthorization)?;
    if client_id.is_some_and(|id| id != basic.client_id()) {
        return Err(Rejection::ClientIdMismatch);
    }
    // An empty secret is none, as an empty `client_secret` is: so public clients name themselves.
    if basic.client_secret().is_empty() {
        let client_id = Some(Cow::Owned(basic.client_id().to_owned()));
        return Ok(PresentedCredentials::Name { client_id });
    }
    Ok(PresentedCredentials::Basic(basic))
}
