//! The download of all apps, without their secrets.

use http::header::{self, HeaderValue};

use super::super::problem::Problem;
use super::super::visit::Visit;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Returns the apps as a file of declared apps.
    pub(in super::super) async fn export_apps(&self) -> Result<Page, Problem> {
        let apps = self.admin().export_all().await?;
        let mut file = Page::new(apps.to_json().into_bytes());
        for (name, value) in [
            (header::CONTENT_TYPE, "application/json"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"apps.json\""),
        ] {
            file.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(file)
    }
}
