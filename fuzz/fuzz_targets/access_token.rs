//! An accepted token is signed with our key, from our issuer, for our audience, and valid now.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::Issuer;
use grantor::resource_server::BearerVerifier;
use grantor_fuzz::{Edits, ISSUER, NOW, edited, keys, object, signed};

static API: LazyLock<BearerVerifier> = LazyLock::new(|| {
    let clock = ManualClock::new(UnixTime::from_seconds(NOW));
    BearerVerifier::new(Issuer::new(ISSUER).unwrap(), keys()).with_clock(clock).with_cache(16)
});

const HEADER: [(&str, &str); 4] =
    [("alg", r#""HS256""#), ("typ", r#""at+jwt""#), ("kid", ""), ("crit", "")];
const CLAIMS: [(&str, &str); 13] = [
    ("iss", r#""https://as.example.com""#),
    ("sub", r#""ann""#),
    ("aud", r#""https://as.example.com""#),
    ("exp", "1700000100"),
    ("nbf", ""),
    ("iat", "1700000000"),
    ("jti", r#""1""#),
    ("client_id", r#""app""#),
    ("scope", r#""a b""#),
    ("grant_id", r#""AAAAAAAAAAAAAAAAAAAAAA""#),
    ("authorized_at", "1700000000000"),
    ("act", ""),
    ("device", ""),
];

libfuzzer_sys::fuzz_target!(|input: (&str, Edits<'_>, Edits<'_>)| {
    let (text, header, claims) = input;
    for header in [text, &format!("Bearer {text}")] {
        let challenge = API.check(Some(header)).unwrap_err();
        assert!((400..500).contains(&challenge.status()));
        assert!(challenge.www_authenticate().is_none_or(|value| value.is_ascii()));
    }
    let header = object(&edited(&HEADER, &header));
    let payload = object(&edited(&CLAIMS, &claims));
    for payload in [text, &payload] {
        let bearer = format!("Bearer {}", signed(&header, payload));
        let Ok(claims) = API.check(Some(bearer.as_str())) else { continue };
        let (now, skew) = (UnixTime::from_seconds(NOW), Duration::from_secs(5));
        assert_eq!(claims.issuer.as_str(), ISSUER);
        assert!(claims.audience.iter().any(|name| name == ISSUER));
        assert!(claims.expires_at.plus(skew) > now);
        assert!(claims.issued_at <= claims.not_before && claims.not_before <= now.plus(skew));
        assert_eq!(API.check(Some(bearer.as_str())).unwrap(), claims);
    }
});
