//! The registration of apps by themselves over HTTP (RFC 7591, RFC 7592).

use http::{Method, StatusCode, header};

use super::devices::bearer_challenge;
use super::request::{Exchange, InvalidHttpRequest};
use super::response::{Answer, empty, private_json};
use super::{HttpEndpoints, Interaction};
use crate::endpoint::RegistrationResponse;
use crate::endpoint::audit_trail::Answered;
use crate::error::{
    EndpointError, ErrorCode, GlobalRevocationRefusal, RegistrationRefusal, Rejection,
};
use crate::hooks::Hooks;
use crate::ids::ClientId;
use crate::store::Store;
use crate::users::UserDirectory;

impl<S: Store, U: UserDirectory, H: Hooks, I: Interaction> HttpEndpoints<S, U, H, I> {
    /// Answers with a registration.
    pub(super) fn registered(
        &self,
        answered: Answered<RegistrationResponse>,
        status: StatusCode,
    ) -> (Answer, Option<ClientId>) {
        self.challenged(answered, |response| private_json(status, response.to_json()))
    }

    /// Answers an app that reads, changes or deletes its registration.
    pub(super) async fn client_configuration(
        &self,
        exchange: &Exchange<'_>,
    ) -> Result<(Answer, Option<ClientId>), InvalidHttpRequest> {
        let context = self.server.context();
        let client_id = exchange.client_id()?;
        Ok(match exchange.parts.method {
            Method::PUT => {
                let request = exchange.json_request()?;
                let answered = context.update_registration(&client_id, &request).await;
                self.registered(answered, StatusCode::OK)
            }
            Method::DELETE => {
                let request = exchange.bodiless_request()?;
                let answered = context.delete_registration(&client_id, &request).await;
                self.challenged(answered, |()| empty(StatusCode::NO_CONTENT))
            }
            _ => {
                let request = exchange.bodiless_request()?;
                let answered = context.read_registration(&client_id, &request).await;
                self.registered(answered, StatusCode::OK)
            }
        })
    }

    /// Answers as the other endpoints do, but with the challenge of RFC 6750 section 3 for an absent or wrong token. A
    /// request without a token gets no error code (section 3.1).
    pub(super) fn challenged<T>(
        &self,
        answered: Answered<T>,
        respond: impl FnOnce(T) -> Answer,
    ) -> (Answer, Option<ClientId>) {
        let refusal = answered.result.as_ref().err().and_then(EndpointError::rejection);
        let has_none = matches!(
            refusal,
            Some(
                Rejection::Registration(RegistrationRefusal::NoToken)
                    | Rejection::GlobalRevocation(GlobalRevocationRefusal::NoToken)
            )
        );
        if has_none {
            return (bearer_challenge(self.server.issuer(), false), answered.client_id);
        }
        let is_token = |error: &EndpointError| error.error_code() == ErrorCode::InvalidToken;
        let wrong_token = answered.result.as_ref().err().is_some_and(is_token);
        let (mut answer, client_id) = self.answered(answered, respond);
        if wrong_token {
            let challenge = bearer_challenge(self.server.issuer(), true);
            if let Some(challenge) = challenge.headers().get(header::WWW_AUTHENTICATE) {
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.clone());
            }
        }
        (answer, client_id)
    }
}
