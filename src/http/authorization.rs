//! The authorization endpoint over HTTP: request, login, consent, decision, redirect.

use http::header::{self, HeaderName};
use http::uri::Authority;
use http::{Method, StatusCode};

use super::interaction::Interaction;
use super::request::{Exchange, Unread};
use super::response::{Answer, protect_page, see_other};
use super::{HttpEndpoints, MAX_BODY_BYTES};
use crate::audit::Action;
use crate::endpoint::authorization::{
    Approval, AuthorizationError, Decision, Login, LoginNeeded, Prompted,
};
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::ids::Issuer;
use crate::observe::Outcome;
use crate::protocol::form::{Form, MAX_PARAMETERS};
use crate::protocol::paths::{ServerEndpoint, origin};
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::UserDirectory;

/// A page has a field for each scope, beside those of any other form.
const MAX_DECISION_FIELDS: usize = MAX_PARAMETERS + Scope::MAX_TOKENS;
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// A browser with an authorization request, in the URL or (RFC 6749 section 3.1) in a form.
    pub(super) async fn authorization(&self, exchange: &Exchange<'_>) -> Result<Answer, Unread> {
        let query = if exchange.parts.method == Method::POST {
            let body = exchange.form_body()?;
            std::str::from_utf8(body).map_err(|_| match body.len() {
                ..=MAX_BODY_BYTES => Rejection::MalformedForm,
                _ => Rejection::FormTooLarge,
            })
        } else {
            Ok(exchange.parts.uri.query().unwrap_or_default())
        };
        Ok(match self.authorize(exchange, query).await {
            Ok(answer) => answer,
            Err(error) => self.authorization_error(exchange, &error).await,
        })
    }

    async fn authorize(
        &self,
        exchange: &Exchange<'_>,
        query: Result<&str, Rejection>,
    ) -> Result<Answer, AuthorizationError> {
        let asked = self.server.authorization_request(query?, exchange.source()).await?;
        let client_id = asked.app().client_id().clone();
        let login = self.login(exchange).await.inspect_err(|error| {
            self.server.record_refusal(Action::Authorize, error, exchange.source());
        })?;
        let answer = match self.server.prompt(asked, login.as_ref()).await? {
            Prompted::Redirect(response) => see_other(response.location()),
            Prompted::Ask(prompt) => {
                let action = self.own_path(ServerEndpoint::Decision);
                let page = self.interaction.consent_page(exchange.parts, &prompt, &action);
                protected(page.await)
            }
            Prompted::LogIn(needed) => self.ask_to_log_in(exchange, &needed).await,
        };
        exchange.observation.end(Some(&client_id), None, &Outcome::Success);
        Ok(answer)
    }

    async fn ask_to_log_in(&self, exchange: &Exchange<'_>, needed: &LoginNeeded) -> Answer {
        let path = self.own_path(ServerEndpoint::Authorization);
        let return_to = format!("{path}?{}", needed.return_query);
        let page = self.interaction.login_page(exchange.parts, &needed.request, &return_to);
        protected(page.await)
    }

    /// A browser with the user's decision, from the form of the consent page.
    pub(super) async fn decision(&self, exchange: &Exchange<'_>) -> Result<Answer, Unread> {
        let body = exchange.form_body()?;
        Ok(match self.decide(exchange, body).await {
            Ok(answer) => answer,
            Err(error) => self.authorization_error(exchange, &error).await,
        })
    }

    async fn decide(
        &self,
        exchange: &Exchange<'_>,
        body: &[u8],
    ) -> Result<Answer, AuthorizationError> {
        let source = exchange.source();
        let read = self.read_decision(exchange, body).await;
        // The server was not asked, and records nothing by itself.
        let (ticket, login, decision) = read.inspect_err(|error| {
            self.server.record_refusal(Action::IssueCode, error, source);
        })?;
        let response = self.server.decide(&ticket, &login, decision, source).await?;
        exchange.observation.end(None, None, &Outcome::Success);
        Ok(see_other(response.location()))
    }

    /// The ticket, who sent it, and what was decided.
    async fn read_decision(
        &self,
        exchange: &Exchange<'_>,
        body: &[u8],
    ) -> Result<(String, Login, Decision), AuthorizationError> {
        if !comes_from_here(exchange, self.server.issuer()) {
            return Err(Rejection::InvalidTicket.into());
        }
        let form = Form::parse_up_to(MAX_DECISION_FIELDS, body).map_err(Rejection::from)?;
        let ticket = form.one("ticket").map_err(Rejection::from)?;
        let ticket = ticket.ok_or(Rejection::MissingParameter("ticket"))?;
        let decision = read_decision(&form)?;
        let login = self.login(exchange).await?.ok_or(Rejection::InvalidTicket)?;
        Ok((ticket.to_owned(), login, decision))
    }

    async fn login(&self, exchange: &Exchange<'_>) -> Result<Option<Login>, AuthorizationError> {
        self.interaction.login(exchange.parts).await.map_err(AuthorizationError::from)
    }

    /// The app learns it by a redirect, or the user is shown it.
    async fn authorization_error(
        &self,
        exchange: &Exchange<'_>,
        error: &AuthorizationError,
    ) -> Answer {
        let (client_id, outcome) = match error {
            AuthorizationError::Redirect { rejection, client_id, .. } => {
                (client_id, refused(rejection))
            }
            AuthorizationError::Show { error, client_id } => match error {
                EndpointError::Rejected { rejection, .. } => (client_id, refused(rejection)),
                EndpointError::Failed(fault) | EndpointError::Unavailable(fault) => {
                    (client_id, Outcome::failed(crate::observe::Step::Claim, fault))
                }
            },
        };
        exchange.observation.end(client_id.as_ref(), None, &outcome);
        if let Some(location) = error.location() {
            return see_other(location);
        }
        let mut page = self.interaction.error_page(exchange.parts, error).await;
        *page.status_mut() = shown_status(error);
        protected(page)
    }

    fn own_path(&self, endpoint: ServerEndpoint) -> String {
        self.paths.full(self.server.issuer(), endpoint).unwrap_or_default()
    }
}

