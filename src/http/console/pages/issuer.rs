//! *Overview* of a trusted issuer: its keys, and the evidence that the server accepts from it, in sentences.

use askama::Template;

use super::super::frame::{Frame, IssuerTab};
use super::super::policy;
use super::super::problem::Problem;
use super::super::sentence::Piece;
use super::super::texts::{self, issuers as text};
use super::super::times::{When, duration};
use super::super::visit::Visit;
use super::issuers::{AppNames, NamedApp, State};
use crate::app::{IssuerKeys, RevocationTrust, TrustedIssuer, UserTrust, WorkloadRule};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::jwt::Algorithm;
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/issuer.html")]
struct IssuerPage<'a> {
    frame: Frame<'a>,
    settings: &'a TrustedIssuer,
    state: State,
    is_expired: bool,
    changed: When,
    /// The name of each key with its algorithm.
    keys: Vec<(String, &'static str)>,
    uri: Option<&'a str>,
    algorithms: String,
    lifetime: String,
    skew: String,
    trusts: Vec<Trust<'a>>,
    workloads: Vec<Workload<'a>>,
    ends: Option<Ends>,
}

/// The trust in one kind of evidence about users.
struct Trust<'a> {
    id: &'static str,
    title: &'static str,
    hint: &'static str,
    apps: Vec<NamedApp>,
    users: Vec<Piece>,
    /// The ways to find the user, in their order.
    found_by: Vec<(&'static str, Option<&'a str>)>,
    scope: Option<&'a Scope>,
    requires_resource: bool,
}

/// The users whose access it may end, and the ways to name one.
struct Ends {
    users: Vec<Piece>,
    found_by: Vec<&'static str>,
}

/// A rule for workloads.
struct Workload<'a> {
    app: NamedApp,
    rule: &'a WorkloadRule,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows a trusted issuer.
    pub(in super::super) async fn issuer_overview(&self, segment: &str) -> Result<Page, Problem> {
        let record = self.issuer(segment).await?;
        let settings = &record.settings;
        let now = self.now();
        let mut names = AppNames::default();
        let mut trusts = Vec::new();
        for (id, title, hint, trust) in [
            ("id-jag", text::ID_JAG_TITLE, text::ID_JAG_HINT, settings.id_jag()),
            (
                "subject-tokens",
                text::SUBJECT_TOKENS_TITLE,
                text::SUBJECT_TOKENS_HINT,
                settings.subject_tokens(),
            ),
        ] {
            if let Some(trust) = trust {
                let mut apps = Vec::new();
                for client_id in &trust.apps {
                    apps.push(self.named_app(client_id, &mut names).await?);
                }
                trusts.push(Trust {
                    id,
                    title,
                    hint,
                    apps,
                    users: policy::users(&trust.policy),
                    found_by: found_by(trust),
                    scope: trust.policy.scope.as_ref(),
                    requires_resource: trust.requires_resource,
                });
            }
        }
        let mut workloads = Vec::new();
        for rule in settings.workloads() {
            let app = self.named_app(rule.app(), &mut names).await?;
            workloads.push(Workload { app, rule });
        }
        let (keys, uri) = match settings.keys() {
            IssuerKeys::Uri(uri) => (Vec::new(), Some(uri.as_str())),
            IssuerKeys::Keys(keys) => {
                let listed = keys.iter().map(|key| {
                    let name = key.key_id().unwrap_or(key.thumbprint()).as_str().to_owned();
                    (name, key.algorithm().map_or("", Algorithm::as_str))
                });
                (listed.collect(), None)
            }
        };
        let algorithms: Vec<_> = settings.algorithms().iter().map(|it| it.as_str()).collect();
        self.page(&IssuerPage {
            frame: self.issuer_frame(&record, IssuerTab::Overview),
            state: State::of(settings, now),
            is_expired: settings.has_expired(now),
            changed: When::new(record.updated_at, now),
            keys,
            uri,
            algorithms: algorithms.join(", "),
            lifetime: duration(settings.max_lifetime()),
            skew: duration(settings.clock_skew()),
            trusts,
            workloads,
            ends: settings.global_revocation().map(Ends::of),
            settings,
        })
    }
}

impl Ends {
    fn of(trust: &RevocationTrust) -> Self {
        let mut found_by = vec![text::BY_LINK];
        found_by.extend(trust.by_subject.then_some(text::BY_SUBJECT));
        found_by.extend(trust.by_email.then_some(text::BY_ADDRESS));
        Self { users: policy::ended_users(trust), found_by }
    }
}

fn found_by(trust: &UserTrust) -> Vec<(&'static str, Option<&str>)> {
    let mut ways = vec![(text::BY_LINK, None)];
    ways.extend(trust.user_claim.as_deref().map(|claim| (text::BY_CLAIM, Some(claim))));
    ways.extend(trust.by_email.then_some((text::BY_EMAIL, None)));
    ways
}
