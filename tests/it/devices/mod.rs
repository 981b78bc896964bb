//! Phones: the device of a token, its wipe, and the rules that it reads. Flows through bytes on the wire.

mod counting;
mod limits;
mod nextcloud;
mod off;
mod policy;
mod token;
mod wipe;
mod wipe_proof;

use std::sync::Arc;
use std::time::Duration;

use grantor::app::{AppDraft, MobileSecurity};
use grantor::clock::ManualClock;
use grantor::clock::UnixTime;
use grantor::hooks::NoHooks;
use grantor::ids::{ClientId, DeviceId};
use grantor::rate_limit::RateLimits;
use grantor::store::conformance::Threads;
use grantor::store::{
    Device, DeviceKey, DeviceStore as _, MemoryStore, RequestWipe, RevocationReason, Wipe,
    WipeRequest,
};

use self::counting::Counting;
use crate::faulty_store::FaultyStore;
use crate::support::{
    Answer, Answered, App, CALLBACK, START, World, body_of, encode, new_key, public_app, subject,
};

const CHECK: &str = "/oauth/device/wipe/check";
const SUCCESS: &str = "/oauth/device/wipe/success";
const DAY: u64 = 86_400;

type PhoneWorld = World<NoHooks, FaultyStore>;

/// A server with devices, which records the calls of its store.
struct Phones {
    world: PhoneWorld,
    memory: Arc<MemoryStore>,
    devices: Arc<Counting>,
}

impl Phones {
    /// A server without rate limits.
    fn new() -> Self {
        Self::limited(RateLimits::none())
    }

    fn limited(limits: RateLimits) -> Self {
        let memory = Arc::new(MemoryStore::new());
        let devices = Arc::new(Counting::new(Arc::clone(&memory)));
        let store = FaultyStore::new(Arc::clone(&memory));
        let clock = ManualClock::new(UnixTime::from_seconds(START));
        let world = World::over(store, clock, Threads, new_key(), |builder| {
            builder.rate_limits(limits).devices(Arc::clone(&devices))
        });
        Self { world, memory, devices }
    }

    fn advance(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    /// Registers the app of a phone that can be wiped.
    fn app(&self) -> App {
        self.world.register(phone_app())
    }

    /// Redeems a code of `ann` with more parameters.
    fn redeem(&self, app: &App, code: &(String, String), more: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &*code.0),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &*code.1),
        ];
        form.extend(more);
        self.world.post(app, &form)
    }

    /// Returns the tokens of `ann` at the device `tag`.
    fn log_in(&self, app: &App, tag: &str) -> Answer {
        let code = self.world.code(app);
        let answer = self.redeem(app, &code, &[("install_tag_id", tag)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Orders the wipe of a device of `ann`.
    fn order(&self, app: &App, tag: &str) -> RequestWipe {
        let now = self.world.clock_now();
        let request = WipeRequest {
            key: key(app, "ann", tag),
            by: Some("root".to_owned()),
            why: RevocationReason::Administrator,
            until: now.plus(Duration::from_secs(730 * DAY)),
            keep_until: now.plus(Duration::from_secs(365 * DAY)),
            now,
        };
        self.world.block_on(self.memory.request_wipe(&request)).unwrap()
    }

    fn device(&self, app: &App, user: &str, tag: &str) -> Option<Device> {
        self.world.block_on(self.memory.find_device(&key(app, user, tag))).unwrap()
    }

    /// The state of the wipe of a device of `ann`.
    fn state(&self, app: &App, tag: &str) -> &'static str {
        match self.device(app, "ann", tag).unwrap().wipe {
            Wipe::None => "none",
            Wipe::Requested { .. } => "requested",
            Wipe::Notified { .. } => "notified",
            Wipe::Done { .. } => "done",
            _ => "unknown",
        }
    }

    /// Asks as a phone whether it has to wipe.
    fn check(&self, app: &App, token: &str) -> Answered {
        self.ask(CHECK, app, token, &[])
    }

    /// Reports as a phone that it has wiped.
    fn report(&self, app: &App, token: &str) -> Answered {
        self.ask(SUCCESS, app, token, &[])
    }

    fn ask(&self, path: &str, app: &App, token: &str, more: &[(&str, &str)]) -> Answered {
        let mut form = vec![("token", token), ("client_id", app.id.as_str())];
        form.extend(more);
        self.world.send_form(path, None, &encode(&form))
    }

    /// The number of audit events about wipes.
    fn wipe_events(&self) -> usize {
        self.world.count("tell_wipe") + self.world.count("finish_wipe")
    }
}

fn key(app: &App, user: &str, tag: &str) -> DeviceKey {
    DeviceKey {
        client_id: app.id.clone(),
        subject: subject(user),
        device_id: DeviceId::new(tag).unwrap(),
    }
}

fn rules() -> MobileSecurity {
    let mut rules = MobileSecurity::default();
    rules.remote_wipe = true;
    rules
}

/// A public app for phones that can be wiped.
fn phone_app() -> AppDraft {
    public_app().mobile_security(rules())
}

fn client_id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

/// Asserts the answer of a phone that has to wipe its data.
#[track_caller]
fn assert_wipe(answer: &Answered) {
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"wipe":true}"#), "{answer:?}");
    assert_private_json(answer);
}

/// Asserts the answer to a report that counts.
#[track_caller]
fn assert_counts(answer: &Answered) {
    assert_eq!((answer.status, answer.body.as_str()), (200, "[]"), "{answer:?}");
    assert_private_json(answer);
}

/// Asserts the one answer that is a no.
#[track_caller]
fn assert_no(answer: &Answered) {
    assert_eq!((answer.status, answer.body.as_str()), (404, "[]"), "{answer:?}");
    assert_private_json(answer);
}

#[track_caller]
fn assert_private_json(answer: &Answered) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("location"), None);
}

/// The body of a refresh as `app`.
fn refresh_body(app: &App, token: &str) -> String {
    body_of(app, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}
