//! Internals for the fuzz targets. Compiled only under `cfg(fuzzing)`.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::endpoint::device_authorization::UserCode;
use crate::ids::{ClientId, Issuer};
use crate::jwt::assertion::{AssertionPurpose, AssertionRules, peek_issuer, peek_subject};
use crate::jwt::{Algorithm, AssertionError, VerifyingKeys};
use crate::protocol::basic_header::BasicCredentials;
use crate::protocol::form::Form;
use crate::server_secret::ServerSecret;
use crate::server_secret::handle::{GrantHandle, HandleKind, Handles};

/// Decodes the parameters of a form, in order. Returns `None` if the form is refused.
#[must_use]
pub fn form(text: &[u8]) -> Option<Vec<(String, String)>> {
    let form = Form::parse(text).ok()?;
    let _ = (form.one("client_id"), form.first_duplicate(&[]));
    Some(form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Reads the client id and the secret from an `Authorization` header.
#[must_use]
pub fn basic_header(header: &[u8]) -> Option<(String, String)> {
    let credentials = BasicCredentials::parse(header).ok()??;
    Some((credentials.client_id().to_owned(), credentials.client_secret().to_owned()))
}

/// Reads a user code of the device grant, and returns it as a device shows it.
#[must_use]
pub fn user_code(typed: &str) -> Option<String> {
    UserCode::parse(typed).map(UserCode::to_text)
}

/// The sealed handles of one server.
#[derive(Debug)]
pub struct SealedHandles(Handles);

impl SealedHandles {
    const KINDS: [HandleKind; 6] = [
        HandleKind::Code,
        HandleKind::RefreshToken,
        HandleKind::Ticket,
        HandleKind::LoginMarker,
        HandleKind::DeviceCode,
        HandleKind::DeviceTicket,
    ];

    /// Derives the keys from this secret.
    #[must_use]
    pub fn new(secret: &ServerSecret, issuer: &Issuer) -> Self {
        Self(Handles::new(secret, issuer))
    }

    /// Seals a handle of each kind with this payload: code, refresh token, ticket, login marker, device code,
    /// ticket of the device grant.
    #[must_use]
    pub fn seal(&self, bound_to: &str, payload: &[u8]) -> [String; 6] {
        Self::KINDS.map(|kind| self.0.seal(kind, &[bound_to.as_bytes()], &[payload]))
    }

    /// Opens `text` as a handle of each kind and returns the payloads. A handle that does not open
    /// must not decode as a grant either.
    #[must_use]
    pub fn open(&self, bound_to: &str, text: &str) -> [Option<Vec<u8>>; 6] {
        Self::KINDS.map(|kind| {
            let bound = [bound_to.as_bytes()];
            let payload = self.0.open(kind, &bound, text, |payload| Some(payload.to_vec())).ok();
            let grant = GrantHandle::open(&self.0, kind, bound_to, text);
            assert!(payload.is_some() || grant.is_err());
            payload
        })
    }
}

/// Verifies an assertion of the app `app` for the server `https://as.example.com` with a maximum
/// lifetime of 300 seconds and a clock skew of 10. Returns its subject, scope and expiry.
///
/// # Errors
///
/// The violated rule.
pub fn assertion(
    keys: &VerifyingKeys,
    is_grant: bool,
    text: &str,
    now: UnixTime,
) -> Result<(String, Option<String>, UnixTime), AssertionError> {
    let _ = (peek_issuer(text), peek_subject(text));
    let purpose =
        if is_grant { AssertionPurpose::Grant } else { AssertionPurpose::ClientAuthentication };
    let rules = AssertionRules {
        purpose,
        client_id: &ClientId::new("app").map_err(|_| AssertionError::Claims)?,
        issuer: "app",
        user_claim: "sub",
        audience: "https://as.example.com",
        endpoints: &[],
        keys,
        algorithms: Algorithm::ALL,
        max_lifetime: Duration::from_mins(5),
        needs_jti: true,
        clock_skew: Duration::from_secs(10),
    };
    let verified = rules.verify(text, now)?;
    Ok((verified.subject, verified.scope, verified.expires_at))
}
