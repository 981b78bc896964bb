//! A user's own view: what apps may do in the user's name, and its end.

mod devices;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use self::devices::{AuthorizedDevice, AuthorizedDevices};

use super::grants::live;
use super::{AdminError, AdminParts, last_expiry};
use crate::app::CustomApp;
use crate::audit::{Action, Actor, AuditEvent};
use crate::catalog::ApiCatalog;
use crate::clock::UnixTime;
use crate::endpoint::Caller;
use crate::ids::{ClientId, DeviceId, Subject};
use crate::observe::Outcome;
use crate::protocol::scope::Scope;
use crate::store::{
    Consent, Grant, GrantFilter, Page, Revocation, RevocationReason, RevocationTarget, Revoked,
    Store, StoreError,
};

/// The access of apps as one user, for a page of that user.
/// [`AuthorizationServer::account`](crate::AuthorizationServer::account) returns it; the host has
/// authenticated the user.
///
/// Every change is audited as made by the user.
pub struct Account<'a, S> {
    pub(super) parts: AdminParts<'a, S>,
    catalog: Option<&'a ApiCatalog>,
    subject: Subject,
    caller: Caller<'a>,
}

impl<S> fmt::Debug for Account<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// The apps that may act in a user's name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedApps {
    /// The apps in the order of their client ids.
    pub apps: Vec<AuthorizedApp>,
    /// Whether the user has more live grants than were read, so that apps, devices or scope may be missing.
    pub more: bool,
}

/// An app that may act in a user's name. Escape every text: administrators wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedApp {
    /// The client id.
    pub client_id: ClientId,
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// Whether the app is enabled. A disabled one can do nothing until it is enabled again.
    pub enabled: bool,
    /// The scope of its live grants and of the remembered consent, as far as the app
    /// still has it.
    pub scopes: Vec<AuthorizedScope>,
    /// The devices on which it was granted, if the host named them.
    pub devices: Vec<DeviceId>,
    /// The number of its live grants: installations, browsers and back ends.
    pub grants: usize,
    /// Whether the user's agreement is remembered, so that the app gets access again without a question.
    pub remembered: bool,
    /// Whether an administrator lets the app impersonate the user. Removing the app ends the access that it
    /// has; it may get access again without the user.
    pub impersonates: bool,
    /// The instant of the oldest live grant, or of the remembered consent.
    pub since: UnixTime,
    /// The last instant at which a token was issued, if the app has a live grant.
    pub last_used: Option<UnixTime>,
    /// The lifetime of its access tokens, in seconds. An API that verifies tokens by itself may accept one until
    /// then, after the access has ended.
    pub access_token_lifetime: u32,
}

/// A scope token in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedScope {
    /// The scope token.
    pub token: String,
    /// The titles of what it allows, from the catalog; empty if no catalog knows it.
    pub titles: Vec<String>,
}

/// The access of one app, collected from its rows.
#[derive(Default)]
struct Access {
    scope: Scope,
    devices: BTreeSet<DeviceId>,
    grants: usize,
    remembered: bool,
    impersonates: bool,
    since: Option<UnixTime>,
    last_used: Option<UnixTime>,
}

impl Access {
    fn add_grant(&mut self, grant: Grant) {
        self.scope = self.scope.union(&grant.scope);
        self.devices.extend(grant.device);
        self.grants += 1;
        self.impersonates |= grant.actor.is_some();
        self.began(grant.authorized_at);
        self.last_used = self.last_used.max(Some(grant.rotated_at));
    }

    fn add_consent(&mut self, consent: &Consent) {
        self.scope = self.scope.union(&consent.scope);
        self.remembered = true;
        self.began(consent.given_at);
    }

    fn began(&mut self, at: UnixTime) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }
}

impl<'a, S: Store> Account<'a, S> {
    /// The greatest number of a user's grants that [`apps`](Self::apps) reads.
    pub const MAX_GRANTS: usize = 1_000;

    pub(crate) fn new(
        parts: AdminParts<'a, S>,
        catalog: Option<&'a ApiCatalog>,
        subject: Subject,
    ) -> Self {
        Self { parts, catalog, subject, caller: Caller::default() }
    }

    /// Sets the source and the id of the request, for the audit log.
    #[must_use]
    pub fn requested_by(mut self, caller: Caller<'a>) -> Self {
        self.caller = caller;
        self
    }

    /// Lists the apps that may act in the user's name: those with a live grant, and those with a remembered
    /// consent. Tokens without a row (JWT bearer without refresh token) are not listed. Reads up to
    /// [`MAX_GRANTS`](Self::MAX_GRANTS) grants.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if a read fails.
    pub async fn apps(&self) -> Result<AuthorizedApps, StoreError> {
        let mut found: BTreeMap<ClientId, Access> = BTreeMap::new();
        let more = self.read_grants(&mut found).await?;
        self.read_consents(&mut found).await?;
        let mut apps = Vec::with_capacity(found.len());
        for (client_id, access) in found {
            // A deleted app has neither grants nor consents.
            if let Some(app) = self.parts.store.find_app(&client_id).await? {
                apps.push(self.authorized(&app, access));
            }
        }
        Ok(AuthorizedApps { apps, more })
    }

