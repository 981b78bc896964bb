//! Bounds of `docs/limits.md`, each tried at its edges and one beyond.

use std::ops::RangeInclusive;
use std::time::Duration;

use grantor::admin::ImportedApp;
use grantor::app::{AppDraft, GivenSecret, RateQuota};
use grantor::clock::{Clock as _, SystemClock};
use grantor::ids::{ClientId, DeviceId, Group, Issuer, KeyId, Resource, Source, Subject};
use grantor::jwt::{KeyRing, RingKey, SigningKey, VerifyingKey, VerifyingKeys};
use grantor::protocol::{RedirectUri, Scope, ScopeToken};
use grantor::secret::{ClientSecret, SignatureSecret};
use grantor::server_secret::{KeyFile, KeyState, Rotated, Rotation, ServerSecret};
use pollster::block_on;
use serde_json::{Value, json};

use crate::assertions::{JWT_BEARER, Signer, backend_app};
use crate::error_texts::{merge, p256, valid_app};
use crate::support::{
    World, basic, code_app, code_query, encode, machine_app, new_verifier, parameters,
};

/// Checks that exactly these numbers are accepted: both edges are, and the numbers next to them are not.
#[track_caller]
fn accepts(name: &str, range: RangeInclusive<usize>, accepted: impl Fn(usize) -> bool) {
    let (first, last) = (*range.start(), *range.end());
    assert!(accepted(first), "{name}: {first} is refused");
    assert!(accepted(last), "{name}: {last} is refused");
    assert!(!accepted(last + 1), "{name}: {} is accepted", last + 1);
    if let Some(before) = first.checked_sub(1) {
        assert!(!accepted(before), "{name}: {before} is accepted");
    }
}

/// Checks that exactly these numbers make a valid app, if `change` puts one into it.
#[track_caller]
fn app_accepts(name: &str, range: RangeInclusive<usize>, change: impl Fn(usize) -> Value) {
    accepts(name, range, |number| {
        let mut app = valid_app();
        merge(&mut app, &change(number));
        serde_json::from_value::<AppDraft>(app).is_ok_and(|draft| draft.build().is_ok())
    });
}

fn texts(number: usize, text: impl Fn(usize) -> String) -> Vec<String> {
    (0..number).map(text).collect()
}

#[test]
fn names_have_their_documented_lengths() {
    let long = |length: usize| "x".repeat(length);
    accepts("client id", 1..=255, |it| ClientId::new(long(it)).is_ok());
    accepts("subject", 1..=255, |it| Subject::new(long(it)).is_ok());
    accepts("group", 1..=255, |it| Group::new(long(it)).is_ok());
    accepts("device id", 1..=255, |it| DeviceId::new(long(it)).is_ok());
    accepts("source", 1..=255, |it| Source::new(long(it)).is_ok());
    accepts("key id", 1..=128, |it| KeyId::new(long(it)).is_ok());
    let path = |length: usize| format!("https://h.example/{}", long(length - 18));
    assert!(Issuer::new(path(255)).is_ok() && Issuer::new(path(256)).is_err());
    assert!(Resource::new(path(255)).is_ok() && Resource::new(path(256)).is_err());
    assert!(RedirectUri::parse(&path(2_000)).is_ok() && RedirectUri::parse(&path(2_001)).is_err());
}

#[test]
fn scopes_have_their_documented_lengths() {
    accepts("scope token", 1..=128, |it| ScopeToken::new(&"x".repeat(it)).is_ok());
    let tokens = |number: usize| texts(number, |it| format!("t{it}")).join(" ");
    assert!(Scope::parse(&tokens(128)).is_ok() && Scope::parse(&tokens(129)).is_err());
    // 31 tokens of 128 bytes with their spaces, and one that fills the rest.
    let wide = |length: usize| {
        let full = texts(31, |it| format!("{it:x>128}")).join(" ");
        format!("{full} {}", "y".repeat(length - full.len() - 1))
    };
    assert!(Scope::parse(&wide(4_096)).is_ok() && Scope::parse(&wide(4_097)).is_err());
}

