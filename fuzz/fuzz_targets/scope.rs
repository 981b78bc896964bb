//! The laws of scopes, for two texts.
#![no_main]

use grantor::protocol::Scope;
use grantor_fuzz::parts;

libfuzzer_sys::fuzz_target!(|input: &str| {
    let [first, second] = parts(input);
    let (Ok(a), Ok(b)) = (Scope::parse(first), Scope::parse(second)) else { return };
    assert_eq!(a.as_str().parse(), Ok(a.clone()));
    let common = a.intersection(&b);
    assert!(a.covers(&common) && b.covers(&common));
    assert_eq!(common.as_str().parse(), Ok(common.clone()));
    match a.narrow(second) {
        Ok(narrowed) => assert!(a.covers(&narrowed)),
        Err(_) => assert!(!a.covers(&b)),
    }
});
