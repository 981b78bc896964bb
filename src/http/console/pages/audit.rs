//! The audit log, and the activity of one app.

use askama::Template;
use url::form_urlencoded::Serializer;

use super::super::fields::Fields;
use super::super::frame::{Frame, Link, Tab};
use super::super::problem::Problem;
use super::super::sentence::{Named, Piece, sentence};
use super::super::texts;
use super::super::times::When;
use super::super::visit::Visit;
use crate::app::CustomApp;
use crate::audit::{Action, Actor, AuditEvent, AuditQuery, EventId, StoredEvent};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::{ClientId, EvidenceIssuer, Subject};
use crate::observe::Outcome;
use crate::store::{self, RevocationTarget, Store};
use crate::users::UserDirectory;

/// The number of events on a page.
const PER_PAGE: usize = 50;
/// The most refusals and failures on the overview of an app.
const LAST_ERRORS: usize = 5;
/// The number of reads of a page that is narrowed by outcome or action, which have no index.
const READS: usize = 2;
/// Refusals and failures.
const ERRORS: &str = "errors";
const OUTCOMES: [(&str, &str); 5] = [
    ("", texts::audit::ALL),
    ("success", texts::audit::SUCCEEDED),
    ("refused", texts::audit::REFUSED),
    ("failed", texts::audit::FAILED),
    (ERRORS, texts::audit::ERRORS),
];

#[derive(Template)]
#[template(path = "console/audit.html")]
struct Audit<'a> {
    frame: Frame<'a>,
    action: String,
    /// The filter by app, unless the page is one of an app.
    app: Option<&'a str>,
    user: &'a str,
    outcome: &'a str,
    actions: Vec<(&'static str, &'static str, bool)>,
    outcomes: Vec<Link>,
    has_log: bool,
    is_narrowed: bool,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

pub(super) struct Row {
    pub(super) when: When,
    pub(super) pieces: Vec<Piece>,
    /// The outcome in a word, and its tone.
    pub(super) label: Option<(&'static str, &'static str)>,
    pub(super) setting: Option<String>,
    /// The trusted issuer that the event is about, and its page.
    issuer: Option<(String, String)>,
    raw: String,
}

/// The last refusals and failures of an app.
pub(super) struct LastErrors {
    pub(super) rows: Vec<Row>,
    /// Whether there are older events, which were not read.
    pub(super) has_older: bool,
}

/// An event of the log. One of a later version cannot be read.
type Found = (StoredEvent, Option<AuditEvent>);

/// The filters of a query. The app is fixed on the page of an app.
struct Asked<'a> {
    app: &'a str,
    user: &'a str,
    outcome: &'static str,
    action: &'static str,
    after: Option<EventId>,
}

impl<'a> Asked<'a> {
    fn of(query: &'a Fields) -> Self {
        let outcome = OUTCOMES.iter().find(|(own, _)| *own == query.one("outcome"));
        let action = texts::audit::ACTIONS.iter().find(|(own, ..)| *own == query.one("action"));
        Self {
            app: query.one("app").trim(),
            user: query.one("user").trim(),
            outcome: outcome.map_or("", |(own, _)| own),
            action: action.map_or("", |(own, ..)| own),
            after: query.one("after").parse().ok(),
        }
    }

    /// Returns the query of the log, or `None` if an app or a user cannot exist.
    fn query(&self, fixed: Option<&ClientId>) -> Option<AuditQuery> {
        let mut query = AuditQuery::all();
        if let Some(app) = fixed {
            query = query.app(app.clone());
        } else if !self.app.is_empty() {
            query = query.app(ClientId::new(self.app).ok()?);
        }
        if !self.user.is_empty() {
            query = query.subject(Subject::new(self.user).ok()?);
        }
        Some(query)
    }

    fn picks(&self) -> bool {
        !self.outcome.is_empty() || !self.action.is_empty()
    }

    fn admits(&self, event: Option<&AuditEvent>) -> bool {
        let Some(event) = event else { return !self.picks() };
        let is_outcome = match self.outcome {
            "" => true,
            ERRORS => !matches!(event.outcome, Outcome::Success),
            own => event.outcome.as_str() == own,
        };
        is_outcome && (self.action.is_empty() || event.action.as_str() == self.action)
    }

    /// Returns the link to this page with another outcome, from event `after` on.
    fn link(&self, page: &str, outcome: &str, after: &str) -> String {
        let mut query = Serializer::new(String::new());
        let pairs = [
            ("app", self.app),
            ("user", self.user),
            ("outcome", outcome),
            ("action", self.action),
            ("after", after),
        ];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
    }
}

