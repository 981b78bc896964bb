//! Secrets of declared apps: what is set, and what stands.

use std::sync::Arc;
use std::time::Duration;

use grantor::admin::{ApplyError, DeclaredApps};
use grantor::app::StoredSecret;
use grantor::{AuthorizationServer, Issuer, ServerSecret};
use pollster::block_on;
use ring::digest;
use serde_json::{Value, json};

use super::{GRANT, app, apply, audited, declared, found, fresh_key, id, machine, shown};
use crate::support::{App, ISSUER, ROOT, World};

fn with_secret(secret: &Value) -> Value {
    let mut one = machine("one", "a");
    one["client_secret"] = secret.clone();
    json!([one])
}

fn sha256(secret: &str) -> Value {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    let hex = digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    json!({ "sha256": hex })
}

fn secret(text: &str) -> App {
    App { secret: Some(text.to_owned()), ..app("one") }
}

fn newest(world: &World) -> StoredSecret {
    found(world, "one").credentials().client_secrets[0].clone()
}

/// Z34: a declared digest is recognized after its first use has replaced it, and by a slow one the
/// same.
#[test]
fn a_declared_digest_is_set_once_although_it_is_renewed() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let apps = with_secret(&sha256("a secret that moved here"));
    apply(&admin, &apps);
    assert!(apply(&admin, &apps).is_unchanged());
    let moved = newest(&world);
    assert!(moved.is_guessable(), "its length is unknown");
    assert_eq!(world.post(&secret("a secret that moved here"), &[GRANT]).status, 200);
    assert_ne!(newest(&world).digest, moved.digest, "renewed");
    let version = found(&world, "one").version();
    assert!(apply(&admin, &apps).is_unchanged());
    assert_eq!(found(&world, "one").version(), version);

    let slow = with_secret(&json!({ "slow": "$2b$04$abcdefghijklmnopqrstuu" }));
    assert_eq!(apply(&admin, &slow).changed[0].changed, ["client_secret"]);
    assert!(apply(&admin, &slow).is_unchanged());
}

/// Z34: a secret that an administrator rotated stands, so that a restart brings no leaked one back. Another
/// declared one replaces it.
#[test]
fn a_rotation_by_an_administrator_stands_until_the_declaration_changes() {
    let world = World::unlimited();
    let (admin, root) = (world.server.admin("deploy"), world.server.admin("root"));
    let leaked = with_secret(&json!("the secret that leaked"));
    apply(&admin, &leaked);
    let rotated = block_on(root.rotate_client_secret(&id("one"), Duration::ZERO)).unwrap();
    let rotated = rotated.client_secret.unwrap().expose_secret().to_owned();
    assert!(apply(&admin, &leaked).is_unchanged());
    assert_eq!(world.post(&secret("the secret that leaked"), &[GRANT]).status, 401);
    assert_eq!(world.post(&secret(&rotated), &[GRANT]).status, 200);
    // A declaration without a secret leaves it, too.
    assert!(apply(&admin, &with_secret(&Value::Null)).is_unchanged());

    let overlap = Duration::from_secs(100);
    let next =
        declared(&with_secret(&json!("the next declared secret"))).with_secret_overlap(overlap);
    assert_eq!(block_on(admin.apply(&next)).unwrap().changed[0].changed, ["client_secret"]);
    for both in [rotated.as_str(), "the next declared secret"] {
        assert_eq!(world.post(&secret(both), &[GRANT]).status, 200);
    }
    world.advance(100);
    assert_eq!(world.post(&secret(&rotated), &[GRANT]).status, 401);
    assert_eq!(audited(&world), ["import_app one done", "set_client_secret one done"]);
}

/// Z34: the same for the signature secret, which has no overlap.
#[test]
fn a_signature_secret_is_set_if_the_declaration_changes() {
    let world = World::unlimited();
    let (admin, root) = (world.server.admin("deploy"), world.server.admin("root"));
    let with = |signature: &str| {
        json!([{
            "client_id": "one",
            "client_secret": "the secret of one",
            "signature_secret": signature,
            "settings": { "name": "one", "flows": ["jwt_bearer"],
                "jwt": { "keys": "signature_secret" } },
        }])
    };
    let (first, second) = ("1".repeat(32), "2".repeat(32));
    apply(&admin, &with(&first));
    assert!(apply(&admin, &with(&first)).is_unchanged());
    assert_eq!(apply(&admin, &with(&second)).changed[0].changed, ["signature_secret"]);
    assert!(apply(&admin, &with(&second)).is_unchanged());
    block_on(root.regenerate_signature_secret(&id("one"))).unwrap();
    let regenerated = found(&world, "one").credentials().signature_secret.clone();
    assert!(apply(&admin, &with(&second)).is_unchanged());
    assert_eq!(found(&world, "one").credentials().signature_secret, regenerated);
    assert_eq!(audited(&world), ["import_app one done", "regenerate_signature_secret one done"]);
}

