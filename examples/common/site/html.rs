//! The HTML of the pages. A host with a template engine that escapes uses that.

use std::fmt::Write as _;

use grantor::Subject;
use grantor::admin::AuthorizedApp;
use grantor::endpoint::{ConsentPrompt, Voucher};
use grantor::http::{Page, protect_page};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Renders the login form.
pub(crate) fn login(token: &str, return_to: &str, name: &str, problem: &str) -> Page {
    let body = format!(
        "<p>{}</p><form method=\"post\" action=\"/login\">
         <input type=\"hidden\" name=\"token\" value=\"{}\">
         <input type=\"hidden\" name=\"return_to\" value=\"{}\">
         <p><label>Name <input name=\"name\" value=\"{}\" autocomplete=\"username\" required></label></p>
         <p><label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label></p>
         <button>Sign in</button></form>",
        escape(problem),
        escape(token),
        escape(return_to),
        escape(name),
    );
    page("Sign in", &body)
}

/// Renders the consent page, with the fields that `Interaction::consent_page` lists.
pub(crate) fn consent(prompt: &ConsentPrompt, action: &str) -> Page {
    let mut body = unverified(&prompt.vouched_by);
    _ = write!(
        body,
        "<p>{}</p><p>You are {}. It will be able to:</p><form method=\"post\" action=\"{}\">
         <input type=\"hidden\" name=\"ticket\" value=\"{}\">",
        escape(&prompt.app_description),
        escape(prompt.subject.as_str()),
        escape(action),
        escape(&prompt.ticket),
    );
    for scope in &prompt.scopes {
        let (token, titles) = (escape(&scope.token), escape(&scope.titles.join(", ")));
        let text = if titles.is_empty() { &token } else { &titles };
        _ = write!(
            body,
            "<p><label><input type=\"checkbox\" name=\"scope\" value=\"{token}\" checked>{text}</label></p>"
        );
    }
    if prompt.can_be_remembered {
        body.push_str(
            "<p><label><input type=\"checkbox\" name=\"remember\">Do not ask again</label></p>",
        );
    }
    body.push_str(
        "<button name=\"decision\" value=\"approve\">Allow</button>
         <button name=\"decision\" value=\"deny\">Deny</button></form>",
    );
    page(&format!("{} asks for access", prompt.app_name), &body)
}

/// Returns the facts about an app that describes itself, whose name may be that of another.
fn unverified(vouched_by: &Voucher) -> String {
    let Voucher::Unverified(facts) = vouched_by else { return String::new() };
    let host = |host: &Option<String>, none| host.as_deref().map_or(none, escape);
    let mut text = format!(
        "<p>This is an app of {}, and its name is not verified. The access goes to {}.</p>",
        host(&facts.client_host, "an unknown party".to_owned()),
        host(&facts.redirect_host, "a program on your device".to_owned()),
    );
    if facts.only_loopback {
        text.push_str(
            "<p>Any program on your device can ask in this name. Go on only if you have just started it.</p>",
        );
    }
    text
}

/// Renders the apps of a user, each with a button that removes it.
pub(crate) fn account(user: &Subject, token: &str, apps: &[AuthorizedApp]) -> Page {
    let button = |app: &str, text: &str| {
        format!(
            "<form method=\"post\" action=\"/account\">
             <input type=\"hidden\" name=\"token\" value=\"{}\">
             <button name=\"app\" value=\"{}\">{text}</button></form>",
            escape(token),
            escape(app),
        )
    };
    let mut body = format!("<p>You are {}.</p>", escape(user.as_str()));
    for app in apps {
        let may: Vec<_> =
            app.scopes.iter().flat_map(|scope| &scope.titles).map(|it| escape(it)).collect();
        let remove = button(app.client_id.as_str(), "Remove");
        _ = write!(body, "<p><b>{}</b>: {}</p>{remove}", escape(&app.name), may.join(", "));
    }
    body.push_str(&button("", "Sign out"));
    page("Your apps", &body)
}

/// Renders a page. `body` is HTML whose texts are escaped.
pub(crate) fn page(title: &str, body: &str) -> Page {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    );
    let mut page = Page::new(html.into_bytes());
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // No `form-action`, because browsers apply it to the redirect to the app, too.
    let policy = HeaderValue::from_static("default-src 'none'; base-uri 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    protect_page(&mut page);
    page
}

fn escape(text: &str) -> String {
    let quoted = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    quoted.replace('"', "&quot;").replace('\'', "&#39;")
}
