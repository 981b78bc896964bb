//! Subject tokens of trusted issuers: for which apps, which users, which scope and which actors.

use grantor::app::{ImpersonationPolicy, TrustedIssuer, UserTrust};
use grantor::clock::UnixTime;
use grantor::ids::Group;
use grantor::users::Members;
use serde_json::{Value, json};

use super::foreign_tokens::{again_and_again, ask, given, idp, token, users, with_idp};
use super::{Chain, FILES, exchanger, policy};
use crate::support::{ISSUER, START, scope, subject};
use crate::trusted_issuers::{IDP, evidence_issuer, trust};

fn members(group: &str) -> Members {
    Members::groups([Group::new(group).unwrap()])
}

/// X27: the record trusts the issuer for this and names the app, and the policy of the app names the issuer. The
/// defaults allow nothing.
#[test]
fn the_record_and_the_policy_name_each_other() {
    let refused = |chain: &Chain, reason: &str| {
        let answer = ask(chain, &json!({}));
        chain.refused(&answer, "invalid_request", reason);
    };
    refused(&with_idp(|idp, _| idp), "issuer_not_trusted");
    refused(&with_idp(TrustedIssuer::with_id_jag), "issuer_not_trusted");
    let other = |idp: TrustedIssuer, users: UserTrust| {
        let apps = vec![super::id("web"), super::id("Orders")];
        idp.with_subject_tokens(UserTrust::new(apps).with_policy(users.policy)).with_reuse(true)
    };
    let chain = with_idp(other);
    refused(&chain, "app_not_named");
    chain.world.assert_refused("grant", "app_not_named", Some("trusted_issuers"));
    let until = UnixTime::from_seconds(START);
    refused(
        &with_idp(|idp, users| idp.with_subject_tokens(users).with_expiry(Some(until))),
        "issuer_expired",
    );
    let chain = again_and_again();
    chain.world.edit(&chain.orders, |_| exchanger(policy(&["web"], &[FILES])));
    refused(&chain, "source_not_listed");

    // A token of this server is not one of the issuer, nor the reverse.
    let chain = again_and_again();
    let only = policy(&[], &[FILES]).with_issuers([evidence_issuer()]);
    chain.world.edit(&chain.orders, |_| exchanger(only));
    let own = chain.exchange(&chain.orders, &chain.user_token(), &[]);
    chain.refused(&own, "invalid_request", "source_not_listed");
    given(ask(&chain, &json!({})));
}

/// X27: a record that asks for what an exchange cannot fulfil, or trusts this server itself, is refused.
#[test]
fn a_record_for_subject_tokens_is_checked() {
    let chain = Chain::new();
    let admin = chain.world.server.admin("root");
    let own = TrustedIssuer::new(
        ISSUER.parse().unwrap(),
        "Itself",
        idp().keys().clone(),
        idp().algorithms().iter().copied(),
    );
    for bad in [
        own.with_subject_tokens(users(&chain)),
        idp().with_subject_tokens(users(&chain).with_required_resource(true)),
        idp().with_subject_tokens(users(&chain).with_user_claim("email")),
        idp().with_subject_tokens(UserTrust::new([])),
    ] {
        let refused = pollster::block_on(admin.add_trusted_issuer(bad));
        assert!(matches!(refused, Err(grantor::admin::AdminError::Invalid(_))), "{refused:?}");
    }
}

