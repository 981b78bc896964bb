//! The paths of all pages.

use super::fields::Fields;
use super::problem::Problem;
use super::visit::Visit;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Answers the request for a path. A form (`is_post`) is one of this session.
    pub(super) async fn route(
        &self,
        is_post: bool,
        segments: &[&str],
        form: &Fields,
    ) -> Result<Page, Problem> {
        match (is_post, segments) {
            (false, ["assets", name]) => self.site.assets.find(name).ok_or(Problem::NotFound),
            (false, []) => Ok(self.to(&self.link("/apps"))),
            (false, ["apps"]) => self.list_apps().await,
            (false, ["new-app"]) => self.new_app(),
            (true, ["new-app"]) => self.create_app(form).await,
            (false, ["apps", app, "settings"]) => self.settings(app).await,
            (true, ["apps", app, "settings"]) => self.save_settings(app, form).await,
            (false, ["apps", app, "swagger"]) => self.swagger(app).await,
            (true, ["apps", app, "swagger"]) => self.add_swagger(app, form).await,
            (false, ["apps", app, "credentials"]) => self.credentials(app).await,
            (true, ["apps", app, "credentials", "rotate"]) => self.rotate(app, form).await,
            (true, ["apps", app, "credentials", "end"]) => self.end_old_secrets(app).await,
            (true, ["apps", app, "credentials", "regenerate"]) => self.regenerate(app, form).await,
            (false, ["apps", app, "impersonation"]) => self.impersonation(app).await,
            (true, ["apps", app, "impersonation"]) => self.save_impersonation(app, form).await,
            (false, ["apps", app, "preview"]) => self.preview(app).await,
            (false, ["apps", app, "danger"]) => self.danger(app).await,
            (false, ["apps", app, "danger", act]) => self.danger_act(app, act).await,
            (true, ["apps", app, "danger", act]) => self.act(app, act, form).await,
            (false, ["apps", app, "new-credentials"]) => self.new_credentials(app).await,
            (false, ["apps", app, "scopes"]) => self.scopes(app).await,
            (true, ["apps", app, "scopes"]) => self.save_scopes(app, form).await,
            (false, ["apps", app, "security"]) => self.security(app).await,
            (true, ["apps", app, "security"]) => self.save_security(app, form).await,
            (false, ["apps", app, "users"]) => self.users(app).await,
            (false, ["apps", app, "users", "revoke"]) => self.revoke_in_app(app).await,
            (true, ["apps", app, "users", "revoke"]) => self.end_in_app(app, form).await,
            (false, ["apps", app, "devices"]) => self.devices_of_app(app).await,
            (false, ["devices"]) => self.devices().await,
            (false, ["devices", app, user, id]) => self.device(&[app, user, id]).await,
            (_, ["devices", app, user, id, act]) => {
                self.device_act(is_post, &[app, user, id], act, form).await
            }
            (false, ["issuers"]) => self.list_issuers().await,
            (false, ["issuers", issuer]) => self.issuer_overview(issuer).await,
            (false, ["new-issuer"]) => self.new_issuer(),
            (true, ["new-issuer"]) => self.create_issuer(form).await,
            (false, ["issuers", issuer, "settings"]) => self.issuer_settings(issuer).await,
            (true, ["issuers", issuer, "settings"]) => self.save_issuer(issuer, form).await,
            (false, ["issuers", issuer, "check"]) => self.issuer_check(issuer).await,
            (true, ["issuers", issuer, "check"]) => self.check_evidence(issuer, form).await,
            (false, ["issuers", issuer, "danger"]) => self.issuer_danger(issuer).await,
            (false, ["issuers", issuer, "danger", act]) => {
                self.issuer_danger_act(issuer, act).await
            }
            (true, ["issuers", issuer, "danger", act]) => self.issuer_act(issuer, act, form).await,
            (false, ["apps", app, "usage"]) => self.usage(app).await,
            (false, ["users", user]) => self.user(user).await,
            (false, ["users", user, "revoke"]) => self.revoke_user(user).await,
            (true, ["users", user, "revoke"]) => self.end_user(user, form).await,
            (false, ["apps", app]) => self.overview(app).await,
            (false, ["apps", app, "activity"]) => self.activity(app).await,
            (false, ["audit"]) => self.audit_log().await,
            (false, ["server"]) => self.server_status(),
            (false, ["server", "revoke"]) => self.confirm_revoke_all().await,
            (true, ["server", "revoke"]) => self.revoke_all(form).await,
            (false, ["server", "export"]) => self.export_apps().await,
            (false, ["server", "import"]) => self.import_form(),
            (true, ["server", "import"]) => self.import_apps(form).await,
            (true, ["apps", app, "enable"]) => self.enable(app).await,
            (false, ["playground"]) => self.playground().await,
            (false, ["playground", "callback"]) => self.playground_callback(),
            (true, ["playground", "app"]) => self.register_playground().await,
            (true, ["playground", "introspect"]) => self.introspect(form).await,
            _ => Err(Problem::NotFound),
        }
    }
}
