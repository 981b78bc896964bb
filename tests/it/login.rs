//! Logging in: when the user did, when the user has to again, and what an app may demand.

use grantor::authorization_endpoint::{Decision, Login};
use grantor::clock::UnixTime;
use serde_json::json;

use crate::consent::{ask, code_of, decide, rows};
use crate::support::{START, World, ann, code_app};

/// `ann`, who logged in at this second.
fn ann_since(seconds: i64) -> Login {
    ann().with_auth_time(UnixTime::from_seconds(seconds))
}

/// R23: an access token says when the user had logged in, in seconds, and a refresh does not
/// change it, whenever the user logs in again.
#[test]
fn a_token_says_when_the_user_logged_in_and_a_refresh_does_not_change_it() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (prompt, verifier) = ask(&world, &app, &[]);
    let login = ann().with_auth_time(UnixTime::from_millis((START - 100) * 1_000 + 999));
    let response = decide(&world, &prompt.ticket, &login, Decision::approve()).unwrap();
    assert_eq!(rows(&world)[0].auth_time, Some(UnixTime::from_seconds(START - 100)));
    let mut tokens = world.redeem(&app, &code_of(&response), &verifier);
    for _ in 0..5 {
        assert_eq!(tokens.claims()["auth_time"], json!(START - 100));
        world.advance(100);
        // Another login, another grant.
        let (prompt, _) = ask(&world, &app, &[("prompt", "consent")]);
        decide(&world, &prompt.ticket, &ann_since(START), Decision::approve()).unwrap();
        tokens = world.refresh(&app, tokens.text("refresh_token"));
    }
}

/// What the host did not tell no token says.
#[test]
fn a_token_is_silent_where_the_host_is() {
    let world = World::new();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    assert_eq!(tokens.claims().get("auth_time"), None);
    let refreshed = world.refresh(&app, tokens.text("refresh_token"));
    assert_eq!(refreshed.claims().get("auth_time"), None);
}
