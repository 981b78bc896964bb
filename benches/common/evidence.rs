//! A server that trusts an identity provider and a platform, and an app that presents their tokens.

use std::cell::Cell;
use std::sync::Arc;

use grantor::app::{
    DelegationPolicy, ImpersonationPolicy, IssuerKeys, JwtSettings, RateQuota, SubjectPattern,
    TrustedIssuer, UserTrust, WorkloadRule,
};
use grantor::audit::NoAudit;
use grantor::clock::SystemClock;
use grantor::endpoint::FormRequest;
use grantor::ids::{ClientId, EvidenceIssuer, Resource};
use grantor::jwt::{Algorithm, VerifyingKeys};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::{Flow, MemoryStore, Scope, Subject, User};

use super::floor::Floor;
use super::world::{self, NowReady, SCOPE, now, now_ready};
use crate::support::{self, ISSUER, Server, machine_app};

const IDP: &str = "https://idp.example";
const API: &str = "https://files.example.com";
const JWT_BEARER: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
const EXCHANGE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&resource=\
                        https%3A%2F%2Ffiles.example.com&subject_token_type=urn%3Aietf%3Aparams%3A\
                        oauth%3Atoken-type%3A";

/// The evidence of a token request.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// An identity assertion about a user.
    IdJag,
    /// The token of a job, in the shape of a platform.
    Workload,
    /// An access token of this server, which is exchanged.
    AccessToken,
    /// A token of the identity provider, which is exchanged.
    SubjectToken,
}

/// A server whose keys and those of the issuer are ES256.
pub(crate) struct Evidence {
    server: Arc<Server>,
    credentials: String,
    /// Signs as the identity provider and as the platform.
    key: jsonwebtoken::EncodingKey,
    number: Cell<u64>,
}

impl Evidence {
    pub(crate) fn new() -> Self {
        // The limits are on, but too high to be reached.
        let limits = RateLimits::default().with_volume(RateQuota::new(60_000_000, 1_000_000));
        let key = world::signing_key(Algorithm::ES256);
        let clock = SystemClock::new();
        let store = MemoryStore::new();
        let world = support::World::over(store, clock, NowReady, key, |builder| {
            let api = ResourceServer::new(Resource::new(API).unwrap(), id("files"));
            let builder = builder.rate_limits(limits).audit(NoAudit::new()).token_exchange(true);
            builder.trusted_issuers(MemoryStore::new()).resource_server(api)
        });
        let ann = Subject::new("ann@example.com").unwrap();
        world.users.put(User::new(ann.clone()));
        world.users.link(&issuer(), "U019488227", &ann);
        let anyone = ImpersonationPolicy::anyone;
        let policy = DelegationPolicy::new([id("bench")], [Resource::new(API).unwrap()])
            .with_issuers([issuer()])
            // Its subject token comes of an identity assertion.
            .with_impersonated(true)
            .with_users(anyone());
        let draft = machine_app()
            .flows([Flow::JwtBearer, Flow::TokenExchange])
            .scope(Scope::parse(SCOPE).unwrap())
            .jwt(JwtSettings::signature_secret())
            .delegation(policy);
        let app = world.import("bench", draft);
        let credentials = format!("&client_id=bench&client_secret={}", app.secret.unwrap());
        let keys = include_str!("../../tests/fixtures/test_only_p256_public.pem");
        let keys = IssuerKeys::Keys(VerifyingKeys::from_pem(keys).unwrap());
        let users = || UserTrust::new([id("bench")]).with_policy(anyone());
        let jobs = SubjectPattern::new("repo:acme/*:ref:refs/heads/main").unwrap();
        let jobs = WorkloadRule::new(id("bench"), jobs).with_claim("repository_owner_id", "65");
        let record = TrustedIssuer::new(issuer(), "Acme", keys, [Algorithm::ES256])
            .with_id_jag(users())
            .with_subject_tokens(users())
            .with_workloads([jobs]);
        now_ready(world.server.admin("bench").add_trusted_issuer(record)).unwrap();
        let key = jsonwebtoken::EncodingKey::from_ec_pem(world::ES256_PEM.as_bytes()).unwrap();
        Self { server: world.server, credentials, key, number: Cell::new(0) }
    }

    /// Runs a token request, from form text to JSON text.
    pub(crate) fn token(&self, form: &str) -> String {
        now_ready(self.server.token(&FormRequest::new(form))).unwrap().to_json()
    }

    /// Returns a request with new evidence.
    pub(crate) fn form(&self, kind: Kind) -> String {
        let token = self.evidence(kind);
        let begin = match kind {
            Kind::IdJag | Kind::Workload => JWT_BEARER.to_owned(),
            Kind::AccessToken => format!("{EXCHANGE}access_token&subject_token="),
            Kind::SubjectToken => format!("{EXCHANGE}jwt&subject_token="),
        };
        ["grant_type=", &begin, &token, &self.credentials].concat()
    }

    fn evidence(&self, kind: Kind) -> String {
        let number = self.number.get();
        self.number.set(number + 1);
        let now = now().as_seconds();
        let mut claims = serde_json::json!({
            "iss": IDP, "iat": now, "exp": now + 300, "jti": format!("evidence-{number}"),
        });
        let (typ, more) = match kind {
            Kind::IdJag => (
                "oauth-id-jag+jwt",
                serde_json::json!({
                    "sub": "U019488227", "aud": ISSUER, "client_id": "bench",
                    "auth_time": now - 60, "amr": ["mfa", "hwk"], "scope": SCOPE,
                }),
            ),
            Kind::Workload => (
                "JWT",
                serde_json::json!({
                    "sub": "repo:acme/site:ref:refs/heads/main", "aud": ISSUER, "nbf": now,
                    "ref": "refs/heads/main", "sha": "5fda4a1dd5df7f5e1c0c4aa4f1a25d2cbc9b8c3e",
                    "repository": "acme/site", "repository_owner": "acme",
                    "repository_id": "74", "repository_owner_id": "65", "run_id": "1022",
                    "run_number": "10", "run_attempt": "2", "actor": "ann", "actor_id": "12",
                    "event_name": "push", "workflow": "deploy",
                    "repository_visibility": "private", "runner_environment": "github-hosted",
                    "job_workflow_ref": "acme/site/.github/workflows/deploy.yml@refs/heads/main",
                }),
            ),
            Kind::SubjectToken => (
                "at+jwt",
                serde_json::json!({ "sub": "U019488227", "aud": ISSUER, "scope": SCOPE }),
            ),
            Kind::AccessToken => {
                let answer = self.token(&self.form(Kind::IdJag));
                return answer.split('"').nth(3).unwrap().to_owned();
            }
        };
        claims.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

/// Returns the bare verification of the evidence in a form.
pub(crate) fn verification(form: &str) -> Floor {
    let (_, rest) = form.split_once("assertion=").or(form.split_once("subject_token=")).unwrap();
    Floor::verify(Algorithm::ES256, rest.split_once('&').unwrap().0)
}

fn issuer() -> EvidenceIssuer {
    EvidenceIssuer::new(IDP).unwrap()
}

fn id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}
