//! The form of a trusted issuer, as it was typed. *New issuer*, *Settings* and the page of a conflict share it.

mod check;
mod revocation;
mod rules;
mod trust;

pub(super) use check::{add_unknown_app, no_mistakes};
use revocation::RevocationForm;
use rules::RuleForm;
use trust::TrustForm;
pub(super) use trust::{ID_JAG, SUBJECT_TOKENS, TrustNames};

use super::app_form::{Lifetime, written_keys};
use super::conflict::Difference;
use super::fields::Fields;
use super::texts::issuer_form as text;
use crate::app::{IssuerKeys, TrustedIssuer};
use crate::clock::UnixTime;
use crate::jwt::Algorithm;
use crate::store::IssuerRecord;

/// The settings of a trusted issuer as texts and boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IssuerForm {
    /// The version of the record that the edit is based on; empty for a new one.
    pub(super) version: String,
    pub(super) name: String,
    pub(super) issuer: String,
    /// PEM, a JWK Set, or the URL of one.
    pub(super) keys: String,
    /// The names of the algorithms that are ticked.
    pub(super) algorithms: Vec<String>,
    pub(super) max_lifetime: Lifetime,
    /// In seconds.
    pub(super) clock_skew: String,
    pub(super) reuse: bool,
    /// Such as `2027-01-31 12:00`, in UTC.
    pub(super) expires: String,
    pub(super) tenant: String,
    pub(super) id_jag: TrustForm,
    pub(super) subject_tokens: TrustForm,
    /// Whether it is trusted for workloads.
    pub(super) workloads: bool,
    pub(super) workload_audience: String,
    pub(super) rules: Vec<RuleForm>,
    pub(super) ends: RevocationForm,
}

impl IssuerForm {
    /// Returns the form of a new issuer, with defaults that fit most.
    pub(super) fn of_new_issuer() -> Self {
        Self {
            algorithms: ["ES256", "RS256"].map(str::to_owned).to_vec(),
            max_lifetime: Lifetime::of(3_600),
            clock_skew: "10".to_owned(),
            id_jag: TrustForm::of(None),
            subject_tokens: TrustForm::of(None),
            rules: vec![RuleForm::blank(1)],
            ..Self::default()
        }
    }

    /// Returns the form of a record.
    pub(super) fn of_record(record: &IssuerRecord) -> Self {
        let settings = &record.settings;
        let rules = settings.workloads().iter().zip(1..);
        let mut rules: Vec<_> = rules.map(|(rule, number)| RuleForm::of(number, rule)).collect();
        let workloads = !rules.is_empty();
        if !workloads {
            rules.push(RuleForm::blank(1));
        }
        Self {
            version: record.version.to_string(),
            name: settings.name().to_owned(),
            issuer: settings.issuer().as_str().to_owned(),
            keys: match settings.keys() {
                IssuerKeys::Keys(keys) => written_keys(keys),
                IssuerKeys::Uri(uri) => uri.as_str().to_owned(),
            },
            algorithms: settings.algorithms().iter().map(|it| it.as_str().to_owned()).collect(),
            max_lifetime: Lifetime::of(settings.max_lifetime()),
            clock_skew: settings.clock_skew().to_string(),
            reuse: settings.allows_reuse(),
            expires: settings.expires_at().map(written_instant).unwrap_or_default(),
            tenant: settings.tenant().unwrap_or_default().to_owned(),
            id_jag: TrustForm::of(settings.id_jag()),
            subject_tokens: TrustForm::of(settings.subject_tokens()),
            workloads,
            workload_audience: settings.workload_audience().unwrap_or_default().to_owned(),
            rules,
            ends: RevocationForm::of(settings.global_revocation()),
        }
    }

    /// Reads what was typed. A file of keys replaces the text beside it. With the button for one more rule, there is
    /// one more.
    pub(super) fn of_fields(fields: &Fields) -> Self {
        let one = |name: &str| fields.one(name).replace("\r\n", "\n");
        let file = one("keys_file");
        let count: usize = fields.one("rules").parse().unwrap_or(1);
        let count = count.clamp(1, TrustedIssuer::MAX_WORKLOADS);
        let mut rules: Vec<_> =
            (1..=count).map(|number| RuleForm::of_fields(fields, number)).collect();
        if fields.has("more") && count < TrustedIssuer::MAX_WORKLOADS {
            rules.push(RuleForm::blank(count.saturating_add(1)));
        }
        Self {
            version: one("version"),
            name: one("name").trim().to_owned(),
            issuer: one("issuer").trim().to_owned(),
            keys: if file.trim().is_empty() { one("keys") } else { file },
            algorithms: fields.all("algorithm").map(str::to_owned).collect(),
            max_lifetime: Lifetime::of_fields(fields, "max_lifetime"),
            clock_skew: one("clock_skew").trim().to_owned(),
            reuse: fields.has("reuse"),
            expires: one("expires").trim().to_owned(),
            tenant: one("tenant").trim().to_owned(),
            id_jag: TrustForm::of_fields(fields, &ID_JAG),
            subject_tokens: TrustForm::of_fields(fields, &SUBJECT_TOKENS),
            workloads: fields.has("workloads"),
            workload_audience: one("workload_audience").trim().to_owned(),
            rules,
            ends: RevocationForm::of_fields(fields),
        }
    }

    /// Returns the algorithms that can be ticked: those without a shared secret.
    pub(super) fn choices(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let all = Algorithm::ALL.iter().filter(|it| **it != Algorithm::HS256);
        all.map(|it| (it.as_str(), self.algorithms.iter().any(|own| own == it.as_str())))
    }

    /// Returns every setting in words, in the order of the form, for a comparison.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut algorithms = self.algorithms.clone();
        algorithms.sort();
        let mut rows = vec![
            (text::NAME, self.name.clone()),
            (text::KEYS, self.keys.trim().to_owned()),
            (text::ALGORITHMS, algorithms.join(", ")),
            (text::LIFETIME, self.max_lifetime.in_words()),
            (text::SKEW, self.clock_skew.clone()),
            (text::REUSE, text::yes(self.reuse)),
            (text::EXPIRES, self.expires.clone()),
            (text::TENANT, self.tenant.clone()),
        ];
        rows.extend(self.id_jag.rows(text::ID_JAG));
        rows.extend(self.subject_tokens.rows(text::SUBJECT_TOKENS));
        let is_on = |rule: &&RuleForm| self.workloads && !rule.is_blank();
        let rules: Vec<_> = self.rules.iter().filter(is_on).map(RuleForm::in_words).collect();
        rows.push((text::WORKLOADS, rules.join("\n")));
        rows.push((text::AUDIENCE, self.workload_audience.clone()));
        rows.extend(self.ends.rows());
        rows
    }

    /// Returns the settings that differ from those of `stored`.
    pub(super) fn differences(&self, stored: &Self) -> Vec<Difference> {
        let pairs = self.rows().into_iter().zip(stored.rows());
        pairs.filter_map(|((name, own), (_, other))| Difference::of(name, own, other)).collect()
    }
}

/// Writes an instant as the form has it.
fn written_instant(at: UnixTime) -> String {
    let text = at.to_string().replace('T', " ");
    text.strip_suffix(":00Z").or(text.strip_suffix('Z')).unwrap_or(&text).to_owned()
}
