//! Keys that change in a running server, and remote keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::AuthorizationServer;
use grantor::clock::UnixTime;
use grantor::endpoint::FormRequest;
use grantor::ids::{Issuer, KeyId};
use grantor::jwt::{
    Algorithm, KeyRing, RemoteKey, RingKey, SigningKey, TokenSigner, TokenSignerError, VerifyingKey,
};
use grantor::random::OsRandom;
use grantor::resource_server::BearerVerifier;
use grantor::server_secret::{KeyFile, RootUse, Rotated, Rotation};
use grantor::store::Store;
use pollster::block_on;
use serde_json::{Value, json};

use crate::assertions::{JWT_BEARER, backend_app};
use crate::support::{ISSUER, START, Server, World, ask, body_of, code_app, machine_app};

/// A server on the store and the clock of `world`, with its own keys.
fn server(world: &World, keys: impl Into<KeyRing>) -> Server {
    world.beside(keys, Arc::clone(&world.store), Arc::clone(&world.users)).build()
}

fn key(name: &str) -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap().with_key_id(KeyId::new(name).unwrap())
}

pub(crate) fn signed_by(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

pub(crate) fn published<S: Store>(server: &Server<S>) -> Vec<String> {
    let set: Value = serde_json::from_str(&server.jwk_set()).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// A key signs from its instant on, is published before, and verifies until its end. No request
/// fails meanwhile.
#[test]
fn a_running_server_rotates_its_keys_without_interruption() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let ring = KeyRing::from(key("old"));
    let server = server(&world, ring.clone());
    let body = body_of(&app, &[("grant_type", "client_credentials")]);
    let token = || ask(&server, &body).text("access_token").to_owned();
    let is_active = |token: &str| {
        let keys = server.verifying_keys().unwrap();
        let api = BearerVerifier::new(Issuer::new(ISSUER).unwrap(), keys)
            .with_clock(Arc::clone(&world.clock));
        api.check(Some(format!("Bearer {token}").as_str())).is_ok()
    };
    assert_eq!(signed_by(&token()), "old");
    assert_eq!(published(&server), ["old"]);

    let (next, gone) = (UnixTime::from_seconds(START + 600), UnixTime::from_seconds(START + 4_260));
    let old = key("old");
    ring.replace(vec![
        RingKey::from(old).retire_after(gone),
        RingKey::from(key("new")).not_before(next),
    ])
    .unwrap();
    assert_eq!(published(&server), ["old", "new"]);
    world.advance(599);
    let last = token();
    assert_eq!(signed_by(&last), "old");
    world.advance(1);
    let first = token();
    assert_eq!(signed_by(&first), "new");
    assert_eq!(published(&server), ["new", "old"]);
    assert!(is_active(&last) && is_active(&first));
    world.advance(3_598);
    assert!(is_active(&last), "active to its last second");
    world.advance(62);
    assert_eq!(published(&server), ["new"]);
}

/// A remote signing service.
struct Service {
    key: jsonwebtoken::EncodingKey,
    /// The number of calls that fail from now on.
    failures: Arc<AtomicUsize>,
}

impl TokenSigner for Service {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenSignerError> {
        let fail = |left: usize| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            return Err(TokenSignerError::new("planted failure of the service"));
        }
        let algorithm = jsonwebtoken::Algorithm::ES256;
        let signature = jsonwebtoken::crypto::sign(message, &self.key, algorithm).unwrap();
        Ok(URL_SAFE_NO_PAD.decode(signature).unwrap())
    }
}

fn remote() -> (RemoteKey, Arc<AtomicUsize>) {
    let pem = SigningKey::generate_pem(Algorithm::ES256).unwrap();
    let local = SigningKey::from_pem(Algorithm::ES256, pem.expose_secret()).unwrap();
    let public: VerifyingKey = local.verifying_key();
    let failures = Arc::new(AtomicUsize::new(0));
    let service = Service {
        key: jsonwebtoken::EncodingKey::from_ec_pem(pem.expose_secret().as_bytes()).unwrap(),
        failures: Arc::clone(&failures),
    };
    (RemoteKey::new(Algorithm::ES256, public, service).unwrap(), failures)
}