fn protected(mut page: Answer) -> Answer {
    protect_page(&mut page);
    page
}

fn refused(rejection: &Rejection) -> Outcome {
    Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
}

/// A page asks for no credentials, so that 401 is not for it.
fn shown_status(error: &AuthorizationError) -> StatusCode {
    let status = match error {
        AuthorizationError::Show { error, .. } => error.status(),
        AuthorizationError::Redirect { .. } => 400,
    };
    match status {
        401 => StatusCode::BAD_REQUEST,
        status => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
    }
}

/// What the user decided, as [`Interaction::consent_page`] has the form say it.
fn read_decision(form: &Form<'_>) -> Result<Decision, Rejection> {
    match form.one("decision")? {
        Some("deny") => Ok(Decision::Deny),
        Some("approve") => {
            let ticked = form.pairs().filter(|(name, _)| *name == "scope");
            let scopes: Vec<&str> = ticked.map(|(_, value)| value).collect();
            let scope = Scope::parse(&scopes.join(" ")).map_err(|_| Rejection::MalformedScope)?;
            let remember = form.one("remember")?.is_some();
            let approval = Approval::default().with_scope(scope).with_remember(remember);
            Ok(Decision::Approve(approval))
        }
        Some(_) => Err(Rejection::UnsupportedParameter("decision")),
        None => Err(Rejection::MissingParameter("decision")),
    }
}

/// Whether the browser sent a page of this origin, as it says itself. What sends neither header is
/// held to the ticket, which nobody else has.
fn comes_from_here(exchange: &Exchange<'_>, issuer: &Issuer) -> bool {
    if let Some(site) = exchange.parts.headers.get(FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(sent) = exchange.parts.headers.get(header::ORIGIN) else { return true };
    // A proxy may have rewritten the one, a person have typed another name than the other.
    if sent == origin(issuer.as_str()) {
        return true;
    }
    let host =
        exchange.header(&header::HOST).or(exchange.parts.uri.authority().map(Authority::as_str));
    let authority = sent.to_str().ok().and_then(|sent| sent.split_once("://"));
    authority.is_some_and(|(_, authority)| host == Some(authority))
}