/// X27: the policy of the record and that of the app both allow the user, and no exception holds. The scope is what
/// both have in common, below the `scope` of the token.
#[test]
fn both_policies_decide_about_the_user_and_the_scope() {
    let by_subject = |users: UserTrust| users.with_user_claim("sub");
    let reason = |record: ImpersonationPolicy, app: ImpersonationPolicy, user: &str| {
        let chain = with_idp(|idp, users| {
            idp.with_subject_tokens(by_subject(users).with_policy(record)).with_reuse(true)
        });
        let own = policy(&[], &[FILES]).with_issuers([evidence_issuer()]).with_users(app);
        chain.world.edit(&chain.orders, |draft| draft.delegation(own));
        let answer = ask(&chain, &json!({ "sub": user }));
        if answer.status == 200 {
            assert_eq!(answer.claims()["sub"], user);
        } else {
            answer.assert_error(400, "invalid_request");
        }
        chain.world.last_event().outcome.reason().unwrap_or("given").to_owned()
    };
    let staff = || ImpersonationPolicy::members(members("staff"));
    let (none, anyone) = (ImpersonationPolicy::none, ImpersonationPolicy::anyone);
    assert_eq!(reason(anyone(), anyone(), "ann"), "given");
    assert_eq!(reason(staff(), anyone(), "root"), "impersonation_not_listed");
    assert_eq!(reason(anyone(), staff(), "root"), "impersonation_not_listed");
    assert_eq!(reason(none(), anyone(), "ann"), "impersonation_none_allowed");
    assert_eq!(reason(anyone(), none(), "ann"), "impersonation_none_allowed");
    assert_eq!(
        reason(anyone().except(members("staff")), anyone(), "ann"),
        "impersonation_excepted"
    );
    assert_eq!(reason(anyone(), anyone(), "gone"), "impersonation_inactive");
    assert_eq!(reason(anyone(), anyone(), "eve"), "unknown_user");
    // Its token would pass for the app's own.
    assert_eq!(reason(anyone(), anyone(), "orders"), "unknown_user");

    let scoped = |of_record: &str, of_app: &str, signed: Value| {
        let chain = with_idp(|idp, users| {
            let policy = ImpersonationPolicy::anyone().with_scope(scope(of_record));
            idp.with_subject_tokens(users.with_policy(policy)).with_reuse(true)
        });
        let app = ImpersonationPolicy::anyone().with_scope(scope(of_app));
        let own = policy(&[], &[FILES]).with_issuers([evidence_issuer()]).with_users(app);
        chain.world.edit(&chain.orders, |draft| draft.delegation(own));
        let answer = ask(&chain, &json!({ "scope": signed }));
        if answer.status == 200 {
            answer.text("scope").to_owned()
        } else {
            answer.text("error").to_owned()
        }
    };
    assert_eq!(scoped("a b c", "a b c", json!(null)), "a b");
    assert_eq!(scoped("a c", "a b c", json!(null)), "a");
    assert_eq!(scoped("a b", "b c", json!(null)), "b");
    assert_eq!(scoped("a", "b", json!(null)), "invalid_scope");
    assert_eq!(scoped("a b", "a b", json!("b openid")), "b");
    for foreign in ["openid profile", "", " "] {
        assert_eq!(scoped("a b", "a b", json!(foreign)), "invalid_scope");
    }
}

/// X27, J41: the host's link, then the claim of the record, then an address that the issuer has verified. An unverified
/// one links no user, in any spelling of the claim. No user is made.
#[test]
fn a_user_is_found_by_link_then_claim_then_verified_address() {
    let find = |configure: fn(UserTrust) -> UserTrust, change: Value| -> String {
        let chain = with_idp(|idp, users| idp.with_subject_tokens(configure(users)));
        chain.world.users.name("email", "bob@acme.example", &subject("bob"));
        let answer = ask(&chain, &change);
        if answer.status == 200 {
            return answer.claims()["sub"].as_str().unwrap().to_owned();
        }
        answer.assert_error(400, "invalid_request");
        chain.world.last_event().outcome.reason().unwrap().to_owned()
    };
    let address = |verified: Value| json!({ "sub": "new", "email": "bob@acme.example", "email_verified": verified });
    let link_only: fn(UserTrust) -> UserTrust = |users| users;
    let by_claim: fn(UserTrust) -> UserTrust = |users| users.with_user_claim("aud_sub");
    let by_email: fn(UserTrust) -> UserTrust = |users| users.with_email(true);
    assert_eq!(find(by_claim, json!({ "aud_sub": "bob" })), "ann", "the link wins");
    assert_eq!(find(by_claim, json!({ "sub": "new", "aud_sub": "bob" })), "bob");
    assert_eq!(find(by_email, address(json!(true))), "bob");
    for (configure, change) in [
        (link_only, json!({ "sub": "bob" })),
        (link_only, address(json!(true))),
        (by_claim, json!({ "sub": "new" })),
        (by_claim, json!({ "sub": "new", "aud_sub": "BOB" })),
        (by_email, address(json!(false))),
        (by_email, address(json!("true"))),
        (by_email, address(json!(1))),
        (by_email, address(json!([true]))),
        (by_email, address(json!(null))),
        (by_email, json!({ "sub": "new", "email": "BOB@acme.example", "email_verified": true })),
    ] {
        assert_eq!(find(configure, change.clone()), "unknown_user", "{change}");
    }
}

