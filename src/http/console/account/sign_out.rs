//! *Sign out everywhere*.

use askama::Template;
use http::StatusCode;

use super::super::problem::Problem;
use super::super::texts::{self, account as text};
use super::super::times::duration;
use super::super::visit::render;
use super::AccountAccess;
use super::visit::{AccountVisit, Frame, with_headers};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "account/sign_out.html")]
struct SignOut<'a> {
    frame: Frame<'a>,
    longest: Option<String>,
    action: String,
    cancel: String,
}

#[derive(Template)]
#[template(path = "account/signed_out.html")]
struct SignedOut<'a> {
    frame: Frame<'a>,
    longest: Option<String>,
}

impl<S: Store, U: UserDirectory, H: Hooks> AccountVisit<'_, S, U, H> {
    /// Shows what would end.
    pub(super) async fn confirm_sign_out(&self) -> Result<Page, Problem> {
        let page = SignOut {
            frame: self.frame(text::SIGN_OUT),
            longest: self.longest().await?,
            action: self.link("/sign-out"),
            cancel: self.link(""),
        };
        render(StatusCode::OK, &page)
    }

    /// Ends the sessions of the host, then the access of every app: an app that gets access meanwhile loses it,
    /// too. The page is the answer to the form, because the user is signed out afterwards.
    pub(super) async fn sign_out<A: AccountAccess>(&self, access: &A) -> Result<Page, Problem> {
        let longest = self.longest().await?;
        let ended = access.end_sessions(self.parts, self.login).await;
        let headers = ended.map_err(|_| Problem::Unavailable)?;
        let page = match self.account().sign_out_everywhere().await {
            Ok(_) => {
                let frame = self.frame(text::SIGNED_OUT_TITLE).without_user();
                render(StatusCode::OK, &SignedOut { frame, longest })?
            }
            Err(_) => self.problem(Problem::Unavailable),
        };
        Ok(with_headers(page, headers))
    }

    /// Returns the longest time for which a token of an app may be accepted after it ended.
    async fn longest(&self) -> Result<Option<String>, Problem> {
        let listed = self.account().apps().await?;
        Ok(listed.apps.iter().map(|app| app.access_token_lifetime).max().map(duration))
    }
}
