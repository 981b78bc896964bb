//! The cookie by which a browser that was sent to the login page is known again.
//!
//! The way back is bound to it, so that no other browser can use the link. It holds random bits, and
//! says nothing about the user.

use std::time::Duration;

use http::header;

use super::request::Exchange;
use super::response::Answer;
use super::session_cookie::{SessionCookie, SessionSecret};
use crate::ids::Issuer;
use crate::random::{RandomError, SecureRandom};

/// The time for which a marker is valid.
const MAX_AGE: Duration = Duration::from_hours(1);

/// A browser at the authorization endpoint.
pub(super) struct Browser {
    cookie: SessionCookie,
    secret: SessionSecret,
}

impl Browser {
    /// Returns the browser of a request, by its cookie or by a new value.
    pub(super) fn of(
        exchange: &Exchange<'_>,
        issuer: &Issuer,
        random: &dyn SecureRandom,
    ) -> Result<Self, RandomError> {
        let cookie = SessionCookie::named(issuer, "grantor-browser").with_max_age(MAX_AGE);
        let secret = match cookie.find(&exchange.parts.headers) {
            Some(known) => known,
            None => SessionSecret::generate(random)?,
        };
        Ok(Self { cookie, secret })
    }

    pub(super) fn value(&self) -> &str {
        self.secret.as_str()
    }

    /// Sets the cookie for as long as a marker is valid.
    pub(super) fn remember(&self, page: &mut Answer) {
        page.headers_mut().append(header::SET_COOKIE, self.cookie.set(&self.secret));
    }
}
