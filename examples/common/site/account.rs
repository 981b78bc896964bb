//! The user's own view: the apps that act in the user's name, and the end of the session.

use grantor::http::Page;
use grantor::ids::ClientId;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{BoxError, Site, html, see_other};

#[derive(Deserialize)]
pub(crate) struct AccountForm {
    token: String,
    /// The app to remove. If it is empty, the user signs out.
    app: String,
}

impl Site {
    /// Shows the apps that act in the user's name.
    pub(crate) async fn account(&self, headers: &HeaderMap) -> Result<Page, BoxError> {
        let Some(session) = self.session(headers).await? else { return see_other("/login") };
        let authorized = self.server.account(session.subject.clone()).apps().await?;
        Ok(html::account(&session.subject, &session.secret.form_token(), &authorized.apps))
    }

    pub(crate) async fn change_account(
        &self,
        headers: &HeaderMap,
        form: AccountForm,
    ) -> Result<Page, BoxError> {
        let session = self.session(headers).await?;
        let Some(session) = session.filter(|session| session.secret.accepts(&form.token)) else {
            let mut page = html::page("This page has expired", "");
            *page.status_mut() = StatusCode::FORBIDDEN;
            return Ok(page);
        };
        if form.app.is_empty() {
            self.users.end_session(&session.secret).await?;
        } else {
            self.server.account(session.subject).remove(&ClientId::new(form.app)?).await?;
        }
        see_other("/account")
    }
}
