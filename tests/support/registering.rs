//! Apps register themselves, over any store.

use std::time::Duration;

use grantor::app::AppTemplate;
use grantor::clock::{Clock as _, ManualClock, SystemClock};
use grantor::endpoint::{Registration, RegistrationAccess};
use grantor::hooks::NoHooks;
use grantor::ids::ClientId;
use grantor::rate_limit::RateLimits;
use grantor::store::Store;
use grantor::store::conformance::Runner;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::shared::{Answered, App, CALLBACK, World, new_key, scope};

/// Y10, Y11, Y14: apps register up to the limit, one gets tokens, changes and deletes itself, and a prune ends the
/// unused one. No step raises the number that caches compare.
pub(crate) fn apps_register_change_and_end<S: Store + 'static, R: Runner>(store: S, runner: R) {
    let template = AppTemplate::new(scope("a b")).refresh_token(true);
    let rules = Registration::new(template, RegistrationAccess::Open).unwrap();
    let rules = rules.management(true).max_apps(3).unused_lifetime(Duration::from_mins(1));
    let clock = ManualClock::new(SystemClock::new().now());
    let world: World<NoHooks, S, ManualClock, R> =
        World::over(store, clock, runner, new_key(), |builder| {
            builder.registration(rules).rate_limits(RateLimits::none())
        });
    let version = || world.block_on(world.store.apps_version()).unwrap().version;
    let count = || world.block_on(world.store.count_self_registered_apps(10)).unwrap();
    let before = version();
    let send = |method: Method, path: &str, token: Option<&str>, body: &Value| -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json");
        world.send(request.body(body.to_string()).unwrap())
    };
    let named = |name: &str| {
        json!({
            "client_name": name,
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "client_secret_post",
        })
    };
    let register = |name: &str| send(Method::POST, "/oauth/register", None, &named(name));
    let app_of = |told: &Value| App {
        id: ClientId::new(told["client_id"].as_str().unwrap()).unwrap(),
        secret: told["client_secret"].as_str().map(str::to_owned),
        signature_secret: None,
    };
    let manage = |told: &Value, method: Method, body: &Value| {
        let url = told["registration_client_uri"].as_str().unwrap();
        let path = url.strip_prefix("https://as.example.com").unwrap();
        send(method, path, told["registration_access_token"].as_str(), body)
    };

    let told: Vec<_> = ["used", "unused", "gone"]
        .map(|name| {
            let answer = register(name);
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.json()
        })
        .into();
    assert_eq!((register("too many").status, count()), (429, 3));
    let used = app_of(&told[0]);
    let tokens = world.tokens(&used);

    let mut changed = named("changed");
    changed["client_id"] = told[0]["client_id"].clone();
    let answer = manage(&told[0], Method::PUT, &changed);
    assert_eq!((answer.status, &answer.json()["client_name"]), (200, &json!("changed")));
    assert_eq!(manage(&told[0], Method::GET, &Value::Null).status, 401);
    let read = manage(&answer.json(), Method::GET, &Value::Null);
    assert_eq!((read.status, &read.json()["client_name"]), (200, &json!("changed")));
    assert_eq!(world.refresh(&used, tokens.text("refresh_token")).status, 200);

    let gone = world.tokens(&app_of(&told[2]));
    assert_eq!(manage(&told[2], Method::DELETE, &Value::Null).status, 204);
    assert!(world.is_revoked(&gone));
    assert_eq!(count(), 2);

    world.clock.advance(Duration::from_secs(61));
    let admin = world.server.admin("tester");
    while world.block_on(admin.prune(1)).unwrap().more {}
    assert_eq!(count(), 1);
    assert!(world.block_on(world.store.find_app(&used.id)).unwrap().is_some());
    assert_eq!(version(), before);
    world.register(crate::shared::public_app());
    assert!(version() > before);
}
