//! The refresh grant: its tokens, its scope and its end. Spent tokens have a file of their own.

use std::time::Duration;

use grantor::app::Flow;
use grantor::ids::Resource;
use grantor::users::User;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{backend_app, backend_jwt};
use crate::support::{
    Answer, App, CALLBACK, START, World, code_app, code_query, public_app, scope, subject,
};

fn refresh_with(world: &World, app: &App, token: &str, more: &[(&str, &str)]) -> Answer {
    let form = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
    world.post(app, &form)
}

fn token(answer: &Answer) -> &str {
    answer.text("refresh_token")
}

/// R1, R2: without a token the request is invalid; with a token that the server did not issue the
/// grant is.
#[test]
fn a_missing_or_foreign_refresh_token_is_refused() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    world.post(&app, &[("grant_type", "refresh_token")]).assert_error(400, "invalid_request");
    world.assert_refused("parse", "missing_parameter", None);
    world.refresh(&app, "").assert_error(400, "invalid_request");
    let elsewhere = World::unlimited();
    let foreign = elsewhere.tokens(&elsewhere.register(code_app()));
    let right = token(&tokens);
    let upper = right.to_uppercase();
    let access = tokens.text("access_token");
    for wrong in
        ["x", "grt_", &right[1..], &right[..right.len() - 1], &upper, access, token(&foreign)]
    {
        world.refresh(&app, wrong).assert_error(400, "invalid_grant");
        world.assert_refused("grant", "invalid_handle", None);
    }
    assert_eq!(world.refresh(&app, right).status, 200);
}

/// R4: another app cannot use a refresh token, and its attempt does not affect the owner.
#[test]
fn another_app_cannot_use_a_refresh_token_and_the_owner_still_can() {
    let world = World::unlimited();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let public = world.register(public_app());
    let tokens = world.tokens(&app);
    for thief in [&other, &public] {
        for _ in 0..3 {
            world.refresh(thief, token(&tokens)).assert_error(400, "invalid_grant");
            world.assert_refused("grant", "invalid_handle", None);
        }
    }
    world
        .refresh(&App { secret: None, ..app.clone() }, token(&tokens))
        .assert_error(401, "invalid_client");
    assert!(!world.is_revoked(&tokens));
    assert_eq!(world.refresh(&app, token(&tokens)).status, 200);
}

/// R5: an app that lost its refresh tokens, or the flow that issued them, is unauthorized. The
/// tokens work again once the setting returns.
#[test]
fn an_app_that_lost_its_refresh_tokens_is_unauthorized() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    world.edit(&app, |draft| draft.refresh_token(false));
    world.refresh(&app, token(&tokens)).assert_error(400, "unauthorized_client");
    world.assert_refused("grant", "refresh_not_allowed", Some("refresh_token"));
    let jwt = backend_jwt().with_refresh_token(true);
    world.edit(&app, |draft| draft.refresh_token(true).flows([Flow::JwtBearer]).jwt(jwt));
    world.refresh(&app, token(&tokens)).assert_error(400, "unauthorized_client");
    world.assert_refused("grant", "flow_not_allowed", Some("flows"));
    world.edit(&app, |draft| draft.flows([Flow::AuthorizationCode]));
    assert_eq!(world.refresh(&app, token(&tokens)).status, 200);
}

/// R6, R7: a refresh cannot widen the scope. It may narrow the access token's; the grant keeps its
/// scope.
#[test]
fn a_refresh_may_narrow_the_access_token_only() {
    let world = World::unlimited();
    let app = world.register(code_app().scope(scope("a b c d GET/users/*")));
    let verifier =
        grantor::protocol::CodeVerifier::generate(&grantor::random::OsRandom::new()).unwrap();
    let query = code_query(&app, &verifier, &[("scope", "a b GET/users/*")]);
    let code = world.approve(&query).unwrap().remove("code").unwrap();
    let tokens = world.redeem(&app, &code, verifier.expose_secret());
    for wide in ["d", "a b c", "a z", "GET/*", "DELETE/users/1", "A"] {
        refresh_with(&world, &app, token(&tokens), &[("scope", wide)])
            .assert_error(400, "invalid_scope");
        world.assert_refused("scope", "scope_exceeds_grant", None);
    }
    refresh_with(&world, &app, token(&tokens), &[("scope", "a\"")])
        .assert_error(400, "invalid_scope");
    let narrow = refresh_with(&world, &app, token(&tokens), &[("scope", "a GET/users/42")]);
    assert_eq!(narrow.text("scope"), "GET/users/42 a");
    assert_eq!(narrow.claims()["scope"], "GET/users/42 a");
    let full = world.refresh(&app, token(&narrow));
    assert_eq!(full.text("scope"), tokens.text("scope"));
    let other = refresh_with(&world, &app, token(&full), &[("scope", "b")]);
    assert_eq!(other.text("scope"), "b");
}

