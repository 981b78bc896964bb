//! The playground: the code flow and calls of the API, run by the browser.

use std::sync::Arc;

use askama::Template;
use http::StatusCode;
use http::header::{self, HeaderValue};
use url::form_urlencoded::Serializer;

use super::super::access::ConsoleRole;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame};
use super::super::playground::Playground;
use super::super::problem::Problem;
use super::super::snippets::{self, FlowSnippets};
use super::super::texts::{self, playground as text};
use super::super::visit::{POLICY, Visit};
use crate::admin::{AdminError, ImportedApp};
use crate::app::CustomApp;
use crate::catalog::{ApiCatalog, Endpoint};
use crate::endpoint::introspection::Introspection;
use crate::hooks::Hooks;
use crate::http::Page;
use crate::http::response::private_json;
use crate::ids::ClientId;
use crate::protocol::paths::ServerEndpoint;
use crate::store::{self, AppQuery, Store};
use crate::users::UserDirectory;

/// The number of apps to pick from, without a search.
const PER_PICKER: usize = 10;

#[derive(Template)]
#[template(path = "console/playground.html")]
struct PlaygroundPage<'a> {
    frame: Frame<'a>,
    script: String,
    picker: Picker,
    shown: Shown<'a>,
}

/// The part of the page for the app that is picked.
enum Shown<'a> {
    /// The app of the playground, whose flow runs here.
    Live(Box<Live<'a>>),
    Missing(Missing),
    /// Another app, with programs to copy.
    Other(Other),
}

/// The apps to pick from.
struct Picker {
    action: String,
    search: String,
    live: String,
    is_live: bool,
    /// Name, client id, link.
    apps: Vec<(String, String, String)>,
    has_more: bool,
}

/// An app that has its programs on the page.
struct Other {
    name: String,
    link: String,
    is_enabled: bool,
    flows: Vec<FlowSnippets>,
}

/// The reason that the flow cannot be run yet.
struct Missing {
    sentence: &'static str,
    redirect_uri: Option<String>,
    app: Option<String>,
    /// The link that registers the app, for an administrator who may.
    register: Option<String>,
}

impl Missing {
    const fn because(sentence: &'static str) -> Self {
        Self { sentence, redirect_uri: None, app: None, register: None }
    }
}

/// Everything that the script needs.
struct Live<'a> {
    authorize: String,
    token: String,
    revoke: Option<String>,
    issuer: &'a str,
    client_id: &'static str,
    redirect_uri: String,
    name: String,
    app: String,
    /// Id of the element, token, titles of the operations.
    scopes: Vec<(String, String, Vec<String>)>,
    resources: Vec<String>,
    origins: Vec<String>,
    groups: Vec<(String, Vec<Call<'a>>)>,
    /// The path below the console that tells what the server knows of a token.
    introspect: String,
    /// The command with which an API introspects a token.
    introspection: Option<String>,
}

/// An endpoint of the catalog.
struct Call<'a> {
    number: usize,
    method: &'a str,
    path: String,
    scope: &'a str,
    title: &'a str,
    /// The names of the parameters, as written between braces.
    parameters: Vec<String>,
    has_body: bool,
}

impl<'a> Call<'a> {
    fn new(number: usize, base: &str, endpoint: &'a Endpoint) -> Self {
        let path = format!("{base}{}", endpoint.path());
        let parameters = path.split('{').skip(1).filter_map(|it| it.split_once('}'));
        Self {
            number,
            method: endpoint.method(),
            scope: endpoint.scope().as_str(),
            title: endpoint.title(),
            parameters: parameters.map(|(name, _)| name.to_owned()).collect(),
            has_body: matches!(endpoint.method(), "POST" | "PUT" | "PATCH"),
            path,
        }
    }
}

