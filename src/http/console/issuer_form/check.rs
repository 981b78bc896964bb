//! From what was typed to a checked record, or to mistakes beside their fields.

use super::{ID_JAG, IssuerForm, SUBJECT_TOKENS, revocation, written_instant};
use crate::app::{InvalidApp, IssuerKeys, JwksUri, TrustedIssuer};
use crate::clock::UnixTime;
use crate::http::console::app_form::keys;
use crate::http::console::mistakes::{FormFields, Mistakes};
use crate::http::console::texts::{app_form, impersonation, issuer_form as text};
use crate::ids::{ClientId, EvidenceIssuer};
use crate::jwt::Algorithm;

/// The fields in the order of the form.
const FIELDS: FormFields = &[
    ("form", text::THE_ISSUER),
    ("name", text::NAME),
    ("issuer", text::ISSUER),
    ("keys", text::KEYS),
    ("algorithms", text::ALGORITHMS),
    ("max_lifetime", text::LIFETIME),
    ("clock_skew", text::SKEW),
    ("expires", text::EXPIRES),
    ("tenant", text::TENANT),
    (ID_JAG.apps, text::APPS),
    (ID_JAG.user_claim, text::USER_CLAIM),
    (ID_JAG.policy.allow, impersonation::ALLOW),
    (ID_JAG.policy.subjects, impersonation::SUBJECTS),
    (ID_JAG.policy.groups, impersonation::LIST_GROUPS),
    (ID_JAG.policy.except_subjects, impersonation::EXCEPT_SUBJECTS),
    (ID_JAG.policy.except_groups, impersonation::EXCEPT_GROUPS),
    (ID_JAG.policy.scope, impersonation::SCOPE_LIST),
    (SUBJECT_TOKENS.apps, text::APPS),
    (SUBJECT_TOKENS.user_claim, text::USER_CLAIM),
    (SUBJECT_TOKENS.policy.allow, impersonation::ALLOW),
    (SUBJECT_TOKENS.policy.subjects, impersonation::SUBJECTS),
    (SUBJECT_TOKENS.policy.groups, impersonation::LIST_GROUPS),
    (SUBJECT_TOKENS.policy.except_subjects, impersonation::EXCEPT_SUBJECTS),
    (SUBJECT_TOKENS.policy.except_groups, impersonation::EXCEPT_GROUPS),
    (SUBJECT_TOKENS.policy.scope, impersonation::SCOPE_LIST),
    ("workloads", text::WORKLOADS),
    ("workload_audience", text::AUDIENCE),
    (revocation::SUBJECTS, impersonation::SUBJECTS),
    (revocation::GROUPS, impersonation::LIST_GROUPS),
];

/// Returns the mistakes of a form that has none.
pub(in super::super) const fn no_mistakes() -> Mistakes {
    Mistakes::new(FIELDS)
}

/// Adds the sentence about an app that does not exist, beside the field that names it.
pub(in super::super) fn add_unknown_app(
    form: &IssuerForm,
    app: &ClientId,
    mistakes: &mut Mistakes,
) {
    let sentence = text::unknown_app(app.as_str());
    for (trust, names) in [(&form.id_jag, ID_JAG), (&form.subject_tokens, SUBJECT_TOKENS)] {
        if trust.on && trust.apps.lines().any(|line| line == app.as_str()) {
            mistakes.add(names.apps, sentence.clone());
        }
    }
    for rule in form.rules.iter().filter(|rule| form.workloads && rule.app == app.as_str()) {
        let name = text::rule(rule.number);
        mistakes.add_among("workloads", &rule.field("app"), name, sentence.clone());
    }
}

