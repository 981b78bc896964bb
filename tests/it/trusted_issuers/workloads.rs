//! Tokens of workloads, in the shapes of a platform of jobs and of a cluster of containers.

use grantor::app::{
    AppDraft, ClientAuthentication, JwtSettings, SubjectPattern, TrustedIssuer, WorkloadRule,
};
use grantor::ids::EvidenceIssuer;
use grantor::jwt::Algorithm;
use pollster::block_on;
use serde_json::{Value, json};

use super::{idp_keys, idp_signer, read, trust, wiki, world};
use crate::assertions::{JWT_BEARER, backend_keys, with};
use crate::support::{Answer, App, ISSUER, World, code_app, encode};

const JOBS: &str = "https://token.actions.example.com";
const CLUSTER: &str = "https://kubernetes.default.svc";

fn record(issuer: &str, rules: impl IntoIterator<Item = WorkloadRule>) -> TrustedIssuer {
    let issuer = EvidenceIssuer::new(issuer).unwrap();
    TrustedIssuer::new(issuer, "Platform", idp_keys(), [Algorithm::ES256]).with_workloads(rules)
}

fn rule(app: &App, pattern: &str) -> WorkloadRule {
    WorkloadRule::new(app.id.clone(), SubjectPattern::new(pattern).unwrap())
}

/// The token of a job, as a hosted platform for builds writes it.
pub(crate) fn job(world: &World, change: &Value) -> String {
    let now = world.clock_now().as_seconds();
    let claims = json!({
        "jti": "example-id-1",
        "sub": "repo:octo-org/octo-repo:environment:prod",
        "environment": "prod",
        "aud": ISSUER,
        "ref": "refs/heads/main",
        "sha": "example-sha",
        "repository": "octo-org/octo-repo",
        "repository_owner": "octo-org",
        "actor_id": "12",
        "repository_visibility": "private",
        "repository_id": "74",
        "repository_owner_id": "65",
        "run_id": "example-run-id",
        "run_number": "10",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
        "actor": "octocat",
        "workflow": "example-workflow",
        "head_ref": "",
        "base_ref": "",
        "event_name": "workflow_dispatch",
        "ref_type": "branch",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        "iss": JOBS,
        "nbf": now - 5,
        "exp": now + 900,
        "iat": now,
    });
    idp_signer().with_kid("example-thumbprint").sign(&with(&claims, change))
}

/// The projected token of a service account.
fn pod(world: &World, change: &Value) -> String {
    let now = world.clock_now().as_seconds();
    let claims = json!({
        "aud": ["https://as.example.com"],
        "exp": now + 3_600,
        "iat": now,
        "iss": CLUSTER,
        "jti": "aed34954-b33a-4142-b1ec-389d6bbb4936",
        "kubernetes.io": {
            "namespace": "pay",
            "node": { "name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1" },
            "pod": { "name": "api-58f", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3" },
            "serviceaccount": { "name": "api", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798" },
        },
        "nbf": now,
        "sub": "system:serviceaccount:pay:api",
    });
    idp_signer().sign(&with(&claims, &with(&json!({ "aud": [ISSUER] }), change)))
}

/// Presents a token with the client id alone, or without.
fn present_alone(world: &World, client_id: Option<&str>, token: &str) -> Answer {
    let mut form = vec![("grant_type", JWT_BEARER), ("assertion", token)];
    form.extend(client_id.map(|id| ("client_id", id)));
    world.post_form(None, &encode(&form))
}

/// J45: a job gets the app's own token by a rule for its subject and its claims.
#[test]
fn a_job_gets_a_token_of_the_app_that_its_rule_names() {
    let world = world();
    let app = world.register(wiki());
    let jobs = rule(&app, "repo:octo-org/octo-repo:environment:prod")
        .with_claim("repository_owner_id", "65")
        .with_claim("ref", "refs/heads/main")
        .with_scope(crate::support::scope("a"));
    trust(&world, record(JOBS, [jobs]));
    let token = job(&world, &json!({}));
    let answer = world.present(&app, &token, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("scope"), "a");
    assert!(answer.json.get("refresh_token").is_none());
    let claims = read(&answer);
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&json!(app.id.as_str()), &json!(app.id.as_str()))
    );
    assert_eq!((&claims["evidence_issuer"], claims.get("act")), (&json!(JOBS), None));
    let decision = world.last_event().decision.unwrap();
    assert_eq!(decision.entry.as_deref(), Some("repo:octo-org/octo-repo:environment:prod"));
    world.present(&app, &token, &[]).assert_error(400, "invalid_grant");

    for (change, error) in [
        (json!({ "sub": "repo:octo-org/octo-repo:environment:production" }), "invalid_grant"),
        (json!({ "sub": "repo:octo-org/octo-repo:pull_request" }), "invalid_grant"),
        (json!({ "repository_owner_id": "66" }), "invalid_grant"),
        (json!({ "repository_owner_id": 65 }), "invalid_grant"),
        (json!({ "ref": "refs/heads/mainline" }), "invalid_grant"),
        (json!({ "ref": null }), "invalid_grant"),
        (json!({ "aud": "https://other.example" }), "invalid_grant"),
        (json!({ "aud": [ISSUER, "https://other.example"] }), "invalid_grant"),
        (json!({ "sub": null }), "invalid_grant"),
        (json!({ "exp": null }), "invalid_grant"),
    ] {
        let fresh = with(&change, &json!({ "jti": change.to_string() }));
        world.present(&app, &job(&world, &fresh), &[]).assert_error(400, error);
    }
}

