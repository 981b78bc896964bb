//! Secrets stay out of `Debug`, of events and of errors.

use std::fmt::Debug;
use std::sync::Arc;

use grantor::admin::ImportedApp;
use grantor::app::{ClientAuthentication, Flow, ImpersonationPolicy, JwtSettings};
use grantor::clock::UnixTime;
use grantor::endpoint::{Caller, Decision, FormRequest, Login};
use grantor::ids::{ClientId, KeyId};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKey};
use grantor::protocol::CodeVerifier;
use grantor::random::OsRandom;
use grantor::resource_server::BearerRequest;
use grantor::secret::{
    AccessToken, AuthorizationCode, ClientSecret, RefreshToken, SignatureSecret,
};
use grantor::server_secret::ServerSecret;
use grantor::store::FeedCursor;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{JWT_BEARER, Signer, backend_keys};
use crate::support::{
    ISSUER, ROOT, World, basic, code_app, code_query, encode, parameters, subject,
};

/// Secrets that may appear neither as text nor as a list of bytes.
#[derive(Default)]
struct Planted(Vec<(String, String)>);

impl Planted {
    fn add(&mut self, secret: &str) {
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        // The beginning of a secret gives it away.
        let start: String = secret.chars().take(16).collect();
        self.0.push((start, bytes.chars().take(40).collect()));
    }

    #[track_caller]
    fn assert_absent(&self, shown: &str) {
        let flat: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for (text, bytes) in &self.0 {
            assert!(!shown.contains(text.as_str()), "{text} in {shown}");
            assert!(!flat.contains(bytes.as_str()), "the bytes of {text} in {shown}");
        }
    }

    #[track_caller]
    fn assert_hidden(&self, value: &impl Debug) {
        self.assert_absent(&format!("{value:?}"));
        self.assert_absent(&format!("{value:#?}"));
    }
}

/// Each secret type, and each type made of one.
#[test]
fn a_secret_is_redacted_by_its_type() {
    let secret = "planted-secret-of-32-bytes-or-more!";
    let mut planted = Planted::default();
    planted.add(secret);
    planted.assert_hidden(&ClientSecret::new(secret));
    planted.assert_hidden(&SignatureSecret::new(secret));
    planted.assert_hidden(&AccessToken::new(secret));
    planted.assert_hidden(&RefreshToken::new(secret));
    planted.assert_hidden(&AuthorizationCode::new(secret));
    planted.assert_hidden(&ServerSecret::new(secret.as_bytes()).unwrap());
    planted.assert_hidden(&SigningKey::from_hmac_secret(secret.as_bytes()).unwrap());
    let key = VerifyingKey::from_hmac_secret(secret.as_bytes()).unwrap();
    planted.assert_hidden(&key.with_key_id(KeyId::new("k").unwrap()));
    planted.assert_hidden(&FormRequest::new(secret).authorization(secret));
    planted.assert_hidden(&BearerRequest::new(Some(secret)));
    planted.assert_hidden(&Login::new(subject("ann"), secret));
    let import = ImportedApp::new(ClientId::new("x").unwrap(), code_app().build().unwrap())
        .with_client_secret(ClientSecret::new(secret), Some(UnixTime::EPOCH))
        .with_signature_secret(SignatureSecret::new(secret));
    planted.assert_hidden(&import);
    let pem = SigningKey::generate_pem(Algorithm::EdDSA).unwrap();
    let body = pem.expose_secret().lines().nth(1).unwrap();
    let mut planted = Planted::default();
    planted.add(body);
    planted.assert_hidden(&pem);
    planted.assert_hidden(&SigningKey::from_pem(Algorithm::EdDSA, pem.expose_secret()).unwrap());
}