fn add_invalid(mistakes: &mut Mistakes, invalid: &InvalidApp) {
    let field = match invalid.field() {
        "id_jag.apps" => ID_JAG.apps,
        "id_jag.user_claim" => ID_JAG.user_claim,
        "id_jag.policy" => ID_JAG.policy.subjects,
        "subject_tokens.apps" => SUBJECT_TOKENS.apps,
        "subject_tokens.user_claim" => SUBJECT_TOKENS.user_claim,
        "subject_tokens.policy" => SUBJECT_TOKENS.policy.subjects,
        "global_revocation.users" => revocation::SUBJECTS,
        known if FIELDS.iter().any(|(own, _)| *own == known) => known,
        _ => "form",
    };
    let sentence = match (field, invalid.field()) {
        ("form", name) => app_form::other_field(name, invalid.problem()),
        // The form calls the setting by another name.
        (field, _) if invalid.problem().contains("by_email") && field.ends_with("user_claim") => {
            text::CLAIM_IS_EMAIL.to_owned()
        }
        _ => app_form::sentence(invalid.problem()),
    };
    mistakes.add(field, sentence);
}

impl IssuerForm {
    /// Checks the form. The issuer of a record does not change, nor the part of an instant that the form does not
    /// show.
    pub(in super::super) fn check(
        &self,
        base: Option<&TrustedIssuer>,
    ) -> Result<TrustedIssuer, Mistakes> {
        let mut mistakes = no_mistakes();
        if self.name.is_empty() {
            mistakes.add("name", text::NAME_MISSING);
        }
        let issuer = match base {
            Some(base) => Some(base.issuer().clone()),
            None => self.issuer(&mut mistakes),
        };
        let keys = self.keys(&mut mistakes);
        let named =
            |algorithm: &&Algorithm| self.algorithms.iter().any(|it| it == algorithm.as_str());
        let algorithms: Vec<_> = Algorithm::ALL.iter().filter(named).copied().collect();
        if algorithms.is_empty() {
            mistakes.add("algorithms", text::ALGORITHMS_MISSING);
        }
        let lifetime = self.max_lifetime.seconds();
        if lifetime.is_none() {
            mistakes.add("max_lifetime", app_form::WHOLE_NUMBERS);
        }
        let skew = self.clock_skew.parse::<u32>().ok();
        if skew.is_none() {
            mistakes.add("clock_skew", text::SKEW_WRONG);
        }
        let expires = self.expiry(base, &mut mistakes);
        let id_jag = self.id_jag.check(&ID_JAG, &mut mistakes);
        let subject_tokens = self.subject_tokens.check(&SUBJECT_TOKENS, &mut mistakes);
        let rules: Vec<_> =
            self.rules.iter().filter(|rule| self.workloads && !rule.is_blank()).collect();
        if self.workloads && rules.is_empty() {
            mistakes.add("workloads", text::RULES_MISSING);
        }
        let rules: Vec<_> = rules.into_iter().filter_map(|it| it.check(&mut mistakes)).collect();
        let ends = self.ends.check(&mut mistakes);
        let (Some(issuer), Some(keys)) = (issuer, keys) else { return Err(mistakes) };
        let mut settings = TrustedIssuer::new(issuer, &*self.name, keys, algorithms)
            .with_max_lifetime(lifetime.unwrap_or(1))
            .with_clock_skew(skew.unwrap_or(0))
            .with_reuse(self.reuse)
            .with_expiry(expires)
            .with_workloads(rules);
        if !self.tenant.is_empty() {
            settings = settings.with_tenant(&*self.tenant);
        }
        if let Some(trust) = ends {
            settings = settings.with_global_revocation(trust);
        }
        if let Some(trust) = id_jag {
            settings = settings.with_id_jag(trust);
        }
        if let Some(trust) = subject_tokens {
            settings = settings.with_subject_tokens(trust);
        }
        if !self.workload_audience.is_empty() {
            settings = settings.with_workload_audience(&*self.workload_audience);
        }
        if mistakes.is_empty()
            && let Err(invalid) = settings.check()
        {
            add_invalid(&mut mistakes, &invalid);
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
    }

    /// Returns the mistake of a record that the server refused.
    pub(in super::super) fn refused(invalid: &InvalidApp) -> Mistakes {
        let mut mistakes = no_mistakes();
        add_invalid(&mut mistakes, invalid);
        mistakes
    }

    fn issuer(&self, mistakes: &mut Mistakes) -> Option<EvidenceIssuer> {
        if self.issuer.is_empty() {
            mistakes.add("issuer", text::ISSUER_MISSING);
            return None;
        }
        let issuer = EvidenceIssuer::new(&*self.issuer);
        issuer.map_err(|invalid| mistakes.add("issuer", app_form::sentence(invalid.problem))).ok()
    }

    fn keys(&self, mistakes: &mut Mistakes) -> Option<IssuerKeys> {
        let typed = self.keys.trim();
        let problem = if typed.is_empty() {
            text::KEYS_MISSING.to_owned()
        } else if typed.starts_with("https://") {
            match JwksUri::new(typed) {
                Ok(uri) => return Some(IssuerKeys::Uri(uri)),
                Err(invalid) => app_form::sentence(invalid.problem()),
            }
        } else {
            match keys::read(typed) {
                Ok(keys) => return Some(IssuerKeys::Keys(keys)),
                Err(error) => app_form::sentence(&error.to_string()),
            }
        };
        mistakes.add("keys", problem);
        None
    }

    fn expiry(&self, base: Option<&TrustedIssuer>, mistakes: &mut Mistakes) -> Option<UnixTime> {
        if self.expires.is_empty() {
            return None;
        }
        let stored = base.and_then(TrustedIssuer::expires_at);
        if stored.is_some_and(|at| written_instant(at) == self.expires) {
            return stored;
        }
        let typed = self.expires.replace('T', " ");
        let typed = typed.trim_end_matches('Z').trim_end();
        let full = match typed.len() {
            10 => format!("{typed} 00:00:00"),
            16 => format!("{typed}:00"),
            _ => typed.to_owned(),
        };
        let seconds = humantime::parse_rfc3339_weak(&full).ok().and_then(|at| {
            let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_secs()).ok()
        });
        if seconds.is_none() {
            mistakes.add("expires", text::EXPIRES_WRONG);
        }
        seconds.map(UnixTime::from_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_it_is_written() {
        let read = |text: &str, base: Option<&TrustedIssuer>| {
            let mut mistakes = no_mistakes();
            let form = IssuerForm { expires: text.to_owned(), ..IssuerForm::default() };
            let read = form.expiry(base, &mut mistakes);
            if mistakes.is_empty() { Ok(read) } else { Err(()) }
        };
        let noon = UnixTime::from_seconds(1_801_396_800);
        for text in ["2027-01-31 12:00", "2027-01-31T12:00Z", "2027-01-31 12:00:00"] {
            assert_eq!(read(text, None), Ok(Some(noon)), "{text}");
        }
        assert_eq!(written_instant(noon), "2027-01-31 12:00");
        assert_eq!(read("2027-01-31", None), Ok(Some(UnixTime::from_seconds(1_801_353_600))));
        assert_eq!(read("", None), Ok(None));
        for wrong in ["31.1.2027", "tomorrow", "2027-02-30 12:00", "1969-01-01", "2027-01-31 24:61"]
        {
            assert_eq!(read(wrong, None), Err(()), "{wrong}");
        }
        let issuer = EvidenceIssuer::new("https://idp.example").unwrap();
        let keys = IssuerKeys::Uri(JwksUri::new("https://idp.example/keys").unwrap());
        for exact in [UnixTime::from_millis(1_801_396_800_123), UnixTime::MAX] {
            let base = TrustedIssuer::new(issuer.clone(), "IdP", keys.clone(), [Algorithm::ES256])
                .with_expiry(Some(exact));
            assert_eq!(read(&written_instant(exact), Some(&base)), Ok(Some(exact)));
        }
    }
}
