//! Requests for more scope than an app may have, and for a refresh token.

use grantor::app::{AppDraft, ScopePolicy};
use serde_json::json;

use crate::assertions::{backend_jwt, impersonator};
use crate::support::{
    App, World, code_app, code_query, machine_app, new_verifier, parameters, public_app, scope,
};

const OWN: (&str, &str) = ("grant_type", "client_credentials");

/// Returns the answer to a code flow that asks for this scope, or the error of its redirect.
fn flow(world: &World, app: &App, asked: &str) -> Result<crate::support::Answer, String> {
    let verifier = new_verifier();
    let query = code_query(app, &verifier, &[("scope", asked)]);
    let code = match world.approve(&query) {
        Ok(mut answer) => answer.remove("code").unwrap(),
        Err(error) => return Err(parameters(error.location().unwrap())["error"].clone()),
    };
    Ok(world.redeem(app, &code, verifier.expose_secret()))
}

/// Z5, M11, M12: `offline_access` is no scope of a token and no error. The app's setting alone decides
/// about the refresh token.
#[test]
fn offline_access_is_accepted_and_never_in_a_token() {
    let world = World::unlimited();
    for (draft, refresh) in [
        (code_app(), true),
        (public_app(), true),
        (code_app().refresh_token(false), false),
        (code_app().scope(scope("a b c offline_access")), true),
        (code_app().scope_policy(ScopePolicy::Reduce), true),
    ] {
        let app = world.register(draft);
        for (asked, given) in [
            ("a offline_access", "a"),
            ("offline_access", "a b c"),
            (" offline_access  b a ", "a b"),
            ("a b c", "a b c"),
            ("", "a b c"),
        ] {
            let tokens = flow(&world, &app, asked).unwrap();
            assert_eq!(tokens.text("scope"), given, "{asked:?}");
            assert_eq!(tokens.claims()["scope"], given);
            assert_eq!(tokens.json.get("refresh_token").is_some(), refresh);
            if refresh {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", tokens.text("refresh_token")),
                    ("scope", asked),
                ];
                assert_eq!(world.post(&app, &form).text("scope"), given, "{asked:?}");
            }
        }
    }
    let machine = world.register(machine_app());
    let answer = world.post(&machine, &[OWN, ("scope", "a offline_access")]);
    assert_eq!(answer.text("scope"), "a");
    let bearer = world.register(impersonator(backend_jwt()).scope(scope("a b")));
    let answer = world.act(&bearer, &json!({"scope": "a offline_access"}));
    assert_eq!(answer.text("scope"), "a");
}

/// Z5, M15: scopes that an app may not have are refused, or left out if the app is set so. The answer
/// tells the scope; nothing is never granted.
#[test]
fn scopes_that_an_app_may_not_have_are_refused_or_left_out() {
    let world = World::unlimited();
    let strict = world.register(code_app());
    let lenient = world.register(code_app().scope_policy(ScopePolicy::Reduce));
    for asked in ["openid a", "a d", "openid profile email offline_access"] {
        assert_eq!(flow(&world, &strict, asked).unwrap_err(), "invalid_scope", "{asked}");
    }
    for (asked, given) in [("openid a", "a"), ("a d", "a"), ("d c offline_access b", "b c")] {
        let tokens = flow(&world, &lenient, asked).unwrap();
        assert_eq!((tokens.text("scope"), &tokens.claims()["scope"]), (given, &json!(given)));
        // A client that repeats its scope at each refresh gets the same part again.
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.text("refresh_token")),
            ("scope", asked),
        ];
        assert_eq!(world.post(&lenient, &form).text("scope"), given, "{asked}");
    }
    for asked in ["openid", "d offline_access", "A"] {
        assert_eq!(flow(&world, &lenient, asked).unwrap_err(), "invalid_scope", "{asked}");
    }
    // A malformed scope is refused in any case.
    for asked in ["a,b", "a \"b", "GET//x a"] {
        assert_eq!(flow(&world, &lenient, asked).unwrap_err(), "invalid_scope", "{asked}");
    }
    let tokens = flow(&world, &lenient, "a b").unwrap();
    world.edit(&lenient, |draft| draft.scope(scope("b c")));
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.text("refresh_token")),
        ("scope", "a b c"),
    ];
    // Neither what the user did not grant, nor what the app has lost.
    assert_eq!(world.post(&lenient, &form).text("scope"), "b");
}

/// Z5: the same at the grants without a user's decision.
#[test]
fn an_app_that_acts_alone_gets_what_it_may_have() {
    let world = World::unlimited();
    let reduce = |draft: AppDraft| world.register(draft.scope_policy(ScopePolicy::Reduce));
    let machine = reduce(machine_app());
    let answer = world.post(&machine, &[OWN, ("scope", "a x openid")]);
    assert_eq!((answer.text("scope"), &answer.claims()["scope"]), ("a", &json!("a")));
    world.post(&machine, &[OWN, ("scope", "x")]).assert_error(400, "invalid_scope");
    let bearer = reduce(impersonator(backend_jwt()).scope(scope("a b")));
    let answer = world.act(&bearer, &json!({"scope": "b x"}));
    assert_eq!(answer.text("scope"), "b");
}

/// Z14: doubled, leading and trailing spaces are taken as one, and a scope of spaces only as none.
#[test]
fn spaces_in_a_scope_are_taken_as_one() {
    let world = World::unlimited();
    let (app, machine) = (world.register(code_app()), world.register(machine_app()));
    for (asked, given) in
        [("a  b", "a b"), (" a b", "a b"), ("b a ", "a b"), ("   ", "a b c"), (" ", "a b c")]
    {
        let tokens = flow(&world, &app, asked).unwrap();
        assert_eq!(tokens.text("scope"), given, "{asked:?}");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.text("refresh_token")),
            ("scope", asked),
        ];
        assert_eq!(world.post(&app, &form).text("scope"), given, "{asked:?}");
        let own = world.post(&machine, &[OWN, ("scope", asked)]);
        assert_eq!(own.text("scope"), given, "{asked:?}");
    }
}
