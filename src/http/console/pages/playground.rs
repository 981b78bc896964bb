//! The playground: the code flow and calls of the API, run by the browser.

use askama::Template;
use http::header::{self, HeaderValue};

use super::super::access::ConsoleRole;
use super::super::frame::{Done, Frame};
use super::super::playground::Playground;
use super::super::problem::Problem;
use super::super::texts::{self, playground as text};
use super::super::visit::{POLICY, Visit};
use crate::admin::{AdminError, ImportedApp};
use crate::app::CustomApp;
use crate::catalog::{ApiCatalog, Endpoint};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::protocol::paths::ServerEndpoint;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/playground.html")]
struct PlaygroundPage<'a> {
    frame: Frame<'a>,
    script: String,
    live: Result<Live<'a>, Missing>,
    introspect: Option<String>,
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
    /// Shows the playground.
    pub(in super::super) async fn playground(&self) -> Result<Page, Problem> {
        let (playground, script) = self.own_playground()?;
        let live = self.live(playground).await?;
        let introspect = live.is_ok().then(|| self.endpoint(ServerEndpoint::Introspection));
        let mut page = self.page(&PlaygroundPage {
            frame: self.frame(text::TITLE),
            script,
            live,
            introspect: introspect.flatten().map(|url| introspection(&url)),
        })?;
        if let Some(policy) = playground.policy(self.server.issuer(), POLICY) {
            page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        Ok(page)
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

/// Returns the command with which an API introspects a token.
fn introspection(url: &str) -> String {
    let url = url.replace('\'', "%27");
    format!(
        "curl -u \"$OAUTH_CLIENT_ID:$OAUTH_CLIENT_SECRET\" --data-urlencode \"token=$TOKEN\" '{url}'"
    )
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
