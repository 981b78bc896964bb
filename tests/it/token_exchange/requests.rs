//! The request and its answer.

use grantor::app::{AppDraft, DelegationPolicy, ImpersonationPolicy};
use serde_json::json;

use super::{
    ACCESS_TOKEN, ACTOR_OF_ACCESS, Chain, FILES, GRANT, MAIL, OF_ACCESS, ORDERS, exchanger, policy,
};
use crate::support::{START, World, code_app};

/// X15, X17, X18: the token is for the target, of the user, and says who acts, what it descends from and what type it
/// has. There is no refresh token.
#[test]
fn a_token_of_a_user_is_exchanged_for_one_for_another_api() {
    let chain = Chain::new();
    let token = chain.user_token();
    let answer = chain.derived(&chain.orders, &token, &[]);
    assert_eq!(answer.text("issued_token_type"), ACCESS_TOKEN);
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.text("scope"), "a b", "what the target knows");
    assert_eq!(answer.json["expires_in"], 3_600);
    assert!(answer.json.get("refresh_token").is_none());

    let (parent, claims) = (super::claims_of(&token), answer.claims());
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["aud"], FILES);
    assert_eq!(claims["client_id"], "orders");
    assert_eq!(claims["act"], json!({ "sub": "orders" }));
    assert_eq!(claims["exp"], START + 3_600);
    let via = json!([{
        "grant_id": parent["grant_id"],
        "client_id": "web",
        "authorized_at": parent["authorized_at"],
    }]);
    assert_eq!(claims["via"], via);
    assert_ne!(claims["grant_id"], parent["grant_id"]);
    assert_ne!(claims["jti"], parent["jti"]);

    let event = chain.world.last_event();
    assert_eq!(event.outcome.as_str(), "success");
    assert_eq!(event.grant_id.unwrap().to_string(), claims["grant_id"]);
    assert_eq!(event.resources.unwrap().to_string(), FILES);
    let decision = event.decision.unwrap();
    assert_eq!((&*decision.rule, decision.entry.as_deref()), ("listed_group", Some("staff")));
    assert_eq!(decision.via[0].to_string(), parent["grant_id"]);
}

/// X3, X6: `subject_token` and its type are required; `actor_token` and its type go together.
#[test]
fn the_parameters_go_together() {
    let chain = Chain::new();
    let token = chain.user_token();
    let subject = ("subject_token", &*token);
    for form in [
        &[GRANT][..],
        &[GRANT, subject],
        &[GRANT, OF_ACCESS],
        &[GRANT, ("subject_token", ""), OF_ACCESS],
        &[GRANT, subject, OF_ACCESS, ("actor_token", &token)],
        &[GRANT, subject, OF_ACCESS, ACTOR_OF_ACCESS],
    ] {
        chain.refused(
            &chain.world.post(&chain.orders, form),
            "invalid_request",
            "missing_parameter",
        );
    }
    for name in ["subject_token", "subject_token_type", "actor_token", "requested_token_type"] {
        let twice = [(name, "x"), (name, "x")];
        let answer = chain.exchange(&chain.orders, &token, &twice);
        chain.refused(&answer, "invalid_request", "duplicate_parameter");
    }
    // Empty is absent.
    let empty = [("actor_token", ""), ("actor_token_type", ""), ("requested_token_type", "")];
    chain.derived(&chain.orders, &token, &empty);
}

/// X4: another type than an access token, known or not, is refused where it stands. A subject token that is called a JWT
/// or an ID token is of a trusted issuer.
#[test]
fn another_token_type_is_refused() {
    let chain = Chain::new();
    let token = chain.user_token();
    let subject = ("subject_token", &*token);
    for kind in ["refresh_token", "id_token", "jwt", "saml2", "id-jag", "Access_Token", "x"] {
        let urn = format!("urn:ietf:params:oauth:token-type:{kind}");
        let form = [GRANT, subject, ("subject_token_type", &urn)];
        let answer = chain.world.post(&chain.orders, &form);
        let reason = match kind {
            "id_token" | "jwt" => "subject_token_issuer_unknown",
            _ => "unsupported_parameter",
        };
        chain.refused(&answer, "invalid_request", reason);
        let requested = chain.exchange(&chain.orders, &token, &[("requested_token_type", &urn)]);
        // An identity assertion is for another server, which `audience` names.
        let reason = if kind == "id-jag" { "missing_parameter" } else { "unsupported_parameter" };
        chain.refused(&requested, "invalid_request", reason);
        let actor = [("actor_token", &*token), ("actor_token_type", &urn)];
        let answer = chain.exchange(&chain.orders, &token, &actor);
        chain.refused(&answer, "invalid_request", "unsupported_parameter");
    }
    chain.derived(&chain.orders, &token, &[("requested_token_type", ACCESS_TOKEN)]);
}

