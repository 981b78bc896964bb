//! An authorization server on the loopback interface, for the examples of resource servers. They know its
//! URL and nothing else of it.

use std::error::Error;
use std::sync::Arc;

use grantor::admin::ImportedApp;
use grantor::app::AppDraft;
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, axum_router};
use grantor::ids::{ClientId, Resource};
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::resource_server::ResourceServer;
use grantor::secret::ClientSecret;
use grantor::users::MemoryUsers;
use grantor::{AuthorizationServer, Flow, Issuer, MemoryStore, Scope, ServerSecret, SigningKey};
use tokio::net::TcpListener;

/// The identifier of the API.
pub(crate) const API: &str = "https://api.example.com";

/// A running authorization server, and what its administrator hands out.
pub(crate) struct Started {
    /// Its URL.
    pub(crate) issuer: Issuer,
    /// Its administration, in this process.
    pub(crate) server: Arc<AuthorizationServer<MemoryStore, MemoryUsers, NoHooks>>,
    /// The credentials of the API, which may read the revocation feed.
    pub(crate) api: (ClientId, ClientSecret),
    /// The credentials of an app that may read users.
    pub(crate) app: (ClientId, ClientSecret),
}

/// Starts a server on a free port. It runs until the process ends.
pub(crate) async fn start() -> Result<Started, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let issuer = Issuer::new(format!("http://{}", listener.local_addr()?))?;
    let api = ClientId::new("api")?;
    let server = AuthorizationServer::builder(
        issuer.clone(),
        ServerSecret::generate(&OsRandom::new())?,
        SigningKey::generate(Algorithm::ES256)?,
        MemoryStore::new(),
        MemoryUsers::default(),
    )
    .resource_server(ResourceServer::new(Resource::new(API)?, api.clone()))
    .build();
    let server = Arc::new(server);
    let admin = server.admin("the administrator");
    let draft = AppDraft::confidential("Users API").flow(Flow::ClientCredentials).build()?;
    let imported = admin.import(ImportedApp::new(api, draft)).await?;
    let draft = AppDraft::confidential("Nightly report")
        .flow(Flow::ClientCredentials)
        .scope(Scope::parse("GET/users/*")?)
        .resources([Resource::new(API)?]);
    let registered = admin.register(draft.build()?).await?;
    let secret = "a confidential app has a secret";
    let api = (imported.client_id, imported.client_secret.ok_or(secret)?);
    let app = (registered.client_id, registered.client_secret.ok_or(secret)?);

    let endpoints = HttpEndpoints::without_interaction(Arc::clone(&server));
    let router = axum_router(&Arc::new(endpoints));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Started { issuer, server, api, app })
}

/// Returns the form of a token request.
pub(crate) fn token_form(app: &(ClientId, ClientSecret)) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", app.0.as_str())
        .append_pair("client_secret", app.1.expose_secret())
        .append_pair("resource", API)
        .finish()
}
