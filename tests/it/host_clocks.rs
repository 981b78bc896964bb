//! Hosts over one store whose clocks differ from the store's by 4 seconds, and so from each other by 8.

use std::sync::Arc;
use std::time::Duration;

use grantor::clock::{Clock as _, ManualClock, UnixTime};
use grantor::endpoint::{Approval, Caller, Decision, FormRequest, Introspection, NextStep};
use grantor::ids::Resource;
use grantor::jwt::{Algorithm, KeyRing, SigningKey};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::MemoryStore;
use pollster::block_on;

use crate::faulty_store::{FaultyStore, Method};
use crate::support::{
    Answer, App, CALLBACK, ISSUER, Server, World, ann, ask, body_of, code_app, code_query,
    machine_app, new_verifier, parameters,
};

/// The difference of a host to the store, in seconds.
const AHEAD: u64 = 4;

/// A world, and two hosts with the same keys: one whose clock is behind, and one whose clock is ahead.
struct Hosts {
    world: World,
    behind: Server<FaultyStore>,
    ahead: Server<FaultyStore>,
    clocks: [Arc<ManualClock>; 2],
    gateway: App,
}

impl Hosts {
    fn new() -> Self {
        let world = World::unlimited();
        let gateway = world.register(machine_app());
        let keys = KeyRing::from(SigningKey::generate(Algorithm::ES256).unwrap());
        let clocks = [0, 2 * AHEAD].map(|ahead| {
            let now = world.clock_now().plus(Duration::from_secs(ahead));
            Arc::new(ManualClock::new(now))
        });
        let host = |clock: &Arc<ManualClock>| {
            let store = FaultyStore::new(Arc::<MemoryStore>::clone(&world.store));
            let store = Arc::new(store.shared_by_hosts(Duration::from_secs(10)));
            world
                .beside(keys.clone(), store, Arc::clone(&world.users))
                .clock(Arc::clone(clock))
                .rate_limits(RateLimits::none())
                .resource_server(
                    ResourceServer::new(Resource::new(ISSUER).unwrap(), gateway.id.clone())
                        .with_gateway(true),
                )
                .build()
        };
        let [behind, ahead] = clocks.each_ref().map(host);
        Self { world, behind, ahead, clocks, gateway }
    }

    /// Asks a host whether a token of any app is active.
    fn is_active(&self, host: &Server<FaultyStore>, token: &str) -> bool {
        let body = body_of(&self.gateway, &[("token", token)]);
        let answer = block_on(host.introspect(&FormRequest::new(&body))).unwrap();
        matches!(answer, Introspection::Active(_))
    }

    fn advance(&self, millis: u64) {
        self.clocks.iter().for_each(|clock| clock.advance(Duration::from_millis(millis)));
    }
}

fn refresh(host: &Server<FaultyStore>, app: &App, token: &Answer) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.text("refresh_token"))];
    ask(host, &body_of(app, &form))
}

/// N16: honest servers race for one refresh token, in either order. The one that comes second answers the same
/// successor until the grace is over by every clock.
#[test]
fn hosts_with_different_clocks_take_no_honest_retry_for_reuse() {
    let hosts = Hosts::new();
    let app = hosts.world.register(code_app().refresh_grace(Some(10)));
    for ahead_first in [false, true] {
        for millis in [0, 1, 9_999] {
            let tokens = hosts.world.tokens(&app);
            let order = [&hosts.behind, &hosts.ahead];
            let [first, second] = if ahead_first { [order[1], order[0]] } else { order };
            let one = refresh(first, &app, &tokens);
            hosts.advance(millis);
            let other = refresh(second, &app, &tokens);
            assert_eq!(other.status, 200, "{ahead_first} after {millis} ms: {other:?}");
            assert_eq!(one.text("refresh_token"), other.text("refresh_token"));
            assert!(!hosts.world.is_revoked(&one));
        }
    }
}

/// N16: an old token is proof of reuse at every host, once the grace and the difference of the clocks are over.
#[test]
fn reuse_is_found_when_the_grace_is_over_by_every_clock() {
    let hosts = Hosts::new();
    let app = hosts.world.register(code_app().refresh_grace(Some(10)));
    for [first, second] in [[&hosts.behind, &hosts.ahead], [&hosts.ahead, &hosts.behind]] {
        let tokens = hosts.world.tokens(&app);
        let one = refresh(first, &app, &tokens);
        // The grace, the tolerated difference, and the real one if the second host is behind.
        hosts.advance(10_000 + 10_000 + 2 * AHEAD * 1_000);
        refresh(second, &app, &tokens).assert_error(400, "invalid_grant");
        assert!(hosts.world.is_revoked(&one));
    }
}

/// R24: a refresh that others overtake at the other host revokes nothing, by neither clock.
#[test]
fn a_refresh_that_was_overtaken_at_the_other_host_revokes_nothing() {
    let hosts = Arc::new(Hosts::new());
    let app = hosts.world.register(code_app());
    for ahead_is_late in [false, true] {
        for millis in [0, 4_000, 12_000] {
            let first = hosts.world.tokens(&app);
            let (others, own, begins_with) = (Arc::clone(&hosts), app.clone(), first.clone());
            let late = if ahead_is_late { &hosts.ahead } else { &hosts.behind };
            late.store().meanwhile(Method::FindGrant, move || {
                others.advance(millis);
                let other = if ahead_is_late { &others.behind } else { &others.ahead };
                let second = refresh(other, &own, &begins_with);
                assert_eq!(refresh(other, &own, &second).status, 200);
            });
            refresh(late, &app, &first).assert_error(503, "temporarily_unavailable");
            assert!(!hosts.world.is_revoked(&first));
            refresh(late, &app, &first).assert_error(400, "invalid_grant");
            assert!(hosts.world.is_revoked(&first));
        }
    }
}

