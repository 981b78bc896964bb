//! The cookie by which a browser that was sent to the login page is known again.
//!
//! The way back is bound to it, so that no other browser can use the link. It holds random bits, and
//! says nothing about the user.

use http::HeaderValue;
use http::header;

use super::request::Exchange;
use super::response::Answer;
use crate::ids::{Issuer, write_bytes};
use crate::random::{RandomError, SecureRandom, array};

/// The length of the value: 128 random bits in base64url.
const LENGTH: usize = 22;

/// A browser at the authorization endpoint.
pub(super) struct Browser {
    /// The name of the cookie. A `__Host-` cookie cannot be planted by another host of the domain.
    name: &'static str,
    value: String,
}

impl Browser {
    /// Returns the browser of a request, by its cookie or by a new value.
    pub(super) fn of(
        exchange: &Exchange<'_>,
        issuer: &Issuer,
        random: &dyn SecureRandom,
    ) -> Result<Self, RandomError> {
        let secure = issuer.as_str().starts_with("https://");
        let name = if secure { "__Host-grantor-browser" } else { "grantor-browser" };
        let cookies = exchange.parts.headers.get_all(header::COOKIE).iter();
        let mut pairs = cookies.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(';'));
        let known = pairs.find_map(|pair| {
            let value = pair.trim().strip_prefix(name)?.strip_prefix('=')?;
            let in_value = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (value.len() == LENGTH && value.bytes().all(in_value)).then(|| value.to_owned())
        });
        let value = match known {
            Some(value) => value,
            None => write_bytes(&array(random)?),
        };
        Ok(Self { name, value })
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Sets the cookie for as long as a marker is valid.
    pub(super) fn remember(&self, page: &mut Answer) {
        let secure = if self.name.starts_with("__Host-") { "; Secure" } else { "" };
        let (name, value) = (self.name, &self.value);
        let cookie =
            format!("{name}={value}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            page.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
