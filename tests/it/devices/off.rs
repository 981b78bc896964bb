//! A server without devices.

use std::sync::Arc;

use grantor::http::HttpEndpoints;

use super::{CHECK, SUCCESS, client_id, phone_app};
use crate::support::{CALLBACK, Lines, World};

/// W1, W8: without devices no parameter is read, no path answers, and no metadata name one.
#[test]
fn a_server_without_devices_has_nothing_of_them() {
    let world = World::unlimited();
    let app = world.register(phone_app());
    let (code, verifier) = world.code(&app);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &*verifier),
        ("install_tag_id", "\u{1}"),
        ("install_name", "\u{1}"),
    ];
    let tokens = world.post(&app, &form);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert!(tokens.claims().get("device").is_none());
    let refreshed = world.refresh(&app, tokens.text("refresh_token"));
    assert_eq!(refreshed.status, 200);
    world.advance(600);
    let dead = world.refresh(&app, tokens.text("refresh_token"));
    dead.assert_error(400, "invalid_grant");
    assert!(dead.json.get("wipe_check").is_none());

    let endpoints = HttpEndpoints::new(Arc::clone(&world.server), Lines);
    for path in [CHECK, SUCCESS, "/oauth/device/policy", "/index.php/core/wipe/check"] {
        assert_eq!(endpoints.endpoint_at(path), None, "{path}");
    }
    assert!(!world.server.metadata().contains("device"));
    let refused = endpoints.with_nextcloud_wipe([client_id("app")]);
    assert!(refused.is_err());
}
