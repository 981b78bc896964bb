//! The laws of scopes, for two texts.
#![no_main]

use grantor::protocol::Scope;

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let (Ok(a), Ok(b)) = (Scope::parse(texts.0), Scope::parse(texts.1)) else { return };
    assert_eq!(a.as_str().parse(), Ok(a.clone()));
    let common = a.intersection(&b);
    assert!(a.covers(&common) && b.covers(&common));
    assert_eq!(common.as_str().parse(), Ok(common.clone()));
    match a.narrow(texts.1) {
        Ok(narrowed) => assert!(a.covers(&narrowed)),
        Err(_) => assert!(!a.covers(&b)),
    }
});
