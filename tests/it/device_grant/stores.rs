//! Several processes over one store: a device, its user and its polls may each reach another.

use std::sync::Arc;

use grantor::endpoint::{DeviceGrant, FormRequest};
use grantor::http::HttpEndpoints;
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use http::Request;

use super::{GRANT_TYPE, tv};
use crate::support::{Answered, Lines, ROOT, World, ask, body_of, encode, new_key};

const NEW_ROOT: &[u8] = b"fedcba9876543210fedcba9876543210";

/// D9, D19: a user code is found by another process, also after a new root has come.
#[test]
fn a_user_code_is_found_under_an_older_root() {
    let world = World::with(|builder| builder.device_grant(DeviceGrant::new(MemoryStore::new())));
    let pending = Arc::new(MemoryStore::new());
    let store = || (Arc::clone(&world.store), Arc::clone(&world.users));
    let (rows, users) = store();
    let old = world.beside(new_key(), rows, users);
    let old = old.device_grant(DeviceGrant::new(Arc::clone(&pending))).build();
    let secret = ServerSecret::new(NEW_ROOT).unwrap().accepting(ROOT).unwrap();
    let (rows, users) = store();
    let issuer = old.issuer().clone();
    let new = grantor::AuthorizationServer::builder(issuer, secret, new_key(), rows, users)
        .clock(Arc::clone(&world.clock))
        .device_grant(DeviceGrant::new(pending))
        .build();
    let app = world.register(tv());
    let body = body_of(&app, &[]);
    let request = FormRequest::new(&body);
    let codes = pollster::block_on(old.device_authorization(&request)).unwrap();
    let new = Arc::new(new);
    let endpoints = HttpEndpoints::new(Arc::clone(&new), Lines).with_device_pages();
    let submit = |form: &[(&str, &str)]| {
        let request = Request::post("/oauth/device")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", "ann");
        let answer = pollster::block_on(endpoints.handle(request.body(encode(form)).unwrap()));
        Answered::from(answer.unwrap())
    };
    let page = submit(&[("user_code", &codes.user_code())]);
    assert_eq!(page.status, 200, "{page:?}");
    let ticket = page.body.split('|').nth(2).unwrap();
    let form = [("ticket", ticket), ("decision", "approve"), ("scope", "a")];
    assert_eq!(submit(&form).body, "decided|true");
    let poll = body_of(
        &app,
        &[("grant_type", GRANT_TYPE), ("device_code", codes.device_code.expose_secret())],
    );
    assert_eq!(ask(&old, &poll).status, 200);
    assert_eq!(ask(&*new, &poll).status, 200);
    let shown = format!("{codes:?}");
    assert!(!shown.contains(&codes.user_code()) && !shown.contains("gdc_"), "{shown}");
}