/// Returns the trusted issuer that an event is about: a change of its record, the end of its access, an act of its own, or a
/// decision on its evidence.
fn issuer_of(event: &AuditEvent) -> Option<&EvidenceIssuer> {
    if let Action::AddTrustedIssuer { issuer }
    | Action::EditTrustedIssuer { issuer }
    | Action::RemoveTrustedIssuer { issuer }
    | Action::Revoke { target: RevocationTarget::EvidenceIssuer(issuer) } = &event.action
    {
        return Some(issuer);
    }
    if let Actor::Issuer(issuer) = &event.actor {
        return Some(issuer);
    }
    event.decision.as_ref()?.issuer.as_ref()
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the events of all apps.
    pub(in super::super) async fn audit_log(&self) -> Result<Page, Problem> {
        let query = self.query()?;
        let asked = Asked::of(&query);
        let (events, next) = self.read_events(&asked, None).await?;
        let frame = self.frame(texts::audit::TITLE);
        let rows = events.iter().map(|event| self.event_row(event, None)).collect();
        self.events_page(frame, self.link("/audit"), &asked, Some(asked.app), rows, next)
    }

    /// Shows the events of an app.
    pub(in super::super) async fn activity(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let query = self.query()?;
        let asked = Asked { app: "", ..Asked::of(&query) };
        let (events, next) = self.read_events(&asked, Some(app.client_id())).await?;
        let named = Some((app.client_id(), app.settings().name()));
        let rows = events.iter().map(|event| self.event_row(event, named)).collect();
        let link = self.app_link(app.client_id(), "activity");
        self.events_page(self.app_frame(&app, Tab::Activity), link, &asked, None, rows, next)
    }

    /// Returns the last refusals and failures among the newest 200 events of an app; `None` without a log.
    pub(super) async fn last_errors(&self, app: &CustomApp) -> Result<Option<LastErrors>, Problem> {
        let Some(log) = &self.site.log else { return Ok(None) };
        let query = AuditQuery::all().app(app.client_id().clone());
        let page = store::Page::first(store::Page::<EventId>::MAX_LIMIT);
        let listing = log.events(&query, page).await?;
        let named = Some((app.client_id(), app.settings().name()));
        let is_error = |event: &AuditEvent| !matches!(event.outcome, Outcome::Success);
        let found = listing.items.into_iter().map(|stored| {
            let event = stored.event().ok();
            (stored, event)
        });
        let errors = found.filter(|(_, event)| event.as_ref().is_some_and(is_error));
        let rows = errors.take(LAST_ERRORS).map(|error| self.event_row(&error, named)).collect();
        Ok(Some(LastErrors { rows, has_older: listing.next.is_some() }))
    }

    /// Reads the events of a page, and the id after which the next page begins.
    async fn read_events(
        &self,
        asked: &Asked<'_>,
        fixed: Option<&ClientId>,
    ) -> Result<(Vec<Found>, Option<EventId>), Problem> {
        let (Some(log), Some(query)) = (&self.site.log, asked.query(fixed)) else {
            return Ok((Vec::new(), None));
        };
        let (limit, reads) =
            if asked.picks() { (store::Page::<EventId>::MAX_LIMIT, READS) } else { (PER_PAGE, 1) };
        let (mut found, mut after) = (Vec::new(), asked.after);
        for _ in 0..reads {
            let mut page = store::Page::first(limit);
            page.after = after;
            let listing = log.events(&query, page).await?;
            let mut events = listing.items.into_iter().peekable();
            while let Some(stored) = events.next() {
                let id = stored.id;
                let event = stored.event().ok();
                if asked.admits(event.as_ref()) {
                    found.push((stored, event));
                }
                let is_last = events.peek().is_none() && listing.next.is_none();
                if found.len() == PER_PAGE && !is_last {
                    return Ok((found, Some(id)));
                }
            }
            after = listing.next;
            if after.is_none() {
                break;
            }
        }
        Ok((found, after))
    }

    fn event_row(&self, (stored, event): &Found, named: Named<'_>) -> Row {
        let raw = match serde_json::from_str::<serde_json::Value>(&stored.json) {
            Ok(json) => format!("{json:#}"),
            Err(_) => stored.json.clone(),
        };
        let when = When::new(stored.at, self.now());
        let Some(event) = event else {
            let later = Piece { text: texts::audit::LATER.to_owned(), is_name: false };
            let pieces = vec![later];
            return Row { when, pieces, label: None, setting: None, issuer: None, raw };
        };
        let label = match &event.outcome {
            Outcome::Success => (texts::audit::SUCCEEDED, "good"),
            Outcome::Refused { .. } => (texts::audit::REFUSED, "warn"),
            Outcome::Failed { .. } => (texts::audit::FAILED, "bad"),
        };
        Row {
            when,
            pieces: sentence(event, named),
            label: Some(label),
            setting: event.outcome.setting().map(str::to_owned),
            issuer: issuer_of(event)
                .filter(|_| self.admin().has_trusted_issuers())
                .map(|issuer| (issuer.as_str().to_owned(), self.issuer_link(issuer, ""))),
            raw,
        }
    }

    fn events_page(
        &self,
        frame: Frame<'_>,
        page: String,
        asked: &Asked<'_>,
        app: Option<&str>,
        rows: Vec<Row>,
        next: Option<EventId>,
    ) -> Result<Page, Problem> {
        let outcome = |(name, label): (&'static str, &'static str)| Link {
            name: label,
            url: asked.link(&page, name, ""),
            is_current: name == asked.outcome,
        };
        let action = |(name, label, ..): texts::audit::Words| (name, label, name == asked.action);
        let next = next.map(|id| asked.link(&page, asked.outcome, &id.to_string()));
        self.page(&Audit {
            frame,
            app,
            user: asked.user,
            outcome: asked.outcome,
            actions: texts::audit::ACTIONS.into_iter().map(action).collect(),
            outcomes: OUTCOMES.into_iter().map(outcome).collect(),
            has_log: self.site.log.is_some(),
            is_narrowed: asked.picks() || !asked.app.is_empty() || !asked.user.is_empty(),
            rows,
            first: asked.after.is_some().then(|| asked.link(&page, asked.outcome, "")),
            next,
            action: page,
        })
    }
}
