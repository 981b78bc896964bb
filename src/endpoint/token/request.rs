//! Stage *read*: bytes become a [`TokenRequest`] (RFC 6749 sections 3.2 and 4).

use super::grant::Grant;
use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::form_request::{FormRequest, refuse_duplicates};
use crate::error::Rejection;
use crate::ids::Resource;
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;

/// The names of the parameters of every token request, beside those of client authentication.
const PARAMETERS: [&str; 3] = ["grant_type", "scope", "resource"];

/// The parameters of a token request, each present at most once. None is checked.
pub(super) struct TokenRequest<'f, G: Grant> {
    pub(super) credentials: PresentedCredentials<'f>,
    pub(super) presented: G::Presented<'f>,
    pub(super) asked: Asked<'f>,
}

/// The requested scope and API. The grant decides about absent ones.
pub(super) struct Asked<'f> {
    pub(super) scope: Option<&'f str>,
    pub(super) resource: Option<Resource>,
}

impl<'f, G: Grant> TokenRequest<'f, G> {
    /// Reads the parameters of a request for this grant.
    ///
    /// The order of refusals is fixed: duplicate parameters, the parameters of the grant, `resource`,
    /// client authentication. All of them come before the store is asked.
    pub(super) fn read(request: &FormRequest<'_>, form: &'f Form<'_>) -> Result<Self, Rejection> {
        refuse_duplicates(form, known().chain(G::PARAMETERS.iter().copied()), G::REPEATABLE)?;
        let presented = G::read(form)?;
        let resource = if G::READS_TARGETS { None } else { read_resource(form)? };
        let credentials = PresentedCredentials::read(request, form)?;
        let asked = Asked { scope: form.get("scope"), resource };
        Ok(Self { credentials, presented, asked })
    }
}

/// Reads the API of the token. A token is for one, which several parameters may name.
fn read_resource(form: &Form<'_>) -> Result<Option<Resource>, Rejection> {
    let mut named: Option<Resource> = None;
    for text in form.all("resource").filter(|text| !text.is_empty()) {
        let resource = Resource::new(text).map_err(|_| Rejection::MalformedResource)?;
        if named.as_ref().is_some_and(|other| !other.is_equivalent(&resource)) {
            return Err(Rejection::SeveralResources);
        }
        named.get_or_insert(resource);
    }
    Ok(named)
}

/// Returns the grant type that a form names. A duplicate parameter is refused before a wrong grant
/// type.
pub(super) fn grant_type(form: &Form<'_>) -> Result<GrantType, Rejection> {
    let named = form.get("grant_type").ok_or(Rejection::MissingParameter("grant_type"));
    named
        .and_then(|value| GrantType::from_wire(value).ok_or(Rejection::UnsupportedGrantType))
        .or_else(|rejection| refuse_duplicates(form, known(), &[]).and(Err(rejection)))
}

pub(super) fn known() -> impl Iterator<Item = &'static str> {
    PARAMETERS.into_iter().chain(PresentedCredentials::PARAMETERS)
}