#[test]
fn settings_of_an_app_have_their_documented_bounds() {
    let uris = |it| texts(it, |number| format!("https://app.example.com/{number}"));
    let uris_of = |it| texts(it, |number| format!("https://{number}.example.com"));
    let apis = |it| texts(it, |number| format!("https://api.example.com/{number}"));
    app_accepts("name", 1..=100, |it| json!({ "name": "é".repeat(it) }));
    app_accepts("description", 0..=1_000, |it| json!({ "description": "é".repeat(it) }));
    app_accepts("redirect URIs", 1..=50, |it| json!({ "redirect_uris": uris(it) }));
    app_accepts("origins", 0..=50, |it| json!({ "origins": uris_of(it) }));
    app_accepts("resources", 0..=50, |it| json!({ "resources": apis(it) }));
    for (name, range) in [
        ("access_token_lifetime", 1..=30 * 86_400),
        ("refresh_token_lifetime", 1..=730 * 86_400),
        ("refresh_token_idle_lifetime", 1..=730 * 86_400),
        ("refresh_grace", 0..=300),
        ("code_lifetime", 1..=600),
    ] {
        app_accepts(name, range, |it| json!({ name: it }));
    }
    let quota =
        |per_minute, burst| json!({ "rate_quota": { "per_minute": per_minute, "burst": burst } });
    app_accepts("requests a minute", 1..=60_000_000, |it| quota(it, 1));
    app_accepts("requests at once", 1..=1_000_000, |it| quota(1, it));
    assert_eq!(RateQuota::new(60_000_000, 1_000_000).burst(), 1_000_000);
    let phone = |change: Value| json!({ "mobile_security": change });
    app_accepts("PIN", 1..=1_440, |it| phone(json!({ "pin": { "after_idle_minutes": it } })));
    app_accepts("wrong PINs", 1..=20, |it| phone(json!({ "max_pin_attempts": it })));
    app_accepts("block", 1..=8_760, |it| phone(json!({ "block_after_hours": it })));
    app_accepts("wipe", 1..=3_650, |it| phone(json!({ "wipe_after_days": it })));
    app_accepts("hours before a wipe", 1..=48, |it| {
        phone(json!({ "block_after_hours": it, "wipe_after_days": 2 }))
    });
    let patterns = |it| texts(it, |number| format!("com.example.{number}"));
    app_accepts("allowed apps", 0..=100, |it| phone(json!({ "allowed_apps": patterns(it) })));
    app_accepts("pattern", 1..=255, |it| phone(json!({ "allowed_apps": ["x".repeat(it)] })));
}

#[test]
fn settings_of_assertions_have_their_documented_bounds() {
    let jwt = |change: Value| json!({ "jwt": change });
    app_accepts("jwt.issuer", 1..=255, |it| jwt(json!({ "issuer": "x".repeat(it) })));
    app_accepts("jwt.audience", 1..=255, |it| jwt(json!({ "audience": "x".repeat(it) })));
    app_accepts("jwt.user_claim", 1..=64, |it| jwt(json!({ "user_claim": "x".repeat(it) })));
    app_accepts("jwt.max_lifetime", 1..=3_600, |it| jwt(json!({ "max_lifetime": it })));
    app_accepts("jwt.clock_skew", 0..=300, |it| jwt(json!({ "clock_skew": it })));
    let users = |it| texts(it, |number| format!("user-{number}"));
    let policy = |change: Value| jwt(json!({ "impersonation": change }));
    app_accepts("users", 0..=1_000, |it| {
        policy(json!({ "allow": { "members": { "subjects": users(it) } } }))
    });
    app_accepts("groups", 0..=1_000, |it| {
        policy(json!({ "allow": { "members": { "groups": users(it) } } }))
    });
    app_accepts("exceptions", 0..=1_000, |it| {
        policy(json!({ "allow": "anyone", "except": { "subjects": users(it) } }))
    });
    app_accepts(
        "client_assertion_lifetime",
        1..=3_600,
        |it| json!({ "authentication": { "private_key_jwt": p256() }, "client_assertion_lifetime": it }),
    );
}

#[test]
fn imported_secrets_have_their_documented_lengths() {
    let world = World::new();
    let import = |name: &str, set: &dyn Fn(ImportedApp) -> ImportedApp| {
        let id = ClientId::new(name).unwrap();
        let app = ImportedApp::new(id.clone(), machine_app().build().unwrap());
        let admin = world.server.admin("root");
        let imported = block_on(admin.import(set(app))).is_ok();
        if imported {
            block_on(admin.delete(&id)).unwrap();
        }
        imported
    };
    accepts("client secret", 1..=255, |it| {
        let secret = || ClientSecret::new("x".repeat(it));
        import("client", &|app| app.with_client_secret(secret(), None))
    });
    accepts("slow digest", 1..=255, |it| {
        let digest = || GivenSecret::Slow("x".repeat(it));
        import("slow", &|app| app.with_client_secret(digest(), None))
    });
    accepts("signature secret", 32..=255, |it| {
        let secret = || SignatureSecret::new("x".repeat(it));
        import("signature", &|app| app.with_signature_secret(secret()))
    });
}

