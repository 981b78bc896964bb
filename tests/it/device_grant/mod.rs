//! The device authorization grant (RFC 8628) through bytes on the wire.

mod off;
mod page;
mod polls;
mod races;
mod records;
mod request;
mod stores;

use std::sync::Arc;

use grantor::app::{AppDraft, Flow};
use grantor::clock::{ManualClock, UnixTime};
use grantor::endpoint::DeviceGrant;
use grantor::hooks::NoHooks;
use grantor::ids::Source;
use grantor::rate_limit::RateLimits;
use grantor::store::MemoryStore;
use grantor::store::conformance::Threads;
use http::Request;

use self::records::Records;
use crate::faulty_store::FaultyStore;
use crate::support::{Answer, Answered, App, START, World, body_of, encode, new_key, scope};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const PAGE: &str = "/oauth/device";

/// A public app of televisions with the scope `a b c` and refresh tokens.
fn tv() -> AppDraft {
    AppDraft::public("Television")
        .description("Plays films.")
        .flow(Flow::DeviceCode)
        .scope(scope("a b c"))
        .refresh_token(true)
}

/// A confidential app, otherwise the same.
fn set_top_box() -> AppDraft {
    AppDraft::confidential("Box").flow(Flow::DeviceCode).scope(scope("a b c")).refresh_token(true)
}

/// The codes that a device got.
struct Codes {
    device: String,
    user: String,
}

/// A server with the device grant, which records the calls of its stores.
struct Devices {
    world: World<NoHooks, FaultyStore>,
    records: Arc<Records>,
}

impl Devices {
    /// A server without rate limits.
    fn new() -> Self {
        Self::limited(RateLimits::none())
    }

    fn limited(limits: RateLimits) -> Self {
        let memory = Arc::new(MemoryStore::new());
        let records = Arc::new(Records::new(Arc::clone(&memory)));
        let clock = ManualClock::new(UnixTime::from_seconds(START));
        let world = World::over(FaultyStore::new(memory), clock, Threads, new_key(), |builder| {
            builder.rate_limits(limits).device_grant(DeviceGrant::new(Arc::clone(&records)))
        });
        Self { world, records }
    }

    /// The same server, reached from another address.
    fn at_address(self, source: &str) -> Self {
        let world = World { source: Source::new(source).unwrap(), ..self.world };
        Self { world, ..self }
    }

    fn advance(&self, seconds: u64) {
        self.world.clock.advance(std::time::Duration::from_secs(seconds));
    }

    /// Sends a device authorization request as `app`.
    fn ask(&self, app: &App, parameters: &[(&str, &str)]) -> Answer {
        Answer::from(self.ask_form(None, &body_of(app, parameters)))
    }

    fn ask_form(&self, authorization: Option<&str>, body: &str) -> Answered {
        self.world.send_form("/oauth/device_authorization", authorization, body)
    }

    /// Returns the codes of a device that asked.
    fn codes(&self, app: &App) -> Codes {
        let answer = self.ask(app, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = |name| answer.text(name).to_owned();
        Codes { device: text("device_code"), user: text("user_code") }
    }

    /// Polls with a device code.
    fn poll(&self, app: &App, device_code: &str) -> Answer {
        self.poll_with(app, device_code, &[])
    }

    fn poll_with(&self, app: &App, device_code: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![("grant_type", GRANT_TYPE), ("device_code", device_code)];
        form.extend(more);
        self.world.post(app, &form)
    }

    /// Sends the browser of `user` to the page, with this query.
    fn visit(&self, query: &str, user: Option<&str>) -> Answered {
        let mut request = Request::get(format!("{PAGE}{query}"));
        if let Some(user) = user {
            request = request.header("cookie", user);
        }
        self.world.send(request.body(String::new()).unwrap())
    }

    /// Sends a form of the page from the browser of `user`.
    fn submit(&self, form: &[(&str, &str)], user: Option<&str>) -> Answered {
        let mut request =
            Request::post(PAGE).header("content-type", "application/x-www-form-urlencoded");
        if let Some(user) = user {
            request = request.header("cookie", user);
        }
        self.world.send(request.body(encode(form)).unwrap())
    }

    /// Returns the parts of the consent page after `user` has typed the code.
    #[track_caller]
    fn prompt(&self, user_code: &str, user: &str) -> Prompt {
        let page = self.submit(&[("user_code", user_code)], Some(user));
        assert_eq!(page.status, 200, "{page:?}");
        let parts: Vec<_> = page.body.split('|').map(str::to_owned).collect();
        let [step, action, ticket, scopes, app, code, address] = &parts[..] else {
            panic!("{page:?}")
        };
        assert_eq!((&**step, &**action), ("consent", PAGE));
        Prompt {
            ticket: ticket.clone(),
            scopes: scopes.clone(),
            shown: [app.clone(), code.clone(), address.clone()],
        }
    }

    /// Sends the decision of `user`.
    fn decide(&self, ticket: &str, user: &str, decision: &str, scopes: &str) -> Answered {
        let mut form = vec![("ticket", ticket), ("decision", decision)];
        form.extend(scopes.split(' ').filter(|it| !it.is_empty()).map(|it| ("scope", it)));
        self.submit(&form, Some(user))
    }

    /// Lets `user` type the code and approve everything.
    #[track_caller]
    fn approve(&self, user_code: &str, user: &str) {
        let prompt = self.prompt(user_code, user);
        let answer = self.decide(&prompt.ticket, user, "approve", &prompt.scopes);
        assert_eq!((answer.status, &*answer.body), (200, "decided|true"), "{answer:?}");
    }

    /// Lets `user` type the code and deny.
    #[track_caller]
    fn deny(&self, user_code: &str, user: &str) {
        let prompt = self.prompt(user_code, user);
        let answer = self.decide(&prompt.ticket, user, "deny", "");
        assert_eq!((answer.status, &*answer.body), (200, "decided|false"), "{answer:?}");
    }
}

struct Prompt {
    ticket: String,
    scopes: String,
    /// The app, the user code, and the address of the device.
    shown: [String; 3],
}
