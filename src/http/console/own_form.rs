//! Forms that were sent from a page of one's own session: their origin and their token.

use http::Method;
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

/// Reads the form of a request; a request for a page has none. A form is sent from a page of this origin, and has the
/// token `expected`. Without one, each form is refused: anyone can compute the token of no session.
pub(super) fn read(
    request: &Parts,
    body: &[u8],
    issuer: &Issuer,
    expected: Option<&str>,
) -> Result<Option<Fields>, Problem> {
    match request.method {
        Method::GET | Method::HEAD => return Ok(None),
        Method::POST => {}
        _ => return Err(Problem::MethodNotAllowed),
    }
    if Sender::of(request, issuer) != Sender::SameOrigin {
        return Err(Problem::ForeignForm);
    }
    let form = Fields::of_body(request, body)?;
    let is_own = expected.is_some_and(|expected| is_equal(form.one(TOKEN), expected));
    if is_own { Ok(Some(form)) } else { Err(Problem::StaleForm) }
}

/// Compares tokens. Digests have equal length, so that the time tells nothing about the token.
pub(super) fn is_equal(told: &str, expected: &str) -> bool {
    let digest = |token: &str| Digest::of_fields(&[token.as_bytes()]);
    digest(expected).matches(&digest(told))
}
