//! Apps that register themselves, over the wire (RFC 7591, RFC 7592).

mod endpoint;
mod floods;
mod management;
mod modes;
mod pruning;

use grantor::app::AppTemplate;
use grantor::endpoint::{Registration, RegistrationAccess};
use grantor::ids::ClientId;
use grantor::rate_limit::RateLimits;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::support::{Answered, App, World, scope};

const REGISTER: &str = "/oauth/register";

/// A template with the scope `a b c`, refresh tokens and the scheme `cursor`.
fn template() -> AppTemplate {
    AppTemplate::new(scope("a b c")).refresh_token(true).custom_schemes(["cursor"])
}

fn open() -> Registration {
    Registration::new(template(), RegistrationAccess::Open).unwrap()
}

/// A server with these rules, and without rate limits.
fn world(rules: Registration) -> World {
    World::with(|builder| builder.registration(rules).rate_limits(RateLimits::none()))
}

/// The metadata of a public app with the callback of the support.
fn public() -> Value {
    json!({
        "client_name": "Editor",
        "redirect_uris": [crate::support::CALLBACK],
        "token_endpoint_auth_method": "none",
    })
}

/// `metadata` with each member of `changes`; `null` removes one.
fn with(metadata: Value, changes: Value) -> Value {
    let (Value::Object(mut metadata), Value::Object(changes)) = (metadata, changes) else {
        panic!("not objects")
    };
    for (name, value) in changes {
        metadata.insert(name, value);
    }
    metadata.retain(|_, value| !value.is_null());
    Value::Object(metadata)
}

fn send(world: &World, method: Method, path: &str, token: Option<&str>, body: &str) -> Answered {
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    world.send(request.body(body.to_owned()).unwrap())
}

fn register(world: &World, metadata: &Value) -> Answered {
    send(world, Method::POST, REGISTER, None, &metadata.to_string())
}

/// Registers an app, and returns the answer.
#[track_caller]
fn registered(world: &World, metadata: &Value) -> Value {
    let answer = register(world, metadata);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// The app of an answer, as its client knows it.
fn app(answer: &Value) -> App {
    App {
        id: ClientId::new(answer["client_id"].as_str().unwrap()).unwrap(),
        secret: answer["client_secret"].as_str().map(str::to_owned),
        signature_secret: None,
    }
}

/// The description of an error.
#[track_caller]
fn problem(answer: &Answered, status: u16, code: &str) -> String {
    answer.assert_error(status, code);
    answer.json()["error_description"].as_str().unwrap().to_owned()
}
