//! The `scope` claim of an assertion.

use serde_json::json;

use crate::assertions::{backend_app, backend_jwt, impersonator};
use crate::support::{World, scope};

/// N18: a signed scope is a ceiling. The parameter narrows it, and cannot widen it.
#[test]
fn the_scope_parameter_only_narrows_the_signed_scope() {
    let world = World::new();
    let app = world.register(backend_app());
    for (signed, asked, given) in [
        (Some("a"), None, Ok("a")),
        (Some("a b"), Some("a"), Ok("a")),
        (Some("a b"), Some("b a"), Ok("a b")),
        (Some("a"), Some("a b"), Err("scope_exceeds_assertion")),
        (Some("a"), Some("b"), Err("scope_exceeds_assertion")),
        (Some("a"), Some("a b c"), Err("scope_exceeds_assertion")),
        (Some("a z"), Some("a"), Ok("a")),
        (Some("a z"), Some("z"), Err("scope_exceeds_app")),
        (Some("a z"), None, Err("scope_exceeds_app")),
        (Some("a\""), Some("a"), Err("malformed_scope")),
        (Some("a"), Some("a\""), Err("malformed_scope")),
        (Some(""), Some("b"), Ok("b")),
        (Some(""), None, Ok("a b c")),
        (None, Some("b"), Ok("b")),
        (None, None, Ok("a b c")),
    ] {
        let assertion = world.assertion(&app, &json!({ "scope": signed }));
        let more: Vec<_> = asked.map(|asked| ("scope", asked)).into_iter().collect();
        let answer = world.present(&app, &assertion, &more);
        match given {
            Ok(given) => {
                assert_eq!(answer.status, 200, "{signed:?} {asked:?}: {answer:?}");
                assert_eq!(answer.text("scope"), given, "{signed:?} {asked:?}");
                assert_eq!(answer.claims()["scope"], given);
            }
            Err(reason) => {
                answer.assert_error(400, "invalid_scope");
                assert_eq!(
                    world.last_event().outcome.reason(),
                    Some(reason),
                    "{signed:?} {asked:?}"
                );
                // The assertion is not used up.
                let answer = world.present(&app, &assertion, &[("scope", "a")]);
                assert_eq!(answer.status == 200, !signed.unwrap().contains('"'), "{answer:?}");
            }
        }
    }
}

/// N18: a blank parameter stands for the signed scope, never for more.
#[test]
fn a_blank_scope_parameter_does_not_escape_the_signed_scope() {
    let world = World::new();
    let app = world.register(backend_app());
    for blank in ["", " ", "   "] {
        let assertion = world.assertion(&app, &json!({ "scope": "a" }));
        let answer = world.present(&app, &assertion, &[("scope", blank)]);
        assert_eq!((answer.status, answer.text("scope")), (200, "a"), "{blank:?}: {answer:?}");
    }
}

/// N18: the ceiling covers by patterns, and holds for what descends from the grant.
#[test]
fn the_ceiling_holds_for_patterns_and_for_refresh_tokens() {
    let world = World::new();
    let jwt = backend_jwt().with_refresh_token(true);
    let draft = impersonator(jwt).refresh_token(true).scope(scope("GET/users/* PUT/users/*"));
    let app = world.register(draft);
    let assertion = world.assertion(&app, &json!({ "scope": "GET/users/*" }));
    world
        .present(&app, &assertion, &[("scope", "PUT/users/42")])
        .assert_error(400, "invalid_scope");
    let tokens = world.present(&app, &assertion, &[("scope", "GET/users/42")]);
    assert_eq!(tokens.text("scope"), "GET/users/42");
    let refresh_token = tokens.text("refresh_token");
    assert_eq!(world.refresh(&app, refresh_token).text("scope"), "GET/users/42");
}