/// X8, X22, X25: the actors of a token are nested whole and counted. A token with one is accepted only if the policy
/// accepts impersonated ones, for nothing tells how its actor came to act.
#[test]
fn the_actors_of_a_token_are_kept_and_counted() {
    let chain = again_and_again();
    let accept = |yes: bool, most: u8| {
        let own = policy(&[], &[FILES]).with_issuers([evidence_issuer()]);
        let own = own.with_impersonated(yes).with_max_actors(most);
        chain.world.edit(&chain.orders, |draft| draft.delegation(own));
    };
    let act = json!({ "sub": "desk", "act": { "sub": "bot", "iss": "https://bots.example" } });
    let answer = ask(&chain, &json!({ "act": act }));
    chain.refused(&answer, "invalid_request", "impersonated_subject_token");
    accept(true, 4);
    let first = given(ask(&chain, &json!({ "act": act })));
    let nested = json!({
        "sub": "orders",
        "act": { "sub": "desk", "iss": IDP, "act": { "sub": "bot", "iss": "https://bots.example" } },
    });
    assert_eq!(first.claims()["act"], nested);
    accept(true, 2);
    let answer = ask(&chain, &json!({ "act": act }));
    chain.refused(&answer, "invalid_request", "too_many_actors");
    accept(true, 4);
    let deep =
        json!({ "sub": "a", "act": { "sub": "b", "act": { "sub": "c", "act": { "sub": "d" } } } });
    let answer = ask(&chain, &json!({ "act": deep }));
    chain.refused(&answer, "invalid_request", "subject_token_evidence");

    // The next exchange sees the same: impersonated with an actor, not without one.
    let mail = [("resource", super::MAIL)];
    let answer = chain.exchange(&chain.files, first.text("access_token"), &mail);
    chain.refused(&answer, "invalid_request", "impersonated_subject_token");
    let plain = given(ask(&chain, &json!({})));
    let second = chain.derived(&chain.files, plain.text("access_token"), &mail).claims();
    assert_eq!(second["act"], json!({ "sub": "files", "act": { "sub": "orders" } }));
    assert_eq!(second["via"][1]["evidence_issuer"], IDP);
}

/// X21: `may_act` of another issuer holds, too.
#[test]
fn may_act_of_another_issuer_names_the_actor() {
    let chain = again_and_again();
    for good in [json!({ "sub": "orders" }), json!({ "client_id": "orders", "iss": ISSUER })] {
        given(ask(&chain, &json!({ "may_act": good })));
    }
    for bad in [
        json!({ "sub": "files" }),
        json!({ "sub": "orders", "iss": IDP }),
        json!({ "sub": "orders", "email": "x" }),
        json!({}),
        json!("orders"),
        json!(["orders"]),
    ] {
        let answer = ask(&chain, &json!({ "may_act": bad }));
        chain.refused(&answer, "invalid_request", "not_may_act");
    }
}

/// X27: a tenant is equal to that of the record.
#[test]
fn a_tenant_is_the_one_of_the_record() {
    let chain = with_idp(|idp, users| idp.with_subject_tokens(users).with_tenant("acme"));
    given(ask(&chain, &json!({ "tenant": "acme" })));
    for tenant in [json!("Acme"), json!(null), json!(["acme"])] {
        let answer = ask(&chain, &json!({ "tenant": tenant }));
        chain.refused(&answer, "invalid_request", "subject_token_evidence");
    }
}

/// X27: keys at a URL that is not reachable, or of a server that fetches none.
#[test]
fn an_issuer_without_keys_at_hand_is_refused() {
    let chain = Chain::new();
    let keys = grantor::app::JwksUri::new("https://acme.idp.example/keys").unwrap();
    let keys = grantor::app::IssuerKeys::Uri(keys);
    let record =
        TrustedIssuer::new(evidence_issuer(), "Acme", keys, [grantor::jwt::Algorithm::ES384]);
    trust(&chain.world, record.with_subject_tokens(users(&chain)));
    let token = token(&chain, &json!({}));
    let answer =
        super::foreign_tokens::present(&chain, &chain.orders, super::foreign_tokens::JWT, &token);
    chain.refused(&answer, "invalid_request", "subject_token_keys_unavailable");
}
