//! The authorization endpoint over HTTP: request, login, consent, decision, redirect.

use http::header;
use http::{Method, StatusCode};

use super::browser::Browser;
use super::interaction::Interaction;
use super::origin::Sender;
use super::request::{Exchange, InvalidHttpRequest};
use super::response::{Answer, protect_page, see_other};
use super::{HttpEndpoints, MAX_BODY_BYTES};
use crate::audit::Action;
use crate::endpoint::authorization::{
    Approval, AuthorizationError, Decision, Login, LoginNeeded, Moment, NextStep,
};
use crate::error::{EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::observe::Outcome;
use crate::protocol::form::{Form, MAX_PARAMETERS};
use crate::protocol::paths::ServerEndpoint;
use crate::protocol::scope::Scope;
use crate::store::Store;
use crate::users::UserDirectory;

/// A consent page has a field for each scope, beside those of any other form.
pub(super) const MAX_DECISION_FIELDS: usize = MAX_PARAMETERS + Scope::MAX_TOKENS;

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Answers an authorization request, in the URL or in a form (RFC 6749 section 3.1).
    pub(super) async fn authorize(
        &self,
        exchange: &Exchange<'_>,
    ) -> Result<Answer, InvalidHttpRequest> {
        let query = if exchange.parts.method == Method::POST {
            let body = exchange.form_body()?;
            std::str::from_utf8(body).map_err(|_| match body.len() {
                ..=MAX_BODY_BYTES => Rejection::MalformedForm,
                _ => Rejection::FormTooLarge,
            })
        } else {
            Ok(exchange.parts.uri.query().unwrap_or_default())
        };
        Ok(match self.next_step(exchange, query).await {
            Ok(answer) => answer,
            Err(error) => self.authorization_error(exchange, &error).await,
        })
    }

    async fn next_step(
        &self,
        exchange: &Exchange<'_>,
        query: Result<&str, Rejection>,
    ) -> Result<Answer, AuthorizationError> {
        // Before every check, so that a revocation that overlaps one covers a code without prompt.
        let moment = self.server.seen_moment();
        let refuse = |error| self.server.refuse(Action::Authorize, error, exchange.caller());
        let query = query.map_err(|rejection| refuse(rejection.into()))?;
        let mut request = self.server.authorization_request(query, exchange.caller()).await?;
        let client_id = request.app().client_id().clone();
        let mut browser = None;
        if request.may_demand_login() {
            let own = Browser::of(exchange, self.server.issuer(), self.server.random())
                .map_err(|error| refuse(error.into()))?;
            request = request.with_browser(own.value());
            browser = Some(own);
        }
        let login = self.login(exchange, moment).await.map_err(refuse)?;
        let answer = match self.server.authorize(request, login.as_ref()).await? {
            NextStep::Redirect(response) => see_other(response.location()),
            NextStep::AskConsent(prompt) => {
                let action = self.own_path(ServerEndpoint::Decision);
                let page = self.interaction.consent_page(exchange.parts, &prompt, &action);
                protected(page.await)
            }
            NextStep::LogIn(needed) => {
                let mut page = self.ask_to_log_in(exchange, &needed).await;
                if let Some(browser) = browser {
                    browser.remember(&mut page);
                }
                page
            }
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

    /// Answers the form of the consent page.
    pub(super) async fn decide(
        &self,
        exchange: &Exchange<'_>,
    ) -> Result<Answer, InvalidHttpRequest> {
        let body = exchange.form_body()?;
        Ok(match self.store_decision(exchange, body).await {
            Ok(answer) => answer,
            Err(error) => self.authorization_error(exchange, &error).await,
        })
    }

    async fn store_decision(
        &self,
        exchange: &Exchange<'_>,
        body: &[u8],
    ) -> Result<Answer, AuthorizationError> {
        let caller = exchange.caller();
        let read = self.read_form(exchange, body).await;
        // The server was not called yet, so it recorded nothing.
        let (ticket, login, decision) =
            read.map_err(|error| self.server.refuse(Action::IssueCode, error, caller))?;
        let response = self.server.decide(&ticket, &login, decision, caller).await?;
        exchange.observation.end(None, None, &Outcome::Success);
        Ok(see_other(response.location()))
    }

    /// Reads the ticket and the decision, and asks the host for the login.
    async fn read_form(
        &self,
        exchange: &Exchange<'_>,
        body: &[u8],
    ) -> Result<(String, Login, Decision), AuthorizationError> {
        if Sender::of(exchange.parts, self.server.issuer()) == Sender::OtherOrigin {
            // A request that names no sender is still protected by the ticket.
            return Err(Rejection::InvalidTicket.into());
        }
        let form = Form::parse_up_to(MAX_DECISION_FIELDS, body).map_err(Rejection::from)?;
        let ticket = form.one("ticket").map_err(Rejection::from)?;
        let ticket = ticket.ok_or(Rejection::MissingParameter("ticket"))?;
        let decision = read_decision(&form)?;
        let moment = self.server.moment().await;
        let moment = moment.map_err(EndpointError::from)?;
        let login = self.login(exchange, moment).await?.ok_or(Rejection::InvalidTicket)?;
        Ok((ticket.to_owned(), login, decision))
    }

    /// Asks the host for the login. `moment` is from before.
    pub(super) async fn login(
        &self,
        exchange: &Exchange<'_>,
        moment: Moment,
    ) -> Result<Option<Login>, AuthorizationError> {
        let login = self.interaction.login(exchange.parts).await?;
        Ok(login.map(|login| login.begun_at(moment)))
    }

    /// Redirects to the app, or shows the error page.
    pub(super) async fn authorization_error(
        &self,
        exchange: &Exchange<'_>,
        error: &AuthorizationError,
    ) -> Answer {
        observe(exchange, error);
        if let Some(location) = error.location() {
            return see_other(location);
        }
        let mut page = self.interaction.error_page(exchange.parts, error).await;
        *page.status_mut() = shown_status(error);
        if let AuthorizationError::Show { error, .. } = error
            && let Some(seconds) = error.retry_after()
        {
            page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        protected(page)
    }

    pub(super) fn own_path(&self, endpoint: ServerEndpoint) -> String {
        self.paths.full(self.server.issuer(), endpoint).unwrap_or_default()
    }
}

/// Ends the observation of a request that was refused.
pub(super) fn observe(exchange: &Exchange<'_>, error: &AuthorizationError) {
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
}

pub(super) fn protected(mut page: Answer) -> Answer {
    protect_page(&mut page);
    page
}

fn refused(rejection: &Rejection) -> Outcome {
    Outcome::refused(rejection.step(), rejection.reason(), rejection.setting())
}

/// Returns the status of an error page. It is never 401, because a page challenges for no credentials.
pub(super) fn shown_status(error: &AuthorizationError) -> StatusCode {
    let status = match error {
        AuthorizationError::Show { error, .. } => error.status(),
        AuthorizationError::Redirect { .. } => 400,
    };
    match status {
        401 => StatusCode::BAD_REQUEST,
        status => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
    }
}

/// Reads the decision from the fields that [`Interaction::consent_page`] documents.
pub(super) fn read_decision(form: &Form<'_>) -> Result<Decision, Rejection> {
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
