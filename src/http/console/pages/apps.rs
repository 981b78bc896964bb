//! The list of apps: search, filters, pages by key.

use askama::Template;
use url::form_urlencoded::Serializer;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Frame, Link};
use super::super::problem::Problem;
use super::super::times::When;
use super::super::visit::Visit;
use super::super::{path, texts};
use crate::app::{CustomApp, Flow};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::ids::ClientId;
use crate::store::{self, AppQuery, Store};
use crate::users::UserDirectory;

/// The number of apps on a page.
const PER_PAGE: usize = 25;
/// The filters: parameter, and its values with their names. The empty value means all.
const STATES: [(&str, &str); 3] = [
    ("", texts::apps::ANY),
    ("enabled", texts::apps::ENABLED),
    ("disabled", texts::apps::DISABLED),
];
const ORIGINS: [(&str, &str); 4] = [
    ("", texts::apps::ANY),
    ("registered", texts::apps::REGISTERED),
    ("declared", texts::apps::DECLARED),
    ("self_described", texts::apps::SELF_DESCRIBED),
];
const FLOWS: [(&str, &str); 6] = [
    ("", texts::apps::ANY),
    ("authorization_code", texts::apps::flow(Flow::AuthorizationCode)),
    ("jwt_bearer", texts::apps::flow(Flow::JwtBearer)),
    ("client_credentials", texts::apps::flow(Flow::ClientCredentials)),
    ("device_code", texts::apps::flow(Flow::DeviceCode)),
    ("token_exchange", texts::apps::flow(Flow::TokenExchange)),
];

#[derive(Template)]
#[template(path = "console/apps.html")]
struct Apps<'a> {
    frame: Frame<'a>,
    new: Option<String>,
    action: String,
    search: &'a str,
    kept: Vec<(&'static str, &'a str)>,
    filters: Vec<Filter>,
    is_narrowed: bool,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

struct Filter {
    name: &'static str,
    links: Vec<Link>,
}

struct Row {
    name: String,
    description: String,
    url: String,
    flows: Vec<&'static str>,
    origin: Option<&'static str>,
    last_used: Option<When>,
    unused: &'static str,
    is_enabled: bool,
}

/// The search and the filters of a query.
struct Asked<'a> {
    search: &'a str,
    state: &'a str,
    origin: &'a str,
    flow: &'a str,
    after: Option<ClientId>,
}

impl<'a> Asked<'a> {
    fn of(query: &'a Fields) -> Self {
        let one_of = |name: &str, known: &[(&'static str, &str)]| {
            let value = query.one(name);
            known.iter().find(|(own, _)| *own == value).map_or("", |(own, _)| *own)
        };
        Self {
            search: query.one("search").trim(),
            state: one_of("state", &STATES),
            origin: one_of("origin", &ORIGINS),
            flow: one_of("flow", &FLOWS),
            after: ClientId::new(query.one("after")).ok(),
        }
    }

    fn query(&self) -> AppQuery {
        let mut query = AppQuery::all();
        if !self.search.is_empty() {
            query = query.containing(self.search);
        }
        match self.state {
            "enabled" => query = query.enabled(true),
            "disabled" => query = query.enabled(false),
            _ => {}
        }
        match self.origin {
            "registered" => query = query.declared(false).self_described(false),
            "declared" => query = query.declared(true),
            "self_described" => query = query.self_described(true),
            _ => {}
        }
        match self.flow {
            "authorization_code" => query.with_flow(Flow::AuthorizationCode),
            "jwt_bearer" => query.with_flow(Flow::JwtBearer),
            "client_credentials" => query.with_flow(Flow::ClientCredentials),
            "device_code" => query.with_flow(Flow::DeviceCode),
            "token_exchange" => query.with_flow(Flow::TokenExchange),
            _ => query,
        }
    }

    fn is_narrowed(&self) -> bool {
        [self.search, self.state, self.origin, self.flow].iter().any(|it| !it.is_empty())
    }

    /// Returns the link to this list with `changed` set to `value`.
    fn link(&self, list: &str, changed: &str, value: &str) -> String {
        let own = [
            ("search", self.search),
            ("state", self.state),
            ("origin", self.origin),
            ("flow", self.flow),
        ];
        let mut query = Serializer::new(String::new());
        for (name, own) in own.into_iter().chain([("after", "")]) {
            let value = if name == changed { value } else { own };
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { list.to_owned() } else { format!("{list}?{query}") }
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the list of apps.
    pub(in super::super) async fn list_apps(&self) -> Result<Page, Problem> {
        let query = self.query()?;
        let asked = Asked::of(&query);
        let mut page = store::Page::first(PER_PAGE);
        page.after.clone_from(&asked.after);
        let found = self.admin().list(&asked.query(), page).await?;
        let ids: Vec<_> = found.items.iter().map(|app| app.client_id().clone()).collect();
        let usages = match &self.site.log {
            Some(log) => log.usages(&ids).await?,
            None => ids.iter().map(|id| self.server.usage(id)).collect(),
        };
        let now = self.now();
        let rows = found
            .items
            .iter()
            .zip(usages)
            .map(|(app, usage)| self.row(app, usage.last_used.map(|at| When::new(at, now))));
        let list = self.link("/apps");
        let filter = |name, parameter: &str, values: &[(&'static str, &'static str)], own: &str| {
            let link = |(value, name): &(&'static str, &'static str)| Link {
                name,
                url: asked.link(&list, parameter, value),
                is_current: *value == own,
            };
            Filter { name, links: values.iter().map(link).collect() }
        };
        let kept = [("state", asked.state), ("origin", asked.origin), ("flow", asked.flow)];
        self.page(&Apps {
            frame: self.frame(texts::apps::TITLE),
            new: self.may(ConsoleRole::Edit).then(|| self.link("/new-app")),
            search: asked.search,
            kept: kept.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            filters: vec![
                filter(texts::apps::STATE, "state", &STATES, asked.state),
                filter(texts::apps::ORIGIN, "origin", &ORIGINS, asked.origin),
                filter(texts::apps::FLOW, "flow", &FLOWS, asked.flow),
            ],
            is_narrowed: asked.is_narrowed(),
            rows: rows.collect(),
            first: asked.after.is_some().then(|| asked.link(&list, "after", "")),
            next: found.next.map(|next| asked.link(&list, "after", next.as_str())),
            action: list,
        })
    }

    fn row(&self, app: &CustomApp, last_used: Option<When>) -> Row {
        let settings = app.settings();
        let unused = match self.site.log {
            Some(_) => texts::apps::NEVER,
            None => texts::apps::NOT_SINCE_START,
        };
        let first_line = settings.description().lines().next().unwrap_or_default();
        Row {
            name: settings.name().to_owned(),
            description: first_line.to_owned(),
            url: self.link(&format!("/apps/{}", path::segment(app.client_id()))),
            flows: settings.flows().iter().map(|flow| texts::apps::flow(*flow)).collect(),
            origin: texts::apps::mark(app.origin()),
            last_used,
            unused,
            is_enabled: app.is_enabled(),
        }
    }
}
