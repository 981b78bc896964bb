//! Token exchange (RFC 8693) through bytes on the wire.

mod actors;
mod chains;
mod confusion;
pub(crate) mod foreign_tokens;
mod foreign_users;
mod id_jag;
mod lineage;
mod narrowing;
mod questions;
mod races;
mod requests;
mod subject_tokens;
mod targets;

use std::sync::Arc;

use grantor::ServerBuilder;
use grantor::app::{AppDraft, AppTemplate, DelegationPolicy, Flow, ImpersonationPolicy};
use grantor::clock::{ManualClock, UnixTime};
use grantor::endpoint::{DeviceGrant, Registration, RegistrationAccess};
use grantor::hooks::{Hooks, NoHooks};
use grantor::ids::{ClientId, Group, Resource};
use grantor::jwt::{Algorithm, SigningKey};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::conformance::Threads;
use grantor::store::{MemoryStore, Store};
use grantor::users::{Members, UserDirectory};
use serde_json::Value;

use crate::assertions::{Signer, fixture, with};
use crate::support::{Answer, App, ISSUER, START, World, code_app, machine_app, scope};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const OF_ACCESS: (&str, &str) = ("subject_token_type", ACCESS_TOKEN);
const ACTOR_OF_ACCESS: (&str, &str) = ("actor_token_type", ACCESS_TOKEN);
const ORDERS: &str = "https://orders.example.com";
pub(crate) const FILES: &str = "https://files.example.com";
const MAIL: &str = "https://mail.example.com";

/// A server with three APIs that are apps, too. A user's token of the app `web` is for *orders*, which may exchange
/// it for *files*, which may exchange that for *mail*.
pub(crate) struct Chain<H = NoHooks> {
    pub(crate) world: World<H>,
    web: App,
    pub(crate) orders: App,
    files: App,
    mail: App,
}

fn resource(text: &str) -> Resource {
    Resource::new(text).unwrap()
}

fn id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

fn staff() -> ImpersonationPolicy {
    ImpersonationPolicy::members(Members::groups([Group::new("staff").unwrap()]))
}

/// The policy to exchange tokens of `apps` for `targets`, on behalf of staff.
fn policy(apps: &[&str], targets: &[&str]) -> DelegationPolicy {
    DelegationPolicy::new(apps.iter().map(|it| id(it)), targets.iter().map(|it| resource(it)))
        .with_users(staff())
}

/// An app that exchanges tokens under `policy`, and acts for itself.
fn exchanger(policy: DelegationPolicy) -> AppDraft {
    machine_app().flow(Flow::TokenExchange).delegation(policy)
}

/// The key of the server, which tests sign with, too.
fn key() -> SigningKey {
    SigningKey::from_pem(Algorithm::ES256, &fixture("p256_private")).unwrap()
}

/// Lets a server exchange tokens, for these APIs.
fn apis<S: Store, U: UserDirectory, H: Hooks>(
    builder: ServerBuilder<S, U, H>,
) -> ServerBuilder<S, U, H> {
    let api = |name: &str, app: &str| ResourceServer::new(resource(name), id(app));
    builder
        .rate_limits(RateLimits::none())
        .token_exchange(true)
        .resource_server(api(ISSUER, "gateway").with_gateway(true))
        .resource_server(api(ORDERS, "orders"))
        .resource_server(api(FILES, "files").with_scopes(scope("a b")))
        .resource_server(api(MAIL, "mail").with_scopes(scope("a")))
}

impl Chain {
    fn new() -> Self {
        Self::with_hooks(NoHooks)
    }
}

impl<H: Hooks + 'static> Chain<H> {
    fn with_hooks(hooks: H) -> Self {
        let clock = ManualClock::new(UnixTime::from_seconds(START));
        let store = Arc::new(MemoryStore::new());
        let devices = DeviceGrant::new(Arc::clone(&store));
        let template = AppTemplate::new(scope("a b c"));
        let registration = Registration::new(template, RegistrationAccess::Open).unwrap();
        let world = World::over(store, clock, Threads, key(), |builder| {
            let registration = registration.management(true);
            let builder = apis(builder.hooks(hooks)).trusted_issuers(MemoryStore::new());
            builder.device_grant(devices).registration(registration)
        });
        let for_orders =
            code_app().resources([resource(ORDERS)]).default_resource(Some(resource(ORDERS)));
        let web = world.import("web", for_orders);
        let orders = world.import("orders", exchanger(policy(&["web"], &[FILES, MAIL])));
        let files = world.import("files", exchanger(policy(&["orders", "mail"], &[MAIL, ORDERS])));
        let mail = world.import("mail", exchanger(policy(&["files", "orders"], &[FILES])));
        Self { world, web, orders, files, mail }
    }

    /// The access token of a user who agreed in a browser.
    pub(crate) fn user_token(&self) -> String {
        self.world.tokens(&self.web).text("access_token").to_owned()
    }

    /// Exchanges `token` as `app`, for *files* if `more` names no target.
    fn exchange(&self, app: &App, token: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![GRANT, OF_ACCESS, ("subject_token", token)];
        if !more.iter().any(|(name, _)| ["resource", "audience"].contains(name)) {
            form.push(("resource", FILES));
        }
        form.extend(more);
        self.world.post(app, &form)
    }

    fn derived(&self, app: &App, token: &str, more: &[(&str, &str)]) -> Answer {
        let answer = self.exchange(app, token, more);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Asserts a refusal on the wire and its reason in the audit log.
    #[track_caller]
    fn refused(&self, answer: &Answer, error: &str, reason: &str) {
        answer.assert_error(400, error);
        assert_eq!(self.world.last_event().outcome.reason(), Some(reason));
    }

    /// Signs the claims of `token` with `change`, as the server does.
    fn forge(&self, token: &str, change: &Value) -> String {
        let claims = claims_of(token);
        let keys: Value = serde_json::from_str(&self.world.server.jwk_set()).unwrap();
        let kid = keys["keys"][0]["kid"].as_str().unwrap();
        let signer = Signer::ec(jsonwebtoken::Algorithm::ES256, "p256_private");
        signer.with_kid(kid).with_typ(Some("at+jwt")).sign(&with(&claims, change))
    }

    /// The own token of an app.
    pub(crate) fn own_token(&self, app: &App) -> String {
        let answer = self.world.post(app, &[("grant_type", "client_credentials")]);
        answer.text("access_token").to_owned()
    }
}

fn part_of(token: &str, index: usize) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn header_of(token: &str) -> Value {
    part_of(token, 0)
}

fn claims_of(token: &str) -> Value {
    part_of(token, 1)
}
