//! The device grant over HTTP: the page at which a user enters a code, is asked for consent, and decides
//! (RFC 8628 section 3.3).

use std::pin::Pin;

use http::request::Parts;
use http::{Method, header};

use super::HttpEndpoints;
use super::authorization::{MAX_DECISION_FIELDS, observe, protected, read_decision, shown_status};
use super::interaction::{DevicePages, DeviceStep, Interaction, Page, not_found};
use super::origin::Sender;
use super::request::{Exchange, InvalidHttpRequest};
use super::response::Answer;
use crate::audit::Action;
use crate::endpoint::authorization::{AuthorizationError, Login};
use crate::endpoint::device_authorization::UserCode;
use crate::error::{DeviceGrantRefusal, EndpointError, Rejection};
use crate::hooks::Hooks;
use crate::observe::Outcome;
use crate::protocol::form::Form;
use crate::protocol::paths::{Paths, ServerEndpoint};
use crate::store::Store;
use crate::users::UserDirectory;

/// The parameter with the code, in the link that a device shows and in the form.
const USER_CODE: &str = "user_code";

/// The [`device_page`](DevicePages::device_page) of an interaction.
pub(super) type Shows<I> = for<'a> fn(
    &'a I,
    &'a Parts,
    &'a DeviceStep<'a>,
) -> Pin<Box<dyn Future<Output = Page> + Send + 'a>>;

