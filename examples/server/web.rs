//! Helpers of all pages and handlers: escaping, forms, cookies, the page frame.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// A page or a redirect with its whole body.
pub(crate) type Page = Response<Vec<u8>>;

const STYLE: &str = include_str!("style.css");

/// Allows the one style sheet by its digest: no scripts, no images, nothing external. There is no
/// `form-action`, because browsers also apply it to the redirect after a form.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'");
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The path of the console.
#[cfg(feature = "console")]
pub(crate) const CONSOLE: &str = "/console";
/// The path of the user's page.
#[cfg(feature = "console")]
pub(crate) const ACCOUNT: &str = "/account";

/// Escapes `text` for HTML, between tags and in double quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The width of a page.
#[derive(Clone, Copy)]
pub(crate) enum Width {
    /// For a form.
    Card,
    /// For text.
    Wide,
}

/// Renders a page. `body` is HTML with external text already escaped.
pub(crate) fn page(status: StatusCode, width: Width, title: &str, body: &str) -> Page {
    let class = match width {
        Width::Card => "card",
        Width::Wide => "wide",
    };
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main class=\"{class}\">\n\
         <div class=\"mark\"><span aria-hidden=\"true\">F</span>Example Files</div>\n\
         {body}</main>\n<footer>The example server of grantor: for trying things out.</footer>\n\
         </body>\n</html>\n"
    );
    let mut page = Page::new(html.into_bytes());
    *page.status_mut() = status;
    let headers = page.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Not `no-referrer`, because then a form has the origin `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    page
}

/// Renders an error page.
pub(crate) fn problem(status: StatusCode, title: &str, sentence: &str) -> Page {
    let mut body = String::new();
    // Writing to a string cannot fail.
    _ = write!(body, "<h1>{}</h1>\n<p>{}</p>\n", escape(title), escape(sentence));
    page(status, Width::Card, title, &body)
}

/// Redirects the browser with `GET`.
pub(crate) fn see_other(location: &str) -> Page {
    let mut answer = Page::new(Vec::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(header::LOCATION, location);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Returns `return_to` if it is the endpoint at the path `authorize` of this server, and otherwise
/// the home page. The browser never leaves this server.
pub(crate) fn local<'a>(authorize: &str, return_to: &'a str) -> &'a str {
    let query = return_to.strip_prefix(authorize).and_then(|rest| rest.strip_prefix('?'));
    let plain = |query: &str| query.bytes().all(|byte| byte.is_ascii_graphic());
    if query.is_some_and(plain) { return_to } else { "/" }
}

/// Returns true if `path` is the path `own` of this server, or a path below it.
#[cfg(feature = "console")]
pub(crate) fn is_below(own: &str, path: &str) -> bool {
    let rest = path.strip_prefix(own);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && rest.bytes().all(plain)))
}

/// Returns the first field called `name` of a form.
pub(crate) fn field(form: &[u8], name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(form);
    pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The cookies of this server. Over https their names keep other hosts from setting them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    secure: bool,
}

/// A cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cookie {
    /// The id of a login.
    Session,
    /// Binds a login form to a browser.
    Form,
}

impl Cookies {
    /// Creates the cookies for a server with or without https.
    pub(crate) const fn new(secure: bool) -> Self {
        Self { secure }
    }

    fn name(self, cookie: Cookie) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        let name = match cookie {
            Cookie::Session => "grantor_session",
            Cookie::Form => "grantor_form",
        };
        format!("{prefix}{name}")
    }

    /// Returns the value that the browser sent.
    pub(crate) fn get(self, headers: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let name = self.name(cookie);
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
        let mut pairs =
            sent.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Sets `value`, which is base64url, until the browser is closed.
    pub(crate) fn set(self, page: &mut Page, cookie: Cookie, value: &str) {
        self.write(page, cookie, value, "");
    }

    /// Deletes the cookie in the browser.
    pub(crate) fn forget(self, page: &mut Page, cookie: Cookie) {
        self.write(page, cookie, "", "; Max-Age=0");
    }

    fn write(self, page: &mut Page, cookie: Cookie, value: &str, more: &str) {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.name(cookie);
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
        if let Ok(text) = HeaderValue::try_from(text) {
            page.headers_mut().append(header::SET_COOKIE, text);
        }
    }
}

/// Responds with JSON that is not cached.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Page {
    let mut answer = Page::new(value.to_string().into_bytes());
    *answer.status_mut() = status;
    for (name, value) in
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Converts a page to a response.
pub(crate) fn reply(answer: Page) -> axum::response::Response {
    answer.map(axum::body::Body::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_cannot_break_out() {
        assert_eq!(
            escape("<a href=\"x\" b='y'>&"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;"
        );
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        let sent = HeaderValue::from_static("x=1; not_grantor_session=2; grantor_session=3");
        headers.append(header::COOKIE, sent);
        assert_eq!(Cookies::new(false).get(&headers, Cookie::Session), Some("3"));
        assert_eq!(Cookies::new(false).get(&headers, Cookie::Form), None);
        assert_eq!(Cookies::new(true).get(&headers, Cookie::Session), None);
    }

    #[test]
    fn over_https_a_cookie_is_bound_to_this_host() {
        let mut page = see_other("/");
        Cookies::new(true).set(&mut page, Cookie::Session, "id");
        assert_eq!(
            page.headers()[header::SET_COOKIE],
            "__Host-grantor_session=id; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn a_login_returns_to_the_authorization_endpoint_or_nowhere() {
        const PATH: &str = "/oauth/authorize";
        let good = "/oauth/authorize?client_id=a&scope=GET%2Ffiles%2F*";
        assert_eq!(local(PATH, good), good);
        for bad in [
            "",
            "/",
            "https://evil.example/oauth/authorize?x",
            "//evil.example/oauth/authorize?x",
            "/\\evil.example",
            "/oauth/authorize",
            "/oauth/authorize.evil.example?x",
            "/oauth/authorize/../../x?y",
            "/oauth/authorize?a\r\nSet-Cookie: b",
            "/oauth/authorize?a b",
        ] {
            assert_eq!(local(PATH, bad), "/", "{bad}");
        }
    }
}
