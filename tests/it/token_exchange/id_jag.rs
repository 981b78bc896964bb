//! Identity assertions (ID-JAG) that this server gives for another authorization server.

use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::app::{
    DelegationPolicy, IdJagAudience, ImpersonationPolicy, IssuerKeys, JwtSettings, TrustedIssuer,
    UserTrust,
};
use grantor::ids::{EvidenceIssuer, Issuer};
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::server_secret::ServerSecret;
use grantor::store::{MemoryStore, RevocationTarget};
use grantor::users::{MemoryUsers, User};
use pollster::block_on;
use serde_json::json;

use super::{
    ACTOR_OF_ACCESS, Chain, FILES, GRANT, OF_ACCESS, claims_of, header_of, id, key, policy,
    resource,
};
use crate::assertions::{JWT_BEARER, impersonator};
use crate::faulty_store::{FaultyStore, post};
use crate::support::{Answer, App, ISSUER, ROOT, START, Server, new_key, scope, subject};

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
pub(super) const REQUESTED: (&str, &str) = ("requested_token_type", ID_JAG);
pub(super) const OTHER: &str = "https://other.example.com";
const API: &str = "https://api.other.example.com";

/// The policy of *orders*, with an entry for the other server.
fn with_other() -> DelegationPolicy {
    let other = IdJagAudience::new(Issuer::new(OTHER).unwrap(), id("orders-there"))
        .with_scope(scope("read write"))
        .with_resources([resource(API)]);
    policy(&["web", "orders"], &[FILES]).with_id_jag([other])
}

fn chain() -> Chain {
    let chain = Chain::new();
    chain.world.edit(&chain.orders, |draft| draft.delegation(with_other()));
    chain
}

/// Asks for an assertion for the other server, if `more` names none.
fn ask(chain: &Chain, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![GRANT, REQUESTED, OF_ACCESS, ("subject_token", token)];
    if !more.iter().any(|(name, _)| *name == "audience") {
        form.push(("audience", OTHER));
    }
    form.extend(more);
    chain.world.post(&chain.orders, &form)
}

/// Another server, which trusts this one for identity assertions, and the app *orders* there.
fn other_server(chain: &Chain) -> (Server<FaultyStore>, App) {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let ann = subject("ann-there");
    let users = Arc::new(MemoryUsers::new([User::new(ann.clone())]));
    let this = EvidenceIssuer::new(ISSUER).unwrap();
    users.link(&this, "ann", &ann);
    let (issuer, secret) = (Issuer::new(OTHER).unwrap(), ServerSecret::new(ROOT).unwrap());
    let server = AuthorizationServer::builder(issuer, secret, new_key(), store, users)
        .clock(Arc::clone(&chain.world.clock))
        .trusted_issuers(MemoryStore::new())
        .build();
    let admin = server.admin("root");
    let draft = impersonator(JwtSettings::signature_secret())
        .scope(scope("read write admin"))
        .resources([resource(API)]);
    let import = grantor::admin::ImportedApp::new(id("orders-there"), draft.build().unwrap());
    let app = App::from(block_on(admin.import(import)).unwrap());
    let keys = IssuerKeys::Keys(VerifyingKeys::from(key().verifying_key()));
    let trust = UserTrust::new([app.id.clone()]).with_policy(ImpersonationPolicy::anyone());
    let record = TrustedIssuer::new(this, "Here", keys, [Algorithm::ES256]).with_id_jag(trust);
    block_on(admin.add_trusted_issuer(record)).unwrap();
    drop(admin);
    (server, app)
}

