//! The edit of an app by a form, and a version conflict: both versions of each setting, and a form that still has
//! everything typed. *Settings* show the table above their own form, and other pages have the page below.

use std::sync::Arc;

use askama::Template;
use http::StatusCode;

use super::fields::Fields;
use super::frame::{Frame, Tab};
use super::problem::Problem;
use super::texts;
use super::visit::Visit;
use crate::admin::AdminError;
use crate::app::{AppDraft, CustomApp};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

/// A setting whose typed value is not the stored one.
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) typed: String,
    pub(super) stored: String,
}

impl Difference {
    /// Returns the difference, or `None` for equal values.
    pub(super) fn of(name: &'static str, typed: String, stored: String) -> Option<Self> {
        (typed != stored).then_some(Self { name, typed, stored })
    }
}

#[derive(Template)]
#[template(path = "console/conflict.html")]
struct ConflictPage<'a> {
    frame: Frame<'a>,
    action: String,
    version: u64,
    kept: Vec<(&'a str, &'a str)>,
    differences: Vec<Difference>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Saves a draft that was made of `app`, for a form that was made of its `version`. A higher version than the
    /// app's is a conflict, too: another administrator may save it meanwhile, and the draft would undo that.
    pub(super) async fn save(
        &self,
        app: &CustomApp,
        version: u64,
        draft: AppDraft,
    ) -> Result<Arc<CustomApp>, AdminError> {
        // No app has version 0.
        let expected = if version > app.version() { 0 } else { version };
        self.admin().edit(app.client_id(), expected, draft).await
    }

    /// Shows what `form` would change of `app`, which another administrator has edited meanwhile.
    pub(super) fn conflict_page(
        &self,
        app: &CustomApp,
        tab: Tab,
        form: &Fields,
        differences: Vec<Difference>,
    ) -> Result<Page, Problem> {
        let page = ConflictPage {
            frame: self.app_frame(app, tab),
            action: self.app_link(app.client_id(), tab.path()),
            version: app.version(),
            kept: form.others(&["token", "version"]).collect(),
            differences,
        };
        self.page_with(StatusCode::CONFLICT, &page)
    }
}
