//! The `Authorization: Basic` header as OAuth uses it (RFC 7617 section 2, RFC 6749 section 2.3.1).

use std::fmt;

use base64_simd::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::protocol::form;

/// The longest accepted header value, in bytes.
pub(crate) const MAX_HEADER_BYTES: usize = 4096;

/// A header with the `Basic` scheme and malformed credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Basic credentials are malformed")]
pub(crate) struct InvalidBasicHeader;

/// A client id and a client secret, not verified.
pub(crate) struct BasicCredentials {
    /// Both, with a colon between.
    pair: Zeroizing<String>,
    /// The length of the client id.
    colon: usize,
}

impl BasicCredentials {
    /// Parses the value of an `Authorization` header. Returns `None` if its scheme is not `Basic`.
    ///
    /// # Errors
    ///
    /// [`InvalidBasicHeader`] if the value is not base64 of a form-encoded client id, a colon and
    /// a form-encoded secret.
    pub(crate) fn parse(header: &[u8]) -> Result<Option<Self>, InvalidBasicHeader> {
        let end = header.iter().position(|byte| *byte == b' ').unwrap_or(header.len());
        let (scheme, encoded) = header.split_at_checked(end).unwrap_or((header, &[]));
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return Ok(None);
        }
        if header.len() > MAX_HEADER_BYTES {
            return Err(InvalidBasicHeader);
        }
        let encoded = encoded.trim_ascii();
        // Room for everything: a reallocation would leave a copy that is not zeroized.
        let mut plain = Vec::with_capacity(encoded.len());
        STANDARD.decode_append(encoded, &mut plain).map_err(|_| InvalidBasicHeader)?;
        let pair = String::from_utf8(plain).map_err(|error| {
            error.into_bytes().zeroize();
            InvalidBasicHeader
        })?;
        let pair = Zeroizing::new(pair);
        let (client_id, secret) = pair.split_once(':').ok_or(InvalidBasicHeader)?;
        if client_id.is_empty() || pair.contains('\0') {
            return Err(InvalidBasicHeader);
        }
        if !pair.contains(['%', '+']) {
            let colon = client_id.len();
            return Ok(Some(Self { pair, colon }));
        }
        let decoded = |text| form::decode(text).map_err(|_| InvalidBasicHeader);
        let (client_id, secret) =
            (decoded(client_id)?, Zeroizing::new(decoded(secret)?.into_owned()));
        let mut pair = Zeroizing::new(String::with_capacity(client_id.len() + 1 + secret.len()));
        pair.push_str(&client_id);
        pair.push(':');
        pair.push_str(&secret);
        Ok(Some(Self { pair, colon: client_id.len() }))
    }

    pub(crate) fn client_id(&self) -> &str {
        self.pair.get(..self.colon).unwrap_or_default()
    }

    pub(crate) fn client_secret(&self) -> &str {
        self.pair.get(self.colon + 1..).unwrap_or_default()
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials")
            .field("client_id", &self.client_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The library that decodes is as strict as another one, also about padding and left-over bits.
        #[test]
        fn another_library_decodes_the_same(text in "([A-Za-z0-9+/-]{4}){0,6}[A-Za-z0-9+/=]{0,4}") {
            let mut decoded = Vec::new();
            let ours = super::STANDARD.decode_append(&text, &mut decoded).map(|()| decoded);
            prop_assert_eq!(ours.ok(), STANDARD.decode(&text).ok());
        }

        /// Up to three characters and the right padding: few of these texts are the canonical encoding of any bytes.
        #[test]
        fn left_over_bits_must_be_zero(start in "([A-Za-z0-9+/]{4}){0,6}", end in "[A-Za-z0-9+/]{2,3}") {
            let text = format!("{start}{end:=<4}");
            let mut decoded = Vec::new();
            let ours = super::STANDARD.decode_append(&text, &mut decoded).map(|()| decoded);
            prop_assert_eq!(ours.ok(), STANDARD.decode(&text).ok());
        }
    }

    fn parse(plain: impl AsRef<[u8]>) -> Result<Option<BasicCredentials>, InvalidBasicHeader> {
        BasicCredentials::parse(format!("Basic {}", STANDARD.encode(plain)).as_bytes())
    }

    fn pair(plain: &str) -> (String, String) {
        let credentials = parse(plain).unwrap().unwrap();
        (credentials.client_id().to_owned(), credentials.client_secret().to_owned())
    }

    fn owned(id: &str, secret: &str) -> (String, String) {
        (id.to_owned(), secret.to_owned())
    }

    /// C6: both parts are form-decoded, after they are split at the first colon.
    #[test]
    fn id_and_secret_are_form_decoded() {
        assert_eq!(pair("app:secret"), owned("app", "secret"));
        assert_eq!(pair("a%3Ab:x+y%2B%25%21%C3%A9:z"), owned("a:b", "x y+%!é:z"));
        for bad in ["app:%", "app:%4", "%zz:secret", "app:%ff", "app:%00", "app:\0"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    /// C4: an empty secret is a wrong secret, not a missing one.
    #[test]
    fn an_empty_secret_is_not_a_missing_one() {
        assert_eq!(pair("app:"), owned("app", ""));
    }

    /// C5: any other text after the scheme is refused.
    #[test]
    fn malformed_credentials_are_refused() {
        let long = format!("Basic {}", STANDARD.encode("a:".repeat(2000)));
        for bad in
            ["Basic", "Basic ", "Basic é", "Basic YTpi YTpi", "Basic YTp", "basic Og==", &long]
        {
            assert!(BasicCredentials::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse("no colon").is_err());
        assert!(parse(b"a:\xff").is_err());
        assert!(parse(":secret").is_err());
    }

    /// C7: the scheme is compared without case, and another scheme is ignored.
    #[test]
    fn the_scheme_is_case_insensitive() {
        for header in ["bAsIc YTpi", "BASIC   YTpi "] {
            assert!(BasicCredentials::parse(header.as_bytes()).unwrap().is_some(), "{header}");
        }
        for header in ["Bearer YTpi", "", "Basics YTpi", " ", "\u{ff}"] {
            assert!(BasicCredentials::parse(header.as_bytes()).unwrap().is_none(), "{header}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", parse("app:planted").unwrap());
        assert!(shown.contains("app") && !shown.contains("planted"));
    }
}
