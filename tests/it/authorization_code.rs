//! The authorization code flow, from the request to the tokens.

use crate::support::{World, code_app};

/// G17, G18: a whole flow gives an access token, its scope, and a refresh token where the app gets
/// one.
#[test]
fn a_code_becomes_tokens() {
    let world = World::new();
    let app = world.register(code_app());
    let answer = world.tokens(&app);
    assert_eq!(answer.text("scope"), "a b c");
    assert_eq!(answer.text("token_type"), "Bearer");
    let claims = answer.claims();
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["client_id"], app.id.as_str());
    let next = world.refresh(&app, answer.text("refresh_token"));
    assert_eq!(next.status, 200, "{next:?}");
    assert_ne!(next.text("refresh_token"), answer.text("refresh_token"));
}
