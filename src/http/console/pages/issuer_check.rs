//! *Check evidence* of a trusted issuer: a pasted token, and the decision that an app would get on it. Nothing is used up,
//! and the token does not come back.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Frame, IssuerTab};
use super::super::lines;
use super::super::mistakes::{FormFields, Mistakes};
use super::super::problem::Problem;
use super::super::sentence::{Piece, filled};
use super::super::texts::{self, issuer_check as text};
use super::super::visit::Visit;
use super::issuers::{AppNames, NamedApp, apps};
use super::preview::{Claim, claims};
use crate::admin::{AdminError, EvidenceCheck, ExchangeQuestion, SubjectTokenType};
use crate::app::policy::DecisionRecord;
use crate::error::{ExchangeRefusal, Rejection};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{ClientId, EvidenceIssuer, Group};
use crate::store::{IssuerRecord, Store};
use crate::users::UserDirectory;

/// The fields in the order of the form.
const FIELDS: FormFields = &[
    ("app", text::APP),
    ("presented_as", text::PRESENTED_AS),
    ("evidence", text::TOKEN),
    ("actor", text::ACTOR),
    ("targets", text::TARGETS),
];
/// The apps that the field offers.
const OFFERED: usize = 20;

#[derive(Template)]
#[template(path = "console/issuer_check.html")]
struct IssuerCheck<'a> {
    frame: Frame<'a>,
    action: String,
    may_ask: bool,
    /// The client ids and names of apps that the record names.
    offered: Vec<(&'a ClientId, NamedApp)>,
    typed: &'a Typed,
    mistakes: &'a Mistakes,
    checked: Option<Checked>,
}

/// The question as it was typed, without its tokens.
#[derive(Default)]
struct Typed {
    app: String,
    presented_as: String,
    targets: String,
}

impl Typed {
    fn of(form: &Fields) -> Self {
        let presented_as = match form.one("presented_as") {
            "" => text::ASSERTION.to_owned(),
            named => named.to_owned(),
        };
        Self {
            app: form.one("app").trim().to_owned(),
            presented_as,
            targets: form.one("targets").replace("\r\n", "\n"),
        }
    }

    /// Returns the type of the subject token. `None`: the token is an assertion.
    fn subject_type(&self) -> Result<Option<SubjectTokenType>, ()> {
        match &*self.presented_as {
            text::ASSERTION => Ok(None),
            text::ACCESS_TOKEN => Ok(Some(SubjectTokenType::AccessToken)),
            text::JWT => Ok(Some(SubjectTokenType::Jwt)),
            text::ID_TOKEN => Ok(Some(SubjectTokenType::IdToken)),
            _ => Err(()),
        }
    }
}

/// Returns a pasted token. A terminal or a mail may have broken its line.
fn pasted(form: &Fields, field: &str) -> String {
    form.one(field).split_whitespace().collect()
}

/// The answer in words.
struct Checked {
    is_allowed: bool,
    app: String,
    reason: Vec<Piece>,
    /// The refusal as the token endpoint words it.
    answer: Option<String>,
    setting: Option<(&'static str, &'static str)>,
    /// The issuer that the token names, if it is another one than that of the page, and its page.
    other: Option<(String, String)>,
    evidence: Option<&'static str>,
    /// The name of the rule, and its entry.
    rule: Option<(String, Option<String>)>,
    user: Option<String>,
    groups: String,
    actors: Vec<String>,
    scope: Option<String>,
    /// Whether the token is an access token of this server.
    is_own: bool,
    /// The claims, if the issuer has signed them.
    claims: Option<Vec<Claim>>,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the form for a token.
    pub(in super::super) async fn issuer_check(&self, segment: &str) -> Result<Page, Problem> {
        let record = self.issuer(segment).await?;
        let apps = apps(&record.settings);
        let only = match &apps[..] {
            [app] => app.as_str(),
            _ => "",
        };
        let presented_as = text::ASSERTION.to_owned();
        let typed = Typed { app: only.to_owned(), presented_as, ..Typed::default() };
        self.check_form(StatusCode::OK, &record, &typed, &Mistakes::new(FIELDS), None).await
    }

