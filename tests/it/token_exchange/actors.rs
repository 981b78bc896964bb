//! The actor: `actor_token`, and `may_act` of the subject token.

use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::store::RevocationTarget;
use pollster::block_on;
use serde_json::{Map, Value, json};

use super::{ACTOR_OF_ACCESS, Chain, FILES, policy};
use crate::support::{ISSUER, subject};

/// X20: the actor token is an own token of the app, or of an app that the policy lists. Its app then is the actor.
#[test]
fn an_actor_token_proves_the_app_or_a_listed_actor() {
    let chain = Chain::new();
    let token = chain.user_token();
    let exchange =
        |own: &str| chain.exchange(&chain.orders, &token, &[("actor_token", own), ACTOR_OF_ACCESS]);
    let claims = exchange(&chain.own_token(&chain.orders)).claims();
    assert_eq!(claims["act"], json!({ "sub": "orders" }));
    assert_eq!(claims["via"].as_array().unwrap().len(), 1);

    let worker = chain.own_token(&chain.mail);
    chain.refused(&exchange(&worker), "invalid_request", "actor_not_listed");
    let listed = || policy(&["web"], &[FILES]).with_actors([chain.mail.id.clone()]);
    chain.world.edit(&chain.orders, |draft| draft.delegation(listed()));
    let answer = exchange(&worker);
    let claims = answer.claims();
    assert_eq!(claims["act"], json!({ "sub": "mail" }));
    assert_eq!(
        (&claims["client_id"], &claims["via"][1]["sub"]),
        (&json!("orders"), &json!("mail"))
    );

    // X15: the token ends with the access of its actor.
    assert!(!chain.world.is_revoked(&answer));
    let admin = chain.world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::Subject(subject("mail")))).unwrap();
    assert!(chain.world.is_revoked(&answer));
    chain.refused(&exchange(&worker), "invalid_request", "actor_token_revoked");
}

/// X20: a token of a user, an expired one and what is no access token are no actor tokens.
#[test]
fn an_actor_token_is_checked_like_a_subject_token() {
    let chain = Chain::new();
    let token = chain.user_token();
    let own = chain.own_token(&chain.orders);
    let refused = |actor: &str, reason: &str| {
        let actor = [("actor_token", actor), ACTOR_OF_ACCESS];
        let answer = chain.exchange(&chain.orders, &token, &actor);
        chain.refused(&answer, "invalid_request", reason);
    };
    refused(&token, "actor_token_not_of_app");
    refused("x", "actor_token_invalid");
    let early = chain.forge(&own, &json!({ "exp": super::START + 60 }));
    let actor = [("actor_token", &*early), ACTOR_OF_ACCESS];
    assert_eq!(chain.derived(&chain.orders, &token, &actor).json["expires_in"], 60);
    chain.world.advance(60);
    refused(&early, "actor_token_expired");
}

/// X7, X21: the actor has to match each member of `may_act`. A member that this server does not know, and a claim of
/// another form, match no actor.
#[test]
fn may_act_names_the_actor() {
    let chain = Chain::new();
    let token = chain.user_token();
    for good in [
        json!({ "sub": "orders" }),
        json!({ "client_id": "orders" }),
        json!({ "sub": "orders", "client_id": "orders", "iss": ISSUER }),
    ] {
        chain.derived(&chain.orders, &chain.forge(&token, &json!({ "may_act": good })), &[]);
    }
    for bad in [
        json!({ "sub": "files" }),
        json!({ "sub": "orders", "client_id": "files" }),
        json!({ "sub": "orders", "iss": "https://other.example.com" }),
        json!({ "sub": "orders", "email": "a@example.com" }),
        json!({ "sub": ["orders"] }),
        json!({ "iss": ISSUER }),
        json!({}),
        json!("orders"),
        json!([{ "sub": "orders" }]),
    ] {
        let forged = chain.forge(&token, &json!({ "may_act": bad }));
        let answer = chain.exchange(&chain.orders, &forged, &[]);
        chain.refused(&answer, "invalid_request", "not_may_act");
    }
}

/// Names the actor of each token of `web`.
struct MayAct(Value);

impl Hooks for MayAct {
    async fn before_issue(&self, decision: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        if decision.app.client_id().as_str() != "web" {
            return Ok(HookAnswer::Issue);
        }
        let mut claims = Map::new();
        claims.insert("may_act".to_owned(), self.0.clone());
        Ok(HookAnswer::IssueWith(claims))
    }
}

/// X21: the host says by its hook which app may exchange a token. What is no `may_act` fails, before anything changes.
#[test]
fn the_host_says_who_may_act() {
    let chain = Chain::with_hooks(MayAct(json!({ "sub": "files" })));
    let answer = chain.exchange(&chain.orders, &chain.user_token(), &[]);
    chain.refused(&answer, "invalid_request", "not_may_act");
    for malformed in [json!("files"), json!({}), json!({ "sub": 7 }), json!({ "iss": "x" })] {
        let chain = Chain::with_hooks(MayAct(malformed));
        let (code, verifier) = chain.world.code(&chain.web);
        chain.world.redeem(&chain.web, &code, &verifier).assert_error(500, "server_error");
    }
}
