//! Exchanges of derived tokens.

use serde_json::json;

use super::{Chain, FILES, MAIL, exchanger, policy};

/// X8, X22: earlier actors are nested whole, the present one outermost, and each exchange adds a parent. A fifth
/// actor is refused, and fewer if the policy says so.
#[test]
fn the_chain_is_kept_and_has_at_most_four_actors() {
    let chain = Chain::new();
    for name in ["orders", "files", "mail"] {
        let app = [&chain.orders, &chain.files, &chain.mail];
        let app = app.into_iter().find(|app| app.id.as_str() == name).unwrap();
        let apps = ["web", "orders", "files", "mail"];
        let all = policy(&apps, &[super::ORDERS, FILES, MAIL]);
        chain.world.edit(app, |_| exchanger(all));
    }
    let mut token = chain.user_token();
    let mut act = json!(null);
    let hops = [
        (&chain.orders, FILES),
        (&chain.files, MAIL),
        (&chain.mail, super::ORDERS),
        (&chain.orders, FILES),
    ];
    for (count, (app, target)) in (1..).zip(hops) {
        let answer = chain.derived(app, &token, &[("resource", target), ("scope", "a")]);
        let mut outer = json!({ "sub": app.id.as_str() });
        if !act.is_null() {
            outer["act"] = act;
        }
        act = outer;
        let claims = answer.claims();
        assert_eq!(claims["act"], act);
        assert_eq!(claims["via"].as_array().unwrap().len(), count);
        let parent = super::claims_of(&token);
        assert_eq!(claims["via"][0]["grant_id"], parent["grant_id"]);
        let recorded = chain.world.last_event().decision.unwrap();
        assert_eq!((recorded.actors.len(), recorded.via.len()), (count - 1, count));
        if count == 2 {
            let few = policy(&["files"], &[super::ORDERS]).with_max_actors(2);
            let all = policy(&["files"], &[super::ORDERS]);
            chain.world.edit(&chain.mail, |_| exchanger(few));
            let orders = ("resource", super::ORDERS);
            let refused = chain.exchange(&chain.mail, answer.text("access_token"), &[orders]);
            chain.refused(&refused, "invalid_request", "too_many_actors");
            chain.world.edit(&chain.mail, |_| exchanger(all));
        }
        answer.text("access_token").clone_into(&mut token);
    }
    let fifth = chain.exchange(&chain.files, &token, &[("resource", MAIL)]);
    chain.refused(&fifth, "invalid_request", "too_many_actors");
}

/// X22: actor tokens of other apps are parents, too. A token with more than four is refused.
#[test]
fn a_token_has_at_most_four_parents() {
    let chain = Chain::new();
    let agent = || chain.own_token(&chain.web);
    chain.world.edit(&chain.web, |draft| draft.flow(grantor::Flow::ClientCredentials));
    for app in [&chain.orders, &chain.files] {
        let apps = ["web", "orders", "files", "mail"];
        let all = policy(&apps, &[super::ORDERS, FILES, MAIL]).with_actors([chain.web.id.clone()]);
        chain.world.edit(app, |_| exchanger(all));
    }
    let acting = |app, token: &str, target| {
        let (own, target) = (agent(), ("resource", target));
        let actor = [("actor_token", &*own), super::ACTOR_OF_ACCESS, target, ("scope", "a")];
        chain.exchange(app, token, &actor)
    };
    let first = acting(&chain.orders, &chain.user_token(), FILES);
    let second = acting(&chain.files, first.text("access_token"), super::ORDERS);
    assert_eq!(second.claims()["via"].as_array().unwrap().len(), 4);
    let refused = acting(&chain.orders, second.text("access_token"), FILES);
    chain.refused(&refused, "invalid_request", "too_many_actors");
}