/// Everything that the life of an app produces: responses, requests, events, errors, the app, the
/// store and the server.
#[test]
fn a_whole_flow_shows_no_secret() {
    let world = World::new();
    let mut planted = Planted::default();
    planted.add(std::str::from_utf8(ROOT).unwrap());
    let admin = world.server.admin("root");
    let jwt = JwtSettings::signature_secret().with_impersonation(ImpersonationPolicy::anyone());
    let settings = code_app().flow(Flow::JwtBearer).jwt(jwt).build().unwrap();
    let credentials = block_on(admin.register(settings)).unwrap();
    let client_secret = credentials.client_secret.as_ref().unwrap().expose_secret().to_owned();
    let signature_secret = credentials.signature_secret.as_ref().unwrap().expose_secret();
    planted.add(&client_secret);
    planted.add(signature_secret);
    planted.assert_hidden(&credentials);
    let app = crate::support::App {
        id: credentials.client_id.clone(),
        secret: Some(client_secret.clone()),
        signature_secret: Some(signature_secret.to_owned()),
    };

    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    planted.add(verifier.expose_secret());
    planted.assert_hidden(&verifier);
    let login = Login::new(subject("ann"), "planted-session-of-ann");
    planted.add("planted-session-of-ann");
    let query = code_query(&app, &verifier, &[]);
    let request = block_on(world.server.authorization_request(&query, Caller::default())).unwrap();
    planted.assert_hidden(&request);
    let prompt = world.prompt(&query, &login);
    planted.add(&prompt.ticket);
    planted.assert_hidden(&prompt);
    let yes = Decision::approve();
    let sent = block_on(world.server.decide(&prompt.ticket, &login, yes, Caller::default()));
    let sent = sent.unwrap();
    let code = parameters(sent.location()).remove("code").unwrap();
    planted.add(&code);
    planted.assert_hidden(&sent);

    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", verifier.expose_secret()),
    ];
    let header = basic(app.id.as_str(), &client_secret);
    planted.add(header.strip_prefix("Basic ").unwrap());
    let body = encode(&form);
    let request = FormRequest::new(&body).authorization(&header);
    planted.assert_hidden(&request);
    let tokens = block_on(world.server.token(&request)).unwrap();
    planted.add(tokens.access_token.expose_secret());
    planted.add(tokens.refresh_token.as_ref().unwrap().expose_secret());
    planted.assert_hidden(&tokens);

    let assertion = Signer::hmac(jsonwebtoken::Algorithm::HS256, signature_secret.as_bytes())
        .sign(&world.claims(&app));
    planted.add(&assertion);
    assert_eq!(world.present(&app, &assertion, &[]).status, 200);
    for refused in [
        world.present(&app, &assertion, &[]),
        world.redeem(&app, &code, verifier.expose_secret()),
        world.refresh(&app, tokens.refresh_token.as_ref().unwrap().expose_secret()),
        world.post(&app, &[("grant_type", JWT_BEARER), ("assertion", &code)]),
        world.post_form(Some(&header), "grant_type=client_credentials&client_secret=x"),
    ] {
        assert_ne!(refused.status, 200);
        planted.assert_absent(&refused.json.to_string());
    }
    let presented = encode(&[("token", tokens.refresh_token.as_ref().unwrap().expose_secret())]);
    let asking = FormRequest::new(&presented).authorization(&header);
    planted.assert_hidden(&asking);
    let told = block_on(world.server.introspect(&asking)).unwrap();
    planted.assert_hidden(&told);
    planted.assert_absent(&told.to_json());
    block_on(world.server.revoke(&asking)).unwrap();
    let error = block_on(world.server.revocations(&asking, FeedCursor::default())).unwrap_err();
    planted.assert_hidden(&error);
    let error = block_on(world.server.token(&request)).unwrap_err();
    planted.assert_hidden(&error);
    planted.assert_absent(&error.to_string());

    let rotated = block_on(admin.rotate_client_secret(&app.id, std::time::Duration::ZERO)).unwrap();
    planted.add(rotated.client_secret.as_ref().unwrap().expose_secret());
    planted.assert_hidden(&rotated);
    let stored = block_on(admin.find(&app.id)).unwrap().unwrap();
    planted.assert_hidden(&stored);
    planted.assert_absent(&serde_json::to_string(&*stored).unwrap());
    planted
        .assert_absent(&serde_json::to_string(&block_on(admin.export(&app.id)).unwrap()).unwrap());
    let grants = grantor::store::GrantFilter::all();
    let grants = block_on(admin.grants(&grants, grantor::store::Page::first(9))).unwrap();
    assert_eq!(grants.items.len(), 1);
    planted.assert_hidden(&grants);
    planted.assert_absent(&serde_json::to_string(&grants.items).unwrap());

    let events = world.events();
    assert!(events.len() > 8, "{}", events.len());
    for event in &events {
        planted.assert_hidden(event);
        planted.assert_absent(&serde_json::to_string(event).unwrap());
    }
    planted.assert_hidden(&world.server);
    planted.assert_hidden(&world.store);
    planted.assert_hidden(&world.audit);
    planted.assert_hidden(&admin);
}

/// A builder holds the secret and the keys before the server does.
#[test]
fn a_builder_shows_no_secret() {
    let mut planted = Planted::default();
    planted.add(std::str::from_utf8(ROOT).unwrap());
    planted.add("planted-key-of-32-bytes-or-more!!!");
    let builder = grantor::AuthorizationServer::builder(
        grantor::ids::Issuer::new(ISSUER).unwrap(),
        ServerSecret::new(ROOT).unwrap().accepting(b"planted-key-of-32-bytes-or-more!!!").unwrap(),
        SigningKey::from_hmac_secret(b"planted-key-of-32-bytes-or-more!!!").unwrap(),
        Arc::new(grantor::store::MemoryStore::new()),
        Arc::new(grantor::users::MemoryUsers::default()),
    );
    planted.assert_hidden(&builder);
    planted.assert_hidden(&builder.build());
}

/// Published keys have no private part, and an HS256 key is not among them.
#[test]
fn published_keys_are_public() {
    let world = World::with(|builder| {
        builder.published_key(VerifyingKey::from_hmac_secret(&[7; 32]).unwrap())
    });
    let set: serde_json::Value = serde_json::from_str(&world.server.jwk_set()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
        assert!(keys[0].get(private).is_none(), "{private}");
    }
}

/// An administrator's settings are shown: they hold public keys and no secret.
#[test]
fn settings_hold_public_keys_only() {
    let app = code_app()
        .authentication(ClientAuthentication::PrivateKeyJwt(backend_keys()))
        .jwt(JwtSettings::keys(backend_keys()));
    let text = serde_json::to_value(&app).unwrap();
    let key = &text["authentication"]["private_key_jwt"]["keys"][0];
    assert_eq!(key["kty"], json!("OKP"));
    assert!(key.get("d").is_none());
}