/// Each of four secrets authenticates the app. The fifth takes the place of the oldest.
#[test]
fn an_app_has_four_client_secrets_at_most() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let mut secrets = vec![app.secret.clone().unwrap()];
    let rotate = || {
        let hour = Duration::from_hours(1);
        let new = block_on(world.server.admin("root").rotate_client_secret(&app.id, hour)).unwrap();
        new.client_secret.unwrap().expose_secret().to_owned()
    };
    let work = |secrets: &[String]| {
        let status = |secret: &String| {
            let header = basic(app.id.as_str(), secret);
            world.post_form(Some(&header), "grant_type=client_credentials").status
        };
        secrets.iter().map(status).collect::<Vec<_>>()
    };
    secrets.extend((0..3).map(|_| rotate()));
    assert_eq!(work(&secrets), [200; 4]);
    secrets.push(rotate());
    assert_eq!(work(&secrets), [401, 200, 200, 200, 200]);
}

#[test]
fn keys_have_their_documented_numbers_and_lengths() {
    let secret = |length: u8| (0..length).map(|it| it.wrapping_mul(37)).collect::<Vec<_>>();
    assert!(VerifyingKey::from_hmac_secret(&secret(32)).is_ok());
    assert!(VerifyingKey::from_hmac_secret(&secret(31)).is_err());
    assert!(ServerSecret::new(&secret(32)).is_ok() && ServerSecret::new(&secret(31)).is_err());
    let jwk = p256()["keys"][0].clone();
    let set = |number: usize| {
        let keys = (0..number).map(|it| {
            let mut key = jwk.clone();
            key["kid"] = format!("key-{it}").into();
            key
        });
        json!({ "keys": keys.collect::<Vec<_>>() }).to_string()
    };
    accepts("keys in a set", 1..=16, |it| VerifyingKeys::from_jwk_set(&set(it)).is_ok());
    let padded = |length: usize| {
        let text = set(1);
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    assert!(VerifyingKeys::from_jwk_set(&padded(64 * 1024)).is_ok());
    assert!(VerifyingKeys::from_jwk_set(&padded(64 * 1024 + 1)).is_err());
    let pem = crate::assertions::fixture("p256_public");
    let padded = |length: usize| format!("{pem}{}", "\n".repeat(length - pem.len()));
    assert!(VerifyingKey::from_pem(&padded(64 * 1024)).is_ok());
    assert!(VerifyingKey::from_pem(&padded(64 * 1024 + 1)).is_err());
    accepts("keys on a ring", 1..=16, |number| {
        let keys = (0..number).map(|it| {
            let key = SigningKey::generate(grantor::jwt::Algorithm::EdDSA).unwrap();
            RingKey::from(key.with_key_id(KeyId::new(format!("key-{it}")).unwrap()))
        });
        KeyRing::new(keys.collect()).is_ok()
    });
}

#[test]
fn a_key_file_has_its_documented_size() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("grantor-edges-{}.json", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let (now, random) = (SystemClock::new().now(), grantor::random::OsRandom::new());
    let mut file = KeyFile::generate(grantor::jwt::Algorithm::ES256, &random, now).unwrap();
    file.write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let padded = |length: usize| {
        // The rights of the file stay.
        std::fs::write(&path, format!("{text}{}", " ".repeat(length - text.len()))).unwrap();
        KeyFile::read(&path)
    };
    let fits = padded(1024 * 1024).map(|_| ());
    let beyond = padded(1024 * 1024 + 1).map(|_| ());
    for name in ["", ".lock"] {
        let mut name_of = path.clone().into_os_string();
        name_of.push(name);
        let _ = std::fs::remove_file(name_of);
    }
    fits.unwrap();
    let told = format!("the key file {} is larger than 1 MiB", path.display());
    assert_eq!(beyond.unwrap_err().to_string(), told);
}

/// The default times of a rotation, to the millisecond.
#[test]
fn a_rotated_key_signs_after_ten_minutes_and_the_old_one_is_accepted_for_30_days_more() {
    let (now, random) = (SystemClock::new().now(), grantor::random::OsRandom::new());
    let mut file = KeyFile::generate(grantor::jwt::Algorithm::ES256, &random, now).unwrap();
    let Ok(Rotated::Begun { signs_from, .. }) = file.rotate(now, &Rotation::default()) else {
        panic!("the rotation is refused");
    };
    assert_eq!(signs_from, now.plus(Duration::from_mins(10)));
    let gone = signs_from.plus(Duration::from_hours(30 * 24)).plus(Duration::from_mins(1));
    let states = |now| file.key_states(now).into_iter().map(|it| it.state).collect::<Vec<_>>();
    let millisecond = Duration::from_millis(1);
    assert_eq!(states(signs_from.minus(millisecond)), [KeyState::Published, KeyState::Active]);
    assert_eq!(states(signs_from), [KeyState::Active, KeyState::Retiring]);
    assert_eq!(states(gone.minus(millisecond)), [KeyState::Active, KeyState::Retiring]);
    assert_eq!(states(gone), [KeyState::Active, KeyState::Retired]);
}

/// The bounds of a token request, over the wire.
#[test]
fn a_token_request_has_its_documented_bounds() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let (id, secret) = (app.id.as_str(), app.secret.as_deref().unwrap());
    let own = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    let status =
        |more: (&str, &str)| world.post_form(None, &encode(&[&own[..], &[more]].concat())).status;
    let name = |length: usize| status((&"n".repeat(length), "x"));
    assert_eq!((name(64), name(65)), (200, 400));
    let value = |length: usize| status(("x", &"v".repeat(length)));
    assert_eq!((value(16 * 1024), value(16 * 1024 + 1)), (200, 400));
    let resource = |length: usize| {
        let text = format!("https://h.example/{}", "x".repeat(length - 18));
        world.post_form(None, &encode(&[&own[..], &[("resource", &text)]].concat())).json["error_description"].clone()
    };
    assert_ne!(resource(255), resource(256), "one is not registered, the other no resource");
    // Spaces may separate the scheme from the credentials.
    let header = |length: usize| {
        let header = basic(id, secret);
        let header = format!("Basic {}{}", " ".repeat(length - header.len()), &header[6..]);
        world.post_form(Some(&header), "grant_type=client_credentials").status
    };
    assert_eq!((header(4_096), header(4_097)), (200, 401));
}

