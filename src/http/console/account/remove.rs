//! The removal of one app, after a page that says what ends.

use askama::Template;
use http::StatusCode;

use super::super::problem::Problem;
use super::super::times::duration;
use super::super::visit::render;
use super::super::{path, texts};
use super::apps::{Abilities, Ability};
use super::visit::{AccountVisit, Frame};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "account/remove.html")]
struct Remove<'a> {
    frame: Frame<'a>,
    name: String,
    abilities: Abilities,
    longest: String,
    impersonates: bool,
    action: String,
    cancel: String,
}

impl<S: Store, U: UserDirectory, H: Hooks> AccountVisit<'_, S, U, H> {
    /// Shows what a removal would end.
    pub(super) async fn confirm_removal(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.authorized(segment).await?;
        let page = Remove {
            frame: self.frame(texts::account::REMOVE_TITLE),
            abilities: Abilities::of(&app.scopes),
            longest: duration(app.access_token_lifetime),
            impersonates: app.impersonates,
            action: self.removal_link(&app.client_id),
            cancel: self.link(""),
            name: app.name,
        };
        render(StatusCode::OK, &page)
    }

    /// Removes an app. A second removal of the same app is one more success.
    pub(super) async fn remove(&self, segment: &str) -> Result<Page, Problem> {
        let client_id = path::client_id(segment).ok_or(Problem::NotFound)?;
        if self.server.store().find_app(&client_id).await?.is_none() {
            return Err(Problem::AppGone);
        }
        self.account().remove(&client_id).await?;
        let (removed, mark) = (path::segment(&client_id), self.removal_mark(&client_id));
        Ok(self.to(&format!("{}?removed={removed}&mark={mark}", self.link(""))))
    }
}
