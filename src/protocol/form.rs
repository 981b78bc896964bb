//! Forms: `application/x-www-form-urlencoded` bodies and query strings (RFC 6749 appendix B).
//!
//! The parser is strict, unlike `url::form_urlencoded`, which replaces undecodable text, accepts
//! duplicate parameters and has no limits: right for a browser, but wrong for credentials.
//!
//! Decoded values are not zeroized, nor is the request's body, which the host owns. Only values that
//! are moved into a secret type are.

use std::borrow::Cow;
use std::fmt;

/// The longest accepted form, in bytes.
pub(crate) const MAX_FORM_BYTES: usize = 64 * 1024;
/// The largest accepted number of parameters.
pub(crate) const MAX_PARAMETERS: usize = 64;
/// The longest accepted name of a parameter, decoded, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 64;
/// The longest accepted value of a parameter, decoded, in bytes: room for an assertion.
pub(crate) const MAX_VALUE_BYTES: usize = 16 * 1024;

/// A form that is refused. On the wire it is `invalid_request`, with status 413 for
/// [`TooLarge`](Self::TooLarge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the form is longer than 64 KiB")]
    TooLarge,
    #[error("the form has too many parameters")]
    TooManyParameters,
    #[error("the name of a parameter is longer than 64 bytes")]
    NameTooLong,
    #[error("the value of a parameter is longer than 16 KiB")]
    ValueTooLong,
    #[error("the form contains a malformed percent escape")]
    MalformedEscape,
    #[error("the form is not UTF-8")]
    NotUtf8,
    #[error("the form contains a NUL")]
    Nul,
}

/// A parameter that appears more than once and must not (RFC 6749 sections 3.1 and 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter {name} appears more than once")]
pub(crate) struct DuplicateParameter {
    pub(crate) name: &'static str,
}

/// A decoded form. `Debug` shows names only.
pub(crate) struct Form<'a> {
    pairs: Vec<Pair<'a>>,
}

struct Pair<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> Form<'a> {
    /// Parses a body or a query string (without its `?`).
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, FormError> {
        Self::parse_up_to(MAX_PARAMETERS, text)
    }

    /// Parses a form of up to `most` parameters.
    pub(crate) fn parse_up_to(most: usize, text: &'a [u8]) -> Result<Self, FormError> {
        if text.len() > MAX_FORM_BYTES {
            return Err(FormError::TooLarge);
        }
        let text = std::str::from_utf8(text).map_err(|_| FormError::NotUtf8)?;
        let bytes = text.as_bytes();
        if memchr::memchr(0, bytes).is_some() {
            return Err(FormError::Nul);
        }
        // Escapes are rare, so one search for the next is cheaper than a search in every pair.
        let mut next_escape = escape(bytes, 0);
        let mut form = Self { pairs: Vec::with_capacity(12) };
        let mut start = 0;
        for end in memchr::memchr_iter(b'&', bytes).chain([bytes.len()]) {
            let escaped = next_escape < end;
            form.push(text.get(start..end).unwrap_or_default(), escaped, most)?;
            if escaped {
                next_escape = escape(bytes, end);
            }
            start = end + 1;
        }
        Ok(form)
    }

    fn push(&mut self, pair: &'a str, escaped: bool, most: usize) -> Result<(), FormError> {
        if pair.is_empty() {
            return Ok(());
        }
        let equals = memchr::memchr(b'=', pair.as_bytes()).unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, ""));
        let value = value.get(1..).unwrap_or_default();
        let (name, value) = if escaped {
            (decode(name)?, decode(value)?)
        } else {
            (Cow::Borrowed(name), Cow::Borrowed(value))
        };
        if name.len() > MAX_NAME_BYTES {
            return Err(FormError::NameTooLong);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(FormError::ValueTooLong);
        }
        if self.pairs.len() == most {
            return Err(FormError::TooManyParameters);
        }
        self.pairs.push(Pair { name, value });
        Ok(())
    }

    /// Returns names and values, in order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|pair| (&*pair.name, &*pair.value))
    }

    /// Returns every value of `name`, in order: for a parameter that may repeat, such as `resource`
    /// (RFC 8707 section 2). An empty value counts as absent (RFC 6749 section 3.2), but is returned.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs().filter(move |(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Returns the value of `name`, or `None` if it is absent or empty, which means the same (RFC 6749
    /// section 3.2).
    ///
    /// # Errors
    ///
    /// [`DuplicateParameter`] if the parameter appears more than once, empty or not.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, DuplicateParameter> {
        let mut values = self.all(name);
        let value = values.next().filter(|value| !value.is_empty());
        if values.next().is_some() { Err(DuplicateParameter { name }) } else { Ok(value) }
    }

    /// Returns the value of `name`, as [`one`](Self::one) does, from a form that was checked for
    /// duplicates.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// Returns the first parameter, known or not, that appears more than once and is not among the
    /// `repeatable` ones.
    pub(crate) fn first_duplicate(&self, repeatable: &[&str]) -> Option<&str> {
        let mut rest = self.pairs();
        while let Some((name, _)) = rest.next() {
            if rest.clone().any(|(other, _)| other == name) && !repeatable.contains(&name) {
                return Some(name);
            }
        }
        None
    }
}

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form ")?;
        f.debug_set().entries(self.pairs().map(|(name, _)| name)).finish()
    }
}

