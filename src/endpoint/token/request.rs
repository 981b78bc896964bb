//! Stage 1, parse: bytes become a [`TokenRequest`] (RFC 6749 sections 3.2 and 4).

use crate::endpoint::client_authentication::PresentedCredentials;
use crate::endpoint::form_request::{FormRequest, refuse_doubled};
use crate::error::Rejection;
use crate::ids::Resource;
use crate::protocol::form::Form;
use crate::protocol::grant_type::GrantType;

/// The parameters that are read.
const KNOWN: [&str; 12] = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "assertion",
    "scope",
    "resource",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
];

/// The grant that a request presents, not checked.
pub(super) enum PresentedGrant<'f> {
    AuthorizationCode { code: &'f str, redirect_uri: Option<&'f str>, verifier: Option<&'f str> },
    RefreshToken { refresh_token: &'f str },
    JwtBearer { assertion: &'f str },
    ClientCredentials,
}

impl PresentedGrant<'_> {
    pub(super) const fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::JwtBearer { .. } => GrantType::JwtBearer,
            Self::ClientCredentials => GrantType::ClientCredentials,
        }
    }

    /// The assertion, where that is the grant: it may name the app, and alone prove which it is.
    pub(super) const fn assertion(&self) -> Option<&str> {
        match self {
            Self::JwtBearer { assertion } => Some(assertion),
            Self::AuthorizationCode { .. }
            | Self::RefreshToken { .. }
            | Self::ClientCredentials => None,
        }
    }
}

/// A token request whose parameters are all there, each once.
pub(super) struct TokenRequest<'f> {
    pub(super) credentials: PresentedCredentials<'f>,
    pub(super) grant: PresentedGrant<'f>,
    pub(super) scope: Option<&'f str>,
    pub(super) resource: Option<Resource>,
}

impl<'f> TokenRequest<'f> {
    /// The order of refusals is fixed: the form, doubled parameters, `grant_type`, the parameters of
    /// the grant, the way of authentication. All of them come before anybody is authenticated.
    pub(super) fn read(request: &FormRequest<'_>, form: &'f Form<'_>) -> Result<Self, Rejection> {
        refuse_doubled(form, &KNOWN)?;
        let grant = read_grant(form)?;
        let resource = form
            .get("resource")
            .map(|resource| Resource::new(resource).map_err(|_| Rejection::MalformedResource))
            .transpose()?;
        Ok(Self {
            credentials: PresentedCredentials::read(request, form)?,
            grant,
            scope: form.get("scope"),
            resource,
        })
    }
}

fn read_grant<'f>(form: &'f Form<'_>) -> Result<PresentedGrant<'f>, Rejection> {
    let required = |name: &'static str| form.get(name).ok_or(Rejection::MissingParameter(name));
    match GrantType::from_wire(required("grant_type")?) {
        Some(GrantType::AuthorizationCode) => Ok(PresentedGrant::AuthorizationCode {
            code: required("code")?,
            redirect_uri: form.get("redirect_uri"),
            verifier: form.get("code_verifier"),
        }),
        Some(GrantType::RefreshToken) => {
            Ok(PresentedGrant::RefreshToken { refresh_token: required("refresh_token")? })
        }
        Some(GrantType::JwtBearer) => {
            Ok(PresentedGrant::JwtBearer { assertion: required("assertion")? })
        }
        Some(GrantType::ClientCredentials) => Ok(PresentedGrant::ClientCredentials),
        None => Err(Rejection::UnsupportedGrantType),
    }
}