/// R3, R16: a grant ends at its absolute expiry, to the millisecond, however recent the token. No
/// access token outlives it.
#[test]
fn rotation_does_not_extend_the_grant() {
    let world = World::unlimited();
    world.clock.advance(Duration::from_millis(700));
    let app = world.register(code_app().refresh_token_lifetime(5_000).access_token_lifetime(3_600));
    let mut tokens = world.tokens(&app);
    assert_eq!(tokens.json["expires_in"], 3_600);
    for (elapsed, expected) in [(1_000, 3_600), (2_000, 3_000), (4_000, 1_000), (4_999, 1)] {
        world.clock.set(grantor::clock::UnixTime::from_millis((START + elapsed) * 1_000 + 700));
        tokens = world.refresh(&app, token(&tokens));
        assert_eq!(tokens.json["expires_in"], expected);
        let exp = tokens.claims()["exp"].as_i64().unwrap();
        assert!(exp <= START + 5_000, "{exp}");
    }
    world.clock.advance(Duration::from_millis(999));
    tokens = world.refresh(&app, token(&tokens));
    assert!(tokens.claims()["exp"].as_i64().unwrap() <= START + 5_000);
    world.clock.advance(Duration::from_millis(1));
    world.refresh(&app, token(&tokens)).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "grant_expired", None);
}

/// R16: an edited lifetime applies to later grants only.
#[test]
fn an_edit_does_not_extend_a_grant() {
    let world = World::unlimited();
    let app = world.register(code_app().refresh_token_lifetime(100));
    let tokens = world.tokens(&app);
    world.edit(&app, |draft| draft.refresh_token_lifetime(10_000));
    world.advance(99);
    let next = world.refresh(&app, token(&tokens));
    assert_eq!(next.json["expires_in"], 1);
    world.advance(1);
    world.refresh(&app, token(&next)).assert_error(400, "invalid_grant");
}

/// R3: an idle refresh token expires. Each use restarts the idle time; a live access token does not
/// keep the grant alive.
#[test]
fn an_idle_refresh_token_expires() {
    let world = World::unlimited();
    let app = world.register(code_app().refresh_token_idle_lifetime(Some(100)));
    let mut tokens = world.tokens(&app);
    for _ in 0..5 {
        world.clock.advance(Duration::from_millis(99_999));
        tokens = world.refresh(&app, token(&tokens));
        assert_eq!(tokens.status, 200, "{tokens:?}");
    }
    world.advance(100);
    world.refresh(&app, token(&tokens)).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "grant_expired", None);
    assert!(!world.is_revoked(&tokens));
    // Before its redemption a code has its own lifetime, not the idle one.
    let slow = world.register(code_app().refresh_token_idle_lifetime(Some(1)).code_lifetime(60));
    let (code, verifier) = world.code(&slow);
    world.advance(59);
    assert_eq!(world.redeem(&slow, &code, &verifier).status, 200);
}

/// R17: the user must exist and be active. A refusal does not consume the token.
#[test]
fn a_removed_or_inactive_user_gets_no_token() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let back = User::new(subject("ann"));
    for gone in [true, false] {
        if gone {
            world.users.remove(&subject("ann"));
        } else {
            world.users.put(back.clone().with_active(false));
        }
        for _ in 0..3 {
            world.refresh(&app, token(&tokens)).assert_error(400, "invalid_grant");
            world.assert_refused("grant", "inactive_user", None);
        }
    }
    assert!(!world.is_revoked(&tokens));
    world.users.put(back);
    assert_eq!(world.refresh(&app, token(&tokens)).status, 200);
}

