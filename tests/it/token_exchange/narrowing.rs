//! An exchange never widens anything, for any policy and any request.

use grantor::app::AppDraft;
use grantor::protocol::Scope;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::json;

use super::{Chain, FILES, MAIL, ORDERS, policy, staff};
use crate::support::scope;

const SCOPES: [&str; 6] = ["a", "b", "c", "GET/x/*", "GET/x/1", "d"];
const TARGETS: [&str; 3] = [FILES, MAIL, ORDERS];

#[derive(Debug)]
struct Case {
    of_token: Vec<&'static str>,
    of_app: Vec<&'static str>,
    of_policy: Option<Vec<&'static str>>,
    asked: Option<Vec<&'static str>>,
    listed: Vec<&'static str>,
    targets: Vec<&'static str>,
    left: i64,
    lifetime: u32,
    reduces: bool,
}

fn some() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(SCOPES.to_vec(), 0..=SCOPES.len())
}

fn cases() -> impl Strategy<Value = Case> {
    let apis = || subsequence(TARGETS.to_vec(), 0..=3);
    let scopes = (some(), some(), prop::option::of(some()), prop::option::of(some()));
    (scopes, apis(), apis(), 1..9_000_i64, 1..7_200_u32, any::<bool>()).prop_map(
        |((of_token, of_app, of_policy, asked), listed, targets, left, lifetime, reduces)| Case {
            of_token,
            of_app,
            of_policy,
            asked,
            listed,
            targets,
            left,
            lifetime,
            reduces,
        },
    )
}

fn covers(ceiling: &[&str], granted: &Scope) -> bool {
    let ceiling = scope(&ceiling.join(" "));
    granted.intersection(&ceiling) == *granted
}

fn check(chain: &Chain, token: &str, case: &Case) -> Result<bool, TestCaseError> {
    let mut users = staff();
    users.scope = case.of_policy.as_ref().map(|tokens| scope(&tokens.join(" ")));
    let policy = policy(&["web"], &case.listed).with_users(users);
    let on_excess = if case.reduces {
        grantor::app::ScopePolicy::Reduce
    } else {
        grantor::app::ScopePolicy::Refuse
    };
    chain.world.edit(&chain.orders, |draft: AppDraft| {
        draft
            .delegation(policy)
            .scope(scope(&case.of_app.join(" ")))
            .scope_policy(on_excess)
            .access_token_lifetime(case.lifetime)
    });
    let exp = crate::support::START + case.left;
    let subject = chain.forge(token, &json!({ "scope": case.of_token.join(" "), "exp": exp }));
    let mut form = vec![super::GRANT, super::OF_ACCESS, ("subject_token", &*subject)];
    let asked = case.asked.as_ref().map(|tokens| tokens.join(" "));
    form.extend(asked.as_deref().map(|asked| ("scope", asked)));
    form.extend(case.targets.iter().map(|target| ("resource", *target)));
    let answer = chain.world.post(&chain.orders, &form);
    if answer.status != 200 {
        let error = answer.text("error");
        prop_assert!(["invalid_request", "invalid_scope", "invalid_target"].contains(&error));
        return Ok(false);
    }
    let claims = answer.claims();
    let granted = scope(claims["scope"].as_str().unwrap());
    prop_assert!(covers(&case.of_token, &granted) && covers(&case.of_app, &granted));
    prop_assert!(case.of_policy.as_ref().is_none_or(|ceiling| covers(ceiling, &granted)));
    let asked = case.asked.as_ref().filter(|asked| !asked.is_empty());
    prop_assert!(asked.is_none_or(|asked| covers(asked, &granted)));
    let audience: Vec<&str> = match claims["aud"].as_array() {
        Some(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        None => vec![claims["aud"].as_str().unwrap()],
    };
    prop_assert!(audience.iter().all(|name| case.listed.contains(name)));
    prop_assert!(case.targets.is_empty() || audience == case.targets);
    prop_assert!(claims["exp"].as_i64().unwrap() <= exp);
    prop_assert!(answer.json["expires_in"].as_i64().unwrap() <= case.lifetime.into());
    let (parent, own) = (super::claims_of(&subject), claims);
    prop_assert_eq!(&own["sub"], &parent["sub"]);
    prop_assert!(own["authorized_at"].as_i64() >= parent["authorized_at"].as_i64());
    Ok(true)
}

/// X9: scope, audience and lifetime of a derived token are within those of its subject token, its app, its policy and
/// its request.
#[test]
fn an_exchange_never_widens() {
    let chain = Chain::new();
    let token = chain.user_token();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let granted = std::cell::Cell::new(0);
    let result = runner.run(&cases(), |case| {
        granted.set(granted.get() + u32::from(check(&chain, &token, &case)?));
        Ok(())
    });
    result.unwrap();
    assert!(granted.get() > 0, "no case was granted");
}
