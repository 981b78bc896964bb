//! The fields of global token revocation: the users whose access the issuer may end, and the names by which it may call
//! them.

use crate::app::RevocationTrust;
use crate::http::console::fields::Fields;
use crate::http::console::mistakes::Mistakes;
use crate::http::console::policy::written;
use crate::http::console::policy_form::members;
use crate::http::console::texts::{impersonation, issuer_form as text};

pub(super) const SUBJECTS: &str = "ends_subjects";
pub(super) const GROUPS: &str = "ends_groups";

/// The trust as texts and boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a box of the form")]
pub(in super::super) struct RevocationForm {
    pub(in super::super) on: bool,
    pub(in super::super) by_subject: bool,
    pub(in super::super) by_email: bool,
    /// Whether only listed users and groups are covered.
    pub(in super::super) is_limited: bool,
    pub(in super::super) subjects: String,
    pub(in super::super) groups: String,
}

impl RevocationForm {
    pub(super) fn of(trust: Option<&RevocationTrust>) -> Self {
        let Some(trust) = trust else { return Self::default() };
        // The form has a field for each of them, so that an edit keeps all.
        let &RevocationTrust { by_subject, by_email, ref users } = trust;
        let (subjects, groups) = users.as_ref().map(written).unwrap_or_default();
        Self { on: true, by_subject, by_email, is_limited: users.is_some(), subjects, groups }
    }

    pub(super) fn of_fields(fields: &Fields) -> Self {
        let list = |name: &str| fields.one(name).replace("\r\n", "\n");
        Self {
            on: fields.has("global_revocation"),
            by_subject: fields.has("ends_by_subject"),
            by_email: fields.has("ends_by_email"),
            is_limited: fields.has("ends_limited"),
            subjects: list(SUBJECTS),
            groups: list(GROUPS),
        }
    }

    /// Returns the trust, if its box is ticked, with a sentence beside each wrong field.
    pub(super) fn check(&self, mistakes: &mut Mistakes) -> Option<RevocationTrust> {
        if !self.on {
            return None;
        }
        let mut trust =
            RevocationTrust::default().with_subject(self.by_subject).with_email(self.by_email);
        if self.is_limited {
            let (subjects, groups) = ((&*self.subjects, SUBJECTS), (&*self.groups, GROUPS));
            let listed = members(subjects, groups, mistakes);
            let is_wrong = mistakes.has(SUBJECTS) || mistakes.has(GROUPS);
            if listed.len() == 0 && !is_wrong {
                mistakes.add(SUBJECTS, text::ENDS_LIST_EMPTY);
            }
            trust = trust.with_users(listed);
        }
        Some(trust)
    }

    /// Returns every setting in words, for a comparison. Those of a trust that is off are empty.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let list = |text: &str| {
            if self.is_limited { text.trim().to_owned() } else { String::new() }
        };
        let mut rows = vec![
            (text::ENDS_BY_SUBJECT, text::yes(self.by_subject)),
            (text::ENDS_BY_EMAIL, text::yes(self.by_email)),
            (text::ENDS_LIMITED, text::yes(self.is_limited)),
            (impersonation::SUBJECTS, list(&self.subjects)),
            (impersonation::LIST_GROUPS, list(&self.groups)),
        ];
        if !self.on {
            for (_, value) in &mut rows {
                value.clear();
            }
        }
        rows.insert(0, (text::GLOBAL, text::yes(self.on)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Group, Subject};
    use crate::users::Members;

    #[test]
    fn a_trust_survives_the_form_and_an_empty_list_is_a_mistake() {
        let list = Members::subjects([Subject::new("ann").unwrap()])
            .and_groups([Group::new("staff").unwrap()]);
        let check = |form: &RevocationForm| {
            let mut mistakes = super::super::no_mistakes();
            let trust = form.check(&mut mistakes);
            let wrong: Vec<_> = mistakes.fields().map(|(field, _)| field.to_owned()).collect();
            (trust, wrong)
        };
        let all = RevocationTrust::default();
        for trust in [
            None,
            Some(all.clone()),
            Some(all.clone().with_subject(true)),
            Some(all.clone().with_email(true).with_users(list)),
        ] {
            assert_eq!(check(&RevocationForm::of(trust.as_ref())), (trust, Vec::new()));
        }
        // A list of no users is not widened unseen.
        let nothing = all.with_users(Members::default());
        assert_eq!(check(&RevocationForm::of(Some(&nothing))).1, [SUBJECTS]);
        let wrong =
            RevocationForm { groups: " staff".to_owned(), ..RevocationForm::of(Some(&nothing)) };
        assert_eq!(check(&wrong).1, [GROUPS]);
    }
}
