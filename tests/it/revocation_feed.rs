//! The feed of revocations, as an API reads it over the network.

use std::sync::Arc;

use grantor::app::{AppDraft, Flow};
use grantor::audit::Actor;
use grantor::endpoint::FormRequest;
use grantor::error::EndpointError;
use grantor::ids::{ClientId, Resource};
use grantor::jwt::VerifyingKeys;
use grantor::rate_limit::RateLimits;
use grantor::resource_server::{BearerVerifier, ResourceServer, RevocationList};
use grantor::store::{FeedCursor, RevocationFeed};
use pollster::block_on;

use crate::support::{
    Answer, App, World, basic, body_of, code_app, encode, machine_app, public_app,
};

const API: &str = "https://api.example.com";

/// A server with one API, and the API's app.
fn scene() -> (World, App) {
    let world = World::with(|builder| {
        let identifier = Resource::new(API).unwrap();
        let api = ResourceServer::new(identifier, ClientId::new("api").unwrap());
        builder.rate_limits(RateLimits::none()).resource_server(api)
    });
    let api = world.import("api", AppDraft::confidential("API").flow(Flow::ClientCredentials));
    (world, api)
}

fn read(
    world: &World,
    header: Option<&str>,
    body: &str,
    cursor: FeedCursor,
) -> Result<RevocationFeed, EndpointError> {
    let mut request = FormRequest::new(body).source(&world.source);
    if let Some(header) = header {
        request = request.authorization(header);
    }
    block_on(world.server.revocations(&request, cursor))
}

/// Reduces a feed to its error.
fn answer(result: Result<RevocationFeed, EndpointError>) -> Answer {
    Answer::from(result.map(|_| ()))
}

/// Pages travel as JSON and cursors as text. Once read, they make the API refuse a revoked token.
#[test]
fn an_api_follows_the_feed_over_the_network() {
    let (world, api) = scene();
    let machine = world.register(machine_app().resources([Resource::new(API).unwrap()]));
    let form = [("grant_type", "client_credentials"), ("resource", API)];
    let [token, beside] = [(); 2].map(|()| world.post(&machine, &form));
    let list = Arc::new(RevocationList::new());
    let keys = VerifyingKeys::from_jwk_set(&world.server.jwk_set()).unwrap();
    let verifier = BearerVerifier::new(world.server.issuer().clone(), keys)
        .with_clock(Arc::clone(&world.clock))
        .with_resource(Resource::new(API).unwrap())
        .with_revocations(Arc::clone(&list));
    let admits = |token: &Answer| {
        let header = format!("Bearer {}", token.text("access_token"));
        verifier.check(Some(&*header)).is_ok()
    };
    let header = basic("api", api.secret.as_deref().unwrap());
    let follow = || {
        let cursor: FeedCursor = list.cursor().to_string().parse().unwrap();
        let page = read(&world, Some(&header), "", cursor).unwrap();
        let page = serde_json::to_string(&page).unwrap();
        list.apply(&serde_json::from_str(&page).unwrap(), world.clock_now());
    };

    assert!(!admits(&token), "closed until the first read");
    follow();
    assert!(admits(&token) && admits(&beside));
    assert_eq!(world.revoke(&machine, token.text("access_token")).status, 200);
    world.advance(10);
    follow();
    assert!(!admits(&token) && admits(&beside));

    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("read_revocations", "success"));
    assert_eq!(event.actor, Actor::App(api.id.clone()));
    assert_eq!(event.source, Some(world.source.clone()));
}

/// The feed covers every user and app, so that only the authenticated app of an API may read it.
#[test]
fn only_the_authenticated_app_of_an_api_may_read_the_feed() {
    let (world, api) = scene();
    let start = FeedCursor::default();
    let other = world.register(code_app());
    answer(read(&world, None, &body_of(&other, &[]), start))
        .assert_error(400, "unauthorized_client");
    world.assert_refused("client", "not_a_resource_server", Some("resource_servers"));
    assert_eq!(world.last_event().actor, Actor::App(other.id.clone()));

    let public = world.register(public_app());
    let unknown = App { id: ClientId::new("unknown").unwrap(), ..public.clone() };
    let liar = App { secret: Some("wrong".to_owned()), ..api.clone() };
    let named = encode(&[("client_id", "api")]);
    let mut bodies = vec![named, String::new()];
    bodies.extend([&public, &unknown, &liar].map(|app| body_of(app, &[])));
    for body in bodies {
        answer(read(&world, None, &body, start)).assert_error(401, "invalid_client");
        let event = world.last_event();
        assert_eq!((event.action.as_str(), event.actor), ("read_revocations", Actor::Unknown));
    }
    let twice = format!("{0}&{0}", body_of(&api, &[]));
    answer(read(&world, None, &twice, start)).assert_error(400, "invalid_request");

    assert_eq!(read(&world, None, &body_of(&api, &[]), start).unwrap().entries, []);
    block_on(world.server.admin("tester").disable(&api.id)).unwrap();
    answer(read(&world, None, &body_of(&api, &[]), start)).assert_error(401, "invalid_client");
}

/// A page has a thousand entries, and the next one continues after it.
#[test]
fn pages_of_the_feed_are_contiguous() {
    let (world, api) = scene();
    let admin = world.server.admin("tester");
    for byte in 0..1_500_u16 {
        let [high, low] = byte.to_be_bytes();
        let mut id = [0; 16];
        (id[0], id[1]) = (low, high);
        let target = grantor::store::RevocationTarget::Grant(grantor::ids::GrantId::from_bytes(id));
        block_on(admin.revoke(target)).unwrap();
    }
    let body = body_of(&api, &[]);
    let first = read(&world, None, &body, FeedCursor::default()).unwrap();
    assert_eq!((first.entries.len(), first.more), (1_000, true));
    let second = read(&world, None, &body, first.next).unwrap();
    assert_eq!((second.entries.len(), second.more), (500, false));
}