/// N16: a refresh token that may lie idle for a minute does so by every clock.
#[test]
fn an_idle_token_expires_no_earlier_at_a_host_whose_clock_is_ahead() {
    let hosts = Hosts::new();
    let app = hosts.world.register(code_app().refresh_token_idle_lifetime(Some(60)));
    let tokens = hosts.world.tokens(&app);
    let tokens = refresh(&hosts.behind, &app, &tokens);
    hosts.advance(59_999);
    assert!(hosts.is_active(&hosts.ahead, tokens.text("refresh_token")));
    assert_eq!(refresh(&hosts.ahead, &app, &tokens).status, 200);
    let tokens = hosts.world.tokens(&app);
    let tokens = refresh(&hosts.behind, &app, &tokens);
    hosts.clocks[1].set(hosts.clocks[0].now().plus(Duration::from_millis(69_999)));
    assert!(hosts.is_active(&hosts.ahead, tokens.text("refresh_token")));
    hosts.advance(1);
    assert!(!hosts.is_active(&hosts.ahead, tokens.text("refresh_token")), "idle by every clock");
    refresh(&hosts.ahead, &app, &tokens).assert_error(400, "invalid_grant");
}

/// N16: a code that may live for a second does so by every clock.
#[test]
fn a_code_expires_no_earlier_at_a_host_whose_clock_is_ahead() {
    let hosts = Hosts::new();
    let app = hosts.world.register(code_app().code_lifetime(1));
    for (decides, redeems) in [(&hosts.behind, &hosts.ahead), (&hosts.ahead, &hosts.behind)] {
        let verifier = new_verifier();
        let query = code_query(&app, &verifier, &[]);
        let login = ann().with_moment(block_on(decides.moment()).unwrap());
        let request = block_on(decides.authorization_request(&query, Caller::default())).unwrap();
        let next = block_on(decides.authorize(request, Some(&login))).unwrap();
        let NextStep::AskConsent(prompt) = next else { panic!("{next:?}") };
        let yes = Decision::Approve(Approval::default().with_remember(false));
        let response =
            block_on(decides.decide(&prompt.ticket, &login, yes, Caller::default())).unwrap();
        let code = parameters(response.location()).remove("code").unwrap();
        hosts.advance(999);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier.expose_secret()),
        ];
        assert_eq!(ask(redeems, &body_of(&app, &form)).status, 200);
    }
}

/// N17: an app gives a token back at a host that has not reached the token's `iat`, or has passed its `exp`:
/// the signature is enough.
#[test]
fn a_token_is_given_back_at_a_host_with_any_clock() {
    let hosts = Hosts::new();
    let (app, machine) = (hosts.world.register(code_app()), hosts.world.register(machine_app()));
    for seconds in [0, 3_600, 1_000_000] {
        hosts.clocks[1].advance(Duration::from_secs(seconds));
        for [issues, takes] in [[&hosts.ahead, &hosts.behind], [&hosts.behind, &hosts.ahead]] {
            let tokens = hosts.world.tokens(&app);
            let with_row = refresh(issues, &app, &tokens);
            let form = [("grant_type", "client_credentials")];
            let rowless = ask(issues, &body_of(&machine, &form));
            for (app, token) in [(&app, &with_row), (&machine, &rowless)] {
                assert!(!hosts.world.is_revoked(token));
                let body = body_of(app, &[("token", token.text("access_token"))]);
                block_on(takes.revoke(&FormRequest::new(&body))).unwrap();
                assert!(hosts.world.is_revoked(token), "{seconds}");
            }
        }
    }
}

/// N17: introspection does not flip between hosts whose clocks differ as stated, and still refuses a token from
/// the future.
#[test]
fn a_token_is_active_at_every_host() {
    let hosts = Hosts::new();
    let machine = hosts.world.register(machine_app());
    let asked = |host: &Server<FaultyStore>, token: &Answer| {
        hosts.is_active(host, token.text("access_token"))
    };
    let token = || ask(&hosts.ahead, &body_of(&machine, &[("grant_type", "client_credentials")]));
    for seconds in [2 * AHEAD, 10] {
        hosts.clocks[1].set(hosts.clocks[0].now().plus(Duration::from_secs(seconds)));
        let token = token();
        assert!(asked(&hosts.behind, &token) && asked(&hosts.ahead, &token), "{seconds}");
    }
    hosts.clocks[1].set(hosts.clocks[0].now().plus(Duration::from_secs(11)));
    let token = token();
    assert!(!asked(&hosts.behind, &token) && asked(&hosts.ahead, &token));
    // The difference prolongs no token.
    let expires_at = UnixTime::from_seconds(token.claims()["exp"].as_i64().unwrap());
    hosts.clocks[0].set(expires_at.minus(Duration::from_millis(1)));
    assert!(asked(&hosts.behind, &token));
    hosts.clocks[0].set(expires_at);
    assert!(!asked(&hosts.behind, &token));
}
