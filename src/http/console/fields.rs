//! The fields of a form or a query.

use http::header;
use http::request::Parts;

use super::problem::Problem;
use super::{MAX_CONSOLE_BODY_BYTES, multipart};
use crate::protocol::form::{Form, FormError, decode};

/// The most fields of a form: a scope page has one for each token.
pub(super) const MAX_FIELDS: usize = 1024;

/// Decoded fields, in their order. `Debug` is left out: a field may be a key that was pasted by mistake.
#[derive(Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads the body of a form, in either of the two encodings of HTML.
    pub(super) fn of_body(request: &Parts, body: &[u8]) -> Result<Self, Problem> {
        if body.len() > MAX_CONSOLE_BODY_BYTES {
            return Err(Problem::TooLarge);
        }
        let mut types = request.headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(content_type), None) = (types.next(), types.next()) else {
            return Err(Problem::BadForm);
        };
        let content_type = content_type.to_str().map_err(|_| Problem::BadForm)?;
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let is = |wanted: &str| essence.trim().eq_ignore_ascii_case(wanted);
        let fields = if is("application/x-www-form-urlencoded") {
            urlencoded(body)
        } else if is("multipart/form-data") {
            multipart::read(parameters, body)
        } else {
            None
        };
        fields.map(Self).ok_or(Problem::BadForm)
    }

    /// Reads a query.
    pub(super) fn of_query(query: &str) -> Result<Self, Problem> {
        let form = Form::parse(query.as_bytes()).map_err(|error| match error {
            FormError::TooLarge | FormError::TooManyParameters => Problem::TooLarge,
            FormError::NameTooLong
            | FormError::ValueTooLong
            | FormError::MalformedEscape
            | FormError::NotUtf8
            | FormError::Nul => Problem::BadForm,
        })?;
        Ok(Self(form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    /// Returns the first value of `name`, or an empty text.
    pub(super) fn one(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Returns every value of `name`.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns all fields but those named `without`.
    pub(super) fn others(&self, without: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        let others = self.0.iter().filter(move |(name, _)| !without.contains(&name.as_str()));
        others.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Checks whether a box was ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.one(name).is_empty()
    }
}

fn urlencoded(body: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'))?;
    let mut fields = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if fields.len() == MAX_FIELDS {
            return None;
        }
        fields.push((decode(name).ok()?.into_owned(), decode(value).ok()?.into_owned()));
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Result<Fields, Problem> {
        let request =
            http::Request::post("/").header("content-type", content_type).body(()).unwrap();
        Fields::of_body(&request.into_parts().0, body)
    }

    #[test]
    fn a_form_is_read_in_one_encoding_and_refused_in_others() {
        let form = read("application/x-www-form-urlencoded", b"a=1&b=x+y%0A&a=2&c=&d").unwrap();
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.one("b"), form.has("c"), form.has("d")), ("x y\n", false, false));
        for (content_type, body) in [
            ("text/plain", &b"a=1"[..]),
            ("application/json", b"{}"),
            ("", b"a=1"),
            ("application/x-www-form-urlencoded", b"a=%"),
            ("application/x-www-form-urlencoded", b"a=%ff"),
            ("application/x-www-form-urlencoded", b"a=%00"),
            ("application/x-www-form-urlencoded", b"\xff"),
        ] {
            assert!(matches!(read(content_type, body), Err(Problem::BadForm)), "{content_type}");
        }
    }

    #[test]
    fn a_form_of_the_console_has_its_documented_bounds() {
        let form = "application/x-www-form-urlencoded";
        let longest = [b"a=".to_vec(), vec![b'x'; MAX_CONSOLE_BODY_BYTES - 2]].concat();
        assert!(read(form, &longest).is_ok());
        let longer = [longest, b"x".to_vec()].concat();
        assert!(matches!(read(form, &longer), Err(Problem::TooLarge)));
        assert!(read(form, "a&".repeat(MAX_FIELDS).as_bytes()).is_ok());
        assert!(read(form, "a&".repeat(MAX_FIELDS + 1).as_bytes()).is_err());
    }
}
