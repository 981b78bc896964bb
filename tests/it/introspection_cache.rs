//! Introspection of an access token that was introspected before: its signature is not verified again, and
//! everything else is decided anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use grantor::app::{AppDraft, Flow};
use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::{ClientId, GrantId, Resource};
use grantor::jwt::{Algorithm, KeyRing, RingKey, SigningKey};
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::conformance::Threads;
use grantor::store::{MemoryStore, RevocationTarget};
use pollster::block_on;
use serde_json::json;

use crate::support::{App, START, World, code_app, scope, subject};

const FILES: &str = "https://files.example.com";
const MAIL: &str = "https://mail.example.com";

/// A server with two APIs, the ring of its keys, and an app that has introspected a token of another app twice.
struct Scene {
    world: World,
    ring: KeyRing,
    files: App,
    mail: App,
    app: App,
    token: String,
    refresh_token: String,
    grant_id: GrantId,
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA).unwrap()
}

fn resource(name: &str) -> Resource {
    Resource::new(name).unwrap()
}

impl Scene {
    /// Keeps up to `capacity` tokens that were signed by `signing`. The ring also has a key that stays.
    fn signed_by(capacity: usize, signing: RingKey) -> Self {
        let later = RingKey::from(key()).not_before(after(3_000));
        let ring = KeyRing::new(vec![signing, later]).unwrap();
        let api = |name, id| ResourceServer::new(resource(name), ClientId::new(id).unwrap());
        let clock = ManualClock::new(after(0));
        let world = World::over(MemoryStore::new(), clock, Threads, ring.clone(), |builder| {
            builder
                .rate_limits(RateLimits::none())
                .resource_server(api(FILES, "files").with_scopes(scope("a b")))
                .resource_server(api(MAIL, "mail").with_scopes(scope("b c")))
                .introspection_cache(capacity)
        });
        let [files, mail] = ["files", "mail"]
            .map(|id| world.import(id, AppDraft::confidential(id).flow(Flow::ClientCredentials)));
        let resources = [resource(FILES), resource(MAIL)];
        let draft = code_app().resources(resources).default_resource(Some(resource(FILES)));
        let app = world.register(draft.access_token_lifetime(3_600));
        let answer = world.tokens(&app);
        let grant_id = answer.claims()["grant_id"].as_str().unwrap().parse().unwrap();
        let token = answer.text("access_token").to_owned();
        let refresh_token = answer.text("refresh_token").to_owned();
        let scene = Self { world, ring, files, mail, app, token, refresh_token, grant_id };
        assert!(scene.is_active() && scene.is_active(), "read, and read again from the cache");
        scene
    }

    fn new(capacity: usize) -> Self {
        Self::signed_by(capacity, RingKey::from(key()))
    }

    /// Introspects the token.
    fn is_active(&self) -> bool {
        let answer = self.world.introspect(&self.files, &self.token);
        assert_eq!(answer.status, 200, "{answer:?}");
        let is_active = answer.json["active"].as_bool().unwrap();
        assert!(is_active || answer.json == json!({ "active": false }), "{answer:?}");
        is_active
    }
}

fn after(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(START + seconds)
}

type End<'a> = &'a dyn Fn(&Scene);

/// I9: each end of the access is known to the next introspection, with the cache and without it.
#[test]
fn a_token_that_was_active_is_inactive_once_its_access_has_ended() {
    let revoke = |scene: &Scene, target| {
        block_on(scene.world.server.admin("tester").revoke(target)).unwrap();
    };
    let ends: [(&str, End<'_>); 9] = [
        ("revoked_token", &|scene| {
            assert_eq!(scene.world.revoke(&scene.app, &scene.token).status, 200);
        }),
        ("revoked_token", &|scene| {
            assert_eq!(scene.world.revoke(&scene.app, &scene.refresh_token).status, 200);
        }),
        ("revoked_token", &|scene| revoke(scene, RevocationTarget::Grant(scene.grant_id))),
        ("revoked_token", &|scene| revoke(scene, RevocationTarget::Subject(subject("ann")))),
        ("revoked_token", &|scene| revoke(scene, RevocationTarget::Everything)),
        ("revoked_token", &|scene| {
            block_on(scene.world.server.admin("tester").disable(&scene.app.id)).unwrap();
        }),
        ("revoked_token", &|scene| {
            block_on(scene.world.server.admin("tester").delete(&scene.app.id)).unwrap();
        }),
        ("expired_token", &|scene| scene.world.advance(3_600)),
        ("unknown_token", &|scene| scene.ring.replace(vec![key().into()]).unwrap()),
    ];
    for capacity in [0, 8] {
        for (reason, end) in &ends {
            let scene = Scene::new(capacity);
            end(&scene);
            assert!(!scene.is_active(), "{reason}, {capacity}");
            scene.world.assert_refused("grant", reason, None);
            assert!(!scene.is_active(), "{reason}, {capacity}");
        }
    }
}

/// I9: a key that retires at its instant takes its tokens with it, without a call.
#[test]
fn a_token_is_inactive_from_the_instant_at_which_its_key_retires() {
    let scene = Scene::signed_by(8, RingKey::from(key()).retire_after(after(3_500)));
    scene.world.advance(3_499);
    assert!(scene.is_active());
    scene.world.advance(1);
    assert!(!scene.is_active());
    scene.world.assert_refused("grant", "unknown_token", None);
}

/// I9: what a caller may see is decided for each caller, from the same kept claims.
#[test]
fn each_caller_sees_its_own_part_of_a_kept_token() {
    let scene = Scene::new(8);
    let world = &scene.world;
    let told = world.introspect(&scene.files, &scene.token).json;
    assert_eq!((&told["scope"], &told["aud"]), (&json!("a b"), &json!(FILES)));
    let other = world.introspect(&scene.mail, &scene.token);
    assert_eq!((other.status, other.json), (200, json!({ "active": false })));
    world.assert_refused("grant", "foreign_token", None);
    assert_eq!(world.introspect(&scene.files, &scene.token).json, told);
    block_on(world.server.admin("tester").disable(&scene.files.id)).unwrap();
    world.introspect(&scene.files, &scene.token).assert_error(401, "invalid_client");
    world
        .introspect_form(None, &format!("token={}", scene.token))
        .assert_error(401, "invalid_client");
}

/// Introspects on three threads while the access ends. Every introspection that begins after the end must say
/// that the token is inactive.
fn race(end: impl Fn(&Scene)) {
    for _ in 0..4 {
        let scene = Scene::new(8);
        let (has_ended, has_seen) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let ended_before = has_ended.load(Ordering::SeqCst);
                        let is_active = scene.is_active();
                        has_seen.store(true, Ordering::SeqCst);
                        assert!(!(ended_before && is_active), "active after the end");
                        if ended_before {
                            break;
                        }
                    }
                });
            }
            while !has_seen.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            end(&scene);
            has_ended.store(true, Ordering::SeqCst);
        });
        assert!(!scene.is_active());
    }
}

/// I10: introspections that race with the end of the access let none through that begins afterwards.
#[test]
fn no_introspection_that_begins_after_a_revocation_is_active() {
    race(|scene| assert_eq!(scene.world.revoke(&scene.app, &scene.refresh_token).status, 200));
    race(|scene| {
        block_on(scene.world.server.admin("tester").disable(&scene.app.id)).unwrap();
    });
}

/// I10: likewise for the removal of a key. A token that was verified under it is not kept afterwards.
#[test]
fn no_introspection_that_begins_after_the_removal_of_a_key_is_active() {
    race(|scene| scene.ring.replace(vec![key().into()]).unwrap());
    race(|scene| scene.world.advance(3_600));
}
