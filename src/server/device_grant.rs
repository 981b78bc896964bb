//! The methods of the device grant: the request of a device, and the steps of its user.

use super::AuthorizationServer;
use crate::endpoint::authorization::{AuthorizationError, Decision, Login};
use crate::endpoint::caller::Caller;
use crate::endpoint::device_authorization::{DeviceAuthorization, DeviceDecision, DevicePrompt};
use crate::endpoint::form_request::FormRequest;
use crate::error::EndpointError;
use crate::hooks::Hooks;
use crate::store::Store;
use crate::users::UserDirectory;

impl<S: Store, U: UserDirectory, H: Hooks> AuthorizationServer<S, U, H> {
    /// Answers a device that asks for a device code and a user code (RFC 8628 section 3.1). The app authenticates
    /// as at the token endpoint; a public app names itself.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: rejected, also if the server has no [device grant](crate::ServerBuilder::device_grant) or
    /// the app may not use it, or failed, with a cause for the operator.
    pub async fn device_authorization(
        &self,
        request: &FormRequest<'_>,
    ) -> Result<DeviceAuthorization, EndpointError> {
        self.context.device_authorization(request).await.result
    }

    /// Finds the request of a device by the code that a user typed, in any case, with any spaces and punctuation.
    /// The user is logged in, because wrong codes are counted for the user, too.
    ///
    /// # Errors
    ///
    /// [`AuthorizationError::Show`]. The code is unknown or was decided on before, the app has changed, or too many
    /// wrong codes came from this user, from the source of `caller`, or from all. A right code is never used up.
    pub async fn enter_user_code(
        &self,
        user_code: &str,
        login: &Login,
        caller: Caller<'_>,
    ) -> Result<DevicePrompt, AuthorizationError> {
        self.context.enter_user_code(user_code, login, caller).await
    }

    /// Stores the decision of the user on the prompt with `ticket`. The first decision wins. The same user may
    /// repeat it, such as by sending the form twice.
    ///
    /// # Errors
    ///
    /// [`AuthorizationError::Show`] if the ticket is of another user or session, has expired, or was decided
    /// before, by another user or differently.
    pub async fn decide_device(
        &self,
        ticket: &str,
        login: &Login,
        decision: Decision,
        caller: Caller<'_>,
    ) -> Result<DeviceDecision, AuthorizationError> {
        self.context.decide_device(ticket, login, decision, caller).await
    }
}