/// The bounds of an assertion, over the wire.
#[test]
fn an_assertion_has_its_documented_bounds() {
    let world = World::unlimited();
    let app = world.register(backend_app());
    let sign = |change: &Value| {
        let mut claims = world.claims(&app);
        merge(&mut claims, change);
        Signer::backend().sign(&claims)
    };
    let status = |assertion: &str| {
        world.post(&app, &[("grant_type", JWT_BEARER), ("assertion", assertion)]).status
    };
    accepts("jti", 1..=255, |it| status(&sign(&json!({ "jti": "j".repeat(it) }))) == 200);
    // Base64url grows by four characters for three bytes, so the next longer assertion is beyond.
    let (fits, beyond) = {
        let mut length = 16 * 1024 * 3 / 4 - 600;
        let of = |length: usize| {
            sign(&json!({ "jti": format!("pad-{length}"), "x": "x".repeat(length) }))
        };
        while of(length + 1).len() <= 16 * 1024 {
            length += 1;
        }
        (of(length), of(length + 1))
    };
    assert!(fits.len() > 16 * 1024 - 3 && beyond.len() <= 16 * 1024 + 2);
    assert_eq!((status(&fits), status(&beyond)), (200, 400));
}

/// Z20: the bounds of an authorization request and of the redemption of its code, over the wire.
#[test]
fn an_authorization_request_has_its_documented_bounds() {
    let world = World::new();
    let app = world.register(code_app());
    let state = |length: usize| {
        let query = code_query(&app, &new_verifier(), &[("state", &"s".repeat(length))]);
        world.visit(&query, "ann").status
    };
    assert_eq!((state(4_096), state(4_097)), (200, 303), "a page, or an error at the redirect URI");
    // Z20: the text tells the limit.
    let long = code_query(&app, &new_verifier(), &[("state", &"s".repeat(4_097))]);
    let told = parameters(world.visit(&long, "ann").header("location").unwrap());
    assert_eq!(told["error_description"], "state is longer than 4096 bytes");
    let challenge = |length: usize| {
        let query = code_query(&app, &new_verifier(), &[]);
        let (before, after) = query.split_once("code_challenge=").unwrap();
        let after = after.find('&').map_or("", |at| &after[at..]);
        world.visit(&format!("{before}code_challenge={}{after}", "A".repeat(length)), "ann").status
    };
    accepts("code_challenge", 43..=43, |it| challenge(it) == 200);
    // A verifier of an allowed length is compared, and others are refused for their length.
    let verifier = |length: usize| {
        let (code, _) = world.code(&app);
        world.redeem(&app, &code, &"v".repeat(length)).text("error_description").to_owned()
    };
    accepts("code_verifier", 43..=128, |it| !verifier(it).contains("43 to 128"));
    let sealed = |length: usize| {
        let token = format!("grt_{}", "A".repeat(length - 4));
        world.refresh(&app, &token).text("error").to_owned()
    };
    assert_eq!(
        (&*sealed(16 * 1024), &*sealed(16 * 1024 + 1)),
        ("invalid_grant", "invalid_request")
    );
}