/// X11: an app without the flow is refused, and a public app cannot have it. An app that is not authenticated learns
/// nothing.
#[test]
fn only_a_confidential_app_with_the_flow_exchanges() {
    let chain = Chain::new();
    let token = chain.user_token();
    let refused = chain.exchange(&chain.web, &token, &[]);
    chain.refused(&refused, "unauthorized_client", "flow_not_allowed");
    let public = exchanger(policy(&["web"], &[FILES]));
    let public = public.authentication(grantor::app::ClientAuthentication::None);
    assert_eq!(public.build().unwrap_err().field(), "flows");
    let without = code_app().flow(grantor::Flow::TokenExchange);
    assert_eq!(without.build().unwrap_err().field(), "delegation");

    let named = crate::support::App { secret: None, ..chain.orders.clone() };
    chain.exchange(&named, &token, &[]).assert_error(401, "invalid_client");
}

/// X11: a server that does not exchange tokens does not know the grant type, and its metadata do not name it.
#[test]
fn a_server_that_does_not_exchange_knows_no_such_grant() {
    let world = World::new();
    let app = world.register(exchanger(policy(&["web"], &[FILES])));
    world.post(&app, &[GRANT]).assert_error(400, "unsupported_grant_type");
    assert!(!world.server.metadata().contains(GRANT.1));
    assert!(Chain::new().world.server.metadata().contains(GRANT.1));
}

/// X19: without an actor token the app itself acts, for the users of its policy only.
#[test]
fn the_policy_lists_the_users() {
    let chain = Chain::new();
    let token = chain.user_token();
    let no_user = || policy(&["web"], &[FILES]).with_users(ImpersonationPolicy::none());
    chain.world.edit(&chain.orders, |draft: AppDraft| draft.delegation(no_user()));
    let answer = chain.exchange(&chain.orders, &token, &[]);
    chain.refused(&answer, "invalid_request", "impersonation_none_allowed");
    let decision = chain.world.last_event().decision.unwrap();
    assert_eq!(&*decision.rule, "none_allowed");
    for list in [&["orders", "mail"][..], &[]] {
        let others = || policy(list, &[FILES, MAIL, ORDERS]);
        chain.world.edit(&chain.orders, |draft: AppDraft| draft.delegation(others()));
        let answer = chain.exchange(&chain.orders, &token, &[]);
        chain.refused(&answer, "invalid_request", "source_not_listed");
    }
}

#[test]
fn a_policy_for_exchanges_has_its_documented_bounds() {
    let ids = |count: usize| (0..count).map(|it| super::id(&format!("app-{it}")));
    let apis = |count: usize| (0..count).map(|it| super::resource(&format!("https://a.b/{it}")));
    let issuers = |count: usize| (0..count).map(|it| format!("https://{it}").parse().unwrap());
    let new = |apps, targets| DelegationPolicy::new(ids(apps), apis(targets));
    let most = || new(1_000, 50).with_issuers(issuers(100)).with_actors(ids(100));
    let field = |policy| exchanger(policy).build().err().map(|invalid| invalid.field());
    for actors in 1..=4 {
        assert_eq!(field(most().with_max_actors(actors)), None);
    }
    for (policy, expected) in [
        (new(1_001, 0), "delegation.apps"),
        (most().with_issuers(issuers(101)), "delegation.issuers"),
        (most().with_actors(ids(101)), "delegation.actors"),
        (new(0, 51), "delegation.targets"),
        (most().with_max_actors(0), "delegation.max_actors"),
        (most().with_max_actors(5), "delegation.max_actors"),
    ] {
        assert_eq!(field(policy), Some(expected));
    }
    let many = grantor::users::Members::groups(
        (0..1_001).map(|it| grantor::ids::Group::new(format!("g{it}")).unwrap()),
    );
    let users = ImpersonationPolicy::members(many);
    assert_eq!(field(most().with_users(users)), Some("delegation.users"));
}
