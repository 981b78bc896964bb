//! What the fuzz targets need and the API does not offer. Compiled only under `cfg(fuzzing)`.

use crate::basic_header::BasicCredentials;
use crate::form::Form;

/// The decoded parameters of a form, in order; `None` when it is refused.
#[must_use]
pub fn form(text: &[u8]) -> Option<Vec<(String, String)>> {
    let form = Form::parse(text).ok()?;
    let _ = (form.one("client_id"), form.first_doubled());
    Some(form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The client id and the secret of an `Authorization` header.
#[must_use]
pub fn basic_header(header: &[u8]) -> Option<(String, String)> {
    let credentials = BasicCredentials::parse(header).ok()??;
    Some((credentials.client_id, credentials.client_secret.to_string()))
}