#[derive(Template)]
#[template(path = "console/playground_callback.html")]
struct Callback<'a> {
    frame: Frame<'a>,
    script: String,
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the playground: its flow, or the programs of another app.
    pub(in super::super) async fn playground(&self) -> Result<Page, Problem> {
        let (playground, script) = self.own_playground()?;
        let query = self.query()?;
        let shown = match query.one("app") {
            "" => match self.live(playground).await? {
                Ok(live) => Shown::Live(Box::new(live)),
                Err(missing) => Shown::Missing(missing),
            },
            client_id => Shown::Other(self.other(client_id).await?),
        };
        let is_live = matches!(shown, Shown::Live(_));
        let mut page = self.page(&PlaygroundPage {
            frame: self.frame(text::TITLE),
            script,
            picker: self.picker(&query).await?,
            shown,
        })?;
        let policy = playground.policy(self.server.issuer(), POLICY).filter(|_| is_live);
        if let Some(policy) = policy {
            page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        Ok(page)
    }

    async fn picker(&self, query: &Fields) -> Result<Picker, Problem> {
        let search = query.one("search").trim();
        let mut wanted = AppQuery::all();
        if !search.is_empty() {
            wanted = wanted.containing(search);
        }
        let found = self.admin().list(&wanted, store::Page::first(PER_PICKER)).await?;
        let is_other = |app: &&Arc<CustomApp>| app.client_id().as_str() != Playground::CLIENT_ID;
        let link = self.link("/playground");
        let apps = found.items.iter().filter(is_other).map(|app| {
            let id = app.client_id().as_str();
            let query = Serializer::new(String::new()).append_pair("app", id).finish();
            (app.settings().name().to_owned(), id.to_owned(), format!("{link}?{query}"))
        });
        Ok(Picker {
            apps: apps.collect(),
            has_more: found.next.is_some(),
            search: search.to_owned(),
            is_live: query.one("app").is_empty(),
            action: link.clone(),
            live: link,
        })
    }

    async fn other(&self, client_id: &str) -> Result<Other, Problem> {
        let client_id = ClientId::new(client_id).map_err(|_| Problem::AppGone)?;
        let app = self.admin().find(&client_id).await?.ok_or(Problem::AppGone)?;
        let server = snippets::Server {
            issuer: self.server.issuer().as_str(),
            authorize: self.endpoint(ServerEndpoint::Authorization),
            token: self.endpoint(ServerEndpoint::Token),
            hosts: self.server.hosts(),
        };
        Ok(Other {
            name: app.settings().name().to_owned(),
            link: self.app_link(&client_id, ""),
            is_enabled: app.is_enabled(),
            flows: snippets::of_app(&app, &server),
        })
    }

    /// Shows the page that the browser comes back to. Its script gives the answer to the page of the playground.
    pub(in super::super) fn playground_callback(&self) -> Result<Page, Problem> {
        let (_, script) = self.own_playground()?;
        let mut page = self.page(&Callback { frame: self.frame(text::CALLBACK_TITLE), script })?;
        // The address has the code until the script removes it, and the files of this page need not know it.
        let none = HeaderValue::from_static("no-referrer");
        page.headers_mut().insert(header::REFERRER_POLICY, none);
        Ok(page)
    }

    /// Registers the playground's app.
    pub(in super::super) async fn register_playground(&self) -> Result<Page, Problem> {
        let (playground, _) = self.own_playground()?;
        self.require(ConsoleRole::Edit)?;
        let server = self.server;
        let uri = playground.redirect_uri(server.issuer(), &self.site.mount);
        let uri = uri.ok_or(Problem::BadForm)?;
        let settings = Playground::settings(uri, server.catalog(), server.resource_servers());
        let settings = settings.map_err(AdminError::from)?;
        let client_id = Playground::client_id().map_err(|_| Problem::NotFound)?;
        match self.admin().import(ImportedApp::new(client_id, settings)).await {
            Ok(_) => Ok(self.see(&self.link("/playground"), Done::PlaygroundReady)),
            // Another administrator was first. The page says whether the app fits.
            Err(AdminError::AlreadyExists) => Ok(self.to(&self.link("/playground"))),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells what the server knows of a token that the page has got for the playground's app.
    pub(in super::super) async fn introspect(&self, form: &Fields) -> Result<Page, Problem> {
        self.own_playground()?;
        let found = self.admin().introspect(form.one("presented")).await;
        let found = found.map_err(|_| Problem::Unavailable)?;
        let is_own = match &found {
            Introspection::Active(token) => token.client_id.as_str() == Playground::CLIENT_ID,
            Introspection::Inactive => true,
        };
        let answer = if is_own { found } else { Introspection::Inactive };
        Ok(private_json(StatusCode::OK, answer.to_json()))
    }

    /// Returns the playground and the link to its script, if it is on.
    fn own_playground(&self) -> Result<(&Playground, String), Problem> {
        match (&self.site.playground, self.site.assets.playground()) {
            (Some(playground), Some(script)) => {
                Ok((playground, self.link(&format!("/assets/{script}"))))
            }
            _ => Err(Problem::NotFound),
        }
    }

    fn endpoint(&self, endpoint: ServerEndpoint) -> Option<String> {
        self.server.paths().url(self.server.issuer(), endpoint)
    }

    /// Returns what the script needs, or why the flow cannot run.
    async fn live(&self, playground: &Playground) -> Result<Result<Live<'_>, Missing>, Problem> {
        let issuer = self.server.issuer();
        let Some(redirect_uri) = playground.redirect_uri(issuer, &self.site.mount) else {
            return Ok(Err(Missing::because(text::NO_ORIGIN)));
        };
        let (Some(authorize), Some(token)) =
            (self.endpoint(ServerEndpoint::Authorization), self.endpoint(ServerEndpoint::Token))
        else {
            return Ok(Err(Missing::because(text::NO_ENDPOINTS)));
        };
        let client_id = Playground::client_id().map_err(|_| Problem::NotFound)?;
        let link = self.app_link(&client_id, "");
        let Some(app) = self.admin().find(&client_id).await? else {
            let may = self.may(ConsoleRole::Edit);
            let register = may.then(|| self.link("/playground/app"));
            return Ok(Err(Missing { register, ..Missing::because(text::NO_APP) }));
        };
        if let Some(sentence) = Playground::problem(&app, &redirect_uri, self.server.hosts()) {
            let uri = (sentence == text::APP_REDIRECT).then(|| redirect_uri.as_str().to_owned());
            let missing = Missing::because(sentence);
            return Ok(Err(Missing { redirect_uri: uri, app: Some(link), ..missing }));
        }
        Ok(Ok(Live {
            authorize,
            token,
            revoke: self.endpoint(ServerEndpoint::Revocation),
            issuer: issuer.as_str(),
            client_id: Playground::CLIENT_ID,
            redirect_uri: redirect_uri.as_str().to_owned(),
            name: app.settings().name().to_owned(),
            app: link,
            scopes: self.scopes_to_ask(&app),
            resources: app.settings().resources().iter().map(|it| it.as_str().to_owned()).collect(),
            origins: playground.api_origins(issuer),
            groups: self.server.catalog().map(groups).unwrap_or_default(),
            introspect: self.link("/playground/introspect"),
            introspection: self
                .endpoint(ServerEndpoint::Introspection)
                .map(|url| snippets::introspection(&url)),
        }))
    }

    fn scopes_to_ask(&self, app: &CustomApp) -> Vec<(String, String, Vec<String>)> {
        let scope = app.settings().scope();
        let texts = self.server.catalog().map(|it| it.texts(scope)).unwrap_or_default();
        let titles = |token: &str| {
            let known = texts.iter().find(|text| text.token == token);
            let titles = known.into_iter().flat_map(|text| &text.endpoints).map(|it| it.title());
            titles.filter(|title| !title.is_empty()).map(str::to_owned).collect()
        };
        let tokens = scope.tokens().enumerate();
        tokens.map(|(at, token)| (format!("scope-{at}"), token.to_owned(), titles(token))).collect()
    }
}

/// Returns the endpoints of a catalog by group.
fn groups(catalog: &ApiCatalog) -> Vec<(String, Vec<Call<'_>>)> {
    let mut number = 0;
    let mut call = |endpoint| {
        number += 1;
        Call::new(number, catalog.base_path(), endpoint)
    };
    let groups = catalog.by_group().into_iter();
    groups
        .map(|(name, endpoints)| {
            let name = if name.is_empty() { text::REST } else { name };
            (name.to_owned(), endpoints.into_iter().map(&mut call).collect())
        })
        .collect()
}
