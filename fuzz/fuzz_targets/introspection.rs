//! For any introspected or revoked text, no token is active that the server did not issue, only the
//! token given back is revoked, and no request fails.
#![no_main]

use std::sync::LazyLock;

use grantor::AuthorizationServer;
use grantor::app::{AppDraft, Flow};
use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::{ClientId, Issuer, Resource};
use grantor::endpoint::{FormRequest, Introspection};
use grantor::jwt::SigningKey;
use grantor::resource_server::ResourceServer;
use grantor::rate_limit::RateLimits;
use grantor::protocol::Scope;
use grantor::server_secret::ServerSecret;
use grantor::store::{FeedCursor, MemoryStore};
use grantor::users::MemoryUsers;
use grantor_fuzz::{Edits, ISSUER, NOW, edited, form, object, signed};
use pollster::block_on;

/// A key other than that of `signed`.
const OTHER_SECRET: &[u8] = b"fedcba9876543210fedcba9876543210";

struct World {
    server: AuthorizationServer<MemoryStore, MemoryUsers>,
    client_secret: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let gateway = ClientId::new("gateway").unwrap();
    let identifier = Resource::new(ISSUER).unwrap();
    let server = AuthorizationServer::builder(
        Issuer::new(ISSUER).unwrap(),
        ServerSecret::new(OTHER_SECRET).unwrap(),
        SigningKey::from_hmac_secret(OTHER_SECRET).unwrap(),
        MemoryStore::new(),
        MemoryUsers::default(),
    )
    .clock(ManualClock::new(UnixTime::from_seconds(NOW)))
    .rate_limits(RateLimits::none())
    .resource_server(ResourceServer::new(identifier, gateway.clone()).with_gateway(true))
    .build();
    let draft = AppDraft::confidential("Gateway")
        .flow(Flow::ClientCredentials)
        .scope(Scope::parse("a").unwrap());
    let app = grantor::admin::ImportedApp::new(gateway, draft.build().unwrap());
    let app = block_on(server.admin("fuzzer").import(app)).unwrap();
    let client_secret = app.client_secret.unwrap().expose_secret().to_owned();
    World { server, client_secret }
});

libfuzzer_sys::fuzz_target!(|input: (&[u8], &str, &str, Edits<'_>, &str)| {
    let (body, token, header, edits, cursor) = input;
    let claims = [
        ("iss", r#""https://as.example.com""#),
        ("sub", r#""gateway""#),
        ("aud", r#""https://as.example.com""#),
        ("client_id", r#""gateway""#),
        ("jti", r#""1""#),
        ("grant_id", r#""BwcHBwcHBwcHBwcHBwcHBw""#),
        ("iat", "1700000000"),
        ("exp", "1700000100"),
        ("authorized_at", "1700000000000"),
    ];
    let access_token = signed(header, &object(&edited(&claims, &edits)));
    let refresh_token = format!("grt_{token}");
    for token in [token, &access_token, &refresh_token] {
        let parameters =
            [("client_id", "gateway"), ("client_secret", &*WORLD.client_secret), ("token", token)];
        check(form(&parameters).as_bytes());
        check(form(&edited(&parameters, &edits)).as_bytes());
    }
    check(body);
    if let Ok(read) = cursor.parse::<FeedCursor>() {
        assert_eq!(read.to_string(), cursor);
    }
});

fn check(body: &[u8]) {
    let request = FormRequest::new(body);
    match block_on(WORLD.server.introspect(&request)) {
        Ok(answer) => assert_eq!(answer, Introspection::Inactive),
        Err(error) => assert!((400..500).contains(&error.status()), "{error:?}"),
    }
    if let Err(error) = block_on(WORLD.server.revoke(&request)) {
        assert!((400..500).contains(&error.status()), "{error:?}");
    }
    let own = [("client_id", "gateway"), ("client_secret", &*WORLD.client_secret)];
    let own = form(&own);
    let request = FormRequest::new(&own);
    let feed = block_on(WORLD.server.revocations(&request, FeedCursor::default())).unwrap();
    assert_eq!(feed.entries, []);
}
