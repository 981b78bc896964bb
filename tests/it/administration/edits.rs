//! Edits of an app that has live grants.

use std::time::Duration;

use grantor::app::{AppDraft, Flow, ImpersonationPolicy, JwtSettings};
use grantor::audit::Action;
use pollster::block_on;
use serde_json::json;

use super::out;
use crate::assertions::{Signer, backend_jwt, impersonator};
use crate::support::{App, World, code_app, scope};

/// `remove_scope`: codes and refresh tokens lose the scope from their next use on, and regain it
/// with the app; access tokens keep it.
#[test]
fn existing_grants_lose_scope_removed_from_the_app_until_it_is_added_again() {
    let world = World::new();
    let app = world.register(code_app());
    let mine = out(&world, &app);
    let admin = world.server.admin("root");
    block_on(admin.remove_scope(&app.id, &scope("c"))).unwrap();
    let [redeemed, refreshed] = mine.present(&world, &app);
    assert_eq!((redeemed.text("scope"), refreshed.text("scope")), ("a b", "a b"));
    assert_eq!(mine.tokens.claims()["scope"], "a b c");
    assert!(!world.is_revoked(&mine.tokens));

    world.edit(&app, |draft| draft.scope(scope("z")));
    let token = refreshed.text("refresh_token");
    world.refresh(&app, token).assert_error(400, "invalid_scope");
    block_on(admin.add_scope(&app.id, &scope("a b c d"))).unwrap();
    let again = world.refresh(&app, token);
    assert_eq!(again.text("scope"), "a b c", "no more than was granted");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", again.text("refresh_token")),
        ("scope", "d"),
    ];
    world.post(&app, &form).assert_error(400, "invalid_scope");
}

/// `add_scope`: codes and refresh tokens give no more than was granted.
#[test]
fn existing_grants_do_not_gain_scope_added_to_the_app() {
    let world = World::new();
    let app = world.register(code_app());
    let mine = out(&world, &app);
    block_on(world.server.admin("root").add_scope(&app.id, &scope("d"))).unwrap();
    for answer in mine.present(&world, &app) {
        assert_eq!(answer.text("scope"), "a b c");
    }
    assert_eq!(out(&world, &app).tokens.text("scope"), "a b c d");
}

/// A new access token lifetime applies to codes at once and to refresh tokens from the next refresh
/// on.
#[test]
fn a_new_access_token_lifetime_applies_to_the_next_token() {
    let world = World::new();
    let app = world.register(code_app());
    let mine = out(&world, &app);
    let expiry = mine.tokens.claims()["exp"].clone();
    world.edit(&app, |draft| draft.access_token_lifetime(60));
    for answer in mine.present(&world, &app) {
        assert_eq!(answer.json["expires_in"], 60);
    }
    assert_eq!(mine.tokens.claims()["exp"], expiry);
    assert!(!world.is_revoked(&mine.tokens));
}

/// Codes and refresh tokens that exist keep their lifetime, longer or shorter.
#[test]
fn existing_codes_and_refresh_tokens_keep_their_lifetimes() {
    let lifetimes =
        |draft: AppDraft, code, refresh| draft.code_lifetime(code).refresh_token_lifetime(refresh);
    let world = World::new();
    let longer = world.register(lifetimes(code_app(), 60, 100));
    let shorter = world.register(lifetimes(code_app(), 60, 100));
    let (grown, shrunk) = (out(&world, &longer), out(&world, &shorter));
    world.edit(&longer, |draft| lifetimes(draft, 600, 10_000));
    world.edit(&shorter, |draft| lifetimes(draft, 1, 1));
    world.advance(59);
    shrunk.assert_live(&world, &shorter);
    world.advance(1);
    world.redeem(&longer, &grown.code, &grown.verifier).assert_error(400, "invalid_grant");
    world.advance(39);
    let last = world.refresh(&longer, grown.tokens.text("refresh_token"));
    assert_eq!((last.status, &last.json["expires_in"]), (200, &json!(1)));
    world.advance(1);
    let token = last.text("refresh_token");
    world.refresh(&longer, token).assert_error(400, "invalid_grant");
}

/// A new idle lifetime of refresh tokens applies at once, longer or shorter.
#[test]
fn a_new_idle_lifetime_applies_at_once() {
    let world = World::new();
    let app = world.register(code_app());
    let token = world.tokens(&app).text("refresh_token").to_owned();
    world.advance(50);
    world.edit(&app, |draft| draft.refresh_token_idle_lifetime(Some(50)));
    world.refresh(&app, &token).assert_error(400, "invalid_grant");
    world.edit(&app, |draft| draft.refresh_token_idle_lifetime(Some(51)));
    assert_eq!(world.refresh(&app, &token).status, 200);
}

