//! *Impersonation* of an app: the policy as a sentence, *Check a user*, and the editor.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded::Serializer;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame, Tab};
use super::super::mistakes::{FormFields, Mistakes};
use super::super::policy;
use super::super::policy_form::{PolicyForm, PolicyNames};
use super::super::problem::Problem;
use super::super::sentence::Piece;
use super::super::texts::{self, impersonation as text};
use super::super::visit::Visit;
use crate::admin::{AdminError, UserCheck};
use crate::app::{AppDraft, CustomApp, Flow, ImpersonationPolicy, JwtSettings};
use crate::error::Rejection;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::Group;
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/impersonation.html")]
struct Impersonation<'a> {
    frame: Frame<'a>,
    action: String,
    settings: String,
    version: u64,
    may_ask: bool,
    may_edit: bool,
    policy: Option<Policy<'a>>,
    names: PolicyNames,
    typed: &'a PolicyForm,
    mistakes: Mistakes,
}

/// The policy as it is stored, and the answer about a user.
struct Policy<'a> {
    users: Vec<Piece>,
    scope: Option<&'a Scope>,
    claim: &'a str,
    asked: &'a str,
    checked: Option<Checked>,
}

/// The answer about a user, in words.
struct Checked {
    is_allowed: bool,
    reason: Vec<Piece>,
    setting: Option<(&'static str, &'static str)>,
    /// The rule of the policy, if something else refuses each user.
    alone: Vec<Piece>,
    user: Option<String>,
    groups: String,
    scope: Option<String>,
    preview: String,
}

/// The names of the fields.
const NAMES: PolicyNames = PolicyNames {
    allow: "allow",
    subjects: "subjects",
    groups: "groups",
    except_subjects: "except_subjects",
    except_groups: "except_groups",
    limit: "limit",
    scope: "scope",
};

/// The fields in the order of the form. The first is a setting of another page.
const FIELDS: FormFields = &[
    ("form", text::ELSEWHERE),
    (NAMES.allow, text::ALLOW),
    (NAMES.subjects, text::SUBJECTS),
    (NAMES.groups, text::LIST_GROUPS),
    (NAMES.except_subjects, text::EXCEPT_SUBJECTS),
    (NAMES.except_groups, text::EXCEPT_GROUPS),
    (NAMES.scope, text::SCOPE_LIST),
];

/// Returns the settings of an app that has the flow.
fn assertions(app: &CustomApp) -> Option<&JwtSettings> {
    app.settings().jwt().filter(|_| app.may_use(Flow::JwtBearer))
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the policy of an app, and the answer about the user that the query names.
    pub(in super::super) async fn impersonation(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let query = self.query()?;
        let asked = query.one("user");
        let checked = if asked.is_empty() || assertions(&app).is_none() {
            None
        } else {
            // The answer tells about the user's account.
            self.require(ConsoleRole::Edit)?;
            let check = self.admin().check_user(app.client_id(), asked).await?;
            Some(self.checked(&check, asked))
        };
        let version = app.version();
        let none = Mistakes::new(FIELDS);
        self.impersonation_form(StatusCode::OK, &app, version, None, none, (asked, checked))
    }

    /// Saves the policy of an app, or shows the form again with its mistakes or with a conflict.
    pub(in super::super) async fn save_impersonation(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let version = form.one("version").parse().map_err(|_| Problem::BadForm)?;
        let typed = PolicyForm::of_fields(form, &NAMES);
        let app = self.app(segment).await?;
        let Some(jwt) = assertions(&app) else {
            let (status, none) = (StatusCode::CONFLICT, Mistakes::new(FIELDS));
            return self.impersonation_form(status, &app, version, None, none, ("", None));
        };
        let wrong = |mistakes: Mistakes| {
            let (status, typed) = (StatusCode::UNPROCESSABLE_ENTITY, Some(&typed));
            self.impersonation_form(status, &app, version, typed, mistakes, ("", None))
        };
        let mut mistakes = Mistakes::new(FIELDS);
        let policy = typed.check(&NAMES, &mut mistakes);
        if !mistakes.is_empty() {
            return wrong(mistakes);
        }
        let link = self.app_link(app.client_id(), Tab::Impersonation.path());
        if app.version() == version && *jwt.impersonation() == policy {
            return Ok(self.see(&link, Done::Unchanged));
        }
        let jwt = jwt.clone().with_impersonation(policy.clone());
        let draft = AppDraft::from(app.settings()).jwt(jwt);
        match self.save(&app, version, draft).await {
            Ok(_) => Ok(self.see(&link, Done::Saved)),
            Err(AdminError::Conflict { .. }) => {
                let app = self.app(segment).await?;
                let stored = assertions(&app).map(JwtSettings::impersonation);
                let stored = PolicyForm::of(stored.unwrap_or(&ImpersonationPolicy::none()));
                let differences = PolicyForm::of(&policy).differences(&stored);
                self.conflict_page(&app, Tab::Impersonation, form, differences)
            }
            Err(AdminError::Invalid(invalid)) => {
                mistakes.add("form", invalid.to_string());
                wrong(mistakes)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Shows the page with what was typed, or else with the stored policy.
    fn impersonation_form(
        &self,
        status: StatusCode,
        app: &CustomApp,
        version: u64,
        typed: Option<&PolicyForm>,
        mistakes: Mistakes,
        (asked, checked): (&str, Option<Checked>),
    ) -> Result<Page, Problem> {
        let jwt = assertions(app);
        let none = ImpersonationPolicy::none();
        let stored = PolicyForm::of(jwt.map_or(&none, JwtSettings::impersonation));
        let policy = jwt.map(|jwt| Policy {
            users: policy::users(jwt.impersonation()),
            scope: jwt.impersonation().scope.as_ref(),
            claim: jwt.user_claim(),
            asked,
            checked,
        });
        let page = Impersonation {
            frame: self.app_frame(app, Tab::Impersonation),
            action: self.app_link(app.client_id(), Tab::Impersonation.path()),
            settings: self.app_link(app.client_id(), Tab::Settings.path()),
            version,
            may_ask: self.may(ConsoleRole::Edit),
            may_edit: self.may(ConsoleRole::Security),
            policy,
            names: NAMES,
            typed: typed.unwrap_or(&stored),
            mistakes,
        };
        self.page_with(status, &page)
    }

    fn checked(&self, check: &UserCheck, asked: &str) -> Checked {
        let refused = check.answer.as_ref().err();
        let setting = refused.and_then(Rejection::setting);
        let reason = policy::reason(check, asked);
        let alone = policy::rule(check);
        let query = Serializer::new(String::new())
            .append_pair("flow", "jwt_bearer")
            .append_pair("user", asked)
            .finish();
        let preview = self.app_link(check.app.client_id(), Tab::Preview.path());
        Checked {
            is_allowed: refused.is_none(),
            setting: setting.map(|name| (name, texts::audit::setting(name).unwrap_or_default())),
            alone: if alone == reason { Vec::new() } else { alone },
            reason,
            user: check.user.as_ref().map(|user| user.subject.as_str().to_owned()),
            groups: check.user.as_ref().map_or_else(String::new, |user| {
                user.groups.iter().map(Group::as_str).collect::<Vec<_>>().join(", ")
            }),
            scope: check.answer.as_ref().ok().map(|scope| scope.as_str().to_owned()),
            preview: format!("{preview}?{query}"),
        }
    }
}