/// X33, X34: one server gives the assertion, another trusts it, and gives access to its API in the name of its own
/// user.
#[test]
fn an_assertion_of_one_server_gives_access_at_another() {
    let chain = chain();
    let answer = ask(&chain, &chain.user_token(), &[("scope", "read")]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("issued_token_type"), ID_JAG);
    assert_eq!(answer.text("token_type"), "N_A");
    assert_eq!(answer.text("scope"), "read");
    assert_eq!(answer.json["expires_in"], 300);
    assert!(answer.json.get("refresh_token").is_none());
    let assertion = answer.text("access_token");
    assert_eq!(header_of(assertion)["typ"], "oauth-id-jag+jwt");
    let mut claims = claims_of(assertion);
    assert!(claims.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().len() > 20);
    claims.as_object_mut().unwrap().remove("auth_time");
    let expected = json!({
        "iss": ISSUER, "sub": "ann", "aud": OTHER, "client_id": "orders-there",
        "iat": START, "exp": START + 300, "scope": "read", "resource": [API],
    });
    assert_eq!(claims, expected);
    let event = chain.world.last_event();
    let decision = event.decision.unwrap();
    assert_eq!((&*decision.rule, decision.entry.as_deref()), ("listed_group", Some("staff")));
    assert_eq!((decision.via.len(), event.subject.unwrap().as_str()), (1, "ann"));

    let (other, app) = other_server(&chain);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion)];
    let access = post(&other, &app, &form);
    assert_eq!(access.status, 200, "{access:?}");
    let claims = access.claims();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("ann-there"), &json!(API)));
    assert_eq!((&claims["scope"], &claims["evidence_issuer"]), (&json!("read"), &json!(ISSUER)));
    post(&other, &app, &form).assert_error(400, "invalid_grant");
}

/// X34: without a scope and an API in the request, the assertion states all that the policy lists. It ends with the
/// subject token.
#[test]
fn an_assertion_states_what_the_policy_lists_and_ends_with_the_subject_token() {
    let chain = chain();
    let token = chain.user_token();
    chain.world.advance(3_500);
    let answer = ask(&chain, &token, &[]);
    assert_eq!((answer.text("scope"), &answer.json["expires_in"]), ("read write", &json!(100)));
    assert_eq!(claims_of(answer.text("access_token"))["resource"], json!([API]));
}

/// X35: another server, scope or API than the policy lists, a token without a user, an actor and other types are
/// refused.
#[test]
fn a_request_beyond_the_policy_gets_no_assertion() {
    let chain = chain();
    let user = chain.user_token();
    let own = chain.own_token(&chain.orders);
    let unlisted = ("invalid_target", "target_not_listed");
    let other_type = ("invalid_request", "unsupported_parameter");
    let jwt = ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
    for (token, more, (error, reason)) in [
        (&user, &[("audience", "https://third.example.com")][..], unlisted),
        (&user, &[("audience", ISSUER)], unlisted),
        (&user, &[("audience", "https://other.example.com/")], unlisted),
        (&user, &[("audience", "")], ("invalid_request", "missing_parameter")),
        (&user, &[("resource", FILES)], unlisted),
        (&user, &[("scope", "read admin")], ("invalid_scope", "scope_exceeds_subject_token")),
        (&own, &[], ("invalid_request", "subject_token_without_user")),
        (&user, &[ACTOR_OF_ACCESS, ("actor_token", &own)], other_type),
        (&user, &[jwt], ("invalid_request", "duplicate_parameter")),
    ] {
        chain.refused(&ask(&chain, token, more), error, reason);
    }
    let form = [GRANT, REQUESTED, jwt, ("subject_token", &*user), ("audience", OTHER)];
    chain.refused(&chain.world.post(&chain.orders, &form), other_type.0, other_type.1);
    // The app acts for users of a group only.
    chain.world.users.put(User::new(subject("ann")));
    chain.refused(&ask(&chain, &user, &[]), "invalid_request", "impersonation_not_listed");
}

/// X36: a revoked subject token gives none, nor does a policy without the server, nor a disabled app.
#[test]
fn the_end_of_the_subject_token_or_of_the_policy_ends_the_assertions() {
    let chain = chain();
    let token = chain.user_token();
    let admin = || chain.world.server.admin("root");
    block_on(admin().revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
    chain.refused(&ask(&chain, &token, &[]), "invalid_request", "subject_token_revoked");
    chain.world.advance(10);
    let token = chain.user_token();
    assert_eq!(ask(&chain, &token, &[]).status, 200);
    chain.world.edit(&chain.orders, |draft| draft.delegation(policy(&["web"], &[FILES])));
    chain.refused(&ask(&chain, &token, &[]), "invalid_target", "target_not_listed");
    block_on(admin().disable(&chain.orders.id)).unwrap();
    ask(&chain, &token, &[]).assert_error(401, "invalid_client");
}
