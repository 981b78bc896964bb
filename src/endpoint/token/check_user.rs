//! The decision about one user: the JWT bearer grant without an assertion, for administrators.

use std::sync::Arc;

use super::grant::{check_subject, jwt_bearer};
use crate::app::policy::{Evidence, PolicyRule, decide};
use crate::app::{CustomApp, ImpersonationRule, JwtSettings};
use crate::clock::UnixTime;
use crate::endpoint::context::Context;
use crate::error::Rejection;
use crate::jwt::AssertionError;
use crate::jwt::assertion::names_app;
use crate::protocol::scope::Scope;
use crate::users::{DirectoryError, User, UserDirectory};

/// The answer to [`Admin::check_user`](crate::admin::Admin::check_user): whether an app may act as a user, and
/// the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserCheck {
    /// The app.
    pub app: Arc<CustomApp>,
    /// The user that the directory found by this name, if the app has settings for assertions.
    pub user: Option<User>,
    /// The most scope that the app gets as the user, or the refusal of the token endpoint. A disabled app is
    /// refused first, and then an app without the JWT bearer flow.
    pub answer: Result<Scope, Rejection>,
}

impl UserCheck {
    /// Returns the rule of the app's policy, also if the app is disabled or the flow is not allowed. `None` if
    /// no user was found.
    #[must_use]
    pub fn rule(&self) -> Option<ImpersonationRule<'_>> {
        self.app.settings().jwt()?;
        let user = Some(self.user.as_ref()?);
        let (client_id, settings) = (self.app.client_id(), self.app.settings());
        let decision = decide(client_id, settings, &Evidence::OwnAssertion, user, UnixTime::EPOCH);
        if let PolicyRule::User(rule) = decision.rule() { Some(rule) } else { None }
    }
}

impl<S: Sync, U: UserDirectory, H: Sync> Context<S, U, H> {
    /// Checks whether `app` may act as the user that its assertion would name `name`.
    pub(crate) async fn check_user(
        &self,
        app: Arc<CustomApp>,
        name: &str,
    ) -> Result<UserCheck, DirectoryError> {
        let user = match app.settings().jwt() {
            Some(jwt) if check_name(&app, jwt, name).is_ok() => {
                jwt_bearer::named_user(&self.users, jwt, name).await?
            }
            Some(_) | None => None,
        };
        let answer = answer(&app, name, user.as_ref());
        Ok(UserCheck { app, user, answer })
    }
}

fn answer(app: &CustomApp, name: &str, user: Option<&User>) -> Result<Scope, Rejection> {
    if !app.is_enabled() {
        return Err(Rejection::AppDisabled);
    }
    let jwt = jwt_bearer::settings(app)?;
    check_name(app, jwt, name)?;
    let user = user.ok_or(Rejection::UnknownUser)?;
    let decision = jwt_bearer::decide_own(app, user);
    let scope = jwt_bearer::permitted_scope(app, &decision)?;
    check_subject(&user.subject, app.client_id())?;
    Ok(scope)
}

/// Refuses a name that an assertion must not have for a user (RFC 7523 section 3).
pub(super) fn check_name(app: &CustomApp, jwt: &JwtSettings, name: &str) -> Result<(), Rejection> {
    if name.is_empty() || names_app(name, jwt_bearer::issuer(app, jwt), app.client_id()) {
        return Err(Rejection::Assertion(AssertionError::Sub));
    }
    Ok(())
}
