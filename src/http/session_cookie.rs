//! The session of a browser: its cookie, and the anti-forgery token of its forms.

use std::fmt;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use crate::ids::{InvalidId, Issuer, write_bytes};
use crate::random::{RandomError, SecureRandom, array};
use crate::secret::Digest;

/// The length of a secret: 128 random bits in base64url.
const LENGTH: usize = 22;
/// The longest name of a cookie, in bytes.
const MAX_NAME: usize = 64;

/// The cookie of a browser session, for the login of a host.
///
/// It is `HttpOnly`, `SameSite=Lax` and valid for every path. If the issuer is an `https` URL it is `Secure`, and
/// its name has the prefix `__Host-`, so that no other host of the domain can plant it.
///
/// The library brings no login. It takes over the cookie and the anti-forgery tokens, which are the same in every
/// host:
///
/// ```
/// use grantor::Issuer;
/// use grantor::http::{SessionCookie, SessionSecret};
/// use grantor::random::OsRandom;
/// use http::HeaderMap;
/// use http::header::{COOKIE, SET_COOKIE};
///
/// let cookie = SessionCookie::new(&Issuer::new("https://id.example.com")?, "session")?;
///
/// // The login page is shown to a browser without a session. Its form has the token in a hidden field.
/// let guest = SessionSecret::generate(&OsRandom::new())?;
/// let (field, set) = (guest.form_token(), cookie.set(&guest));
/// assert!(set.to_str()?.starts_with("__Host-session="));
///
/// // The form arrives with the cookie.
/// let mut request = HeaderMap::new();
/// request.insert(COOKIE, set.to_str()?.split(';').next().unwrap_or_default().parse()?);
/// let sent = cookie.find(&request).ok_or("the browser has no session")?;
/// assert!(sent.accepts(&field) && !sent.accepts("guessed"));
///
/// // The password is right: a new session begins. The table of sessions has its digest.
/// let session = SessionSecret::generate(&OsRandom::new())?;
/// let (row, mut answer) = (session.digest(), HeaderMap::new());
/// answer.append(SET_COOKIE, cookie.set(&session));
/// # assert_ne!(row, sent.digest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    name: String,
    /// The attributes behind the value.
    attributes: &'static str,
    max_age: Option<u64>,
}

impl SessionCookie {
    /// Returns the cookie of the server's host. `name` has up to 64 letters, digits, `-` and `_`. The browser
    /// forgets the cookie when it is closed.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] if `name` is empty, longer, or has another character.
    pub fn new(issuer: &Issuer, name: &str) -> Result<Self, InvalidId> {
        let problem = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_NAME {
            "it is longer than 64 bytes"
        } else if !name.bytes().all(is_word) {
            "it has a character that is not a letter, a digit, `-` or `_`"
        } else {
            return Ok(Self::named(issuer, name));
        };
        Err(InvalidId { kind: "cookie name", problem })
    }

    pub(super) fn named(issuer: &Issuer, name: &str) -> Self {
        let (prefix, attributes) = if issuer.as_str().starts_with("https://") {
            ("__Host-", "HttpOnly; SameSite=Lax; Secure")
        } else {
            ("", "HttpOnly; SameSite=Lax")
        };
        Self { name: format!("{prefix}{name}"), attributes, max_age: None }
    }

    /// Lets the browser keep the cookie for this time, in whole seconds, also after it was closed.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age.as_secs());
        self
    }

    /// Finds the session of a request. A value that no [`SessionSecret`] has counts as none.
    #[must_use]
    pub fn find(&self, headers: &HeaderMap) -> Option<SessionSecret> {
        cookies(headers).find_map(|(name, value)| {
            let is_own = name == self.name && value.len() == LENGTH && value.bytes().all(is_word);
            is_own.then(|| SessionSecret(Zeroizing::new(value.to_owned())))
        })
    }

    /// Returns the `Set-Cookie` header that gives the browser this session.
    #[must_use]
    pub fn set(&self, session: &SessionSecret) -> HeaderValue {
        self.header(&session.0, self.max_age)
    }

    /// Returns the `Set-Cookie` header that removes the session from the browser.
    #[must_use]
    pub fn clear(&self) -> HeaderValue {
        self.header("", Some(0))
    }

    fn header(&self, value: &str, max_age: Option<u64>) -> HeaderValue {
        let (name, attributes) = (&self.name, self.attributes);
        let max_age = max_age.map_or_else(String::new, |seconds| format!("Max-Age={seconds}; "));
        let cookie = format!("{name}={value}; Path=/; {max_age}{attributes}");
        // Names and values have only characters that a header allows.
        let mut header = HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

/// The secret of a browser session: 128 random bits, the value of its [`SessionCookie`].
///
/// A host generates a new one at every login, and stores its [`digest`](Self::digest). `Debug` is redacted,
/// and memory is zeroized on drop.
pub struct SessionSecret(Zeroizing<String>);

impl SessionSecret {
    /// Generates the secret of a new session.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source fails.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(write_bytes(&array(random)?))))
    }

    /// Returns the key of the session in the host's table. A copy of the table opens no session.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_fields(&[b"session", self.0.as_bytes()])
    }

    /// Returns the anti-forgery token for the forms of this session, 43 characters of base64url. Only a page
    /// that was shown in this session has it, so a form with it was not sent by another site.
    ///
    /// It also names the session for [`Login::new`](crate::endpoint::Login::new). The secret cannot be computed
    /// from it.
    #[must_use]
    pub fn form_token(&self) -> String {
        Digest::of_fields(&[b"form", self.0.as_bytes()]).to_base64url()
    }

    /// Checks the anti-forgery token of a form, in constant time.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        // Digests of equal length, so that the time tells nothing about the token.
        let digest = |token: &str| Digest::of_fields(&[token.as_bytes()]);
        digest(&self.form_token()).matches(&digest(token))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret([redacted])")
    }
}

