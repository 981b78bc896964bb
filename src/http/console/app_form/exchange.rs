//! The settings of token exchange in the form: sources, targets and users. The rest of a policy comes from
//! declarations and the host's code, and stays as it is.

use super::Mistakes;
use crate::app::{DelegationPolicy, Impersonable};
use crate::http::console::fields::Fields;
use crate::http::console::lines::{self, joined};
use crate::http::console::texts::app_form as text;
use crate::ids::{ClientId, Group, Resource, Subject};
use crate::users::Members;

/// The settings of exchanges as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct ExchangeForm {
    pub(in super::super) apps: String,
    pub(in super::super) targets: String,
    /// "nobody", "members" or "anyone".
    pub(in super::super) allow: String,
    pub(in super::super) subjects: String,
    pub(in super::super) groups: String,
}

impl ExchangeForm {
    pub(super) fn of(policy: Option<&DelegationPolicy>) -> Self {
        let default = DelegationPolicy::default();
        let policy = policy.unwrap_or(&default);
        let none = Members::default();
        let (allow, members) = match &policy.users.allow {
            Impersonable::None => ("nobody", &none),
            Impersonable::Members(members) => ("members", members),
            Impersonable::Anyone => ("anyone", &none),
        };
        Self {
            apps: joined(policy.apps.iter().map(ClientId::as_str)),
            targets: joined(policy.targets.iter().map(Resource::as_str)),
            allow: allow.to_owned(),
            subjects: joined(members.subjects.iter().map(Subject::as_str)),
            groups: joined(members.groups.iter().map(Group::as_str)),
        }
    }

    pub(super) fn of_fields(fields: &Fields) -> Self {
        let one = |name: &str| fields.one(name).replace("\r\n", "\n");
        Self {
            apps: one("exchange_apps"),
            targets: one("exchange_targets"),
            allow: one("exchange_allow"),
            subjects: one("exchange_subjects"),
            groups: one("exchange_groups"),
        }
    }

    /// Returns the policy, with the rules that the form does not show from `base`.
    pub(super) fn policy(
        &self,
        base: Option<&DelegationPolicy>,
        mistakes: &mut Mistakes,
    ) -> DelegationPolicy {
        let mut policy = base.cloned().unwrap_or_default();
        let mut add = |field, sentences: Vec<String>| {
            for sentence in sentences {
                mistakes.add(field, sentence);
            }
        };
        let (mut apps, mut targets, mut members) = (Vec::new(), Vec::new(), Vec::new());
        policy.apps = lines::names(&self.apps, ClientId::new, &mut apps);
        policy.targets = lines::names(&self.targets, Resource::new, &mut targets);
        policy.users.allow = match &*self.allow {
            "anyone" => Impersonable::Anyone,
            "members" => Impersonable::Members(
                Members::subjects(lines::names(&self.subjects, Subject::new, &mut members))
                    .and_groups(lines::names(&self.groups, Group::new, &mut members)),
            ),
            _ => Impersonable::None,
        };
        add("exchange_apps", apps);
        add("exchange_targets", targets);
        add("exchange_members", members);
        policy
    }

    pub(super) fn rows(&self) -> [(&'static str, String); 5] {
        [
            (text::EXCHANGE_APPS, self.apps.trim().to_owned()),
            (text::EXCHANGE_TARGETS, self.targets.trim().to_owned()),
            (text::EXCHANGE_ALLOW, self.allow.clone()),
            (text::EXCHANGE_SUBJECTS, self.subjects.trim().to_owned()),
            (text::EXCHANGE_GROUPS, self.groups.trim().to_owned()),
        ]
    }
}
