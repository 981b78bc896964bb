//! The pages of a host, reduced to lines.

use grantor::clock::UnixTime;
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::http::{DevicePages, DeviceStep, Interaction, Page};
use grantor::users::DirectoryError;
use http::Response;
use http::request::Parts;

use super::subject;

/// Pages of one line each. The cookie without `=` names the user: `name` or `name@auth_time`.
pub(crate) struct Lines;

impl Interaction for Lines {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let cookies = request.headers.get("cookie").map(|value| value.to_str().unwrap());
        match cookies.and_then(|all| all.split("; ").find(|pair| !pair.contains('='))) {
            Some("broken") => Err(DirectoryError::new("no directory")),
            Some(user) => {
                let (name, since) = user.split_once('@').unwrap_or((user, ""));
                let login = Login::new(subject(name), "session");
                let since = since.parse::<i64>().map(UnixTime::from_seconds);
                Ok(Some(match since {
                    Ok(since) => login.with_auth_time(since),
                    Err(_) => login,
                }))
            }
            None => Ok(None),
        }
    }

    async fn login_page(&self, _: &Parts, asked: &AuthorizationRequest, to: &str) -> Page {
        page(format!("login for {}|{to}", asked.app().settings().name()))
    }

    async fn consent_page(&self, _: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        let scopes: Vec<_> = prompt.scopes.iter().map(|it| it.token.as_str()).collect();
        page(format!("{action}|{}|{}", prompt.ticket, scopes.join(" ")))
    }

    async fn error_page(&self, _: &Parts, error: &AuthorizationError) -> Page {
        page(format!("error {}", reason(error)))
    }
}

impl DevicePages for Lines {
    async fn device_page(&self, _: &Parts, step: &DeviceStep<'_>) -> Page {
        page(match step {
            DeviceStep::LogIn { return_to } => format!("login|{return_to}"),
            DeviceStep::EnterCode { action, user_code, error } => {
                let (code, why) = (user_code.unwrap_or_default(), error.map_or("", reason));
                format!("enter|{action}|{code}|{why}")
            }
            DeviceStep::AskConsent { action, prompt } => {
                let scopes: Vec<_> = prompt.scopes.iter().map(|it| it.token.as_str()).collect();
                let address = prompt.device_address.as_ref().map_or("", |it| it.as_str());
                let shown = [&*scopes.join(" "), &prompt.app_name, &prompt.user_code, address];
                format!("consent|{action}|{}|{}", prompt.ticket, shown.join("|"))
            }
            DeviceStep::Decided(decision) => format!("decided|{}", decision.approved),
        })
    }
}

fn reason(error: &AuthorizationError) -> &'static str {
    error.rejection().map_or("failed", |it| it.reason())
}

fn page(text: String) -> Page {
    Response::new(text.into_bytes())
}