/// Decodes one name or value of a form.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, FormError> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::new();
    while let Some(at) = memchr::memchr2(b'%', b'+', rest) {
        if decoded.capacity() == 0 {
            decoded.reserve(text.len());
        }
        let (plain, escaped) = rest.split_at(at);
        decoded.extend_from_slice(plain);
        let (byte, length) = match escaped {
            [b'+', ..] => (b' ', 1),
            [_, high, low, ..] => (hex(*high)? << 4 | hex(*low)?, 3),
            _ => return Err(FormError::MalformedEscape),
        };
        if byte == 0 {
            return Err(FormError::Nul);
        }
        decoded.push(byte);
        rest = escaped.get(length..).unwrap_or_default();
    }
    if decoded.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    decoded.extend_from_slice(rest);
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| FormError::NotUtf8)
}

/// Finds the next escape from `start` on, or else the end.
fn escape(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    memchr::memchr2(b'%', b'+', rest).map_or(bytes.len(), |at| start + at)
}

fn hex(digit: u8) -> Result<u8, FormError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(FormError::MalformedEscape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: impl AsRef<[u8]>) -> FormError {
        Form::parse(text.as_ref()).unwrap_err()
    }

    #[test]
    fn values_are_decoded_and_borrowed_if_nothing_is_escaped() {
        let form = Form::parse(b"code=abc&redirect_uri=https%3A%2f%2Fh%2Fcb&state=a+b%2B%C3%A9&x")
            .unwrap();
        assert_eq!(form.one("code"), Ok(Some("abc")));
        assert_eq!(form.one("redirect_uri"), Ok(Some("https://h/cb")));
        assert_eq!(form.one("state"), Ok(Some("a b+é")));
        assert_eq!(form.one("absent"), Ok(None));
        assert!(matches!(form.pairs[0].value, Cow::Borrowed("abc")));
        let named = Form::parse(b"c%6fde=a=b").unwrap();
        assert_eq!(named.one("code"), Ok(Some("a=b")));
    }

    /// T3, T9: an empty value counts as absent; an empty form has no parameters.
    #[test]
    fn an_empty_value_is_absent() {
        let form = Form::parse(b"scope=&state&&=x").unwrap();
        assert_eq!((form.one("scope"), form.one("state")), (Ok(None), Ok(None)));
        assert_eq!(Form::parse(b"").unwrap().one("grant_type"), Ok(None));
    }

    /// A26, T7: a parameter that appears twice is an error, known or not, in any spelling.
    #[test]
    fn a_duplicate_parameter_is_an_error_even_if_escaped_empty_or_unknown() {
        for text in ["code=a&x=1&code=a", "code=a&c%6Fde=b", "code=&code=a", "code=&code="] {
            let form = Form::parse(text.as_bytes()).unwrap();
            assert_eq!(form.one("code"), Err(DuplicateParameter { name: "code" }), "{text}");
            assert_eq!(form.first_duplicate(&["resource"]), Some("code"));
        }
        let unknown = Form::parse(b"code=a&zip=1&zip=2").unwrap();
        assert_eq!(unknown.one("code"), Ok(Some("a")));
        assert_eq!(unknown.first_duplicate(&[]), Some("zip"));
        assert_eq!(Form::parse(b"a=1&b=1&A=1").unwrap().first_duplicate(&[]), None);
    }

    /// RFC 8707 section 2: an endpoint names the parameters that may repeat.
    #[test]
    fn a_repeatable_parameter_gives_all_its_values_in_order() {
        let form = Form::parse(b"resource=b&scope=x&resource=&res%6Furce=a+c").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["b", "", "a c"]);
        assert_eq!(form.all("absent").next(), None);
        assert_eq!(form.first_duplicate(&["resource"]), None);
        assert_eq!(form.first_duplicate(&[]), Some("resource"));
        assert_eq!(form.one("resource"), Err(DuplicateParameter { name: "resource" }));
        let other = Form::parse(b"resource=a&resource=b&scope=x&scope=y").unwrap();
        assert_eq!(other.first_duplicate(&["resource"]), Some("scope"));
    }

    /// T2: undecodable text is refused, not repaired.
    #[test]
    fn an_undecodable_form_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "%=a", "a=%+1", "a=%4é"] {
            assert_eq!(error(text), FormError::MalformedEscape, "{text}");
        }
        assert_eq!(error(b"a=\xff"), FormError::NotUtf8);
        assert_eq!(error("a=%ff"), FormError::NotUtf8);
        assert_eq!(error("a=%C3&b=%A9"), FormError::NotUtf8);
        assert_eq!(error("a=%00"), FormError::Nul);
        assert_eq!(error("a\0=1"), FormError::Nul);
    }

    /// T14: size, number and length of parameters are bounded.
    #[test]
    fn a_form_beyond_the_limits_is_refused() {
        let many =
            |count: usize| (0..count).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join("&");
        let most = many(MAX_PARAMETERS);
        let form = Form::parse(most.as_bytes()).unwrap();
        assert_eq!((form.one("p63"), form.first_duplicate(&[])), (Ok(Some("1")), None));
        assert_eq!(error(many(MAX_PARAMETERS + 1)), FormError::TooManyParameters);
        assert_eq!(error(vec![b'&'; MAX_FORM_BYTES + 1]), FormError::TooLarge);
        assert_eq!(error("n".repeat(MAX_NAME_BYTES + 1)), FormError::NameTooLong);
        let value = |bytes: usize| format!("assertion={}", "%61".repeat(bytes));
        assert!(Form::parse(value(MAX_VALUE_BYTES).as_bytes()).is_ok());
        assert_eq!(error(value(MAX_VALUE_BYTES + 1)), FormError::ValueTooLong);
    }

    #[test]
    fn values_are_not_shown() {
        let form = Form::parse(b"client_secret=planted&code=planted%21").unwrap();
        assert_eq!(format!("{form:?}"), r#"Form {"client_secret", "code"}"#);
    }

    proptest! {
        #[test]
        fn an_encoded_form_is_read_back(
            pairs in prop::collection::btree_map("[^\0]{1,8}", "[^\0]{1,20}", 0..20)
        ) {
            let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let form = Form::parse(text.as_bytes()).unwrap();
            let read: Vec<_> = form.pairs().collect();
            prop_assert_eq!(read, pairs.iter().map(|(n, v)| (&**n, &**v)).collect::<Vec<_>>());
            prop_assert_eq!(form.first_duplicate(&[]), None);
        }

        #[test]
        fn an_accepted_form_means_the_same_to_a_lenient_reader(text in "[ab%0-9a-f+=&é]{0,40}") {
            if let Ok(form) = Form::parse(text.as_bytes()) {
                let lenient: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).collect();
                prop_assert_eq!(form.pairs.len(), lenient.len());
                for (pair, (name, value)) in form.pairs().zip(&lenient) {
                    prop_assert_eq!(pair, (&**name, &**value));
                }
            }
        }
    }
}