    /// Shows the decision about a token that an app would present.
    pub(in super::super) async fn check_evidence(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        // The answer tells about the user's account.
        self.require(ConsoleRole::Edit)?;
        let record = self.issuer(segment).await?;
        let typed = Typed::of(form);
        let token = pasted(form, "evidence");
        let mut mistakes = Mistakes::new(FIELDS);
        let unknown = || texts::issuer_form::unknown_app(&typed.app);
        let client_id = ClientId::new(&*typed.app).ok();
        if typed.app.is_empty() {
            mistakes.add("app", text::APP_MISSING);
        } else if client_id.is_none() {
            mistakes.add("app", unknown());
        }
        let subject_type = typed.subject_type();
        if subject_type.is_err() {
            mistakes.add("presented_as", text::PRESENTED_AS_MISSING);
        }
        if token.is_empty() {
            mistakes.add("evidence", text::TOKEN_MISSING);
        }
        if let (Some(client_id), Ok(subject_type), true) =
            (client_id, subject_type, mistakes.is_empty())
        {
            let answer = match subject_type {
                None => self.admin().check_evidence(&client_id, &token).await,
                Some(subject_type) => {
                    let actor = pasted(form, "actor");
                    let targets: Vec<&str> = lines::lines(&typed.targets).collect();
                    let mut question =
                        ExchangeQuestion::new(&token, subject_type).with_targets(&targets);
                    if !actor.is_empty() {
                        question = question.with_actor(&actor);
                    }
                    self.admin().check_exchange(&client_id, &question).await
                }
            };
            match answer {
                Ok(check) => {
                    let checked = Some(self.checked_evidence(&record, &check));
                    let status = StatusCode::OK;
                    return self.check_form(status, &record, &typed, &mistakes, checked).await;
                }
                Err(AdminError::NotFound) => mistakes.add("app", unknown()),
                Err(error) => return Err(error.into()),
            }
        }
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        self.check_form(status, &record, &typed, &mistakes, None).await
    }

    async fn check_form(
        &self,
        status: StatusCode,
        record: &IssuerRecord,
        typed: &Typed,
        mistakes: &Mistakes,
        checked: Option<Checked>,
    ) -> Result<Page, Problem> {
        let mut names = AppNames::default();
        let mut offered = Vec::new();
        for client_id in apps(&record.settings).into_iter().take(OFFERED) {
            offered.push((client_id, self.named_app(client_id, &mut names).await?));
        }
        let page = IssuerCheck {
            frame: self.issuer_frame(record, IssuerTab::Check),
            action: self.issuer_link(record.settings.issuer(), IssuerTab::Check.path()),
            may_ask: self.may(ConsoleRole::Edit),
            offered,
            typed,
            mistakes,
            checked,
        };
        self.page_with(status, &page)
    }

    fn checked_evidence(&self, record: &IssuerRecord, check: &EvidenceCheck) -> Checked {
        let refused = check.answer.as_ref().err();
        let setting = refused.and_then(Rejection::setting);
        let other = check.issuer.as_ref().filter(|it| *it != record.settings.issuer());
        let with_link = |it: &EvidenceIssuer| (it.as_str().to_owned(), self.issuer_link(it, ""));
        let decision = check.decision.as_ref();
        let now = self.now();
        Checked {
            is_allowed: refused.is_none(),
            app: check.app.settings().name().to_owned(),
            reason: reason(check),
            answer: refused.map(|rejection| rejection.description().into_owned()),
            setting: setting.map(|name| (name, texts::audit::setting(name).unwrap_or_default())),
            other: other.map(with_link),
            evidence: decision.map(|it| text::evidence(it.evidence)),
            rule: decision.map(|it| (it.rule.to_string(), it.entry.clone())),
            user: check.user.as_ref().map(|user| user.subject.as_str().to_owned()),
            groups: check.user.as_ref().map_or_else(String::new, |user| {
                user.groups.iter().map(Group::as_str).collect::<Vec<_>>().join(", ")
            }),
            actors: decision.map_or_else(Vec::new, |it| {
                it.actors.iter().map(|actor| actor.subject.to_string()).collect()
            }),
            scope: check.answer.as_ref().ok().map(|scope| scope.as_str().to_owned()),
            is_own: check.issuer.is_none(),
            claims: check.claims.as_ref().map(|all| claims(all, now)),
        }
    }
}

/// Writes the reason for the answer: the rule that decided, or what is wrong with the token or the app.
fn reason(check: &EvidenceCheck) -> Vec<Piece> {
    let user = check.user.as_ref().map_or("", |user| user.subject.as_str());
    let by_rule = |decision: &DecisionRecord| {
        let entry = decision.entry.as_deref().unwrap_or_default();
        let pattern = text::RULES.iter().find(|(name, _)| *name == decision.rule);
        let names = [("user", user), ("entry", entry)];
        pattern.map(|(_, pattern)| filled(pattern, &names))
    };
    match &check.answer {
        Err(Rejection::Assertion(_)) if check.issuer.is_none() => {
            vec![Piece::plain(text::NOT_OF_TRUSTED)]
        }
        Err(Rejection::Exchange(ExchangeRefusal::UnknownIssuer)) => {
            vec![Piece::plain(text::NOT_OF_TRUSTED)]
        }
        Err(Rejection::Assertion(_) | Rejection::Exchange(ExchangeRefusal::Evidence(_))) => {
            vec![Piece::plain(text::NOT_ACCEPTED)]
        }
        Err(Rejection::ScopeWithdrawn) => vec![Piece::plain(text::NO_SCOPE_LEFT)],
        Err(Rejection::SubjectIsClientId) => {
            let pattern = texts::impersonation::SAME_NAME;
            filled(pattern, &[("user", user)])
        }
        Err(other) => check.decision.as_ref().and_then(by_rule).unwrap_or_else(|| {
            let words = texts::audit::reason(other.reason());
            vec![Piece::plain(texts::app_form::sentence(&words))]
        }),
        Ok(_) => check.decision.as_ref().and_then(by_rule).unwrap_or_default(),
    }
}