#[test]
fn a_token_under_a_remote_key_is_accepted() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let (key, _) = remote();
    let id = key.key_id().as_str().to_owned();
    let server = server(&world, key);
    let answer = ask(&server, &body_of(&app, &[("grant_type", "client_credentials")]));
    let token = answer.text("access_token");
    assert_eq!(signed_by(token), id);
    let api = BearerVerifier::new(Issuer::new(ISSUER).unwrap(), server.verifying_keys().unwrap())
        .with_clock(Arc::clone(&world.clock));
    assert!(api.check(Some(format!("Bearer {token}").as_str())).is_ok());
}

/// R12: if the signer fails after the claim, the retry gives the same successor. The cause is in
/// the audit log, not in the response.
#[test]
fn a_refresh_token_survives_a_signer_failure() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let (key, failures) = remote();
    let server = server(&world, key);
    failures.store(2, Ordering::SeqCst);
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.text("refresh_token"))];
    let body = body_of(&app, &form);
    for _ in 0..2 {
        let answer = ask(&server, &body);
        answer.assert_error(500, "server_error");
        assert!(!answer.text("error_description").contains("planted"));
        assert!(format!("{:?}", world.last_event()).contains("sign"));
    }
    let first = ask(&server, &body);
    let again = ask(&server, &body);
    assert_eq!(first.status, 200);
    assert_eq!(first.text("refresh_token"), again.text("refresh_token"));
}

/// The `jti` of an assertion is claimed before its token is signed (decision 0004), so the client
/// must sign another assertion.
#[test]
fn a_signer_failure_consumes_the_assertion() {
    let world = World::unlimited();
    let app = world.register(backend_app());
    let (key, failures) = remote();
    let server = server(&world, key);
    failures.store(1, Ordering::SeqCst);
    let present = |assertion: &str| {
        ask(&server, &body_of(&app, &[("grant_type", JWT_BEARER), ("assertion", assertion)]))
    };
    let assertion = world.assertion(&app, &json!({}));
    present(&assertion).assert_error(500, "server_error");
    present(&assertion).assert_error(400, "invalid_grant");
    let another = world.assertion(&app, &json!({ "jti": "another" }));
    assert_eq!(present(&another).status, 200);
}

/// If the signer fails, the code is spent.
#[test]
fn a_signer_failure_consumes_the_code() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (key, failures) = remote();
    let server = server(&world, key);
    let (code, verifier) = world.code(&app);
    failures.store(1, Ordering::SeqCst);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    ask(&server, &body_of(&app, &form)).assert_error(500, "server_error");
    ask(&server, &body_of(&app, &form)).assert_error(400, "invalid_grant");
}

/// The same file after a restart and a rotation: refresh tokens, client secrets and access tokens
/// stay valid.
#[test]
fn everything_issued_survives_a_restart_from_the_key_file() {
    let world = World::unlimited();
    let now = world.clock_now();
    let mut file = KeyFile::generate(Algorithm::EdDSA, &OsRandom::new(), now).unwrap();
    let start = |file: &KeyFile| {
        AuthorizationServer::builder(
            Issuer::new(ISSUER).unwrap(),
            file.server_secret().unwrap(),
            file.key_ring().unwrap(),
            Arc::clone(&world.store),
            Arc::clone(&world.users),
        )
        .clock(Arc::clone(&world.clock))
        .build()
    };
    let first = start(&file);
    let settings = machine_app().build().unwrap();
    let app = block_on(first.admin("tester").register(settings)).unwrap();
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        app.client_id,
        app.client_secret.unwrap().expose_secret()
    );
    let before = ask(&first, &body);
    let begun = file.rotate(now, &Rotation::default()).unwrap();
    for root_use in RootUse::ALL {
        file.add_root(&[*root_use], &OsRandom::new(), now).unwrap();
        file.promote_root(*root_use);
    }
    drop(first);
    let second = start(&file);
    assert_eq!(ask(&second, &body).status, 200, "its digest is renewed");
    let access_token = before.text("access_token");
    let revocation = format!("token={access_token}&{}", body.split_once('&').unwrap().1);
    block_on(second.revoke(&FormRequest::new(&revocation))).unwrap();
    assert!(world.is_revoked(&before), "the old key is believed");
    world.advance(600);
    let Rotated::Begun { key_id, .. } = begun else { panic!("{begun:?}") };
    assert_eq!(signed_by(ask(&second, &body).text("access_token")), key_id.as_str());
    // Every app has authenticated, so that the old pepper may be removed.
    for root_use in RootUse::ALL {
        file.retire_root(*root_use);
    }
    assert_eq!(ask(&start(&file), &body).status, 200);
}