/// Returns the paths of endpoints without the page of the device grant.
pub(super) fn without(paths: Paths) -> Paths {
    ServerEndpoint::OF_DEVICE_GRANT.into_iter().fold(paths, Paths::without)
}

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Mounts the endpoints of the [device grant](crate::guide::device_grant) and names them in the metadata, with the
    /// page of the host's [`Interaction`]. Default: neither, so that no device sends its user to a page that is not
    /// there. Without [`device_grant`](crate::ServerBuilder::device_grant) at the server, this changes nothing.
    #[must_use]
    pub fn with_device_pages(mut self) -> Self
    where
        I: DevicePages,
    {
        self.device_pages = Some(|pages, request, step| Box::pin(pages.device_page(request, step)));
        self.metadata = self.server.metadata_at(&self.paths, false);
        if let Some(with) = &mut self.metadata_with_id_jag {
            *with = self.server.metadata_at(&self.paths, true);
        }
        self
    }

    /// Returns the host's page at `step`.
    async fn shown(&self, exchange: &Exchange<'_>, step: &DeviceStep<'_>) -> Page {
        match self.device_pages {
            Some(shows) => shows(&self.interaction, exchange.parts, step).await,
            None => not_found(),
        }
    }

    /// Answers a browser at the page of the device grant. A link fills the code in, and neither searches for it nor
    /// decides.
    pub(super) async fn device_page(
        &self,
        exchange: &Exchange<'_>,
    ) -> Result<Answer, InvalidHttpRequest> {
        let answer = if exchange.parts.method == Method::POST {
            let body = exchange.form_body()?;
            self.device_form(exchange, body).await
        } else {
            self.enter_code(exchange, linked_code(exchange)).await
        };
        Ok(match answer {
            Ok(answer) => answer,
            Err(error) => self.authorization_error(exchange, &error).await,
        })
    }

    /// Shows the form for a code, or asks the user to log in first.
    async fn enter_code(
        &self,
        exchange: &Exchange<'_>,
        code: Option<UserCode>,
    ) -> Result<Answer, AuthorizationError> {
        let login = self
            .login(exchange, self.server.seen_moment())
            .await
            .map_err(|error| self.server.refuse(Action::EnterUserCode, error, exchange.caller()))?;
        exchange.observation.end(None, None, &Outcome::Success);
        let action = self.own_path(ServerEndpoint::DeviceVerification);
        let user_code = code.map(UserCode::to_text);
        Ok(if login.is_some() {
            let user_code = user_code.as_deref();
            let step = DeviceStep::EnterCode { action: &action, user_code, error: None };
            protected(self.shown(exchange, &step).await)
        } else {
            let return_to = match user_code {
                Some(code) => format!("{action}?{USER_CODE}={code}"),
                None => action,
            };
            let step = DeviceStep::LogIn { return_to: &return_to };
            protected(self.shown(exchange, &step).await)
        })
    }

    /// Answers one of the two forms: of the code, and of the decision.
    async fn device_form(
        &self,
        exchange: &Exchange<'_>,
        body: &[u8],
    ) -> Result<Answer, AuthorizationError> {
        // The server was not called yet, so it has recorded nothing.
        let refuse = |error| self.server.refuse(Action::EnterUserCode, error, exchange.caller());
        let form = self.read_device_form(exchange, body).map_err(|it| refuse(it.into()))?;
        let moment = self.server.moment().await;
        let moment = moment.map_err(|error| refuse(EndpointError::from(error).into()))?;
        let login = self.login(exchange, moment).await.map_err(refuse)?;
        let one = |name| form.one(name).map_err(|error| refuse(Rejection::from(error).into()));
        if let Some(ticket) = one("ticket")? {
            let login = login.ok_or_else(|| refuse(Rejection::InvalidTicket.into()))?;
            let decision = read_decision(&form).map_err(|it| refuse(it.into()))?;
            let decided =
                self.server.decide_device(ticket, &login, decision, exchange.caller()).await?;
            exchange.observation.end(None, None, &Outcome::Success);
            let step = DeviceStep::Decided(&decided);
            return Ok(protected(self.shown(exchange, &step).await));
        }
        let typed = one(USER_CODE)?.unwrap_or_default();
        let Some(login) = login else {
            return self.enter_code(exchange, UserCode::parse(typed)).await;
        };
        self.ask_for_consent(exchange, typed, &login).await
    }

    async fn ask_for_consent(
        &self,
        exchange: &Exchange<'_>,
        typed: &str,
        login: &Login,
    ) -> Result<Answer, AuthorizationError> {
        let action = self.own_path(ServerEndpoint::DeviceVerification);
        let error = match self.server.enter_user_code(typed, login, exchange.caller()).await {
            Ok(prompt) => {
                exchange.observation.end(None, None, &Outcome::Success);
                let step = DeviceStep::AskConsent { action: &action, prompt: &prompt };
                return Ok(protected(self.shown(exchange, &step).await));
            }
            Err(error) => error,
        };
        // The user may have mistyped, and sees the form again.
        let may_try_again = matches!(
            error.rejection(),
            Some(
                Rejection::DeviceGrant(
                    DeviceGrantRefusal::UnknownUserCode | DeviceGrantRefusal::TooManyUserCodes,
                ) | Rejection::TooManyFailures
                    | Rejection::AlreadyDecided
            )
        );
        if !may_try_again {
            return Err(error);
        }
        observe(exchange, &error);
        let step = DeviceStep::EnterCode { action: &action, user_code: None, error: Some(&error) };
        let mut page = self.shown(exchange, &step).await;
        *page.status_mut() = shown_status(&error);
        if let AuthorizationError::Show { error, .. } = &error
            && let Some(seconds) = error.retry_after()
        {
            page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        Ok(protected(page))
    }

    fn read_device_form<'f>(
        &self,
        exchange: &Exchange<'_>,
        body: &'f [u8],
    ) -> Result<Form<'f>, Rejection> {
        if Sender::of(exchange.parts, self.server.issuer()) == Sender::OtherOrigin {
            // A request that names no sender is still protected: a code alone decides nothing, and a ticket
            // belongs to a session.
            return Err(Rejection::InvalidTicket);
        }
        Form::parse_up_to(MAX_DECISION_FIELDS, body).map_err(Rejection::from)
    }
}

/// Returns the code of the link that the browser followed, if there is one.
fn linked_code(exchange: &Exchange<'_>) -> Option<UserCode> {
    let form = Form::parse(exchange.parts.uri.query()?.as_bytes()).ok()?;
    UserCode::parse(form.one(USER_CODE).ok()??)
}
