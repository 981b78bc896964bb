//! A server with devices, and phones that are clients of it.

use std::sync::Arc;

use grantor::ServerBuilder;
use grantor::app::{AppDraft, MobileSecurity};
use grantor::clock::{ManualClock, UnixTime};
use grantor::endpoint::{Approval, Caller, Decision, Login};
use grantor::hooks::NoHooks;
use grantor::ids::DeviceId;
use grantor::rate_limit::RateLimits;
use grantor::store::conformance::Threads;
use grantor::store::{DeviceKey, MemoryStore};
use grantor::users::MemoryUsers;

use crate::support::{
    Answer, App, CALLBACK, START, Wire, World, body_of, code_query, encode, new_key, new_verifier,
    parameters, public_app, subject,
};

type Builder = ServerBuilder<Arc<MemoryStore>, Arc<MemoryUsers>, NoHooks>;

/// A world whose server has devices.
pub(crate) fn world_of_phones() -> World {
    world_of_phones_with(|builder| builder)
}

/// A world whose server has devices, and more.
pub(crate) fn world_of_phones_with(configure: impl FnOnce(Builder) -> Builder) -> World {
    let store = Arc::new(MemoryStore::new());
    let devices = Arc::clone(&store);
    let clock = ManualClock::new(UnixTime::from_seconds(START));
    let world = World::over(store, clock, Threads, new_key(), |builder| {
        configure(builder.devices(devices).rate_limits(RateLimits::none()))
    });
    World { wire: Wire::default(), ..world }
}

/// An app on phones that obeys an order to wipe its data.
pub(crate) fn wiped_app() -> AppDraft {
    let mut rules = MobileSecurity::default();
    rules.remote_wipe = true;
    public_app().mobile_security(rules)
}

/// An installation of an app.
pub(crate) struct Phone<'a> {
    world: &'a World,
    app: &'a App,
    pub(crate) key: DeviceKey,
    pub(crate) tokens: Answer,
}

impl<'a> Phone<'a> {
    /// Logs `user` in, and redeems the code with the name of the installation.
    pub(crate) fn install(world: &'a World, app: &'a App, user: &str, tag: &str) -> Self {
        let tokens = log_in(world, app, user, tag);
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let key = DeviceKey {
            client_id: app.id.clone(),
            subject: subject(user),
            device_id: DeviceId::new(tag).unwrap(),
        };
        Self { world, app, key, tokens }
    }

    fn refresh_token(&self) -> &str {
        self.tokens.text("refresh_token")
    }

    /// Checks whether the refresh token and the access token are alive.
    pub(crate) fn is_live(&self) -> bool {
        let dead = self.world.is_revoked(&self.tokens);
        let refreshed = self.world.refresh(self.app, self.refresh_token());
        assert_eq!(refreshed.status == 200, !dead, "{refreshed:?}");
        !dead
    }

    /// Asks whether it has to wipe its data.
    pub(crate) fn asks(&self) -> bool {
        self.sends("check")
    }

    /// Reports that its data is gone.
    pub(crate) fn reports(&self) -> bool {
        self.sends("success")
    }

    fn sends(&self, path: &str) -> bool {
        let form = [("client_id", self.app.id.as_str()), ("token", self.refresh_token())];
        let path = format!("/oauth/device/wipe/{path}");
        match self.world.send_form(&path, None, &encode(&form)).status {
            200 => true,
            404 => false,
            status => panic!("{status}"),
        }
    }
}

/// Logs `user` in at a phone.
pub(crate) fn log_in(world: &World, app: &App, user: &str, tag: &str) -> Answer {
    let verifier = new_verifier();
    // After every revocation so far: an earlier decision would be refused.
    world.advance(1);
    let moment = world.block_on(world.server.moment()).unwrap();
    let login = Login::new(subject(user), "session").with_moment(moment);
    let prompt = world.prompt(&code_query(app, &verifier, &[]), &login);
    let yes = Decision::Approve(Approval::default().with_remember(false));
    let decided = world.server.decide(&prompt.ticket, &login, yes, Caller::default());
    let response = world.block_on(decided).unwrap();
    let name = format!("Phone of {user}");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*parameters(response.location()).remove("code").unwrap()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.expose_secret()),
        ("install_tag_id", tag),
        ("install_name", &*name),
    ];
    world.post_form(None, &body_of(app, &form))
}
