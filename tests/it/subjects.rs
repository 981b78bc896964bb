//! Users and apps of the same identifier.

use grantor::admin::ImportedApp;
use grantor::app::Flow;
use grantor::ids::ClientId;
use grantor::users::User;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{backend_jwt, impersonator};
use crate::support::{World, code_app, code_query, new_verifier, subject};

/// N14: in a token, `sub` is `client_id` exactly if the app acts for itself (RFC 9068 section 5). No
/// app is registered under the subject of a user, and no user gets tokens of an app of that name.
#[test]
fn no_token_of_a_user_passes_for_one_of_an_app() {
    let world = World::unlimited();
    let admin = world.server.admin("root");
    for taken in ["ann", "gone"] {
        let app = ImportedApp::new(ClientId::new(taken).unwrap(), code_app().build().unwrap());
        let error = block_on(admin.import(app)).unwrap_err();
        assert!(error.to_string().contains("client_id"), "{error}");
        assert_eq!(world.events()[0].outcome.setting(), Some("client_id"));
        assert!(block_on(admin.find(&ClientId::new(taken).unwrap())).unwrap().is_none());
    }
    // A user who comes later.
    let app = world.import("eve", code_app().flow(Flow::ClientCredentials));
    world.users.put(User::new(subject("eve")));
    let own = world.post(&app, &[("grant_type", "client_credentials")]);
    assert_eq!((&own.claims()["sub"], &own.claims()["client_id"]), (&json!("eve"), &json!("eve")));
    let page = world.visit(&code_query(&app, &new_verifier(), &[]), "eve");
    assert_eq!((page.status, page.body.as_str()), (400, "error subject_is_client_id"));
    let bearer = world.import("backend", impersonator(backend_jwt()));
    world.users.put(User::new(subject("backend")));
    let assertion = world.assertion(&bearer, &json!({"sub": "backend"}));
    world.present(&bearer, &assertion, &[]).assert_error(400, "invalid_grant");
    // Another user, and the user at another app.
    assert_eq!(world.tokens(&app).claims()["sub"], "ann");
    let assertion = world.assertion(&bearer, &json!({"sub": "eve"}));
    assert_eq!(world.present(&bearer, &assertion, &[]).claims()["sub"], "eve");
}
