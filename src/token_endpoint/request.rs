//! Stage 1, parse: bytes become a [`TokenRequest`] (RFC 6749 sections 3.2 and 4).

use std::fmt;

use crate::basic_header::BasicCredentials;
use crate::error::Rejection;
use crate::form::{Doubled, Form, FormError};
use crate::grant_type::GrantType;
use crate::ids::{Resource, Source};
use crate::secret::ClientSecret;

const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

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

/// A request as it came over the wire: the `Authorization` header and the form-encoded body.
///
/// `Debug` shows neither. Nothing is copied; wiping the body is the host's business.
#[derive(Clone, Copy)]
pub struct FormRequest<'a> {
    authorization: Option<&'a str>,
    body: &'a [u8],
    source: Option<&'a Source>,
}

impl<'a> FormRequest<'a> {
    /// A request with this body, `application/x-www-form-urlencoded`, of at most 64 KiB and 64
    /// parameters.
    #[must_use]
    pub fn new(body: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { authorization: None, body: body.as_ref(), source: None }
    }

    /// The same request, with the value of its `Authorization` header.
    #[must_use]
    pub fn authorization(mut self, header: &'a str) -> Self {
        self.authorization = Some(header);
        self
    }

    /// The same request, coming from `source`: failures are counted by it, and events name it.
    #[must_use]
    pub fn source(mut self, source: &'a Source) -> Self {
        self.source = Some(source);
        self
    }

    pub(super) fn origin(&self) -> Option<&'a Source> {
        self.source
    }

    pub(super) fn form(&self) -> Result<Form<'a>, Rejection> {
        Form::parse(self.body).map_err(Rejection::from)
    }
}

impl fmt::Debug for FormRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormRequest").field("source", &self.source).finish_non_exhaustive()
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

impl From<Doubled> for Rejection {
    fn from(doubled: Doubled) -> Self {
        Self::DoubledParameter(doubled.name)
    }
}

/// The credentials that a request presents, none of them checked.
#[derive(Debug)]
pub(super) enum PresentedCredentials<'f> {
    /// `client_secret_basic`
    Basic { client_id: String, secret: ClientSecret },
    /// `client_secret_post`
    Post { client_id: &'f str, secret: ClientSecret },
    /// `private_key_jwt`
    Assertion { client_id: Option<&'f str>, assertion: &'f str },
    /// `none`: at most a name.
    Name { client_id: Option<&'f str> },
}

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
        if let Some(doubled) = form.first_doubled() {
            let known = KNOWN.into_iter().find(|name| *name == doubled);
            return Err(Rejection::DoubledParameter(known.unwrap_or("a parameter")));
        }
        let grant = read_grant(form)?;
        let resource = form
            .get("resource")
            .map(|resource| Resource::new(resource).map_err(|_| Rejection::MalformedResource))
            .transpose()?;
        Ok(Self {
            credentials: read_credentials(request, form)?,
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

fn read_credentials<'f>(
    request: &FormRequest<'_>,
    form: &'f Form<'_>,
) -> Result<PresentedCredentials<'f>, Rejection> {
    let client_id = form.get("client_id");
    let secret = form.get("client_secret");
    let assertion = match (form.get("client_assertion_type"), form.get("client_assertion")) {
        (None, None) => None,
        (Some(CLIENT_ASSERTION_TYPE), Some(assertion)) => Some(assertion),
        _ => return Err(Rejection::ClientAssertionType),
    };
    match (request.authorization, secret, assertion) {
        (Some(header), None, None) => read_basic(header, client_id),
        (None, Some(secret), None) => Ok(PresentedCredentials::Post {
            client_id: client_id.ok_or(Rejection::NoCredentials)?,
            secret: ClientSecret::new(secret),
        }),
        (None, None, Some(assertion)) => {
            Ok(PresentedCredentials::Assertion { client_id, assertion })
        }
        (None, None, None) => Ok(PresentedCredentials::Name { client_id }),
        _ => Err(Rejection::TwoAuthenticationMethods),
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
    if client_id.is_some_and(|id| id != basic.client_id) {
        return Err(Rejection::ClientIdMismatch);
    }
    let secret = ClientSecret::from_kept(basic.client_secret);
    Ok(PresentedCredentials::Basic { client_id: basic.client_id, secret })
}
