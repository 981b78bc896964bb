//! The fields of a rule for workloads. The form has several, each with its number.

use crate::app::{SubjectPattern, WorkloadRule};
use crate::http::console::fields::Fields;
use crate::http::console::lines::{joined, numbered};
use crate::http::console::mistakes::Mistakes;
use crate::http::console::policy_form::listed_scope;
use crate::http::console::texts::{app_form, issuer_form as text};
use crate::ids::ClientId;
use crate::protocol::scope::Scope;

/// A rule as texts and boxes. One without app and subject is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct RuleForm {
    /// Its number from 1.
    pub(in super::super) number: usize,
    pub(in super::super) app: String,
    pub(in super::super) subject: String,
    /// One claim a line, as `name = value`.
    pub(in super::super) claims: String,
    pub(in super::super) authenticates: bool,
    /// Whether it has a scope ceiling.
    pub(in super::super) is_limited: bool,
    pub(in super::super) scope: String,
}

impl RuleForm {
    pub(super) fn blank(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn of(number: usize, rule: &WorkloadRule) -> Self {
        let claims: Vec<_> =
            rule.claims().iter().map(|(name, value)| format!("{name} = {value}")).collect();
        Self {
            number,
            app: rule.app().as_str().to_owned(),
            subject: rule.subject().as_str().to_owned(),
            claims: claims.join("\n"),
            authenticates: rule.authenticates(),
            is_limited: rule.scope().is_some(),
            scope: joined(rule.scope().into_iter().flat_map(Scope::tokens)),
        }
    }

    pub(super) fn of_fields(fields: &Fields, number: usize) -> Self {
        let blank = Self::blank(number);
        let one = |name: &str| fields.one(&blank.field(name)).trim().replace("\r\n", "\n");
        Self {
            app: one("app"),
            subject: one("subject"),
            claims: one("claims"),
            authenticates: fields.has(&blank.field("authenticates")),
            is_limited: fields.has(&blank.field("limited")),
            scope: one("scope"),
            ..blank
        }
    }

    /// Returns the name of one of its fields.
    pub(in super::super) fn field(&self, name: &str) -> String {
        format!("rule_{}_{name}", self.number)
    }

    pub(super) const fn is_blank(&self) -> bool {
        self.app.is_empty() && self.subject.is_empty() && self.claims.is_empty()
    }

    /// Returns the rule, or adds a sentence beside each wrong field.
    pub(super) fn check(&self, mistakes: &mut Mistakes) -> Option<WorkloadRule> {
        let mut wrong = |name: &str, sentence: String| {
            mistakes.add_among("workloads", &self.field(name), text::rule(self.number), sentence);
        };
        let app = ClientId::new(&*self.app);
        if let Err(invalid) = &app {
            wrong("app", app_form::sentence(invalid.problem));
        }
        let subject = SubjectPattern::new(&self.subject);
        if let Err(invalid) = &subject {
            wrong("subject", app_form::sentence(invalid.problem()));
        }
        let mut claims = Vec::new();
        for (number, line) in numbered(&self.claims) {
            match line.split_once(" = ").or_else(|| line.split_once('=')) {
                Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                    claims.push((name, value));
                }
                _ => wrong("claims", app_form::line(number, line, text::NOT_A_CLAIM)),
            }
        }
        let scope = self.is_limited.then(|| {
            let mut found = Mistakes::new(&[]);
            let scope = listed_scope(&self.scope, "scope", &mut found);
            for sentence in found.of("scope") {
                wrong("scope", sentence.clone());
            }
            scope
        });
        let mut rule =
            WorkloadRule::new(app.ok()?, subject.ok()?).with_authentication(self.authenticates);
        for (name, value) in claims {
            rule = rule.with_claim(name, value);
        }
        if let Some(scope) = scope.flatten() {
            rule = rule.with_scope(scope);
        }
        if !rule.is_in_range() {
            wrong("claims", text::CLAIMS_RANGE.to_owned());
        }
        Some(rule)
    }

    /// Returns the rule in a line, for a comparison.
    pub(super) fn in_words(&self) -> String {
        let claims = self.claims.replace('\n', ", ");
        let alone = if self.authenticates { text::ALONE } else { "" };
        let scope = if self.is_limited { self.scope.replace('\n', " ") } else { String::new() };
        let parts = [&*self.app, &self.subject, &claims, alone, &scope];
        parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("; ")
    }
}
