//! HTML pages: the front page, login, consent, errors, and the redirect targets of the demo apps.

use std::fmt::Write as _;

use axum::http::StatusCode;
use grantor::endpoint::{
    AuthorizationError, ConsentPrompt, RequestedScope, SelfDescription, Voucher,
};
use grantor::error::Rejection;
use grantor::ids::Resource;

use crate::sessions::Session;
use crate::tries::Tries;
use crate::web::{Page, Width, escape, page, problem};

/// The fields of the login form.
pub(crate) struct LoginForm<'a> {
    /// The app that requests the login.
    pub(crate) app: Option<&'a str>,
    pub(crate) token: &'a str,
    pub(crate) return_to: &'a str,
    /// The user name entered before.
    pub(crate) username: &'a str,
    pub(crate) problem: Option<&'a str>,
}

/// Renders the login page.
pub(crate) fn login(status: StatusCode, form: &LoginForm<'_>) -> Page {
    let mut body = String::from("<h1>Sign in</h1>\n");
    // Writing to a string cannot fail, here and below.
    if let Some(app) = form.app {
        _ = writeln!(body, "<p class=\"soft\">to continue to <strong>{}</strong></p>", escape(app));
    }
    if let Some(problem) = form.problem {
        _ = writeln!(body, "<p class=\"problem\" role=\"alert\">{}</p>", escape(problem));
    }
    let (name_focus, password_focus) =
        if form.username.is_empty() { (" autofocus", "") } else { ("", " autofocus") };
    _ = write!(
        body,
        "<form method=\"post\" action=\"/login\">\n\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">\n\
         <input type=\"hidden\" name=\"return_to\" value=\"{return_to}\">\n\
         <label class=\"field\" for=\"username\">User name</label>\n\
         <input type=\"text\" id=\"username\" name=\"username\" value=\"{username}\" \
         autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"255\" \
         required{name_focus}>\n\
         <label class=\"field\" for=\"password\">Password</label>\n\
         <input type=\"password\" id=\"password\" name=\"password\" \
         autocomplete=\"current-password\" maxlength=\"1024\" required{password_focus}>\n\
         <div class=\"buttons\"><button type=\"submit\">Sign in</button></div>\n</form>\n",
        token = escape(form.token),
        return_to = escape(form.return_to),
        username = escape(form.username),
    );
    page(status, Width::Card, "Sign in", &body)
}

/// Renders who asks, if the app describes itself: the host that answers for it first, then the name that it claims.
fn unverified(app: &str, facts: &SelfDescription) -> String {
    let mut text = match &facts.client_host {
        Some(host) => format!("<h1>An app of {} asks for access</h1>\n", escape(host)),
        None => "<h1>An unknown app asks for access</h1>\n".to_owned(),
    };
    _ = writeln!(
        text,
        "<p>It calls itself <strong>{app}</strong>. This name is not verified: another app may use the same.</p>"
    );
    _ = match &facts.redirect_host {
        Some(host) => {
            writeln!(text, "<p>The access goes to <strong>{}</strong>.</p>", escape(host))
        }
        None => writeln!(text, "<p>The access goes to a program on your device.</p>"),
    };
    if facts.only_loopback {
        text.push_str(
            "<p><strong>Any program on your device can ask in this name.</strong> Go on only if you have just \
             started it yourself.</p>\n",
        );
    }
    text
}

/// Renders the consent page. Every scope is ticked, and an unticked one is not granted. `here` is
/// the URL of the page if it can be requested again.
pub(crate) fn consent(prompt: &ConsentPrompt, action: &str, here: Option<&str>) -> Page {
    let app = escape(&prompt.app_name);
    let mut body = String::new();
    match &prompt.vouched_by {
        Voucher::Administrator => {
            _ = writeln!(
                body,
                "<h1>{app} asks for access</h1>\n\
                 <p class=\"soft\">Registered by your administrator.</p>"
            );
        }
        Voucher::Unverified(facts) => body.push_str(&unverified(&app, facts)),
        _ => {
            _ = writeln!(
                body,
                "<h1>{app} asks for access</h1>\n\
                 <p class=\"soft\">The app chose this name itself.</p>"
            );
        }
    }
    let other = here.map_or_else(String::new, |here| {
        let return_to: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
        format!(" <a href=\"/login?return_to={return_to}\">Not you?</a>")
    });
    for line in prompt.app_description.lines().filter(|line| !line.is_empty()) {
        _ = writeln!(body, "<p class=\"soft\">{}</p>", escape(line));
    }
    _ = write!(
        body,
        "<p>You are signed in as <strong>{}</strong>.{other}</p>\n\
         <form method=\"post\" action=\"{}\">\n\
         <input type=\"hidden\" name=\"ticket\" value=\"{}\">\n",
        escape(prompt.subject.as_str()),
        escape(action),
        escape(&prompt.ticket),
    );
    asked(&mut body, &prompt.scopes, &prompt.resources);
    if prompt.can_be_remembered {
        body.push_str(
            "<div class=\"remember\"><input type=\"checkbox\" id=\"remember\" name=\"remember\" \
             value=\"yes\">\n<label for=\"remember\">Do not ask me again for this</label></div>\n",
        );
    }
    _ = write!(
        body,
        "<div class=\"buttons\">\n\
         <button type=\"submit\" name=\"decision\" value=\"approve\">Allow</button>\n\
         <button type=\"submit\" class=\"second\" name=\"decision\" value=\"deny\">Deny</button>\n\
         </div>\n</form>\n<p class=\"soft below\">You will be sent to <code>{}</code></p>\n",
        escape(destination(prompt.redirect_uri.as_str())),
    );
    page(StatusCode::OK, Width::Card, &format!("{} asks for access", prompt.app_name), &body)
}