/// J45: an app that no rule names is `unauthorized_client`.
#[test]
fn an_app_that_no_rule_names_is_unauthorized() {
    let world = world();
    let [app, other] = [world.register(wiki()), world.register(wiki())];
    trust(&world, record(JOBS, [rule(&app, "repo:octo-org/*")]));
    world.present(&other, &job(&world, &json!({})), &[]).assert_error(400, "unauthorized_client");
    world.assert_refused("grant", "app_not_named", Some("trusted_issuers"));
    // An issuer of workloads is not trusted for users.
    let typed = idp_signer().with_typ(Some("oauth-id-jag+jwt"));
    let now = world.clock_now().as_seconds();
    let claims = json!({
        "iss": JOBS, "sub": "repo:octo-org/x", "aud": ISSUER, "client_id": app.id.as_str(),
        "exp": now + 60, "iat": now, "jti": "1",
    });
    world.present(&app, &typed.sign(&claims), &[]).assert_error(400, "invalid_grant");
    world.assert_refused("grant", "issuer_not_trusted", Some("trusted_issuers"));
}

/// J45, J43: the token of a container alone authenticates the app if the rule says so, also a public one, until it
/// expires. The rule names the app if the request does not.
#[test]
fn a_container_needs_no_other_credentials_if_its_rule_says_so() {
    let public = |app: AppDraft| {
        let jwt = JwtSettings::keys(backend_keys()).with_assertion_authenticates(true);
        app.authentication(ClientAuthentication::None).flow(grantor::app::Flow::JwtBearer).jwt(jwt)
    };
    for draft in [wiki(), public(code_app())] {
        let world = world();
        let app = world.register(draft);
        let rules = [rule(&app, "system:serviceaccount:pay:*").with_authentication(true)];
        trust(&world, record(CLUSTER, rules).with_reuse(true));
        let token = pod(&world, &json!({}));
        for client_id in [Some(app.id.as_str()), None, Some(app.id.as_str())] {
            let answer = present_alone(&world, client_id, &token);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(read(&answer)["sub"], app.id.as_str());
        }
        let other = pod(&world, &json!({ "sub": "system:serviceaccount:test:api" }));
        assert_ne!(present_alone(&world, Some(app.id.as_str()), &other).status, 200);
        present_alone(&world, None, &other).assert_error(401, "invalid_client");
        let forged = crate::assertions::Signer::backend().sign(&json!({
            "iss": CLUSTER, "sub": "system:serviceaccount:pay:api", "aud": ISSUER,
            "exp": world.clock_now().as_seconds() + 60,
        }));
        present_alone(&world, None, &forged).assert_error(400, "invalid_grant");
        world.advance(3_611);
        present_alone(&world, None, &token).assert_error(400, "invalid_grant");
    }
}

/// A rule without this setting wants the credentials of the app, also if another rule of the app has it.
#[test]
fn a_token_alone_authenticates_only_by_the_rule_that_admits_it() {
    let world = world();
    let app = world.register(wiki());
    let rules = [
        rule(&app, "system:serviceaccount:pay:api"),
        rule(&app, "system:serviceaccount:pay:*").with_authentication(true),
    ];
    trust(&world, record(CLUSTER, rules));
    let token = pod(&world, &json!({}));
    for client_id in [Some(app.id.as_str()), None] {
        present_alone(&world, client_id, &token).assert_error(401, "invalid_client");
    }
    assert_eq!(world.present(&app, &token, &[]).status, 200);
    let batch = pod(&world, &json!({ "sub": "system:serviceaccount:pay:batch", "jti": "2" }));
    assert_eq!(present_alone(&world, None, &batch).status, 200);
}

/// J46: removing the issuer ends the access of its workloads.
#[test]
fn removing_the_issuer_ends_the_access_of_its_workloads() {
    let world = world();
    let app = world.register(wiki());
    trust(&world, record(JOBS, [rule(&app, "repo:octo-org/*")]));
    let given = world.present(&app, &job(&world, &json!({})), &[]);
    let issuer = EvidenceIssuer::new(JOBS).unwrap();
    block_on(world.server.admin("root").remove_trusted_issuer(&issuer)).unwrap();
    assert!(world.is_revoked(&given));
    world
        .present(&app, &job(&world, &json!({ "jti": "2" })), &[])
        .assert_error(400, "invalid_grant");
}
