//! The subject token.

use grantor::ids::GrantId;
use grantor::store::RevocationTarget;
use pollster::block_on;
use serde_json::json;

use super::{Chain, FILES, exchanger, policy};
use crate::assertions::{Signer, backend_jwt, impersonator};
use crate::support::{START, World, subject};

/// X12: a token leaks to an app. The token was not issued to the app, and is for another API. The app exchanges nothing,
/// and does not learn whether the token is live.
#[test]
fn a_confused_deputy_exchanges_nothing() {
    let chain = Chain::new();
    let answer = chain.world.tokens(&chain.web);
    let token = answer.text("access_token");
    // `mail` may exchange tokens of `web`, but this one is for `orders`.
    let lenient = || policy(&["web", "orders"], &[FILES]);
    chain.world.edit(&chain.mail, |draft| draft.delegation(lenient()));
    for _ in 0..2 {
        let refused = chain.exchange(&chain.mail, token, &[]);
        chain.refused(&refused, "invalid_request", "subject_token_not_for_app");
        chain.world.revoke(&chain.web, token);
    }
    // An app may narrow a token of its own, for any API.
    let own = policy(&["web"], &[FILES]);
    chain.world.edit(&chain.web, |draft| draft.flow(grantor::Flow::TokenExchange).delegation(own));
    let claims = chain.derived(&chain.web, &chain.user_token(), &[]).claims();
    assert_eq!((&claims["aud"], &claims["act"]), (&json!(FILES), &json!({ "sub": "web" })));
}

/// X5, X14: a token that has expired or was revoked, or whose user or app is gone, is refused by the store, although
/// its signature is good.
#[test]
fn a_dead_token_is_not_exchanged() {
    let chain = Chain::new();
    let world = &chain.world;
    let dead = |token: &str, reason: &str| {
        let answer = chain.exchange(&chain.orders, token, &[]);
        chain.refused(&answer, "invalid_request", reason);
    };
    let admin = world.server.admin("tester");
    let revoked = |target: RevocationTarget| {
        let token = chain.user_token();
        block_on(admin.revoke(target)).unwrap();
        dead(&token, "subject_token_revoked");
    };
    revoked(RevocationTarget::App(chain.web.id.clone()));
    revoked(RevocationTarget::Subject(subject("ann")));
    let token = chain.user_token();
    let grant: GrantId = super::claims_of(&token)["grant_id"].as_str().unwrap().parse().unwrap();
    block_on(admin.revoke(RevocationTarget::Grant(grant))).unwrap();
    dead(&token, "subject_token_revoked");

    let token = chain.user_token();
    block_on(admin.disable(&chain.web.id)).unwrap();
    dead(&token, "subject_token_revoked");
    block_on(admin.enable(&chain.web.id)).unwrap();

    let token = chain.user_token();
    let user = |active| grantor::users::User::new(subject("ann")).with_active(active);
    world.users.put(user(false));
    dead(&token, "subject_token_user_inactive");
    world.users.remove(&subject("ann"));
    dead(&token, "subject_token_user_inactive");
    world.users.put(user(true));
    dead(&token, "impersonation_not_listed");

    world.advance(3_600);
    dead(&token, "subject_token_expired");
}

