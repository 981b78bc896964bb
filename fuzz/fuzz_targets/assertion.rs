//! An accepted assertion fulfils the rules, as a lenient JSON parser reads it.
#![no_main]

use std::sync::LazyLock;

use grantor::clock::UnixTime;
use grantor::test_kit::fuzzing::assertion;
use grantor::jwt::VerifyingKeys;
use grantor_fuzz::{Edits, ISSUER, NOW, edited, keys, object, signed};
use serde_json::Value;

static KEYS: LazyLock<VerifyingKeys> = LazyLock::new(keys);

const HEADER: [(&str, &str); 4] =
    [("alg", r#""HS256""#), ("typ", r#""JWT""#), ("kid", ""), ("crit", "")];
const CLAIMS: [(&str, &str); 8] = [
    ("iss", r#""app""#),
    ("sub", r#""app""#),
    ("aud", r#""https://as.example.com""#),
    ("exp", "1700000100"),
    ("jti", r#""1""#),
    ("iat", ""),
    ("nbf", ""),
    ("scope", ""),
];

libfuzzer_sys::fuzz_target!(|input: (&str, Edits<'_>, Edits<'_>)| {
    let (text, header, claims) = input;
    let now = UnixTime::from_seconds(NOW);
    let header = object(&edited(&HEADER, &header));
    let payload = object(&edited(&CLAIMS, &claims));
    for is_grant in [false, true] {
        assert!(assertion(&KEYS, is_grant, text, now).is_err());
        assert!(
            assertion(&KEYS, is_grant, &signed(text, &payload), now).is_err() || is_header(text)
        );
        let _ = assertion(&KEYS, is_grant, &signed(&header, text), now);
        let Ok((subject, scope, expires_at)) =
            assertion(&KEYS, is_grant, &signed(&header, &payload), now)
        else {
            continue;
        };
        let claims: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(claims["iss"], "app");
        assert_eq!(claims["sub"], subject.as_str());
        assert_eq!(is_grant, subject != "app");
        assert!(!subject.is_empty());
        let names_us = |audience: &Value| audience == ISSUER;
        let aud = &claims["aud"];
        assert!(names_us(aud) || aud.as_array().unwrap().iter().any(names_us));
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
});

fn is_header(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|header| header["alg"] == "HS256")
}
