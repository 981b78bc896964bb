//! An accepted token is signed with our key, from our issuer, for our audience, and valid now.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use grantor::clock::{ManualClock, UnixTime};
use grantor::ids::{Issuer, Resource};
use grantor::resource_server::BearerVerifier;
use grantor_fuzz::{ISSUER, NOW, is_signed, keys, parts, signed};

static API: LazyLock<BearerVerifier> = LazyLock::new(|| {
    let clock = ManualClock::new(UnixTime::from_seconds(NOW));
    BearerVerifier::new(Issuer::new(ISSUER).unwrap(), keys()).with_clock(clock).with_cache(16)
});

libfuzzer_sys::fuzz_target!(|input: &str| {
    let [header, claims] = parts(input);
    check(input);
    check(&format!("Bearer {input}"));
    check(&format!("Bearer {}", signed(header, claims)));
});

fn check(authorization: &str) {
    let claims = match API.check(Some(authorization)) {
        Ok(claims) => claims,
        Err(challenge) => {
            assert!((400..500).contains(&challenge.status()));
            assert!(challenge.www_authenticate().is_none_or(|value| value.is_ascii()));
            return;
        }
    };
    let (scheme, token) = authorization.split_once(' ').unwrap();
    assert!(scheme.eq_ignore_ascii_case("Bearer") && is_signed(token.trim()));
    let (now, skew) = (UnixTime::from_seconds(NOW), Duration::from_secs(5));
    assert_eq!(claims.issuer.as_str(), ISSUER);
    // Another spelling of the same URI names the same API.
    let own = Resource::new(ISSUER).unwrap();
    let is_own =
        |name: &String| Resource::new(name.as_str()).is_ok_and(|name| name.is_equivalent(&own));
    assert!(claims.audience.iter().any(is_own));
    assert!(claims.expires_at.plus(skew) > now);
    assert!(claims.issued_at <= claims.not_before && claims.not_before <= now.plus(skew));
    assert_eq!(API.check(Some(authorization)).unwrap(), claims);
}
