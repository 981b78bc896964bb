//! The list of trusted issuers: at most 100, searched in memory.

use std::collections::BTreeMap;

use askama::Template;

use super::super::access::ConsoleRole;
use super::super::frame::Frame;
use super::super::problem::Problem;
use super::super::texts::{self, issuers as text};
use super::super::times::When;
use super::super::visit::Visit;
use crate::app::{TrustedIssuer, WorkloadRule};
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::ClientId;
use crate::store::{IssuerRecord, Store};
use crate::users::UserDirectory;

/// The number of apps that a page looks up. Each costs a read, unless the store keeps apps.
const MOST_APPS: usize = 10;
/// The apps of a row. More of them are counted.
const APPS_OF_ROW: usize = 3;
/// A record that expires within this time is marked, in seconds.
const SOON: i64 = 30 * 86_400;

#[derive(Template)]
#[template(path = "console/issuers.html")]
struct Issuers<'a> {
    frame: Frame<'a>,
    new: Option<String>,
    action: String,
    search: &'a str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    issuer: String,
    url: String,
    kinds: Vec<&'static str>,
    apps: Vec<NamedApp>,
    /// The number of apps beyond those.
    more: usize,
    state: State,
}

/// An app of a record, by its name if it was looked up and exists.
pub(super) struct NamedApp {
    pub(super) name: String,
    pub(super) url: String,
}

/// Whether evidence of the issuer is accepted: words, tone, and the end of the trust.
pub(super) struct State {
    pub(super) words: &'static str,
    pub(super) tone: &'static str,
    pub(super) ends: Option<When>,
}

impl State {
    pub(super) fn of(settings: &TrustedIssuer, now: UnixTime) -> Self {
        let ends = settings.expires_at();
        let is_soon = ends.is_some_and(|at| at.millis_since(now) < SOON.saturating_mul(1_000));
        let (words, tone) = if settings.has_expired(now) {
            (text::EXPIRED, "bad")
        } else if kinds(settings).is_empty() {
            (text::ACCEPTS_NOTHING, "warn")
        } else if is_soon {
            (text::EXPIRES, "warn")
        } else {
            (text::TRUSTED, "good")
        };
        Self { words, tone, ends: ends.map(|at| When::new(at, now)) }
    }
}

/// Returns the kinds of evidence that a record accepts.
pub(super) fn kinds(settings: &TrustedIssuer) -> Vec<&'static str> {
    let all = [
        (settings.id_jag().is_some(), text::ID_JAG),
        (settings.subject_tokens().is_some(), text::SUBJECT_TOKENS),
        (!settings.workloads().is_empty(), text::WORKLOADS),
    ];
    all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect()
}

/// Returns the apps that a record names for any kind of evidence, each once.
pub(super) fn apps(settings: &TrustedIssuer) -> Vec<&ClientId> {
    let trust = [settings.id_jag(), settings.subject_tokens()];
    let named = trust.into_iter().flatten().flat_map(|trust| &trust.apps);
    let mut all: Vec<_> = named.chain(settings.workloads().iter().map(WorkloadRule::app)).collect();
    all.sort();
    all.dedup();
    all
}

/// Names of apps that were looked up for one page.
#[derive(Default)]
pub(super) struct AppNames(BTreeMap<ClientId, String>);

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the trusted issuers.
    pub(in super::super) async fn list_issuers(&self) -> Result<Page, Problem> {
        let query = self.query()?;
        let search = query.one("search").trim();
        let wanted = search.to_lowercase();
        let is_wanted = |record: &IssuerRecord| {
            let names = [record.settings.name(), record.settings.issuer().as_str()];
            names.iter().any(|name| name.to_lowercase().contains(&wanted))
        };
        let mut found = self.admin().trusted_issuers().await?;
        found.retain(is_wanted);
        let mut names = AppNames::default();
        let mut rows = Vec::new();
        for record in &found {
            rows.push(self.issuer_row(&record.settings, &mut names).await?);
        }
        self.page(&Issuers {
            frame: self.frame(text::TITLE),
            new: self.may(ConsoleRole::Security).then(|| self.link("/new-issuer")),
            action: self.link("/issuers"),
            search,
            rows,
        })
    }

    async fn issuer_row(
        &self,
        settings: &TrustedIssuer,
        names: &mut AppNames,
    ) -> Result<Row, Problem> {
        let apps = apps(settings);
        let mut first = Vec::new();
        for client_id in apps.iter().take(APPS_OF_ROW) {
            first.push(self.named_app(client_id, names).await?);
        }
        Ok(Row {
            name: settings.name().to_owned(),
            issuer: settings.issuer().as_str().to_owned(),
            url: self.issuer_link(settings.issuer(), ""),
            kinds: kinds(settings),
            apps: first,
            more: apps.len().saturating_sub(APPS_OF_ROW),
            state: State::of(settings, self.now()),
        })
    }

    /// Returns an app by its name, or by its client id if it does not exist or the page has looked up enough.
    pub(super) async fn named_app(
        &self,
        client_id: &ClientId,
        names: &mut AppNames,
    ) -> Result<NamedApp, Problem> {
        if !names.0.contains_key(client_id) && names.0.len() < MOST_APPS {
            let found = self.admin().find(client_id).await?;
            let name = found.map_or_else(
                || client_id.as_str().to_owned(),
                |app| app.settings().name().to_owned(),
            );
            names.0.insert(client_id.clone(), name);
        }
        let known = names.0.get(client_id).cloned();
        let name = known.unwrap_or_else(|| client_id.as_str().to_owned());
        Ok(NamedApp { name, url: self.app_link(client_id, "") })
    }
}