/// Returns the names and values of the cookies of a request.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    lines.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn cookie(issuer: &str) -> SessionCookie {
        SessionCookie::new(&Issuer::new(issuer).unwrap(), "session").unwrap()
    }

    fn secret() -> SessionSecret {
        SessionSecret::generate(&OsRandom::new()).unwrap()
    }

    fn sent(cookies: &[&str]) -> HeaderMap {
        let values = cookies.iter().map(|it| HeaderValue::from_str(it).unwrap());
        values.map(|value| (header::COOKIE, value)).collect()
    }

    #[test]
    fn a_session_comes_back_in_the_cookie_that_set_it() {
        for (issuer, name, attributes) in [
            ("https://a.example", "__Host-session", "; Path=/; HttpOnly; SameSite=Lax; Secure"),
            ("http://127.0.0.1:80", "session", "; Path=/; HttpOnly; SameSite=Lax"),
        ] {
            let (cookie, own) = (cookie(issuer), secret());
            let set = cookie.set(&own);
            let pair = format!("{name}={}", own.as_str());
            assert_eq!(set.to_str().unwrap(), format!("{pair}{attributes}"));
            for cookies in [
                &[&*pair][..],
                &["a=b", &format!("c=d;{pair} ; e=f")],
                &[&format!("{name}=; {pair}")],
            ] {
                let found = cookie.find(&sent(cookies)).unwrap();
                assert_eq!(found.digest(), own.digest(), "{cookies:?}");
            }
            let kept = cookie.clone().with_max_age(Duration::from_mins(1)).set(&own);
            assert!(kept.to_str().unwrap().contains("; Max-Age=60; "), "{kept:?}");
            assert!(
                cookie
                    .clear()
                    .to_str()
                    .unwrap()
                    .starts_with(&format!("{name}=; Path=/; Max-Age=0; "))
            );
        }
    }

    #[test]
    fn a_value_of_another_shape_is_no_session() {
        let (cookie, own) = (cookie("https://a.example"), secret());
        let value = own.as_str();
        for pair in [
            format!("session={value}"),
            format!("x__Host-session={value}"),
            format!("__host-session={value}"),
            format!("__Host-session={value}x"),
            format!("__Host-session=\"{}\"", &value[2..]),
            format!("__Host-session={}", &value[1..]),
            "__Host-session=".to_owned(),
            "__Host-session".to_owned(),
        ] {
            assert!(cookie.find(&sent(&[&pair])).is_none(), "{pair}");
        }
        assert!(cookie.find(&HeaderMap::new()).is_none());
    }

    #[test]
    fn a_form_belongs_to_one_session_and_does_not_tell_its_secret() {
        let (one, other) = (secret(), secret());
        let token = one.form_token();
        assert!(one.accepts(&token) && !other.accepts(&token));
        for wrong in
            ["", one.as_str(), &token[1..], &format!("{token}x"), &one.digest().to_base64url()]
        {
            assert!(!one.accepts(wrong), "{wrong}");
        }
        assert_eq!(token.len(), 43);
        let shown = format!("{one:?} {:?}", cookie("https://a.example").set(&one));
        assert!(!shown.contains(one.as_str()), "{shown}");
    }

    #[test]
    fn a_name_that_a_header_cannot_carry_is_refused() {
        let issuer = Issuer::new("https://a.example").unwrap();
        for name in ["", "a b", "a;b", "a=b", "ä", "a\r\nb", &"a".repeat(65)] {
            let refused = SessionCookie::new(&issuer, name).unwrap_err().to_string();
            assert!(refused.starts_with("not a valid cookie name: it "), "{refused}");
        }
        assert!(SessionCookie::new(&issuer, &"a".repeat(64)).is_ok());
    }
}