/// Z34: while a pepper retires, one call writes the app anew, without an event. Afterwards the declaration
/// is recognized under the new pepper alone.
#[test]
fn a_declaration_survives_a_new_pepper() {
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";
    let world = World::unlimited();
    let apps = with_secret(&sha256("a secret that moved here"));
    apply(&world.server.admin("deploy"), &apps);
    let version = || found(&world, "one").version();
    let server = |secret: ServerSecret| {
        let issuer = Issuer::new(ISSUER).unwrap();
        let (store, users) = (Arc::clone(&world.store), Arc::clone(&world.users));
        let builder = AuthorizationServer::builder(issuer, secret, fresh_key(), store, users);
        builder.clock(Arc::clone(&world.clock)).audit(Arc::clone(&world.audit)).build()
    };
    let new = || ServerSecret::new(NEW).unwrap();
    let both = server(new().accepting_pepper(ROOT).unwrap());
    let before = version();
    for _ in 0..2 {
        let report = block_on(both.admin("deploy").apply(&declared(&apps))).unwrap();
        assert!(report.is_unchanged());
        assert_eq!(version(), before + 1);
    }
    let retired = server(new());
    assert!(block_on(retired.admin("deploy").apply(&declared(&apps))).unwrap().is_unchanged());
    assert_eq!((version(), audited(&world).len()), (before + 1, 1));
}

/// Z34: an expiry of the declared secret is kept, and can be moved.
#[test]
fn a_declared_secret_may_expire() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let with = |at: &str| {
        let mut apps = with_secret(&json!("the secret that expires"));
        apps[0]["client_secret_expires_at"] = json!(at);
        apps
    };
    let first = with("2023-11-15T00:00:00Z");
    apply(&admin, &first);
    assert_eq!(newest(&world).expires_at.unwrap().to_string(), "2023-11-15T00:00:00Z");
    assert!(apply(&admin, &first).is_unchanged());
    let moved = apply(&admin, &with("2023-11-16T00:00:00Z"));
    assert_eq!(moved.changed[0].changed, ["client_secret"]);
    world.advance(86_400);
    assert_eq!(world.post(&secret("the secret that expires"), &[GRANT]).status, 200);
    world.advance(86_400);
    assert_eq!(world.post(&secret("the secret that expires"), &[GRANT]).status, 401);
}

/// Z34: an app that needs a secret and has none is refused with the way to give it. An app that has one
/// keeps it.
#[test]
fn a_missing_secret_is_refused_with_the_way_to_give_it() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let none = |flow: &str| {
        declared(&json!([{ "client_id": "one", "settings": {
            "name": "one", "flows": [flow],
            "jwt": { "keys": "signature_secret" },
        } }]))
    };
    let refused = |apps: &DeclaredApps| {
        let error = block_on(admin.apply(apps)).unwrap_err();
        let ApplyError::Invalid(invalid) = error else { panic!("{error:?}") };
        invalid.problems()[0].clone()
    };
    let problem = refused(&none("client_credentials"));
    assert_eq!(problem.path, "apps[0].client_secret");
    assert!(problem.problem.contains(r#"{"env": ..}"#), "{problem}");
    let mut signing = machine("one", "a");
    signing["settings"]["flows"] = json!(["jwt_bearer"]);
    signing["settings"]["jwt"] = json!({ "keys": "signature_secret" });
    let problem = refused(&declared(&json!([signing])));
    assert_eq!(problem.path, "apps[0].signature_secret");
    assert!(problem.problem.contains("public keys"), "{problem}");
    // Nothing is generated: a restart could not tell it.
    apply(&admin, &json!([machine("one", "a")]));
    assert!(found(&world, "one").credentials().signature_secret.is_none());
    let kept = block_on(admin.apply(&none("client_credentials"))).unwrap();
    assert!(!kept.changed[0].changed.contains(&"client_secret".to_owned()));
    assert_eq!(world.post(&app("one"), &[GRANT]).status, 200);
}

/// Z34: an app that changes to another method of authentication loses its secret, and gets the declared one
/// when it changes back.
#[test]
fn a_secret_follows_the_method_of_authentication() {
    let world = World::unlimited();
    let admin = world.server.admin("deploy");
    let apps = json!([machine("one", "a")]);
    let mut by_key = machine("one", "a");
    by_key.as_object_mut().unwrap().remove("client_secret");
    by_key["settings"]["authentication"] = json!({ "private_key_jwt": super::public_pem() });
    apply(&admin, &apps);
    let changed = apply(&admin, &json!([by_key]));
    assert_eq!(changed.changed[0].changed, ["authentication"]);
    assert_eq!(world.post(&app("one"), &[GRANT]).status, 401);
    let back = apply(&admin, &apps);
    assert_eq!(back.changed[0].changed, ["authentication", "client_secret"]);
    assert_eq!(world.post(&app("one"), &[GRANT]).status, 200);
    assert_eq!(shown(&apply(&admin, &apps)), json!({ "unchanged": ["one"] }));
}
