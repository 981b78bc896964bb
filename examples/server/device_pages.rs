//! The pages of the device grant: the code, consent, and the way back to the device.

use std::fmt::Write as _;

use axum::http::StatusCode;
use grantor::endpoint::{AuthorizationError, DeviceDecision, DevicePrompt, Voucher};
use grantor::error::{DeviceGrantRefusal, Rejection};

use crate::pages;
use crate::web::{Page, Width, escape, page, problem};

/// Renders the form for the code. A code of a link is filled in, and the user still sends the form.
pub(crate) fn enter_code(
    action: &str,
    user_code: Option<&str>,
    error: Option<&AuthorizationError>,
) -> Page {
    let mut body = String::from("<h1>Connect a device</h1>\n");
    if let Some(error) = error {
        // Writing to a string cannot fail, here and below.
        _ = writeln!(body, "<p class=\"problem\" role=\"alert\">{}</p>", sentence(error));
    }
    if user_code.is_some() {
        body.push_str(
            "<p>Compare the code with the one on your device. If you have no such device, close this page.</p>\n",
        );
    } else {
        body.push_str("<p>Type the code that your device shows.</p>\n");
    }
    _ = write!(
        body,
        "<form method=\"post\" action=\"{action}\">\n\
         <label class=\"field\" for=\"user_code\">Code</label>\n\
         <input type=\"text\" id=\"user_code\" name=\"user_code\" value=\"{code}\" autocomplete=\"off\" \
         autocapitalize=\"characters\" spellcheck=\"false\" maxlength=\"64\" required autofocus>\n\
         <div class=\"buttons\"><button type=\"submit\">Continue</button></div>\n</form>\n",
        action = escape(action),
        code = escape(user_code.unwrap_or_default()),
    );
    page(StatusCode::OK, Width::Card, "Connect a device", &body)
}

fn sentence(error: &AuthorizationError) -> &'static str {
    match error.rejection() {
        Some(Rejection::DeviceGrant(DeviceGrantRefusal::UnknownUserCode)) => {
            "No device shows this code. It may have expired: ask the device for a new one."
        }
        Some(Rejection::AlreadyDecided) => "This code was used. Ask the device for a new one.",
        _ => "Too many wrong codes. Wait for a minute.",
    }
}

/// Renders the consent page for a device.
pub(crate) fn consent(prompt: &DevicePrompt, action: &str) -> Page {
    let app = escape(&prompt.app_name);
    let mut body = format!("<h1>{app} asks for access on another device</h1>\n");
    body.push_str(match prompt.vouched_by {
        Voucher::Administrator => "<p class=\"soft\">Registered by your administrator.</p>\n",
        Voucher::Unverified(_) | _ => "<p class=\"soft\">The app chose this name itself.</p>\n",
    });
    for line in prompt.app_description.lines().filter(|line| !line.is_empty()) {
        _ = writeln!(body, "<p class=\"soft\">{}</p>", escape(line));
    }
    let address = prompt.device_address.as_ref().map_or_else(String::new, |address| {
        format!(" at the address <code>{}</code>", escape(address.as_str()))
    });
    _ = write!(
        body,
        "<p class=\"problem\">A device{address} shows the code <strong>{}</strong>. Go on only if you have that \
         device before you. If a message led you here, the device is not yours: deny.</p>\n\
         <p>You are signed in as <strong>{}</strong>.</p>\n\
         <form method=\"post\" action=\"{}\">\n\
         <input type=\"hidden\" name=\"ticket\" value=\"{}\">\n",
        escape(&prompt.user_code),
        escape(prompt.subject.as_str()),
        escape(action),
        escape(&prompt.ticket),
    );
    pages::asked(&mut body, &prompt.scopes, &prompt.resources);
    body.push_str(
        "<div class=\"buttons\">\n\
         <button type=\"submit\" name=\"decision\" value=\"approve\">Allow</button>\n\
         <button type=\"submit\" class=\"second\" name=\"decision\" value=\"deny\">Deny</button>\n\
         </div>\n</form>\n",
    );
    let title = format!("{} asks for access on another device", prompt.app_name);
    page(StatusCode::OK, Width::Card, &title, &body)
}

/// Renders the end of the way.
pub(crate) fn decided(decision: &DeviceDecision) -> Page {
    let (title, sentence) = if decision.approved {
        ("Your device is connected", "Go back to it. You can end its access at any time.")
    } else {
        ("Your device has no access", "You denied it, and nothing was changed.")
    };
    problem(StatusCode::OK, title, sentence)
}
