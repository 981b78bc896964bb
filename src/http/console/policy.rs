//! An impersonation policy and its decisions as sentences.

use super::sentence::{Piece, filled};
use super::texts::{impersonation as text, issuers};
use crate::admin::UserCheck;
use crate::app::{Impersonable, ImpersonationPolicy, ImpersonationRule, RevocationTrust};
use crate::error::Rejection;
use crate::ids::{Group, Subject};
use crate::users::{Member, Members};

/// The names in a sentence. More of them are counted.
const NAMES: usize = 10;

/// Writes the users that a policy allows.
pub(super) fn users(policy: &ImpersonationPolicy) -> Vec<Piece> {
    let mut sentence = match &policy.allow {
        Impersonable::Anyone => vec![Piece::plain(text::EVERY_USER)],
        Impersonable::Members(members) if members.len() > 0 => {
            let mut sentence = vec![Piece::plain(text::MAY_ACT_AS)];
            list(&mut sentence, members);
            sentence
        }
        Impersonable::None | Impersonable::Members(_) => return vec![Piece::plain(text::NO_USER)],
    };
    if policy.except.len() > 0 {
        sentence.push(Piece::plain(text::EXCEPT));
        list(&mut sentence, &policy.except);
    }
    sentence.push(Piece::plain(text::STOP));
    sentence
}

/// Writes the users whose access a trusted issuer may end.
pub(super) fn ended_users(trust: &RevocationTrust) -> Vec<Piece> {
    match &trust.users {
        None => vec![Piece::plain(issuers::ENDS_EVERY_USER)],
        Some(members) if members.len() > 0 => {
            let mut sentence = vec![Piece::plain(issuers::MAY_END)];
            list(&mut sentence, members);
            sentence.push(Piece::plain(text::STOP));
            sentence
        }
        Some(_) => vec![Piece::plain(issuers::ENDS_NO_USER)],
    }
}

fn list(sentence: &mut Vec<Piece>, members: &Members) {
    let subjects = members.subjects.iter().map(|it| ("", it.as_str()));
    let groups = members.groups.iter().map(|it| (text::MEMBERS_OF, it.as_str()));
    let mut names = subjects.chain(groups).take(NAMES).enumerate().peekable();
    let rest = members.len().saturating_sub(NAMES);
    while let Some((at, (before, name))) = names.next() {
        if at > 0 {
            let is_last = names.peek().is_none() && rest == 0;
            sentence.push(Piece::plain(if is_last { text::AND } else { text::COMMA }));
        }
        sentence.push(Piece::plain(before));
        sentence.push(Piece::name(name));
    }
    if rest > 0 {
        sentence.push(Piece::plain(text::more(rest)));
    }
}

/// Writes the reason for the answer about a user, named `asked`.
pub(super) fn reason(check: &UserCheck, asked: &str) -> Vec<Piece> {
    let jwt = check.app.settings().jwt();
    let claim = jwt.map_or("", |jwt| jwt.user_claim());
    let pattern = match &check.answer {
        Ok(_) | Err(Rejection::ImpersonationDenied(_)) => return rule(check),
        Err(Rejection::AppDisabled) => text::APP_DISABLED,
        Err(Rejection::FlowNotAllowed(_)) => text::NO_FLOW,
        Err(Rejection::Assertion(_)) => text::OWN_NAME,
        Err(Rejection::UnknownUser) => text::UNKNOWN,
        Err(Rejection::SubjectIsClientId) => text::SAME_NAME,
        Err(Rejection::ScopeWithdrawn) => text::NO_SCOPE_LEFT,
        Err(other) => return vec![Piece::plain(super::texts::audit::reason(other.reason()))],
    };
    filled(pattern, &[("user", asked), ("claim", claim)])
}

/// Writes the rule of the policy, if a user was found.
pub(super) fn rule(check: &UserCheck) -> Vec<Piece> {
    let (Some(rule), Some(user)) = (check.rule(), &check.user) else { return Vec::new() };
    let (pattern, entry) = match rule {
        ImpersonationRule::Anyone => (text::RULE_ANYONE, ""),
        ImpersonationRule::Listed(Member::Subject(entry)) => (text::RULE_SUBJECT, entry.as_str()),
        ImpersonationRule::Listed(Member::Group(entry)) => (text::RULE_GROUP, entry.as_str()),
        ImpersonationRule::Inactive => (text::RULE_INACTIVE, ""),
        ImpersonationRule::Excepted(Member::Subject(entry)) => {
            (text::RULE_EXCEPT_SUBJECT, entry.as_str())
        }
        ImpersonationRule::Excepted(Member::Group(entry)) => {
            (text::RULE_EXCEPT_GROUP, entry.as_str())
        }
        ImpersonationRule::NoneAllowed => (text::RULE_NONE, ""),
        ImpersonationRule::NotListed => (text::RULE_NOT_LISTED, ""),
    };
    filled(pattern, &[("user", user.subject.as_str()), ("entry", entry)])
}

/// Returns the lists as texts, one entry a line: users, groups.
pub(super) fn written(members: &Members) -> (String, String) {
    let subjects = super::lines::joined(members.subjects.iter().map(Subject::as_str));
    let groups = super::lines::joined(members.groups.iter().map(Group::as_str));
    (subjects, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(policy: &ImpersonationPolicy) -> String {
        let mark = |it: Piece| if it.is_name { format!("*{}*", it.text) } else { it.text };
        users(policy).into_iter().map(mark).collect()
    }

    fn members(subjects: &[&str], groups: &[&str]) -> Members {
        Members::subjects(subjects.iter().map(|it| Subject::new(*it).unwrap()))
            .and_groups(groups.iter().map(|it| Group::new(*it).unwrap()))
    }

    #[test]
    fn a_policy_is_a_sentence() {
        let except = members(&["root"], &["admins"]);
        let staff = ImpersonationPolicy::members(members(&[], &["staff"]));
        for (policy, said) in [
            (ImpersonationPolicy::none().except(except.clone()), "The app may act as no user."),
            (ImpersonationPolicy::members(Members::default()), "The app may act as no user."),
            (ImpersonationPolicy::anyone(), "The app may act as every active user."),
            (
                staff.except(except),
                "The app may act as members of *staff*, except *root* and members of *admins*.",
            ),
            (
                ImpersonationPolicy::members(members(&["a", "b"], &["c"])),
                "The app may act as *a*, *b* and members of *c*.",
            ),
        ] {
            assert_eq!(told(&policy), said);
        }
        let names: Vec<String> = (0..15).map(|it| format!("u{it}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = told(&ImpersonationPolicy::members(members(&names, &["g"])));
        assert!(many.ends_with("*u8*, *u9* and 6 more."), "{many}");
    }
}