/// Adds the requested scopes, each ticked, and the APIs to a form.
pub(crate) fn asked(body: &mut String, scopes: &[RequestedScope], resources: &[Resource]) {
    if scopes.is_empty() {
        body.push_str("<p>It only asks to know who you are.</p>\n");
    } else {
        body.push_str("<fieldset>\n<legend>It will be able to</legend>\n");
        for (number, scope) in scopes.iter().enumerate() {
            let token = escape(&scope.token);
            _ = write!(
                body,
                "<div class=\"scope\"><input type=\"checkbox\" id=\"scope-{number}\" name=\"scope\" \
                 value=\"{token}\" checked>\n<label for=\"scope-{number}\">"
            );
            if scope.titles.is_empty() {
                _ = write!(body, "Use what it calls <code>{token}</code>");
            } else {
                let titles: Vec<_> = scope.titles.iter().map(|title| escape(title)).collect();
                _ = write!(body, "{} <code>{token}</code>", titles.join("<br>"));
            }
            if scope.agreed {
                body.push_str(" <span class=\"soft\">(allowed before)</span>");
            }
            body.push_str("</label></div>\n");
        }
        body.push_str("</fieldset>\n");
    }
    for resource in resources {
        let resource = escape(resource.as_str());
        _ = writeln!(body, "<p class=\"soft\">At this API: <code>{resource}</code></p>");
    }
}

/// Returns the scheme and host of a redirect URI, which tell the user where the browser goes.
fn destination(uri: &str) -> &str {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let end =
        uri.get(start..).and_then(|rest| rest.find(['/', '?'])).map_or(uri.len(), |at| start + at);
    uri.get(..end).unwrap_or(uri)
}

/// Renders the page for an error that cannot be sent to an app. The library sets the status.
pub(crate) fn authorization_error(error: &AuthorizationError) -> Page {
    let (title, sentence) = match error.rejection() {
        Some(Rejection::UnknownClient | Rejection::MissingParameter("client_id")) => (
            "Unknown app",
            "The link that you followed names an app that is not registered. Ask the person who \
             gave you the link.",
        ),
        Some(Rejection::AppDisabled) => (
            "This app is disabled",
            "An administrator has disabled the app. Ask your administrator for help.",
        ),
        Some(Rejection::RedirectUri) => (
            "This link cannot be trusted",
            "The link that you followed would send you to an address that the app has not \
             registered, so you are not sent anywhere.",
        ),
        Some(Rejection::TicketExpired) => {
            ("This page has expired", "Nothing was decided. Go back to the app and start again.")
        }
        Some(Rejection::InvalidTicket) => (
            "This page belongs to another session",
            "You may have signed in or out in the meantime. Nothing was decided. Go back to the app \
             and start again.",
        ),
        Some(Rejection::AlreadyDecided) => (
            "You have already decided",
            "Your first decision stands. Go back to the app to continue.",
        ),
        Some(_) => (
            "Invalid request",
            "The app sent a request that this server does not understand. Ask the operator of the \
             app for help.",
        ),
        None => (
            "Something went wrong",
            "It is not your fault, and nothing was decided. Try again in a minute.",
        ),
    };
    problem(StatusCode::BAD_REQUEST, title, sentence)
}

/// The pages of the library that this program mounts: title, explanation, path.
const LINKS: &[(&str, &str, &str)] = &[
    #[cfg(feature = "console")]
    (
        "Your apps",
        "See which apps may act in your name, and take access back.",
        crate::web::ACCOUNT,
    ),
    #[cfg(feature = "console")]
    (
        "Administration",
        "For our staff: register apps, rotate secrets, read the audit log.",
        crate::web::CONSOLE,
    ),
];