    /// Adds the live grants. Returns whether the user has more than were read.
    async fn read_grants(
        &self,
        found: &mut BTreeMap<ClientId, Access>,
    ) -> Result<bool, StoreError> {
        let now = self.parts.clock.now();
        let filter = GrantFilter::all().of_subject(self.subject.clone()).live_at(now);
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        let mut left = Self::MAX_GRANTS;
        while let Some(page) = next {
            if left == 0 {
                return Ok(true);
            }
            let listing = self.parts.store.list_grants(&filter, page.clone()).await?;
            left = left.saturating_sub(listing.items.len());
            for grant in live(self.parts.store, listing.items).await? {
                found.entry(grant.client_id.clone()).or_default().add_grant(grant);
            }
            next = listing.next.map(|last| page.after(last));
        }
        Ok(false)
    }

    async fn read_consents(
        &self,
        found: &mut BTreeMap<ClientId, Access>,
    ) -> Result<(), StoreError> {
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next {
            let listing = self.parts.store.list_consents(&self.subject, page.clone()).await?;
            for consent in &listing.items {
                found.entry(consent.client_id.clone()).or_default().add_consent(consent);
            }
            next = listing.next.map(|last| page.after(last));
        }
        Ok(())
    }

    fn authorized(&self, app: &CustomApp, access: Access) -> AuthorizedApp {
        let settings = app.settings();
        let scope = access.scope.intersection(settings.scope());
        AuthorizedApp {
            client_id: app.client_id().clone(),
            name: settings.name().to_owned(),
            description: settings.description().to_owned(),
            enabled: app.is_enabled(),
            scopes: in_words(self.catalog, &scope),
            devices: access.devices.into_iter().collect(),
            grants: access.grants,
            remembered: access.remembered,
            impersonates: access.impersonates,
            since: access.since.unwrap_or(UnixTime::EPOCH),
            last_used: access.last_used,
            access_token_lifetime: settings.access_token_lifetime(),
        }
    }

    /// Ends the access of an app: forgets the user's consent and revokes everything that the app was granted
    /// as the user. When it returns, none of those tokens is active. It succeeds also if there was nothing.
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`] if it may or may not be in force. Repeat the call.
    pub async fn remove(&self, client_id: &ClientId) -> Result<Revoked, AdminError> {
        let now = self.parts.clock.now();
        let withdrawn = self
            .parts
            .store
            .withdraw_consent(client_id, &self.subject, now, last_expiry(now))
            .await
            .map_err(AdminError::from);
        self.record(Action::WithdrawConsent, Some(client_id), &withdrawn);
        withdrawn
    }

    /// Signs the user out everywhere: revokes everything that every app was granted as the user, on every
    /// device. Remembered consents stay, so that apps need a login and no new agreement. The host ends its
    /// own sessions.
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`] if it may or may not be in force. Repeat the call.
    pub async fn sign_out_everywhere(&self) -> Result<Revoked, AdminError> {
        let at = self.parts.clock.now();
        let target = RevocationTarget::Subject(self.subject.clone());
        let action = Action::Revoke { target: target.clone() };
        let revocation = Revocation {
            target,
            at,
            why: RevocationReason::ConsentWithdrawn,
            until: last_expiry(at),
        };
        let revoked = self.parts.store.revoke(&revocation).await.map_err(AdminError::from);
        self.record(action, None, &revoked);
        revoked
    }

    fn record<T>(
        &self,
        action: Action,
        client_id: Option<&ClientId>,
        result: &Result<T, AdminError>,
    ) {
        let outcome = match result {
            Ok(_) => Outcome::Success,
            Err(error) => error.outcome(),
        };
        let actor = Actor::User(self.subject.clone());
        let mut event = AuditEvent::new(self.parts.clock.now(), actor, action, outcome)
            .with_source(self.caller.source)
            .with_request_id(self.caller.request_id);
        event.client_id = client_id.cloned();
        self.parts.record(&event);
    }
}

fn in_words(catalog: Option<&ApiCatalog>, scope: &Scope) -> Vec<AuthorizedScope> {
    let in_words = |token: &str, titles| AuthorizedScope { token: token.to_owned(), titles };
    let Some(catalog) = catalog else {
        return scope.tokens().map(|token| in_words(token, Vec::new())).collect();
    };
    let texts = catalog.texts(scope).into_iter();
    let titles = texts.map(|text| {
        let titles = text.endpoints.iter().map(|endpoint| endpoint.title().to_owned());
        in_words(text.token, titles.collect())
    });
    titles.collect()
}