/// A new grace of refresh tokens applies at once: a retry outside it is reuse, and a retry inside
/// it is allowed.
#[test]
fn a_new_grace_applies_at_once() {
    let world = World::new();
    for (before, after, status) in [(Some(300), Some(0), 400), (Some(0), Some(300), 200)] {
        let app = world.register(code_app().refresh_grace(before));
        let token = world.tokens(&app).text("refresh_token").to_owned();
        let next = world.refresh(&app, &token);
        world.advance(5);
        world.edit(&app, |draft| draft.refresh_grace(after));
        assert_eq!(world.refresh(&app, &token).status, status);
        assert_eq!(world.is_revoked(&next), status == 400);
    }
}

/// A new impersonation policy applies to refresh tokens from the next refresh on. If it permits the
/// user again, the refresh token works again. Access tokens live until they are revoked.
#[test]
fn a_new_policy_applies_to_the_next_refresh() {
    let world = World::new();
    let jwt = || backend_jwt().with_refresh_token(true);
    let app = world.register(impersonator(jwt()).refresh_token(true));
    let tokens = world.act(&app, &json!({}));
    let token = tokens.text("refresh_token");
    let none = jwt().with_impersonation(ImpersonationPolicy::none());
    world.edit(&app, |draft| draft.jwt(none));
    world.refresh(&app, token).assert_error(400, "invalid_grant");
    assert!(!world.is_revoked(&tokens));
    world.edit(&app, |draft| draft.jwt(jwt()));
    assert_eq!(world.refresh(&app, token).status, 200);
}

/// If an app loses a flow or its refresh tokens, the grants made by it are refused until the app
/// regains it. Access tokens live.
#[test]
fn grants_of_a_removed_flow_are_refused_until_the_flow_returns() {
    let world = World::new();
    let app = world.register(code_app());
    let mine = out(&world, &app);
    let token = mine.tokens.text("refresh_token");
    world.edit(&app, |draft| draft.refresh_token(false));
    world.refresh(&app, token).assert_error(400, "unauthorized_client");
    let jwt = backend_jwt().with_refresh_token(true);
    world.edit(&app, |draft| draft.refresh_token(true).flows([Flow::JwtBearer]).jwt(jwt));
    for answer in mine.present(&world, &app) {
        answer.assert_error(400, "unauthorized_client");
    }
    world.edit(&app, |draft| draft.flows([Flow::AuthorizationCode]));
    mine.assert_live(&world, &app);
}

/// `rotate_client_secret`: both secrets authenticate the app until the overlap ends. Each use of
/// the old one is audited, and `remove_superseded_secrets` ends it early.
#[test]
fn a_rotated_secret_overlaps() {
    let world = World::new();
    let app = world.register(code_app());
    let mine = out(&world, &app);
    let admin = world.server.admin("root");
    let rotate = |overlap| {
        let answer = block_on(admin.rotate_client_secret(&app.id, overlap)).unwrap();
        let secret = answer.client_secret.unwrap().expose_secret().to_owned();
        App { secret: Some(secret), ..app.clone() }
    };
    let noted = || {
        world.events().iter().filter(|event| event.action == Action::UseSupersededSecret).count()
    };
    let new = rotate(Duration::from_secs(100));
    assert_eq!(world.redeem(&app, &mine.code, &mine.verifier).status, 200);
    assert_eq!(noted(), 1);
    let next = world.refresh(&new, mine.tokens.text("refresh_token"));
    assert_eq!((next.status, noted()), (200, 1));
    world.advance(100);
    let token = next.text("refresh_token");
    world.refresh(&app, token).assert_error(401, "invalid_client");
    let next = world.refresh(&new, token);
    assert_eq!(next.status, 200);

    let newest = rotate(Duration::from_secs(100));
    block_on(admin.remove_superseded_secrets(&app.id)).unwrap();
    world.refresh(&new, next.text("refresh_token")).assert_error(401, "invalid_client");
    assert_eq!(world.refresh(&newest, next.text("refresh_token")).status, 200);
    assert!(!world.is_revoked(&mine.tokens));
    let after_leak = rotate(Duration::ZERO);
    world.post(&newest, &[("grant_type", "refresh_token")]).assert_error(400, "invalid_request");
    world.tokens(&after_leak);
    world.refresh(&newest, "x").assert_error(401, "invalid_client");
}

/// `regenerate_signature_secret`: assertions under the old secret are refused at once; tokens live
/// on.
#[test]
fn a_new_signature_secret_does_not_affect_issued_tokens() {
    let world = World::new();
    let jwt = JwtSettings::signature_secret()
        .with_refresh_token(true)
        .with_impersonation(ImpersonationPolicy::anyone());
    let app = world.register(impersonator(jwt).refresh_token(true));
    let secret = app.signature_secret.clone().unwrap();
    let sign = || {
        let signer = Signer::hmac(jsonwebtoken::Algorithm::HS256, secret.as_bytes());
        signer.sign(&world.claims(&app))
    };
    let tokens = world.present(&app, &sign(), &[]);
    let signed_before = sign();
    block_on(world.server.admin("root").regenerate_signature_secret(&app.id)).unwrap();
    world.present(&app, &signed_before, &[]).assert_error(400, "invalid_grant");
    assert!(!world.is_revoked(&tokens));
    assert_eq!(world.refresh(&app, tokens.text("refresh_token")).status, 200);
}
