//! A server with one user and one app, for the targets that send requests.

use std::sync::LazyLock;

use grantor::AuthorizationServer;
use grantor::admin::ImportedApp;
use grantor::app::{
    AppDraft, DelegationPolicy, Flow, ImpersonationPolicy, IssuerKeys, JwtSettings, SubjectPattern,
    TrustedIssuer, UserTrust, WorkloadRule,
};
use grantor::clock::{ManualClock, UnixTime};
use grantor::endpoint::Login;
use grantor::ids::{ClientId, EvidenceIssuer, Issuer, Resource, Subject};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::protocol::{RedirectUri, Scope};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::secret::ClientSecret;
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::users::{MemoryUsers, User};
use pollster::block_on;

use crate::{ISSUER, NOW};

/// The client id of the app.
pub const CLIENT_ID: &str = "reports";
/// The app's client secret.
pub const CLIENT_SECRET: &str = "gcs_2r5u8x-A7Ck3Gm9Qe4Tw1Zy6Bn0Hs5Vd8Jf2Lp7Rt";
/// The app's only redirect URI.
pub const CALLBACK: &str = "https://app.example.com/cb";
/// The app's scope.
pub const SCOPE: &str = "files.read files.write GET/users/*";

/// The trusted issuer, which calls the user `ann` `u1`.
pub const IDP: &str = "https://idp.example.com";
/// The scope ceiling of the trusted issuer, for users and for workloads.
pub const IDP_SCOPE: &str = "files.read GET/users/*";

/// The APIs for which the app exchanges tokens.
pub const TARGETS: [&str; 2] = ["https://files.example.com", "https://mail.example.com/v1"];

/// The root of the server secret and the HS256 secret of the server. Unlike [`crate::SECRET`], no
/// target signs with it.
const SERVER_SECRET: &[u8] = b"fedcba9876543210fedcba9876543210";

/// A server without limits, whose only app may use the authorization code flow, the JWT bearer
/// grant and token exchange, and introspects every token. An issuer is trusted for every evidence.
pub struct World {
    /// The server.
    pub server: AuthorizationServer<MemoryStore, MemoryUsers>,
    /// A login of the user `ann`, now.
    pub ann: Login,
}

/// The world of the requests.
pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let ann = Subject::new("ann").unwrap();
    let client_id = ClientId::new(CLIENT_ID).unwrap();
    let api = ResourceServer::new(Resource::new(ISSUER).unwrap(), client_id.clone());
    let users = MemoryUsers::new([User::new(ann.clone())]);
    let idp = EvidenceIssuer::new(IDP).unwrap();
    users.link(&idp, "u1", &ann);
    let server = AuthorizationServer::builder(
        Issuer::new(ISSUER).unwrap(),
        ServerSecret::new(SERVER_SECRET).unwrap(),
        SigningKey::from_hmac_secret(SERVER_SECRET).unwrap(),
        MemoryStore::new(),
        users,
    )
    .clock(ManualClock::new(UnixTime::from_seconds(NOW)))
    .rate_limits(RateLimits::none())
    .token_exchange(true)
    .trusted_issuers(MemoryStore::new())
    .resource_server(api.with_gateway(true))
    .build();
    let key = include_str!("../../tests/fixtures/test_only_p256_public.pem");
    let jwt = JwtSettings::keys(VerifyingKeys::from_pem(key).unwrap())
        .with_impersonation(ImpersonationPolicy::anyone());
    let targets = TARGETS.map(|name| Resource::new(name).unwrap());
    let exchanges = DelegationPolicy::new([client_id.clone()], targets)
        .with_issuers([idp.clone()])
        .with_users(ImpersonationPolicy::anyone());
    let key = include_str!("../../tests/fixtures/test_only_ed25519_public.pem");
    let keys = IssuerKeys::Keys(VerifyingKeys::from_pem(key).unwrap());
    let scope = || Scope::parse(IDP_SCOPE).unwrap();
    let policy = ImpersonationPolicy::anyone().with_scope(scope());
    let users = || UserTrust::new([client_id.clone()]).with_policy(policy.clone());
    let pattern = SubjectPattern::new("job:*").unwrap();
    let rule = WorkloadRule::new(client_id.clone(), pattern).with_claim("ns", "prod");
    let record = TrustedIssuer::new(idp, "IdP", keys, [Algorithm::EdDSA])
        .with_id_jag(users())
        .with_subject_tokens(users())
        .with_workloads([rule.with_scope(scope())])
        .with_reuse(true);
    block_on(server.admin("fuzzer").add_trusted_issuer(record)).unwrap();
    let draft = AppDraft::confidential("Reports")
        .flows([Flow::AuthorizationCode, Flow::JwtBearer, Flow::TokenExchange])
        .delegation(exchanges)
        .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
        .scope(Scope::parse(SCOPE).unwrap())
        .refresh_token(true)
        .jwt(jwt);
    let app = ImportedApp::new(client_id, draft.build().unwrap())
        .with_client_secret(ClientSecret::new(CLIENT_SECRET), None);
    block_on(server.admin("fuzzer").import(app)).unwrap();
    let ann = Login::new(ann, "session").with_auth_time(UnixTime::from_seconds(NOW));
    World { server, ann }
});
