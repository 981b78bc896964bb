//! The client configuration endpoint (RFC 7592): an app reads, changes and deletes its own registration.

use std::sync::Arc;
use std::time::Duration;

use super::stated::{Described, Stated};
use super::{
    ACCESS_TOKEN, CONSENT_MARGIN, RegistrationResponse, Registrations, bearer_token, limited,
    uses_secret,
};
use crate::app::{AppOrigin, AppSettings, CustomApp, InvalidApp, SelfRegistration};
use crate::audit::Action;
use crate::clock::UnixTime;
use crate::endpoint::audit_trail::{Answered, AuditTrail, Proof};
use crate::endpoint::context::Context;
use crate::endpoint::form_request::FormRequest;
use crate::endpoint::request_facts::RequestFacts;
use crate::error::{EndpointError, Fault, RegistrationRefusal};
use crate::ids::ClientId;
use crate::observe::Step;
use crate::secret::RegistrationAccessToken;
use crate::server_secret::declared_form;
use crate::store::{
    DeleteApp, Revocation, RevocationReason, RevocationTarget, Store, StoreError, UpdateApp,
};

/// The number of attempts to change an app while others edit it. In each round one of the changes succeeds.
const ROUNDS: usize = 8;

impl<S: Store, U: Sync, H: Sync> Context<S, U, H> {
    /// Answers an app that reads its registration.
    pub(crate) async fn read_registration(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
    ) -> Answered<RegistrationResponse> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::ReadRegistration, request, &*self.audit);
        let found = self.managed_app(client_id, request, &facts, &mut trail).await;
        if let Ok((_, app, token)) = &found {
            trail.silence();
            self.renew_access_token(app, token, facts.now).await;
        }
        let result = found.map(|(registrations, app, token)| RegistrationResponse {
            configuration: registrations.configuration_of(app.client_id()),
            app,
            client_secret: None,
            // The caller has shown it. It is not issued again.
            access_token: Some(RegistrationAccessToken::new(token)),
            dropped: Vec::new(),
            statement: None,
        });
        self.record(&facts, trail, result)
    }

    /// Answers an app that replaces its metadata.
    pub(crate) async fn update_registration(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
    ) -> Answered<RegistrationResponse> {
        let facts = RequestFacts::new(&*self.clock, request);
        let action = Action::EditApp { changed: Vec::new() };
        let mut trail = AuditTrail::new(action, request, &*self.audit);
        let result = self.update_app(client_id, request, &facts, &mut trail).await;
        self.record(&facts, trail, result)
    }

    /// Answers an app that deletes itself.
    pub(crate) async fn delete_registration(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
    ) -> Answered<()> {
        let facts = RequestFacts::new(&*self.clock, request);
        let mut trail = AuditTrail::new(Action::DeleteApp, request, &*self.audit);
        let result = self.delete_app(client_id, request, &facts, &mut trail).await;
        self.record(&facts, trail, result)
    }

    /// Finds the app that the registration access token of the request proves, and charges the request to the token.
    async fn managed_app<'r>(
        &self,
        client_id: &str,
        request: &FormRequest<'r>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(&Registrations, Arc<CustomApp>, &'r str), EndpointError> {
        let registrations = self.registrations.as_deref().filter(|it| it.rules.has_management);
        let registrations = registrations.ok_or(RegistrationRefusal::NotOffered)?;
        trail.enter(Step::Client);
        let token = bearer_token(request, RegistrationRefusal::AccessToken)?;
        let client_id = ClientId::new(client_id).map_err(|_| RegistrationRefusal::AccessToken)?;
        trail.claimed(&client_id);
        let app = self.app_of_token(&client_id, token).await?;
        trail.authenticated(&app, Proof::Credentials);
        let name = [b"registration", client_id.as_str().as_bytes()].concat();
        let charged = self.limiter.charge_grant(&name, facts.now);
        charged.map_err(|retry| limited(RegistrationRefusal::TooMany, retry))?;
        Ok((registrations, app, token))
    }

    /// Finds the app that `token` proves. It is read past any cache, because an update replaces its token. For an app
    /// that no longer exists the answer is the same as for a wrong token (RFC 7592 section 2.1).
    async fn app_of_token(
        &self,
        client_id: &ClientId,
        token: &str,
    ) -> Result<Arc<CustomApp>, EndpointError> {
        let wrong = RegistrationRefusal::AccessToken;
        let app = self.store.read_app(client_id).await?.ok_or_else(|| wrong.clone())?;
        let digest = app.registration().and_then(|registration| registration.access_token.as_ref());
        let form = declared_form(ACCESS_TOKEN, token.as_bytes());
        let is_shown = digest.is_some_and(|it| self.pepper.is_marked(it, client_id, &form));
        if !is_shown || app.origin() != AppOrigin::SelfRegistered || !app.is_enabled() {
            return Err(wrong.into());
        }
        Ok(app)
    }

    /// Renews the digest of a registration access token that was just shown, if its pepper is an older one, best effort:
    /// the old pepper can then retire. An update does so by itself.
    async fn renew_access_token(&self, app: &CustomApp, token: &str, now: UnixTime) {
        let digest = app.registration().and_then(|registration| registration.access_token.as_ref());
        if digest.is_some_and(|digest| self.pepper.is_stale(digest)) {
            let renewed = self.access_token_digest(app.client_id(), token);
            let renewed = app.edited(now, |edit| {
                edit.registration.get_or_insert_default().access_token = Some(renewed);
            });
            let _: Result<UpdateApp, StoreError> =
                self.store.update_app(renewed, app.version()).await;
        }
    }

    async fn update_app(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<RegistrationResponse, EndpointError> {
        let (registrations, mut app, shown) =
            self.managed_app(client_id, request, facts, trail).await?;
        trail.enter(Step::RateLimit);
        self.charge_source(facts)?;
        trail.enter(Step::Parse);
        let mut stated = Stated::parse(request.body())?;
        stated.check_update_of(client_id)?;
        let stated_secret = stated.client_secret.take();
        let described = self.described(stated, registrations, facts.now)?;
        trail.enter(Step::Claim);
        for _ in 0..ROUNDS {
            if let Some(secret) = &stated_secret {
                let kept = &app.credentials().client_secrets;
                if self
                    .pepper
                    .find(client_id, secret.expose_secret(), kept, true, facts.now)
                    .is_none()
                {
                    return Err(refused("client_secret", "must be absent or that of the app"));
                }
            }
            if app.registration().is_some_and(|it| it.is_administered) {
                return Err(RegistrationRefusal::Administered.into());
            }
            trail.action = Action::EditApp { changed: changed(&app, &described) };
            let mut secret = None;
            let mut stored = None;
            if uses_secret(&described.settings) && app.credentials().client_secrets.is_empty() {
                let (new, digest) = self.new_registered_secret(app.client_id(), facts.now)?;
                (secret, stored) = (Some(new), Some(digest));
            }
            let token = RegistrationAccessToken::generate(&*self.random)?;
            let digest = self.access_token_digest(app.client_id(), token.expose_secret());
            let after = app.edited(facts.now, |edit| {
                let before = edit.registration.as_deref().cloned().unwrap_or_default();
                let since = if voids_consents(edit.settings, &described.settings) {
                    facts.now.plus(CONSENT_MARGIN)
                } else {
                    before.since
                };
                *edit.registration = Some(Box::new(SelfRegistration {
                    access_token: Some(digest),
                    since,
                    used_at: before.used_at,
                    ..described.registration.clone()
                }));
                if !uses_secret(&described.settings) {
                    edit.credentials.clear_client_secrets();
                }
                edit.credentials.client_secrets.extend(stored);
                edit.settings.clone_from(&described.settings);
            });
            match self.store.update_app(after.clone(), app.version()).await? {
                UpdateApp::Updated => {
                    return Ok(RegistrationResponse {
                        configuration: registrations.configuration_of(after.client_id()),
                        app: Arc::new(after),
                        client_secret: secret,
                        access_token: Some(token),
                        dropped: described.dropped,
                        statement: described.statement,
                    });
                }
                // The next round finds the app that the other change left, or none.
                UpdateApp::Conflict | UpdateApp::NotFound => {
                    app = self.app_of_token(app.client_id(), shown).await?;
                }
            }
        }
        Err(EndpointError::Unavailable(Fault::Store(overtaken())))
    }

    async fn delete_app(
        &self,
        client_id: &str,
        request: &FormRequest<'_>,
        facts: &RequestFacts<'_>,
        trail: &mut AuditTrail<'_>,
    ) -> Result<(), EndpointError> {
        let (registrations, mut app, shown) =
            self.managed_app(client_id, request, facts, trail).await?;
        trail.enter(Step::RateLimit);
        self.charge_source(facts)?;
        trail.enter(Step::Claim);
        for _ in 0..ROUNDS {
            match self.store.delete_app(app.client_id(), app.version()).await? {
                DeleteApp::Deleted => {
                    registrations.count.forget(1).await;
                    // No store honours a grant of an app that is gone. This ends those that an app would inherit
                    // that is imported later under the same id, and tells the readers of the feed. Without a grant
                    // it has no effect, and strangers would fill the table with revocations.
                    if self.has_grants(app.client_id()).await? {
                        self.end_access(app.client_id(), facts.now).await?;
                    }
                    return Ok(());
                }
                DeleteApp::Conflict | DeleteApp::NotFound => {
                    app = self.app_of_token(app.client_id(), shown).await?;
                }
            }
        }
        Err(EndpointError::Unavailable(Fault::Store(overtaken())))
    }

    /// Revokes everything of an app that was deleted.
    pub(super) async fn end_access(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let longest = AppSettings::MAX_REFRESH_TOKEN_LIFETIME;
        let revocation = Revocation {
            target: RevocationTarget::App(client_id.clone()),
            at: now,
            why: RevocationReason::AppDeleted,
            until: now.plus(Duration::from_secs(longest.into())),
        };
        self.store.revoke(&revocation).await.map(|_| ())
    }
}

fn refused(member: &'static str, problem: &'static str) -> EndpointError {
    RegistrationRefusal::from(InvalidApp::new(member, problem)).into()
}

fn overtaken() -> StoreError {
    StoreError::new("other changes of the app came first, again and again")
}

/// Checks whether users agreed to another app: one with another name, other redirect URIs, or other keys.
fn voids_consents(before: &AppSettings, after: &AppSettings) -> bool {
    before.name() != after.name()
        || before.redirect_uris() != after.redirect_uris()
        || before.authentication() != after.authentication()
}

/// Returns the settings that differ, by their names in JSON.
fn changed(app: &CustomApp, described: &Described) -> Vec<String> {
    let json = |settings: &AppSettings| serde_json::to_value(settings).unwrap_or_default();
    let (before, after) = (json(app.settings()), json(&described.settings));
    let fields = after.as_object().into_iter().flatten();
    let differ = fields.filter(|(field, value)| before.get(field) != Some(value));
    differ.map(|(field, _)| field.clone()).collect()
}
