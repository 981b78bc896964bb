//! The console and the user's page, behind the login of this server.

use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use grantor::UpkeepHandle;
use grantor::endpoint::Login;
use grantor::http::console::{
    AccountAccess, AccountPages, Administrator, Console, ConsoleAccess, ConsoleBrand, ConsoleRole,
    Playground, account_router, console_router,
};
use grantor::users::{DirectoryError, User};

use crate::log::Log;
use crate::site::{Browsers, Site};
use crate::web::{ACCOUNT, CONSOLE, Cookie, Page, problem, see_other};
use crate::{BoxError, Server};

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 28 28\">\
    <rect width=\"28\" height=\"28\" rx=\"7\" fill=\"#1f5fbf\"/>\
    <path d=\"M10 7h9v3h-6v3h5v3h-5v5h-3z\" fill=\"#fff\"/></svg>\n";

/// The administrators are the users of two groups.
struct Staff(Arc<Site>);

impl Staff {
    fn role(user: &User) -> Option<ConsoleRole> {
        let is_in = |group: &str| user.groups.iter().any(|own| own.as_str() == group);
        if is_in("administrators") {
            Some(ConsoleRole::Security)
        } else {
            is_in("auditors").then_some(ConsoleRole::View)
        }
    }
}

impl ConsoleAccess for Staff {
    async fn administrator(
        &self,
        request: &Parts,
    ) -> Result<Option<Administrator>, DirectoryError> {
        let Some(session) = self.0.session(&request.headers) else { return Ok(None) };
        let role = self.0.users.get(session.subject.as_str()).and_then(Self::role);
        Ok(role.map(|role| Administrator::new(session.subject.as_str(), role, session.token)))
    }

    async fn no_administrator(&self, request: &Parts) -> Page {
        if self.0.session(&request.headers).is_some() {
            return problem(
                StatusCode::FORBIDDEN,
                "You are not an administrator",
                "The console is for users of the groups administrators and auditors. Sign out, and \
                 sign in as root.",
            );
        }
        to_login(request)
    }
}

/// Users sign out of this program, too.
impl AccountAccess for Browsers {
    async fn no_login(&self, request: &Parts) -> Page {
        to_login(request)
    }

    async fn end_sessions(&self, _: &Parts, login: &Login) -> Result<HeaderMap, DirectoryError> {
        self.0.sessions.log_out_everywhere(login.subject());
        let mut page = Page::default();
        self.0.cookies.forget(&mut page, Cookie::Session);
        Ok(page.into_parts().0.headers)
    }
}

/// Sends the browser to the login, which leads back.
fn to_login(request: &Parts) -> Page {
    let path: String =
        url::form_urlencoded::byte_serialize(request.uri.path().as_bytes()).collect();
    see_other(&format!("/login?return_to={path}"))
}

/// Returns the routes of the console and of the user's page.
///
/// # Errors
///
/// None that can occur: path, colour and logo are constants.
pub(crate) fn router(
    server: &Arc<Server>,
    site: &Arc<Site>,
    log: &Log,
    upkeep: &UpkeepHandle,
    playground: bool,
) -> Result<Router, BoxError> {
    let brand = ConsoleBrand::new("Example Files")
        .with_accent("#1f5fbf")?
        .with_logo("image/svg+xml", LOGO)?;
    let mut console = Console::new(Arc::clone(server), Staff(Arc::clone(site)), CONSOLE)?
        .with_brand(brand.clone())
        .with_audit_log(log.store.clone())
        .with_upkeep(upkeep.clone());
    if playground {
        console = console.with_playground(Playground::new());
    }
    let account = AccountPages::new(Arc::clone(server), Browsers(Arc::clone(site)), ACCOUNT)?;
    let account = account.with_brand(brand);
    Ok(console_router(&Arc::new(console)).merge(account_router(&Arc::new(account))))
}