/// Renders the front page.
pub(crate) fn home(session: Option<&Session>, metadata: &str, devices: bool) -> Page {
    let mut body = String::new();
    if let Some(session) = session {
        // Writing to a string cannot fail, here and below.
        _ = write!(
            body,
            "<div class=\"who\"><div>Signed in as <strong>{}</strong></div>\n\
             <form method=\"post\" action=\"/logout\">\
             <input type=\"hidden\" name=\"token\" value=\"{}\">\
             <button class=\"plain second\" type=\"submit\">Sign out</button></form></div>\n",
            escape(session.subject.as_str()),
            escape(&session.token),
        );
    }
    body.push_str(
        "<h1>Your documents, in one place</h1>\n\
         <p class=\"lead\">Example Files keeps the documents of your team. Sign in once, let the apps that you \
         choose work with your files, and take their access back at any time.</p>\n",
    );
    if devices {
        body.push_str("<p>If you lose a phone, your files can be wiped from it.</p>\n");
    }
    if session.is_none() {
        body.push_str("<p><a class=\"button\" href=\"/login\">Sign in</a></p>\n");
    }
    if !LINKS.is_empty() {
        body.push_str("<ul class=\"links\">\n");
        for (title, text, path) in LINKS {
            _ = writeln!(body, "<li><a href=\"{path}\">{title}</a><p>{text}</p></li>");
        }
        body.push_str("</ul>\n");
    }
    _ = writeln!(
        body,
        "<p class=\"soft below\">For developers: <a href=\"{}\">metadata of this server</a> · \
         <a href=\"/developers\">flows to try</a></p>",
        escape(metadata)
    );
    page(StatusCode::OK, Width::Wide, "Example Files", &body)
}

/// Renders the page for developers: the documents of the server, and with the demo seed the commands to try.
pub(crate) fn developers(metadata: &str, keys: &str, tries: Option<&Tries>) -> Page {
    let mut body = format!(
        "<h1>For developers</h1>\n\
         <p>This is an OAuth 2.0 authorization server. <a href=\"{}\">Its metadata</a> list every endpoint, and \
         <a href=\"{}\">its keys</a> verify every token.</p>\n",
        escape(metadata),
        escape(keys),
    );
    if let Some(tries) = tries {
        let logins = escape(tries.logins());
        _ = writeln!(body, "<h2>Users</h2>\n<p>{logins}</p>\n<h2>In a browser</h2>");
        for (what, url) in tries.browser() {
            _ = writeln!(body, "<p><a href=\"{}\">{}</a></p>", escape(url), escape(what));
        }
        body.push_str("<h2>In a shell</h2>\n");
        for one in tries.iter() {
            let (title, commands) = (escape(one.title()), escape(one.commands()));
            _ = writeln!(body, "<p>{title}</p>\n<pre>{commands}</pre>");
        }
    }
    body.push_str("<p class=\"below\"><a href=\"/\">Go to the front page</a></p>\n");
    page(StatusCode::OK, Width::Wide, "For developers", &body)
}

/// The parameters that arrived at the redirect URI of a demo app.
pub(crate) struct Callback<'a> {
    pub(crate) parameters: &'a [(String, String)],
    /// The command that redeems the code, if the app is known.
    pub(crate) redeem: Option<&'a str>,
}

/// Renders the page that stands for a demo app and shows its parameters.
pub(crate) fn callback(callback: &Callback<'_>) -> Page {
    let has = |name: &str| callback.parameters.iter().any(|(own, _)| own == name);
    let heading = if has("code") {
        "The app received a code"
    } else if has("error") {
        "The app received an error"
    } else {
        "No parameters arrived"
    };
    let mut body = format!(
        "<h1>{heading}</h1>\n<p>This page stands for an app. The browser was sent here with:</p>\n<dl>\n"
    );
    for (name, value) in callback.parameters {
        _ = writeln!(body, "<dt>{}</dt><dd><code>{}</code></dd>", escape(name), escape(value));
    }
    body.push_str("</dl>\n");
    if has("code") {
        match callback.redeem {
            Some(command) => {
                _ = write!(
                    body,
                    "<h2>Next</h2>\n<p>Redeem the code within a minute, as the app would:</p>\n<pre>{}</pre>\n",
                    escape(command)
                );
            }
            None => body.push_str(
                "<p>The app now redeems it at the token endpoint with its code verifier.</p>\n",
            ),
        }
    }
    page(StatusCode::OK, Width::Wide, heading, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(page: Page) -> String {
        String::from_utf8(page.into_body()).unwrap()
    }

    #[test]
    fn the_front_page_is_for_people_and_leads_to_every_page() {
        let front = |devices| html(home(None, "/.well-known/oauth-authorization-server", devices));
        assert!(front(true).contains("lose a phone") && !front(false).contains("phone"));
        let front = front(true);
        assert!(!front.contains("curl") && !front.contains("<pre>"));
        let paths = LINKS.iter().map(|(.., path)| *path);
        for path in paths.chain(["/login", "/developers"]) {
            assert!(front.contains(&format!("href=\"{path}\"")), "{path}");
        }
        #[cfg(feature = "console")]
        assert_eq!(LINKS.len(), 2);
        assert!(html(developers("/metadata", "/keys", None)).contains("href=\"/keys\""));
    }
}