/// R17: a withdrawn consent revokes the grants of that app and user and no other. A new consent
/// does not restore them.
#[test]
fn a_withdrawn_consent_revokes_the_grant() {
    let world = World::unlimited();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let (tokens, beside) = (world.tokens(&app), world.tokens(&other));
    let admin = world.server.admin("tester");
    block_on(admin.withdraw_consent(&app.id, &subject("ann"))).unwrap();
    let anew = world.tokens(&app);
    for _ in 0..2 {
        world.refresh(&app, token(&tokens)).assert_error(400, "invalid_grant");
        world.assert_refused("claim", "grant_revoked", None);
    }
    assert!(world.is_revoked(&tokens) && !world.is_revoked(&anew) && !world.is_revoked(&beside));
    assert_eq!(world.refresh(&app, token(&anew)).status, 200);
    assert_eq!(world.refresh(&other, token(&beside)).status, 200);
}

/// R18: a refresh gives the granted scope that the app still has. If none is left, the scope is
/// invalid, and the token stays usable until some of it is allowed again.
#[test]
fn a_refresh_gives_no_scope_that_the_app_lost() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let mut tokens = world.tokens(&app);
    let admin = world.server.admin("tester");
    block_on(admin.remove_scope(&app.id, &scope("c"))).unwrap();
    refresh_with(&world, &app, token(&tokens), &[("scope", "c")])
        .assert_error(400, "invalid_scope");
    world.assert_refused("scope", "scope_exceeds_app", Some("scope"));
    tokens = world.refresh(&app, token(&tokens));
    assert_eq!(tokens.text("scope"), "a b");
    world.edit(&app, |draft| draft.scope(scope("d")));
    world.refresh(&app, token(&tokens)).assert_error(400, "invalid_scope");
    world.assert_refused("scope", "scope_withdrawn", Some("scope"));
    block_on(admin.add_scope(&app.id, &scope("a b c"))).unwrap();
    assert_eq!(world.refresh(&app, token(&tokens)).text("scope"), "a b c");
}

/// R19, M4: a refresh is for the API of its grant, while the app may ask for it.
#[test]
fn a_refresh_cannot_change_the_resource() {
    let world = World::unlimited();
    let [files, mail] = ["https://files.example.com", "https://mail.example.com"]
        .map(|it| Resource::new(it).unwrap());
    let app = world.register(code_app().resources([files.clone(), mail.clone()]));
    let verifier =
        grantor::protocol::CodeVerifier::generate(&grantor::random::OsRandom::new()).unwrap();
    let query = code_query(&app, &verifier, &[("resource", files.as_str())]);
    let code = world.approve(&query).unwrap().remove("code").unwrap();
    let mut tokens = world.redeem(&app, &code, verifier.expose_secret());
    assert_eq!(tokens.claims()["aud"], files.as_str());
    for other in [mail.as_str(), crate::support::ISSUER, CALLBACK] {
        refresh_with(&world, &app, token(&tokens), &[("resource", other)])
            .assert_error(400, "invalid_target");
        world.assert_refused("scope", "resource_not_granted", None);
    }
    tokens = refresh_with(&world, &app, token(&tokens), &[("resource", files.as_str())]);
    assert_eq!(tokens.claims()["aud"], files.as_str());
    world.edit(&app, |draft| draft.resources([mail.clone()]));
    world.refresh(&app, token(&tokens)).assert_error(400, "invalid_target");
    world.edit(&app, |draft| draft.resources([mail.clone(), files.clone()]));
    assert_eq!(world.refresh(&app, token(&tokens)).claims()["aud"], files.as_str());

    // A grant for the app's default is for no other API.
    let tokens = world.tokens(&app);
    refresh_with(&world, &app, token(&tokens), &[("resource", mail.as_str())])
        .assert_error(400, "invalid_target");
}

