//! The client of `rmcp`, with its own authorization: discovery from the challenge, a code with PKCE, a tool, a
//! refresh, and a step-up to the tool that needs more scope.

use reqwest::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::ServiceError;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::WWWAuthenticateParams;
use rmcp::transport::auth::{AuthClient, AuthorizationCallback, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use url::Url;

use crate::browser::Browser;
use crate::site::BoxError;

const REDIRECT: &str = "http://127.0.0.1:49213/callback";
const NOTE: &str = "written by rmcp";

/// The way in which the authorization server knows the client.
pub(crate) enum Identity {
    /// It is registered with this id.
    Registered(String),
    /// Its id is the URL of its metadata document.
    Document(String),
    /// It registers itself (RFC 7591).
    Register,
}

impl Identity {
    /// Reads `registered=ID`, `document=URL` or `register`.
    pub(crate) fn read(text: &str) -> Result<Self, BoxError> {
        match text.split_once('=') {
            Some(("registered", id)) => Ok(Self::Registered(id.to_owned())),
            Some(("document", url)) => Ok(Self::Document(url.to_owned())),
            None if text == "register" => Ok(Self::Register),
            _ => Err(format!("{text} is no identity").into()),
        }
    }

    fn of(&self, request: AuthorizationRequest) -> AuthorizationRequest {
        match self {
            Self::Registered(id) => request.with_preregistered_client(id),
            Self::Document(url) => request.with_client_metadata_url(url),
            Self::Register => request.with_client_name("Notes by rmcp"),
        }
    }
}

/// Logs in at the MCP server `mcp` and calls its tools.
pub(crate) async fn run(
    mcp: &str,
    identity: &Identity,
    user: (&str, &str),
) -> Result<(), BoxError> {
    let mut browser = Browser::new()?;
    let mut state = OAuthState::new(mcp, None).await?;
    let request = AuthorizationRequest::new(REDIRECT)
        .with_challenge(challenge(mcp).await?)
        .with_initial_scope_selection();
    state.start_authorization(identity.of(request)).await?;
    let url = state.get_authorization_url().await?;
    let asked = Url::parse(&url)?;
    let asked =
        |name: &str| asked.query_pairs().find(|(it, _)| it == name).map(|it| it.1.into_owned());
    expect(
        "the challenge names the scope to begin with",
        asked("scope").as_deref() == Some("notes.read"),
    )?;
    expect("the resource is the MCP server", asked("resource").as_deref() == Some(mcp))?;
    let callback = browser.allow(&url, user, REDIRECT).await?;
    state.handle_callback_url(&callback).await?;
    expect("the client redeems the code", true)?;

    let manager = state.into_authorization_manager().ok_or("not authorized")?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let client = AuthClient::new(http, manager);
    let config = StreamableHttpClientTransportConfig::with_uri(mcp.to_owned());
    let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
    let session = ().serve(transport).await?;
    let tools = session.list_all_tools().await?;
    expect("the client lists the tools", tools.len() == 2)?;
    let listed = session.call_tool(CallToolRequestParams::new("list_notes")).await?;
    expect("a tool answers", text(&listed).contains("buy <milk>"))?;

    let add = || {
        let arguments =
            serde_json::json!({ "text": NOTE }).as_object().cloned().unwrap_or_default();
        session.call_tool(CallToolRequestParams::new("add_note").with_arguments(arguments))
    };
    let refused = add().await.err().ok_or("a tool was called without its scope")?;
    let needed = needed_scope(&refused, mcp)?;
    expect("the challenge names every scope of the tool", needed == "notes.read notes.write")?;
    let url = client.auth_manager.lock().await.request_scope_upgrade(&needed).await?;
    let callback = browser.allow(&url, user, REDIRECT).await?;
    let callback = AuthorizationCallback::from_redirect_url(&callback)?;
    let manager = client.auth_manager.lock().await;
    let (code, state, issuer) = (&callback.code, &callback.csrf_token, callback.issuer.as_deref());
    expect("the redirect names the issuer", issuer.is_some())?;
    manager.exchange_code_for_token_with_issuer(code, state, issuer).await?;
    drop(manager);
    expect("one step-up is enough for the tool", text(&add().await?) == "added")?;

    client.auth_manager.lock().await.refresh_token().await?;
    let listed = session.call_tool(CallToolRequestParams::new("list_notes")).await?;
    expect("a refreshed token is accepted", text(&listed).contains(NOTE))?;
    session.cancel().await?;
    println!("all checks passed");
    Ok(())
}

/// Returns the challenge of a request without a token.
async fn challenge(mcp: &str) -> Result<String, BoxError> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(mcp).header(CONTENT_TYPE, "application/json").body("{}");
    let answer = request.send().await?;
    let challenge = answer.headers().get(WWW_AUTHENTICATE).ok_or("no challenge")?;
    Ok(challenge.to_str()?.to_owned())
}

/// Returns the scope that a refused call needs.
fn needed_scope(refused: &ServiceError, mcp: &str) -> Result<String, BoxError> {
    let challenge = refused.auth_challenge().ok_or(format!("no challenge: {refused}"))?;
    let challenge = WWWAuthenticateParams::parse(challenge, &Url::parse(mcp)?);
    Ok(challenge
        .scope
        .filter(|_| challenge.error.as_deref() == Some("insufficient_scope"))
        .unwrap_or_default())
}

fn text(result: &CallToolResult) -> &str {
    result.content.first().and_then(|it| it.as_text()).map_or("", |it| &it.text)
}

/// Prints a step, and fails if it does not hold.
pub(crate) fn expect(step: &str, holds: bool) -> Result<(), BoxError> {
    println!("{}{step}", if holds { "ok    " } else { "FAILED " });
    if holds { Ok(()) } else { Err(format!("failed: {step}").into()) }
}
