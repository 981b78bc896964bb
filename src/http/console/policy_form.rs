//! The fields of a policy that says which users an app may act as, in the form of a trusted issuer and of an app.

use super::conflict::Difference;
use super::fields::Fields;
use super::lines;
use super::mistakes::Mistakes;
use super::policy::written;
use super::texts::impersonation as text;
use crate::app::{Impersonable, ImpersonationPolicy};
use crate::ids::{Group, Subject};
use crate::protocol::scope::Scope;
use crate::users::Members;

/// The names of the fields of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PolicyNames {
    pub(super) allow: &'static str,
    pub(super) subjects: &'static str,
    pub(super) groups: &'static str,
    pub(super) except_subjects: &'static str,
    pub(super) except_groups: &'static str,
    pub(super) limit: &'static str,
    pub(super) scope: &'static str,
}

/// A policy as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PolicyForm {
    /// "nobody", "members" or "anyone".
    pub(super) allow: String,
    pub(super) subjects: String,
    pub(super) groups: String,
    pub(super) except_subjects: String,
    pub(super) except_groups: String,
    /// "app" or "listed".
    pub(super) limit: String,
    pub(super) scope: String,
}

impl PolicyForm {
    pub(super) fn of(policy: &ImpersonationPolicy) -> Self {
        let (allow, (subjects, groups)) = match &policy.allow {
            Impersonable::None => ("nobody", Default::default()),
            Impersonable::Members(members) => ("members", written(members)),
            Impersonable::Anyone => ("anyone", Default::default()),
        };
        let (except_subjects, except_groups) = written(&policy.except);
        let limit = if policy.scope.is_some() { "listed" } else { "app" };
        let scope = lines::joined(policy.scope.iter().flat_map(Scope::tokens));
        let (allow, limit) = (allow.to_owned(), limit.to_owned());
        Self { allow, subjects, groups, except_subjects, except_groups, limit, scope }
    }

    pub(super) fn of_fields(fields: &Fields, names: &PolicyNames) -> Self {
        let one = |name: &str| fields.one(name).replace("\r\n", "\n");
        Self {
            allow: one(names.allow),
            subjects: one(names.subjects),
            groups: one(names.groups),
            except_subjects: one(names.except_subjects),
            except_groups: one(names.except_groups),
            limit: one(names.limit),
            scope: one(names.scope),
        }
    }

    /// Returns the policy, with a sentence beside each wrong field.
    pub(super) fn check(
        &self,
        names: &PolicyNames,
        mistakes: &mut Mistakes,
    ) -> ImpersonationPolicy {
        let mut policy = ImpersonationPolicy::none();
        policy.except = members(
            (&self.except_subjects, names.except_subjects),
            (&self.except_groups, names.except_groups),
            mistakes,
        );
        policy.allow = match &*self.allow {
            "nobody" => Impersonable::None,
            "anyone" => Impersonable::Anyone,
            "members" => {
                let subjects = (&*self.subjects, names.subjects);
                let listed = members(subjects, (&self.groups, names.groups), mistakes);
                let is_wrong = mistakes.has(names.subjects) || mistakes.has(names.groups);
                if listed.len() == 0 && !is_wrong {
                    mistakes.add(names.subjects, text::LIST_EMPTY);
                }
                Impersonable::Members(listed)
            }
            _ => {
                mistakes.add(names.allow, text::ALLOW_UNKNOWN);
                Impersonable::None
            }
        };
        if self.limit != "app" {
            policy.scope = listed_scope(&self.scope, names.scope, mistakes);
        }
        policy
    }

