//! An accepted assertion is signed and fulfils the rules, as a lenient JSON parser reads it.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::clock::UnixTime;
use grantor::jwt::VerifyingKeys;
use grantor::test_kit::fuzzing::assertion;
use grantor_fuzz::{ISSUER, NOW, is_signed, keys, parts, signed};
use serde_json::{Value, json};

static KEYS: LazyLock<VerifyingKeys> = LazyLock::new(keys);

libfuzzer_sys::fuzz_target!(|input: &str| {
    let [header, claims] = parts(input);
    for is_grant in [false, true] {
        check(is_grant, input);
        check(is_grant, &signed(header, claims));
    }
});

fn check(is_grant: bool, jwt: &str) {
    let Ok((subject, scope, expires_at)) =
        assertion(&KEYS, is_grant, jwt, UnixTime::from_seconds(NOW))
    else {
        return;
    };
    assert!(is_signed(jwt));
    let mut segments = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let header: Value = serde_json::from_slice(&segments.next().unwrap()).unwrap();
    assert_eq!(header["alg"], "HS256");
    let claims: Value = serde_json::from_slice(&segments.next().unwrap()).unwrap();
    assert_eq!(claims["iss"], "app");
    assert_eq!(claims["sub"], subject.as_str());
    assert_eq!(is_grant, subject != "app");
    assert!(!subject.is_empty());
    // J34, J36: an assertion for several servers could be replayed by one of them.
    assert!(claims["aud"] == ISSUER || claims["aud"] == json!([ISSUER]));
    let seconds = |name: &str| claims[name].as_f64();
    let exp = seconds("exp").unwrap();
    assert!((exp - expires_at.as_millis() as f64 / 1000.0).abs() < 0.01);
    let now = NOW as f64;
    assert!(exp > now - 10.0 && exp <= now + 310.0);
    assert!(seconds("nbf").is_none_or(|nbf| nbf < now + 10.01));
    assert!(seconds("iat").is_none_or(|iat| iat < now + 10.01 && exp < iat + 300.01));
    assert!((1..=255).contains(&claims["jti"].as_str().unwrap().len()));
    assert_eq!(claims["scope"].as_str(), scope.as_deref());
}
