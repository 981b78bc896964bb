//! Forms that were sent from a page of one's own session: their origin and their token.

use http::request::Parts;

use super::fields::Fields;
use super::problem::Problem;
use crate::http::origin::Sender;
use crate::ids::Issuer;
use crate::secret::Digest;

/// The hidden field that each form has.
const TOKEN: &str = "token";

/// Returns the token for the forms of a session, which `secrets` names.
pub(super) fn token(secrets: &[&[u8]]) -> String {
    Digest::of_fields(secrets).to_base64url()
}

/// Reads a form that was sent from a page of this origin, with the token `expected`.
pub(super) fn read(
    request: &Parts,
    body: &[u8],
    issuer: &Issuer,
    expected: &str,
) -> Result<Fields, Problem> {
    if Sender::of(request, issuer) != Sender::SameOrigin {
        return Err(Problem::ForeignForm);
    }
    let form = Fields::of_body(request, body)?;
    if is_equal(form.one(TOKEN), expected) { Ok(form) } else { Err(Problem::StaleForm) }
}

/// Compares tokens. Digests have equal length, so that the time tells nothing about the token.
pub(super) fn is_equal(told: &str, expected: &str) -> bool {
    let digest = |token: &str| Digest::of_fields(&[token.as_bytes()]);
    digest(expected).matches(&digest(told))
}