/// N12: a grant of a request without `resource`, its code and a remembered consent stay with the default
/// that the app had at the decision.
#[test]
fn an_edited_default_leaves_earlier_decisions_alone() {
    let world = World::unlimited();
    let [files, mail] = ["https://files.example.com", "https://mail.example.com"]
        .map(|it| Resource::new(it).unwrap());
    let issuer = crate::support::ISSUER;
    let defaults = [None, Some(files.clone()), Some(mail.clone())];
    for (before, after) in [(0, 1), (1, 2), (2, 0)] {
        let [before, after] = [before, after].map(|place: usize| defaults[place].clone());
        let draft = code_app().resources([files.clone(), mail.clone()]);
        let app = world.register(draft.default_resource(before.clone()));
        let expected = before.as_ref().map_or(issuer, Resource::as_str);
        let tokens = world.tokens(&app);
        let (code, verifier) = world.code(&app);
        let (prompt, _) = crate::consent::ask(&world, &app, &[]);
        crate::consent::approve(&world, &prompt.ticket).unwrap();
        assert!(!crate::consent::is_asked(&world, &app, &[]));
        world.edit(&app, |draft| draft.default_resource(after.clone()));
        let refreshed = world.refresh(&app, token(&tokens));
        assert_eq!(refreshed.claims()["aud"], expected);
        let told = world.introspect(&app, token(&refreshed));
        assert_eq!(told.json["aud"], expected);
        assert_eq!(world.redeem(&app, &code, &verifier).claims()["aud"], expected);
        let new = after.as_ref().map_or(issuer, Resource::as_str);
        refresh_with(&world, &app, token(&refreshed), &[("resource", new)])
            .assert_error(400, "invalid_target");
        // The consent was for the earlier API, and its scope is not added to a new one.
        assert!(crate::consent::is_asked(&world, &app, &[]));
        let (prompt, _) = crate::consent::ask(&world, &app, &[("scope", "a")]);
        let code = crate::consent::approve(&world, &prompt.ticket).unwrap();
        assert!(!code.is_empty());
        assert!(!crate::consent::is_asked(&world, &app, &[("scope", "a")]));
        assert!(crate::consent::is_asked(&world, &app, &[("scope", "a b")]));
        assert_eq!(world.tokens(&app).claims()["aud"], new);
    }
}

/// N12: an impersonation stays with the API of its first token, the app's default then or the one that the
/// request named.
#[test]
fn an_edited_default_leaves_an_impersonation_alone() {
    let world = World::unlimited();
    let apis = ["https://files.example.com", "https://mail.example.com"];
    let [files, mail] = apis.map(|it| Resource::new(it).unwrap());
    let jwt = backend_jwt().with_refresh_token(true);
    let draft = backend_app().refresh_token(true).jwt(jwt).resources([files.clone(), mail.clone()]);
    let app = world.register(draft.default_resource(Some(files.clone())));
    let by_default = world.act(&app, &json!({}));
    let assertion = world.assertion(&app, &json!({}));
    let named = world.present(&app, &assertion, &[("resource", mail.as_str())]);
    for edited in [Some(mail.clone()), None, Some(files.clone())] {
        world.edit(&app, |draft| draft.default_resource(edited));
        for (tokens, api) in [(&by_default, &files), (&named, &mail)] {
            assert_eq!(tokens.claims()["aud"], api.as_str());
            let refreshed = world.refresh(&app, token(tokens));
            assert_eq!(refreshed.claims()["aud"], api.as_str());
        }
    }
}

/// An access token states the instant of the decision, and rotation does not change it. So a cutoff
/// voids every descendant of an earlier decision.
#[test]
fn rotation_keeps_the_instant_of_the_decision() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let mut tokens = world.tokens(&app);
    let (at, grant) =
        (tokens.claims()["authorized_at"].clone(), tokens.claims()["grant_id"].clone());
    let mut ids = std::collections::HashSet::new();
    for _ in 0..20 {
        world.advance(100);
        tokens = world.refresh(&app, token(&tokens));
        assert_eq!(tokens.claims()["authorized_at"], at);
        assert_eq!(tokens.claims()["grant_id"], grant);
        assert!(ids.insert(tokens.claims()["jti"].to_string()));
    }
}
