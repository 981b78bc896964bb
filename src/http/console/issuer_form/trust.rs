//! The fields of the trust in one kind of evidence about users.

use crate::app::UserTrust;
use crate::http::console::fields::Fields;
use crate::http::console::lines::{self, joined};
use crate::http::console::mistakes::Mistakes;
use crate::http::console::policy_form::{PolicyForm, PolicyNames};
use crate::http::console::texts::issuer_form as text;
use crate::ids::ClientId;

/// The names of the fields of a trust.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct TrustNames {
    pub(in super::super) on: &'static str,
    pub(in super::super) apps: &'static str,
    pub(in super::super) user_claim: &'static str,
    pub(in super::super) by_email: &'static str,
    /// Only for evidence that may name the API.
    pub(in super::super) requires_resource: Option<&'static str>,
    pub(in super::super) policy: PolicyNames,
}

pub(in super::super) const ID_JAG: TrustNames = TrustNames {
    on: "id_jag",
    apps: "id_jag_apps",
    user_claim: "id_jag_user_claim",
    by_email: "id_jag_by_email",
    requires_resource: Some("id_jag_requires_resource"),
    policy: PolicyNames {
        allow: "id_jag_allow",
        subjects: "id_jag_subjects",
        groups: "id_jag_groups",
        except_subjects: "id_jag_except_subjects",
        except_groups: "id_jag_except_groups",
        limit: "id_jag_limit",
        scope: "id_jag_scope",
    },
};

pub(in super::super) const SUBJECT_TOKENS: TrustNames = TrustNames {
    on: "subject_tokens",
    apps: "subject_tokens_apps",
    user_claim: "subject_tokens_user_claim",
    by_email: "subject_tokens_by_email",
    requires_resource: None,
    policy: PolicyNames {
        allow: "subject_tokens_allow",
        subjects: "subject_tokens_subjects",
        groups: "subject_tokens_groups",
        except_subjects: "subject_tokens_except_subjects",
        except_groups: "subject_tokens_except_groups",
        limit: "subject_tokens_limit",
        scope: "subject_tokens_scope",
    },
};

/// A trust as texts and boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct TrustForm {
    pub(in super::super) on: bool,
    pub(in super::super) apps: String,
    pub(in super::super) user_claim: String,
    pub(in super::super) by_email: bool,
    pub(in super::super) requires_resource: bool,
    pub(in super::super) policy: PolicyForm,
}

impl TrustForm {
    pub(super) fn of(trust: Option<&UserTrust>) -> Self {
        let none = UserTrust::new([]);
        let (on, trust) = trust.map_or((false, &none), |trust| (true, trust));
        Self {
            on,
            apps: joined(trust.apps.iter().map(ClientId::as_str)),
            user_claim: trust.user_claim.clone().unwrap_or_default(),
            by_email: trust.by_email,
            requires_resource: trust.requires_resource,
            policy: PolicyForm::of(&trust.policy),
        }
    }

    pub(super) fn of_fields(fields: &Fields, names: &TrustNames) -> Self {
        Self {
            on: fields.has(names.on),
            apps: fields.one(names.apps).replace("\r\n", "\n"),
            user_claim: fields.one(names.user_claim).trim().to_owned(),
            by_email: fields.has(names.by_email),
            requires_resource: names.requires_resource.is_some_and(|name| fields.has(name)),
            policy: PolicyForm::of_fields(fields, &names.policy),
        }
    }

    /// Returns the trust, if its box is ticked, with a sentence beside each wrong field.
    pub(super) fn check(&self, names: &TrustNames, mistakes: &mut Mistakes) -> Option<UserTrust> {
        if !self.on {
            return None;
        }
        let mut wrong = Vec::new();
        let apps = lines::names(&self.apps, ClientId::new, &mut wrong);
        if apps.is_empty() && wrong.is_empty() {
            wrong.push(text::APPS_MISSING.to_owned());
        }
        for sentence in wrong {
            mistakes.add(names.apps, sentence);
        }
        let mut trust = UserTrust::new(apps)
            .with_email(self.by_email)
            .with_required_resource(self.requires_resource)
            .with_policy(self.policy.check(&names.policy, mistakes));
        if !self.user_claim.is_empty() {
            trust = trust.with_user_claim(&*self.user_claim);
        }
        Some(trust)
    }

    /// Returns every setting in words, for a comparison. Those of a trust that is off are empty.
    pub(super) fn rows(&self, title: &'static str) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            (text::APPS, self.apps.trim().to_owned()),
            (text::USER_CLAIM, self.user_claim.clone()),
            (text::BY_EMAIL, text::yes(self.by_email)),
            (text::REQUIRES_RESOURCE, text::yes(self.requires_resource)),
        ];
        rows.extend(self.policy.rows());
        if !self.on {
            for (_, value) in &mut rows {
                value.clear();
            }
        }
        rows.insert(0, (title, text::yes(self.on)));
        rows
    }
}
