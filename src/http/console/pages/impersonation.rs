//! *Impersonation* of an app: the policy as a sentence, *Check a user*, and the editor.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded::Serializer;

use super::super::access::ConsoleRole;
use super::super::conflict::Difference;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::sentence::Piece;
use super::super::texts::{self, impersonation as text};
use super::super::visit::Visit;
use super::super::{lines, policy};
use crate::admin::{AdminError, UserCheck};
use crate::app::{AppDraft, CustomApp, Flow, Impersonable, ImpersonationPolicy, JwtSettings};
use crate::error::Rejection;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{Group, Subject};
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::{Members, UserDirectory};

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
    typed: &'a Typed,
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

/// The policy as an administrator typed it.
struct Typed {
    allow: String,
    subjects: String,
    groups: String,
    except_subjects: String,
    except_groups: String,
    limit: String,
    scope: String,
}

/// The sentences beside the fields.
#[derive(Default)]
struct Mistakes {
    /// About a setting of another page.
    elsewhere: Option<String>,
    allow: Option<&'static str>,
    subjects: Vec<String>,
    groups: Vec<String>,
    except_subjects: Vec<String>,
    except_groups: Vec<String>,
    scope: Vec<String>,
}

impl Mistakes {
    fn is_empty(&self) -> bool {
        let Self { elsewhere, allow, subjects, groups, except_subjects, except_groups, scope } =
            self;
        let lists = [subjects, groups, except_subjects, except_groups, scope];
        elsewhere.is_none() && allow.is_none() && lists.iter().all(|it| it.is_empty())
    }
}

impl From<&ImpersonationPolicy> for Typed {
    fn from(stored: &ImpersonationPolicy) -> Self {
        let (allow, (subjects, groups)) = match &stored.allow {
            Impersonable::None => ("nobody", Default::default()),
            Impersonable::Members(members) => ("members", policy::written(members)),
            Impersonable::Anyone => ("anyone", Default::default()),
        };
        let (except_subjects, except_groups) = policy::written(&stored.except);
        let limit = if stored.scope.is_some() { "listed" } else { "app" };
        let scope = stored.scope.iter().flat_map(Scope::tokens);
        Self {
            allow: allow.to_owned(),
            subjects,
            groups,
            except_subjects,
            except_groups,
            limit: limit.to_owned(),
            scope: lines::joined(scope),
        }
    }
}

impl Typed {
    fn of(form: &Fields) -> Self {
        let one = |name: &str| form.one(name).replace("\r\n", "\n");
        Self {
            allow: one("allow"),
            subjects: one("subjects"),
            groups: one("groups"),
            except_subjects: one("except_subjects"),
            except_groups: one("except_groups"),
            limit: one("limit"),
            scope: one("scope"),
        }
    }

    /// Returns the policy, or a sentence for each wrong field.
    fn check(&self) -> Result<ImpersonationPolicy, Box<Mistakes>> {
        let mut mistakes = Mistakes::default();
        let mut checked = ImpersonationPolicy::none();
        checked.allow = match &*self.allow {
            "nobody" => Impersonable::None,
            "anyone" => Impersonable::Anyone,
            "members" => {
                let wrong = (&mut mistakes.subjects, &mut mistakes.groups);
                let members = members(&self.subjects, &self.groups, wrong);
                if members.len() == 0 && mistakes.is_empty() {
                    mistakes.subjects.push(text::LIST_EMPTY.to_owned());
                }
                Impersonable::Members(members)
            }
            _ => {
                mistakes.allow = Some(text::ALLOW_UNKNOWN);
                Impersonable::None
            }
        };
        let wrong = (&mut mistakes.except_subjects, &mut mistakes.except_groups);
        checked.except = members(&self.except_subjects, &self.except_groups, wrong);
        if self.limit != "app" {
            let tokens: Vec<&str> = self.scope.split_whitespace().collect();
            match Scope::parse(&tokens.join(" ")) {
                Ok(scope) if scope.is_empty() => {
                    mistakes.scope.push(text::SCOPE_EMPTY.to_owned());
                }
                Ok(scope) => checked.scope = Some(scope),
                Err(invalid) => mistakes.scope.push(text::wrong_scope(invalid.problem)),
            }
        }
        if mistakes.is_empty() { Ok(checked) } else { Err(Box::new(mistakes)) }
    }