/// X5, X13: forged, foreign and other JWTs are no access token of this server, and a handle is none either.
#[test]
fn what_is_no_access_token_of_this_server_is_refused() {
    let chain = Chain::new();
    let answer = chain.world.tokens(&chain.web);
    let (token, refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    let other = World::new();
    let foreign = other.tokens(&other.register(crate::support::code_app()));
    let claims = super::claims_of(token);
    let signer = || Signer::ec(jsonwebtoken::Algorithm::ES256, "p256_private");
    let kid = super::header_of(token)["kid"].as_str().unwrap().to_owned();
    let typed = |typ: Option<&str>| signer().with_kid(&kid).with_typ(typ).sign(&claims);
    let mut bad = vec![
        String::from("x"),
        format!("{token}x"),
        token[..token.len() - 4].to_owned(),
        refresh.to_owned(),
        foreign.text("access_token").to_owned(),
        chain.forge(token, &json!({ "iss": "https://other.example.com" })),
        chain.forge(token, &json!({ "grant_id": null })),
        chain.forge(token, &json!({ "via": "x" })),
    ];
    let kinds = ["JWT", "oauth-id-jag+jwt", "client-authentication+jwt", "logout+jwt", "at"];
    bad.extend(kinds.map(|typ| typed(Some(typ))));
    bad.push(typed(None));
    for token in bad {
        let answer = chain.exchange(&chain.orders, &token, &[]);
        chain.refused(&answer, "invalid_request", "subject_token_invalid");
    }
    chain.derived(&chain.orders, &typed(Some("application/at+jwt")), &[]);
    chain.derived(&chain.orders, token, &[]);
}

/// X10, X26: a token that is bound to a key is refused, because the request proves none.
#[test]
fn a_bound_token_is_refused() {
    let chain = Chain::new();
    let token = chain.user_token();
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({}), json!(null)] {
        let bound = chain.forge(&token, &json!({ "cnf": cnf }));
        if cnf.is_null() {
            chain.derived(&chain.orders, &bound, &[]);
        } else {
            let answer = chain.exchange(&chain.orders, &bound, &[]);
            chain.refused(&answer, "invalid_request", "subject_token_bound");
            let own = chain.forge(&chain.own_token(&chain.orders), &json!({ "cnf": cnf }));
            let actor = [("actor_token", &*own), super::ACTOR_OF_ACCESS];
            let answer = chain.exchange(&chain.orders, &token, &actor);
            chain.refused(&answer, "invalid_request", "actor_token_bound");
        }
    }
}

/// X14: the own token of an app is of no user.
#[test]
fn the_own_token_of_an_app_is_no_subject_token() {
    let chain = Chain::new();
    for app in [&chain.orders, &chain.files] {
        let own = chain.own_token(app);
        let answer = chain.exchange(&chain.orders, &own, &[]);
        chain.refused(&answer, "invalid_request", "subject_token_without_user");
    }
}

/// X16: the token expires with its subject token at the latest.
#[test]
fn a_derived_token_expires_with_its_subject_token() {
    let chain = Chain::new();
    let token = chain.user_token();
    chain.world.advance(3_000);
    let answer = chain.derived(&chain.orders, &token, &[]);
    assert_eq!(
        (&answer.json["expires_in"], &answer.claims()["exp"]),
        (&json!(600), &json!(START + 3_600))
    );
    chain.world.edit(&chain.orders, |draft| draft.access_token_lifetime(60));
    assert_eq!(chain.derived(&chain.orders, &token, &[]).json["expires_in"], 60);
}

/// X25: a token by which an app impersonates a user is accepted only if the policy says so, also at the second
/// exchange. The chain is kept.
#[test]
fn an_impersonated_token_is_refused_unless_the_policy_accepts_it() {
    let chain = Chain::new();
    let backend = impersonator(backend_jwt()).resources([super::resource(super::ORDERS)]);
    let backend = backend.default_resource(Some(super::resource(super::ORDERS)));
    let backend = chain.world.import("backend", backend);
    let token = chain.world.act(&backend, &json!({})).text("access_token").to_owned();
    let accepts = |yes| policy(&["backend"], &[FILES]).with_impersonated(yes);
    chain.world.edit(&chain.orders, |draft| draft.delegation(accepts(false)));
    let answer = chain.exchange(&chain.orders, &token, &[]);
    chain.refused(&answer, "invalid_request", "impersonated_subject_token");
    chain.world.edit(&chain.orders, |draft| draft.delegation(accepts(true)));
    let derived = chain.derived(&chain.orders, &token, &[]);
    let act = json!({ "sub": "orders", "act": { "sub": "backend" } });
    assert_eq!(derived.claims()["act"], act);

    let mail = ("resource", super::MAIL);
    let answer = chain.exchange(&chain.files, derived.text("access_token"), &[mail]);
    chain.refused(&answer, "invalid_request", "impersonated_subject_token");
    let accepts = policy(&["orders"], &[super::MAIL]).with_impersonated(true);
    chain.world.edit(&chain.files, |_| exchanger(accepts));
    let last = chain.derived(&chain.files, derived.text("access_token"), &[mail]);
    assert_eq!(last.claims()["act"], json!({ "sub": "files", "act": act }));
}