    /// Returns every setting in words, for a comparison.
    pub(super) fn rows(&self) -> [(&'static str, String); 7] {
        let named = |choices: &[(&str, &'static str, &str)], value: &str| {
            let found = choices.iter().find(|(own, ..)| *own == value);
            found.map_or_else(String::new, |(_, name, _)| (*name).to_owned())
        };
        let list = |text: &str| text.trim().to_owned();
        [
            (text::ALLOW, named(&text::CHOICES, &self.allow)),
            (text::SUBJECTS, list(&self.subjects)),
            (text::LIST_GROUPS, list(&self.groups)),
            (text::EXCEPT_SUBJECTS, list(&self.except_subjects)),
            (text::EXCEPT_GROUPS, list(&self.except_groups)),
            (text::SCOPES, named(&text::LIMITS, &self.limit)),
            (text::SCOPE_LIST, list(&self.scope)),
        ]
    }

    /// Returns the settings that differ from those of `stored`.
    pub(super) fn differences(&self, stored: &Self) -> Vec<Difference> {
        let pairs = self.rows().into_iter().zip(stored.rows());
        pairs.filter_map(|((name, own), (_, other))| Difference::of(name, own, other)).collect()
    }
}

/// Reads a scope ceiling that is not empty: with an empty one, each request would be refused.
pub(super) fn listed_scope(text: &str, field: &str, mistakes: &mut Mistakes) -> Option<Scope> {
    let tokens: Vec<&str> = text.split_whitespace().collect();
    match Scope::parse(&tokens.join(" ")) {
        Ok(scope) if scope.is_empty() => mistakes.add(field, text::SCOPE_EMPTY),
        Ok(scope) => return Some(scope),
        Err(invalid) => mistakes.add(field, text::wrong_scope(invalid.problem)),
    }
    None
}

/// Reads a list of users and groups, with a sentence beside each wrong field.
pub(super) fn members(
    (subjects, of_subjects): (&str, &str),
    (groups, of_groups): (&str, &str),
    mistakes: &mut Mistakes,
) -> Members {
    let (mut wrong_subjects, mut wrong_groups) = (Vec::new(), Vec::new());
    let members = Members::subjects(lines::names(subjects, Subject::new, &mut wrong_subjects))
        .and_groups(lines::names(groups, Group::new, &mut wrong_groups));
    for (field, sentences) in [(of_subjects, wrong_subjects), (of_groups, wrong_groups)] {
        for sentence in sentences {
            mistakes.add(field, sentence);
        }
    }
    if members.len() > 1_000 {
        mistakes.add(of_subjects, text::TOO_MANY);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: PolicyNames = PolicyNames {
        allow: "allow",
        subjects: "subjects",
        groups: "groups",
        except_subjects: "except_subjects",
        except_groups: "except_groups",
        limit: "limit",
        scope: "scope",
    };

    #[test]
    fn a_policy_survives_the_form_and_an_empty_list_is_a_mistake() {
        let list = Members::subjects([Subject::new("ann").unwrap()])
            .and_groups([Group::new("staff").unwrap()]);
        let scope = Scope::parse("a GET/users/*").unwrap();
        let check = |form: &PolicyForm| {
            let mut mistakes = Mistakes::new(&[("form", "")]);
            let policy = form.check(&NAMES, &mut mistakes);
            let wrong: Vec<_> = mistakes.fields().map(|(field, _)| field.to_owned()).collect();
            (policy, wrong)
        };
        for policy in [
            ImpersonationPolicy::none(),
            ImpersonationPolicy::anyone().except(list.clone()),
            ImpersonationPolicy::members(list.clone()).with_scope(scope),
        ] {
            assert_eq!(check(&PolicyForm::of(&policy)), (policy, Vec::new()));
        }
        // A ceiling of nothing is not widened unseen.
        let nothing = ImpersonationPolicy::anyone().with_scope(Scope::empty());
        assert_eq!(check(&PolicyForm::of(&nothing)).1, ["scope"]);
        let empty = ImpersonationPolicy::members(Members::default());
        assert_eq!(check(&PolicyForm::of(&empty)).1, ["subjects"]);
        let wrong = PolicyForm { except_groups: "x \n".to_owned(), ..PolicyForm::default() };
        assert_eq!(check(&wrong).1, ["except_groups", "allow", "scope"]);
        let listed = |count: usize| PolicyForm {
            allow: "members".to_owned(),
            groups: "a\n".repeat(count),
            limit: "app".to_owned(),
            ..PolicyForm::default()
        };
        assert_eq!(check(&listed(1_000)).1, [""; 0]);
        assert_eq!(check(&listed(1_001)).1, ["subjects"]);
    }
}
