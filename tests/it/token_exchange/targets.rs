//! Targets and scope.

use serde_json::json;

use super::{Chain, FILES, MAIL, ORDERS, policy, staff};
use crate::support::{ISSUER, scope};

/// X23: a target that the policy does not list is refused by `invalid_target`, alone and beside others. An audience
/// may be the app of an API.
#[test]
fn a_target_has_to_be_listed() {
    let chain = Chain::new();
    let token = chain.user_token();
    for more in [
        &[("resource", ORDERS)][..],
        &[("resource", ISSUER)],
        &[("resource", FILES), ("resource", ORDERS)],
        &[("audience", "orders")],
        &[("audience", "files"), ("resource", ORDERS)],
        &[("audience", "nothing")],
        &[("audience", "https://files.example.com/v2")],
    ] {
        let answer = chain.exchange(&chain.orders, &token, more);
        chain.refused(&answer, "invalid_target", "target_not_listed");
    }
    for (name, value) in [("resource", "files"), ("resource", "https://files.example.com#x")] {
        let answer = chain.exchange(&chain.orders, &token, &[(name, value)]);
        chain.refused(&answer, "invalid_target", "malformed_resource");
    }
    let form = [super::GRANT, super::OF_ACCESS, ("subject_token", &*token)];
    let answer = chain.world.post(&chain.orders, &form);
    chain.refused(&answer, "invalid_request", "no_target");
    for more in
        [("audience", "files"), ("audience", FILES), ("resource", "HTTPS://FILES.example.com/")]
    {
        assert_eq!(
            chain.derived(&chain.orders, &token, &[more]).claims()["aud"],
            FILES,
            "{more:?}"
        );
    }
    chain.world.edit(&chain.orders, |draft| draft.delegation(policy(&["web"], &[MAIL])));
    assert_eq!(chain.world.post(&chain.orders, &form).claims()["aud"], MAIL, "the only one");
}

/// X23: a token for several targets names each once, and has at most the scope that they know together.
#[test]
fn a_token_may_be_for_several_targets() {
    let chain = Chain::new();
    let token = chain.user_token();
    let both = [("resource", MAIL), ("audience", FILES), ("audience", "mail")];
    let answer = chain.derived(&chain.orders, &token, &both);
    assert_eq!(answer.claims()["aud"], json!([MAIL, FILES]));
    assert_eq!(answer.text("scope"), "a b");
    let known = chain.world.introspect(&chain.mail, answer.text("access_token"));
    assert_eq!((&known.json["aud"], &known.json["scope"]), (&json!(MAIL), &json!("a")));
    assert_eq!(known.json["act"], json!({ "sub": "orders" }));
    // A stranger to both learns nothing.
    let other = chain.world.introspect(&chain.orders, answer.text("access_token"));
    assert_eq!(other.json, json!({ "active": false }));
}

/// X9, X24: the scope is what subject token, target, policy and app allow together; a request can only narrow it.
/// Nothing is left: `invalid_scope`.
#[test]
fn scope_is_narrowed_and_never_widened() {
    let chain = Chain::new();
    let token = chain.user_token();
    let exchange = |more: &[(&str, &str)]| chain.exchange(&chain.orders, &token, more);
    assert_eq!(exchange(&[]).text("scope"), "a b");
    assert_eq!(exchange(&[("resource", MAIL)]).text("scope"), "a");
    assert_eq!(exchange(&[("scope", "b")]).text("scope"), "b");
    for wide in ["c", "a c", "a b c"] {
        let answer = exchange(&[("scope", wide)]);
        chain.refused(&answer, "invalid_scope", "scope_exceeds_subject_token");
    }
    chain.refused(&exchange(&[("scope", "d")]), "invalid_scope", "scope_exceeds_app");
    chain.refused(&exchange(&[("scope", "a\"")]), "invalid_scope", "malformed_scope");

    let narrow = |text: &str| {
        let users = staff().with_scope(scope(text));
        let narrow = policy(&["web"], &[FILES]).with_users(users);
        chain.world.edit(&chain.orders, |draft| draft.delegation(narrow));
    };
    narrow("b c");
    assert_eq!(exchange(&[]).text("scope"), "b");
    chain.refused(&exchange(&[("scope", "a")]), "invalid_scope", "scope_exceeds_subject_token");
    narrow("c d");
    chain.refused(&exchange(&[]), "invalid_scope", "no_scope_left");
    narrow("a");
    chain.world.edit(&chain.orders, |draft| draft.scope(scope("b")));
    chain.refused(&exchange(&[]), "invalid_scope", "scope_withdrawn");
    let scopeless = chain.forge(&token, &json!({ "scope": null }));
    chain.world.edit(&chain.orders, |draft| draft.scope(scope("a b c")));
    let answer = chain.exchange(&chain.orders, &scopeless, &[]);
    chain.refused(&answer, "invalid_scope", "no_scope_left");
}