    fn differences(&self, stored: &Self) -> Vec<Difference> {
        let named = |choices: &[(&str, &'static str, &str)], value: &str| {
            let found = choices.iter().find(|(own, ..)| *own == value);
            found.map_or_else(String::new, |(_, name, _)| (*name).to_owned())
        };
        let pair = |of: fn(&Self) -> &String| (of(self).clone(), of(stored).clone());
        let chosen = |choices: &[(&'static str, &'static str, &'static str)],
                      of: fn(&Self) -> &String| {
            (named(choices, of(self)), named(choices, of(stored)))
        };
        [
            (text::ALLOW, chosen(&text::CHOICES, |it| &it.allow)),
            (text::SUBJECTS, pair(|it| &it.subjects)),
            (text::LIST_GROUPS, pair(|it| &it.groups)),
            (text::EXCEPT_SUBJECTS, pair(|it| &it.except_subjects)),
            (text::EXCEPT_GROUPS, pair(|it| &it.except_groups)),
            (text::SCOPES, chosen(&text::LIMITS, |it| &it.limit)),
            (text::SCOPE_LIST, pair(|it| &it.scope)),
        ]
        .into_iter()
        .filter_map(|(name, (typed, stored))| Difference::of(name, typed, stored))
        .collect()
    }
}

/// Reads a list, with the sentences for its two fields.
fn members(
    subjects: &str,
    groups: &str,
    (wrong_subjects, wrong_groups): (&mut Vec<String>, &mut Vec<String>),
) -> Members {
    let members = Members::subjects(lines::names(subjects, Subject::new, wrong_subjects))
        .and_groups(lines::names(groups, Group::new, wrong_groups));
    if members.len() > 1_000 {
        wrong_subjects.push(text::TOO_MANY.to_owned());
    }
    members
}

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
        let mistakes = Mistakes::default();
        self.impersonation_form(StatusCode::OK, &app, version, None, mistakes, (asked, checked))
    }

    /// Saves the policy of an app, or shows the form again with its mistakes or with a conflict.
    pub(in super::super) async fn save_impersonation(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Security)?;
        let version = form.one("version").parse().map_err(|_| Problem::BadForm)?;
        let typed = Typed::of(form);
        let app = self.app(segment).await?;
        let Some(jwt) = assertions(&app) else {
            let (status, none) = (StatusCode::CONFLICT, Mistakes::default());
            return self.impersonation_form(status, &app, version, None, none, ("", None));
        };
        let wrong = |mistakes: Mistakes| {
            let (status, typed) = (StatusCode::UNPROCESSABLE_ENTITY, Some(&typed));
            self.impersonation_form(status, &app, version, typed, mistakes, ("", None))
        };
        let policy = match typed.check() {
            Ok(policy) => policy,
            Err(mistakes) => return wrong(*mistakes),
        };
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
                let stored = Typed::from(stored.unwrap_or(&ImpersonationPolicy::none()));
                let differences = Typed::from(&policy).differences(&stored);
                self.conflict_page(&app, Tab::Impersonation, form, differences)
            }
            Err(AdminError::Invalid(invalid)) => {
                wrong(Mistakes { elsewhere: Some(invalid.to_string()), ..Mistakes::default() })
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
        typed: Option<&Typed>,
        mistakes: Mistakes,
        (asked, checked): (&str, Option<Checked>),
    ) -> Result<Page, Problem> {
        let jwt = assertions(app);
        let none = ImpersonationPolicy::none();
        let stored = Typed::from(jwt.map_or(&none, JwtSettings::impersonation));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_survives_the_form_and_mistakes_are_told_by_field() {
        let list = Members::subjects([Subject::new("ann").unwrap()])
            .and_groups([Group::new("staff").unwrap()]);
        let scope = Scope::parse("a GET/users/*").unwrap();
        for policy in [
            ImpersonationPolicy::none(),
            ImpersonationPolicy::anyone().except(list.clone()),
            ImpersonationPolicy::members(list).with_scope(scope),
        ] {
            assert_eq!(Typed::from(&policy).check().ok(), Some(policy));
        }
        let typed = |allow: &str, subjects: &str, except: &str, limit: &str, scope: &str| Typed {
            allow: allow.to_owned(),
            subjects: subjects.to_owned(),
            except_subjects: except.to_owned(),
            limit: limit.to_owned(),
            scope: scope.to_owned(),
            ..Typed::from(&ImpersonationPolicy::none())
        };
        let most = "a\n".repeat(1_000);
        assert!(typed("members", &most, &most, "listed", "a").check().is_ok());
        let many = "a\n".repeat(1_001);
        for (wrong, fields) in [
            (typed("", "", "", "app", ""), (true, 0, 0, 0)),
            (typed("members", " \n", "", "app", ""), (false, 1, 0, 0)),
            (typed("members", "\u{7f}\n x", "", "app", ""), (false, 2, 0, 0)),
            (typed("members", &many, &many, "app", ""), (false, 1, 1, 0)),
            (typed("anyone", "\u{7f}", "y \n", "listed", " \n"), (false, 0, 1, 1)),
            (typed("anyone", "", "", "nonsense", "a\"b"), (false, 0, 0, 1)),
        ] {
            let Err(wrong) = wrong.check() else { panic!("accepted") };
            let (listed, excepted) = (wrong.subjects.len(), wrong.except_subjects.len());
            assert_eq!((wrong.allow.is_some(), listed, excepted, wrong.scope.len()), fields);
        }
        // An empty list of scopes is not taken for all scopes.
        let nothing = ImpersonationPolicy::anyone().with_scope(Scope::empty());
        assert!(Typed::from(&nothing).check().is_err());
    }
}
